// SPDX-License-Identifier: GPL-2.0-only
/* A legacy NIC's thread between a driver and backends: frames, links, saved VMs. */
#include "vmm/legacy_nic.h"

#include <arpa/inet.h>
#include <sys/epoll.h>

#include "host-vsp/net/net_offload.h"
#include "lib/tlv.h"
#include "tests/harness/legacy_wire.h"

/* ---- a host before Linux 5.11 ---- */

static bool old_kernel; /* atomic */

int __real_epoll_pwait2(int fd, struct epoll_event *ev, int num, const struct timespec *ts,
			const sigset_t *mask);
int __wrap_epoll_pwait2(int fd, struct epoll_event *ev, int num, const struct timespec *ts,
			const sigset_t *mask);
int __wrap_epoll_pwait2(int fd, struct epoll_event *ev, int num, const struct timespec *ts,
			const sigset_t *mask)
{
	if (!__atomic_load_n(&old_kernel, __ATOMIC_ACQUIRE))
		return __real_epoll_pwait2(fd, ev, num, ts, mask);
	errno = ENOSYS;
	return -1;
}

/* ---- frames ---- */

static void legacy_nic_sends_and_receives(void **state)
{
	u8 f[2048], g[2048];
	u32 i;

	(void)state;
	begin(tap(), false);
	for (i = 0; i < 100; i++) {
		driver_send(60 + i * 10, (u8)i, TX_INT);
		assert_int_equal(from_wire(f, sizeof(f)), 60 + i * 10);
		assert_int_equal(f[59], (u8)(59 + i));
		UNTIL(tx_status(board.cur_tx - 1) == 0);
		make_frame(g, 60 + i * 10, (u8)i);
		to_wire(&plain_hdr, g, 60 + i * 10);
		assert_int_equal(receive_one(), 60 + i * 10);
		assert_memory_equal(received, g, 60 + i * 10);
	}
	assert_int_equal(stats().tx_frames, 100);
	UNTIL(stats().rx_frames == 100);
}

static void legacy_nic_works_on_an_old_host(void **state)
{
	__atomic_store_n(&old_kernel, true, __ATOMIC_RELEASE);
	legacy_nic_sends_and_receives(state);
	__atomic_store_n(&old_kernel, false, __ATOMIC_RELEASE);
}

static void legacy_nic_raises_its_line(void **state)
{
	u8 f[64];

	(void)state;
	begin(tap(), false);
	csr_out(5, INT_ALL);
	UNTIL(!__atomic_load_n(&board.level, __ATOMIC_ACQUIRE));
	make_frame(f, sizeof(f), 0);
	to_wire(&plain_hdr, f, sizeof(f));
	UNTIL(__atomic_load_n(&board.level, __ATOMIC_ACQUIRE));
	csr_out(5, INT_ALL);
	assert_int_equal(__atomic_load_n(&board.level, __ATOMIC_ACQUIRE), 0);
}

static void legacy_nic_works_over_a_stream(void **state)
{
	u8 f[2048];
	__be32 len;
	u32 i;

	(void)state;
	begin(kvmb_net_stream_open(sockets(SOCK_STREAM)), false);
	for (i = 0; i < 50; i++) {
		driver_send(1000, (u8)i, 0);
		UNTIL(recv(wire, &len, 4, MSG_PEEK) == 4);
		UNTIL(recv(wire, f, 1004, MSG_PEEK) == 1004);
		assert_int_equal(recv(wire, f, 1004, 0), 1004);
		assert_int_equal(ntohl(len), 1000);
		assert_int_equal(f[4 + 500], (u8)(500 + i));
	}
	for (i = 0; i < 5; i++) { /* many with one read */
		make_frame(f, 100, (u8)i);
		len = htonl(100);
		assert_int_equal(send(wire, &len, 4, 0), 4);
		assert_int_equal(send(wire, f, 100, 0), 100);
	}
	for (i = 0; i < 5; i++) {
		assert_int_equal(receive_one(), 100);
		assert_int_equal(received[50], (u8)(50 + i));
	}
}

/* More than the wire holds: nothing is lost, nothing comes twice, and the order is kept. */
static void legacy_nic_waits_for_a_full_backend(void **state)
{
	u8 f[2048];
	u32 i, got = 0;

	(void)state;
	begin(tap(), false);
	for (i = 0; i < 200; i++) {
		while (tx_status(board.cur_tx) & DESC_OWN) { /* the ring is full */
			assert_int_equal(from_wire(f, sizeof(f)), 1514);
			assert_int_equal(f[100], (u8)(100 + got++));
		}
		driver_send(1514, (u8)i, 0);
	}
	while (got < 200) {
		from_wire(f, sizeof(f));
		assert_int_equal(f[100], (u8)(100 + got++));
	}
	assert_int_equal(stats().tx_dropped, 0);
}

