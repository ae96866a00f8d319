// SPDX-License-Identifier: GPL-2.0-only
/*
 * SynIC pages that a guest switches while others write to them. Its memory is plain memory here,
 * for TSan to watch.
 */
#include "machine/hyperv.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host-vsp/bus/bus.h"
#include "lib/dirty_log.h"
#include "lib/util.h"
#include "machine/irq.h"
#include "tests/harness/fake_vmm.h"
#include "tests/unit/test.h"

#define ROUNDS 20000
#define SINT_OFFSET (HV_VMBUS_SINT * 256u)

/* ---- the rest of the VMM ---- */

u32 irq_message_gsi(struct machine *m, u32 vp)
{
	(void)m;
	return vp;
}

static u32 acks_wanted;

int irq_assign(struct machine *m, u32 gsi, int fd, int resample_fd)
{
	(void)m, (void)gsi, (void)fd;
	acks_wanted += resample_fd >= 0;
	return 0;
}

void irq_deassign(struct machine *m, u32 gsi, int fd)
{
	(void)m, (void)gsi, (void)fd;
}

static u16 to_bus(void *arg, u32 conn, u32 type, const void *payload, u32 len)
{
	return kvmb_bus_post(arg, conn, type, payload, len);
}

static void acked(void *arg)
{
	kvmb_bus_message_acked(arg);
}

static const struct machine_ops ops = { .post = to_bus, .acked = acked };

static struct fake_vmm f;
static struct machine machine;
static struct vcpu vcpu;
static int stop; /* atomic */
static pthread_t t[3];
static u32 num_threads;
static u64 gpa_msg, gpa_evt;

static int setup(void **state)
{
	(void)state;
	fake_init(&f, KVMB_VERSION_NEWEST);
	memset(&machine, 0, sizeof(machine));
	memset(&vcpu, 0, sizeof(vcpu));
	machine.name = "t";
	machine.cfg.cpus = 1;
	machine.gm = f.gm;
	machine.loop = f.loop;
	machine.ops = &ops;
	machine.ops_arg = f.bus;
	machine.vcpus = &vcpu;
	hyperv_fill_seam(&machine);
	vcpu.machine = &machine;
	vcpu.run = calloc(1, sizeof(*vcpu.run));
	vcpu.event_fd = eventfd(0, EFD_NONBLOCK);
	stop = 0;
	gpa_msg = fake_alloc(&f, 1) << KVMB_PAGE_SHIFT;
	gpa_evt = fake_alloc(&f, 1) << KVMB_PAGE_SHIFT;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	__atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
	while (num_threads)
		pthread_join(t[--num_threads], NULL);
	close(vcpu.event_fd);
	free(vcpu.run);
	fake_fini(&f);
	return 0;
}

/* The guest writes SIMP, SIEFP and SCONTROL; when this returns it goes on. */
static void switch_pages(bool on)
{
	vcpu.run->hyperv = (struct kvm_hyperv_exit){ .type = KVM_EXIT_HYPERV_SYNIC };
	vcpu.run->hyperv.u.synic.control = 1;
	vcpu.run->hyperv.u.synic.msg_page = gpa_msg | on;
	vcpu.run->hyperv.u.synic.evt_page = gpa_evt | on;
	hyperv_exit(&vcpu);
}

static u32 *host_page(u64 gpa)
{
	return __unshare(kvmb_gm_ptr(&f.gm, gpa, KVMB_PAGE_SIZE));
}

static void *signaller(void *arg)
{
	u32 flag = *(u32 *)arg;

	while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST))
		machine.vmm.ops->raise_event(&machine.vmm, 0, flag);
	return NULL;
}

static void *poster(void *arg)
{
	u8 payload[240];

	(void)arg;
	memset(payload, 0x77, sizeof(payload));
	while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST))
		hyperv_fill_slot(&vcpu, HV_VMBUS_SINT, 1, payload, sizeof(payload));
	return NULL;
}

static void all_zero(const u32 *p, size_t bytes)
{
	size_t i;

	for (i = 0; i < bytes / sizeof(*p); i++)
		assert_int_equal(p[i], 0);
}

static void hyperv_page_off_is_never_written(void **state)
{
	static u32 flags[2] = { 3, 70 };
	u32 *msg = host_page(gpa_msg) + SINT_OFFSET / 4,
	    *evt = host_page(gpa_evt) + SINT_OFFSET / 4, i;
	u64 until = kvmb_now_ms() + 3000; /* two cores take 15 s for all rounds */

	(void)state;
	num_threads = 3;
	pthread_create(&t[0], NULL, signaller, &flags[0]);
	pthread_create(&t[1], NULL, signaller, &flags[1]);
	pthread_create(&t[2], NULL, poster, NULL);
	for (i = 0; i < ROUNDS && (i < ROUNDS / 20 || kvmb_now_ms() < until); i++) {
		switch_pages(true);
		if (i % 16 == 0)
			sched_yield();
		switch_pages(false);
		memset(msg, 0, 256); /* they are used for something else now */
		memset(evt, 0, 256);
		if (i % 16 == 0)
			sched_yield();
		all_zero(msg, 256);
		all_zero(evt, 256);
	}
}

static void hyperv_flag_raised_while_off_comes_late(void **state)
{
	u64 n = 0;

	(void)state;
	machine.vmm.ops->raise_event(&machine.vmm, 0, 35);
	assert_int_equal(read(vcpu.event_fd, &n, sizeof(n)), -1);
	switch_pages(true);
	assert_int_equal(host_page(gpa_evt)[SINT_OFFSET / 4 + 1], 1u << 3);
	assert_int_equal(read(vcpu.event_fd, &n, sizeof(n)), sizeof(n));
	/* it is set already: no further interrupt */
	machine.vmm.ops->raise_event(&machine.vmm, 0, 35);
	assert_int_equal(read(vcpu.event_fd, &n, sizeof(n)), -1);
}

