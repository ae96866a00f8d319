/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copying a disk into a raw file: several reads in flight, holes stay holes, and it can go on where
 * it was interrupted.
 *
 * DOC: Theory of operation
 *
 * The disk is cut into grains of one mebibyte. Up to COPIER_SLOTS of them are being read at a time,
 * and that is all the memory that it takes. A source that knows where nothing is (NBD's block
 * status, a file's holes) is asked, and such grains are not read; one that turns out to be all
 * zeroes is not written.
 *
 * What is copied is kept in a journal (copy_journal.h): a grain counts when its data is on disk,
 * so every COPIER_SYNC_GRAINS grains or COPIER_SYNC_MS the target is flushed, and then the journal
 * is written. That many are read again at most after a crash; after an error or ^C only those that
 * were being read.
 *
 * Trust: a source may give any bytes, errors at any time, or nothing; then it ends with an error.
 */
#ifndef KVMB_COPIER_H
#define KVMB_COPIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COPIER_GRAIN (1u << 20)
#define COPIER_SLOTS 8u
#define COPIER_SYNC_GRAINS 64u
#define COPIER_SYNC_MS 1000u
#define COPIER_MOST (64ull << 40) /* bytes of a disk */
#define COPIER_ID 512u		  /* bytes of what tells one source from another */

#ifndef COPIER_SILENT_MS /* without an answer; a test is shorter */
#define COPIER_SILENT_MS 60000u
#endif

struct copy_journal;

struct copier_slot { /* one read */
	void *buf;   /* buf[len] */
	uint64_t at;
	uint32_t len;
	bool busy, done; /* @done is set by the source, then @err counts */
	int err;	 /* 0 or -errno */
};

struct copier_source;

struct copier_ops {
	/* Begin to read; sets done, now or in wait(). Return: 0; -errno: it never will. */
	int (*begin)(struct copier_source *s, struct copier_slot *slot);
	/* Until something is done, or @ms. Return: 0; -errno: the source is gone. */
	int (*wait)(struct copier_source *s, int ms);
	/* Is it zero from @at on, or not, until *@end? NULL = it never knows. Return: 0, -errno. */
	int (*look)(struct copier_source *s, uint64_t at, uint64_t *end, bool *zero);
	void (*close)(struct copier_source *s);
};

struct copier_source {
	const struct copier_ops *ops;
	uint64_t bytes;
	char id[COPIER_ID]; /* the same after a reconnect, another for another disk; printable */
	char why[200];	    /* after an error: what it said, or "" */
};

struct copier {
	struct copier_source *source;
	int fd;			      /* the target: readable, writable, as long as the source */
	struct copy_journal *journal; /* NULL = none */
	bool fresh;		      /* the target was empty: what is zero needs no punching */
	/* Called often. Return: false: stop. */
	bool (*tell)(void *arg, uint64_t done, uint64_t total);
	void *arg;
	uint64_t read; /* out: bytes that came from the source */
};

/**
 * copier_run() - Copy what is not copied yet
 * @c:   filled by the caller
 * @why: why[size], on failure one phrase
 *
 * Return: 0, and all is on disk; -EINTR: told to stop; -errno. After a failure the journal says
 * what is copied. Context: blocks; one thread.
 */
int copier_run(struct copier *c, char *why, size_t size);

/** copier_verify() - Read all of both again. Return: 0; -ESTALE: they differ; as copier_run(). */
int copier_verify(struct copier *c, char *why, size_t size);

/* ---- sources; ops->close() frees them ---- */

/**
 * copy_file_open() - A file or block device of this host
 * @why: why[size], on failure one phrase
 *
 * Return: NULL on failure. Reads ahead by the page cache.
 */
struct copier_source *copy_file_open(const char *path, char *why, size_t size);

/** copy_file_take() - The same of an open file, which is borrowed; @path is for its identity. */
struct copier_source *copy_file_take(int fd, const char *path, char *why, size_t size);

/**
 * copy_nbd_open() - A connected NBD server
 * @fd: stream socket; taken over, also on failure
 * @id: of the disk
 *
 * Return: NULL on failure. Context: waits for its greeting. Trust: the server is hostile.
 */
struct copier_source *copy_nbd_open(int fd, const char *id, char *why, size_t size);

struct probe_chain;

/**
 * copy_vhd_open() - A chain of VHDs, of which all but the last are differencing
 * @c: borrowed
 */
struct copier_source *copy_vhd_open(const struct probe_chain *c, char *why, size_t size);

#endif
