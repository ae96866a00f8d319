/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A qemu-storage-daemon: one process that opens one image (with its parents) and serves it
 * over NBD on a socket in a directory of ours.
 *
 * It is given the images as descriptors and may open nothing else (lib/jail.h): an image is the
 * file that was opened, whatever becomes of its name, and never one that a header names.
 *
 * Everything here blocks, for at most a few seconds, and is called on one thread: the disk's.
 */
#ifndef KVMB_QSD_H
#define KVMB_QSD_H

#include "backend/block/disk.h"

struct kvmb_qsd;

#define KVMB_QSD_MAX_IMAGES (KVMB_DISK_MAX_BACKING + 1)

struct kvmb_qsd_image {
	int fd;		    /* a regular file; of the disk itself writable unless it is read-only */
	const char *format; /* borrowed during kvmb_qsd_create(), as is the name */
	const char *name;   /* for messages alone */
};

struct kvmb_qsd_conf {
	struct kvmb_qsd_image images[KVMB_QSD_MAX_IMAGES]; /* images[num]: the disk, its parent, that one's... */
	u32 num;
	bool read_only;
	bool direct;	     /* the disk itself past the host's page cache */
	const char *run_dir; /* for the socket's directory, made if it is not there; NULL = /tmp */
};

/**
 * kvmb_qsd_create() - Nothing is started yet
 * @conf: its descriptors become the daemon's, and are closed with it
 */
struct kvmb_qsd *kvmb_qsd_create(const struct kvmb_qsd_conf *conf);

/**
 * kvmb_qsd_start() - Start the daemon and wait until it has opened the image
 *
 * Refuses an image whose header names a file: a header is written by whoever made the image and
 * must not decide which files are opened. A parent may be named if the user has given one.
 *
 * Return: 0; -errno with one phrase in @why; -EBUSY while a former daemon has not ended.
 * Also after it has ended: starts it again.
 */
int kvmb_qsd_start(struct kvmb_qsd *q, char *why, size_t size);

/** kvmb_qsd_connect() - A connected socket to its NBD server. Return: descriptor or -errno. */
int kvmb_qsd_connect(struct kvmb_qsd *q);

/** kvmb_qsd_pidfd() - Readable when it has ended; -1 while there is none. */
int kvmb_qsd_pidfd(const struct kvmb_qsd *q);

/** kvmb_qsd_resize() - With nobody connected. Return: 0 or -errno with @why. */
int kvmb_qsd_resize(struct kvmb_qsd *q, u64 bytes, char *why, size_t size);

/**
 * kvmb_qsd_kill() - SIGKILL, and reap. Also reaps one that has ended by itself.
 *
 * One that the kernel cannot end is left behind after a few seconds, which is logged, and no other is started
 * before it has ended: it may still write.
 */
void kvmb_qsd_kill(struct kvmb_qsd *q);

/** kvmb_qsd_destroy() - Ask it to end, which flushes the image; kill it after ten seconds. */
void kvmb_qsd_destroy(struct kvmb_qsd *q);

#endif
