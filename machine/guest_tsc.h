/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's time stamp counter: the host's, times a factor, plus an offset of each vCPU.
 *
 * DOC: Theory of operation
 *
 * The factor is 1 until a VM comes from a host whose counter runs at another rate: then KVM has
 * the CPU scale it, where the CPU can (KVM_CAP_TSC_CONTROL). Offsets are KVM's; we compute them
 * from the host's counter when a VM stops, starts and is saved. KVM tells the factor in kHz
 * only; what the counter has come to since the host booted, times that, is off by milliseconds.
 * So guest_tsc_take() reads once what KVM makes of the host's counter, and what follows counts
 * from there. All vCPUs go by the same reading: it may be late by a microsecond, but theirs
 * agree.
 *
 * A difference of 250 parts in a million is none: calibrations differ by as much, guests' clocks
 * can live with it, and KVM does not scale for less (its module's parameter tsc_tolerance_ppm).
 *
 * Source: Linux Documentation/virt/kvm/api.rst, KVM_SET_TSC_KHZ; devices/vcpu.rst,
 * KVM_VCPU_TSC_CTRL.
 */
#ifndef KVMB_GUEST_TSC_H
#define KVMB_GUEST_TSC_H

#include "vmbus-core/env.h"

struct machine;

struct guest_tsc { /* zeroed: not scaled */
	u32 khz;	 /* of the guest's; 0: KVM does not know */
	u32 host_khz;	 /* of KVM's, before it was told another; 0: not known */
	bool can_scale;
	u64 host, guest; /* a reading: at @host ticks of the host, the guest's without offset */
	bool scaled;
};

/** guest_tsc_init() - Ask KVM. @m has its vCPUs. Context: main thread. */
void guest_tsc_init(struct machine *m);

/** guest_tsc_fits() - Can a guest go on here whose counter ran at @khz? 0: not known */
bool guest_tsc_fits(const struct guest_tsc *t, u32 khz);

/**
 * guest_tsc_take() - From here on the guest's counter runs at @khz
 * @m:   its vCPUs stand
 * @khz: of guest_tsc_fits()
 *
 * Return: 0; -errno: KVM does not take it. Context: main thread.
 */
int guest_tsc_take(struct machine *m, u32 khz);

/** guest_tsc_at() - What the guest's counter is without offset at @host ticks of the host's. */
u64 guest_tsc_at(const struct guest_tsc *t, u64 host);

#endif
