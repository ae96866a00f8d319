/* SPDX-License-Identifier: GPL-2.0-only */
/* The monitor of a storage daemon: one command at a time, for qsd.c alone. */
#ifndef KVMB_QSD_MONITOR_H
#define KVMB_QSD_MONITOR_H

#include <jansson.h>

#include "vmbus-core/env.h"

struct kvmb_qsd_monitor {
	int fd;		/* -1 = none; owned by who opened it */
	char *in;	/* in[in_len], unread bytes; NULL = none yet; free()d by who opened it */
	size_t in_len, in_size;
};

/**
 * kvmb_qsd_greeting() - Wait for the daemon's first line and go into command mode
 * @ms: longest wait; it comes when everything on the command line has been opened
 * Return: 0; -ETIMEDOUT or -EPIPE when there is none, -EIO with @why when it refuses.
 */
int kvmb_qsd_greeting(struct kvmb_qsd_monitor *m, u32 ms, char *why, size_t size);

/**
 * kvmb_qsd_command() - Run a command
 * @args: taken; NULL = none
 * Return: its result (new reference), or NULL with one phrase in @why.
 */
json_t *kvmb_qsd_command(struct kvmb_qsd_monitor *m, const char *name, json_t *args, char *why, size_t size);

/** kvmb_qsd_simple() - A command whose result does not matter. Return: 0 or -EIO with @why. */
int kvmb_qsd_simple(struct kvmb_qsd_monitor *m, const char *name, json_t *args, char *why, size_t size);

#endif
