/* SPDX-License-Identifier: GPL-2.0-only */
/* Bits in words. */
#ifndef KVMB_BITS_H
#define KVMB_BITS_H

#include <stddef.h>
#include <stdio.h>

/**
 * kvmb_bit_names() - Names of the bits that are set
 * @list: list[size], becomes "first, second"; empty when none is set
 * @name: of a bit by its number; NULL = there is no such bit, nor a higher one
 *
 * Return: @list.
 */
static inline const char *kvmb_bit_names(char *list, size_t size, unsigned int bits,
					 const char *(*name)(unsigned int))
{
	unsigned int bit;
	size_t n = 0;

	list[0] = 0;
	for (bit = 0; name(bit) && n < size; bit++) {
		if (bits >> bit & 1)
			n += (size_t)snprintf(list + n, size - n, "%s%s", n ? ", " : "", name(bit));
	}
	return list;
}

#endif