static void legacy_nic_drops_what_a_deaf_backend_leaves(void **state)
{
	u32 i;

	(void)state;
	begin(tap(), false);
	for (i = 0; i < 60; i++) {
		UNTIL(!(tx_status(board.cur_tx) & DESC_OWN)); /* a second, once */
		driver_send(1514, (u8)i, 0);
	}
	driver_perfect(); /* is behind them, and gets its turn */
	UNTIL(tx_status(board.cur_tx - 1) == 0x7fffffff);
	assert_true(stats().tx_dropped > 0);
}

static void legacy_nic_does_not_let_its_guest_spoof(void **state)
{
	u8 f[2048];

	(void)state;
	begin(tap(), false);
	board.mac[5] ^= 1;
	driver_send(100, 1, 0);
	board.mac[5] ^= 1;
	driver_send(101, 2, 0);
	assert_int_equal(from_wire(f, sizeof(f)), 101);
	assert_int_equal(stats().tx_spoofed, 1);
	destroy_nic();
	close(wire);
	board_end();
	board_begin();
	begin(tap(), true);
	board.mac[5] ^= 1;
	driver_send(100, 1, 0);
	board.mac[5] ^= 1;
	assert_int_equal(from_wire(f, sizeof(f)), 100);
}

/* A sender on this host leaves checksums to who needs them; we do. */
static void legacy_nic_completes_checksums(void **state)
{
	struct virtio_net_hdr h = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				    .csum_start = 34,
				    .csum_offset = 6 };
	u8 f[101];
	u16 sum;

	(void)state;
	begin(tap(), false);
	make_frame(f, sizeof(f), 3);
	memcpy(f + 40, "\x12\x34", 2); /* the sum of a pseudo-header */
	to_wire(&h, f, sizeof(f));
	assert_int_equal(receive_one(), sizeof(f));
	sum = kvmb_csum_fold(kvmb_csum_add(0, received + 34, sizeof(f) - 34));
	memcpy(&h.csum_start, f + 40, 2); /* the pseudo-header counts, too */
	assert_int_equal(kvmb_csum_fold((u64)sum + h.csum_start), 0xffff);
	assert_memory_equal(received, f, 40);
	assert_memory_equal(received + 42, f + 42, sizeof(f) - 42);
}

static void legacy_nic_drops_what_is_no_plain_frame(void **state)
{
	struct virtio_net_hdr gso = { .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 500 };
	struct virtio_net_hdr outside = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					  .csum_start = 90,
					  .csum_offset = 16 };
	u8 f[3000];

	(void)state;
	begin(tap(), false);
	make_frame(f, sizeof(f), 1);
	to_wire(&gso, f, 1000);
	to_wire(&outside, f, 100);
	to_wire(&plain_hdr, f, 1519);
	to_wire(&plain_hdr, f, 3000);
	to_wire(&plain_hdr, f, 1518);
	assert_int_equal(receive_one(), 1518);
	assert_int_equal(stats().rx_dropped, 4);
}

/* ---- without descriptors ---- */

static void legacy_nic_keeps_a_frame_for_a_slow_guest(void **state)
{
	u8 f[200];
	u32 i;

	(void)state;
	begin(tap(), false);
	for (i = 0; i < RX_NUM + 3; i++) {
		make_frame(f, sizeof(f), (u8)i);
		to_wire(&plain_hdr, f, sizeof(f));
	}
	UNTIL(csr_in(5) & 0x80); /* the ring is full, and one is in the NIC's hand */
	for (i = 0; i + stats().rx_missed < RX_NUM + 3; i++) {
		assert_int_equal(receive_one(), sizeof(f));
		/* none is missed before the ring was full, and only if we are slow indeed */
		assert_in_range(received[100], 100 + i,
				100 + i + (i < RX_NUM ? 0 : stats().rx_missed));
	}
}

static void legacy_nic_gives_up_on_a_deaf_guest(void **state)
{
	u8 f[200];
	u32 i;

	(void)state;
	begin(tap(), false);
	for (i = 0; i < RX_NUM + 2; i++) {
		make_frame(f, sizeof(f), (u8)i);
		to_wire(&plain_hdr, f, sizeof(f));
	}
	UNTIL(stats().rx_missed == 2);
	assert_int_equal(csr_in(8) & 0xffff, 2);
	make_frame(f, sizeof(f), 99);
	csr_out(6, 0x020e0200 | OP_TX); /* it does not listen: nothing waits */
	to_wire(&plain_hdr, f, sizeof(f));
	UNTIL(stats().rx_frames == RX_NUM + 1);
	assert_int_equal(stats().rx_missed, 2);
}

/* ---- changes ---- */

static void legacy_nic_stands_still(void **state)
{
	u32 i, calls;

	(void)state;
	begin(play(), false);
	for (i = 0; i < 200; i++) {
		UNTIL(!(tx_status(board.cur_tx + 1) & DESC_OWN)); /* room for two */
		driver_send(100, 0, 0);
		if (i % 3)
			continue;
		legacy_nic_pause(nic);
		legacy_nic_pause(nic);
		calls = __atomic_load_n(&played.calls, __ATOMIC_RELAXED);
		driver_send(100, 0, 0);
		legacy_nic_resume(nic);
		if (i % 30 == 0)
			usleep(2000);
		assert_int_equal(__atomic_load_n(&played.calls, __ATOMIC_RELAXED), calls);
		assert_int_equal(played.inside, 0);
		legacy_nic_resume(nic);
	}
	UNTIL(__atomic_load_n(&played.sent, __ATOMIC_ACQUIRE) == 267);
	legacy_nic_pause(nic); /* its end comes while it stands */
}

