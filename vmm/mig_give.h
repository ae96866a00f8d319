/* SPDX-License-Identifier: GPL-2.0-only */
/* The source's side of a memory that comes later: what is asked for first, then the rest. */
#ifndef KVMB_MIG_GIVE_H
#define KVMB_MIG_GIVE_H

#include "vmm/mig_memory.h"

/**
 * mig_give() - Send pages of the list that are asked for, until a word comes
 * @m:    whose list was sent; memory does not change any more
 * @word: that ends it, within MIG_PATIENCE_MS
 * @push: send the rest in order as well; @word is due when all was sent
 * @why:  why[MIG_WHY], on failure one phrase
 *
 * Return: 0; -ECONNREFUSED: the other side refuses; -EPROTO: it asks for what is not on the list,
 * or says something else; else as mig_recv(). Context: a thread that may wait.
 */
int mig_give(struct mig_memory *m, struct mig_stream *s, enum mig_word word, bool push, char *why);

/**
 * mig_give_mend() - Agree with a target that was left, over a new link: vmm/mig_stream.h
 * @secret: secret[MIG_SECRET], of LATER
 *
 * Return: 0: what has not come is what @m sends next; -ECONNREFUSED, -EPROTO, as mig_recv(): then
 * nothing has changed. Context: as mig_give(). Trust: who is there may be a stranger.
 */
int mig_give_mend(struct mig_memory *m, struct mig_stream *s, const u8 *secret, char *why);

#endif
