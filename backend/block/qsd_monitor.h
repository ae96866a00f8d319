/* SPDX-License-Identifier: GPL-2.0-only */
/* The monitor of a storage daemon: one command at a time. Private to qsd.c. */
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
 * kvmb_qsd_greeting() - Wait for the daemon's first line and enter command mode
 * @m:    connected
 * @ms:   longest wait; the line comes when everything on the command line has been opened
 * @why:  why[size], on -EIO one phrase for the user
 * @size: bytes
 *
 * Return: 0; -ETIMEDOUT or -EPIPE when there is none, -EIO with @why when it refuses.
 */
int kvmb_qsd_greeting(struct kvmb_qsd_monitor *m, u32 ms, char *why, size_t size);

/**
 * kvmb_qsd_say() - Send a command, and do not wait for its answer
 * @args: reference is taken; NULL = none
 *
 * Return: 0; -EPIPE. The last one of a monitor: an answer would be taken for the next one's.
 */
int kvmb_qsd_say(struct kvmb_qsd_monitor *m, const char *name, json_t *args);

/**
 * kvmb_qsd_command() - Run a command
 * @m:    in command mode
 * @name: of the command
 * @args: reference is taken; NULL = none
 * @why:  why[size], on failure one phrase for the user
 * @size: bytes
 *
 * Return: its result, a new reference; NULL on failure.
 */
json_t *kvmb_qsd_command(struct kvmb_qsd_monitor *m, const char *name, json_t *args, char *why,
			 size_t size);

/** kvmb_qsd_simple() - kvmb_qsd_command() without a result. Return: 0, or -EIO with @why. */
int kvmb_qsd_simple(struct kvmb_qsd_monitor *m, const char *name, json_t *args, char *why,
		    size_t size);

#endif
