/* SPDX-License-Identifier: GPL-2.0-only */
/* Where the answer to a change goes. It comes exactly once, from within the call or later. Main thread. */
#ifndef KVMB_REPLY_H
#define KVMB_REPLY_H

#include <jansson.h>

struct ctl_reply {
	/* @result is a new reference, or NULL with @class ("state", "failed", "usage") and @why. NULL: nobody waits. */
	void (*fn)(void *arg, json_t *result, const char *class, const char *why);
	void *arg;
};

/** reply_result() - The change was made; takes the reference to @result. */
void reply_result(struct ctl_reply to, json_t *result);

/**
 * reply_refused() - It was not
 * @class: "state": not now; "failed"; "usage": never like this
 * @fmt:   one phrase for the user
 */
void reply_refused(struct ctl_reply to, const char *class, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
