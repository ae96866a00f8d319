// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vCPU on a KVM that the test plays: exits are completed before registers are touched, and a
 * reset resets all.
 */
#include "machine/vcpu.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/util.h"
#include "machine/cpuid.h"
#include "machine/hyperv.h"
#include "tests/harness/no_gen1.h"
#include "tests/unit/test.h"

#define RUN_SIZE 4096u
#define ROUNDS 300

/* ---- KVM ---- */

#define UNREADABLE 0xc0000103u /* TSC_AUX, which this CPU does not have */
#define READ_ONLY 0xcdu	       /* can be read, and refuses every write */
#define STUBBORN 0x48u	       /* SPEC_CTRL: refuses once the guest has touched it */

#define MORE 0x5000u	       /* and many more, each as good as another */
#define NUM_MORE 300u

static const u32 listed[] = { 0x10,	0x174, READ_ONLY,  0xc0000102, UNREADABLE,
			      STUBBORN, 0x38f, 0x40000010, 0x40000106 };

struct kvm { /* one vCPU's registers, as KVM has them */
	struct { u32 index; u64 value; } msrs[512];
	u32 num_msrs;
	struct kvm_sregs sregs;
	struct kvm_lapic_state lapic;
	struct kvm_fpu fpu;
	struct kvm_debugregs debugregs;
	struct kvm_vcpu_events events;
	struct kvm_xcrs xcrs;
	struct kvm_mp_state mp;
	u8 xsave[8192], nested[256];
	u64 tsc_offset;
	u64 rip;
	bool touched; /* by the guest */

	/*
	 * exits of one instruction that are not completed: the result of the last is written late
	 */
	u32 open;
	u32 wrong;    /* an instruction was skipped by a CPU that never executed it */
	bool fresh;   /* registers were set since the last exit */
	u32 completed;
};

static struct kvm kvm[2];
static u32 lacking; /* by the second CPU */
static struct machine machine;
static struct vcpu vcpus[2];

static struct kvm *kvm_of(int fd)
{
	return &kvm[vcpus[1].fd == fd];
}

static u64 *msr(struct kvm *k, u32 index)
{
	u32 i;

	for (i = 0; i < k->num_msrs && k->msrs[i].index != index; i++)
		;
	if (i == k->num_msrs) {
		k->msrs[k->num_msrs].value = index * 3ull; /* what it has at power-on */
		k->msrs[k->num_msrs++].index = index;
	}
	return &k->msrs[i].value;
}

static int get_msrs(struct kvm *k, struct kvm_msrs *m)
{
	u32 i;

	for (i = 0; i < m->nmsrs && m->entries[i].index != UNREADABLE &&
		    !(k == &kvm[1] && m->entries[i].index == lacking); i++)
		m->entries[i].data = *msr(k, m->entries[i].index);
	return (int)i;
}

static int set_msrs(struct kvm *k, const struct kvm_msrs *m)
{
	u32 i;

	for (i = 0; i < m->nmsrs; i++) {
		if (m->entries[i].index == READ_ONLY || m->entries[i].index == UNREADABLE ||
		    (m->entries[i].index == STUBBORN && k->touched))
			break;
		*msr(k, m->entries[i].index) = m->entries[i].data;
	}
	return (int)i;
}

/* HvPostMessage without end; one in three is followed by a second exit of the same instruction. */
static int run(int fd)
{
	struct kvm *k = kvm_of(fd);
	struct kvm_run *r = vcpus[0].run;

	if (k->open) {
		k->wrong += k->fresh;
		k->completed++;
		k->open--;
		if (k->open) {
			r->exit_reason = KVM_EXIT_MMIO;
			return 0;
		}
		k->rip += 3;
	}
	usleep(20);
	if (__atomic_load_n(&r->immediate_exit, __ATOMIC_SEQ_CST)) {
		errno = EINTR;
		return -1;
	}
	k->fresh = false;
	k->open = k->completed % 3 ? 1 : 2;
	r->exit_reason = KVM_EXIT_HYPERV;
	return 0;
}

