// SPDX-License-Identifier: GPL-2.0-only
/* A thread's first steps: its name, and what its class brings. */
#include "lib/thread.h"

#include <assert.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "lib/util.h"

static const char *const class_names[] = { "main", "vcpu", "storage", "net",	 "disk",
					   "job",  "sink", "guard",   "overdue", "socket" };
static_assert(ARRAY_SIZE(class_names) == KVMB_THREAD_NUM, "one name a class");

static void (*on_enter)(enum kvmb_thread_class class);

const char *kvmb_thread_class_name(enum kvmb_thread_class class)
{
	return class_names[class];
}

void kvmb_thread_on_enter(void (*hook)(enum kvmb_thread_class class))
{
	on_enter = hook;
}

void kvmb_thread_enter(enum kvmb_thread_class class, const char *name)
{
	if (name)
		prctl(PR_SET_NAME, name); /* the kernel cuts it */
	if (on_enter)
		on_enter(class);
}
