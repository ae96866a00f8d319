/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A qemu-storage-daemon: one process that opens one image (with its parents) and serves it
 * over NBD on a socket in a directory of ours.
 *
 * Everything here blocks, for at most a few seconds, and is called on one thread: the disk's.
 */
#ifndef KVMB_QSD_H
#define KVMB_QSD_H

#include "host-vsp/storage/disk.h"

struct kvmb_qsd;

/** kvmb_qsd_create() - Nothing is started yet. @spec is borrowed for this call alone. */
struct kvmb_qsd *kvmb_qsd_create(const struct kvmb_disk_spec *spec, const char *format,
				 bool read_only);

/**
 * kvmb_qsd_start() - Start the daemon and wait until it has opened the image
 *
 * Refuses an image whose header names a parent that the user did not name: a header is
 * written by whoever made the image and must not decide which files are opened.
 *
 * Return: 0; -errno with one phrase in @why. Also after it has ended: starts it again.
 */
int kvmb_qsd_start(struct kvmb_qsd *q, char *why, size_t size);

/** kvmb_qsd_connect() - A connected socket to its NBD server. Return: descriptor or -errno. */
int kvmb_qsd_connect(struct kvmb_qsd *q);

/** kvmb_qsd_pidfd() - Readable when it has ended; -1 while there is none. */
int kvmb_qsd_pidfd(const struct kvmb_qsd *q);

/** kvmb_qsd_resize() - With nobody connected. Return: 0 or -errno with @why. */
int kvmb_qsd_resize(struct kvmb_qsd *q, u64 bytes, char *why, size_t size);

/** kvmb_qsd_kill() - SIGKILL, and reap. Also reaps one that has ended by itself. */
void kvmb_qsd_kill(struct kvmb_qsd *q);

/** kvmb_qsd_destroy() - Ask it to end, which flushes the image; kill it after ten seconds. */
void kvmb_qsd_destroy(struct kvmb_qsd *q);

#endif
