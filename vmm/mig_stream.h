/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The conversation of a migration, over a stream socket.
 *
 * DOC: Theory of operation
 *
 * The source's command sends a greeting and section CONFIG; the target builds such a VM and says
 * READY, or why not. Then the source's VM takes the socket over. Section HOST says what must be the
 * same on both sides, and the target that it FITS: nobody waits for gigabytes to hear that it does
 * not. Then pages of memory while the VM runs, its last pages and its other sections while it
 * stands, section END. The target loads them and says LOADED: nothing of its own is left that could
 * fail.
 *
 * Until here the source can go on at any time, and does when the other side is silent or gone.
 * Now it gives up its locks on the images and says GO. The target takes the locks, says RUNNING and
 * runs. Who has the locks has the VM: a source that hears nothing after GO asks for them back.
 * When it gets them, the target is not there and has not run, or has run and ended; if nobody has
 * written to the images since, it goes on. When somebody else has them and has written, the VM runs
 * on the target. When nobody can tell, it stands until the administrator says where it is.
 *
 * With --postcopy a part of memory comes after that. A target that can says so with FITS; the
 * source says LATER, and a secret. When the guest stands, the source sends a list of pages (section
 * LATER) in place of them, and then no other pages until END. From END on the target asks for pages
 * that are needed (WANTED), at any time, and the source sends these first; from RUNNING on it sends
 * all the others, too. When the last has come, or the VM has ended, the target says ALL_HERE, and
 * the source ends. Until then the VM is on both sides: the target runs it, and the source has a
 * part of its memory, which it must keep.
 *
 * When that link breaks, who needs a page waits, and the VM is paused. A new one begins with
 * another greeting; the source says MEND with the first half of the secret, and the target MEND
 * with the other half. Then the target sends the list of what has not come, and END, and it goes
 * on.
 *
 * Everything that is read is hostile.
 */
#ifndef KVMB_MIG_STREAM_H
#define KVMB_MIG_STREAM_H

#include "lib/tlv.h"
#include "vmbus-core/env.h"

#define MIG_WHY 200
#ifndef MIG_PATIENCE_MS /* tests have less */
#define MIG_PATIENCE_MS 60000u /* longest silence of the other side */
#endif
#define MIG_CHUNK (256u << 10) /* bytes of memory in a section at most */
#define MIG_GREETING "kvmbus stream 1\n"
#define MIG_MEND_GREETING "kvmbus mends 01\n" /* of the same length */
#define MIG_SECRET 32u			      /* bytes; two halves */
#define MIG_CAN_LATER 1u		      /* bit of MIG_WORD_CAN */

enum mig_word {
	MIG_READY = 1,
	MIG_LOADED,
	MIG_GO,
	MIG_RUNNING,
	MIG_REFUSED,
	MIG_FITS,
	MIG_LATER = 20,
	MIG_ALL_HERE,
	MIG_MEND,
	MIG_NUM_WORDS
};

enum {			     /* fields of section WORD; never used again */
       MIG_WORD_WORD = 1,    /* enum mig_word */
       MIG_WORD_WHY = 2,     /* string, of REFUSED */
       MIG_WORD_CAN = 10,    /* bits MIG_CAN_*, of FITS; missing = none */
       MIG_WORD_SECRET = 11, /* MIG_SECRET bytes of LATER, half of them of MEND */
};

enum { /* of section MEMORY; never used again. A page is 4096 bytes of the VM's memory file */
       MIG_MEM_FIRST = 1, /* number of the first page */
       MIG_MEM_PAGES = 2, /* bytes of the pages that follow */
       MIG_MEM_ZERO = 3,  /* instead: how many pages have become zero */
};

enum {			    /* of section LATER; never used again */
       MIG_LATER_FIRST = 1, /* page of the first bit; a multiple of 64 */
       MIG_LATER_BITS = 2,  /* a bit a page, the lowest first; MIG_CHUNK bytes at most */
};

enum { /* of section WANTED; never used again */
       MIG_WANTED_PAGE = 1,
};

