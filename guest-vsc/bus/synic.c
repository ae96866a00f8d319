// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's side of the SynIC: its pages and MSRs on every CPU, the interrupt, the two
 * hypercalls.
 *
 * DOC: Theory of operation
 *
 * Each CPU has its own message page and event page. VMBus uses SINT 2, which raises the vector that
 * the kernel reserves for it. In that interrupt, event flags name channels, whose callbacks run at
 * once. A message stays in its slot for a work item, because its handler sleeps. The slot is freed
 * when the message has been copied, and then EOM tells the host if it has more messages.
 *
 * A CPU that goes offline first moves its channels to other CPUs, and gets them back when it comes
 * online. The CPU that receives the control messages cannot go offline.
 *
 * Sources: TLFS 6.0b chapter 11; Linux 6.1 drivers/hv/hv.c, vmbus_drv.c.
 */
#include <linux/cpu.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "guest-vsc/bus/bus_priv.h"
#include "guest-vsc/compat/compat.h"
#include "vmbus-core/hvdef.h"

#ifndef HYPERVISOR_CALLBACK_VECTOR
#include <asm/irq_vectors.h>
#endif

#define MSG_BUDGET 256u /* messages of one turn of the work */

struct cpu_synic {
	struct kvmb_hv_message *messages; /* messages[HV_NUM_SINTS], one page */
	unsigned long *events;		  /* 2048 flags a SINT, one page */
	struct kvmb_hv_post_message *post; /* input of the hypercall */
	struct work_struct msg_work;
	unsigned int cpu;
};

static DEFINE_PER_CPU(struct cpu_synic, cpu_synic);
static int hp_state;

static unsigned long *vmbus_events(struct cpu_synic *s)
{
	return s->events + HV_VMBUS_SINT * HV_EVENT_FLAGS_PER_SINT / BITS_PER_LONG;
}

/* ---- hypercalls ---- */

u16 kvmb_hv_post(u32 conn_id, const void *msg, u32 len)
{
	struct kvmb_hv_post_message *in;
	unsigned long flags;
	u64 status;

	local_irq_save(flags);
	in = this_cpu_ptr(&cpu_synic)->post;
	if (!in) {
		local_irq_restore(flags);
		return KVMB_HV_STATUS_INSUFFICIENT_BUFFERS;
	}
	in->connection_id = cpu_to_le32(conn_id);
	in->reserved = 0;
	in->message_type = cpu_to_le32(HV_MSG_TYPE_CHANNEL);
	in->payload_size = cpu_to_le32(len);
	memcpy(in->payload, msg, len);
	memset(in->payload + len, 0, sizeof(in->payload) - len);
	status = hv_do_hypercall(HV_CALL_POST_MESSAGE, in, NULL);
	local_irq_restore(flags);
	return (u16)status;
}

void kvmb_hv_signal(u32 conn_id)
{
	hv_do_fast_hypercall8(HV_CALL_SIGNAL_EVENT, conn_id);
}

u64 kvmb_ref_time(void)
{
	u64 t;

	if (!(ms_hyperv.features & HV_FEAT_A_REF_COUNT))
		return ktime_get_boottime_ns() / 100;
	kvmb_rdmsr(KVMB_MSR_TIME_REF_COUNT, t);
	return t;
}
EXPORT_SYMBOL_GPL(kvmb_ref_time);

/* ---- the interrupt ---- */

/* Under RCU, for the interrupt page */
static void events(struct cpu_synic *s)
{
	unsigned long *flags = vmbus_events(s);
	unsigned int num = KVMB_NUM_RELIDS, bit;

	if (kvmb.version && kvmb.version < KVMB_VERSION_WIN8) {
		/* one flag for all; the channels stand in the interrupt page */
		if (!shared_test_and_clear_bit(0, flags))
			return;
		flags = rcu_dereference(kvmb.int_page);
		if (!flags)
			return; /* disconnected */
		num = KVMB_PAGE_SIZE / 2 * 8 < num ? KVMB_PAGE_SIZE / 2 * 8 : num;
	}
	for_each_set_bit(bit, flags, num) {
		if (bit && shared_test_and_clear_bit(bit, flags))
			kvmb_chan_interrupt(bit);
	}
}

static void synic_isr(void)
{
	struct cpu_synic *s = this_cpu_ptr(&cpu_synic);

	if (!s->events)
		return;
	rcu_read_lock();
	events(s);
	rcu_read_unlock();
	if (READ_ONCE(s->messages[HV_VMBUS_SINT].type))
		queue_work_on(s->cpu, kvmb.msg_wq, &s->msg_work);
}

/* Copy the message out of @slot and free it. Return: false when there was none. */
static bool take_message(struct kvmb_hv_message *slot, u8 *buf, u32 *len, u32 *type)
{
	u32 t = le32_to_cpu(READ_ONCE(slot->type));
	u8 size;

	if (!t)
		return false;
	shared_rmb(); /* the type is written last */
	size = READ_ONCE(slot->payload_size);
	if (size <= HV_MESSAGE_PAYLOAD_MAX)
		memcpy(buf, slot->payload, size);
	*len = size;
	*type = t;
	/* only if it is still this one: another CPU may have taken it in a crash */
	if (shared_cmpxchg((u32 *)&slot->type, (__force u32)cpu_to_le32(t), 0) !=
	    (__force u32)cpu_to_le32(t))
		return false;
	/* the slot is free before we look for the flag: pairs with the host's write of it */
	shared_mb();
	if (READ_ONCE(slot->flags) & HV_MSG_FLAG_PENDING)
		kvmb_wrmsr(HV_X64_MSR_EOM, 0);
	return true;
}

