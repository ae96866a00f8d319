/* SPDX-License-Identifier: GPL-2.0-only */
/* Shutdown: ask the guest to power off or reboot in good order. */
#ifndef KVMB_SHUTDOWN_HOST_H
#define KVMB_SHUTDOWN_HOST_H

#include "ic-services/ic_host.h"

struct kvmb_shutdown { /* bus thread */
	struct kvmb_ic ic;
	void (*answered)(void *arg, u32 status); /* the guest's status, KVMB_IC_STATUS_* */
	void *arg;
};

void kvmb_shutdown_init(struct kvmb_shutdown *s, void (*answered)(void *arg, u32 status), void *arg);

/**
 * kvmb_shutdown_request() - Ask
 * @reboot:    restart instead of power-off
 * @timeout_s: told to the guest
 *
 * Return: 0 when the request is on its way; -ENOTCONN without a guest driver; -EAGAIN
 * when an earlier request is unanswered.
 */
int kvmb_shutdown_request(struct kvmb_shutdown *s, bool reboot, u32 timeout_s);

#endif
