/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kvmb_balloon: a guest's dynamic memory.
 *
 * DOC: Theory of operation
 *
 * The host asks one thing at a time: pages to give away, pages to take back, new memory to add. The
 * channel's interrupt queues a work item, which reads until the ring is empty and does what is
 * asked, however long that takes. Another one reports each second what the system needs.
 *
 * Pages that were given away are marked offline, so that nobody who walks over memory (a dump, the
 * hibernation image) touches them; each is in a list, and has the device in its private word. A
 * host that names other pages for ours has broken the protocol: nothing of that message is freed
 * behind such a page, and the channel is dead.
 *
 * When the channel is closed, the host forgets what was given away. So pages are freed after the
 * close, and leaked if the host has not confirmed it: it may still drop what is in them.
 *
 * Trust: every field of a message is the host's, read once from the private copy.
 */
#ifndef KVMB_BALLOON_GUEST_H
#define KVMB_BALLOON_GUEST_H

#include <linux/completion.h>
#include <linux/workqueue.h>

#include "guest-vsc/bus/bus.h"
#include "vmbus-core/proto/memory.h"

#define BALLOON_BUF 8192 /* bytes of the longest packet, with its headers */
#define BALLOON_RANGES \
	((KVMB_MEMORY_MESSAGE_MAX - sizeof(struct kvmb_wire_memory_ballooned)) / sizeof(__le64))

struct balloon_answer { /* one message of ranges */
	struct kvmb_wire_memory_ballooned head;
	__le64 ranges[BALLOON_RANGES];
};

struct kvmb_balloon {
	struct kvmb_chan *ch;
	struct work_struct work;
	struct delayed_work report;
	struct completion answered; /* of a question of ours: version, capabilities */
	bool accepted;		    /* what it was; before answered */
	bool stopping;		    /* what takes long ends early */
	u32 id;			    /* of the last message; the work items and probe take turns */
	struct mutex send_lock;	    /* guards id, and the order of messages */

	/* the work item's */
	struct list_head pages; /* given away: linked by lru */
	struct list_head lost;	/* likewise; the host has not confirmed that it forgot them */
	unsigned long num;	/* READ_ONCE() by reports */
	bool full;		/* new memory can never be added */
	struct balloon_answer *answer;
	u8 buf[BALLOON_BUF] __aligned(8);
};

/* ---- pages: balloon_pages.c ---- */

/** balloon_floor() - Pages that the system keeps for itself. */
unsigned long balloon_floor(void);

/** balloon_committed() - Pages that the system has promised, with those that are given away. */
unsigned long balloon_committed(const struct kvmb_balloon *b);

/**
 * balloon_fill() - Take pages from the system
 * @b:     its answer gets the ranges
 * @want:  pages
 * @order: 9, or 0: in units of so many pages; lowered when there are none of these any more
 *
 * Return: pages in @b->answer, 0: there are none. Context: may sleep.
 */
unsigned long balloon_fill(struct kvmb_balloon *b, unsigned long want, unsigned int *order);

/** balloon_unfill() - The answer could not be sent: give its pages back to the system. */
void balloon_unfill(struct kvmb_balloon *b);

/**
 * balloon_release() - The host gives back a range
 * @first: frame, hostile
 * @num:   pages, hostile
 *
 * Return: 0; -EPROTO: one of them was not given away; those before it are free.
 */
int balloon_release(struct kvmb_balloon *b, u64 first, u64 num);

/** balloon_release_all() - The host has forgotten them. */
void balloon_release_all(struct kvmb_balloon *b);

/** balloon_align() - Logarithm of the MiB that new memory is aligned to. */
unsigned int balloon_align(void);

/**
 * balloon_add() - Add new memory
 * @first: frame, hostile
 * @num:   pages, hostile
 *
 * Return: pages that were added; 0 with @b->full: there will never be any. Context: may sleep.
 */
unsigned long balloon_add(struct kvmb_balloon *b, u64 first, u64 num);

#endif
