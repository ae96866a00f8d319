// SPDX-License-Identifier: GPL-2.0-only
/*
 * A machine saved and loaded on a KVM that the test plays. What depends on the order of calls in
 * KVM depends on it here: a wrong order changes what arrives.
 */
#include "machine/machine_state.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <x86intrin.h>

#include "lib/util.h"
#include "machine/dev/rtc.h"
#include "machine/dev/serial.h"
#include "machine/gen1.h"
#include "machine/hyperv.h"
#include "machine/machine_match.h"
#include "machine/vcpu_priv.h"
#include "machine/vcpu_save.h"
#include "tests/unit/test.h"

#define CPUS 2u
#define XSAVE_SIZE 8192u
#define NESTED_ROOM 512u
#define NESTED_SIZE 200u
#define MORE 0x5000u /* and many more registers, each as good as another */
#define NUM_MORE 300u
#define FEATURE_CONTROL 0x3au
#define STUBBORN 0x48u
#define TSC_RATIO 0xc0000104u
#define DEADLINE 0x6e0u
#define APIC_IRR5 0x250u /* of vectors 160 to 191 */
#define IRR_VECTOR 0xa1u
#define AUTO_ENABLE 8u /* of a timer's config */

/* ---- KVM ---- */

struct cpu {
	struct {
		u32 index;
		u64 value;
	} msrs[600];
	u32 num_msrs;
	struct kvm_mp_state mp;
	struct kvm_vcpu_events events;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_sregs2 sregs2;
	struct kvm_fpu fpu;
	struct kvm_xcrs xcrs;
	struct kvm_debugregs debugregs;
	struct kvm_lapic_state lapic;
	u8 xsave[XSAVE_SIZE], nested[NESTED_ROOM];
	u64 tsc_offset;
	u32 tsc_khz;	/* of KVM_SET_TSC_KHZ */
	u32 init_waits; /* an INIT that KVM_GET_MP_STATE serves */
	bool has_sregs, has_lapic, has_tsc, expires;
	u32 hypercall_writes;
	u32 features; /* leaf 7, of KVM_SET_CPUID2 */
	/* of hyperv_vcpu_loaded() */
	u64 control, simp, siefp;
	u32 loaded;
};

static struct world { /* a host with one VM */
	struct cpu cpus[CPUS];
	struct kvm_irqchip chips[3];
	struct kvm_pit_state2 pit;
	u64 clock;
	bool has_pit;
	bool no_tsc_offset, no_sregs2;
	unsigned long refuse; /* this request fails */
	u32 refuse_msr;	      /* writing this register fails once the VM is built */
	int line;	      /* of the serial port */
	u32 devices, drives, devices_loaded; /* of a gen1 machine */
	struct machine m;
	struct vcpu vcpus[CPUS];
} world[2]; /* 0: where it is saved, 1: where it is loaded */

static const u32 listed[] = { 0x10, 0x174, FEATURE_CONTROL, STUBBORN, KVMB_MSR_GUEST_OS_ID,
			      /* this order is as bad as it can be */
			      0x40000003, KVMB_MSR_VP_INDEX, 0x40000010, 0x40000020,
			      KVMB_MSR_STIMER0_CONFIG, KVMB_MSR_SCONTROL, KVMB_MSR_VP_ASSIST_PAGE,
			      KVMB_MSR_CRASH_P0, KVMB_MSR_CRASH_P0 + 1, KVMB_MSR_CRASH_CTL,
			      DEADLINE, KVMB_MSR_REFERENCE_TSC, KVMB_MSR_HYPERCALL, TSC_RATIO };

static struct world *world_of(int fd)
{
	return &world[fd / 100 - 1];
}

static u64 *msr(struct world *w, struct cpu *c, u32 index)
{
	u32 i;

	if (index == KVMB_MSR_GUEST_OS_ID || index == KVMB_MSR_HYPERCALL ||
	    index == KVMB_MSR_REFERENCE_TSC ||
	    (index >= KVMB_MSR_CRASH_P0 && index <= KVMB_MSR_CRASH_CTL))
		c = &w->cpus[0];
	for (i = 0; i < c->num_msrs && c->msrs[i].index != index; i++)
		;
	if (i == c->num_msrs) {
		assert_true(i < ARRAY_SIZE(c->msrs));
		c->msrs[i].index = index;
		c->msrs[i].value = index >= 0x40000000 || index == DEADLINE ? 0 : index * 3ull;
		c->num_msrs++;
	}
	return &c->msrs[i].value;
}

static int get_msrs(struct world *w, struct cpu *c, struct kvm_msrs *m)
{
	u32 i;

	for (i = 0; i < m->nmsrs && m->entries[i].index != 0x200; i++) { /* no MTRR 0 here */
		m->entries[i].data = *msr(w, c, m->entries[i].index);
		if (m->entries[i].index == 0x10) /* as from the host's, and a little */
			m->entries[i].data = 777;
	}
	return (int)i;
}

static void write_timer(struct world *w, struct cpu *c, u32 index)
{
	u64 *config = msr(w, c, index - 1);

	if ((index - KVMB_MSR_STIMER0_CONFIG) % 2 && *config & AUTO_ENABLE)
		*config |= 1; /* as Linux 6.1 does */
}

static bool write_msr(struct world *w, struct cpu *c, u32 index, u64 value)
{
	if (index == w->refuse_msr || index == 0x200)
		return false;
	if (index == 0x40000003)
		assert_int_equal(value, 0); /* a reset */
	if (index == DEADLINE && !c->has_lapic)
		return true; /* ignored: its timer does not want any */
	if (index == KVMB_MSR_HYPERCALL) {
		c->hypercall_writes++;
		if (value && !*msr(w, c, KVMB_MSR_GUEST_OS_ID))
			return true;
	}
	if (index >= KVMB_MSR_SINT0 && index < KVMB_MSR_SINT0 + 16 && c->has_lapic)
		assert_true(*msr(w, c, KVMB_MSR_SCONTROL) & 1 && *msr(w, c, KVMB_MSR_SIMP) & 1);
	*msr(w, c, index) = value;
	if (index >= KVMB_MSR_STIMER0_CONFIG && index < KVMB_MSR_STIMER0_CONFIG + 8)
		write_timer(w, c, index);
	return true;
}

static int set_msrs(struct world *w, struct cpu *c, const struct kvm_msrs *m)
{
	u32 i;

	for (i = 0; i < m->nmsrs; i++) {
		if (!write_msr(w, c, m->entries[i].index, m->entries[i].data))
			break;
	}
	return (int)i;
}

static int list_msrs(struct kvm_msr_list *l)
{
	u32 room = l->nmsrs, i;

	l->nmsrs = ARRAY_SIZE(listed) + NUM_MORE;
	if (room < l->nmsrs) {
		errno = E2BIG;
		return -1;
	}
	memcpy(l->indices, listed, sizeof(listed));
	for (i = 0; i < NUM_MORE; i++)
		l->indices[ARRAY_SIZE(listed) + i] = MORE + i;
	return 0;
}

static int tsc_attr(struct world *w, struct cpu *c, unsigned long request,
		    const struct kvm_device_attr *a)
{
	u64 *p = (u64 *)(uintptr_t)a->addr;

	if (w->no_tsc_offset) {
		errno = ENXIO;
		return -1;
	}
	c->has_tsc = true;
	if (request == KVM_SET_DEVICE_ATTR)
		c->tsc_offset = *p;
	else
		*p = c->tsc_offset;
	return 0;
}