static void message_work(struct work_struct *work)
{
	struct cpu_synic *s = container_of(work, struct cpu_synic, msg_work);
	u8 buf[HV_MESSAGE_PAYLOAD_MAX] __aligned(8);
	u32 len, type, n = 0;

	/* EOM must be written on the CPU that owns the slot: the work is bound to it */
	while (take_message(&s->messages[HV_VMBUS_SINT], buf, &len, &type)) {
		if (type == HV_MSG_TYPE_CHANNEL && len <= HV_MESSAGE_PAYLOAD_MAX)
			kvmb_on_message(buf, len);
		/*
		 * a host that never stops does not keep who waits for this work: hot-plug, unload,
		 * kexec
		 */
		if (++n == MSG_BUDGET) {
			queue_work_on(s->cpu, kvmb.msg_wq, work);
			return;
		}
		cond_resched();
	}
}

/*
 * Only one CPU runs any more: the answer may lie in any CPU's slot, and its EOM cannot be
 * written from here. The host looks at the slot again by itself.
 */
bool kvmb_synic_poll_message(u32 type)
{
	u8 buf[HV_MESSAGE_PAYLOAD_MAX] __aligned(8);
	u32 len, t, got;
	int cpu;

	for_each_possible_cpu(cpu) {
		struct cpu_synic *s = per_cpu_ptr(&cpu_synic, cpu);

		while (s->messages && take_message(&s->messages[HV_VMBUS_SINT], buf, &len, &t)) {
			got = len >= 4 ? le32_to_cpu(*(__le32 *)buf) : 0;
			if (t == HV_MSG_TYPE_CHANNEL && got == type)
				return true;
		}
	}
	return false;
}

/* ---- a CPU comes and goes ---- */

static void synic_enable(struct cpu_synic *s)
{
	u64 sint = HYPERVISOR_CALLBACK_VECTOR;

	if (!(ms_hyperv.hints & HV_HINT_NO_AUTO_EOI))
		sint |= 1ull << 17; /* auto EOI, where the host does not deprecate it */
	kvmb_wrmsr(KVMB_MSR_SIMP, virt_to_phys(s->messages) | KVMB_MSR_ENABLE);
	kvmb_wrmsr(KVMB_MSR_SIEFP, virt_to_phys(s->events) | KVMB_MSR_ENABLE);
	kvmb_wrmsr(KVMB_MSR_SINT0 + HV_VMBUS_SINT, sint);
	kvmb_wrmsr(KVMB_MSR_SCONTROL, KVMB_MSR_ENABLE);
}

static void synic_disable(void)
{
	kvmb_wrmsr(KVMB_MSR_SINT0 + HV_VMBUS_SINT, HV_SINT_MASKED);
	kvmb_wrmsr(KVMB_MSR_SIMP, 0);
	kvmb_wrmsr(KVMB_MSR_SIEFP, 0);
	kvmb_wrmsr(KVMB_MSR_SCONTROL, 0);
}

void kvmb_synic_disable_this_cpu(void)
{
	synic_disable();
}

static void sleep_here(void *unused)
{
	synic_disable();
}

static void wake_here(void *unused)
{
	synic_enable(this_cpu_ptr(&cpu_synic));
}

/* The pages stay; the MSRs are gone when the machine was off. */
void kvmb_synic_sleep(void)
{
	on_each_cpu(sleep_here, NULL, 1);
}

void kvmb_synic_wake(void)
{
	on_each_cpu(wake_here, NULL, 1);
}

static int cpu_comes(unsigned int cpu)
{
	synic_enable(per_cpu_ptr(&cpu_synic, cpu));
	kvmb_cpu_comes(cpu);
	return 0;
}

static int cpu_goes(unsigned int cpu)
{
	struct cpu_synic *s = per_cpu_ptr(&cpu_synic, cpu);
	int err = kvmb_cpu_goes(cpu);

	if (err)
		return err;
	synic_disable();
	cancel_work_sync(&s->msg_work);
	kvmb_cpu_gone();
	return 0;
}

bool kvmb_synic_taken(void)
{
	u64 sint;

	kvmb_rdmsr(KVMB_MSR_SINT0 + HV_VMBUS_SINT, sint);
	return !(sint & HV_SINT_MASKED);
}

static void free_pages_of_all(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct cpu_synic *s = per_cpu_ptr(&cpu_synic, cpu);

		free_page((unsigned long)s->messages);
		free_page((unsigned long)s->events);
		free_page((unsigned long)s->post);
		s->messages = NULL;
		s->events = NULL;
		s->post = NULL;
	}
}

int kvmb_synic_start(void)
{
	int cpu, err;

	for_each_possible_cpu(cpu) {
		struct cpu_synic *s = per_cpu_ptr(&cpu_synic, cpu);

		s->cpu = cpu;
		INIT_WORK(&s->msg_work, message_work);
		s->messages = (void *)get_zeroed_page(GFP_KERNEL);
		s->events = (void *)get_zeroed_page(GFP_KERNEL);
		s->post = (void *)get_zeroed_page(GFP_KERNEL);
		if (!s->messages || !s->events || !s->post) {
			free_pages_of_all();
			return -ENOMEM;
		}
	}
	kvmb_hook_irq(synic_isr);
	err = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "kvmbus:online", cpu_comes, cpu_goes);
	if (err < 0) {
		kvmb_unhook_irq();
		free_pages_of_all();
		return err;
	}
	hp_state = err;
	return 0;
}

void kvmb_synic_stop(void)
{
	cpuhp_remove_state(hp_state);
	kvmb_unhook_irq();
	free_pages_of_all();
}