struct mig_word_more { /* what may come with a word */
	u64 can;
	u8 secret[MIG_SECRET];
	size_t secret_len; /* 0, MIG_SECRET / 2 or MIG_SECRET */
};

struct mig_stream {
	int fd;		      /* owned by whoever made it */
	const int *cancelled; /* atomic: give up; NULL = never */
	u64 deadline_ms;      /* whatever comes meanwhile; 0 = none. kvmb_now_ms() */
	u32 patience_ms;      /* without a byte; 0 = MIG_PATIENCE_MS */
	u64 sent, received;   /* bytes; one thread at a time, sent may be read by others */
	struct mig_word_more heard; /* with the last word */
};

struct mig_section { /* one that was received; zeroed to begin with, mig_section_fini() */
	u8 *buf;     /* buf[len], header and fields */
	size_t len, room;
	struct kvmb_tlv t;
	struct kvmb_tlv_error error;
};

/**
 * mig_send() - Send bytes
 *
 * Return: 0; -EPIPE: the other side is gone; -ETIMEDOUT: it takes nothing, or the deadline has
 * come; -ECANCELED; -errno.
 * Context: a thread that may wait.
 */
int mig_send(struct mig_stream *s, const void *bytes, size_t len);

/**
 * mig_send_out() - Send sections that were put together, and free them
 *
 * Return: as mig_send(); -ENOMEM: @o has failed, and nothing was sent.
 */
int mig_send_out(struct mig_stream *s, struct kvmb_tlv_out *o);

/**
 * mig_pause() - Send nothing for a while
 * @until_ms: kvmb_now_ms()
 *
 * Return: 0, early when the other side is gone; -ETIMEDOUT: the deadline has come; -ECANCELED.
 */
int mig_pause(struct mig_stream *s, u64 until_ms);

/** mig_recv() - Receive exactly bytes[len]. Return: as mig_send(). */
int mig_recv(struct mig_stream *s, void *bytes, size_t len);

/**
 * mig_recv_section() - Receive one section
 * @sec: holds it until the next
 *
 * Return: 0; -EPROTO: @sec->error has one line; else as mig_recv().
 */
int mig_recv_section(struct mig_stream *s, struct mig_section *sec);

/** mig_section_fini() - Free what it holds. */
void mig_section_fini(struct mig_section *sec);

struct mig_pages {	   /* of a section MEMORY */
	u64 first, num;	   /* pages; whatever the other side says */
	const void *bytes; /* bytes[len], in the section; NULL: they are zero */
	size_t len;
};

/** mig_take_pages() - Read a section MEMORY, hostile. Return: as kvmb_tlv_done(). */
int mig_take_pages(struct kvmb_tlv *t, struct mig_pages *p);

/**
 * mig_say() - Say one word, within MIG_PATIENCE_MS
 * @why: of REFUSED, else NULL
 *
 * Return: as mig_send().
 */
int mig_say(struct mig_stream *s, enum mig_word word, const char *why);

/** mig_tell() - The same, and what comes with it; @more may be NULL. Return: as mig_send(). */
int mig_tell(struct mig_stream *s, enum mig_word word, const char *why,
	     const struct mig_word_more *more);

/**
 * mig_take_word() - Is a section that was received this word?
 * @s:   s->heard is what came with it
 * @why: why[MIG_WHY], on failure one phrase
 *
 * Return: 0; -ECONNREFUSED, -EPROTO: as mig_hear().
 */
int mig_take_word(struct mig_stream *s, struct mig_section *sec, enum mig_word word, char *why);

/**
 * mig_hear() - Wait for one word, which must be there within MIG_PATIENCE_MS
 * @why: why[MIG_WHY], on failure one phrase: the other side's when it refuses
 *
 * Return: 0; -ECONNREFUSED: the other side refuses; -EPROTO: it says something else; else as
 * mig_recv().
 */
int mig_hear(struct mig_stream *s, enum mig_word word, char *why);

/** mig_why() - A phrase for what mig_send() and mig_recv() return. */
const char *mig_why(int err);

#endif