static int set_nested(struct cpu *c, const struct kvm_nested_state *n)
{
	if (!c->has_sregs || n->size < sizeof(*n) || n->size > NESTED_ROOM) {
		errno = EINVAL;
		return -1;
	}
	memcpy(c->nested, n, n->size); /* as much as it says, whatever there is */
	return 0;
}

static int vm_ioctl(struct world *w, unsigned long request, void *arg)
{
	struct kvm_irqchip *chip = arg;
	struct kvm_clock_data *clock = arg;

	switch (request) {
	case KVM_CHECK_EXTENSION:
		return (uintptr_t)arg == KVM_CAP_XSAVE2	      ? (int)XSAVE_SIZE :
		       (uintptr_t)arg == KVM_CAP_NESTED_STATE ? (int)NESTED_ROOM :
		       (uintptr_t)arg == KVM_CAP_SREGS2	      ? !w->no_sregs2 :
								0;
	case KVM_GET_MSR_INDEX_LIST:
		return list_msrs(arg);
	case KVM_GET_IRQCHIP:
		*chip = w->chips[chip->chip_id];
		return 0;
	case KVM_SET_IRQCHIP:
		w->chips[chip->chip_id] = *chip;
		/* what waits is passed on at once */
		if (chip->chip_id == KVM_IRQCHIP_IOAPIC && chip->chip.ioapic.irr)
			w->cpus[0].lapic.regs[APIC_IRR5] |= 1 << IRR_VECTOR % 32;
		return 0;
	case KVM_GET_PIT2:
		memcpy(arg, &w->pit, sizeof(w->pit));
		return 0;
	case KVM_SET_PIT2:
		w->has_pit = true; /* the last of them */
		memcpy(&w->pit, arg, sizeof(w->pit));
		return 0;
	case KVM_SET_CLOCK:
		assert_int_equal(clock->flags, 0); /* no wall clock: guest time stood */
		w->clock = clock->clock;
		return 0;
	default:
		fail_msg("unknown request %#lx", request);
		return -1;
	}
}

static void get_mp_state(struct cpu *c)
{
	if (!c->init_waits)
		return;
	c->init_waits = 0;
	c->mp.mp_state = KVM_MP_STATE_INIT_RECEIVED;
	c->regs.rip = 0xfff0;
}

static int cpu_ioctl(struct world *w, struct cpu *c, unsigned long request, void *arg)
{
#define BLOB(name, field)                                 \
	case KVM_GET_##name:                              \
		memcpy(arg, &c->field, sizeof(c->field)); \
		return 0;                                 \
	case KVM_SET_##name:                              \
		memcpy(&c->field, arg, sizeof(c->field)); \
		return 0
	if (request == KVM_GET_MP_STATE)
		get_mp_state(c);
	if (request == KVM_GET_LAPIC && c->expires) { /* the timer does */
		*msr(w, c, DEADLINE) = 0;
		c->lapic.regs[APIC_IRR5] |= 1 << IRR_VECTOR % 32;
	}
	if (request == KVM_SET_SREGS || request == KVM_SET_SREGS2)
		c->has_sregs = true;
	if (request == KVM_SET_LAPIC) {
		if (!c->has_sregs) /* its layout is another one then */
			memset(arg, 0, sizeof(c->lapic));
		assert_true(c->has_tsc || w->no_tsc_offset);
		c->has_lapic = true;
	}
	if (request == KVM_SET_REGS)
		memset(&c->events, 0, sizeof(c->events)); /* an exception that waits is dropped */
	switch (request) {
		BLOB(MP_STATE, mp);
		BLOB(VCPU_EVENTS, events);
		BLOB(REGS, regs);
		BLOB(SREGS, sregs);
		BLOB(SREGS2, sregs2);
		BLOB(FPU, fpu);
		BLOB(XCRS, xcrs);
		BLOB(DEBUGREGS, debugregs);
		BLOB(LAPIC, lapic);
	case KVM_SET_TSC_KHZ:
		assert_false(c->has_tsc);
		c->tsc_khz = (u32)(uintptr_t)arg;
		return 0;
	case KVM_SET_CPUID2:
		assert_false(c->has_sregs || c->has_lapic); /* it comes first */
		c->features = ((struct kvm_cpuid2 *)arg)->entries[1].ebx;
		return 0;
	case KVM_GET_XSAVE2:
		memcpy(arg, c->xsave, sizeof(c->xsave));
		return 0;
	case KVM_SET_XSAVE:
		memcpy(c->xsave, arg, sizeof(c->xsave));
		return 0;
	case KVM_GET_NESTED_STATE:
		memcpy(arg, c->nested, NESTED_SIZE);
		return 0;
	case KVM_SET_NESTED_STATE:
		return set_nested(c, arg);
	case KVM_GET_MSRS:
	case KVM_SET_MSRS:
		assert_true(((struct kvm_msrs *)arg)->nmsrs < 256);
		return request == KVM_GET_MSRS ? get_msrs(w, c, arg) : set_msrs(w, c, arg);
	case KVM_GET_DEVICE_ATTR:
	case KVM_SET_DEVICE_ATTR:
		return tsc_attr(w, c, request, arg);
	default:
		fail_msg("unknown request %#lx", request);
		return -1;
	}
}

int __wrap_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	struct world *w = world_of(fd);

	if (request == w->refuse) {
		errno = EINVAL;
		return -1;
	}
	return fd % 100 >= 10 ? cpu_ioctl(w, &w->cpus[fd % 10], request, arg) :
				vm_ioctl(w, request, arg);
}

/* ---- the rest of the VMM ---- */

int hyperv_vcpu_reset(struct vcpu *v)
{
	struct world *w = world_of(v->fd);
	u32 i;

	for (i = 0; i < ARRAY_SIZE(v->late_flags); i++)
		v->late_flags[i] = 0;
	*msr(w, &w->cpus[v->index], KVMB_MSR_CRASH_CTL) = HV_CRASH_NOTIFY;
	return 0;
}

void hyperv_vcpu_loaded(struct vcpu *v, u64 control, u64 msg_page, u64 evt_page)
{
	struct world *w = world_of(v->fd);
	struct cpu *c = &w->cpus[v->index];

	/* an interrupt that is raised now must not be overwritten */
	assert_true(w->has_pit && c->has_lapic);
	c->loaded++;
	c->control = control;
	c->simp = msg_page;
	c->siefp = evt_page;
}

/* ---- what a gen1 machine has more: a number; @g is the world ---- */

void gen1_save(struct gen1 *g, struct kvmb_tlv_out *o)
{
	kvmb_tlv_put(o, 1, ((struct world *)(void *)g)->devices);
}

int gen1_load(struct gen1 *g, struct kvmb_tlv *group)
{
	((struct world *)(void *)g)->devices = (u32)kvmb_tlv_get(group, 1, 100);
	return kvmb_tlv_done(group);
}

void gen1_loaded(struct gen1 *g)
{
	struct world *w = (struct world *)(void *)g;

	assert_true(w->has_pit && w->cpus[0].has_lapic); /* it raises interrupts */
	w->devices_loaded++;
}

