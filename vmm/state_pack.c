// SPDX-License-Identifier: GPL-2.0-only
/* Compressed memory: state_pack.h. */
#include "vmm/state_pack.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/crc32c.h"
#include "lib/io.h"
#include "lib/sparse.h"
#include "lib/util.h"
#include "lib/zstd_lib.h"

#define LEVEL 1 /* higher ones take longer than most disks save (docs/performance.md) */
#define NONE ~0ull

static u32 crc_of(const void *p, size_t len)
{
	return ~kvmb_crc32c(~0u, p, len);
}

static u32 bytes_of(u64 pages)
{
	return (u32)__builtin_popcountll(pages) * KVMB_PAGE_SIZE;
}

/* ---- writing ---- */

int state_packer_init(struct state_packer *p)
{
	p->ctx = zstd.createCCtx();
	p->pages = malloc(STATE_PACK_CHUNK);
	p->packed = malloc(STATE_PACK_CHUNK);
	return p->ctx && p->pages && p->packed ? 0 : -ENOMEM;
}

void state_packer_fini(struct state_packer *p)
{
	if (p->ctx)
		zstd.freeCCtx(p->ctx);
	free(p->pages);
	free(p->packed);
}

/* Pages that are not zero move together. Return: a bit each. */
static u64 drop_zero_pages(u8 *p, u64 len)
{
	u64 at, to = 0, pages = 0;

	for (at = 0; at < len; at += KVMB_PAGE_SIZE) {
		if (kvmb_all_zero(p + at, KVMB_PAGE_SIZE))
			continue;
		pages |= 1ull << at / KVMB_PAGE_SIZE;
		if (at != to)
			memcpy(p + to, p + at, KVMB_PAGE_SIZE);
		to += KVMB_PAGE_SIZE;
	}
	return pages;
}

const void *state_pack(struct state_packer *p, u64 len, struct state_pack_entry *e)
{
	u64 pages = drop_zero_pages(p->pages, len);
	const void *out = p->packed;
	size_t bytes = bytes_of(pages), n;

	if (!pages)
		return NULL;
	n = zstd.compressCCtx(p->ctx, p->packed, bytes, p->pages, bytes, LEVEL);
	if (zstd.isError(n) || n >= bytes) { /* it has no room to become larger */
		out = p->pages;
		n = bytes;
	}
	*e = (struct state_pack_entry){ .pages = cpu_to_le64(pages),
					.len = cpu_to_le32((u32)n),
					.crc = cpu_to_le32(crc_of(out, n)) };
	return out;
}

/* ---- reading ---- */

struct chunk { /* checked */
	u64 offset, pages;
	u32 len, crc;
};

struct packed_memory {
	struct mem_source source;
	int fd;
	u64 num;	      /* of chunks that memory has */
	struct chunk *chunks; /* chunks[num]; no pages: all zero */
	ZSTD_DCtx *ctx;
	u8 *packed; /* packed[STATE_PACK_CHUNK] */
	u8 *pages;  /* the same: of chunk @have, one behind the other */
	u64 have;   /* NONE: no chunk */
};

static struct packed_memory *packed_of(struct mem_source *s)
{
	return container_of(s, struct packed_memory, source);
}

/* Have its pages in m->pages. Return: 0; -errno: they are not known. */
static int unpack(struct packed_memory *m, u64 number)
{
	const struct chunk *c = &m->chunks[number];
	u32 bytes = bytes_of(c->pages);
	int err;

	if (m->have == number)
		return 0;
	m->have = NONE;
	err = kvmb_pread_all(m->fd, c->len == bytes ? m->pages : m->packed, c->len, c->offset);
	if (err)
		return err == -ENODATA ? -EIO : err;
	if (crc_of(c->len == bytes ? m->pages : m->packed, c->len) != c->crc)
		return -EIO;
	if (c->len != bytes &&
	    zstd.decompressDCtx(m->ctx, m->pages, bytes, m->packed, c->len) != bytes)
		return -EIO;
	m->have = number;
	return 0;
}

static int copy_page(struct packed_memory *m, u8 *to, u64 page)
{
	const struct chunk *c = &m->chunks[page / STATE_PACK_PAGES];
	u64 bit = 1ull << page % STATE_PACK_PAGES;
	int err;

	if (!(c->pages & bit)) {
		memset(to, 0, KVMB_PAGE_SIZE);
		return 0;
	}
	err = unpack(m, page / STATE_PACK_PAGES);
	if (!err)
		memcpy(to, m->pages + bytes_of(c->pages & (bit - 1)), KVMB_PAGE_SIZE);
	return err;
}

