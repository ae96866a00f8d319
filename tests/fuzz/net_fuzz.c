// SPDX-License-Identifier: GPL-2.0-only
/*
 * netvsp: NVSP and RNDIS packets of any shape on a primary and two sub-channels through the fake
 * VMM, frames with any virtio-net header coming in meanwhile; the NIC has a twin. With
 * KVMB_FUZZ_RACE=1 a thread of the guest rewrites the memory that headers are read from all the
 * time: nothing is reproducible then, and nothing may break.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "host-vsp/net/net_priv.h"
#include "lib/util.h"
#include "tests/fuzz/fuzz_bus.h"

#define QUEUES 3u
#define PAGES 3000ull /* of packets by pages */
#define RECV 2000ull
#define SEND 2100ull

static struct fake_vmm f;
static struct kvmb_net *nic;
static struct kvmb_wire_offer offer;
static struct fake_chan c[QUEUES];
static u32 num_open;
static u32 gpadl[2];
static int far[QUEUES];

static void *racer(void *arg)
{
	u8 *at[3] = { fake_ptr(&f, PAGES << 12), fake_ptr(&f, SEND << 12),
		      fake_ptr(&f, RECV << 12) };
	u64 x = 88172645463325252ull;

	(void)arg;
	for (;;) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		((volatile u8 *)at[x % 3])[x >> 8 & 0xff] =
			(u8)(x >> 24 & (x >> 32 & 1 ? 0xff : 0x3f));
	}
	return NULL;
}

/* ---- a twin: the network is the NIC's or its, which both assert ---- */

static bool twin_has; /* atomic */

static void twin_use(void *arg)
{
	(void)arg;
	if (__atomic_exchange_n(&twin_has, true, __ATOMIC_ACQ_REL) ||
	    kvmb_net_path(nic->backend) != KVMB_NET_EMULATED)
		abort();
}

static void twin_let_go(void *arg)
{
	(void)arg;
	__atomic_store_n(&twin_has, false, __ATOMIC_RELEASE);
}

static const struct kvmb_net_twin twin = { .use = twin_use, .let_go = twin_let_go };

static void make_nic(void)
{
	struct kvmb_net_spec spec = {
		.mac = { 0, 0x15, 0x5d }, .mtu = 1500, .max_queues = QUEUES, .mac_spoof = true
	};
	int near[QUEUES], sv[2];
	pthread_t t;
	u32 i;

	fuzz_quiet();
	for (i = 0; i < QUEUES; i++) {
		if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, sv))
			abort();
		near[i] = sv[0];
		far[i] = sv[1];
	}
	fake_init(&f, KVMB_VERSION_NEWEST);
	nic = kvmb_net_create(&spec, kvmb_net_tap_fds(near, QUEUES), f.loop);
	kvmb_net_set_twin(nic, &twin, NULL);
	kvmb_net_offer(nic, f.bus);
	fake_connect(&f, KVMB_VERSION_NEWEST, &offer, 1);
	if (getenv("KVMB_FUZZ_RACE"))
		pthread_create(&t, NULL, racer, NULL);
}

static void nvsp(struct kvmb_wire_nvsp *m, enum kvmb_nvsp_type type)
{
	m->type = cpu_to_le32(type);
	fake_send(&f, &c[0], KVMB_PKT_INBAND, 1, 1, NULL, 0, m, sizeof(*m));
	memset(m, 0, sizeof(*m));
}

/* One packet of RNDIS by pages. */
static void rndis(struct fake_chan *ch, u32 kind, const void *msg, u32 len)
{
	struct { struct kvmb_wire_gpa_direct g; struct kvmb_wire_gparange r; __le64 pfn[1]; } h = {
		{ 0, cpu_to_le32(1) }, { cpu_to_le32(len), 0 }, { cpu_to_le64(PAGES) } };
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT) };
	int i;

	memcpy(fake_ptr(&f, PAGES << 12), msg, len);
	m.u.rndis.channel_type = cpu_to_le32(kind);
	m.u.rndis.section_index = cpu_to_le32(KVMB_NVSP_NO_SECTION);
	fake_send(&f, ch, KVMB_PKT_GPA_DIRECT, 1, 4, &h, sizeof(h), &m, sizeof(m));
	for (i = 0; i < 50 && kvmb_ring_used(&ch->tx, true); i++)
		usleep(10);
}

