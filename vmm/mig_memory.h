/* SPDX-License-Identifier: GPL-2.0-only */
/* Sending memory that changes: the rounds of a migration. All on one thread at a time. */
#ifndef KVMB_MIG_MEMORY_H
#define KVMB_MIG_MEMORY_H

#include "lib/tlv.h"
#include "vmm/mig_stream.h"

struct machine;
struct mig_disks;

struct mig_pace {
	u32 downtime_ms; /* that the guest may stand */
	u32 timeout_s;	 /* give up when it does not come to that; 0 = never */
	u64 bandwidth;	 /* bytes a second while the guest runs; 0 = no limit */
	bool later;	 /* after one round the rest may come when it runs elsewhere */
	/* the guest changes memory faster than it can be sent: slow it down, NULL = do not */
	void (*slow_down)(void *arg, u32 percent);
	void *arg;
	struct mig_disks *disks; /* whose content goes along; NULL = none */
};

struct mig_memory {
	struct machine *machine;
	u64 pages; /* of RAM */
	u64 *bits; /* bits[pages / 64, rounded up]: to be sent */
	u64 *list; /* list[the same]: what comes later; NULL = all is sent before */
	bool later; /* set by mig_memory_live(): mig_memory_keep() is due */
	u64 next;   /* of the list: the page where the rest goes on */
	u64 kept;   /* atomic, for info: pages of the list that were not sent */
	struct kvmb_tlv_out out;
	u8 *copy;      /* copy[MIG_CHUNK]: what is sent, while the guest goes on writing */
	u32 rounds;    /* atomic, for info: complete ones */
	u64 bandwidth; /* bytes a second, 0 = no limit */
	u64 burst;     /* bytes sent in this burst */
	u64 burst_ms;  /* when it began; 0 = none so far */
	u64 paused_ns; /* in this round */
	u32 stalled;   /* rounds without progress */
	u32 slowed;    /* percent that was asked for */
	struct mig_disks *disks; /* NULL = none */
	u64 disks_left;		 /* bytes of them to send */
	u64 looked_at; /* atomic, for info: bytes of RAM, in this round */
	u64 left;      /* atomic, for info: bytes to send in this round when it began */
};

/** mig_memory_init() - Nothing is sent so far. The log runs. Return: 0 or -ENOMEM. */
int mig_memory_init(struct mig_memory *m, struct machine *machine);

/** mig_memory_fini() - Free it; zeroed is fine. */
void mig_memory_fini(struct mig_memory *m);

#define MIG_BURST_MS 250u /* what a limit allows in that time goes out at once */

/**
 * mig_memory_live() - Send all that was ever touched, then what changes, while the guest runs
 * @pace: what is wanted
 * @why:  why[MIG_WHY], set when there is more to say than mig_why() does
 *
 * The limit does not hold for mig_memory_last(): the guest stands, so what is left then goes out as
 * fast as the link takes it. How fast that is, only the bursts show; so more than one of them is
 * expected to take as long as the limit allows.
 *
 * Disks are sent once before memory, which changes more; from there on a round is of both.
 *
 * Return: 0: what is left can be sent within the wanted downtime; -ETIME: it did not come to that
 * within the wanted time; else as mig_send(). Context: a thread that may wait.
 */
int mig_memory_live(struct mig_memory *m, struct mig_stream *s, const struct mig_pace *pace,
		    char *why);

/**
 * mig_memory_keep() - What has been written until now comes later
 *
 * For m->later, before who writes all the time says so: that is sent by mig_memory_last(), because
 * the other side's main thread needs it. Return: 0 or -errno. Context: vCPUs and bus stand.
 */
int mig_memory_keep(struct mig_memory *m);

/**
 * mig_memory_soon() - Of what comes later, send before what is noted from mig_memory_keep() to here
 *
 * Return: 0 or -errno. Context: as mig_memory_keep().
 */
int mig_memory_soon(struct mig_memory *m);

/**
 * mig_memory_last() - Send what is left, of disks, too; nobody writes any more
 * @why: as mig_memory_live()
 *
 * After mig_memory_keep() that is what has been written since, and the list of what comes later.
 * Return: as mig_send(); -EIO: a disk cannot be read.
 */
int mig_memory_last(struct mig_memory *m, struct mig_stream *s, char *why);

/**
 * mig_memory_give() - Send a page of the list, unless it was sent
 *
 * Return: 0; -EINVAL: it is not on the list; as mig_send(). Trust: @page is hostile.
 */
int mig_memory_give(struct mig_memory *m, struct mig_stream *s, u64 page);

/** mig_memory_give_next() - Send pages after the last. Return: 1; 0: all were sent; -errno. */
int mig_memory_give_next(struct mig_memory *m, struct mig_stream *s);

/** mig_memory_left() - Pages of the list that were not sent. Any thread. */
u64 mig_memory_left(const struct mig_memory *m);

/**
 * mig_memory_note() - Note pages that the target misses
 * @want:  bits as m->bits, added to
 * @first: page of bit 0
 * @bits:  bits[len]
 *
 * Return: 0; -EINVAL: one is not on the list. Trust: all but @want is hostile.
 */
int mig_memory_note(const struct mig_memory *m, u64 *want, u64 first, const u8 *bits, size_t len);

/** mig_memory_want() - These pages are to be sent; @want: of mig_memory_note(), copied. */
void mig_memory_want(struct mig_memory *m, const u64 *want);

#endif
