/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What of a disk is copied, and of which source: a file beside the target, while it is not whole.
 *
 * A header of 4096 bytes, then one bit a grain, set when the grain is on disk. The header names the
 * source and its size, so that a copy does not go on with another disk. The file is locked: one
 * copies at a time.
 */
#ifndef KVMB_COPY_JOURNAL_H
#define KVMB_COPY_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COPY_JOURNAL_SUFFIX ".journal"

struct copy_journal;

/**
 * copy_journal_open() - Go on with a journal, or begin one
 * @dir:   descriptor of the directory
 * @name:  in it
 * @bytes: of the disk, COPIER_MOST at most
 * @id:    of the source
 * @grain: bytes
 * @fresh: set: there was none, so there must not be a target either
 * @why:   why[size], on failure one phrase
 *
 * Return: copy_journal_close(); NULL: it is of another source, damaged, in use, or cannot be made.
 * Trust: the file is checked, and may have any bytes.
 */
struct copy_journal *copy_journal_open(int dir, const char *name, uint64_t bytes, const char *id,
				       uint32_t grain, bool *fresh, char *why, size_t size);

/** copy_journal_has() - Is grain number @n copied? */
bool copy_journal_has(const struct copy_journal *j, uint64_t n);

/** copy_journal_mark() - It is; on disk after copy_journal_sync(). */
void copy_journal_mark(struct copy_journal *j, uint64_t n);

/** copy_journal_count() - How many grains are. */
uint64_t copy_journal_count(const struct copy_journal *j);

/** copy_journal_sync() - Flush @target, then write what was marked. Return: 0 or -errno. */
int copy_journal_sync(struct copy_journal *j, int target);

/** copy_journal_close() - Leave the file where it is. NULL is fine. */
void copy_journal_close(struct copy_journal *j);

#endif
