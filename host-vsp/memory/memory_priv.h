/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of dynamic memory share. */
#ifndef KVMB_MEMORY_PRIV_H
#define KVMB_MEMORY_PRIV_H

#include "host-vsp/memory/memory.h"

/** memory_move() - The one writer of @m->state; also to the state that it is in. */
void memory_move(struct kvmb_memory *m, enum kvmb_memory_state to);

/* ---- which pages are away: memory_away.c ---- */

/** memory_pages() - Pages of the file. */
u64 memory_pages(const struct kvmb_memory *m);

/**
 * memory_away_add() - The guest has given away a range
 * @gfn: hostile
 * @num: hostile, at least 1
 *
 * It is queued to be dropped. Return: NULL; or why the channel fails, and nothing has changed.
 */
const char *memory_away_add(struct kvmb_memory *m, u64 gfn, u64 num);

/**
 * memory_away_take() - Take ranges from what is away, to be given back
 * @ranges: ranges[max], as on the wire in host byte order
 * @pages:  of all together at most
 *
 * Their bits are clear and they are noted as changed. Return: ranges.
 */
u32 memory_away_take(struct kvmb_memory *m, u64 *ranges, u32 max, u64 pages);

/** memory_away_back() - They could not be given back. */
void memory_away_back(struct kvmb_memory *m, const u64 *ranges, u32 num);

/** memory_away_forget() - Nothing is away any more. */
void memory_away_forget(struct kvmb_memory *m);

/** memory_away_drop() - Queue all that is away, and what the guest was never told of. */
void memory_away_drop(struct kvmb_memory *m);

/** memory_away_save() - Into the open section, as groups of tag @field. */
void memory_away_save(const struct kvmb_memory *m, struct kvmb_tlv_out *o, unsigned int field);

/** memory_away_load() - What that wrote, hostile; m->next is known. Errors stick to @t. */
void memory_away_load(struct kvmb_memory *m, struct kvmb_tlv *t, unsigned int field);

#endif