void gen1_match_put(const struct gen1 *g, struct kvmb_tlv_out *o)
{
	kvmb_tlv_put(o, 1, ((const struct world *)(const void *)g)->drives);
}

void gen1_match_check(const struct gen1 *g, struct kvmb_tlv *group)
{
	if (kvmb_tlv_get(group, 1, 4) != ((const struct world *)(const void *)g)->drives)
		kvmb_tlv_refuse(group, 1, "other drives");
}

static void set_irq(void *arg, int level)
{
	((struct world *)arg)->line = level;
}

static void nothing(void *arg)
{
	(void)arg;
}

/* ---- a VM, and its life ---- */

static void build(struct world *w, int base)
{
	struct serial_ops ops = {
		.set_irq = set_irq, .irq_arg = w, .output = nothing, .room = nothing
	};
	struct machine *m = &w->m;
	struct kvm_nested_state *n;
	u32 i;

	memset(w, 0, sizeof(*w));
	w->m.tsc.khz = w->m.tsc.host_khz = 2000000;
	m->name = "t";
	m->cfg.cpus = CPUS;
	m->vm_fd = base;
	m->kvm_fd = base + 1;
	m->vcpus = w->vcpus;
	m->cpuid_offer = calloc(1, sizeof(*m->cpuid_offer) + sizeof(m->cpuid_offer->entries[0]));
	m->cpuid_offer->nent = 1;
	m->cpuid_offer->entries[0] = (struct kvm_cpuid_entry2){ .function = 7, .ebx = 0x60 };
	m->gm.num_regions = 1;
	m->gm.regions[0].size = 64 << 20;
	m->serial = serial_create(&ops);
	m->rtc = rtc_create();
	crash_init(&m->crash);
	for (i = 0; i < 3; i++)
		w->chips[i].chip_id = i;
	for (i = 0; i < CPUS; i++) {
		struct vcpu *v = &w->vcpus[i];

		v->machine = m;
		v->index = i;
		v->fd = base + 10 + (int)i;
		v->cpuid = calloc(1, sizeof(*v->cpuid) + 2 * sizeof(v->cpuid->entries[0]));
		v->cpuid->nent = 2;
		v->cpuid->entries[0].function = 1;
		v->cpuid->entries[0].ebx = i << 24;
		v->cpuid->entries[1].function = 7;
		w->cpus[i].xcrs.nr_xcrs = 1;
		n = (struct kvm_nested_state *)w->cpus[i].nested;
		n->size = NESTED_SIZE;
		w->cpus[i].has_sregs = true; /* to see that it can be written back */
		assert_int_equal(vcpu_save_power_on(v), 0);
		w->cpus[i].has_sregs = w->cpus[i].has_lapic = w->cpus[i].has_tsc = false;
	}
}

static void take_apart(struct world *w)
{
	u32 i;

	for (i = 0; i < CPUS; i++) {
		vcpu_free_power_on(&w->vcpus[i]);
		vcpu_free_image(&w->vcpus[i]);
		free(w->vcpus[i].cpuid);
	}
	free(w->m.cpuid_offer);
	machine_free_image(&w->m);
	serial_destroy(w->m.serial);
	rtc_destroy(w->m.rtc);
	crash_fini(&w->m.crash);
}

static void fill(void *p, size_t len, u8 seed)
{
	u8 *b = p;
	size_t i;

	for (i = 0; i < len; i++)
		b[i] = (u8)(seed + i * 7);
}

static void live_msrs(struct world *w, struct cpu *c, u8 seed)
{
	u32 i, index;

	for (i = 0; i < c->num_msrs; i++) {
		index = c->msrs[i].index;
		if (index < 0x40000000)
			c->msrs[i].value = index * 5ull + seed;
	}
	*msr(w, c, KVMB_MSR_GUEST_OS_ID) = 0x8100;
	*msr(w, c, KVMB_MSR_HYPERCALL) = 0x1001;
	*msr(w, c, KVMB_MSR_REFERENCE_TSC) = 0x2001;
	*msr(w, c, KVMB_MSR_CRASH_P0 + 1) = 0xdead;
	*msr(w, c, KVMB_MSR_VP_ASSIST_PAGE) = 0x3001u + seed * 0x1000u;
	*msr(w, c, KVMB_MSR_SCONTROL) = 1;
	*msr(w, c, KVMB_MSR_SIMP) = 0x4001u + seed * 0x1000u;
	*msr(w, c, KVMB_MSR_SIEFP) = 0x5001u + seed * 0x1000u;
	for (i = 0; i < HV_NUM_SINTS; i++)
		*msr(w, c, KVMB_MSR_SINT0 + i) = 0x20u + i + seed;
	for (i = 0; i < HV_NUM_STIMERS; i++) { /* a config that the count would switch on */
		*msr(w, c, KVMB_MSR_STIMER0_CONFIG + 2 * i) = AUTO_ENABLE;
		*msr(w, c, KVMB_MSR_STIMER0_CONFIG + 2 * i + 1) = 1000u + i;
	}
}

/* Everything that a guest can change, it changes. */
static void live(struct world *w)
{
	struct machine *m = &w->m;
	const u64 params[5] = { 1, 2, 3, 4, 5 };
	u32 i, v;

	for (i = 0; i < CPUS; i++) {
		struct cpu *c = &w->cpus[i];

		fill(&c->events, sizeof(c->events), (u8)(3 + i));
		fill(&c->regs, sizeof(c->regs), (u8)(4 + i));
		fill(&c->sregs, sizeof(c->sregs), (u8)(5 + i));
		fill(&c->sregs2, sizeof(c->sregs2), (u8)(6 + i));
		fill(&c->fpu, sizeof(c->fpu), (u8)(7 + i));
		fill(&c->debugregs, sizeof(c->debugregs), (u8)(9 + i));
		fill(&c->lapic, sizeof(c->lapic), (u8)(10 + i));
		c->lapic.regs[APIC_IRR5] = 0;
		fill(c->xsave, sizeof(c->xsave), (u8)(11 + i));
		fill(c->nested + sizeof(struct kvm_nested_state),
		     NESTED_SIZE - sizeof(struct kvm_nested_state), (u8)(12 + i));
		c->xcrs.xcrs[0].value = 7;
		c->mp.mp_state = i ? KVM_MP_STATE_HALTED : KVM_MP_STATE_RUNNABLE;
		c->tsc_offset = 5000 + i;
		live_msrs(w, c, (u8)i);
		w->vcpus[i].late_flags[3 + i] = 0x80000001;
		w->vcpus[i].on->tsc_offset = 4000;
	}
	for (i = 0; i < 3; i++)
		fill(&w->chips[i].chip, sizeof(w->chips[i].chip), (u8)(13 + i));
	w->chips[KVM_IRQCHIP_IOAPIC].chip.ioapic.irr = 1;
	fill(&w->pit, sizeof(w->pit), 16);
	m->boots = 3;
	m->pm1_enable = 0x101;
	crash_report(&m->crash, "t", 2, params);
	v = 0x0b, serial_access(m->serial, 4, 1, true, &v);
	v = 3, serial_access(m->serial, 1, 1, true, &v); /* both interrupts are due */
	v = 1, serial_access(m->serial, 2, 1, true, &v);
	v = 0x77, serial_access(m->serial, 7, 1, true, &v);
	assert_int_equal(serial_input(m->serial, (const u8 *)"typed", 5), 5);
	v = 0x20, rtc_access(m->rtc, 0, 1, true, &v);
	v = 0xab, rtc_access(m->rtc, 1, 1, true, &v);
	/* machine_stop_clock() */
	m->paused_clock.clock = 123456789;
	m->paused_at_tsc = 1000000;
}

