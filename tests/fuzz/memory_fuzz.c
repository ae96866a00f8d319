// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dynamic memory: any messages in any order, any rings, while targets change, the bus stands and
 * memory is late; and states of any fields.
 */
#include "tests/fuzz/fuzz_bus.h"
#include "tests/harness/memory_guest.h"

static const u8 *in;
static size_t left;
static bool paused;

static u8 byte(void)
{
	return left ? left--, *in++ : 0;
}

static u32 word(void)
{
	u32 v = byte();

	return v | (u32)byte() << 8;
}

static void stands(void *arg)
{
	*(bool *)arg = true;
}

static void pause_bus(void)
{
	bool done = false;

	kvmb_bus_pause(box.f.bus, stands, &done);
	while (!done)
		kvmb_loop_once(box.f.loop, 1);
	paused = true;
}

/* ---- the guest ---- */

static void send_raw(void)
{
	u32 n = byte();
	u8 how = byte();

	n = (u32)KVMB_MIN((size_t)n, left);
	fake_send(&box.f, &box.c, how & 1 ? KVMB_PKT_INBAND : how >> 1 & 15, how >> 5 & 1, how,
		  NULL, 0, in, n);
	in += n;
	left -= n;
}

static void give_some(void)
{
	static const u64 bases[] = {
		0, 4096, DM_RAM - 8, DM_HOT_GFN, DM_HOT_GFN + DM_HOT - 8, 1ull << 39
	};
	u64 ranges[32];
	u8 how = byte();
	u32 num = how % 33, i;

	for (i = 0; i < num; i++)
		ranges[i] = KVMB_MEMORY_RANGE(bases[byte() % ARRAY_SIZE(bases)] + word() % 8192,
					      word() % 600);
	dm_give(ranges, num, how & 64);
}

static void send_message(void)
{
	static const u32 versions[] = { KVMB_MEMORY_VERSION_WIN10, KVMB_MEMORY_VERSION_WIN8,
					KVMB_MEMORY_VERSION_WIN7, 0x30000 };

	switch (byte() & 7) {
	case 0:
		dm_ask_version(versions[byte() & 3]);
		break;
	case 1:
		dm_say_caps(byte());
		break;
	case 2:
		dm_report(word(), word());
		break;
	case 3:
		dm_thank();
		break;
	case 4:
		dm_say_added(word() * (byte() & 1 ? DM_UNIT : 1), byte() & 1);
		break;
	default:
		give_some();
	}
}

/* What a stock driver would say now. */
static void send_right(void)
{
	switch (box.m.state) {
	case KVMB_MEMORY_NEGOTIATING:
		dm_ask_version(KVMB_MEMORY_VERSION_WIN10);
		break;
	case KVMB_MEMORY_AGREED:
		dm_say_caps(DM_CAPS);
		break;
	case KVMB_MEMORY_BALLOONING:
		dm_give_one(word() % DM_RAM, KVMB_MIN(box.m.asked, 1u + word() % 512), byte() & 1);
		break;
	case KVMB_MEMORY_UNBALLOONING:
		dm_thank();
		break;
	case KVMB_MEMORY_ADDING:
		dm_say_added((u32)box.m.asked, 1);
		break;
	default:
		dm_report(word(), word());
	}
}

static void corrupt_ring(void)
{
	struct kvmb_wire_ring_ctrl *c = byte() & 1 ? __unshare(box.c.tx.ctrl) :
						     __unshare(box.c.rx.ctrl);
	u32 v = word() << (byte() & 16);

	__atomic_store_n(byte() & 1 ? &c->write_index : &c->read_index, cpu_to_le32(v),
			 __ATOMIC_RELAXED);
	fake_signal(&box.f, &box.c);
}

/* ---- the host ---- */

