/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dynamic memory before a guest that a test plays. Half of the box's RAM is what the guest begins
 * with, the other half, from 4 GiB on, is the hot region.
 */
#ifndef KVMB_MEMORY_GUEST_H
#define KVMB_MEMORY_GUEST_H

#include <stdlib.h>

#include "host-vsp/bus/bus_state.h"
#include "host-vsp/memory/memory.h"
#include "host-vsp/memory/memory_drop.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "tests/harness/fake_vmm.h"
#include "vmbus-core/proto/memory.h"

#define DM_RAM (FAKE_RAM / 2 / KVMB_PAGE_SIZE) /* pages */
#define DM_HOT DM_RAM
#define DM_HOT_GFN (1ull << 20)
#define DM_CAPS (KVMB_MEMORY_CAN_BALLOON | KVMB_MEMORY_CAN_ADD | 2u << KVMB_MEMORY_ALIGN_SHIFT)
#define DM_UNIT 1024u /* pages: the 4 MiB of these capabilities */

static struct memory_box {
	struct fake_vmm f;
	struct kvmb_memory m;
	struct fake_chan c;
	bool is_open;
	u32 relid, id;
} box;

static inline void dm_host_begin(void)
{
	struct kvmb_memory_spec spec = { .gm = &box.f.gm,
					 .who = "test",
					 .ram = DM_RAM,
					 .hot_page = DM_RAM,
					 .hot = DM_HOT,
					 .min = 16,
					 .max = DM_RAM + DM_HOT };

	memset(&box, 0, sizeof(box));
	fake_init(&box.f, KVMB_VERSION_NEWEST);
	spec.loop = box.f.loop;
	kvmb_assert(!kvmb_memory_create(&box.m, &spec));
	box.f.gm.away = box.m.away;
	kvmb_memory_offer(&box.m, box.f.bus);
}

static inline void dm_begin(void)
{
	struct kvmb_wire_offer o;

	dm_host_begin();
	kvmb_assert(fake_connect(&box.f, KVMB_VERSION_NEWEST, &o, 1) == 1);
	box.relid = le32_to_cpu(o.relid);
}

static inline void dm_end(void)
{
	if (box.is_open)
		fake_unmap(&box.c);
	fake_rest(&box.f);
	kvmb_memory_destroy(&box.m);
	fake_fini(&box.f);
}

static inline void dm_open(void)
{
	kvmb_assert(!fake_open(&box.f, &box.c, box.relid, 5));
	box.is_open = true;
}

static inline void dm_close(void)
{
	fake_close(&box.f, &box.c);
	box.is_open = false;
}

/** dm_rest() - Until nothing is dropped any more. */
static inline void dm_rest(void)
{
	while (memory_drop_moves(box.m.drop))
		kvmb_loop_once(box.f.loop, 1);
	fake_run(&box.f);
}

/* ---- what the guest says ---- */

static inline void dm_send(const void *msg, u32 len)
{
	fake_send(&box.f, &box.c, KVMB_PKT_INBAND, 0, 7, NULL, 0, msg, len);
	fake_run(&box.f);
}

static inline struct kvmb_wire_memory_header dm_header(u16 type, size_t size)
{
	return (struct kvmb_wire_memory_header){ cpu_to_le16(type), cpu_to_le16((u16)size),
						 cpu_to_le32(++box.id) };
}

static inline void dm_ask_version(u32 version)
{
	const struct kvmb_wire_memory_version msg = {
		.h = dm_header(KVMB_MEMORY_VERSION_REQUEST, sizeof(msg)),
		.version = cpu_to_le32(version),
	};

	dm_send(&msg, sizeof(msg));
}

static inline void dm_say_caps(u64 caps)
{
	const struct kvmb_wire_memory_caps msg = {
		.h = dm_header(KVMB_MEMORY_CAPS_REPORT, sizeof(msg)),
		.caps = cpu_to_le64(caps),
		.max_page = cpu_to_le64(~0ull),
	};

	dm_send(&msg, sizeof(msg));
}

static inline void dm_report(u64 available, u64 committed)
{
	const struct kvmb_wire_memory_status msg = {
		.h = dm_header(KVMB_MEMORY_STATUS, sizeof(msg)),
		.available = cpu_to_le64(available),
		.committed = cpu_to_le64(committed),
	};

	dm_send(&msg, sizeof(msg));
}

/* Ranges as on the wire. */
static inline void dm_give(const u64 *ranges, u32 num, bool more)
{
	struct {
		struct kvmb_wire_memory_ballooned head;
		__le64 ranges[500];
	} msg = { 0 };
	u32 len = (u32)(sizeof(msg.head) + num * 8), i;

	msg.head.h = dm_header(KVMB_MEMORY_BALLOON_RESPONSE, len);
	msg.head.more_num = cpu_to_le32(num << 1 | more);
	for (i = 0; i < num; i++)
		msg.ranges[i] = cpu_to_le64(ranges[i]);
	dm_send(&msg, len);
}

static inline void dm_give_one(u64 gfn, u64 num, bool more)
{
	const u64 range = KVMB_MEMORY_RANGE(gfn, num);

	dm_give(&range, 1, more);
}

static inline void dm_thank(void)
{
	const struct kvmb_wire_memory_header h =
		dm_header(KVMB_MEMORY_UNBALLOON_RESPONSE, sizeof(h));

	dm_send(&h, sizeof(h));
}

static inline void dm_say_added(u32 pages, u32 result)
{
	const struct kvmb_wire_memory_added msg = {
		.h = dm_header(KVMB_MEMORY_ADD_RESPONSE, sizeof(msg)),
		.pages = cpu_to_le32(pages),
		.result = cpu_to_le32(result),
	};

	dm_send(&msg, sizeof(msg));
}

/* ---- what it hears ---- */

static u8 heard_buf[8192] __attribute__((aligned(8)));
static struct kvmb_pkt heard;

/* Return: the type of the next message; 0: there is none. */
static inline u16 dm_hears(void)
{
	struct kvmb_wire_memory_header h;

	fake_run(&box.f);
	if (kvmb_ring_peek(&box.c.rx, heard_buf, sizeof(heard_buf), &heard))
		return 0;
	kvmb_ring_skip(&box.c.rx, &heard);
	if (kvmb_ring_release(&box.c.rx) > 0)
		fake_signal(&box.f, &box.c);
	if (heard.payload_len < sizeof(h))
		return 0xffff;
	memcpy(&h, heard.payload, sizeof(h));
	return le16_to_cpu(h.type);
}

static inline u32 heard_u32(u32 at)
{
	__le32 v;

	kvmb_assert(at + sizeof(v) <= heard.payload_len);
	memcpy(&v, (const u8 *)heard.payload + at, sizeof(v));
	return le32_to_cpu(v);
}

static inline u64 heard_u64(u32 at)
{
	return heard_u32(at) | (u64)heard_u32(at + 4) << 32;
}

static inline bool dm_failed(void)
{
	return box.m.state == KVMB_MEMORY_FAILED;
}

/* As a stock driver: until it is asked something. */
static inline void dm_ready(void)
{
	dm_ask_version(KVMB_MEMORY_VERSION_WIN10);
	dm_hears();
	dm_say_caps(DM_CAPS);
	dm_hears();
	dm_report(1000, 3000);
	dm_hears(); /* INFO */
	fake_run(&box.f);
}

#endif