static struct kvmb_tlv_out saved;

static int setup(void **state)
{
	(void)state;
	build(&world[0], 100);
	build(&world[1], 200);
	live(&world[0]);
	memset(&saved, 0, sizeof(saved));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	take_apart(&world[0]);
	take_apart(&world[1]);
	kvmb_tlv_out_fini(&saved);
	return 0;
}

/* All sections of @o into world[1]. */
static int load_all(const struct kvmb_tlv_out *o, struct kvmb_tlv_error *e)
{
	struct kvmb_tlv t;
	size_t pos = 0;
	int err = 0;

	memset(e, 0, sizeof(*e));
	while (!err && !kvmb_tlv_next(o->buf, o->len, &pos, &t, e))
		err = machine_load(&world[1].m, &t);
	assert_int_equal(err, e->err);
	err = machine_load_done(&world[1].m, e);
	assert_int_equal(err, e->err);
	assert_int_equal(!err, !e->text[0]);
	return err;
}

/* A new process on another host. */
static int load_fresh(const struct kvmb_tlv_out *o, struct kvmb_tlv_error *e)
{
	take_apart(&world[1]);
	build(&world[1], 200);
	return load_all(o, e);
}

#define SAME(member) assert_memory_equal(&b->member, &a->member, sizeof(a->member))

static void compare_cpu(u32 i)
{
	struct cpu *a = &world[0].cpus[i], *b = &world[1].cpus[i];
	u32 n, index;

	if (!i) /* what waited in the IOAPIC */
		a->lapic.regs[APIC_IRR5] |= 1 << IRR_VECTOR % 32;
	SAME(mp);
	SAME(events);
	SAME(regs);
	SAME(fpu);
	SAME(xcrs);
	SAME(debugregs);
	SAME(lapic);
	SAME(xsave);
	assert_memory_equal(b->nested, a->nested, NESTED_SIZE);
	if (world[1].no_sregs2)
		SAME(sregs);
	else
		SAME(sregs2);
	for (n = 0; n < a->num_msrs; n++) {
		index = a->msrs[n].index;
		if (index != 0x10)
			assert_int_equal(*msr(&world[1], b, index), a->msrs[n].value);
	}
	assert_int_equal(b->loaded, 1);
	assert_int_equal(b->control, 1);
	assert_int_equal(b->simp, 0x4001 + i * 0x1000);
	assert_int_equal(b->siefp, 0x5001 + i * 0x1000);
}

static void compare_devices(void)
{
	struct machine *m = &world[1].m;
	char typed[6] = "";
	u32 v, i;

	assert_int_equal(m->boots, 3);
	assert_int_equal(m->pm1_enable, 0x101);
	assert_int_equal(m->crash.count, 1);
	assert_int_equal(m->crash.boot, 2);
	assert_int_equal(m->crash.params[4], 5);
	assert_int_equal(m->crash.when.tv_sec, world[0].m.crash.when.tv_sec);
	assert_int_equal(world[1].line, 1);
	serial_access(m->serial, 7, 1, false, &v);
	assert_int_equal(v, 0x77);
	for (i = 0; i < 5; i++) {
		serial_access(m->serial, 0, 1, false, &v);
		typed[i] = (char)v;
	}
	assert_string_equal(typed, "typed");
	serial_access(m->serial, 2, 1, false, &v);
	assert_int_equal(v, 0xc2); /* transmitter empty, and then nothing more */
	assert_int_equal(world[1].line, 0);
	rtc_access(m->rtc, 0, 1, false, &v);
	assert_int_equal(v, 0x20);
	rtc_access(m->rtc, 1, 1, false, &v);
	assert_int_equal(v, 0xab);
}

static void machine_arrives_whole(void **state)
{
	struct kvmb_tlv_error e;
	struct machine *m = &world[1].m;
	u32 i;

	(void)state;
	assert_int_equal(machine_save(&world[0].m, &saved), 0);
	assert_int_equal(load_all(&saved, &e), 0);
	for (i = 0; i < CPUS; i++)
		compare_cpu(i);
	assert_int_equal(world[1].cpus[0].hypercall_writes, world[0].cpus[0].hypercall_writes + 1);
	assert_int_equal(world[1].cpus[1].hypercall_writes, world[0].cpus[1].hypercall_writes);
	assert_memory_equal(world[1].chips, world[0].chips, sizeof(world[0].chips));
	assert_memory_equal(&world[1].pit, &world[0].pit, sizeof(world[0].pit));
	for (i = 0; i < CPUS; i++) {
		assert_int_equal(world[1].vcpus[i].late_flags[3 + i], 0x80000001);
		assert_int_equal(world[1].vcpus[i].late_flags[4 + i], 0);
	}
	compare_devices();
	/* nothing is kept that is not needed any more */
	assert_null(m->image);
	assert_null(m->vcpus[1].image);
}

static struct gen1 *as_gen1(struct world *w)
{
	return w->m.gen1 = (struct gen1 *)(void *)w;
}

static void gen1_machine_has_more(void **state)
{
	struct kvmb_tlv_error e;

	(void)state;
	as_gen1(&world[0]);
	as_gen1(&world[1]);
	world[0].devices = 77;
	assert_int_equal(machine_save(&world[0].m, &saved), 0);
	assert_int_equal(load_all(&saved, &e), 0);
	assert_int_equal(world[1].devices, 77);
	assert_int_equal(world[1].devices_loaded, 1);
	kvmb_tlv_out_fini(&saved);
	world[0].devices = 101; /* is refused */
	assert_int_equal(machine_save(&world[0].m, &saved), 0);
	take_apart(&world[1]);
	build(&world[1], 200);
	as_gen1(&world[1]);
	assert_int_equal(load_all(&saved, &e), -EPROTO);
	assert_int_equal(world[1].devices_loaded, 0);
}

static int match_with(struct world *to, struct kvmb_tlv_error *e)
{
	struct kvmb_tlv_out o = { 0 };
	struct kvmb_tlv t;
	size_t pos = 0;
	int err;

	memset(e, 0, sizeof(*e));
	machine_match_save(&world[0].m, &o);
	assert_int_equal(kvmb_tlv_next(o.buf, o.len, &pos, &t, e), 0);
	err = machine_match_load(&to->m, &t);
	kvmb_tlv_out_fini(&o);
	return err;
}

/* Also before a migration's first page. */
static void machine_of_another_kind_is_refused(void **state)
{
	struct kvmb_tlv_error e;

	(void)state;
	assert_int_equal(match_with(&world[1], &e), 0);
	as_gen1(&world[1]);
	assert_int_equal(match_with(&world[1], &e), -EPROTO);
	assert_non_null(strstr(e.text, "it began in a kernel: start it with --kernel"));
	assert_int_equal(machine_save(&world[0].m, &saved), 0);
	assert_int_equal(load_all(&saved, &e), -EPROTO);
	kvmb_tlv_out_fini(&saved);
	as_gen1(&world[0]);
	assert_int_equal(match_with(&world[1], &e), 0);
	world[1].drives = 1;
	assert_int_equal(match_with(&world[1], &e), -EPROTO);
	assert_non_null(strstr(e.text, "other drives"));
	assert_int_equal(machine_save(&world[0].m, &saved), 0);
	assert_int_equal(load_fresh(&saved, &e), -EPROTO);
	assert_non_null(strstr(e.text, "it began in firmware: start it without --kernel"));
}

