/* SPDX-License-Identifier: GPL-2.0-only */
/* Shutdown: ask the guest to power off or reboot cleanly. */
#ifndef KVMB_SHUTDOWN_HOST_H
#define KVMB_SHUTDOWN_HOST_H

#include "ic-services/ic_host.h"

struct kvmb_shutdown { /* bus thread */
	struct kvmb_ic ic;
	void (*answered)(void *arg, u32 status); /* the guest's status, KVMB_IC_STATUS_* */
	void *arg;
	bool asked; /* an answer is due; others are not believed */
};

/**
 * kvmb_shutdown_init() - Prepare, not offered
 * @s:        the service
 * @answered: called on the bus thread with the guest's answer, KVMB_IC_STATUS_*
 * @arg:      of @answered
 */
void kvmb_shutdown_init(struct kvmb_shutdown *s, void (*answered)(void *arg, u32 status),
			void *arg);

/**
 * kvmb_shutdown_request() - Ask the guest to shut down
 * @s:         the service
 * @reboot:    restart instead of powering off
 * @timeout_s: for the guest's information
 *
 * Return: 0 when the request has been sent; -ENOTCONN without a guest driver; -EAGAIN when an
 * earlier request is not answered. Context: bus thread.
 */
int kvmb_shutdown_request(struct kvmb_shutdown *s, bool reboot, u32 timeout_s);

#endif
