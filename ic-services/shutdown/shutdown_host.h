/* SPDX-License-Identifier: GPL-2.0-only */
/* Shutdown: ask the guest to power off or reboot cleanly. */
#ifndef KVMB_SHUTDOWN_HOST_H
#define KVMB_SHUTDOWN_HOST_H

#include "ic-services/ic_host.h"

/* A guest that has not answered for so long may be asked again. */
#define KVMB_SHUTDOWN_ANSWER_MS 15000u

struct kvmb_shutdown { /* bus thread */
	struct kvmb_ic ic;
	void (*answered)(void *arg, u32 status); /* the guest's status, KVMB_IC_STATUS_* */
	void *arg;
	bool asked; /* an answer is due; others are not believed */
	u64 asked_ms; /* kvmb_now_ms() */
	u32 flags;    /* of what was asked last, KVMB_SHUTDOWN_* */
	u32 status;   /* the guest's last answer */
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
 * kvmb_shutdown_ask() - Ask the guest to power off, restart or hibernate
 * @s:         the service
 * @flags:     0 = power off; KVMB_SHUTDOWN_RESTART; KVMB_SHUTDOWN_HIBERNATE
 * @timeout_s: for the guest's information
 * @text:      why, for who looks at the guest's screen, UTF-8; NULL = "kvmbus"
 *
 * Return: 0 when the request has been sent; -ENOTCONN without a guest driver; -EAGAIN when an
 * earlier request is not answered; -EOPNOTSUPP: the guest's version has no hibernation; -EILSEQ:
 * @text is no UTF-8; -E2BIG: it is longer than 1023 UTF-16 units. Context: bus thread.
 */
int kvmb_shutdown_ask(struct kvmb_shutdown *s, u32 flags, u32 timeout_s, const char *text);

/** kvmb_shutdown_request() - The same without a text: power off, or @reboot. */
int kvmb_shutdown_request(struct kvmb_shutdown *s, bool reboot, u32 timeout_s);

#endif
