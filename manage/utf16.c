// SPDX-License-Identifier: GPL-2.0-only
/* UTF-16 to UTF-8: utf16.h. Source: RFC 2781, RFC 3629. */
#include "manage/utf16.h"

#include <errno.h>
#include <stdint.h>

static uint32_t unit(const unsigned char *p, bool big)
{
	return big ? (uint32_t)p[0] << 8 | p[1] : (uint32_t)p[1] << 8 | p[0];
}

static size_t encode(uint32_t c, char *out)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

ssize_t utf16_text(const unsigned char *in, size_t len, bool big, char *out, size_t size)
{
	size_t n = 0;
	uint32_t c, low;

	for (; len >= 2; in += 2, len -= 2) {
		c = unit(in, big);
		if (!c)
			break;
		if (c < 0x20 || c == 0x7f || (c >= 0xdc00 && c < 0xe000))
			return -EINVAL;
		if (c >= 0xd800 && c < 0xdc00) {
			low = len >= 4 ? unit(in + 2, big) : 0;
			if (low < 0xdc00 || low >= 0xe000)
				return -EINVAL;
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
			in += 2;
			len -= 2;
		}
		if (n + 5 > size)
			return -ENOSPC;
		n += encode(c, out + n);
	}
	out[n] = 0;
	return (ssize_t)n;
}
