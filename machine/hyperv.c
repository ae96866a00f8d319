// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hyper-V on KVM: capabilities, SynIC pages, hypercalls that reach user space; fills
 * the seam of host-vsp (vmm_if.h).
 *
 * DOC: Theory of operation
 *
 * The SynIC lives in the kernel. Host to guest: we set an event flag in the guest's SIEF page with
 * an atomic or, and write an irqfd only if the flag was clear. Guest to host: KVM_HYPERV_EVENTFD
 * binds HvSignalEvent to an eventfd, so signals end in the kernel. Only HvPostMessage and the
 * writes that switch SynIC pages come here.
 *
 * A guest may switch a SynIC page off, or move it, while another thread writes to it. So a thread
 * announces itself before it reads the page's address, and again when it has finished (use_page(),
 * page_done()). The vCPU that switches the page waits until the last such thread has finished;
 * then the guest may use that memory for something else. It waits for one store or one copy, and
 * threads that come later find the new page, or none. This costs a signal two atomic additions
 * and no lock.
 *
 * A message slot has one writer, the bus thread. When a slot is busy, we set MessagePending and try
 * again when the guest acknowledges. The resample eventfd of the message irqfd reports that; it is
 * assigned only while messages wait (irq.c says why).
 *
 * Sources: Linux Documentation/virt/kvm/api.rst (KVM_HYPERV_EVENTFD, KVM_EXIT_HYPERV,
 * KVM_CAP_HYPERV_SYNIC2); TLFS chapter 11; docs/protocol.md#1, #2.
 */
#include "machine/hyperv.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/dirty_log.h"
#include "lib/log.h"
#include "lib/util.h"
#include "machine/irq.h"
#include "machine/mem_hint.h"

#define ACK_IDLE_MS 200u /* the message irqfd is dropped after this long without need */

static const struct {
	int cap;
	const char *name;
} needed[] = {
	{ KVM_CAP_HYPERV, "KVM_CAP_HYPERV" },
	{ KVM_CAP_HYPERV_SYNIC2, "KVM_CAP_HYPERV_SYNIC2" },
	{ KVM_CAP_HYPERV_EVENTFD, "KVM_CAP_HYPERV_EVENTFD" },
	{ KVM_CAP_HYPERV_TIME, "KVM_CAP_HYPERV_TIME" },
	{ KVM_CAP_HYPERV_VP_INDEX, "KVM_CAP_HYPERV_VP_INDEX" },
	{ KVM_CAP_HYPERV_CPUID, "KVM_CAP_HYPERV_CPUID" },
	{ KVM_CAP_IRQFD_RESAMPLE, "KVM_CAP_IRQFD_RESAMPLE" },
};

int hyperv_check(int kvm_fd, char *why, size_t size)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(needed); i++) {
		if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, needed[i].cap) <= 0) {
			snprintf(why, size,
				 "/dev/kvm lacks %s (Hyper-V support of the host kernel); "
				 "`make demo` and tests/lab/l1 run it in the lab instead",
				 needed[i].name);
			return -EOPNOTSUPP;
		}
	}
	return 0;
}

static struct machine *to_machine(struct kvmb_vmm *v)
{
	return container_of(v, struct machine, vmm);
}

/* ---- pages in use ---- */

/*
 * The count is up before the pointer is read, and a new pointer is there before the count is: one
 * sees the other.
 */
#define use_page(v, page)                                           \
	(__atomic_fetch_add(&(v)->page_users, 1, __ATOMIC_SEQ_CST), \
	 __unshare(__atomic_load_n(&(v)->page, __ATOMIC_SEQ_CST)))

static void page_done(struct vcpu *v)
{
	__atomic_fetch_sub(&v->page_users, 1, __ATOMIC_SEQ_CST);
}

static void wait_for_users(struct vcpu *v)
{
	while (__atomic_load_n(&v->page_users, __ATOMIC_SEQ_CST))
		usleep(1); /* not sched_yield(): a vCPU of a realtime class would yield to nobody */
}

void hyperv_dirty(struct vcpu *v)
{
	kvmb_dirty(use_page(v, simp), KVMB_PAGE_SIZE);
	page_done(v);
	kvmb_dirty(use_page(v, siefp), KVMB_PAGE_SIZE);
	page_done(v);
}

