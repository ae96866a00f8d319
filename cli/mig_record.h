/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What two pumps say to each other: greeting, answer, records. docs/migration.md has the bytes.
 *
 * Everything that is read is hostile: a record is checked before its bytes are taken, and never
 * takes more memory than a reader has.
 */
#ifndef KVMB_MIG_RECORD_H
#define KVMB_MIG_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/zstd_lib.h"

#define MIG_LANES 16				/* connections of a bundle at most */
#define MIG_BUNDLE_GREETING "kvmbus bundle 1\n" /* as long as MIG_GREETING */
#define MIG_BUNDLE_GREETING_LEN 16u
#define MIG_HELLO_LEN 40u
#define MIG_ANSWER_LEN 24u
#define MIG_TOKEN_LEN 16u
#define MIG_RECORD_HEADER 24u
#define MIG_RECORD_RAW (256u << 10) /* bytes of the stream in a record at most */

/* ---- how two pumps meet ---- */

struct mig_hello {
	uint8_t lane;		      /* 0 = the first connection, which has no token */
	uint8_t num;		      /* connections, 1 to MIG_LANES */
	bool packs;		      /* the records from there may be packed by zstd */
	uint8_t token[MIG_TOKEN_LEN]; /* of the answer to the first */
};

enum mig_answer { /* on the wire; never used again */
		  MIG_ANSWER_OK = 0,
		  MIG_ANSWER_NO_ZSTD = 1,
		  MIG_ANSWER_ONE_LANE = 2, /* there is no address for further connections */
		  MIG_ANSWER_BAD = 3,	   /* a greeting that it does not understand */
};

/** mig_hello_put() - bytes[MIG_HELLO_LEN], greeting first. */
void mig_hello_put(const struct mig_hello *h, uint8_t *bytes);

/** mig_hello_get() - bytes[MIG_HELLO_LEN]. Return: 0 or -EPROTO. */
int mig_hello_get(const uint8_t *bytes, struct mig_hello *h);

/** mig_answer_put() - bytes[MIG_ANSWER_LEN]. @token: NULL = zeros. */
void mig_answer_put(enum mig_answer a, const uint8_t *token, uint8_t *bytes);

/** mig_answer_get() - Return: enum mig_answer, or -EPROTO; @token is filled if it is OK. */
int mig_answer_get(const uint8_t *bytes, uint8_t *token);

/** mig_answer_why() - One phrase for an answer that is not OK, or was none. */
const char *mig_answer_why(int answer);

/* ---- records ---- */

enum {			      /* flags of a record */
       MIG_RECORD_PACKED = 1, /* by zstd */
       MIG_RECORD_END = 2, /* of this connection: no bytes, and its number is the last one's + 1 */
};

struct mig_record {
	uint64_t seq;	 /* its place in the stream */
	uint32_t raw;	 /* bytes of the stream */
	uint32_t packed; /* bytes that follow the header */
	uint32_t flags;
};

struct mig_packer {	 /* of one thread; mig_packer_fini() */
	uint8_t *raw;	 /* raw[MIG_RECORD_RAW], for the caller */
	uint8_t *record; /* record[MIG_RECORD_HEADER + MIG_RECORD_RAW] */
	ZSTD_CCtx *zstd; /* NULL = nothing is packed */
};

/** mig_packer_init() - @packs: by zstd, which is loaded. Return: 0 or -ENOMEM. */
int mig_packer_init(struct mig_packer *p, bool packs);

/** mig_packer_fini() - Free what it holds; zeroed is fine. */
void mig_packer_fini(struct mig_packer *p);

/**
 * mig_pack() - Make a record of p->raw[@len]
 * @len: 0: the end
 *
 * Return: bytes of p->record.
 */
size_t mig_pack(struct mig_packer *p, uint64_t seq, size_t len);

/* Takes the records of one connection as their bytes come. mig_reader_fini() */
struct mig_reader {
	struct mig_record now; /* whose header has come */
	uint8_t header[MIG_RECORD_HEADER];
	size_t got;	 /* bytes of header and what follows it */
	bool has;	 /* @now is valid */
	bool packs;	 /* packed ones are allowed */
	bool ended;	 /* its END has come: nothing may follow */
	uint64_t least;	 /* the next one's number: numbers of a connection rise */
	uint8_t *packed; /* packed[MIG_RECORD_RAW] */
	uint8_t *raw;	 /* raw[MIG_RECORD_RAW]; NULL unless @packs */
	ZSTD_DCtx *zstd;
};

/** mig_reader_init() - @packs: zstd is loaded. Return: 0 or -ENOMEM. */
int mig_reader_init(struct mig_reader *r, bool packs);

/** mig_reader_fini() - Free what it holds; zeroed is fine. */
void mig_reader_fini(struct mig_reader *r);

/** mig_reader_want() - Where the next bytes go. Return: how many at most, more than 0. */
size_t mig_reader_want(struct mig_reader *r, uint8_t **to);

/**
 * mig_reader_took() - That many have come
 * @n:   1 to mig_reader_want()
 * @why: why[@size], on -EPROTO one phrase
 *
 * Return: 1: r->now is there; mig_reader_unpack(), then mig_reader_next(); 0: more; -EPROTO.
 */
int mig_reader_took(struct mig_reader *r, size_t n, char *why, size_t size);

/**
 * mig_reader_unpack() - The bytes of a record that is there
 * @raw: set to raw[r->now.raw], valid until mig_reader_next()
 *
 * Return: 0; -EPROTO with one phrase in why[@size].
 */
int mig_reader_unpack(struct mig_reader *r, const uint8_t **raw, char *why, size_t size);

/** mig_reader_next() - Done with that record. */
void mig_reader_next(struct mig_reader *r);

/** mig_reader_may_end() - Is nothing missing if the connection ends here? */
bool mig_reader_may_end(const struct mig_reader *r);

#endif
