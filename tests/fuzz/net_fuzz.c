// SPDX-License-Identifier: GPL-2.0-only
/* netvsp: NVSP and RNDIS packets of any shape through the fake VMM, frames coming in meanwhile. */
#include <sys/socket.h>
#include <unistd.h>

#include "host-vsp/net/net_priv.h"
#include "tests/fuzz/fuzz_bus.h"

static struct fake_vmm f;
static struct kvmb_net *nic;
static struct kvmb_wire_offer offer;
static struct fake_chan c;
static u32 gpadl[2];
static int wire;

static void bring_up(void)
{
	struct kvmb_net_spec spec = { .mac = { 0, 0x15, 0x5d }, .mtu = 1500, .max_queues = 1 };
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_INIT) };
	int sv[2];

	if (!nic) {
		fuzz_quiet();
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv))
			abort();
		wire = sv[1];
		fake_init(&f, KVMB_VERSION_NEWEST);
		nic = kvmb_net_create(&spec, kvmb_net_stream_open(sv[0]), f.loop);
		kvmb_net_offer(nic, f.bus);
		fake_connect(&f, KVMB_VERSION_NEWEST, &offer, 1);
	}
	f.next_gfn = 1000;
	f.next_gpadl = 0xe1e10;
	if (fake_open(&f, &c, le32_to_cpu(offer.relid), 8))
		abort();
	fake_gpadl(&f, c.relid, 2000, 16, &gpadl[0]);
	fake_gpadl(&f, c.relid, 2100, 16, &gpadl[1]);
	m.u.init.min_version = m.u.init.max_version = cpu_to_le32(KVMB_NVSP_V61);
	fake_send(&f, &c, KVMB_PKT_INBAND, 1, 1, NULL, 0, &m, sizeof(m));
	memset(&m, 0, sizeof(m));
	m.type = cpu_to_le32(KVMB_NVSP_SEND_RECV_BUF);
	m.u.buf.gpadl = cpu_to_le32(gpadl[0]);
	m.u.buf.id = cpu_to_le16(KVMB_NVSP_RECV_BUF_ID);
	fake_send(&f, &c, KVMB_PKT_INBAND, 1, 2, NULL, 0, &m, sizeof(m));
	m.type = cpu_to_le32(KVMB_NVSP_SEND_SEND_BUF);
	m.u.buf.gpadl = cpu_to_le32(gpadl[1]);
	fake_send(&f, &c, KVMB_PKT_INBAND, 1, 3, NULL, 0, &m, sizeof(m));
}

static void drain(void)
{
	u8 buf[1024] __attribute__((aligned(8))), junk[4096];
	struct kvmb_pkt pkt;

	while (!kvmb_ring_peek(&c.rx, buf, sizeof(buf), &pkt)) {
		kvmb_ring_skip(&c.rx, &pkt);
		kvmb_ring_release(&c.rx);
		if (pkt.type == KVMB_PKT_XFER_PAGES && pkt.trans_id & 1)
			fake_send(&f, &c, KVMB_PKT_COMPLETION, 0, pkt.trans_id, NULL, 0, junk, 8);
	}
	while (recv(wire, junk, sizeof(junk), MSG_DONTWAIT) > 0)
		;
}

int LLVMFuzzerTestOneInput(const u8 *in, size_t left);
int LLVMFuzzerTestOneInput(const u8 *in, size_t left)
{
	struct { struct kvmb_wire_gpa_direct g; struct kvmb_wire_gparange r; __le64 pfn[2]; } h;
	struct kvmb_wire_nvsp m;
	u8 *page;
	u32 n;
	int i;

	bring_up();
	page = fake_ptr(&f, 3000ull << 12);
	while (left >= 8) {
		u8 op = in[0], a = in[1], b = in[2];

		memset(&m, 0, sizeof(m));
		memset(&h, 0, sizeof(h));
		m.type = cpu_to_le32(op & 1 ? KVMB_NVSP_SEND_RNDIS_PKT : op & 2 ? 100u + a % 40 : a);
		m.u.rndis.channel_type = cpu_to_le32(b & 1);
		m.u.rndis.section_index = cpu_to_le32(op & 4 ? 0xffffffff : b >> 4);
		m.u.rndis.section_size = cpu_to_le32(in[3] * 8u);
		if (!(op & 1))
			memcpy(m.u.raw, in + 2, 6);
		n = (u32)(left - 8 < 120 ? left - 8 : 120);
		in += 8;
		left -= 8;
		memcpy(op & 4 ? page : (u8 *)fake_ptr(&f, 2100ull << 12), in, n);
		in += n;
		left -= n;
		h.g.range_count = cpu_to_le32(op & 8 ? b : 1);
		h.r.byte_count = cpu_to_le32(n + (op & 16 ? a * 16u : 0));
		h.pfn[0] = cpu_to_le64(op & 32 ? ~0ull >> (a % 60) : 3000);
		h.pfn[1] = cpu_to_le64(3001);
		if (op & 64) { /* a frame comes in: a length and not always as many bytes */
			u8 frame[128] = { 0, 0, 0, b % 120 };

			send(wire, frame, 4u + b % 120, MSG_DONTWAIT | MSG_NOSIGNAL);
		}
		if (fake_send(&f, &c, op & 128 ? KVMB_PKT_COMPLETION : op & 4 ? KVMB_PKT_GPA_DIRECT : KVMB_PKT_INBAND,
			      a & 1, op & 128 ? a : op, op & 4 ? &h : NULL, op & 4 ? sizeof(h) : 0, &m, sizeof(m)))
			drain();
	}
	for (i = 0; i < 50 && kvmb_ring_used(&c.tx, true); i++) {
		usleep(20);
		drain();
	}
	drain();
	fake_close(&f, &c);
	fake_teardown(&f, c.relid, gpadl[0]);
	fake_teardown(&f, c.relid, gpadl[1]);
	for (i = 0; i < 50; i++)
		kvmb_loop_once(f.loop, 0);
	f.next_msg = f.num_msgs;
	return 0;
}