/* ---- host to guest: events ---- */

static void raise_sint(struct vcpu *v)
{
	u64 one = 1;

	if (write(v->event_fd, &one, sizeof(one)) < 0)
		return; /* counter full: an interrupt is on its way */
}

/* Flags raised while the page was off go into the page now. Any thread. */
static void flush_late_flags(struct vcpu *v)
{
	u8 *page = use_page(v, siefp);
	bool any = false;
	u32 i, bits;

	for (i = 0; page && i < ARRAY_SIZE(v->late_flags); i++) {
		bits = __atomic_exchange_n(&v->late_flags[i], 0, __ATOMIC_SEQ_CST);
		if (!bits)
			continue;
		__atomic_fetch_or((u32 *)(page + HV_VMBUS_SINT * 256) + i, bits, __ATOMIC_SEQ_CST);
		any = true;
	}
	page_done(v);
	if (any)
		raise_sint(v);
}

static void raise_event(struct kvmb_vmm *vmm, u32 vp, u32 flag)
{
	struct vcpu *v = &to_machine(vmm)->vcpus[vp];
	u32 bit = 1u << flag % 32, old = 0;
	u8 *page = use_page(v, siefp);

	if (page)
		old = __atomic_fetch_or((u32 *)(page + HV_VMBUS_SINT * 256) + flag / 32, bit,
					__ATOMIC_SEQ_CST);
	page_done(v);
	if (!page) {
		__atomic_fetch_or(&v->late_flags[flag / 32], bit, __ATOMIC_SEQ_CST);
		flush_late_flags(v); /* it may have been switched on meanwhile */
	} else if (!(old & bit)) {
		raise_sint(v);
	}
}

/* ---- host to guest: messages ---- */

static void acked(struct vcpu *v)
{
	v->machine->ops->acked(v->machine->ops_arg);
}

static void on_ack(void *arg, uint32_t events)
{
	struct vcpu *v = arg;
	u64 n;

	(void)events;
	if (read(v->ack_fd, &n, sizeof(n)) == sizeof(n))
		acked(v);
}

static void drop_ack(struct vcpu *v)
{
	if (v->ack_assigned)
		irq_deassign(v->machine, irq_message_gsi(v->machine, v->index), v->msg_fd);
	v->ack_assigned = false;
}

static void ack_idle(void *arg)
{
	struct vcpu *v = arg;

	drop_ack(v);
	acked(v); /* whatever still waits asks for it again */
}

static void want_ack(struct vcpu *v)
{
	int err = 0;

	if (!v->ack_assigned)
		err = irq_assign(v->machine, irq_message_gsi(v->machine, v->index), v->msg_fd,
				 v->ack_fd);
	if (err)
		kvmb_err(v->machine->name, "no acknowledgements from vCPU %u: %s", v->index,
			 strerror(-err));
	v->ack_assigned = !err;
	kvmb_timer_set(&v->ack_timer, ACK_IDLE_MS);
}

static int fill(struct kvmb_hv_message *slot, u32 type, const void *payload, u32 len)
{
	int tries;

	for (tries = 0; tries < 2; tries++) {
		if (!shared_load_acquire(&slot->type)) {
			slot->payload_size = (u8)len;
			slot->flags = 0;
			slot->sender = 0;
			memcpy(slot->payload, payload, len);
			shared_store_release(&slot->type, cpu_to_le32(type));
			return 0;
		}
		__atomic_fetch_or(&slot->flags, HV_MSG_FLAG_PENDING, __ATOMIC_SEQ_CST);
		shared_mb(); /* the flag is visible before we look whether the slot was freed */
	}
	return -EAGAIN;
}

/* Used by the bus thread for VMBus's SINT and by the test device for others. */
int hyperv_fill_slot(struct vcpu *v, u32 sint, u32 type, const void *payload, u32 len)
{
	struct kvmb_hv_message *page = use_page(v, simp);
	int err = -EAGAIN;

	if (page && __atomic_load_n(&v->synic_control, __ATOMIC_ACQUIRE) & KVMB_MSR_ENABLE)
		err = fill(page + sint, type, payload, len);
	page_done(v);
	return err;
}