static void drain(struct fake_chan *ch)
{
	static const u8 word[8] = { 1, 0, 0, 0, 1 };
	u8 buf[1024] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;

	while (!kvmb_ring_peek(&ch->rx, buf, sizeof(buf), &pkt)) {
		kvmb_ring_skip(&ch->rx, &pkt);
		kvmb_ring_release(&ch->rx);
		/* a quarter is withheld */
		if (pkt.type == KVMB_PKT_XFER_PAGES && pkt.trans_id >> 16 & 3)
			fake_send(&f, ch, KVMB_PKT_COMPLETION, 0, pkt.trans_id, NULL, 0, word, 8);
	}
}

static void drain_all(void)
{
	static u8 junk[70000];
	u32 i;

	for (i = 0; i < num_open; i++)
		drain(&c[i]);
	for (i = 0; i < QUEUES; i++) {
		while (read(far[i], junk, sizeof(junk)) > 0)
			;
	}
}

static void open_subs(void)
{
	struct kvmb_wire_nvsp m = { .u.subchannel = { cpu_to_le32(1), cpu_to_le32(QUEUES - 1) } };
	const struct kvmb_wire_offer *o;
	u32 relid[QUEUES], i;

	nvsp(&m, KVMB_NVSP_SUBCHANNEL);
	for (i = 1; i < QUEUES; i++) {
		o = fake_wait(&f, KVMB_MSG_OFFER);
		if (!o)
			return; /* the racing guest spoilt it */
		relid[i] = le32_to_cpu(o->relid);
	}
	for (i = 1; i < QUEUES; i++, num_open++) {
		if (fake_open(&f, &c[i], relid[i], 8))
			abort();
	}
}

static void bring_up(u8 how)
{
	static const u32 init[6] = { KVMB_RNDIS_INIT, 24, 1, 1 };
	static const u32 filter[8] = {
		KVMB_RNDIS_SET, 32, 2, KVMB_OID_GEN_CURRENT_PACKET_FILTER, 4, 20, 0, 0x2d
	};
	u32 rsc[15] = { KVMB_RNDIS_SET,	  60, 3, KVMB_OID_TCP_OFFLOAD_PARAMETERS, 32, 20, 0,
			KVMB_NDIS_OFFLOAD };
	struct kvmb_wire_nvsp m = { 0 };

	if (!nic)
		make_nic();
	f.next_gfn = 1000;
	f.next_gpadl = 0xe1e10;
	if (fake_open(&f, &c[0], le32_to_cpu(offer.relid), 8))
		abort();
	num_open = 1;
	fake_gpadl(&f, c[0].relid, RECV, 64, &gpadl[0]);
	fake_gpadl(&f, c[0].relid, SEND, 16, &gpadl[1]);
	m.u.init.min_version = m.u.init.max_version = cpu_to_le32(KVMB_NVSP_V61);
	nvsp(&m, KVMB_NVSP_INIT);
	m.u.ndis_config.mtu = cpu_to_le32(1514);
	m.u.ndis_config.capabilities = cpu_to_le64(how & 1 ? KVMB_NVSP_CAP_RSC : 0);
	nvsp(&m, KVMB_NVSP_SEND_NDIS_CONFIG);
	m.u.buf.gpadl = cpu_to_le32(gpadl[0]);
	m.u.buf.id = cpu_to_le16(KVMB_NVSP_RECV_BUF_ID);
	nvsp(&m, KVMB_NVSP_SEND_RECV_BUF);
	m.u.buf.gpadl = cpu_to_le32(gpadl[1]);
	nvsp(&m, KVMB_NVSP_SEND_SEND_BUF);
	if (how & 2) {
		rndis(&c[0], KVMB_NVSP_CHANNEL_CONTROL, init, sizeof(init));
		rndis(&c[0], KVMB_NVSP_CHANNEL_CONTROL, filter, sizeof(filter));
		memset((u8 *)(rsc + 7) + KVMB_NDIS_PARAM_RSC_IP4, KVMB_NDIS_PARAM_ON, 2);
		rndis(&c[0], KVMB_NVSP_CHANNEL_CONTROL, rsc, sizeof(rsc));
	}
	if (how & 4)
		open_subs();
	drain_all();
}

/*
 * What was rescinded is let go of: sub-channels, opened or not. They are rescinded when their
 * workers have stopped.
 */
static void release_rescinded(u32 *seen)
{
	const struct fake_msg *msg;
	struct kvmb_wire_relid m;
	u32 i;

	for (; *seen < f.num_msgs; ++*seen) { /* fake_next() would skip some */
		msg = &f.log[*seen % FAKE_LOG];
		if (*(const u32 *)(const void *)msg->buf != KVMB_MSG_RESCIND)
			continue;
		memcpy(&m, msg->buf, sizeof(m));
		for (i = 1; i < num_open; i++) {
			if (c[i].relid == le32_to_cpu(m.relid))
				fake_teardown(&f, c[i].relid, c[i].gpadl);
		}
		fake_post(&f, KVMB_MSG_RELID_RELEASED, &m, sizeof(m));
	}
}

