// SPDX-License-Identifier: GPL-2.0-only
/* Chunks of a disk that were written. Theory: disk_dirty.h. */
#include "backend/block/disk_dirty.h"

#include <stdlib.h>

#include "lib/dirty_log.h"
#include "lib/util.h"

#define WORD 64u /* chunks in a word */

struct kvmb_disk_dirty {
	struct kvmb_disk_dirty *before; /* of another size; somebody may be on his way to it */
	u64 chunks;
	u64 bits[]; /* atomic; bits[words()] */
};

static u64 words(u64 chunks)
{
	return (chunks + WORD - 1) / WORD;
}

static int make_bits(struct kvmb_disk *d)
{
	u64 chunks = kvmb_disk_chunks(d), w;
	struct kvmb_disk_dirty *b = d->dirty;

	if (b && b->chunks == chunks) {
		for (w = 0; w < words(chunks); w++)
			__atomic_store_n(&b->bits[w], 0, __ATOMIC_RELAXED);
		return 0;
	}
	b = calloc(1, sizeof(*b) + words(chunks) * sizeof(b->bits[0]));
	if (!b)
		return -ENOMEM;
	b->chunks = chunks;
	b->before = d->dirty;
	__atomic_store_n(&d->dirty, b, __ATOMIC_RELEASE);
	return 0;
}

int kvmb_disk_dirty_begin(struct kvmb_disk *d)
{
	int err;

	kvmb_assert(!d->watched);
	err = make_bits(d);
	if (err)
		return err;
	__atomic_store_n(&d->watched, true, __ATOMIC_SEQ_CST);
	err = kvmb_dirty_fence();
	if (err)
		kvmb_disk_dirty_end(d);
	return err;
}

void kvmb_disk_dirty_end(struct kvmb_disk *d)
{
	__atomic_store_n(&d->watched, false, __ATOMIC_SEQ_CST);
}

void kvmb_disk_dirty_take(struct kvmb_disk *d, u64 *bits)
{
	struct kvmb_disk_dirty *b = d->dirty;
	u64 w;

	for (w = 0; w < words(b->chunks); w++) {
		/* a bit that is set now is one of the next time */
		if (__atomic_load_n(&b->bits[w], __ATOMIC_RELAXED))
			bits[w] |= __atomic_exchange_n(&b->bits[w], 0, __ATOMIC_SEQ_CST);
	}
}

void kvmb_disk_dirty_note(struct kvmb_disk *d, u64 offset, u64 length)
{
	struct kvmb_disk_dirty *b = __atomic_load_n(&d->dirty, __ATOMIC_ACQUIRE);
	u64 chunk = offset / KVMB_DISK_CHUNK, last, n;

	if (!length || chunk >= b->chunks)
		return;
	last = length > b->chunks * KVMB_DISK_CHUNK - offset ?
		       b->chunks - 1 :
		       (offset + length - 1) / KVMB_DISK_CHUNK;
	for (; chunk <= last; chunk += n) {
		n = KVMB_MIN(WORD - chunk % WORD, last - chunk + 1);
		__atomic_fetch_or(&b->bits[chunk / WORD],
				  (n == WORD ? ~0ull : (1ull << n) - 1) << chunk % WORD,
				  __ATOMIC_SEQ_CST);
	}
}

void kvmb_disk_dirty_free(struct kvmb_disk *d)
{
	struct kvmb_disk_dirty *b;

	while ((b = d->dirty)) {
		d->dirty = b->before;
		free(b);
	}
}
