/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Crashes that the guest's kernel reports in the five crash MSRs (TLFS, Guest Crash
 * Enlightenment). The guest decides what a parameter means: Windows puts its bug check code first,
 * Linux the registers of the CPU that panicked. There is no message text, because KVM does not
 * offer HV_CRASH_CTL_CRASH_NOTIFY_MSG (docs/protocol.md#2.7).
 */
#ifndef KVMB_CRASH_H
#define KVMB_CRASH_H

#include <jansson.h>
#include <pthread.h>
#include <time.h>

#include "vmbus-core/env.h"

#define CRASH_PARAMS 5u

struct kvmb_tlv;
struct kvmb_tlv_out;

struct crash_log { /* of one VM */
	pthread_mutex_t lock; /* guards all below */
	u32 count;	      /* since the VM was started, over all its boots */
	u64 params[CRASH_PARAMS]; /* of the last one */
	struct timespec when; /* CLOCK_REALTIME */
	u32 boot;	      /* the first is 1 */
};

/** crash_init() - Prepare an empty log. */
void crash_init(struct crash_log *c);

/** crash_fini() - Undo crash_init(). */
void crash_fini(struct crash_log *c);

/**
 * crash_report() - Record a crash of the guest and log it
 * @c:      of the VM
 * @who:    the VM's name
 * @boot:   which of the guest's boots this is
 * @params: params[CRASH_PARAMS], the crash MSRs
 * Context: a vCPU's thread. Trust: @params is what the guest wrote.
 */
void crash_report(struct crash_log *c, const char *who, u32 boot, const u64 *params);

/** crash_json() - The last crash, as docs/json.md says; null when there was none. Any thread. */
json_t *crash_json(struct crash_log *c);

/** crash_save() - All of it, as a group's fields. Context: main thread. */
void crash_save(struct crash_log *c, struct kvmb_tlv_out *o);

/** crash_load() - What crash_save() wrote. Return: 0; -errno with one line in @group->error. */
int crash_load(struct crash_log *c, struct kvmb_tlv *group);

#endif