static void legacy_nic_shows_its_link(void **state)
{
	u8 f[2048];

	(void)state;
	begin(tap(), false);
	assert_true(link_is_up());
	legacy_nic_set_link(nic, false);
	assert_false(link_is_up());
	driver_send(100, 0, 0);
	UNTIL(tx_status(board.cur_tx - 1) == 0);
	legacy_nic_set_link(nic, true);
	assert_true(link_is_up());
	driver_send(101, 0, 0);
	assert_int_equal(from_wire(f, sizeof(f)), 101);
}

/* ---- saved VMs ---- */

static void legacy_nic_goes_on_after_it_was_saved(void **state)
{
	struct kvmb_tlv_error e = { 0 };
	struct kvmb_tlv_out o = { 0 };
	struct kvmb_tlv t;
	u8 f[2048], ram[0x4000];
	size_t pos = 0;

	(void)state;
	begin(play(), false);
	__atomic_store_n(&played.says, -EAGAIN, __ATOMIC_RELEASE);
	driver_send(100, 5, 0); /* it waits in the ring */
	UNTIL(__atomic_load_n(&played.calls, __ATOMIC_RELAXED) > 2);
	legacy_nic_pause(nic); /* first: what is sent while the link is down is lost */
	legacy_nic_set_link(nic, false);
	legacy_nic_set_link(nic, true);
	kvmb_tlv_begin(&o, KVMB_SEC_MACHINE, 0, 0);
	legacy_nic_save(nic, &o);
	kvmb_tlv_end(&o);
	memcpy(ram, ram_at(0), sizeof(ram));
	memcpy(f, ram_at(TX_BUF(1)), 100);
	destroy_nic();
	board_end();
	board_begin();
	memcpy(ram_at(0), ram, sizeof(ram));
	memcpy(ram_at(TX_BUF(1)), f, 100);
	make_nic(tap(), false);
	assert_int_equal(kvmb_tlv_next(o.buf, o.len, &pos, &t, &e), 0);
	assert_int_equal(legacy_nic_load(nic, &t), 0);
	legacy_nic_pause(nic);
	assert_int_equal(legacy_nic_start(nic), 0);
	legacy_nic_loaded(nic);
	assert_int_equal(recv(wire, f, sizeof(f), 0), -1);
	legacy_nic_resume(nic);
	assert_int_equal(from_wire(f, sizeof(f)), 100);
	assert_int_equal(f[50], 55);
	assert_true(link_is_up());
	kvmb_tlv_out_fini(&o);
}

static void legacy_nic_refuses_half_a_state(void **state)
{
	struct kvmb_tlv_error e = { 0 };
	struct kvmb_tlv_out o = { 0 };
	struct kvmb_tlv t;
	size_t pos = 0;

	(void)state;
	make_nic(kvmb_net_none_open(), false);
	kvmb_tlv_begin(&o, KVMB_SEC_MACHINE, 0, 0);
	kvmb_tlv_put(&o, 1, 0);
	kvmb_tlv_end(&o);
	assert_int_equal(kvmb_tlv_next(o.buf, o.len, &pos, &t, &e), 0);
	assert_int_equal(legacy_nic_load(nic, &t), -EPROTO);
	assert_true(link_is_up());
	kvmb_tlv_out_fini(&o);
}

static void legacy_nic_is_reset_under_traffic(void **state)
{
	u8 f[200];
	u32 i, status;

	(void)state;
	begin(play(), false);
	make_frame(f, sizeof(f), 0);
	for (i = 0; i < 300; i++) {
		driver_send(100, 0, 0);
		driver_receive(&status);
		if (i % 3 == 0)
			legacy_nic_reset(nic);
		if (i % 3 == 0)
			driver_up();
		else if (i % 3 == 1)
			csr_out(0, 1);
	}
	legacy_nic_reset(nic);
	driver_up();
	UNTIL(tx_status(0) == 0x7fffffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(legacy_nic_sends_and_receives),
		T(legacy_nic_works_on_an_old_host),
		T(legacy_nic_raises_its_line),
		T(legacy_nic_works_over_a_stream),
		T(legacy_nic_waits_for_a_full_backend),
		T(legacy_nic_drops_what_a_deaf_backend_leaves),
		T(legacy_nic_does_not_let_its_guest_spoof),
		T(legacy_nic_completes_checksums),
		T(legacy_nic_drops_what_is_no_plain_frame),
		T(legacy_nic_keeps_a_frame_for_a_slow_guest),
		T(legacy_nic_gives_up_on_a_deaf_guest),
		T(legacy_nic_stands_still),
		T(legacy_nic_shows_its_link),
		T(legacy_nic_goes_on_after_it_was_saved),
		T(legacy_nic_refuses_half_a_state),
		T(legacy_nic_is_reset_under_traffic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
