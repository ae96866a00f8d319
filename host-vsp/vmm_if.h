/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything that the bus needs from a VMM, in one table.
 *
 * host-vsp knows a VMM only through this table. machine/hyperv.c fills it with KVM's
 * in-kernel SynIC; tests/harness/fake_vmm.c with a guest in a box. A user-space SynIC
 * must be able to fill it without touching a provider.
 */
#ifndef KVMB_VMM_IF_H
#define KVMB_VMM_IF_H

#include "host-vsp/gm.h"
#include "vmbus-core/hvdef.h"

struct kvmb_vmm;

struct kvmb_vmm_ops {
	/*
	 * Put a SynIC message into the slot of VMBus's SINT on @vp and raise the SINT.
	 * Bus thread. Return: 0; -EAGAIN when the slot is busy or the SynIC is off, and
	 * kvmb_bus_message_acked() will be called when that may have changed.
	 */
	int (*post_message)(struct kvmb_vmm *v, u32 vp, u32 type, const void *payload, u32 len);

	/*
	 * Make HvSignalEvent(@conn_id) increment @efd, without an exit to user space. Bus
	 * thread. After unbind returns no more increments come. Return: 0 or -errno.
	 */
	int (*bind_signal)(struct kvmb_vmm *v, u32 conn_id, int efd);
	void (*unbind_signal)(struct kvmb_vmm *v, u32 conn_id, int efd);

	/*
	 * Set event flag @flag of VMBus's SINT on @vp and raise the SINT if the flag was
	 * clear. Remembered while the SynIC of @vp is off. Any thread; the hot path.
	 */
	void (*raise_event)(struct kvmb_vmm *v, u32 vp, u32 flag);

	/* The guest's reference counter, 100 ns. Any thread. */
	u64 (*ref_time)(struct kvmb_vmm *v);
};

struct kvmb_vmm { /* embed it */
	const struct kvmb_vmm_ops *ops;
	struct kvmb_gm *gm;
	u32 num_vps; /* VP indices are 0 .. num_vps - 1 */
};

#endif