/* Time goes on where it was stopped, also at a reset of the guest, whatever the hosts' TSCs are. */
static void machine_time_goes_on_where_it_stopped(void **state)
{
	struct machine *m = &world[1].m;
	struct kvmb_tlv_error e;
	u64 before = __rdtsc();
	u32 i;

	(void)state;
	assert_int_equal(machine_save(&world[0].m, &saved), 0);
	assert_int_equal(load_all(&saved, &e), 0);
	assert_int_equal(world[1].clock, 123456789);
	assert_int_equal(m->paused_clock.clock, 123456789);
	assert_true(m->paused_at_tsc >= before && m->paused_at_tsc <= __rdtsc());
	for (i = 0; i < CPUS; i++) {
		assert_int_equal(m->paused_at_tsc + world[1].cpus[i].tsc_offset,
				 1000000 + 5000 + i);
		assert_int_equal(m->paused_at_tsc + m->vcpus[i].on->tsc_offset, 1000000 + 4000);
	}
}

/* What the guest reads is what it would have read; its CPUs stay as far apart as they were. */
static void machine_time_goes_on_at_the_rate_that_it_had(void **state)
{
	struct machine *m = &world[1].m;
	struct kvmb_tlv_error e;
	u32 i;

	(void)state;
	assert_int_equal(machine_save(&world[0].m, &saved), 0);
	m->tsc.host_khz = m->tsc.khz = 3000000;
	m->tsc.can_scale = true;
	assert_int_equal(load_all(&saved, &e), 0);
	for (i = 0; i < CPUS; i++) {
		assert_int_equal(world[1].cpus[i].tsc_khz, 2000000);
		assert_int_equal(guest_tsc_at(&m->tsc, m->paused_at_tsc) +
					 world[1].cpus[i].tsc_offset,
				 1000000 + 5000 + i);
	}
	kvmb_tlv_out_fini(&saved);
	assert_int_equal(machine_save(m, &saved), 0); /* and on to a host of its own rate */
	assert_int_equal(load_fresh(&saved, &e), 0);
	assert_int_equal(world[1].m.paused_at_tsc + world[1].cpus[1].tsc_offset,
			 1000000 + 5000 + 1);
	take_apart(&world[1]);
	build(&world[1], 200);
	world[1].refuse = KVM_SET_TSC_KHZ;
	m->tsc.host_khz = 3000000;
	m->tsc.can_scale = true;
	assert_int_equal(load_all(&saved, &e), -EINVAL);
	assert_string_equal(e.text, "KVM does not take a time stamp counter of 2000000 kHz: "
				    "Invalid argument");
	world[1].refuse = 0;
}

static void machine_goes_on_with_older_kernels(void **state)
{
	struct kvmb_tlv_error e;
	u32 i;

	(void)state;
	world[0].no_tsc_offset = world[0].no_sregs2 = true;
	assert_int_equal(machine_save(&world[0].m, &saved), 0);
	world[1].no_tsc_offset = world[1].no_sregs2 = true;
	for (i = 0; i < CPUS; i++)
		world[1].vcpus[i].on->has_tsc_offset = false;
	assert_int_equal(load_all(&saved, &e), 0);
	for (i = 0; i < CPUS; i++) {
		compare_cpu(i);
		assert_int_equal(*msr(&world[1], &world[1].cpus[i], 0x10), 777);
	}
	/* and from there to a newer one */
	assert_int_equal(load_fresh(&saved, &e), 0);
	assert_int_equal(world[1].m.paused_at_tsc + world[1].cpus[0].tsc_offset, 777);
}

/* A pending INIT changes registers when it is served; a deadline may pass between two ioctls. */
static void machine_reads_in_an_order_that_loses_nothing(void **state)
{
	struct kvmb_tlv_error e;
	struct cpu *c = &world[1].cpus[1];

	(void)state;
	world[0].cpus[1].init_waits = 1;
	world[0].cpus[1].expires = true;
	*msr(&world[0], &world[0].cpus[1], DEADLINE) = 4242;
	assert_int_equal(machine_save(&world[0].m, &saved), 0);
	assert_int_equal(load_all(&saved, &e), 0);
	assert_int_equal(c->mp.mp_state, KVM_MP_STATE_INIT_RECEIVED);
	assert_int_equal(c->regs.rip, 0xfff0);
	/* twice is fine: a timer's interrupt more */
	assert_int_equal(*msr(&world[1], c, DEADLINE), 4242);
	assert_true(c->lapic.regs[APIC_IRR5] & 1 << IRR_VECTOR % 32);
}

static void machine_flags_raised_while_loading_are_kept(void **state)
{
	struct kvmb_tlv_error e;

	(void)state;
	assert_int_equal(machine_save(&world[0].m, &saved), 0);
	world[1].vcpus[0].late_flags[3] = 2;
	assert_int_equal(load_all(&saved, &e), 0);
	assert_int_equal(world[1].vcpus[0].late_flags[3], 0x80000003);
}

static void machine_with_test_devices_is_not_saved(void **state)
{
	(void)state;
	world[0].m.testdev = (struct testdev *)&saved;
	assert_int_equal(machine_save(&world[0].m, &saved), -EOPNOTSUPP);
	assert_int_equal(saved.len, 0);
	world[0].m.testdev = NULL;
}

static void machine_save_says_what_kvm_did_not(void **state)
{
	static const unsigned long requests[] = { KVM_GET_LAPIC,    KVM_GET_XSAVE2,
						  KVM_GET_IRQCHIP,  KVM_GET_PIT2,
						  KVM_GET_MP_STATE, KVM_GET_NESTED_STATE };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		world[0].refuse = requests[i];
		assert_int_equal(machine_save(&world[0].m, &saved), -EINVAL);
		kvmb_tlv_out_fini(&saved);
	}
	world[0].refuse = 0;
	assert_int_equal(machine_save(&world[0].m, &saved), 0); /* nothing stuck */
}

/* ---- hostile files ---- */

enum change { DROP, CUT, LONGER, ONES, NONE };

struct target { /* what is changed: a field of a section, or one of a group in it; 0: none */
	u32 tag, instance;
	unsigned int field, inner;
	enum change change;
	u64 value; /* of NONE: this integer instead */
};

static size_t next_field(const u8 *p, unsigned int *field, size_t *len)
{
	u16 tag;
	u32 n;

	memcpy(&tag, p, sizeof(tag));
	memcpy(&n, p + 4, sizeof(n));
	*field = tag;
	*len = n;
	return 8 + *len;
}

static void put_changed(struct kvmb_tlv_out *o, const struct target *c, unsigned int field,
			const u8 *p, size_t len)
{
	u8 *copy = calloc(1, len + 1);

	memcpy(copy, p, len);
	if (c->change == ONES)
		memset(copy, 0xff, len);
	if (c->change == NONE)
		kvmb_tlv_put(o, field, c->value);
	else if (c->change != DROP)
		kvmb_tlv_put_bytes(o, field, copy,
				   c->change == CUT    ? len - (len > 0) :
				   c->change == LONGER ? len + 1 :
							 len);
	free(copy);
}