static void close_all(void)
{
	struct kvmb_wire_relid m = { .relid = cpu_to_le32(c[0].relid) };
	u32 i, seen = f.num_msgs;

	fake_post(&f, KVMB_MSG_CLOSE, &m, sizeof(m));
	fake_teardown(&f, c[0].relid, gpadl[0]);
	fake_teardown(&f, c[0].relid, gpadl[1]);
	fake_teardown(&f, c[0].relid, c[0].gpadl);
	for (i = 0; i < 2000; i++) { /* until everything has come to rest: no page list is left */
		struct kvmb_bus_stats st;

		kvmb_loop_once(f.loop, i > 20);
		release_rescinded(&seen);
		kvmb_bus_get_stats(f.bus, &st);
		if (!st.gpadls)
			break;
	}
	if (i == 2000)
		abort(); /* a page list that nobody gives back */
	for (i = 0; i < num_open; i++)
		fake_unmap(&c[i]);
	f.next_msg = f.num_msgs;
}

/*
 * A frame comes in behind a header that the input chose; sometimes larger than it says, or short.
 */
static void arrive(u32 q, u8 a, u8 b, const u8 *in, u32 n)
{
	static u8 frame[40000];
	struct virtio_net_hdr vnet = { .flags = a & 3,
				       .gso_type = a >> 2 & 5,
				       .hdr_len = b,
				       .gso_size = (u16)(b * 40),
				       .csum_start = a >> 4 & 4 ? 34 : b,
				       .csum_offset = a >> 4 & 8 ? 16 : a };
	u32 len = n + (a & 32 ? b * 140u : 0);

	memcpy(frame, &vnet, sizeof(vnet));
	memcpy(frame + sizeof(vnet), in, n);
	if (send(far[q], frame, sizeof(vnet) + len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		drain_all();
}

int LLVMFuzzerTestOneInput(const u8 *in, size_t left);
int LLVMFuzzerTestOneInput(const u8 *in, size_t left)
{
	struct { struct kvmb_wire_gpa_direct g; struct kvmb_wire_gparange r; __le64 pfn[2]; } h;
	struct kvmb_wire_nvsp m;
	struct fake_chan *ch;
	u32 n, i;

	if (!left)
		return 0;
	bring_up(in[0]);
	in++;
	left--;
	while (left >= 8) {
		u8 op = in[0], a = in[1], b = in[2], x = in[4];

		ch = &c[x % num_open];
		memset(&m, 0, sizeof(m));
		memset(&h, 0, sizeof(h));
		m.type = cpu_to_le32(op & 1 ? KVMB_NVSP_SEND_RNDIS_PKT :
				     op & 2 ? 100u + a % 40 :
					      a);
		m.u.rndis.channel_type = cpu_to_le32(b & 1);
		m.u.rndis.section_index = cpu_to_le32(op & 4 ? 0xffffffff : b >> 4);
		m.u.rndis.section_size = cpu_to_le32(in[3] * 8u);
		if (!(op & 1))
			memcpy(m.u.raw, in + 2, 6);
		n = (u32)KVMB_MIN(left - 8, (size_t)160);
		in += 8;
		left -= 8;
		memcpy(op & 4 ? fake_ptr(&f, PAGES << 12) : fake_ptr(&f, SEND << 12), in, n);
		if (op & 64)
			arrive(x % QUEUES, a, b, in, n);
		in += n;
		left -= n;
		h.g.range_count = cpu_to_le32(op & 8 ? b : 1);
		h.r.byte_count = cpu_to_le32(n + (op & 16 ? a * 16u : 0));
		h.pfn[0] = cpu_to_le64(op & 32 ? ~0ull >> (a % 60) : PAGES);
		h.pfn[1] = cpu_to_le64(PAGES + 1);
		if (fake_send(&f, ch,
			      op & 128 ? KVMB_PKT_COMPLETION :
			      op & 4   ? KVMB_PKT_GPA_DIRECT :
					 KVMB_PKT_INBAND,
			      a & 1, op & 128 ? (u64)b << 16 | a : op, op & 4 ? &h : NULL,
			      op & 4 ? sizeof(h) : 0, &m, sizeof(m)))
			drain_all();
		if (x & 128)
			kvmb_net_set_link(nic, x & 64);
	}
	for (i = 0; i < 50 && kvmb_ring_used(&c[0].tx, true); i++) {
		usleep(20);
		drain_all();
	}
	drain_all();
	kvmb_net_set_link(nic, true);
	close_all();
	return 0;
}