static int post_message(struct kvmb_vmm *vmm, u32 vp, u32 type, const void *payload, u32 len)
{
	struct vcpu *v = &to_machine(vmm)->vcpus[vp];
	int err;

	err = hyperv_fill_slot(v, HV_VMBUS_SINT, type, payload, len);
	if (err) {
		want_ack(v);
		/* the guest may have freed the slot before the acknowledgement could reach us */
		err = hyperv_fill_slot(v, HV_VMBUS_SINT, type, payload, len);
	}
	if (!err)
		raise_sint(v);
	return err;
}

/* ---- guest to host: signals ---- */

static int hv_eventfd(struct machine *m, u32 conn_id, int fd, u32 flags)
{
	struct kvm_hyperv_eventfd e = { .conn_id = conn_id, .fd = fd, .flags = flags };

	return ioctl(m->vm_fd, KVM_HYPERV_EVENTFD, &e) ? -errno : 0;
}

int hyperv_bind_event(struct machine *m, u32 conn_id, int efd)
{
	return hv_eventfd(m, conn_id, efd, 0);
}

void hyperv_unbind_event(struct machine *m, u32 conn_id)
{
	hv_eventfd(m, conn_id, -1, KVM_HYPERV_EVENTFD_DEASSIGN);
}

static int bind_signal(struct kvmb_vmm *vmm, u32 conn_id, int efd)
{
	return hyperv_bind_event(to_machine(vmm), conn_id, efd);
}

static void unbind_signal(struct kvmb_vmm *vmm, u32 conn_id, int efd)
{
	(void)efd;
	hyperv_unbind_event(to_machine(vmm), conn_id);
}

/*
 * KVM's reference counter is its clock in 100 ns; the MSR itself cannot be read while
 * the vCPU runs. Source: Linux 6.1 arch/x86/kvm/hyperv.c get_time_ref_counter().
 */
static u64 ref_time(struct kvmb_vmm *vmm)
{
	struct kvm_clock_data c = { 0 };

	if (ioctl(to_machine(vmm)->vm_fd, KVM_GET_CLOCK, &c))
		return 0;
	return c.clock / 100;
}

static const struct kvmb_vmm_ops vmm_ops = {
	.post_message = post_message,
	.bind_signal = bind_signal,
	.unbind_signal = unbind_signal,
	.raise_event = raise_event,
	.ref_time = ref_time,
};

/* ---- exits ---- */

/* What the guest has set, for those who write to its pages. */
static void use_synic(struct vcpu *v, u64 control, u64 msg_page, u64 evt_page)
{
	struct kvmb_gm *gm = &v->machine->gm;
	void *old_msg = __unshare(v->simp), *old_evt = __unshare(v->siefp);
	void __shared *msg = NULL, *evt = NULL;

	/* a page outside RAM is as good as none: nothing is delivered */
	if (msg_page & KVMB_MSR_ENABLE)
		msg = kvmb_gm_ptr(gm, msg_page & ~(u64)(KVMB_PAGE_SIZE - 1), KVMB_PAGE_SIZE);
	if (evt_page & KVMB_MSR_ENABLE)
		evt = kvmb_gm_ptr(gm, evt_page & ~(u64)(KVMB_PAGE_SIZE - 1), KVMB_PAGE_SIZE);
	if (!(control & KVMB_MSR_ENABLE))
		evt = NULL;
	__atomic_store_n(&v->synic_control, control, __ATOMIC_SEQ_CST);
	__atomic_store_n(&v->simp, (struct kvmb_hv_message __shared *)msg, __ATOMIC_SEQ_CST);
	__atomic_store_n(&v->siefp, (u8 __shared *)evt, __ATOMIC_SEQ_CST);
	wait_for_users(v);
	kvmb_dirty(old_msg, KVMB_PAGE_SIZE); /* as at the end; from now on they are the guest's */
	kvmb_dirty(old_evt, KVMB_PAGE_SIZE);
	flush_late_flags(v);
}

static void synic_changed(struct vcpu *v, const struct kvm_hyperv_exit *e)
{
	use_synic(v, e->u.synic.control, e->u.synic.msg_page, e->u.synic.evt_page);
	acked(v);
}

