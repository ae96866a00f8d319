// SPDX-License-Identifier: GPL-2.0-only
/* A legacy NIC's thread between a driver and backends: one that is played, a tap's and passt's. */
#include "vmm/legacy_nic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "host-vsp/net/net_offload.h"
#include "host-vsp/tuner.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/tlv.h"
#include "tests/harness/patience.h"
#include "tests/harness/tulip_driver.h"
#include "tests/unit/test.h"

static struct kvmb_loop *loop;
static struct legacy_nic *nic;
static struct kvmb_net_backend *backend; /* lent to it */
static u32 lost;			 /* atomic: times that it said so */
static int wire; /* the other end of a tap or stream */

/* ---- a backend that is played: what it takes is counted, what it gives is said ---- */

static struct {
	struct kvmb_net_backend b;
	int says;	 /* atomic: of send() */
	u32 sent, calls; /* atomic: frames; calls of send(), commit() and recv() */
	u32 inside;	 /* atomic: threads in here */
	u32 destroyed;
} played;

static void enter(void)
{
	__atomic_fetch_add(&played.calls, 1, __ATOMIC_RELAXED);
	assert_int_equal(__atomic_fetch_add(&played.inside, 1, __ATOMIC_ACQ_REL), 0);
}

static int leave(int err)
{
	__atomic_fetch_sub(&played.inside, 1, __ATOMIC_ACQ_REL);
	return err;
}

static int played_send(struct kvmb_net_backend *b, unsigned int q, struct virtio_net_hdr *vnet,
		       struct iovec *iov, int num, size_t len)
{
	int err = __atomic_load_n(&played.says, __ATOMIC_ACQUIRE);

	(void)b, (void)q, (void)vnet, (void)len;
	enter();
	assert_int_equal(num, 2);
	assert_int_equal(iov[1].iov_len, len);
	if (!err)
		__atomic_fetch_add(&played.sent, 1, __ATOMIC_RELEASE);
	return leave(err);
}

static int played_commit(struct kvmb_net_backend *b, unsigned int q)
{
	(void)b, (void)q;
	enter();
	return leave(0);
}

static ssize_t played_recv(struct kvmb_net_backend *b, unsigned int q, struct virtio_net_hdr *vnet,
			   struct iovec *iov, int num)
{
	(void)b, (void)q, (void)vnet, (void)iov, (void)num;
	enter();
	return leave(-EAGAIN);
}

static void played_destroy(struct kvmb_net_backend *b)
{
	close(b->fd[0]);
	played.destroyed++;
}

static const struct kvmb_net_backend_ops played_ops = {
	.kind = "played",
	.send = played_send,
	.commit = played_commit,
	.recv = played_recv,
	.destroy = played_destroy,
};

static struct kvmb_net_backend *play(void)
{
	memset(&played, 0, sizeof(played));
	played.b = (struct kvmb_net_backend){ .ops = &played_ops, .num_queues = 1 };
	played.b.fd[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); /* always writable */
	return &played.b;
}

/* ---- the box ---- */