static int packed_read(struct mem_source *s, void *buf, u64 at, u64 len)
{
	u64 i;
	int err = 0;

	for (i = 0; i < len && !err; i += KVMB_PAGE_SIZE)
		err = copy_page(packed_of(s), (u8 *)buf + i, (at + i) / KVMB_PAGE_SIZE);
	return err;
}

/* Neighbours of one chunk. */
static int packed_next(struct mem_source *s, u64 at, u64 *from, u64 *to)
{
	const struct packed_memory *m = packed_of(s);
	u64 chunk = at / STATE_PACK_CHUNK, skip = at % STATE_PACK_CHUNK / KVMB_PAGE_SIZE, pages;
	u32 first, run;

	for (; chunk < m->num; chunk++, skip = 0) {
		pages = m->chunks[chunk].pages >> skip << skip;
		if (!pages)
			continue;
		first = (u32)__builtin_ctzll(pages);
		pages = ~(pages >> first);
		run = pages ? (u32)__builtin_ctzll(pages) : STATE_PACK_PAGES;
		*from = chunk * STATE_PACK_CHUNK + first * KVMB_PAGE_SIZE;
		*to = *from + run * KVMB_PAGE_SIZE;
		return 1;
	}
	return 0;
}

/* What is zero is known from the index, and all else is read. */
static int packed_check(struct mem_source *s)
{
	(void)s;
	return 0;
}

static void free_packed(struct packed_memory *m)
{
	if (m->ctx)
		zstd.freeDCtx(m->ctx);
	free(m->chunks);
	free(m->packed);
	free(m->pages);
	free(m);
}

static void packed_close(struct mem_source *s)
{
	close(packed_of(s)->fd);
	free_packed(packed_of(s));
}

static const struct mem_source_ops packed_ops = {
	.read = packed_read,
	.next = packed_next,
	.check = packed_check,
	.close = packed_close,
};

/* Pages behind the end of memory, where its last chunk is shorter. */
static bool pages_exist(const struct packed_memory *m, u64 number, u64 pages)
{
	u64 have = (m->source.size - number * STATE_PACK_CHUNK) / KVMB_PAGE_SIZE;

	return pages && (have >= STATE_PACK_PAGES || !(pages >> have));
}

/* @at: where the chunk before it ends, set to where this one does. */
static bool take_entry(struct packed_memory *m, const struct state_pack_entry *e, u64 end, u64 *at)
{
	u64 number = le64_to_cpu(e->chunk);
	struct chunk c = { .offset = le64_to_cpu(e->offset),
			   .pages = le64_to_cpu(e->pages),
			   .len = le32_to_cpu(e->len),
			   .crc = le32_to_cpu(e->crc) };

	if (number >= m->num || m->chunks[number].pages || !pages_exist(m, number, c.pages))
		return false;
	if (!c.len || c.len > bytes_of(c.pages))
		return false;
	if (c.offset < *at || c.offset > end || c.len > end - c.offset)
		return false;
	m->chunks[number] = c;
	*at = c.offset + c.len;
	return true;
}

static int read_index(struct packed_memory *m, const struct state_pack_index *index)
{
	struct state_pack_entry *all = malloc(index->num * sizeof(*all) + 1);
	u64 i, at = index->begin;
	int err = all ? kvmb_pread_all(m->fd, all, index->num * sizeof(*all), index->at) : -ENOMEM;

	if (!err && crc_of(all, index->num * sizeof(*all)) != index->crc)
		err = -EPROTO;
	for (i = 0; i < index->num && !err; i++)
		err = take_entry(m, &all[i], index->at, &at) ? 0 : -EPROTO;
	free(all);
	return err;
}

int state_pack_source(int fd, const struct state_pack_index *index, u64 size,
		      struct mem_source **out)
{
	struct packed_memory *m = kvmb_xzalloc(sizeof(*m));
	int err;

	*m = (struct packed_memory){ .source = { &packed_ops, size, STATE_PACK_CHUNK },
				     .fd = fd,
				     .num = (size + STATE_PACK_CHUNK - 1) / STATE_PACK_CHUNK,
				     .have = NONE };
	m->chunks = calloc(m->num, sizeof(*m->chunks));
	m->packed = malloc(STATE_PACK_CHUNK);
	m->pages = malloc(STATE_PACK_CHUNK);
	m->ctx = zstd.createDCtx();
	err = m->chunks && m->packed && m->pages && m->ctx ? read_index(m, index) : -ENOMEM;
	if (err)
		free_packed(m);
	else
		*out = &m->source;
	return err;
}
