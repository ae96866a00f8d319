// SPDX-License-Identifier: GPL-2.0-only
/* The guest's time stamp counter: guest_tsc.h. */
#include "machine/guest_tsc.h"

#include <sys/ioctl.h>
#include <x86intrin.h>

#include "lib/util.h"
#include "machine/vcpu_priv.h"

#define TOLERANCE_PPM 250u
#define MSR_TSC 0x10u

void guest_tsc_init(struct machine *m)
{
	int khz = ioctl(m->vcpus[0].fd, KVM_GET_TSC_KHZ, 0); /* later it would wait for the vCPU */

	m->tsc = (struct guest_tsc){ .khz = (u32)KVMB_MAX(khz, 0) };
	m->tsc.host_khz = m->tsc.khz;
	m->tsc.can_scale = ioctl(m->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_CONTROL) > 0;
}

static bool is_same(const struct guest_tsc *t, u32 khz)
{
	u64 here = t->host_khz, there = khz;

	return !here || !there ||
	       KVMB_MAX(here, there) - KVMB_MIN(here, there) <= there * TOLERANCE_PPM / 1000000;
}

bool guest_tsc_fits(const struct guest_tsc *t, u32 khz)
{
	return is_same(t, khz) || t->can_scale;
}

/* What KVM makes of the host's counter. A kernel before 5.16 has no offsets, and needs none. */
static int read_scale(struct machine *m)
{
	struct {
		struct kvm_msrs h;
		struct kvm_msr_entry e;
	} one = { .h.nmsrs = 1, .e.index = MSR_TSC };
	u64 before, after, offset;

	if (vcpu_tsc_offset(&m->vcpus[0], KVM_GET_DEVICE_ATTR, &offset))
		return 0;
	before = __rdtsc();
	if (ioctl(m->vcpus[0].fd, KVM_GET_MSRS, &one) != 1)
		return -EIO;
	after = __rdtsc();
	m->tsc.host = before + (after - before) / 2;
	m->tsc.guest = one.e.data - offset;
	m->tsc.scaled = true;
	return 0;
}

int guest_tsc_take(struct machine *m, u32 khz)
{
	u32 i;

	if (is_same(&m->tsc, khz))
		return 0;
	for (i = 0; i < m->cfg.cpus; i++) {
		if (ioctl(m->vcpus[i].fd, KVM_SET_TSC_KHZ, (unsigned long)khz))
			return -errno;
	}
	m->tsc.khz = khz;
	return read_scale(m);
}

u64 guest_tsc_at(const struct guest_tsc *t, u64 host)
{
	u64 ticks = KVMB_MAX(host, t->host) - KVMB_MIN(host, t->host);

	if (!t->scaled)
		return host;
	ticks = (u64)((unsigned __int128)ticks * t->khz / t->host_khz);
	return host < t->host ? t->guest - ticks : t->guest + ticks;
}
