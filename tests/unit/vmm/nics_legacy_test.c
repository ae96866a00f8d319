// SPDX-License-Identifier: GPL-2.0-only
/*
 * One network, two NICs: a guest drives the legacy NIC and its netvsc, in any order, and never both
 * reach the network.
 */
#include "vmm/nics_legacy.h"

#include <pthread.h>
#include <sched.h>

#include "host-vsp/net/net_state.h"
#include "lib/tlv.h"
#include "tests/harness/legacy_box.h"

/* ---- hand-over ---- */

static void a_guest_without_drivers_has_its_legacy_nic(void **state)
{
	u32 status;

	(void)state;
	assert_true(nics_legacy_has(&vm, INDEX));
	assert_false(nics_legacy_has(&vm, 0));
	assert_false(nics_legacy_has(&vm, LEGACY_NICS));
	assert_int_equal(conf_in(0, 4), 0x00091011);
	tulip_up();
	assert_true(tulip_link());
	tulip_sends();
	assert_int_equal(by_legacy(), 1);
	bring(1);
	UNTIL(driver_receive(&status));
	assert_string_equal(via(), "legacy");
}

static void netvsc_takes_the_network_when_it_is_up(void **state)
{
	u32 status, len;

	(void)state;
	tulip_up();
	bring_up();
	assert_true(tulip_link());
	tulip_sends();
	assert_int_equal(by_legacy(), 1);
	set_filter(0x2d);
	assert_false(tulip_link()); /* by the time that the guest has its answer */
	assert_string_equal(via(), "vmbus");
	tulip_sends(); /* into nothing */
	netvsc_sends();
	assert_int_equal(by_legacy(), 1);
	assert_int_equal(by_net(), 1);
	bring(1);
	assert_non_null(received(0, &len));
	assert_null(driver_receive(&status));
}

static void the_legacy_nic_has_it_back_when_netvsc_is_gone(void **state)
{
	u32 status, i;

	(void)state;
	tulip_up();
	for (i = 0; i < 3; i++) {
		bring_up();
		set_filter(0x2d);
		netvsc_sends();
		close_channel();
		assert_string_equal(via(), "legacy");
		assert_true(tulip_link());
		tulip_sends();
		assert_int_equal(by_legacy(), i + 1);
		bring(1);
		UNTIL(driver_receive(&status));
		open_again();
	}
	assert_int_equal(by_net(), 3);
}

static void a_reset_starts_with_the_legacy_nic(void **state)
{
	(void)state;
	tulip_up();
	bring_up();
	set_filter(0x2d);
	reset_vm();
	assert_string_equal(via(), "legacy");
	assert_int_equal(csr_in(5) >> 17 & 0x3f, 0); /* both processes are stopped */
	assert_true(driver_bmsr() & 4);		     /* nobody hears of the life before */
	tulip_up();
	tulip_sends();
	assert_int_equal(by_legacy(), 1);
}

static void the_cable_is_one(void **state)
{
	(void)state;
	tulip_up();
	nics_legacy_link(&vm, 0, false); /* there is none */
	bring_up();
	set_filter(0x2d);
	nics_legacy_link(&vm, INDEX, false);
	nics_legacy_link(&vm, INDEX, true);
	assert_false(tulip_link()); /* it is the other's */
	nics_legacy_link(&vm, INDEX, false);
	close_channel();
	assert_false(tulip_link());
	nics_legacy_link(&vm, INDEX, true);
	assert_true(tulip_link());
}

static void a_nic_may_be_legacy_only(void **state)
{
	struct kvmb_net_info i;

	(void)state;
	end_vm();
	begin_vm(NIC_LEGACY);
	assert_int_equal(fake_connect(&f, KVMB_VERSION_NEWEST, &offer, 1), 0);
	kvmb_net_get_info(nic, &i);
	assert_true(i.emulated && !i.offered);
	tulip_up();
	tulip_sends();
	assert_int_equal(by_legacy(), 1);
}

static void counters_are_of_the_legacy_side(void **state)
{
	json_t *o;

	(void)state;
	assert_null(nics_legacy_stats(&vm, 0));
	tulip_up();
	tulip_sends();
	o = nics_legacy_stats(&vm, INDEX);
	assert_int_equal(json_integer_value(json_object_get(o, "tx_frames")), 1);
	assert_int_equal(json_integer_value(json_object_get(o, "tx_bytes")), 100);
	json_decref(o);
}

/* ---- standing still, saved VMs ---- */

