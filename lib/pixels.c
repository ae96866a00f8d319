// SPDX-License-Identifier: GPL-2.0-only
/* Pixels of screens: pixels.h. */
#include "lib/pixels.h"

#include <string.h>

/* A bit of any word changes bits all over in a few steps. */
static uint64_t add_word(uint64_t h, uint64_t word)
{
	h ^= word;
	return (h << 23 | h >> 41) * 0x9e3779b97f4a7c15ull;
}

uint64_t kvmb_pixels_hash(uint64_t h, const void *p, size_t len)
{
	const uint8_t *at = p;
	uint64_t word;

	for (; len >= sizeof(word); at += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		h = add_word(h, word);
	}
	if (!len)
		return h;
	word = 0;
	memcpy(&word, at, len);
	return add_word(h, word);
}
