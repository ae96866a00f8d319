/* SPDX-License-Identifier: GPL-2.0-only */
/* Sockets before a guest that a test plays; the host's sides are real Unix sockets. */
#ifndef KVMB_SOCKET_GUEST_H
#define KVMB_SOCKET_GUEST_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vsp/bus/bus_state.h"
#include "host-vsp/hvsock/hvsock.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "tests/harness/fake_vmm.h"
#include "vmbus-core/proto/hvsock.h"

#define SOCK_PAGES 6u /* of each ring: Linux's least */

static struct sock_box {
	struct fake_vmm f;
	struct kvmb_hvsock *h;
	u32 dialled[600]; /* dialled[num_dialled]: ports that the guest asked for */
	u32 num_dialled;
	int dial_err;
} box;

struct sock_conn { /* both ends of a connection */
	u32 relid;
	struct fake_chan c;
	bool is_open;
	int host; /* -1: closed */
};

static inline int box_dial(void *arg, u32 port)
{
	kvmb_assert(arg == &box && box.num_dialled < ARRAY_SIZE(box.dialled));
	if (box.dial_err)
		return box.dial_err;
	box.dialled[box.num_dialled++] = port;
	return 0;
}

static inline void sock_host_begin(void)
{
	struct kvmb_hvsock_config cfg = { .who = "test", .dial = box_dial, .arg = &box };

	signal(SIGPIPE, SIG_IGN);
	memset(&box, 0, sizeof(box));
	fake_init(&box.f, KVMB_VERSION_NEWEST);
	cfg.bus = box.f.bus;
	box.h = kvmb_hvsock_create(&cfg);
	kvmb_assert(box.h);
}

static inline void sock_host_end(void)
{
	fake_rest(&box.f);
	kvmb_hvsock_destroy(box.h); /* the loop is gone with the bus */
	fake_fini(&box.f);
}

static inline void sock_pair(int *ours, int *theirs)
{
	int sv[2];

	kvmb_assert(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv));
	*ours = sv[0];
	*theirs = sv[1];
}

/* ---- the guest ---- */

static inline void guest_asks_guid(const struct kvmb_guid *from, const struct kvmb_guid *service)
{
	struct kvmb_wire_tl_connect m = { .endpoint = *from, .service = *service };

	fake_post(&box.f, KVMB_MSG_TL_CONNECT, &m, sizeof(m));
}

static inline void guest_asks(u32 from, u32 port)
{
	const struct kvmb_guid f = KVMB_HVSOCK_GUID(from), p = KVMB_HVSOCK_GUID(port);

	guest_asks_guid(&f, &p);
}

static inline int guest_sends_raw(struct sock_conn *s, u16 type, const void *payload, u32 len)
{
	return fake_send(&box.f, &s->c, type, 0, 0, NULL, 0, payload, len);
}

/* Return: 0; -EAGAIN: its ring is full. */
static inline int guest_sends(struct sock_conn *s, const void *data, u32 len)
{
	u8 buf[sizeof(struct kvmb_wire_hvsock) + KVMB_HVSOCK_MTU];
	struct kvmb_wire_hvsock w = { cpu_to_le32(KVMB_HVSOCK_DATA), cpu_to_le32(len) };

	memcpy(buf, &w, sizeof(w));
	if (len)
		memcpy(buf + sizeof(w), data, len);
	return guest_sends_raw(s, KVMB_PKT_INBAND, buf, (u32)sizeof(w) + len);
}

static u8 heard[sizeof(struct kvmb_wire_pkt) + sizeof(struct kvmb_wire_hvsock) + KVMB_HVSOCK_MTU]
	__attribute__((aligned(8)));

/* One packet, waited for. Return: bytes of data, at *@data; 0: the end; -errno. */
static inline int guest_hears(struct sock_conn *s, const u8 **data, u32 ms)
{
	struct kvmb_wire_hvsock w;
	struct kvmb_pkt pkt;
	int err = fake_recv_within(&box.f, &s->c, heard, sizeof(heard), &pkt, ms);

	if (err)
		return err;
	memcpy(&w, pkt.payload, sizeof(w));
	kvmb_assert(pkt.type == KVMB_PKT_INBAND && le32_to_cpu(w.type) == KVMB_HVSOCK_DATA);
	kvmb_assert(pkt.payload_len - sizeof(w) == KVMB_ALIGN_UP(le32_to_cpu(w.size), 8u));
	*data = pkt.payload + sizeof(w);
	return (int)le32_to_cpu(w.size);
}

static inline void guest_releases(struct sock_conn *s)
{
	struct kvmb_wire_relid m = { .relid = cpu_to_le32(s->relid) };

	if (s->is_open)
		fake_unmap(&s->c);
	s->is_open = false;
	fake_post(&box.f, KVMB_MSG_RELID_RELEASED, &m, sizeof(m));
}

/* ---- the host ---- */

/* Return: bytes, 0: the end; -1: nothing comes. */
static inline ssize_t host_hears(int fd, void *buf, size_t size)
{
	uint64_t until = kvmb_now_ms() + PATIENCE_MS;
	ssize_t n;

	do {
		fake_run(&box.f);
		n = read(fd, buf, size);
		if (n >= 0 || errno != EAGAIN)
			return n < 0 ? 0 : n;
		usleep(200);
	} while (kvmb_now_ms() < until);
	return -1;
}

#endif
