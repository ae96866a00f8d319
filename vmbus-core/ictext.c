// SPDX-License-Identifier: GPL-2.0-only
/* UTF-16LE and UTF-8: ictext.h. */
#include "vmbus-core/ictext.h"

#define INVALID 0xfffdu

static u32 unit_at(const u8 *in, u32 i)
{
	return in[2 * i] | (u32)in[2 * i + 1] << 8;
}

/* The character at unit @*i of @units; steps over it. */
static u32 take_char(const u8 *in, u32 units, u32 *i)
{
	u32 c = unit_at(in, (*i)++), low;

	if (c < 0xd800 || c > 0xdfff)
		return c;
	if (c > 0xdbff || *i == units)
		return INVALID;
	low = unit_at(in, *i);
	if (low < 0xdc00 || low > 0xdfff)
		return INVALID;
	(*i)++;
	return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

/* Return: bytes of @c as UTF-8 in @out. */
static u32 put_utf8(u32 c, u8 out[4])
{
	static const u8 first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	u32 n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4, i;

	for (i = n; i > 1; i--) {
		out[i - 1] = (u8)(0x80 | (c & 0x3f));
		c >>= 6;
	}
	out[0] = (u8)(first[n] | c);
	return n;
}

int kvmb_ictext_get(const void *in, u32 len, char *out, u32 size)
{
	u32 units = len / 2, i = 0, done = 0, c, n;
	u8 bytes[4];

	while (i < units) {
		c = take_char(in, units, &i);
		if (!c)
			break;
		n = put_utf8(c, bytes);
		if (n >= size - done) {
			out[done] = 0;
			return -ENOSPC;
		}
		memcpy(out + done, bytes, n);
		done += n;
	}
	out[done] = 0;
	return (int)done;
}

/* One character of in[len]. Return: its bytes; 0: it is none. */
static u32 take_utf8(const u8 *in, u32 len, u32 *c)
{
	static const u32 least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	u32 n = in[0] < 0x80 ? 1 :
		in[0] < 0xc0 ? 0 :
		in[0] < 0xe0 ? 2 :
		in[0] < 0xf0 ? 3 :
		in[0] < 0xf8 ? 4 :
			       0,
	    i;

	if (!n || n > len)
		return 0;
	*c = n == 1 ? in[0] : in[0] & (0x7fu >> n);
	for (i = 1; i < n; i++) {
		if ((in[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | (in[i] & 0x3f);
	}
	return *c < least[n] || *c > 0x10ffff || (*c >= 0xd800 && *c <= 0xdfff) ? 0 : n;
}

static void put_unit(u8 *out, u32 unit)
{
	out[0] = (u8)unit;
	out[1] = (u8)(unit >> 8);
}

int kvmb_ictext_put(const char *in, u32 len, void *out, u32 size)
{
	u32 at = 0, done = 0, c = 0, n, need;
	u8 *to = out;

	for (; at < len; at += n) {
		n = take_utf8((const u8 *)in + at, len - at, &c);
		if (!n)
			return -EILSEQ;
		need = c > 0xffff ? 4 : 2;
		if (size < need || done > size - need)
			return -ENOSPC;
		if (need == 4) {
			c -= 0x10000;
			put_unit(to + done, 0xd800 + (c >> 10));
			c = 0xdc00 + (c & 0x3ff);
		}
		put_unit(to + done + need - 2, c);
		done += need;
	}
	if (size < 2 || done > size - 2)
		return -ENOSPC;
	put_unit(to + done, 0);
	return (int)(done + 2);
}
