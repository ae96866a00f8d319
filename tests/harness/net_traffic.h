/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Traffic on all queues of a NIC, both ways, that knows what it has lost; and pauses of its bus.
 *
 * Each frame carries its number on its queue. The guest keeps some of the packets that it has
 * received, so that it holds sections at any time.
 */
#ifndef KVMB_NET_TRAFFIC_H
#define KVMB_NET_TRAFFIC_H

#include "host-vsp/bus/bus_state.h"
#include "tests/harness/net_wire.h"

#define SLOTS (SEND_PAGES * 4096u / NET_SEND_SECTION) /* sections of the send buffer */
#define KEPT 16u /* received packets that the guest has not given back */
#define PAYLOAD 200u

/* ---- pausing ---- */

static bool done;

static inline void stands(void *arg)
{
	(void)arg;
	done = true;
}

static inline void wait_until_it_stands(void)
{
	u64 until = kvmb_now_ms() + PATIENCE_MS;

	while (!done && kvmb_now_ms() < until)
		kvmb_loop_once(f.loop, 5);
	assert_true(done);
}

static inline void begin_pause(void)
{
	done = false;
	kvmb_bus_pause(f.bus, stands, NULL);
}

static inline void pause_all(void)
{
	begin_pause();
	wait_until_it_stands();
}

/* ---- traffic: each frame has its number behind the headers ---- */

static u32 seed;
static u32 sent[QUEUES], seen_outside[QUEUES], came[QUEUES], seen_inside[QUEUES];
static u64 slot_id[SLOTS]; /* of the packet that uses the section, 0 = none */
static u32 slots_used;
static struct {
	u32 queue;
	u64 id;
} kept[KEPT];
static u32 num_kept;

static inline u32 rnd(u32 n)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 16) % n;
}

static inline struct fake_chan *chan(u32 q)
{
	return q ? &sub[q] : &c;
}

static inline u32 numbered(u8 *frame, const u8 *to, const u8 *from, u32 num)
{
	u32 len = tcp4(frame, to, from, PAYLOAD);

	memcpy(frame + 54, &num, sizeof(num));
	return len;
}

static inline u32 number_of(const u8 *frame)
{
	u32 num;

	memcpy(&num, frame + 54, sizeof(num));
	return num;
}

/* One frame from the guest, in a section of its send buffer. Return: false: none is free. */
static inline bool guest_sends(u32 q)
{
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT) };
	u8 frame[54 + PAYLOAD];
	u32 s, len;

	for (s = 0; s < SLOTS && slot_id[s]; s++)
		;
	if (s == SLOTS)
		return false;
	len = message(NO_PPI, 0, frame, numbered(frame, other, mac, sent[q]));
	memcpy((u8 *)fake_ptr(&f, send_gfn << 12) + s * NET_SEND_SECTION,
	       fake_ptr(&f, ctl_gfn << 12), len);
	m.u.rndis.section_index = cpu_to_le32(s);
	m.u.rndis.section_size = cpu_to_le32(len);
	if (fake_send(&f, chan(q), KVMB_PKT_INBAND, 1, ++next_id, NULL, 0, &m, sizeof(m)))
		return false;
	slot_id[s] = next_id;
	slots_used++;
	sent[q]++;
	return true;
}

/* One frame from the network. Return: false: the wire is full. */
static inline bool network_sends(u32 q)
{
	u8 frame[54 + PAYLOAD];
	struct iovec iov[2] = { { (void *)(uintptr_t)&plain, HDR }, { frame, sizeof(frame) } };

	numbered(frame, mac, other, came[q]);
	if (writev(far[q], iov, 2) < 0)
		return false;
	came[q]++;
	return true;
}

static inline void network_receives(u32 q)
{
	u8 buf[HDR + 2000];
	ssize_t n;

	while ((n = read(far[q], buf, sizeof(buf))) > 0) {
		assert_int_equal(n, HDR + 54 + PAYLOAD);
		assert_int_equal(number_of(buf + HDR), seen_outside[q]);
		seen_outside[q]++;
	}
}

static inline void give_back(u32 i)
{
	struct kvmb_pkt pkt = { .trans_id = kept[i].id };

	done_with(chan(kept[i].queue), &pkt);
	kept[i] = kept[--num_kept];
}

