/* SPDX-License-Identifier: GPL-2.0-only */
/* A guest that has many requests under way and counts answers; a bus that is to stand still. */
#ifndef KVMB_STORAGE_LOAD_H
#define KVMB_STORAGE_LOAD_H

#include "host-vsp/bus/bus_state.h"
#include "tests/harness/storage_guest.h"

#define SLOTS 32u /* requests that the guest has under way, one page each */

static u32 stands; /* pauses that were done */

static inline void on_stand(void *arg)
{
	(void)arg;
	stands++;
}

static inline void begin_pause(void)
{
	stands = 0;
	kvmb_bus_pause(f.bus, on_stand, NULL);
}

static inline void wait_stand(void)
{
	u64 until = kvmb_now_ms() + PATIENCE_MS;

	while (!stands && kvmb_now_ms() < until)
		kvmb_loop_once(f.loop, 1);
	assert_int_equal(stands, 1);
}

static inline void pause_bus(void)
{
	begin_pause();
	wait_stand();
}

static struct slot {
	u64 id;	   /* 0 = free */
	u64 write; /* what it writes, 0 = it reads */
	u32 block;
} slots[SLOTS];
static u64 base;     /* guest address of the slots' pages */
static u64 disk[64]; /* what 4096-byte block n of unit @unit holds */
static bool in_use[64];
static u8 unit;
static u32 answered, seed = 1;

static inline u32 rnd(u32 n)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 16) % n;
}

static inline void take_answer(const struct kvmb_pkt *pkt)
{
	struct kvmb_wire_stor p;
	u64 *page;
	u32 i;

	for (i = 0; i < SLOTS && slots[i].id != pkt->trans_id; i++)
		;
	assert_in_range(i, 0, SLOTS - 1); /* asked for, and not answered before */
	memcpy(&p, pkt->payload, sizeof(p));
	assert_int_equal(p.u.srb.srb_status, KVMB_SRB_SUCCESS);
	page = fake_ptr(&f, base + i * 4096);
	if (slots[i].write)
		disk[slots[i].block] = slots[i].write;
	else
		assert_int_equal(page[0], disk[slots[i].block]);
	in_use[slots[i].block] = false;
	slots[i].id = 0;
	answered++;
}

static inline u32 take_answers(void)
{
	u8 buf[256] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;
	u32 n = 0;

	while (!kvmb_ring_peek(&c.rx, buf, sizeof(buf), &pkt)) {
		if (pkt.type == KVMB_PKT_COMPLETION)
			take_answer(&pkt);
		n++;
		kvmb_ring_skip(&c.rx, &pkt);
	}
	if (kvmb_ring_release(&c.rx) > 0)
		fake_signal(&f, &c);
	return n;
}

static inline void send_one(u32 i)
{
	u64 *page = fake_ptr(&f, base + i * 4096);
	u8 cdb[16] = { [8] = 8 };
	u32 b = rnd(ARRAY_SIZE(disk));
	bool write = rnd(2);

	if (in_use[b])
		return;
	slots[i] = (struct slot){ .write = write ? next_id + 1000000 : 0, .block = b };
	in_use[b] = true;
	page[0] = slots[i].write;
	cdb[0] = write ? 0x2a : 0x28;
	cdb[4] = (u8)(b >> 5);
	cdb[5] = (u8)(b << 3);
	slots[i].id = send_srb(&c, unit, cdb, 10, write ? KVMB_SRB_DATA_OUT : KVMB_SRB_DATA_IN,
			       base + i * 4096, 4096);
}

static inline void send_some(u32 most)
{
	u32 i;

	for (i = 0; i < SLOTS && most; i++) {
		if (slots[i].id)
			continue;
		send_one(i);
		most--;
	}
}

static inline u32 under_way(void)
{
	u32 i, n = 0;

	for (i = 0; i < SLOTS; i++)
		n += slots[i].id != 0;
	return n;
}

static inline void take_all_answers(void)
{
	u64 until = kvmb_now_ms() + PATIENCE_MS;

	while (under_way() && kvmb_now_ms() < until) {
		take_answers();
		kvmb_loop_once(f.loop, 1);
	}
	assert_int_equal(under_way(), 0);
}

static inline void begin_load(u8 lun)
{
	unit = lun;
	memset(slots, 0, sizeof(slots));
	memset(disk, 0, sizeof(disk));
	memset(in_use, 0, sizeof(in_use));
	base = fake_alloc(&f, SLOTS) << 12;
	answered = 0;
}

#endif
