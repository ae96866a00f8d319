/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Crashes that the guest's kernel reports: the five crash MSRs (TLFS, Guest Crash Enlightenment).
 * What a parameter means is the guest's business; Windows puts its bug check code first, Linux the
 * registers of the CPU that panicked. KVM offers no HV_CRASH_CTL_CRASH_NOTIFY_MSG, so there is no
 * text with it (Linux 6.12 arch/x86/kvm/hyperv.c: kvm_hv_msr_set_crash_control()).
 */
#ifndef KVMB_CRASH_H
#define KVMB_CRASH_H

#include <jansson.h>
#include <pthread.h>
#include <time.h>

#include "vmbus-core/env.h"

#define CRASH_PARAMS 5u

struct crash_log { /* of one VM */
	pthread_mutex_t lock; /* guards all below */
	u32 count;	      /* since the VM was started, over all its boots */
	u64 params[CRASH_PARAMS]; /* of the last one */
	struct timespec when; /* CLOCK_REALTIME */
	u32 boot;	      /* the first is 1 */
};

void crash_init(struct crash_log *c);
void crash_fini(struct crash_log *c);

/**
 * crash_report() - The guest has crashed: remember it, and say so
 * @who:    the VM's name
 * @boot:   which of the guest's boots this is
 * @params: params[CRASH_PARAMS], the crash MSRs
 * Context: a vCPU's thread. Trust: @params is what the guest wrote.
 */
void crash_report(struct crash_log *c, const char *who, u32 boot, const u64 *params);

/** crash_json() - The last crash, as docs/json.md says; null when there was none. Any thread. */
json_t *crash_json(struct crash_log *c);

#endif