static void copy_group(struct kvmb_tlv_out *o, const struct target *c, const u8 *p, size_t len)
{
	unsigned int field;
	size_t pos, n;

	kvmb_tlv_group(o, c->field);
	for (pos = 0; pos < len; pos += 8 + n) {
		next_field(p + pos, &field, &n);
		if (field == c->inner)
			put_changed(o, c, field, p + pos + 8, n);
		else
			kvmb_tlv_put_bytes(o, field, p + pos + 8, n);
	}
	kvmb_tlv_group_end(o);
}

/* The saved machine, with one thing changed, and right checksums. */
static void change_one(const struct target *c, struct kvmb_tlv_out *o)
{
	struct kvmb_tlv_error e = { 0 };
	struct kvmb_tlv t;
	unsigned int field;
	size_t at = 0, pos, n;
	bool here;

	memset(o, 0, sizeof(*o));
	while (!kvmb_tlv_next(saved.buf, saved.len, &at, &t, &e)) {
		here = t.tag == c->tag && t.instance == c->instance;
		if (here && !c->field)
			continue; /* without this section */
		kvmb_tlv_begin(o, t.tag, t.instance, t.flags);
		for (pos = 0; pos < t.len; pos += 8 + n) {
			next_field(t.p + pos, &field, &n);
			if (here && field == c->field && c->inner)
				copy_group(o, c, t.p + pos + 8, n);
			else if (here && field == c->field)
				put_changed(o, c, field, t.p + pos + 8, n);
			else
				kvmb_tlv_put_bytes(o, field, t.p + pos + 8, n);
		}
		kvmb_tlv_end(o);
	}
}

static int load_changed(struct target c, struct kvmb_tlv_error *e)
{
	struct kvmb_tlv_out o;
	int err;

	change_one(&c, &o);
	err = load_fresh(&o, e);
	kvmb_tlv_out_fini(&o);
	return err;
}

/* The numbers of docs/migration.md. */
enum { M = KVMB_SEC_MACHINE, V = KVMB_SEC_VCPU };
#define SREGS2 6u /* the only one that may be missing: then SREGS is taken */

static void each_of(u32 tag, unsigned int field, unsigned int inner, enum change change)
{
	struct kvmb_tlv_error e;
	bool fine = change == DROP && tag == V && field == SREGS2;
	int err = load_changed((struct target){ tag, tag == V, field, inner, change, 0 }, &e);

	if (!err == !fine)
		fail_msg("section %u, field %u.%u, change %u: %d %s", tag, field, inner, change,
			 err, e.text);
}

static void machine_refuses_fields_that_are_missing_or_cut(void **state)
{
	static const u32 inner[] = { 5, 8, 3 }; /* fields of the groups 11 to 13 */
	unsigned int field, i, change;

	(void)state;
	assert_int_equal(machine_save(&world[0].m, &saved), 0);
	for (change = DROP; change <= LONGER; change++) {
		for (field = 1; field <= 13; field++)
			each_of(M, field, 0, change);
		for (field = 11; field <= 13; field++) {
			for (i = 1; i <= inner[field - 11]; i++) {
				/* what was typed may be of any length */
				if (field != 12 || i != 8 || change == DROP)
					each_of(M, field, i, change);
			}
		}
		for (field = 1; field <= 16; field++)
			each_of(V, field, 0, change);
	}
}

/* Integers beyond their range. TSCs and the clock's have all, or nearly so. */
static void machine_refuses_integers_out_of_range(void **state)
{
	static const struct {
		u32 tag;
		unsigned int field, inner;
		u64 value;
	} cases[] = {
		{ M, 1, 0, 65 },
		{ M, 1, 0, 1 },
		{ M, 3, 0, 1ull << 32 },
		{ M, 4, 0, 1ull << 63 },
		{ M, 9, 0, 1ull << 31 },
		{ M, 10, 0, 0x10000 },
		{ M, 11, 1, 1ull << 32 },
		{ M, 11, 3, 253402300801 },
		{ M, 11, 4, 1000000000 },
		{ M, 11, 5, 1ull << 31 },
		{ M, 12, 1, 0x10 },
		{ M, 12, 2, 0x100 },
		{ M, 12, 3, 0x20 },
		{ M, 12, 4, 0x100 },
		{ M, 12, 5, 0x100 },
		{ M, 12, 6, 0x10000 },
		{ M, 12, 7, 2 },
		{ M, 13, 1, 0x80 },
		{ M, 13, 3, (1ull << 41) + 1 },
		{ V, 13, 0, 0 },
		{ V, 16, 0, 2048 },
	};
	struct kvmb_tlv_error e;
	size_t i;

	(void)state;
	assert_int_equal(machine_save(&world[0].m, &saved), 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct target c = { cases[i].tag, cases[i].tag == V, cases[i].field, cases[i].inner,
				    NONE,	  cases[i].value };

		CHECK_ROW(load_changed(c, &e), -EPROTO, i);
	}
	/* ... and one that is in range, so that the way to change one is right */
	assert_int_equal(load_changed((struct target){ M, 0, 12, 4, NONE, 0x12 }, &e), 0);
	assert_int_equal(load_changed((struct target){ V, 1, 16, 0, NONE, 2047 }, &e), 0);
	assert_true(world[1].vcpus[1].late_flags[63] >> 31);
}

static void machine_refuses_bytes_that_cannot_be(void **state)
{
	static const struct {
		u32 tag;
		unsigned int field, inner;
		const char *why;
	} cases[] = {
		{ M, 2, 0, "laid out" },     { M, 5, 0, "another chip" },
		{ M, 7, 0, "another chip" }, { M, 13, 2, "no guest can" },
		{ V, 1, 0, "another CPU" },  { V, 12, 0, "size is wrong" },
		{ V, 13, 0, "or is none" },
	};
	struct kvmb_tlv_error e;
	size_t i;

	(void)state;
	assert_int_equal(machine_save(&world[0].m, &saved), 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct target c = { cases[i].tag,   cases[i].tag == V,
				    cases[i].field, cases[i].inner,
				    ONES,	    0 };

		CHECK_ROW(load_changed(c, &e), -EPROTO, i);
		if (!strstr(e.text, cases[i].why))
			fail_msg("row %zu: %s", i, e.text);
	}
}

static void machine_refuses_wrong_sets_of_sections(void **state)
{
	struct kvmb_tlv_error e;
	struct kvmb_tlv_out o;
	struct kvmb_tlv t;
	size_t pos = 0, len;

	(void)state;
	assert_int_equal(machine_save(&world[0].m, &saved), 0);
	assert_int_equal(load_changed((struct target){ .tag = M }, &e), -EPROTO);
	assert_string_equal(e.text, "section machine 0 is missing");
	assert_int_equal(load_changed((struct target){ .tag = V, .instance = 1 }, &e), -EPROTO);
	assert_string_equal(e.text, "section vcpu 1 is missing");
	/* the last one, vCPU 1, a second time; then the first, the machine */
	memset(&e, 0, sizeof(e));
	assert_int_equal(kvmb_tlv_next(saved.buf, saved.len, &pos, &t, &e), 0);
	len = pos;
	while (!kvmb_tlv_next(saved.buf, saved.len, &pos, &t, &e))
		;
	memset(&o, 0, sizeof(o));
	o.buf = malloc(saved.len + len);
	memcpy(o.buf, saved.buf, saved.len);
	memcpy(o.buf + saved.len, saved.buf, len);
	o.len = saved.len + len;
	assert_int_equal(load_fresh(&o, &e), -EPROTO);
	assert_non_null(strstr(e.text, "one machine"));
	free(o.buf);
}

