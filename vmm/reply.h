/* SPDX-License-Identifier: GPL-2.0-only */
/* Where the answer to a change goes. It comes exactly once, maybe during the call. Main thread. */
#ifndef KVMB_REPLY_H
#define KVMB_REPLY_H

#include <jansson.h>
#include <stdbool.h>

struct ctl_reply {
	/* @result: a new reference; or NULL, with @class and @why. NULL = nobody waits. */
	void (*fn)(void *arg, json_t *result, const char *class, const char *why);
	void *arg;
	/* Has who waits gone? NULL: that cannot be told. Not after the answer. */
	bool (*gone)(void *arg);
	/* who asks has told the VM's keeper, and notes the change there (vmm/note.h) */
	bool noted;
};

/** reply_result() - The change was made; takes the reference to @result. */
void reply_result(struct ctl_reply to, json_t *result);

/**
 * reply_refused() - The change was not made
 * @to:    where the answer goes
 * @class: "state": not in this state; "failed"; "usage": the request makes no sense
 * @fmt:   one phrase for the user
 */
void reply_refused(struct ctl_reply to, const char *class, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
