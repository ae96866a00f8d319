// SPDX-License-Identifier: GPL-2.0-only
/* A legacy NIC's backend is lent to it, and has limits. */
#include "vmm/legacy_nic.h"

#include <arpa/inet.h>

#include "host-vsp/tuner.h"
#include "tests/harness/legacy_wire.h"

/* What it lent out and has back in any order with frames: no call comes but while it has it. */
static void legacy_nic_lends_its_backend(void **state)
{
	u32 i, calls, sent = 0;

	(void)state;
	begin(play(), false);
	for (i = 0; i < 200; i++) {
		UNTIL(!(tx_status(board.cur_tx + 1) & DESC_OWN)); /* room for two */
		driver_send(100, 0, 0);
		if (i % 3)
			continue;
		legacy_nic_let_go(nic);
		legacy_nic_let_go(nic);
		calls = __atomic_load_n(&played.calls, __ATOMIC_RELAXED);
		kvmb_net_set_path(backend, KVMB_NET_SYNTHETIC);
		assert_false(link_is_up());
		driver_send(100, 0, 0);
		UNTIL(!(tx_status(board.cur_tx - 1) & DESC_OWN)); /* lost, as without a cable */
		assert_int_equal(__atomic_load_n(&played.calls, __ATOMIC_RELAXED), calls);
		sent = __atomic_load_n(&played.sent, __ATOMIC_ACQUIRE);
		kvmb_net_set_path(backend, KVMB_NET_EMULATED);
		legacy_nic_use(nic);
		assert_true(link_is_up());
	}
	driver_send(100, 0, 0);
	UNTIL(__atomic_load_n(&played.sent, __ATOMIC_ACQUIRE) > sent);
}

/* Nothing of the old one is left when it has another: neither its descriptor nor news of that. */
static void legacy_nic_takes_a_backend_that_is_back(void **state)
{
	u8 f[200];
	__be32 len = htonl(200);
	int fd;

	(void)state;
	begin(kvmb_net_stream_open(sockets(SOCK_STREAM)), false);
	close(wire);
	UNTIL(!link_is_up());
	assert_int_equal(lost, 1);
	fd = sockets(SOCK_STREAM);
	close(backend->fd[0]);
	backend->fd[0] = fd;
	legacy_nic_use(nic);
	assert_true(link_is_up());
	make_frame(f, sizeof(f), 3);
	assert_int_equal(send(wire, &len, 4, 0), 4);
	assert_int_equal(send(wire, f, 200, 0), 200);
	assert_int_equal(receive_one(), 200);
	assert_int_equal(lost, 1);
}

static void legacy_nic_announces(void **state)
{
	static const u8 rarp[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	u8 f[2048];

	(void)state;
	begin(tap(), false);
	legacy_nic_announce(nic, rarp, sizeof(rarp));
	assert_int_equal(from_wire(f, sizeof(f)), sizeof(rarp));
	legacy_nic_let_go(nic);
	legacy_nic_announce(nic, rarp, sizeof(rarp));
	assert_int_equal(recv(wire, f, sizeof(f), 0), -1);
}

static void tag_frame(u8 *f, u16 vid)
{
	f[12] = 0x81;
	f[13] = 0;
	f[14] = (u8)(vid >> 8);
	f[15] = (u8)vid;
}

static void legacy_nic_is_on_an_access_vlan(void **state)
{
	u8 f[2048], g[2048];
	u32 i;

	(void)state;
	vlan = 0x123;
	begin(tap(), false);
	driver_send(100, 5, 0);
	assert_int_equal(from_wire(f, sizeof(f)), 104);
	assert_memory_equal(f + 12, "\x81\0\x01\x23", 4);
	assert_int_equal(f[16 + 50], (u8)(12 + 50 + 5));
	assert_memory_equal(f + 6, board.mac, 6);
	for (i = 0; i < 4; i++) { /* untagged, another, of priority only, its own */
		make_frame(g, 200, (u8)i);
		if (i)
			tag_frame(g, i == 1 ? 0x124 : i == 2 ? 0 : 0x6123);
		to_wire(&plain_hdr, g, 200);
	}
	assert_int_equal(receive_one(), 196);
	assert_memory_equal(received, g, 12);
	assert_memory_equal(received + 12, g + 16, 184);
	assert_int_equal(stats().rx_dropped, 3);
}

static void legacy_nic_lets_no_tag_out_of_an_access_vlan(void **state)
{
	u8 f[2048];

	(void)state;
	vlan = 5;
	begin(tap(), false);
	driver_fill(100, 0);
	tag_frame(ram_at(TX_BUF(board.cur_tx)), 5);
	driver_queue(100, 0);
	UNTIL(!(tx_status(board.cur_tx - 1) & DESC_OWN));
	assert_int_equal(stats().tx_dropped, 1);
	driver_send(101, 0, 0);
	assert_int_equal(from_wire(f, sizeof(f)), 105);
}

/* A frame is 0.1 s of it: behind a burst each waits for so long. */
static void legacy_nic_keeps_its_rate(void **state)
{
	u64 began;
	u8 f[2048];
	u32 i;

	(void)state;
	rate = 15000;
	begin(tap(), false);
	began = kvmb_mono_ns();
	for (i = 0; i < 6; i++) {
		UNTIL(!(tx_status(board.cur_tx) & DESC_OWN));
		driver_send(1500, (u8)i, 0);
	}
	for (i = 0; i < 6; i++)
		assert_int_equal(from_wire(f, sizeof(f)), 1500);
	assert_true(kvmb_mono_ns() - began > 250000000);
	began = kvmb_mono_ns();
	for (i = 0; i < 6; i++) {
		make_frame(f, 1500, (u8)i);
		to_wire(&plain_hdr, f, 1500);
	}
	for (i = 0; i < 6; i++)
		assert_int_equal(receive_one(), 1500);
	assert_true(kvmb_mono_ns() - began > 250000000);
	assert_int_equal(stats().tx_dropped + stats().rx_missed, 0);
}

static void legacy_nic_lives_without_its_backend(void **state)
{
	(void)state;
	begin(kvmb_net_stream_open(sockets(SOCK_STREAM)), false);
	close(wire);
	wire = -1;
	UNTIL(!link_is_up());
	driver_send(100, 0, 0);
	UNTIL(!(tx_status(board.cur_tx - 1) & DESC_OWN));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(legacy_nic_lends_its_backend),
		T(legacy_nic_takes_a_backend_that_is_back),
		T(legacy_nic_announces),
		T(legacy_nic_is_on_an_access_vlan),
		T(legacy_nic_lets_no_tag_out_of_an_access_vlan),
		T(legacy_nic_keeps_its_rate),
		T(legacy_nic_lives_without_its_backend),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
