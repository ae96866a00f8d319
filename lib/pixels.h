/* SPDX-License-Identifier: GPL-2.0-only */
/* Pixels of screens. */
#ifndef KVMB_PIXELS_H
#define KVMB_PIXELS_H

#include <stddef.h>
#include <stdint.h>

/** kvmb_rgb_of_565() - A pixel of 16 bits. Return: red << 16 | green << 8 | blue. */
static inline uint32_t kvmb_rgb_of_565(uint32_t c)
{
	uint32_t r = c >> 11 & 31, g = c >> 5 & 63, b = c & 31;

	return (r << 3 | r >> 2) << 16 | (g << 2 | g >> 4) << 8 | (b << 3 | b >> 2);
}

/** kvmb_pixels_hash() - Hash of p[len], begun with @h: other pixels have another one, by chance. */
uint64_t kvmb_pixels_hash(uint64_t h, const void *p, size_t len);

#endif
