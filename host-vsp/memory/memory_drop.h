/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Giving pages back to the host, on a thread of its own: a gigabyte takes a tenth of a second.
 *
 * DOC: Theory of operation
 *
 * The bus thread queues runs of pages. The thread, which is made when it is first needed, drops
 * them a piece at a time, so that it can be made to stand soon. Whenever it comes to rest, because
 * the queue is empty or because it is held, the bus thread is told.
 *
 * Pages in the queue are the host's: nobody may give them to the guest before it is empty.
 */
#ifndef KVMB_MEMORY_DROP_H
#define KVMB_MEMORY_DROP_H

#include "host-vsp/gm.h"

struct kvmb_loop;
struct memory_drop;

/**
 * memory_drop_create() - Without a thread yet
 * @loop: of the bus thread, which calls all functions here
 * @gm:   borrowed
 * @who:  for the log, borrowed
 * @rest: called on the bus thread when nothing is dropped any more
 * @arg:  of @rest
 */
struct memory_drop *memory_drop_create(struct kvmb_loop *loop, const struct kvmb_gm *gm,
				       const char *who, void (*rest)(void *arg), void *arg);

/** memory_drop_add() - Queue @num pages of the file from @page on, which are in one region. */
void memory_drop_add(struct memory_drop *d, u64 page, u64 num);

/** memory_drop_hold() - Drop nothing more until memory_drop_go(); a piece may be under way. */
void memory_drop_hold(struct memory_drop *d);

/** memory_drop_go() - Go on. */
void memory_drop_go(struct memory_drop *d);

/** memory_drop_clear() - Forget what is queued. */
void memory_drop_clear(struct memory_drop *d);

/** memory_drop_waits() - Is anything queued, or being dropped? */
bool memory_drop_waits(struct memory_drop *d);

/** memory_drop_moves() - Is a piece being dropped right now, or about to be? */
bool memory_drop_moves(struct memory_drop *d);

/** memory_drop_total() - Pages dropped so far. */
u64 memory_drop_total(struct memory_drop *d);

/** memory_drop_destroy() - Wait for the piece that is under way, and free @d; NULL is fine. */
void memory_drop_destroy(struct memory_drop *d);

#endif
