// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which frames come in: what a setup frame says, and the bits of CSR6 that overrule it.
 *
 * A setup frame has 48 longwords of which the low halves count. Of perfect addresses each takes
 * three of them, its bytes in memory's order. A hash table takes the first 32, and the one perfect
 * address that goes with it follows at longword 39.
 */
#include "machine/dev/tulip_priv.h"

#define PERFECT_WITH_HASH 39u /* longword */

u32 tulip_crc(const void *p, size_t len)
{
	const u8 *b = p;
	u32 crc = ~0u, bit;

	for (; len; len--) {
		crc ^= *b++;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return crc;
}

static void take_halves(u8 *to, const u8 *longwords, u32 num)
{
	u32 i;

	for (i = 0; i < num; i++)
		memcpy(to + i * 2, longwords + i * 4, 2);
}

void tulip_setup(struct tulip *t, u32 control, const u8 *frame)
{
	struct tulip_filter *f = &t->filter;
	u32 i;

	*f = (struct tulip_filter){ .kind = (control & TULIP_CTL_FT1 ? 2 : 0) |
					    (control & TULIP_CTL_FT0 ? 1 : 0) };
	if (f->kind == TULIP_HASH || f->kind == TULIP_HASH_ALL) {
		take_halves(f->hash, frame, 32);
		take_halves(f->addr[0], frame + PERFECT_WITH_HASH * 4, 3);
		return;
	}
	for (i = 0; i < 16; i++)
		take_halves(f->addr[i], frame + i * 12, 3);
}

u32 tulip_filter_bits(const struct tulip *t)
{
	static const u32 bits[] = {
		[TULIP_HASH] = TULIP_OP_HASH_ONE,
		[TULIP_INVERSE] = TULIP_OP_INVERSE,
		[TULIP_HASH_ALL] = TULIP_OP_HASH_ONE | TULIP_OP_HASH_ALL,
	};

	return bits[t->filter.kind];
}

static bool is_in_hash(const struct tulip_filter *f, const u8 *addr)
{
	u32 bit = tulip_crc(addr, 6) & 511;

	return f->hash[bit / 8] >> bit % 8 & 1;
}

static bool is_in_list(const struct tulip_filter *f, const u8 *addr)
{
	u32 i;

	for (i = 0; i < 16; i++) {
		if (!memcmp(f->addr[i], addr, 6))
			return true;
	}
	return false;
}

static bool passes_filter(const struct tulip_filter *f, const u8 *addr)
{
	switch (f->kind) {
	case TULIP_HASH:
		return addr[0] & 1 ? is_in_hash(f, addr) : !memcmp(f->addr[0], addr, 6);
	case TULIP_HASH_ALL:
		return is_in_hash(f, addr);
	case TULIP_INVERSE:
		return !is_in_list(f, addr);
	default:
		return is_in_list(f, addr);
	}
}

bool tulip_wants(const struct tulip *t, const u8 *addr)
{
	return t->op_mode & TULIP_OP_PROMISC || (t->op_mode & TULIP_OP_MULTICAST && addr[0] & 1) ||
	       passes_filter(&t->filter, addr);
}