static void machine_refuses_vcpus_that_are_not_there(void **state)
{
	struct kvmb_tlv_error e;
	struct kvmb_tlv_out o = { 0 };
	const char *failed;

	(void)state;
	assert_int_equal(machine_save(&world[0].m, &o), 0);
	assert_int_equal(vcpu_save(&world[0].vcpus[1], &o, &failed), 0);
	assert_int_equal(load_fresh(&o, &e), -EPROTO);
	assert_non_null(strstr(e.text, "twice"));
	kvmb_tlv_out_fini(&o);
	assert_int_equal(machine_save(&world[0].m, &o), 0);
	world[0].vcpus[1].index = CPUS;
	assert_int_equal(vcpu_save(&world[0].vcpus[1], &o, &failed), 0);
	world[0].vcpus[1].index = 1;
	assert_int_equal(load_fresh(&o, &e), -EPROTO);
	assert_non_null(strstr(e.text, "not so many"));
	kvmb_tlv_out_fini(&o);
}

static void machine_refuses_another_host(void **state)
{
	struct kvmb_tlv_error e;

	(void)state;
	assert_int_equal(machine_save(&world[0].m, &saved), 0);
	world[1].vcpus[1].cpuid->entries[0].eax = 0x20;
	assert_int_equal(load_all(&saved, &e), -EPROTO);
	assert_string_equal(e.text, "section vcpu 1: field 1: it was on another CPU: leaf 0x1.0 is "
				    "not the same");
	take_apart(&world[1]);
	build(&world[1], 200);
	world[1].m.gm.regions[0].size += 1 << 20;
	assert_int_equal(load_all(&saved, &e), -EPROTO);
	take_apart(&world[1]);
	build(&world[1], 200);
	world[1].m.tsc.host_khz = 2000501; /* more than 250 parts in a million */
	assert_int_equal(load_all(&saved, &e), -EPROTO);
	assert_non_null(
		strstr(e.text, "ran at 2000000 kHz, this host's at 2000501, and this CPU cannot"));
	take_apart(&world[1]);
	build(&world[1], 200);
	world[1].m.tsc.host_khz = 1999500;
	assert_int_equal(load_all(&saved, &e), 0);
	assert_int_equal(world[1].cpus[0].tsc_khz, 0);
}

/* The guest has seen it. What the host has beside is none of its business. */
static void vcpu_keeps_the_cpuid_that_it_had(void **state)
{
	struct kvmb_tlv_error e;

	(void)state;
	world[0].vcpus[0].cpuid->entries[1].ebx = 0x20;
	world[0].vcpus[1].cpuid->entries[1].ebx = 0x20;
	assert_int_equal(machine_save(&world[0].m, &saved), 0);
	world[1].vcpus[0].cpuid->entries[1].ebx = 0x40;
	assert_int_equal(load_all(&saved, &e), 0);
	assert_int_equal(world[1].cpus[0].features, 0x20);
	assert_int_equal(world[1].cpus[1].features, 0x20);
	assert_int_equal(world[1].vcpus[0].cpuid->entries[1].ebx, 0x20); /* and when it moves on */
	take_apart(&world[1]);
	build(&world[1], 200);
	world[1].refuse = KVM_SET_CPUID2;
	assert_int_equal(load_all(&saved, &e), -EINVAL);
	assert_string_equal(e.text, "KVM does not take the CPUID of vCPU 0: Invalid argument");
	world[1].refuse = 0;
	take_apart(&world[1]);
	build(&world[1], 200);
	world[1].m.cpuid_offer->nent = 0;
	assert_int_equal(load_all(&saved, &e), -EPROTO);
	assert_non_null(strstr(e.text, "lacks avx2, bit 5 of EBX in leaf 0x7.0"));
}

/* A kernel may have it whatever CPUID tells, another one not. */
static void register_that_cpuid_does_not_tell_of_is_no_state(void **state)
{
	struct kvmb_tlv_error e;
	u32 i;

	(void)state;
	for (i = 0; i < CPUS; i++)
		*msr(&world[0], &world[0].cpus[i], TSC_RATIO) = 1ull << 32;
	world[1].refuse_msr = TSC_RATIO;
	assert_int_equal(machine_save(&world[0].m, &saved), 0);
	assert_int_equal(load_all(&saved, &e), 0);
	kvmb_tlv_out_fini(&saved);
	for (i = 0; i < CPUS; i++) { /* now it does */
		world[0].vcpus[i].cpuid->entries[1] =
			(struct kvm_cpuid_entry2){ .function = 0x8000000a, .edx = 1u << 4 };
	}
	assert_int_equal(machine_save(&world[0].m, &saved), 0);
	take_apart(&world[1]);
	build(&world[1], 200);
	world[1].m.cpuid_offer->entries[0] = world[0].vcpus[0].cpuid->entries[1];
	world[1].refuse_msr = TSC_RATIO;
	assert_int_equal(load_all(&saved, &e), -EINVAL);
	assert_string_equal(e.text, "KVM does not take register 0xc0000104 of vCPU 0: Invalid "
				    "argument");
	world[1].refuse_msr = 0;
}

static void machine_knows_before_a_migration_where_it_cannot_go_on(void **state)
{
	struct kvmb_tlv_error e = { 0 };
	struct kvmb_tlv_out o = { 0 };
	struct kvmb_tlv t;
	size_t pos = 0;

	(void)state;
	machine_match_save(&world[0].m, &o);
	assert_int_equal(kvmb_tlv_next(o.buf, o.len, &pos, &t, &e), 0);
	assert_int_equal(t.tag, KVMB_SEC_HOST);
	assert_int_equal(machine_match_load(&world[1].m, &t), 0);
	world[1].vcpus[0].cpuid->entries[0].eax = 0x20;
	world[1].m.tsc.host_khz = 2100000;
	pos = 0;
	assert_int_equal(kvmb_tlv_next(o.buf, o.len, &pos, &t, &e), 0);
	assert_int_equal(machine_match_load(&world[1].m, &t), -EPROTO);
	assert_non_null(strstr(e.text, "field 3: its time stamp counter ran at"));
	e = (struct kvmb_tlv_error){ 0 };
	world[1].m.tsc.host_khz = 0; /* such a KVM does not know */
	pos = 0;
	assert_int_equal(kvmb_tlv_next(o.buf, o.len, &pos, &t, &e), 0);
	assert_int_equal(machine_match_load(&world[1].m, &t), -EPROTO);
	assert_non_null(strstr(e.text, "another CPU: leaf 0x1.0"));
	kvmb_tlv_out_fini(&o);
}

/* ---- registers of a file ---- */

