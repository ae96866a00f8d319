/* SPDX-License-Identifier: GPL-2.0-only */
/* A virtual CPU and its thread. */
#ifndef KVMB_VCPU_H
#define KVMB_VCPU_H

#include <pthread.h>

#include "lib/loop.h"
#include "machine/machine.h"

struct vcpu_stats { /* written by the vCPU's thread, read by anyone */
	u64 exits;	     /* KVM_RUN returns, all reasons */
	u64 io, mmio, intr;
	u64 hv_synic, hv_post, hv_signal; /* hv_signal: must stay 0, signals end in the kernel */
	u64 hv_other;
};

struct vcpu {
	struct machine *machine;
	u32 index; /* = VP index = APIC id */
	int fd;
	int stats_fd; /* KVM's counters; opened early: a vCPU in KVM_RUN answers no ioctl */
	struct kvm_run *run;
	pthread_t thread;
	bool started;
	struct vcpu_stats stats;

	/* SynIC as the guest set it; pages are NULL while disabled or outside RAM */
	u64 synic_control;			/* atomic */
	struct kvmb_hv_message __shared *simp;	/* atomic pointer to simp[16] */
	u8 __shared *siefp;			/* atomic pointer to 16 * 256 bytes */
	u32 page_users;				/* atomic: writers now; hyperv.c */
	u32 late_flags[HV_EVENT_FLAGS_PER_SINT / 32]; /* atomic words: raised while SIEFP was off */
	int event_fd;				/* irqfd of SINT2, for event flags */
	/* irqfd with resample, assigned while messages queue */
	int msg_fd, ack_fd;
	bool ack_assigned;			/* bus thread */
	struct kvmb_watch *ack_watch;
	struct kvmb_timer ack_timer;

	u32 rest_ms;	 /* atomic: what cpu_throttle_here() is to do */
	bool exit_open;	 /* KVM completes the last exit on the next run; vCPU's thread */
	struct vcpu_power_on *on; /* for reset; vcpu_state.c */
	struct kvm_cpuid2 *cpuid; /* as set: KVM's own copy changes with CR4 and XCR0 */
	struct vcpu_image *image; /* of a saved VM, until vcpu_apply(); vcpu_save.c */
};

/**
 * vcpu_create() - Make vCPU @index of @m->vcpus, with its CPUID and SynIC
 *
 * Return: 0 or -errno; vcpu_destroy() is due also after a failure. Context: main thread.
 */
int vcpu_create(struct machine *m, u32 index);

/** vcpu_start_thread() - Start its thread, which stands first. Return: 0 or -errno. Main thread. */
int vcpu_start_thread(struct vcpu *v);

/** vcpu_complete_exit() - Let KVM complete the last exit: registers are whole then. Its thread. */
void vcpu_complete_exit(struct vcpu *v);

/** vcpu_kick() - Make it leave KVM_RUN, or not enter it. Context: any thread. */
void vcpu_kick(struct vcpu *v);

/** vcpu_destroy() - Undo vcpu_create(). Context: main thread; its thread has ended. */
void vcpu_destroy(struct vcpu *v);

/* vcpu_state.c; the vCPU stands, and its exit is complete */

/** vcpu_save_power_on() - Save the power-on state, once, before it has run. Return: 0 or -errno. */
int vcpu_save_power_on(struct vcpu *v);

/** vcpu_free_power_on() - Free what vcpu_save_power_on() saved; fine if there is nothing. */
void vcpu_free_power_on(struct vcpu *v);

/**
 * vcpu_reset() - Restore the power-on state; boot_enter() then sets up the boot protocol
 *
 * Return: 0 or -errno. Context: main thread, all vCPUs stand.
 */
int vcpu_reset(struct vcpu *v);

/** vcpu_shift_tsc() - Move the guest's TSC back by @ticks. Return: 0; -errno: not supported. */
int vcpu_shift_tsc(struct vcpu *v, u64 ticks);

#endif