static inline void got_frames(u32 q, const struct kvmb_pkt *pkt)
{
	const struct kvmb_wire_xfer_range *r;
	static struct got g;
	u32 n, i;
	u16 id;

	assert_int_equal(kvmb_pkt_xfer_ranges(pkt, NET_RX_RANGES, &id, &r, &n), 0);
	for (i = 0; i < n; i++) {
		memset(&g, 0, offsetof(struct got, bytes));
		take_message(&g,
			     (u8 *)fake_ptr(&f, recv_gfn << 12) + le32_to_cpu(r[i].byte_offset));
		assert_int_equal(g.len, 54 + PAYLOAD);
		assert_int_equal(number_of(g.bytes), seen_inside[q]);
		seen_inside[q]++;
	}
	if (num_kept == KEPT)
		give_back(rnd(KEPT));
	kept[num_kept].queue = q;
	kept[num_kept++].id = pkt->trans_id;
}

static inline void completed(u64 id)
{
	u32 s;

	for (s = 0; s < SLOTS && slot_id[s] != id; s++)
		;
	assert_true(s < SLOTS); /* never asked for, or the second time */
	slot_id[s] = 0;
	slots_used--;
}

static inline void guest_receives(u32 q)
{
	static u8 buf[1024] __attribute__((aligned(8)));
	struct fake_chan *ch = chan(q);
	struct kvmb_pkt pkt;

	while (!kvmb_ring_peek(&ch->rx, buf, sizeof(buf), &pkt)) {
		if (pkt.type == KVMB_PKT_XFER_PAGES)
			got_frames(q, &pkt);
		else
			completed(pkt.trans_id);
		kvmb_ring_skip(&ch->rx, &pkt);
		if (kvmb_ring_release(&ch->rx) > 0)
			fake_signal(&f, ch);
	}
}

static inline void some_traffic(void)
{
	u32 i, q;

	for (i = rnd(12); i; i--)
		guest_sends(rnd(QUEUES));
	for (i = rnd(12); i; i--)
		network_sends(rnd(QUEUES));
	for (q = 0; q < QUEUES; q++) {
		if (rnd(2))
			network_receives(q);
		if (rnd(2))
			guest_receives(q);
	}
	if (num_kept && rnd(2))
		give_back(rnd(num_kept));
}

/* So many frames each way at least; how many there are depends on the host's load. */
static inline void there_was_traffic(u32 frames)
{
	u32 q, out = 0, in = 0;

	for (q = 0; q < QUEUES; q++) {
		out += seen_outside[q];
		in += seen_inside[q];
	}
	assert_true(out >= frames && in >= frames);
}

static inline bool all_arrived(void)
{
	return !slots_used && !memcmp(sent, seen_outside, sizeof(sent)) &&
	       !memcmp(came, seen_inside, sizeof(came));
}

static inline void wait_for_all(void)
{
	u64 until = kvmb_now_ms() + PATIENCE_MS;
	u32 q;

	while (!all_arrived() && kvmb_now_ms() < until) {
		for (q = 0; q < QUEUES; q++) {
			network_receives(q);
			guest_receives(q);
		}
		if (num_kept) /* frames may wait for these sections */
			give_back(rnd(num_kept));
		kvmb_loop_once(f.loop, 1);
	}
	assert_true(all_arrived());
}

static inline u32 free_sections(void)
{
	u32 q, n = 0;

	for (q = 0; q < nic->num_queues; q++) {
		net_slot_lock(&nic->slots[q]);
		n += nic->slots[q].q ? nic->slots[q].q->num_free : 0;
		net_slot_unlock(&nic->slots[q]);
	}
	return n;
}

static inline void all_sections_come_back(void)
{
	int i;

	while (num_kept)
		give_back(0);
	for (i = 0; i < (int)PATIENCE_MS && free_sections() != nic->sec.num; i++)
		usleep(1000);
	assert_int_equal(free_sections(), nic->sec.num);
	for (i = 0; i < (int)QUEUES; i++) /* none of them twice */
		assert_int_equal(nic->slots[i].q->io->stats.errors, 0);
}

static inline void start(u32 s)
{
	seed = s;
	next_id = 1000000;
	memset(sent, 0, sizeof(sent));
	memset(came, 0, sizeof(came));
	memset(seen_inside, 0, sizeof(seen_inside));
	memset(seen_outside, 0, sizeof(seen_outside));
	memset(slot_id, 0, sizeof(slot_id));
	slots_used = num_kept = 0;
	bring_up();
	assert_int_equal(open_subs(100), QUEUES - 1);
}

#endif
