/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Compressed memory in the file of a saved VM.
 *
 * DOC: Theory of operation
 *
 * Memory is cut into chunks of 64 pages. Of each the pages that are not zero are compressed
 * together, so that any page comes by the decompression of one chunk. A chunk that does not get
 * smaller is stored as it is. Behind the chunks is an index with an entry for each, in the order
 * in which they lie in the file: which chunk, where, how long, which of its pages, a CRC-32C.
 *
 * Trust: all of it is hostile when it is read. Chunks must lie before the index and not overlap,
 * no chunk may be there twice, and what one is decompressed to has the size that its pages say; the
 * library writes into a buffer of that size. So a file decides on the guest's memory, and on
 * nothing else.
 */
#ifndef KVMB_STATE_PACK_H
#define KVMB_STATE_PACK_H

#include <zstd.h>

#include "machine/mem_source.h"

#define STATE_PACK_PAGES 64u
#define STATE_PACK_CHUNK (STATE_PACK_PAGES * KVMB_PAGE_SIZE)

struct state_pack_entry { /* little-endian */
	__le64 chunk;	  /* address of its first page in memory / STATE_PACK_CHUNK */
	__le64 offset;	  /* in the file */
	__le64 pages;	  /* bit n: its page n is there; the others are zero */
	__le32 len;	  /* bytes in the file; all of its pages: not compressed */
	__le32 crc;	  /* CRC-32C of these */
};
static_assert(sizeof(struct state_pack_entry) == 32, "docs/migration.md");

/* ---- writing ---- */

struct state_packer { /* of one thread */
	ZSTD_CCtx *ctx;
	u8 *pages;  /* pages[STATE_PACK_CHUNK] */
	u8 *packed; /* the same */
};

/** state_packer_init() - libzstd is loaded. Return: 0 or -ENOMEM; state_packer_fini() is due. */
int state_packer_init(struct state_packer *p);

/** state_packer_fini() - Free what it has; zeroed is fine. */
void state_packer_fini(struct state_packer *p);

/**
 * state_pack() - Compress one chunk
 * @p:   has the chunk in p->pages, which change
 * @len: bytes of it; multiple of a page, STATE_PACK_CHUNK at most
 * @e:   filled, but for chunk and offset
 *
 * Return: e->len bytes, valid until the next call; NULL: all are zero.
 */
const void *state_pack(struct state_packer *p, u64 len, struct state_pack_entry *e);

/* ---- reading ---- */

struct state_pack_index {
	u64 begin; /* where chunks may begin in the file */
	u64 at;	   /* where they end, and the index begins */
	u64 num;   /* entries */
	u32 crc;   /* CRC-32C of them */
};

/**
 * state_pack_source() - Read and check the index
 * @fd:    taken over on success
 * @index: its numbers come from the file, but num * 32 bytes are no more than memory
 * @size:  bytes of memory
 * @out:   set on success
 *
 * Return: 0; -EPROTO: it is damaged; -errno. May wait.
 */
int state_pack_source(int fd, const struct state_pack_index *index, u64 size,
		      struct mem_source **out);

#endif