static void act_host(void)
{
	u8 what = byte();

	switch (what & 3) {
	case 0:
		kvmb_memory_set(&box.m, word() % (DM_RAM + DM_HOT + 2));
		break;
	case 1:
		if (paused)
			kvmb_bus_resume(box.f.bus);
		else
			pause_bus();
		paused = kvmb_bus_paused(box.f.bus);
		break;
	case 2:
		box.f.gm.lazy = what >> 2 & 1;
		break;
	default:
		dm_rest();
	}
}

static void check_all(void)
{
	u64 page, num = 0;

	for (page = 0; page < DM_RAM + DM_HOT; page += 64)
		num += (u64)__builtin_popcountll(box.m.away[page / 64]);
	if (num != box.m.ballooned || box.m.added > box.m.next || box.m.next > DM_HOT ||
	    box.m.ballooned > DM_RAM + box.m.added || kvmb_memory_demand(&box.m) > 1ull << 41 ||
	    (box.m.state == KVMB_MEMORY_CLOSED && !box.m.closing && box.m.ballooned))
		abort();
}

static void act(void)
{
	u8 what = byte();

	if (!box.is_open) {
		if (!paused)
			dm_open();
	} else if ((what & 15) < 3) {
		send_raw();
	} else if ((what & 15) < 6) {
		send_message();
	} else if ((what & 15) < 9) {
		send_right();
	} else if ((what & 15) < 11) {
		dm_hears();
	} else if ((what & 15) == 11 && !paused) {
		dm_close();
		if (what & 16)
			kvmb_memory_reset(&box.m);
	} else if ((what & 15) == 12 && what & 64) {
		corrupt_ring();
	} else {
		act_host();
	}
	fake_run(&box.f);
	check_all();
}

/* ---- states ---- */

static void put_fields(struct kvmb_tlv_out *o)
{
	static const u8 data[8192];
	static const u64 values[] = { 0,      1,     3,	      64,      100,	 DM_RAM,
				      DM_HOT, 16384, 0x10000, 0x20000, 1u << 24, ~0ull };
	u32 n = byte() & 31;

	kvmb_tlv_put(o, 1, DM_RAM);
	kvmb_tlv_put(o, 2, DM_RAM);
	kvmb_tlv_put(o, 3, DM_HOT);
	while (n--) {
		u8 field = byte(), v = byte();

		if (field & 64) {
			kvmb_tlv_group(o, 16);
			kvmb_tlv_put(o, 1, (u64)v << 13);
			if (field & 32)
				kvmb_tlv_put(o, 2, values[field % ARRAY_SIZE(values)]);
			else
				kvmb_tlv_put_bytes(o, 3, field & 16 ? data : in,
						   field & 16 ? 2048 : KVMB_MIN(left, 64u));
			kvmb_tlv_group_end(o);
		} else {
			kvmb_tlv_put(o, 4 + field % 12, values[v % ARRAY_SIZE(values)]);
		}
	}
}

static void load_state(void)
{
	struct kvmb_tlv_error e = { 0 };
	struct kvmb_tlv_out o = { 0 };
	struct kvmb_tlv t;
	size_t pos = 0;
	u8 which = byte();

	if (which & 1) {
		dm_open();
		box.m.fresh = which & 4; /* as if it was opened by a load */
	}
	pause_bus();
	kvmb_tlv_begin(&o, KVMB_SEC_MEM_SERVICE, 0, 0);
	put_fields(&o);
	kvmb_tlv_end(&o);
	if (kvmb_tlv_next(o.buf, o.len, &pos, &t, &e))
		abort();
	kvmb_memory_load(&box.m, &t);
	kvmb_tlv_out_fini(&o);
	if (e.err) /* the VM ends */
		left = 0;
	else
		check_all();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);
int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	fuzz_quiet();
	in = data;
	left = len;
	paused = false;
	dm_begin();
	if (byte() & 128)
		load_state();
	while (left)
		act();
	if (paused)
		kvmb_bus_resume(box.f.bus);
	dm_end();
	return 0;
}
