/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where guest memory comes from that is not here yet: a file, for one.
 *
 * Addresses are those of the memory's own file: regions one behind the other, no gaps. A source
 * has one user at a time, and is embedded in what its functions need.
 */
#ifndef KVMB_MEM_SOURCE_H
#define KVMB_MEM_SOURCE_H

#include "vmbus-core/env.h"

struct mem_source;

struct mem_source_ops {
	/*
	 * Fill buf[len] with the pages at @at; both are multiples of a page, @at + @len <= size.
	 * Return: 0; -errno: not now, and it may be tried again. May wait.
	 */
	int (*read)(struct mem_source *s, void *buf, u64 at, u64 len);

	/*
	 * The first pages from @at on that may not be zero, [*from, *to), whole pages.
	 * Return: 1; 0: the rest is zero; -errno.
	 */
	int (*next)(struct mem_source *s, u64 at, u64 *from, u64 *to);

	/*
	 * Is all of it still there? Asked when next() says 0: what was cut off has no data either.
	 * Return: 0 or -errno.
	 */
	int (*check)(struct mem_source *s);

	/* Nobody calls any more. */
	void (*close)(struct mem_source *s);
};

struct mem_source {
	const struct mem_source_ops *ops;
	u64 size;  /* of guest memory, bytes */
	u64 grain; /* what costs about as much as a page of it: a page to 256 KiB, power of two */
};

/**
 * mem_source_file() - Memory that lies in a file as in its own; what is zero is a hole
 * @fd:     taken over on success; read and seeked by the source alone
 * @offset: where memory begins in it
 * @size:   bytes of memory
 *
 * Return: closed by its ops; NULL: no memory.
 */
struct mem_source *mem_source_file(int fd, u64 offset, u64 size);

/** mem_source_fill() - Read all of it to @ram, which is zero. Return: 0 or -errno. May wait. */
int mem_source_fill(struct mem_source *s, u8 *ram);

/** mem_source_close() - Fine with NULL. */
void mem_source_close(struct mem_source *s);

#endif