static u8 version_in_rom(void)
{
	u8 b = 0;

	conf_out(0x30, 4, 0xfeb00001);
	conf_out(0x04, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	pci_memory(board.m.pci, 0xfeb00002, 1, false, &b);
	return b;
}

static void a_thread_stands_for_a_save(void **state)
{
	u32 sent;

	(void)state;
	tulip_up();
	nics_legacy_rest(&vm);
	nics_legacy_rest(&vm); /* nothing more */
	driver_send(100, 0, 0);
	usleep(2000);
	assert_true(tx_status(board.cur_tx - 1) & DESC_OWN);
	nics_legacy_go_on(&vm);
	UNTIL(!(tx_status(board.cur_tx - 1) & DESC_OWN));
	sent = by_legacy();
	nics_legacy_rest(&vm);
	vm.state = VM_ENDED; /* its memory may be another process's */
	nics_legacy_go_on(&vm);
	driver_send(100, 0, 0);
	usleep(2000);
	assert_int_equal(by_legacy(), sent);
}

/* A vCPU, which may have to wait for that lock as well. */
static void *send_by_vcpu(void *arg)
{
	driver_send(100, 0, TX_INT);
	return arg;
}

/* Its thread waits for memory, with the device's lock: the main thread does not wait with it. */
static void the_end_waits_for_no_lock(enum vm_state state)
{
	pthread_t sender;

	tulip_up();
	csr_out(5, ~0u);
	__atomic_store_n(&board.hold, true, __ATOMIC_RELEASE);
	pthread_create(&sender, NULL, send_by_vcpu, NULL);
	UNTIL(__atomic_load_n(&board.holds, __ATOMIC_ACQUIRE));
	vm.state = state;
	settle_nics();
	settle_nics(); /* killed amid a reset */
	while (kvmb_loop_once(f.loop, 30) > 0)
		;
	assert_false(settled);
	__atomic_store_n(&board.hold, false, __ATOMIC_RELEASE);
	pthread_join(sender, NULL);
	UNTIL(settled);
	assert_int_equal(csr_in(6) & (OP_TX | OP_RX), 0);
}

static void a_reset_waits_for_no_lock(void **state)
{
	(void)state;
	the_end_waits_for_no_lock(VM_RESETTING);
	vm.state = VM_RUNNING;
	plug_in();
	tulip_up();
	tulip_sends();
}

static void an_end_waits_for_no_lock(void **state)
{
	u32 sent;

	(void)state;
	the_end_waits_for_no_lock(VM_ENDED);
	sent = by_legacy();
	driver_up();
	driver_send(100, 0, 0);
	usleep(2000);
	assert_int_equal(by_legacy(), sent);
}

struct old { /* what is left of a VM */
	struct kvmb_tlv_out o;
	u8 ram[0x12000];
	u32 cur_rx, cur_tx;
};

static void save_vm(struct old *old)
{
	memset(old, 0, sizeof(*old));
	nics_legacy_rest(&vm);
	nics_legacy_save(&vm, &old->o);
	kvmb_net_save(nic, &old->o);
	memcpy(old->ram, ram_at(0), sizeof(old->ram));
	old->cur_rx = board.cur_rx;
	old->cur_tx = board.cur_tx;
}

/* Return: 0, or the error of the first section that was refused. */
static int load_vm(struct old *old, enum nic_model model, char *why)
{
	struct kvmb_tlv_error e = { 0 };
	struct kvmb_tlv t;
	size_t pos = 0;

	make_vm(model, true);
	if (model != NIC_LEGACY)
		kvmb_net_offer(nic, f.bus);
	memcpy(ram_at(0), old->ram, sizeof(old->ram));
	board.cur_rx = old->cur_rx;
	board.cur_tx = old->cur_tx;
	while (!e.err && !kvmb_tlv_next(old->o.buf, old->o.len, &pos, &t, &e)) {
		if (t.tag == KVMB_SEC_LEGACY)
			nics_legacy_load(&vm, &t);
		else
			kvmb_net_load(nic, &t);
	}
	strcpy(why, e.text);
	if (!e.err)
		nics_legacy_loaded(&vm);
	return e.err;
}

static void a_saved_legacy_nic_goes_on(void **state)
{
	struct old old;
	char why[200];

	(void)state;
	tulip_up();
	driver_send(100, 0, 0);
	UNTIL(by_legacy() == 1);
	nics_legacy_rest(&vm);
	driver_send(100, 0, 0); /* and its vCPU stands: the frame is in the ring */
	save_vm(&old);
	end_vm();
	rom_version = 2;
	assert_int_equal(load_vm(&old, NIC_AUTO, why), 0);
	assert_int_equal(version_in_rom(), 1); /* that which belongs to its firmware */
	rom_version = 1;
	usleep(2000);
	assert_int_equal(by_legacy(), 0); /* it stands */
	nics_legacy_go_on(&vm);
	UNTIL(by_legacy() == 1);
	assert_true(tulip_link());
	assert_string_equal(via(), "legacy");
	kvmb_tlv_out_fini(&old.o);
}

static void a_saved_netvsc_keeps_the_network(void **state)
{
	struct old old;
	char why[200];

	(void)state;
	tulip_up();
	bring_up();
	set_filter(0x2d);
	save_vm(&old);
	end_vm();
	assert_int_equal(load_vm(&old, NIC_AUTO, why), 0);
	assert_string_equal(via(), "vmbus");
	nics_legacy_go_on(&vm);
	assert_false(tulip_link());
	tulip_sends();
	assert_int_equal(by_legacy(), 0);
	end_vm();
	assert_int_equal(load_vm(&old, NIC_LEGACY, why), -EPROTO);
	assert_non_null(strstr(why, "section legacy 2: field 1: here it is no synthetic NIC"));
	kvmb_tlv_out_fini(&old.o);
}

static void half_a_state_is_refused(void **state)
{
	struct kvmb_tlv_error e = { 0 };
	struct kvmb_tlv_out o = { 0 };
	struct kvmb_tlv t;
	size_t pos = 0;

	(void)state;
	kvmb_tlv_begin(&o, KVMB_SEC_LEGACY, INDEX, KVMB_TLV_CRITICAL);
	kvmb_tlv_put(&o, 1, 1);
	kvmb_tlv_end(&o);
	assert_int_equal(kvmb_tlv_next(o.buf, o.len, &pos, &t, &e), 0);
	assert_int_equal(nics_legacy_load(&vm, &t), -EPROTO);
	kvmb_tlv_out_fini(&o);
}

/* ---- whatever comes in whatever order: the network asserts that it has one user ---- */

enum { CLOSED, OPEN, UP };

static void step_netvsc(u32 what, u32 *at)
{
	if (what == 0 && *at == CLOSED) {
		open_again();
		*at = OPEN;
	} else if (what == 0 && *at == OPEN) {
		bring_up();
		*at = UP;
	} else if (what == 1 && *at == UP) {
		set_filter(0x2d);
	} else if (what == 2 && *at == UP) {
		netvsc_sends();
	} else if (what == 3 && *at) {
		close_channel();
		*at = CLOSED;
	}
}

static void no_order_gives_the_network_two_users(void **state)
{
	u32 seed = 1, i, at = OPEN;

	(void)state;
	tulip_up();
	for (i = 0; i < 1500; i++) {
		seed = seed * 1103515245u + 12345;
		switch (seed >> 16 & 7) {
		case 4:
		case 5:
			tulip_sends();
			break;
		case 6:
			nics_legacy_rest(&vm);
			driver_send(100, 0, 0);
			if (seed >> 20 & 1)
				usleep(200);
			nics_legacy_go_on(&vm);
			UNTIL(!(tx_status(board.cur_tx - 1) & DESC_OWN));
			break;
		case 7:
			csr_out(0, 1);
			tulip_up();
			break;
		default:
			step_netvsc(seed >> 16 & 3, &at);
		}
	}
	print_message("%u and %u frames\n", by_legacy(), by_net());
	assert_true(by_legacy() > 100 && by_net() > 10);
}

/* ---- all at once: a vCPU, the network, both NICs' threads, the main thread ---- */

static pthread_mutex_t vcpu = PTHREAD_MUTEX_INITIALIZER; /* who has it lets no vCPU run */
static bool over;					 /* atomic */

static bool is_over(void)
{
	return __atomic_load_n(&over, __ATOMIC_ACQUIRE);
}

static void *vcpu_main(void *arg)
{
	u32 n = 0, status;

	(void)arg;
	while (!is_over()) {
		pthread_mutex_lock(&vcpu);
		if (++n % 64 == 0)
			driver_up();
		else if (!(tx_status(board.cur_tx) & DESC_OWN))
			driver_send(100, 0, 0);
		driver_receive(&status);
		if (n % 7 == 0)
			tulip_link();
		csr_out(5, INT_ALL);
		pthread_mutex_unlock(&vcpu);
		sched_yield();
	}
	return NULL;
}

static void *wire_main(void *arg)
{
	(void)arg;
	while (!is_over()) {
		if (__atomic_load_n(&played.brings, __ATOMIC_ACQUIRE) < 4)
			bring(1);
		usleep(300);
	}
	return NULL;
}

/* Frames come whenever they want. */
static void drain_netvsc(void)
{
	static u8 buf[1024] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;

	while (!kvmb_ring_peek(&c.rx, buf, sizeof(buf), &pkt)) {
		if (pkt.type == KVMB_PKT_XFER_PAGES)
			complete_rx(&pkt);
		kvmb_ring_skip(&c.rx, &pkt);
		kvmb_ring_release(&c.rx);
	}
}

static void ask_for_filter(void)
{
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT) };
	struct {
		struct kvmb_wire_gpa_direct g;
		struct kvmb_wire_gparange r;
		__le64 pfn;
	} h = { { 0, cpu_to_le32(1) }, { cpu_to_le32(32), 0 }, cpu_to_le64(ctl_gfn) };
	u32 *p = rndis(KVMB_RNDIS_SET, 32);

	p[3] = KVMB_OID_GEN_CURRENT_PACKET_FILTER;
	p[4] = 4;
	p[5] = 20;
	p[7] = 0x2d;
	m.u.rndis.channel_type = cpu_to_le32(KVMB_NVSP_CHANNEL_CONTROL);
	m.u.rndis.section_index = cpu_to_le32(KVMB_NVSP_NO_SECTION);
	assert_int_equal(
		fake_send(&f, &c, KVMB_PKT_GPA_DIRECT, 1, ++next_id, &h, 24, &m, sizeof(m)), 0);
}

