/* SPDX-License-Identifier: GPL-2.0-only */
/* Sparse memory and files: where the data is, and what is zero. */
#ifndef KVMB_SPARSE_H
#define KVMB_SPARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * kvmb_next_data() - The next part of a file, or of a memfd, that is no hole
 * @fd:   its offset is moved
 * @at:   from where on, bytes
 * @end:  where to stop looking
 * @from: set, rounded down to 4096
 * @to:   set, rounded up to 4096, @end at most
 *
 * Return: 1; 0: only holes are left; -errno: it cannot be asked.
 */
int kvmb_next_data(int fd, uint64_t at, uint64_t end, uint64_t *from, uint64_t *to);

/** kvmb_all_zero() - Are the bytes p[len] all zero? @len > 0 */
bool kvmb_all_zero(const void *p, size_t len);

#endif