static u16 hypercall_post(struct vcpu *v, const struct kvm_hyperv_exit *e)
{
	struct kvmb_hv_post_message in;
	struct machine *m = v->machine;
	gpa_t gpa = e->u.hcall.params[0];
	u32 conn, type, len;
	u16 status;

	v->stats.hv_post++;
	if (e->u.hcall.input & (1u << 16)) /* fast: the input does not fit registers */
		return KVMB_HV_STATUS_INVALID_HYPERCALL_INPUT;
	if (gpa & 7 || (gpa & (KVMB_PAGE_SIZE - 1)) > KVMB_PAGE_SIZE - sizeof(in))
		return KVMB_HV_STATUS_INVALID_ALIGNMENT;
	if (kvmb_gm_read(&m->gm, gpa, &in, sizeof(in)))
		return KVMB_HV_STATUS_INVALID_PARAMETER;
	conn = le32_to_cpu(in.connection_id) & HV_CONNECTION_ID_MASK;
	len = le32_to_cpu(in.payload_size);
	if (len > HV_MESSAGE_PAYLOAD_MAX)
		return KVMB_HV_STATUS_INVALID_PARAMETER;
	type = le32_to_cpu(in.message_type);
	if (m->post_hook && m->post_hook(m, conn, type, in.payload, len, &status))
		return status;
	return m->ops->post(m->ops_arg, conn, type, in.payload, len);
}

static u16 hypercall_ext_caps(struct vcpu *v, const struct kvm_hyperv_exit *e)
{
	__le64 caps = cpu_to_le64(v->machine->cfg.memory_max ? HV_EXT_CAP_COLD_DISCARD : 0);

	return kvmb_gm_write(&v->machine->gm, e->u.hcall.params[1], &caps, sizeof(caps)) ?
		       KVMB_HV_STATUS_INVALID_PARAMETER :
		       KVMB_HV_STATUS_SUCCESS;
}

void hyperv_exit(struct vcpu *v)
{
	struct kvm_hyperv_exit *e = &v->run->hyperv;

	if (e->type == KVM_EXIT_HYPERV_SYNIC) {
		v->stats.hv_synic++;
		synic_changed(v, e);
		return;
	}
	if (e->type != KVM_EXIT_HYPERV_HCALL) {
		v->stats.hv_other++;
		return;
	}
	switch (e->u.hcall.input & 0xffff) {
	case HV_CALL_POST_MESSAGE:
		e->u.hcall.result = hypercall_post(v, e);
		break;
	case HV_CALL_SIGNAL_EVENT: /* only unknown connections and foreign flags come here */
		v->stats.hv_signal++;
		e->u.hcall.result = e->u.hcall.params[0] >> 32 & 0xffff ?
					    KVMB_HV_STATUS_INVALID_PORT_ID :
					    KVMB_HV_STATUS_INVALID_CONNECTION_ID;
		break;
	case HV_CALL_QUERY_EXT_CAPS:
		v->stats.hv_other++;
		e->u.hcall.result = hypercall_ext_caps(v, e);
		break;
	case HV_CALL_MEMORY_HINT:
		v->stats.hv_other++;
		e->u.hcall.result = mem_hint(v->machine, e->u.hcall.input, e->u.hcall.params[0]);
		break;
	default:
		v->stats.hv_other++;
		e->u.hcall.result = KVMB_HV_STATUS_INVALID_HYPERCALL_CODE;
	}
}

/* ---- a saved VM goes on ---- */

static bool has_flags(struct vcpu *v)
{
	u32 *flags = (u32 *)__unshare(v->siefp + HV_VMBUS_SINT * 256), i;

	for (i = 0; i < HV_EVENT_FLAGS_PER_SINT / 32; i++) {
		if (__atomic_load_n(&flags[i], __ATOMIC_SEQ_CST))
			return true;
	}
	return false;
}

void hyperv_vcpu_loaded(struct vcpu *v, u64 control, u64 msg_page, u64 evt_page)
{
	struct kvmb_hv_message __shared *slot;
	bool raise;

	use_synic(v, control, msg_page, evt_page);
	raise = v->siefp && has_flags(v);
	slot = v->simp ? v->simp + HV_VMBUS_SINT : NULL;
	if (slot && shared_load_acquire(&slot->type)) {
		raise = true;
		if (__atomic_load_n(&slot->flags, __ATOMIC_SEQ_CST) & HV_MSG_FLAG_PENDING)
			want_ack(v);
	}
	if (raise)
		raise_sint(v);
}