/* The saved machine, but for vCPU 0's list of registers. */
static int load_with_msrs(const u64 *list, size_t num, struct kvmb_tlv_error *e)
{
	struct target c = { V, 0, 13, 0, DROP, 0 };
	struct kvmb_tlv_out o, all = { 0 };
	struct kvmb_tlv t;
	struct kvmb_tlv_error none = { 0 };
	size_t pos = 0, at, n;
	unsigned int field;
	int err;

	change_one(&c, &o);
	while (!kvmb_tlv_next(o.buf, o.len, &pos, &t, &none)) {
		kvmb_tlv_begin(&all, t.tag, t.instance, t.flags);
		for (at = 0; at < t.len; at += 8 + n) {
			next_field(t.p + at, &field, &n);
			kvmb_tlv_put_bytes(&all, field, t.p + at + 8, n);
		}
		if (t.tag == V && !t.instance)
			kvmb_tlv_put_list(&all, 13, list, num);
		kvmb_tlv_end(&all);
	}
	err = load_fresh(&all, e);
	kvmb_tlv_out_fini(&o);
	kvmb_tlv_out_fini(&all);
	return err;
}

static void machine_takes_only_registers_that_are_state(void **state)
{
	/* TSC, a reset, the VP index, what we offer, one that this CPU lacks, one of nobody */
	static const u32 refused[] = { 0x10,  0x40000003, KVMB_MSR_VP_INDEX, KVMB_MSR_CRASH_CTL,
				       0x200, 0x12345678 };
	struct kvmb_tlv_error e;
	u64 list[4];
	char name[16];
	size_t i;

	(void)state;
	assert_int_equal(machine_save(&world[0].m, &saved), 0);
	for (i = 0; i < ARRAY_SIZE(refused); i++) {
		list[0] = refused[i];
		list[1] = 1;
		CHECK_ROW(load_with_msrs(list, 2, &e), -EPROTO, i);
		snprintf(name, sizeof(name), "%#x", refused[i]);
		assert_non_null(strstr(e.text, name));
		list[1] = 0; /* never used */
		CHECK_ROW(load_with_msrs(list, 2, &e), 0, i);
	}
	list[0] = list[2] = 0x174;
	list[1] = list[3] = 8;
	assert_int_equal(load_with_msrs(list, 4, &e), -EPROTO);
	assert_int_equal(load_with_msrs(list, 3, &e), -EPROTO);
	assert_int_equal(load_with_msrs(list, 2, &e), 0);
	assert_int_equal(*msr(&world[1], &world[1].cpus[0], 0x174), 8);
	/* no SynIC then */
	assert_int_equal(world[1].cpus[0].control, 0);
	assert_int_equal(world[1].cpus[0].simp, 0);
	list[0] = 1ull << 32 | 0x174;
	assert_int_equal(load_with_msrs(list, 2, &e), -EPROTO);
}

/* KVM refuses some values and takes what the register has already. */
static void machine_names_the_register_that_kvm_refuses(void **state)
{
	struct kvmb_tlv_error e;

	(void)state;
	assert_int_equal(machine_save(&world[0].m, &saved), 0);
	world[1].refuse_msr = STUBBORN;
	assert_int_equal(load_all(&saved, &e), -EINVAL);
	assert_non_null(strstr(e.text, "register 0x48 of vCPU 0"));
	take_apart(&world[1]);
	build(&world[1], 200);
	world[1].refuse_msr = STUBBORN;
	*msr(&world[1], &world[1].cpus[0], STUBBORN) = STUBBORN * 5;
	*msr(&world[1], &world[1].cpus[1], STUBBORN) = STUBBORN * 5 + 1;
	assert_int_equal(load_all(&saved, &e), 0);
	assert_int_equal(*msr(&world[1], &world[1].cpus[0], MORE + NUM_MORE - 1),
			 (MORE + NUM_MORE - 1) * 5); /* those behind it are written */
}

static void machine_says_what_kvm_refuses(void **state)
{
	static const struct {
		unsigned long request;
		const char *what;
	} cases[] = {
		{ KVM_SET_LAPIC, "LAPIC of vCPU 0" },
		{ KVM_SET_XSAVE, "XSAVE of vCPU 0" },
		{ KVM_SET_SREGS2, "SREGS2 of vCPU 0" },
		{ KVM_SET_IRQCHIP, "the PIC" },
		{ KVM_SET_PIT2, "the PIT" },
		{ KVM_SET_CLOCK, "the clock" },
		{ KVM_SET_NESTED_STATE, "NESTED_STATE of" },
		{ KVM_SET_MP_STATE, "MP_STATE" },
		{ KVM_SET_DEVICE_ATTR, "time stamp counter of vCPU 0" },
	};
	struct kvmb_tlv_error e;
	size_t i;

	(void)state;
	assert_int_equal(machine_save(&world[0].m, &saved), 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		take_apart(&world[1]);
		build(&world[1], 200);
		world[1].refuse = cases[i].request;
		CHECK_ROW(load_all(&saved, &e), -EINVAL, i);
		if (!strstr(e.text, cases[i].what))
			fail_msg("row %zu: %s", i, e.text);
		assert_int_equal(world[1].cpus[0].loaded, 0);
	}
}

/* Any bytes, with right checksums: no crash, nothing out of bounds, and an error has its line. */
static void machine_survives_any_bytes(void **state)
{
	struct kvmb_tlv_error e;
	struct kvmb_tlv t;
	unsigned int seed = 1, i, j;
	size_t pos;
	u8 *bytes;

	(void)state;
	assert_int_equal(machine_save(&world[0].m, &saved), 0);
	for (i = 0; i < 400; i++) {
		pos = 0;
		memset(&e, 0, sizeof(e));
		while (!kvmb_tlv_next(saved.buf, saved.len, &pos, &t, &e)) {
			bytes = malloc(t.len);
			memcpy(bytes, t.p, t.len);
			for (j = 0; j < 1 + i % 3; j++)
				bytes[(size_t)rand_r(&seed) % t.len] ^=
					(u8)(1 << rand_r(&seed) % 8);
			t.p = bytes;
			if (machine_load(&world[1].m, &t))
				assert_true(e.err && e.text[0]);
			free(bytes);
		}
		machine_load_done(&world[1].m, &e);
		take_apart(&world[1]);
		build(&world[1], 200);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(machine_arrives_whole),
		T(gen1_machine_has_more),
		T(machine_of_another_kind_is_refused),
		T(machine_time_goes_on_where_it_stopped),
		T(machine_time_goes_on_at_the_rate_that_it_had),
		T(machine_goes_on_with_older_kernels),
		T(machine_reads_in_an_order_that_loses_nothing),
		T(machine_flags_raised_while_loading_are_kept),
		T(machine_with_test_devices_is_not_saved),
		T(machine_save_says_what_kvm_did_not),
		T(machine_refuses_fields_that_are_missing_or_cut),
		T(machine_refuses_integers_out_of_range),
		T(machine_refuses_bytes_that_cannot_be),
		T(machine_refuses_wrong_sets_of_sections),
		T(machine_refuses_vcpus_that_are_not_there),
		T(machine_refuses_another_host),
		T(vcpu_keeps_the_cpuid_that_it_had),
		T(register_that_cpuid_does_not_tell_of_is_no_state),
		T(machine_knows_before_a_migration_where_it_cannot_go_on),
		T(machine_takes_only_registers_that_are_state),
		T(machine_names_the_register_that_kvm_refuses),
		T(machine_says_what_kvm_refuses),
		T(machine_survives_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
