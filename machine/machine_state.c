// SPDX-License-Identifier: GPL-2.0-only
/*
 * A machine into a saved VM's file and back: what is not of one vCPU, and the order.
 *
 * DOC: Theory of operation
 *
 * machine_load() takes sections in any order and only keeps what they say. machine_load_done()
 * gives it to KVM: the clock first, as timers are compared with it; the vCPUs; then the interrupt
 * controllers, which pass on at once what waits in them, to LAPICs that are there by then; then the
 * lines that go into them, and VMBus's interrupt on each vCPU that has something waiting.
 *
 * Guest time goes on as after a pause: TSC, KVM's clock, and with it the reference counter and the
 * PM timer continue where they were stopped, never before. The wall clock is behind until time
 * sync tells the guest. A TSC of another frequency would need scaling, which a pause cannot do
 * either: such a host is refused.
 *
 * Sources: Linux Documentation/virt/kvm/api.rst (KVM_SET_CLOCK, KVM_SET_IRQCHIP); Linux
 * arch/x86/kvm/ioapic.c kvm_set_ioapic().
 */
#include "machine/machine_state.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <x86intrin.h>

#include "lib/log.h"
#include "lib/util.h"
#include "machine/dev/rtc.h"
#include "machine/dev/serial.h"
#include "machine/gen1.h"
#include "machine/machine_match.h"
#include "machine/vcpu_save.h"

/* Fields of section KVMB_SEC_MACHINE. Numbers are never used again. */
enum {
	/* 1 to 3, and 14: machine_match.h */
	MACHINE_CLOCK = 4,	/* KVM's, ns */
	MACHINE_PIC_MASTER = 5, /* struct kvm_irqchip, three of them */
	MACHINE_PIC_SLAVE = 6,
	MACHINE_IOAPIC = 7,
	MACHINE_PIT = 8,   /* struct kvm_pit_state2 */
	MACHINE_BOOTS = 9, /* times the guest was started */
	MACHINE_PM1_ENABLE = 10,
	MACHINE_CRASHES = 11, /* group: crash.c */
	MACHINE_SERIAL = 12,  /* group: dev/serial.c */
	MACHINE_RTC = 13,     /* group: dev/rtc.c */
	MACHINE_GEN1 = 15,    /* group, of a gen1 machine: gen1_state.c */
};

struct machine_image {
	u32 tsc_khz;
	u64 clock;
	struct kvm_irqchip chips[3];
	struct kvm_pit_state2 pit;
};

static_assert(KVM_IRQCHIP_PIC_MASTER == 0 && KVM_IRQCHIP_PIC_SLAVE == 1 && KVM_IRQCHIP_IOAPIC == 2,
	      "the order of the fields");

/* ---- saving ---- */

static int cannot_save(const struct machine *m, const char *what, const char *why, int err)
{
	kvmb_err(m->name, "cannot save %s: %s", what, why);
	return err;
}

static int save_chips(struct machine *m, struct kvmb_tlv_out *o)
{
	struct kvm_pit_state2 pit = { 0 };
	u32 i;

	for (i = 0; i < 3; i++) {
		struct kvm_irqchip chip = { .chip_id = i };

		if (ioctl(m->vm_fd, KVM_GET_IRQCHIP, &chip))
			return -errno;
		kvmb_tlv_put_bytes(o, MACHINE_PIC_MASTER + i, &chip, sizeof(chip));
	}
	if (ioctl(m->vm_fd, KVM_GET_PIT2, &pit))
		return -errno;
	kvmb_tlv_put_bytes(o, MACHINE_PIT, &pit, sizeof(pit));
	return 0;
}

static void save_devices(struct machine *m, struct kvmb_tlv_out *o)
{
	kvmb_tlv_put(o, MACHINE_BOOTS, m->boots);
	kvmb_tlv_put(o, MACHINE_PM1_ENABLE, __atomic_load_n(&m->pm1_enable, __ATOMIC_RELAXED));
	kvmb_tlv_group(o, MACHINE_CRASHES);
	crash_save(&m->crash, o);
	kvmb_tlv_group_end(o);
	kvmb_tlv_group(o, MACHINE_SERIAL);
	serial_save(m->serial, o);
	kvmb_tlv_group_end(o);
	kvmb_tlv_group(o, MACHINE_RTC);
	rtc_save(m->rtc, o);
	kvmb_tlv_group_end(o);
	if (!m->gen1)
		return;
	kvmb_tlv_group(o, MACHINE_GEN1);
	gen1_save(m->gen1, o);
	kvmb_tlv_group_end(o);
	kvmb_tlv_critical(o);
}

int machine_save(struct machine *m, struct kvmb_tlv_out *o)
{
	const char *what = "";
	int err;
	u32 i;

	if (m->testdev)
		return cannot_save(m, "the VM", "test devices cannot be saved", -EOPNOTSUPP);
	kvmb_tlv_begin(o, KVMB_SEC_MACHINE, 0, KVMB_TLV_CRITICAL);
	machine_match_put(m, o);
	kvmb_tlv_put(o, MACHINE_CLOCK, m->paused_clock.clock);
	save_devices(m, o);
	err = save_chips(m, o);
	kvmb_tlv_end(o);
	if (err)
		return cannot_save(m, "the interrupt controllers", strerror(-err), err);
	for (i = 0; i < m->cfg.cpus; i++) {
		err = vcpu_save(&m->vcpus[i], o, &what);
		if (err)
			return cannot_save(m, what, strerror(-err), err);
	}
	return 0;
}

/* ---- reading sections ---- */

