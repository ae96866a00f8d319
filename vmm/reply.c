// SPDX-License-Identifier: GPL-2.0-only
/* The answer to a change. */
#include "vmm/reply.h"

#include <stdarg.h>
#include <stdio.h>

void reply_result(struct ctl_reply to, json_t *result)
{
	if (to.fn)
		to.fn(to.arg, result, NULL, NULL);
	else
		json_decref(result);
}

void reply_refused(struct ctl_reply to, const char *class, const char *fmt, ...)
{
	char why[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (to.fn)
		to.fn(to.arg, NULL, class, why);
}
