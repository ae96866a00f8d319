/* SPDX-License-Identifier: GPL-2.0-only */
/* Small helpers that every user-space room needs. They use libc only. */
#ifndef KVMB_UTIL_H
#define KVMB_UTIL_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#endif
#define container_of(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))
#define KVMB_MIN(a, b) ((a) < (b) ? (a) : (b))
#define KVMB_MAX(a, b) ((a) > (b) ? (a) : (b))
#define KVMB_ALIGN_UP(v, a) (((v) + (a) - 1) / (a) * (a))

/* Our own bugs only; never what a peer or the environment can cause. No side effects inside. */
#define kvmb_assert(cond)                                                                    \
	do {                                                                                 \
		if (!(cond)) {                                                               \
			fprintf(stderr, "kvmbus: bug: %s:%d: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                             \
		}                                                                            \
	} while (0)

/**
 * kvmb_xzalloc() - Zeroed memory, or the end of the process
 * @size: bytes, never peer-controlled
 *
 * For small objects of fixed size without which we cannot go on. Allocations that a peer can
 * cause use calloc() and handle NULL.
 */
static inline void *kvmb_xzalloc(size_t size)
{
	void *p = calloc(1, size);

	if (!p) {
		fprintf(stderr, "kvmbus: out of memory\n");
		abort();
	}
	return p;
}

#endif
