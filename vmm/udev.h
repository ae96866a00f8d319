/* SPDX-License-Identifier: GPL-2.0-only */
/* Block devices of the host that vanish or change their size. */
#ifndef KVMB_UDEV_H
#define KVMB_UDEV_H

#include <sys/types.h>

struct kvmb_loop;
struct udev_watch;

struct udev_events { /* main thread */
	void (*gone)(void *arg, dev_t dev);    /* 0: an event that is about no device node */
	void (*changed)(void *arg, dev_t dev); /* likewise */
};

/**
 * udev_watch_create() - Begin to listen
 * @who:    for log lines
 * @events: called with @arg
 * Return: never NULL; without udev, which is logged, nothing is heard. Context: main thread.
 */
struct udev_watch *udev_watch_create(struct kvmb_loop *loop, const char *who, const struct udev_events *events,
				     void *arg);

/** udev_watch_destroy() - NULL is fine. Context: main thread. */
void udev_watch_destroy(struct udev_watch *u);

#endif
