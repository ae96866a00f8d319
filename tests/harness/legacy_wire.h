/* SPDX-License-Identifier: GPL-2.0-only */
/* A legacy NIC's thread between a driver and backends: one that is played, a tap's and passt's. */
#ifndef KVMB_LEGACY_WIRE_H
#define KVMB_LEGACY_WIRE_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "lib/log.h"
#include "lib/loop.h"
#include "tests/harness/patience.h"
#include "tests/harness/tulip_driver.h"
#include "tests/unit/test.h"
#include "vmm/legacy_nic.h"

static struct kvmb_loop *loop;
static struct legacy_nic *nic;
static struct kvmb_net_backend *backend; /* lent to it */
static u32 lost;			 /* atomic: times that it said so */
static int wire;			 /* the other end of a tap or stream */

/* ---- a backend that is played: what it takes is counted, what it gives is said ---- */

static struct {
	struct kvmb_net_backend b;
	int says;	 /* atomic: of send() */
	u32 sent, calls; /* atomic: frames; calls of send(), commit() and recv() */
	u32 inside;	 /* atomic: threads in here */
	u32 destroyed;
} played;

static inline void enter(void)
{
	__atomic_fetch_add(&played.calls, 1, __ATOMIC_RELAXED);
	assert_int_equal(__atomic_fetch_add(&played.inside, 1, __ATOMIC_ACQ_REL), 0);
}

static inline int leave(int err)
{
	__atomic_fetch_sub(&played.inside, 1, __ATOMIC_ACQ_REL);
	return err;
}

static inline int played_send(struct kvmb_net_backend *b, unsigned int q,
			      struct virtio_net_hdr *vnet, struct iovec *iov, int num, size_t len)
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

static inline int played_commit(struct kvmb_net_backend *b, unsigned int q)
{
	(void)b, (void)q;
	enter();
	return leave(0);
}

static inline ssize_t played_recv(struct kvmb_net_backend *b, unsigned int q,
				  struct virtio_net_hdr *vnet, struct iovec *iov, int num)
{
	(void)b, (void)q, (void)vnet, (void)iov, (void)num;
	enter();
	return leave(-EAGAIN);
}

static inline void played_destroy(struct kvmb_net_backend *b)
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

static inline struct kvmb_net_backend *play(void)
{
	memset(&played, 0, sizeof(played));
	played.b = (struct kvmb_net_backend){ .ops = &played_ops, .num_queues = 1 };
	played.b.fd[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); /* always writable */
	return &played.b;
}

/* ---- the box ---- */

static inline int sockets(int type)
{
	int sv[2], size = 20000;

	assert_int_equal(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
	setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	wire = sv[1];
	return sv[0];
}

static inline struct kvmb_net_backend *tap(void)
{
	int fd = sockets(SOCK_SEQPACKET);

	return kvmb_net_tap_fds(&fd, 1);
}

static inline void on_lost(void *arg)
{
	assert_ptr_equal(arg, &lost);
	__atomic_fetch_add(&lost, 1, __ATOMIC_ACQ_REL);
}

static u16 vlan; /* of the next NIC */
static u64 rate;

static inline void make_nic(struct kvmb_net_backend *b, bool spoof)
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

static inline u32 tx_status(u32 n)
{
	return __atomic_load_n(tx_desc(n), __ATOMIC_ACQUIRE);
}

static inline void begin(struct kvmb_net_backend *b, bool spoof)
{
	make_nic(b, spoof);
	assert_int_equal(legacy_nic_start(nic), 0);
	driver_up();
	UNTIL(tx_status(0) == 0x7fffffff);
}

static inline int setup(void **state)
{
	(void)state;
	loop = kvmb_loop_create();
	board_begin();
	wire = -1;
	lost = vlan = 0;
	rate = 0;
	return 0;
}

static inline void destroy_nic(void)
{
	legacy_nic_destroy(nic);
	backend->ops->destroy(backend);
	nic = NULL;
}

static inline int teardown(void **state)
{
	(void)state;
	destroy_nic();
	board_end();
	kvmb_loop_destroy(loop);
	if (wire >= 0)
		close(wire);
	return 0;
}

static inline struct legacy_nic_stats stats(void)
{
	struct legacy_nic_stats s;

	legacy_nic_get_stats(nic, &s);
	return s;
}

/* A frame that came out of a tap; its header must say nothing. Return: bytes without that. */
static inline size_t from_wire(u8 *frame, size_t room)
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

static inline void to_wire(const struct virtio_net_hdr *vnet, const u8 *frame, size_t len)
{
	struct iovec iov[2] = { { (void *)vnet, sizeof(*vnet) }, { (void *)frame, len } };

	UNTIL(writev(wire, iov, 2) >= 0);
}

static const struct virtio_net_hdr plain_hdr;

static inline void make_frame(u8 *f, size_t len, u8 seed)
{
	size_t i;

	memcpy(f, board.mac, 6);
	for (i = 6; i < len; i++)
		f[i] = (u8)(i + seed);
	f[12] = 8;
	f[13] = 0;
}

static u8 received[2048];

static inline u32 receive_one(void)
{
	const u8 *p;
	u32 status;

	UNTIL((p = driver_receive(&status)));
	memcpy(received, p, (status >> 16 & 0x3fff) - 4);
	csr_out(5, INT_ALL);
	return (status >> 16 & 0x3fff) - 4;
}

static inline bool link_is_up(void)
{
	driver_bmsr();
	return driver_bmsr() & 4;
}

#endif
