/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writing guest memory into the file of a saved VM, by some threads.
 *
 * DOC: Theory of operation
 *
 * Each thread takes the next piece of memory that is no hole, and writes it: to where it lies, or
 * compressed to where the file ends. Pieces are given out under a lock, in order; so what was given
 * out only grows, which is the progress, and the index of compressed chunks is in the order of the
 * file. The first that fails, or a watcher who gives up, ends all of them within a piece.
 */
#ifndef KVMB_STATE_MEMORY_H
#define KVMB_STATE_MEMORY_H

#include "host-vsp/gm.h"

struct state_pack_index;

#define STATE_FILE_MEMORY_AT (1ull << 20)
#define STATE_FILE_THREADS_MAX 64u

struct state_file_wish {
	u32 threads; /* that write, 1 to STATE_FILE_THREADS_MAX */
	bool zstd;   /* compress memory; libzstd is loaded */
};

/* How far it is. @done of @total bytes. Return: false: give up. */
struct state_file_progress {
	bool (*fn)(void *arg, u64 done, u64 total);
	void *arg;
};

/**
 * state_memory_write() - Write all of it
 * @fd:   of the file
 * @gm:   nobody writes to it meanwhile
 * @wish: how
 * @p:    called under a lock, by any of the threads
 *
 * Return: 0; -ECANCELED when @p gave up; -errno. Context: a thread that may wait and make threads.
 */
int state_memory_write(int fd, const struct kvmb_gm *gm, const struct state_file_wish *wish,
		       const struct state_file_progress *p);

/**
 * state_memory_pack() - Write all of it compressed, and its index
 * @index: set: where it is; memory begins at STATE_FILE_MEMORY_AT
 *
 * As state_memory_write(); libzstd is loaded.
 */
int state_memory_pack(int fd, const struct kvmb_gm *gm, const struct state_file_wish *wish,
		      const struct state_file_progress *p, struct state_pack_index *index);

#endif