/* ---- set-up and reset ---- */

void hyperv_fill_seam(struct machine *m)
{
	m->vmm.ops = &vmm_ops;
	m->vmm.gm = &m->gm;
	m->vmm.num_vps = m->cfg.cpus;
}

/*
 * MSRs and hypercalls that CPUID does not announce are not there: what a guest cannot reach needs
 * no thought, and it cannot come to lean on something that another host lacks. Linux 5.14 and later
 * can do that.
 */
static int enforce_cpuid(struct vcpu *v)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_HYPERV_ENFORCE_CPUID, .args = { 1 } };

	if (ioctl(v->machine->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_HYPERV_ENFORCE_CPUID) <= 0)
		return 0;
	return ioctl(v->fd, KVM_ENABLE_CAP, &cap) ? -errno : 0;
}

/* First half of a vCPU's set-up; irqfds follow when routes exist (machine.c). */
int hyperv_vcpu_init(struct vcpu *v)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_HYPERV_SYNIC2 };
	int err;

	if (ioctl(v->fd, KVM_ENABLE_CAP, &cap))
		return -errno;
	err = enforce_cpuid(v);
	if (err)
		return err;
	v->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	v->msg_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	v->ack_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->event_fd < 0 || v->msg_fd < 0 || v->ack_fd < 0)
		return -errno;
	v->ack_watch = kvmb_loop_add(v->machine->loop, v->ack_fd, EPOLLIN, on_ack, v);
	kvmb_timer_init(&v->ack_timer, v->machine->loop, ack_idle, v);
	return v->ack_watch ? 0 : -ENOMEM;
}

int hyperv_vcpu_reset(struct vcpu *v)
{
	struct {
		struct kvm_msrs h;
		struct kvm_msr_entry e[40];
	} m = { 0 };
	u32 i;

#define MSR(n, value) m.e[m.h.nmsrs++] = (struct kvm_msr_entry){ .index = (n), .data = (value) }
	MSR(KVMB_MSR_SCONTROL, 0);
	MSR(KVMB_MSR_SIMP, 0);
	MSR(KVMB_MSR_SIEFP, 0);
	for (i = 0; i < HV_NUM_SINTS; i++)
		MSR(KVMB_MSR_SINT0 + i, HV_SINT_MASKED);
	for (i = 0; i < 2 * HV_NUM_STIMERS; i++)
		MSR(KVMB_MSR_STIMER0_CONFIG + i, 0);
	MSR(KVMB_MSR_VP_ASSIST_PAGE, 0);
	if (!v->index) {
		MSR(KVMB_MSR_REFERENCE_TSC, 0);
		MSR(KVMB_MSR_HYPERCALL, 0);
		MSR(KVMB_MSR_GUEST_OS_ID, 0);
		MSR(KVMB_MSR_CRASH_CTL, HV_CRASH_NOTIFY); /* advertise: crashes are reported */
	}
#undef MSR
	hyperv_dirty(v);
	__atomic_store_n(&v->synic_control, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&v->simp, NULL, __ATOMIC_SEQ_CST);
	__atomic_store_n(&v->siefp, NULL, __ATOMIC_SEQ_CST);
	for (i = 0; i < ARRAY_SIZE(v->late_flags); i++)
		__atomic_store_n(&v->late_flags[i], 0, __ATOMIC_SEQ_CST);
	if (ioctl(v->fd, KVM_SET_MSRS, &m) != (int)m.h.nmsrs)
		return -EIO;
	return 0;
}

void hyperv_vcpu_fini(struct vcpu *v)
{
	if (v->ack_watch) {
		kvmb_timer_cancel(&v->ack_timer);
		drop_ack(v);
		kvmb_loop_del(v->ack_watch);
	}
	if (v->event_fd > 0)
		close(v->event_fd);
	if (v->msg_fd > 0)
		close(v->msg_fd);
	if (v->ack_fd > 0)
		close(v->ack_fd);
}