static int tsc(struct kvm *k, unsigned long request, const struct kvm_device_attr *a)
{
	u64 *out = (u64 *)(uintptr_t)a->addr;

	if (request == KVM_SET_DEVICE_ATTR)
		k->tsc_offset = *out;
	else
		*out = k->tsc_offset;
	return 0;
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

int __wrap_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	struct kvm *k = kvm_of(fd);

#define BLOB(name, field)                                                      \
	case KVM_GET_##name:                                                   \
		memcpy(arg, &k->field, sizeof(k->field));                      \
		return 0;                                                      \
	case KVM_SET_##name:                                                   \
		memcpy(&k->field, arg, sizeof(k->field));                      \
		return 0
	switch (request) {
	BLOB(SREGS, sregs);
	BLOB(LAPIC, lapic);
	BLOB(FPU, fpu);
	BLOB(DEBUGREGS, debugregs);
	BLOB(VCPU_EVENTS, events);
	BLOB(XCRS, xcrs);
	BLOB(MP_STATE, mp);
	BLOB(NESTED_STATE, nested);
	case KVM_GET_XSAVE2:
		memcpy(arg, k->xsave, sizeof(k->xsave));
		return 0;
	case KVM_SET_XSAVE:
		memcpy(k->xsave, arg, sizeof(k->xsave));
		return 0;
	case KVM_SET_REGS:
		k->rip = ((struct kvm_regs *)arg)->rip;
		k->fresh = true;
		return 0;
	case KVM_CREATE_VCPU:
		fd = memfd_create("vcpu", 0);
		assert_int_equal(ftruncate(fd, RUN_SIZE), 0);
		return fd;
	case KVM_CHECK_EXTENSION:
		return (uintptr_t)arg == KVM_CAP_XSAVE2 ? (int)sizeof(k->xsave) :
							  (int)sizeof(k->nested);
	case KVM_GET_MSR_INDEX_LIST:
		return list_msrs(arg);
	case KVM_GET_MSRS:
	case KVM_SET_MSRS:
		if (((struct kvm_msrs *)arg)->nmsrs >= 256) {
			errno = E2BIG;
			return -1;
		}
		return request == KVM_GET_MSRS ? get_msrs(k, arg) : set_msrs(k, arg);
	case KVM_GET_DEVICE_ATTR:
	case KVM_SET_DEVICE_ATTR:
		return tsc(k, request, arg);
	case KVM_RUN:
		return run(fd);
	default:
		errno = ENOTTY;
		return -1;
	}
}

/* ---- the rest of the VMM ---- */

const char *cpuid_feature_name(u32 leaf, u32 sub, u32 reg, u32 bit)
{
	(void)leaf, (void)sub, (void)reg, (void)bit;
	return NULL;
}
int cpuid_apply(struct vcpu *v)
{
	(void)v;
	return 0;
}

void hyperv_vcpu_loaded(struct vcpu *v, u64 control, u64 msg_page, u64 evt_page)
{
	(void)v, (void)control, (void)msg_page, (void)evt_page;
}

int hyperv_vcpu_init(struct vcpu *v)
{
	(void)v;
	return 0;
}

int hyperv_vcpu_reset(struct vcpu *v)
{
	*msr(kvm_of(v->fd), KVMB_MSR_CRASH_CTL) = HV_CRASH_NOTIFY;
	return 0;
}

void hyperv_vcpu_fini(struct vcpu *v)
{
	(void)v;
}

void hyperv_exit(struct vcpu *v)
{
	v->stats.hv_post++;
	usleep(50); /* in which the other CPU asks for a reset */
}

static void request(void *arg, enum machine_request what)
{
	(void)arg;
	assert_int_not_equal(what, MACHINE_ERROR);
}

static const struct machine_ops ops = { .request = request };

static int setup(void **state)
{
	u32 i;

	(void)state;
	memset(&machine, 0, sizeof(machine));
	memset(vcpus, 0, sizeof(vcpus));
	memset(kvm, 0, sizeof(kvm));
	machine.name = "t";
	machine.cfg.cpus = 2;
	machine.run_size = RUN_SIZE;
	machine.ops = &ops;
	machine.vcpus = vcpus;
	park_init(&machine.park);
	for (i = 0; i < 2; i++) {
		kvm[i].xcrs.nr_xcrs = 1;
		kvm[i].xcrs.xcrs[0].value = 1;
		kvm[i].tsc_offset = 1000;
		assert_int_equal(vcpu_create(&machine, i), 0);
	}
	return 0;
}

static void end_thread(void)
{
	if (!vcpus[0].started)
		return;
	park_quit(&machine.park);
	vcpu_kick(&vcpus[0]);
	pthread_join(vcpus[0].thread, NULL);
	vcpus[0].started = false;
}

static int teardown(void **state)
{
	u32 i;

	(void)state;
	end_thread();
	for (i = 0; i < 2; i++)
		vcpu_destroy(&vcpus[i]);
	park_fini(&machine.park);
	return 0;
}

static void kick(void *arg)
{
	(void)arg;
	vcpu_kick(&vcpus[0]);
}

