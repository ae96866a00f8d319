/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VM whose memory comes later: the target's side of the link, from the list of pages on.
 *
 * DOC: Theory of operation
 *
 * From here on one thread receives, pages and words, and puts pages where they are missing
 * (machine/mem_post.h); another asks for pages that are needed. They never touch guest memory
 * otherwise. The main thread does, so it may itself wait for a page: it hears words through the
 * receiver, and nothing here waits for it.
 *
 * COMING: the link works. Operations: all has come -> DONE; it breaks -> BROKEN.
 * BROKEN: before the VM runs: it never will (mem_post_give_up()). Later: who needs a page waits;
 *   the main thread stops vCPUs, without waiting for one that waits for a page itself, and then
 *   guest time: mig_post_info(), vm->stop_reason. Operations: mig_post_mend() -> MENDING.
 * MENDING: a new link; the source proves who it is. Operations: -> COMING, BROKEN.
 * DONE: memory is an ordinary one. This is final.
 *
 * What the guest asks for (a reset, its end) is done when all has come, because the main thread
 * would wait for threads that wait for pages. A VM that is killed ends when its vCPUs stand; while
 * its link is broken it ends with its process, at once: who is in the middle of writing a page to a
 * disk must not be woken.
 *
 * The receiver writes the state, under the lock, and has the main thread look at it. When the VM
 * ends before all has come, the source is told that it may end, too.
 */
#ifndef KVMB_MIG_POST_H
#define KVMB_MIG_POST_H

#include <jansson.h>

#include "vmm/mig_stream.h"
#include "vmm/reply.h"

struct vm;

/**
 * mig_post_begin() - The list is complete
 * @vm:     its memory expects a list
 * @fd:     the stream; taken over
 * @secret: secret[MIG_SECRET], of LATER
 * @why:    why[MIG_WHY], on failure one phrase
 *
 * Return: 0; -errno: @fd is still the caller's. Context: main thread.
 */
int mig_post_begin(struct vm *vm, int fd, const u8 *secret, char *why);

/** mig_post_say() - Say a word to the source; RUNNING after mig_post_run(). As mig_say(). */
int mig_post_say(struct vm *vm, enum mig_word word, const char *why);

/** mig_post_hear() - Wait for a word, as mig_hear() does. Main thread, before the VM runs. */
int mig_post_hear(struct vm *vm, enum mig_word word, char *why);

/** mig_post_fail() - The VM does not go on here: nobody waits for pages any more. Main thread. */
void mig_post_fail(struct vm *vm);

/** mig_post_run() - It does, if the source is still there; later nobody asks. Or -EPIPE. */
int mig_post_run(struct vm *vm);

/** mig_post_is_broken() - Does it wait for memory that does not come? Asks now. Main thread. */
bool mig_post_is_broken(const struct vm *vm);

/**
 * mig_post_mend() - Go on over another link
 * @fd:    stream; taken over. Whoever is there has to know the secret
 * @reply: when both sides agree
 *
 * Context: main thread.
 */
void mig_post_mend(struct vm *vm, int fd, struct ctl_reply reply);

/** mig_post_forget() - The VM ends: nobody is answered any more. Main thread; fine without. */
void mig_post_forget(struct vm *vm);

/** mig_post_info() - How far it is. Return: a new reference; JSON null: all is there. */
json_t *mig_post_info(const struct vm *vm);

/** mig_post_destroy() - Nobody touches guest memory any more. Main thread; fine without. */
void mig_post_destroy(struct vm *vm);

#endif
