// SPDX-License-Identifier: GPL-2.0-only
/*
 * Flash: any accesses, of any width, at any place. Its content is what an image has that follows
 * the told changes, and it is mapped when reads give the content. What is saved is loaded and is
 * the same; what is changed before is loaded or refused.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/dev/pflash.h"
#include "tests/fuzz/fuzz_change.h"

#define BLOCKS 3u
#define LEN (BLOCKS * PFLASH_BLOCK)

static u8 data[LEN], kept[LEN];
static bool shown;
static struct pflash *p;

static void show(void *arg, bool there)
{
	(void)arg;
	if (there == shown)
		abort();
	shown = there;
}

static void changed(void *arg, u32 block, const u8 *content)
{
	(void)arg;
	if (block >= BLOCKS)
		abort();
	memcpy(kept + block * PFLASH_BLOCK, content, PFLASH_BLOCK);
}

static void settled(void *arg)
{
	(void)arg;
}

static void make(void)
{
	const struct pflash_ops ops = { .show = show, .changed = changed, .settled = settled };

	shown = false;
	memset(data, 0x5a, LEN);
	memset(kept, 0x5a, LEN);
	p = pflash_create(data, LEN, &ops);
	pflash_reset(p);
}

static void check(u32 at)
{
	u64 v = ~0ull;

	if (memcmp(data, kept, LEN))
		abort();
	pflash_access(p, at, 1, false, &v);
	if (v > 0xff || (shown && at < LEN && v != data[at]))
		abort();
}

static void save(struct kvmb_tlv_out *o)
{
	memset(o, 0, sizeof(*o));
	kvmb_tlv_begin(o, KVMB_SEC_MACHINE, 0, 0);
	pflash_save(p, o);
	kvmb_tlv_end(o);
}

static void restore(const struct change *c)
{
	static u8 buf[2 * LEN];
	struct kvmb_tlv_error error = { 0 };
	struct kvmb_tlv_out o, again;
	struct section s = { buf, 0, sizeof(buf) };
	struct kvmb_tlv t = { .p = buf, .error = &error };

	save(&o);
	s.len = o.len - HEADER;
	memcpy(buf, o.buf + HEADER, s.len);
	pflash_destroy(p);
	make();
	if (c)
		apply(&s, c);
	t.len = s.len;
	if (pflash_load(p, &t) && !c)
		abort();
	pflash_loaded(p);
	save(&again);
	if (!c && (again.len != o.len || memcmp(again.buf, o.buf, o.len)))
		abort();
	kvmb_tlv_out_fini(&o);
	kvmb_tlv_out_fini(&again);
}

/* Six bytes: what, where, with what. */
static void act(const u8 *in)
{
	static const u8 commands[] = { 0x10, 0x40, 0x20, 0xd0, 0x50, 0x60, 0x70,
				       0x90, 0x98, 0xff, 0x01, 0xe8, 0xb0 };
	u32 at = (in[1] | (u32)in[2] << 8) % (LEN + 8);
	u64 v = in[3] | (u64)in[4] << 8 | (u64)in[5] << 56;

	switch (in[0] & 7) {
	case 0:
	case 1:
	case 2:
		v = commands[in[3] % ARRAY_SIZE(commands)];
		pflash_access(p, at, 1, true, &v);
		break;
	case 3:
		pflash_access(p, at, 1, true, &v);
		break;
	case 4:
		pflash_access(p, at, 1u << (in[0] >> 6), true, &v);
		break;
	case 5:
		pflash_access(p, at, 1u << (in[0] >> 6), false, &v);
		break;
	case 6:
		pflash_access(p, (u32)in[0] << 24 | at, 8, in[3] & 1, &v);
		break;
	default:
		if (in[0] & 8)
			pflash_reset(p);
		else
			restore(NULL);
	}
	check(at);
}

int LLVMFuzzerTestOneInput(const u8 *in, size_t left);
int LLVMFuzzerTestOneInput(const u8 *in, size_t left)
{
	struct change c;

	make();
	for (; left >= 6 && in[0] != 0xff; in += 6, left -= 6)
		act(in);
	for (; left > sizeof(c); in += sizeof(c), left -= sizeof(c)) {
		memcpy(&c, in, sizeof(c));
		restore(&c);
		check(in[0]);
	}
	pflash_destroy(p);
	return 0;
}