static void send_without_waiting(void)
{
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT) };
	struct {
		struct kvmb_wire_gpa_direct g;
		struct kvmb_wire_gparange r;
		__le64 pfn;
	} h = { { 0, cpu_to_le32(1) }, { cpu_to_le32(244), 0 }, cpu_to_le64(ctl_gfn + 2) };
	u8 *p = fake_ptr(&f, (ctl_gfn + 2) << 12);
	u32 *w = (u32 *)(void *)p;

	w[0] = KVMB_RNDIS_PACKET;
	w[1] = 244;
	w[2] = 36;
	w[3] = 200;
	memcpy(p + 44 + 6, mac, 6);
	m.u.rndis.section_index = cpu_to_le32(KVMB_NVSP_NO_SECTION);
	fake_send(&f, &c, KVMB_PKT_GPA_DIRECT, 1, ++next_id, &h, 24, &m, sizeof(m));
}

static void all_at_once(void **state)
{
	pthread_t a, b;
	u32 seed = 3, i, at = OPEN;

	(void)state;
	over = false;
	driver_up();
	pthread_create(&a, NULL, vcpu_main, NULL);
	pthread_create(&b, NULL, wire_main, NULL);
	for (i = 0; i < 1200; i++) {
		seed = seed * 1103515245u + 12345;
		switch (seed >> 16 & 7) {
		case 0:
			if (at < UP)
				step_netvsc(0, &at);
			else
				ask_for_filter();
			break;
		case 1:
			if (seed >> 20 & 3)
				break;
			if (at)
				close_channel();
			at = CLOSED;
			break;
		case 2:
		case 3:
			if (at == UP)
				send_without_waiting();
			break;
		case 4:
			pthread_mutex_lock(&vcpu);
			nics_legacy_rest(&vm);
			nics_legacy_go_on(&vm);
			pthread_mutex_unlock(&vcpu);
			break;
		case 5:
			if (seed >> 20 & 3)
				break;
			pthread_mutex_lock(&vcpu);
			if (at)
				close_channel();
			at = CLOSED;
			settle_nics();
			UNTIL(settled);
			driver_up();
			pthread_mutex_unlock(&vcpu);
			break;
		case 6:
			nics_legacy_link(&vm, INDEX, seed >> 20 & 1);
			break;
		default:
			kvmb_loop_once(f.loop, 1);
		}
		if (at == UP)
			drain_netvsc();
	}
	__atomic_store_n(&over, true, __ATOMIC_RELEASE);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	print_message("%u and %u frames\n", by_legacy(), by_net());
	assert_true(by_legacy() && by_net());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_guest_without_drivers_has_its_legacy_nic),
		T(netvsc_takes_the_network_when_it_is_up),
		T(the_legacy_nic_has_it_back_when_netvsc_is_gone),
		T(a_reset_starts_with_the_legacy_nic),
		T(the_cable_is_one),
		T(a_nic_may_be_legacy_only),
		T(counters_are_of_the_legacy_side),
		T(a_thread_stands_for_a_save),
		T(a_reset_waits_for_no_lock),
		T(an_end_waits_for_no_lock),
		T(a_saved_legacy_nic_goes_on),
		T(a_saved_netvsc_keeps_the_network),
		T(half_a_state_is_refused),
		T(no_order_gives_the_network_two_users),
		T(all_at_once),
	};

	return cmocka_run_group_tests_name("nics_legacy", tests, NULL, NULL);
}