/* One CPU resets the machine while another posts messages. */
static void vcpu_reset_completes_an_open_exit_first(void **state)
{
	u64 begun = 0;
	u32 i;

	(void)state;
	assert_int_equal(vcpu_start_thread(&vcpus[0]), 0);
	for (i = 0; i < ROUNDS; i++) {
		usleep(i % 7 * 30);
		park_all(&machine.park, 1, kick, NULL);
		assert_int_equal(kvm[0].open, 0);
		begun += vcpus[0].stats.hv_post;
		assert_int_equal(vcpu_reset(&vcpus[0]), 0);
		assert_int_equal(kvm[0].rip, 0xfff0);
		park_go(&machine.park);
	}
	end_thread();
	assert_int_equal(kvm[0].wrong, 0);
	assert_true(begun > ROUNDS && vcpus[0].stats.mmio > 0);
}

/* Everything that a guest can change, it changes. */
static void live(struct kvm *k)
{
	size_t from = offsetof(struct kvm, sregs), to = offsetof(struct kvm, touched);
	u32 i;

	memset((u8 *)k + from, 0x5a, to - from);
	k->touched = true;
	for (i = 0; i < k->num_msrs; i++)
		k->msrs[i].value = ~0ull;
}

static void vcpu_reset_restores_every_register(void **state)
{
	struct kvm before;
	u32 i, n;

	(void)state;
	for (n = 0; n < 2; n++) {
		before = kvm[n];
		live(&kvm[n]);
		assert_int_equal(vcpu_reset(&vcpus[n]), 0);
		assert_memory_equal(&kvm[n].sregs, &before.sregs, sizeof(before.sregs));
		assert_memory_equal(&kvm[n].lapic, &before.lapic, sizeof(before.lapic));
		assert_memory_equal(&kvm[n].debugregs, &before.debugregs, sizeof(before.debugregs));
		assert_memory_equal(&kvm[n].events, &before.events, sizeof(before.events));
		assert_memory_equal(&kvm[n].xcrs, &before.xcrs, sizeof(before.xcrs));
		assert_memory_equal(kvm[n].xsave, before.xsave, sizeof(before.xsave));
		assert_memory_equal(kvm[n].nested, before.nested, sizeof(before.nested));
		assert_int_equal(kvm[n].mp.mp_state,
				 n ? KVM_MP_STATE_UNINITIALIZED : KVM_MP_STATE_RUNNABLE);
		assert_int_equal(kvm[n].tsc_offset, 1000);
		for (i = 0; i < before.num_msrs; i++) {
			u32 index = before.msrs[i].index;
			bool kept = index == 0x10 || index == 0x40000010 || index == READ_ONLY ||
				    index == STUBBORN;

			assert_int_equal(*msr(&kvm[n], index), kept ? ~0ull : before.msrs[i].value);
		}
		assert_int_equal(*msr(&kvm[n], KVMB_MSR_CRASH_CTL), HV_CRASH_NOTIFY);
		/* an MTRR, which no list names */
		assert_int_equal(*msr(&kvm[n], 0x200), 0x200 * 3);
	}
}

/*
 * What a pause takes from the TSC is not given back by a reset: it would go backwards for nobody's
 * good.
 */
static void vcpu_reset_keeps_the_tsc_shift(void **state)
{
	u32 i;

	(void)state;
	for (i = 0; i < 2; i++)
		assert_int_equal(vcpu_shift_tsc(&vcpus[i], 10), 0);
	kvm[1].tsc_offset = 5; /* the guest has set its second CPU's */
	for (i = 0; i < 2; i++) {
		assert_int_equal(vcpu_reset(&vcpus[i]), 0);
		assert_int_equal(kvm[i].tsc_offset, 990);
	}
}

static int setup_odd(void **state)
{
	lacking = 0xc0000102;
	return setup(state);
}

static int teardown_odd(void **state)
{
	lacking = 0;
	return teardown(state);
}

/* No VM fails to start for one register; the others are brought back all the same. */
static void vcpu_reset_without_a_register_works(void **state)
{
	u64 before = *msr(&kvm[1], 0x174), mtrr = *msr(&kvm[1], 0x200);

	(void)state;
	live(&kvm[1]);
	assert_int_equal(vcpu_reset(&vcpus[1]), 0);
	assert_int_equal(*msr(&kvm[1], 0x174), before);
	assert_int_equal(*msr(&kvm[1], 0x200), mtrr);
	assert_int_equal(*msr(&kvm[1], lacking), lacking * 3ull); /* never touched */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(vcpu_reset_completes_an_open_exit_first),
		T(vcpu_reset_restores_every_register),
		T(vcpu_reset_keeps_the_tsc_shift),
		cmocka_unit_test_setup_teardown(vcpu_reset_without_a_register_works, setup_odd,
						teardown_odd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
