/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A qemu-storage-daemon: one process that opens one image (with its parents) and serves it
 * over NBD. The keeper (lib/keeper.h) starts and ends it.
 *
 * The daemon gets the images as descriptors and may open no other file (lib/jail.h). So the image
 * is the file that we opened, even if it is renamed, and never a file that a header names.
 *
 * Everything here may block for a few seconds, and is called on one thread: the disk's.
 */
#ifndef KVMB_QSD_H
#define KVMB_QSD_H

#include "backend/block/disk.h"

struct kvmb_qsd;

#define KVMB_QSD_MAX_IMAGES (KVMB_DISK_MAX_BACKING + 1)

struct kvmb_qsd_image {
	int fd;		    /* a regular file; the disk itself writable, unless read-only */
	const char *format; /* borrowed during a call, as is the name */
	const char *name;   /* for messages alone */
};

struct kvmb_qsd_conf {
	struct kvmb_qsd_image images[KVMB_QSD_MAX_IMAGES]; /* images[num]: disk, parent, ... */
	u32 num;
	bool read_only;
	bool direct;	     /* bypass the host's page cache for the disk itself */
	bool threads;	     /* it cannot have an io_uring: kvmb_qsd_has_uring() */
	const char *run_dir; /* for its socket, which has a name for a moment; NULL = /tmp */
};

/**
 * kvmb_qsd_recipe() - Tell the keeper how the daemon of an image is started
 * @conf: borrowed
 * @why:  why[size], on failure one phrase for the user
 * @size: bytes
 *
 * Return: the channel for kvmb_qsd_create(), or -errno. Context: with the rights of the user who
 * named the image; any thread.
 */
int kvmb_qsd_recipe(const struct kvmb_qsd_conf *conf, char *why, size_t size);

/**
 * kvmb_qsd_has_uring() - Can daemons have an io_uring on this host?
 *
 * A kernel or a container may be without it. Restricted to some groups or to administrators, it is
 * not the daemon's either, which has no privileges. Context: as kvmb_qsd_recipe().
 */
bool kvmb_qsd_has_uring(void);

/**
 * kvmb_qsd_create() - Prepare a daemon; nothing is started yet, and nothing opened
 * @conf:    copied; owns its descriptors from now on. No run_dir is needed
 * @channel: of kvmb_qsd_recipe(); owned from now on
 */
struct kvmb_qsd *kvmb_qsd_create(const struct kvmb_qsd_conf *conf, int channel);

/**
 * kvmb_qsd_prepare() - Start the daemon, and let it open nothing yet
 *
 * For an image that another host has: kvmb_qsd_start() takes milliseconds then. What its headers
 * say is checked, as far as it can be while somebody writes to it. Return: as kvmb_qsd_start().
 */
int kvmb_qsd_prepare(struct kvmb_qsd *q, char *why, size_t size);

/**
 * kvmb_qsd_start() - Start the daemon and wait until it has opened the image
 *
 * @q:    new, prepared, or its daemon has ended
 * @why:  why[size], on failure one phrase for the user
 * @size: bytes
 *
 * Refuses an image whose header names a file, because the author of an image must not decide
 * which files are opened. The header may name a parent if the user has given one.
 *
 * Return: 0; -EBUSY while an earlier daemon has not ended; another -errno.
 */
int kvmb_qsd_start(struct kvmb_qsd *q, char *why, size_t size);

/**
 * kvmb_qsd_open_writes() - Did opening the image write to it, though it was closed in good order?
 *
 * A qcow2 with bitmaps says in its file that they are in use.
 */
bool kvmb_qsd_open_writes(const struct kvmb_qsd *q);

/** kvmb_qsd_connect() - Connect to its NBD server. Return: a descriptor, or -errno. */
int kvmb_qsd_connect(struct kvmb_qsd *q);

/** kvmb_qsd_is_serving() - Was the image opened, and its daemon not killed since? */
bool kvmb_qsd_is_serving(const struct kvmb_qsd *q);

/** kvmb_qsd_channel() - A descriptor to poll: when it is readable ask kvmb_qsd_has_ended(). */
int kvmb_qsd_channel(const struct kvmb_qsd *q);

/** kvmb_qsd_has_ended() - Has the daemon ended by itself, or the keeper? Never waits. */
bool kvmb_qsd_has_ended(struct kvmb_qsd *q);

/**
 * kvmb_qsd_lacks() - What is the jail of daemons without?
 * @lacks: enum kvmb_jail_lack, of the last one that was started
 *
 * Return: false when none was started yet. Context: any thread.
 */
bool kvmb_qsd_lacks(unsigned int *lacks);

/** kvmb_qsd_resize() - Grow the image; nobody is connected. Return: 0, or -errno with @why. */
int kvmb_qsd_resize(struct kvmb_qsd *q, u64 bytes, char *why, size_t size);

/**
 * kvmb_qsd_kill() - Kill the daemon and reap it; reaps also one that has ended by itself
 *
 * If the kernel cannot end it within a few seconds, it is left behind and that is logged. No
 * other daemon is started before it has ended, because it may still write.
 */
void kvmb_qsd_kill(struct kvmb_qsd *q);

/**
 * kvmb_qsd_quit() - Ask it to end, which flushes and closes the image; kill it after ten seconds
 *
 * Return: 0: the image is closed in good order; -errno: it was killed, or had ended. If it could
 * be, nobody has the image in either case.
 */
int kvmb_qsd_quit(struct kvmb_qsd *q);

/** kvmb_qsd_destroy() - Ask it to end, which flushes the image; kill it after ten seconds. */
void kvmb_qsd_destroy(struct kvmb_qsd *q);

#endif
