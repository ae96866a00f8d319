/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Slowing a guest down, so that a migration can send memory faster than the guest changes it.
 *
 * DOC: Theory of operation
 *
 * In each period every vCPU runs for THROTTLE_RUN_MS, then rests for so long that it has rested the
 * wanted share of the time. A timer of the main thread kicks the vCPUs out of KVM_RUN and tells
 * each how long to rest; it rests in its own thread, and whoever wants it to stand wakes it. A main
 * thread that is late lets the guest run longer, never stand longer. Off, it costs a load for each
 * exit to user space.
 */
#ifndef KVMB_CPU_THROTTLE_H
#define KVMB_CPU_THROTTLE_H

#include "lib/loop.h"
#include "vmbus-core/env.h"

#define THROTTLE_MAX 99u
#define THROTTLE_RUN_MS 10u

struct machine;
struct vcpu;

struct cpu_throttle {
	u32 percent; /* main thread; 0 = off */
	struct kvmb_timer timer;
};

/** cpu_throttle_init() - Off. Main thread, before vCPUs run. */
void cpu_throttle_init(struct machine *m);

/**
 * machine_throttle() - Let every vCPU rest @percent of the time
 * @m:       started
 * @percent: at most THROTTLE_MAX; 0 = not at all
 *
 * Context: main thread; vCPUs may run or stand.
 */
void machine_throttle(struct machine *m, u32 percent);

/** cpu_throttle_here() - Rest, if it is time to. Context: the vCPU's thread, between two exits. */
void cpu_throttle_here(struct vcpu *v);

#endif
