/* SPDX-License-Identifier: GPL-2.0-only */
/* Events of the host's block devices: one has vanished, or may have a new size. */
#ifndef KVMB_UEVENT_H
#define KVMB_UEVENT_H

#include <sys/types.h>

struct kvmb_loop;
struct uevent_watch;

struct uevent_listener {		       /* main thread */
	void (*gone)(void *arg, dev_t dev);    /* 0: an event that is about no device node */
	void (*changed)(void *arg, dev_t dev); /* likewise */
};

/**
 * uevent_watch_create() - Open a connection, which reports nothing yet
 * @loop:   of the main thread
 * @who:    for log lines
 * @events: called with @arg
 * @arg:    of @events
 *
 * A VM without block devices costs nothing more than this.
 *
 * Return: never NULL. Context: main thread.
 */
struct uevent_watch *uevent_watch_create(struct kvmb_loop *loop, const char *who,
					 const struct uevent_listener *events, void *arg);

/**
 * uevent_watch_listen() - Events come from now on; nothing happens if they do already
 * @u: NULL is fine
 *
 * If no connection could be made, that is logged. Context: main thread; opens nothing.
 */
void uevent_watch_listen(struct uevent_watch *u);

/** uevent_watch_destroy() - NULL is fine. Context: main thread. */
void uevent_watch_destroy(struct uevent_watch *u);

#endif