static int sockets(int type)
{
	int sv[2], size = 20000;

	assert_int_equal(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
	setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	wire = sv[1];
	return sv[0];
}

static struct kvmb_net_backend *tap(void)
{
	int fd = sockets(SOCK_SEQPACKET);

	return kvmb_net_tap_fds(&fd, 1);
}

static void on_lost(void *arg)
{
	assert_ptr_equal(arg, &lost);
	__atomic_fetch_add(&lost, 1, __ATOMIC_ACQ_REL);
}

static u16 vlan; /* of the next NIC */
static u64 rate;

static void make_nic(struct kvmb_net_backend *b, bool spoof)
{
	struct legacy_nic_spec spec = { .slot = BOARD_SLOT,
					.pci = board.m.pci,
					.gm = &board.m.gm,
					.mac_spoof = spoof,
					.vlan = vlan,
					.rate = rate,
					.backend = b,
					.lost = on_lost,
					.arg = &lost };
	u32 line;

	memcpy(spec.mac, board.mac, 6);
	backend = b;
	kvmb_net_set_path(b, KVMB_NET_EMULATED);
	nic = legacy_nic_create(&spec);
	legacy_nic_use(nic);
	for (line = 0; line < 4; line++)
		pci_route(board.m.pci, line, BOARD_IRQ);
	conf_out(0x10, 4, BOARD_PORT);
	conf_out(0x04, 2, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
}

/* Until it is so, at most for as long as a test has patience. */
#define UNTIL(c)                                           \
	do {                                               \
		u64 end = kvmb_now_ms() + PATIENCE_MS;     \
		while (!(c)) {                             \
			if (kvmb_now_ms() > end)           \
				fail_msg("never: %s", #c); \
			kvmb_loop_once(loop, 1);           \
		}                                          \
	} while (0)

static u32 tx_status(u32 n)
{
	return __atomic_load_n(tx_desc(n), __ATOMIC_ACQUIRE);
}

static void begin(struct kvmb_net_backend *b, bool spoof)
{
	make_nic(b, spoof);
	assert_int_equal(legacy_nic_start(nic), 0);
	driver_up();
	UNTIL(tx_status(0) == 0x7fffffff);
}

static int setup(void **state)
{
	(void)state;
	loop = kvmb_loop_create();
	board_begin();
	wire = -1;
	lost = vlan = 0;
	rate = 0;
	return 0;
}

static void destroy_nic(void)
{
	legacy_nic_destroy(nic);
	backend->ops->destroy(backend);
	nic = NULL;
}

static int teardown(void **state)
{
	(void)state;
	destroy_nic();
	board_end();
	kvmb_loop_destroy(loop);
	if (wire >= 0)
		close(wire);
	return 0;
}

static struct legacy_nic_stats stats(void)
{
	struct legacy_nic_stats s;

	legacy_nic_get_stats(nic, &s);
	return s;
}

/* A frame that came out of a tap; its header must say nothing. Return: bytes without that. */
static size_t from_wire(u8 *frame, size_t room)
{
	static const struct virtio_net_hdr plain;
	u8 buf[4096];
	ssize_t n;

	UNTIL((n = recv(wire, buf, sizeof(buf), 0)) > 0);
	n -= (ssize_t)sizeof(plain);
	assert_memory_equal(buf, &plain, sizeof(plain));
	assert_in_range(n, 60, room);
	memcpy(frame, buf + sizeof(plain), (size_t)n);
	return (size_t)n;
}

static void to_wire(const struct virtio_net_hdr *vnet, const u8 *frame, size_t len)
{
	struct iovec iov[2] = { { (void *)vnet, sizeof(*vnet) }, { (void *)frame, len } };

	UNTIL(writev(wire, iov, 2) >= 0);
}

static const struct virtio_net_hdr plain_hdr;

static void make_frame(u8 *f, size_t len, u8 seed)
{
	size_t i;

	memcpy(f, board.mac, 6);
	for (i = 6; i < len; i++)
		f[i] = (u8)(i + seed);
	f[12] = 8;
	f[13] = 0;
}

static u8 received[2048];

static u32 receive_one(void)
{
	const u8 *p;
	u32 status;

	UNTIL((p = driver_receive(&status)));
	memcpy(received, p, (status >> 16 & 0x3fff) - 4);
	csr_out(5, INT_ALL);
	return (status >> 16 & 0x3fff) - 4;
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

static u32 bmsr(void)
{
	u32 v = 0, i;
	u64 cmd = 0xffffffffull << 14 | 1 << 12 | 2 << 10 | 1 << 5 | 1;

	for (i = 46; i--;) {
		csr_out(9, cmd >> i & 1 ? 0x20000 : 0);
		csr_out(9, (cmd >> i & 1 ? 0x20000 : 0) | 0x10000);
	}
	for (i = 0; i < 18; i++) {
		csr_out(9, 0x40000);
		csr_out(9, 0x50000);
		v = v << 1 | (csr_in(9) >> 19 & 1);
	}
	return v >> 1 & 0xffff;
}

static bool link_is_up(void)
{
	bmsr();
	return bmsr() & 4;
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
		T(legacy_nic_lends_its_backend),
		T(legacy_nic_takes_a_backend_that_is_back),
		T(legacy_nic_announces),
		T(legacy_nic_is_on_an_access_vlan),
		T(legacy_nic_lets_no_tag_out_of_an_access_vlan),
		T(legacy_nic_keeps_its_rate),
		T(legacy_nic_lives_without_its_backend),
		T(legacy_nic_goes_on_after_it_was_saved),
		T(legacy_nic_refuses_half_a_state),
		T(legacy_nic_is_reset_under_traffic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