static void hyperv_busy_slot_is_marked_pending(void **state)
{
	struct kvmb_hv_message *slot = (void *)(host_page(gpa_msg) + SINT_OFFSET / 4);

	(void)state;
	assert_int_equal(hyperv_fill_slot(&vcpu, HV_VMBUS_SINT, 1, "abcd", 4), -EAGAIN); /* off */
	switch_pages(true);
	assert_int_equal(hyperv_fill_slot(&vcpu, HV_VMBUS_SINT, 1, "abcd", 4), 0);
	assert_int_equal(hyperv_fill_slot(&vcpu, HV_VMBUS_SINT, 1, "efgh", 4), -EAGAIN);
	assert_true(slot->flags & HV_MSG_FLAG_PENDING);
	assert_memory_equal(slot->payload, "abcd", 4);
}

/* The log has these guest pages, and no others. */
static void check_noted(u64 gpa1, u64 gpa2)
{
	u64 bits[FAKE_RAM / KVMB_PAGE_SIZE / 64] = { 0 }, page;

	kvmb_dirty_log_take(bits, 0, FAKE_RAM / KVMB_PAGE_SIZE);
	for (page = 0; page < FAKE_RAM / KVMB_PAGE_SIZE; page++)
		CHECK_ROW(bits[page / 64] >> page % 64 & 1,
			  page && (page == gpa1 / KVMB_PAGE_SIZE || page == gpa2 / KVMB_PAGE_SIZE),
			  page);
}

/* Not at each write: when all stands, and before they are the guest's again. */
static void hyperv_notes_its_pages(void **state)
{
	u64 msg = gpa_msg, evt = gpa_evt;

	(void)state;
	assert_int_equal(kvmb_dirty_log_prepare(), 0);
	assert_int_equal(kvmb_dirty_log_begin(f.gm.regions[0].hva, FAKE_RAM), 0);
	hyperv_dirty(&vcpu);
	check_noted(0, 0); /* there are none yet */
	switch_pages(true);
	machine.vmm.ops->raise_event(&machine.vmm, 0, 35);
	check_noted(0, 0);
	hyperv_dirty(&vcpu);
	check_noted(msg, evt);
	gpa_msg = fake_alloc(&f, 1) << KVMB_PAGE_SHIFT;
	gpa_evt = fake_alloc(&f, 1) << KVMB_PAGE_SHIFT;
	switch_pages(true);
	check_noted(msg, evt);
	switch_pages(false);
	check_noted(gpa_msg, gpa_evt);
	hyperv_dirty(&vcpu);
	check_noted(0, 0);
	kvmb_dirty_log_end();
}

static void no_ack(void *arg)
{
	(void)arg;
}

static u64 interrupts(void)
{
	u64 n = 0;

	return read(vcpu.event_fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void load(u64 control)
{
	acks_wanted = 0;
	vcpu.ack_assigned = false;
	hyperv_vcpu_loaded(&vcpu, control, gpa_msg | 1, gpa_evt | 1);
}

/* What was on its way to the guest when the VM was saved is raised once more, and nothing else. */
static void hyperv_loaded_raises_what_waits(void **state)
{
	struct kvmb_hv_message *slot = (void *)(host_page(gpa_msg) + SINT_OFFSET / 4);

	(void)state;
	kvmb_timer_init(&vcpu.ack_timer, f.loop, no_ack, NULL);
	load(1);
	assert_int_equal(interrupts(), 0);
	host_page(gpa_evt)[SINT_OFFSET / 4 + 63] = 1u << 31; /* the last flag */
	load(1);
	assert_int_equal(interrupts(), 1);
	load(0); /* its SynIC is off */
	assert_int_equal(interrupts(), 0);
	host_page(gpa_evt)[SINT_OFFSET / 4 + 63] = 0;
	slot->type = 1;
	load(1);
	assert_int_equal(interrupts(), 1);
	assert_int_equal(acks_wanted, 0);
	slot->flags = HV_MSG_FLAG_PENDING; /* more wait for this one to be taken */
	load(1);
	assert_int_equal(interrupts(), 1);
	assert_int_equal(acks_wanted, 1);
	slot->type = 0;
	vcpu.late_flags[1] = 8; /* raised while the page was off, which it is no more */
	load(1);
	assert_int_equal(host_page(gpa_evt)[SINT_OFFSET / 4 + 1], 8);
	assert_true(interrupts() > 0);
	kvmb_timer_cancel(&vcpu.ack_timer);
}

static void hyperv_loaded_takes_no_page_outside_ram(void **state)
{
	(void)state;
	hyperv_vcpu_loaded(&vcpu, 1, ~0ull, 1ull << 50 | 1);
	assert_null(vcpu.simp);
	assert_null(vcpu.siefp);
	machine.vmm.ops->raise_event(&machine.vmm, 0, 35);
	assert_int_equal(vcpu.late_flags[1], 1u << 3);
	hyperv_vcpu_loaded(&vcpu, 1, gpa_msg, gpa_evt); /* not enabled */
	assert_null(vcpu.simp);
	assert_null(vcpu.siefp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(hyperv_page_off_is_never_written),   T(hyperv_flag_raised_while_off_comes_late),
		T(hyperv_busy_slot_is_marked_pending), T(hyperv_notes_its_pages),
		T(hyperv_loaded_raises_what_waits),    T(hyperv_loaded_takes_no_page_outside_ram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
