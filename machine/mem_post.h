/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest memory of which some pages come later, from where the VM was before: post-copy.
 *
 * DOC: Theory of operation
 *
 * Most of memory has come when the VM stops at its source. Then a list comes of the pages that have
 * changed since, or have never come. They are dropped here, and the mapping is registered with a
 * userfaultfd, under the rules of machine/mem_lazy.h: one mapping, rings are touched first, no huge
 * pages, not even before, because a part of one cannot be dropped for sure. So mem_post_expect() is
 * due before the first page comes.
 *
 * A thread sees who touches a missing page. If it is on the list it is asked for, once; if not, it
 * was never touched at the source either, and is zero. Another thread, the caller's, puts pages
 * that come. Neither touches guest memory: who waits for a page must not be who brings it.
 *
 *   bringer  puts the page, wakes who waits | then takes it off the list
 *   asker    finds it off the list          | zeroes do not overwrite: it is there already
 *
 * Before the VM runs, nobody is made to wait for what cannot come: after mem_post_give_up() memory
 * is an ordinary one, and the VM must not run. Once it runs, who needs a page waits for as long as
 * it takes: a guest never sees memory that it did not have.
 */
#ifndef KVMB_MEM_POST_H
#define KVMB_MEM_POST_H

#include "vmbus-core/env.h"

struct machine;

/** mem_post_prepare() - Take machine.uffd, if there is one. Main thread; memory is mapped. */
void mem_post_prepare(struct machine *m);

/** mem_post_can() - Did it? */
bool mem_post_can(const struct machine *m);

/** mem_post_expect() - A list may come. Return: 0; -EOPNOTSUPP; -ENOMEM. Before the first page. */
int mem_post_expect(struct machine *m);

/**
 * mem_post_list() - These pages come later
 * @first: of the page of bit 0; a multiple of 64
 * @bits:  bits[len], a page each, the lowest first
 * @len:   bytes
 *
 * Return: 0; -EINVAL: pages that there are not, or nobody expects a list. Trust: all is hostile.
 */
int mem_post_list(struct machine *m, u64 first, const u8 *bits, size_t len);

/** mem_post_has_list() - Did at least one piece of a list come? */
bool mem_post_has_list(const struct machine *m);

/**
 * mem_post_begin() - The list is complete: from here on, who touches a page of it waits
 * @m:    nobody has touched its memory but who has put pages there
 * @want: asks for a page, on a thread of its own; each once. It may wait
 * @arg:  of @want
 *
 * Return: 0; -errno: the VM cannot go on here. Context: main thread.
 */
int mem_post_begin(struct machine *m, void (*want)(void *arg, u64 page), void *arg);

/**
 * mem_post_put() - Pages have come
 * @page:  the first
 * @bytes: bytes[num pages]; NULL: all zero
 * @num:   pages
 *
 * Return: 0; -EINVAL: one is not on the list, or has come; nothing is changed then. -errno.
 * Context: one thread, which does not touch guest memory otherwise. Trust: all is hostile.
 */
int mem_post_put(struct machine *m, u64 page, const void *bytes, u64 num);

/** mem_post_left() - Bytes on the list that have not come. Any thread. */
u64 mem_post_left(const struct machine *m);

/**
 * mem_post_missing() - What has not come
 * @bits:  bits[len]
 * @first: page of bit 0, a multiple of 64
 * @len:   bytes, a multiple of 8
 *
 * Return: false: there are no such pages. Context: the thread of mem_post_put().
 */
bool mem_post_missing(const struct machine *m, u64 first, u8 *bits, size_t len);

/** mem_post_ask_again() - For all that somebody waits for. The thread of mem_post_put(). */
void mem_post_ask_again(struct machine *m);

/** mem_post_run() - The VM runs from here on. Return: 0; -EPIPE: it must not, it was given up. */
int mem_post_run(struct machine *m);

/** mem_post_give_up() - What is missing does not come. Return: false: it runs, and has to wait. */
bool mem_post_give_up(struct machine *m);

/** mem_post_done() - All has come: memory is an ordinary one. The thread of mem_post_put(). */
void mem_post_done(struct machine *m);

/**
 * mem_post_end() - Free what there is; fine if there is nothing
 *
 * Context: main thread; nobody puts pages. Nobody touches guest memory any more, unless all of it
 * has come.
 */
void mem_post_end(struct machine *m);

#endif