static void load_chips(struct machine_image *im, struct kvmb_tlv *t)
{
	u32 i;

	for (i = 0; i < 3; i++) {
		kvmb_tlv_copy(t, MACHINE_PIC_MASTER + i, &im->chips[i], sizeof(im->chips[i]));
		if (im->chips[i].chip_id != i)
			kvmb_tlv_refuse(t, MACHINE_PIC_MASTER + i, "this is another chip");
	}
	kvmb_tlv_copy(t, MACHINE_PIT, &im->pit, sizeof(im->pit));
}

static bool find_group(struct kvmb_tlv *t, unsigned int field, struct kvmb_tlv *group)
{
	size_t pos = 0;
	bool there = kvmb_tlv_each(t, field, &pos, group);

	if (!there)
		kvmb_tlv_refuse(t, field, "it is missing");
	return there;
}

static void load_devices(struct machine *m, struct kvmb_tlv *t)
{
	u32 boots = (u32)kvmb_tlv_get(t, MACHINE_BOOTS, INT32_MAX);
	u32 pm1 = (u32)kvmb_tlv_get(t, MACHINE_PM1_ENABLE, 0xffff);
	struct kvmb_tlv group;

	m->boots = boots;
	__atomic_store_n(&m->pm1_enable, pm1, __ATOMIC_RELAXED);
	if (find_group(t, MACHINE_CRASHES, &group))
		crash_load(&m->crash, &group);
	if (find_group(t, MACHINE_SERIAL, &group))
		serial_load(m->serial, &group);
	if (find_group(t, MACHINE_RTC, &group))
		rtc_load(m->rtc, &group);
	if (m->gen1 && !t->error->err && find_group(t, MACHINE_GEN1, &group))
		gen1_load(m->gen1, &group);
}

static int load_machine(struct machine *m, struct kvmb_tlv *t)
{
	if (t->instance || m->image) {
		kvmb_tlv_refuse(t, MACHINE_MATCH_CPUS, "there is one machine");
		return t->error->err;
	}
	m->image = kvmb_xzalloc(sizeof(*m->image));
	machine_match_check(m, t);
	m->image->clock = kvmb_tlv_get(t, MACHINE_CLOCK, INT64_MAX);
	m->image->tsc_khz = (u32)kvmb_tlv_get(t, MACHINE_MATCH_TSC_KHZ, UINT32_MAX);
	load_chips(m->image, t);
	load_devices(m, t);
	return kvmb_tlv_done(t);
}

int machine_load(struct machine *m, struct kvmb_tlv *section)
{
	if (section->tag == KVMB_SEC_MACHINE)
		return load_machine(m, section);
	kvmb_assert(section->tag == KVMB_SEC_VCPU);
	if (section->instance < m->cfg.cpus)
		return vcpu_load(&m->vcpus[section->instance], section);
	kvmb_tlv_refuse(section, MACHINE_MATCH_CPUS, "there are not so many CPUs");
	return section->error->err;
}

void machine_free_image(struct machine *m)
{
	free(m->image);
	m->image = NULL;
}

/* ---- giving it to KVM ---- */

static int missing(struct kvmb_tlv_error *e, enum kvmb_section tag, u32 instance)
{
	e->err = -EPROTO;
	snprintf(e->text, sizeof(e->text), "section %s %u is missing", kvmb_tlv_section_name(tag),
		 instance);
	return e->err;
}

static int check_complete(struct machine *m, struct kvmb_tlv_error *e)
{
	u32 i;

	if (e->err)
		return e->err;
	if (!m->image)
		return missing(e, KVMB_SEC_MACHINE, 0);
	for (i = 0; i < m->cfg.cpus; i++) {
		if (!m->vcpus[i].image)
			return missing(e, KVMB_SEC_VCPU, i);
	}
	return 0;
}

static void apply_vm(struct machine *m, unsigned long request, void *p, const char *what,
		     struct kvmb_tlv_error *e)
{
	if (e->err || !ioctl(m->vm_fd, request, p))
		return;
	e->err = -errno;
	snprintf(e->text, sizeof(e->text), "KVM does not take %s: %s", what, strerror(-e->err));
}

static void apply_tsc_rate(struct machine *m, struct kvmb_tlv_error *e)
{
	int err = e->err ? 0 : guest_tsc_take(m, m->image->tsc_khz);

	if (!err)
		return;
	e->err = err;
	snprintf(e->text, sizeof(e->text), "KVM does not take a time stamp counter of %u kHz: %s",
		 m->image->tsc_khz, strerror(-err));
}

int machine_load_done(struct machine *m, struct kvmb_tlv_error *e)
{
	static const char *const names[] = { "the PIC", "the second PIC", "the IOAPIC" };
	struct kvm_clock_data clock = { 0 };
	u32 i;

	if (check_complete(m, e))
		return e->err;
	clock.clock = m->image->clock;
	apply_vm(m, KVM_SET_CLOCK, &clock, "the clock", e);
	m->paused_clock = clock;
	m->paused_at_tsc = __rdtsc();
	apply_tsc_rate(m, e);
	for (i = 0; i < m->cfg.cpus && !e->err; i++)
		vcpu_apply(&m->vcpus[i], e);
	for (i = 0; i < 3; i++)
		apply_vm(m, KVM_SET_IRQCHIP, &m->image->chips[i], names[i], e);
	apply_vm(m, KVM_SET_PIT2, &m->image->pit, "the PIT", e);
	if (e->err)
		return e->err;
	serial_loaded(m->serial);
	rtc_loaded(m->rtc);
	if (m->gen1)
		gen1_loaded(m->gen1);
	for (i = 0; i < m->cfg.cpus; i++) {
		vcpu_use_synic(&m->vcpus[i]);
		vcpu_free_image(&m->vcpus[i]);
	}
	machine_free_image(m);
	return 0;
}
