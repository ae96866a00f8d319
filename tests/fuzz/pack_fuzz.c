// SPDX-License-Identifier: GPL-2.0-only
/*
 * Compressed memory of a saved VM: three chunks and their index, changed anywhere, with CRCs that
 * are right or not. What is taken is read, all of it; a page that cannot be read is an error.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/crc32c.h"
#include "lib/util.h"
#include "lib/zstd_lib.h"
#include "vmm/state_pack.h"

#define SIZE (3 * STATE_PACK_CHUNK + 16 * KVMB_PAGE_SIZE)
#define MOST_CHUNKS 8192u /* bytes; the sample has fewer */

static u8 sample[MOST_CHUNKS];
static struct state_pack_entry sample_index[3];
static u64 sample_len;

static void make_sample(void)
{
	static const u64 chunks[] = { 2, 0, 3 };
	struct state_packer p = { 0 };
	char why[200];
	const void *out;
	u32 i, page;

	if (kvmb_zstd_load(why, sizeof(why)) || state_packer_init(&p))
		abort();
	for (i = 0; i < 3; i++) {
		u64 len = KVMB_MIN(SIZE - chunks[i] * STATE_PACK_CHUNK, (u64)STATE_PACK_CHUNK);

		for (page = 0; page < len / KVMB_PAGE_SIZE; page++)
			memset(p.pages + page * KVMB_PAGE_SIZE, (int)(page % 7 * i),
			       KVMB_PAGE_SIZE);
		p.pages[0] = 1;
		out = state_pack(&p, len, &sample_index[i]);
		if (!out || sample_len + le32_to_cpu(sample_index[i].len) > MOST_CHUNKS)
			abort();
		sample_index[i].chunk = cpu_to_le64(chunks[i]);
		sample_index[i].offset = cpu_to_le64(sample_len);
		memcpy(sample + sample_len, out, le32_to_cpu(sample_index[i].len));
		sample_len += le32_to_cpu(sample_index[i].len);
	}
	state_packer_fini(&p);
}

static void read_all(struct mem_source *s)
{
	static u8 buf[STATE_PACK_CHUNK];
	u64 at = 0, from, to, last = 0;

	while (s->ops->next(s, at, &from, &to) > 0) {
		if (from < last || from >= to || to > SIZE || from % KVMB_PAGE_SIZE ||
		    to % KVMB_PAGE_SIZE || to - from > sizeof(buf))
			abort();
		s->ops->read(s, buf, from, to - from);
		at = last = to;
	}
	for (at = 0; at < SIZE; at += 61 * KVMB_PAGE_SIZE)
		s->ops->read(s, buf, at, KVMB_PAGE_SIZE);
}

/* Whoever means harm has CRCs that are right. */
static void seal(u8 *chunks, struct state_pack_entry *index, u64 num)
{
	u64 i, at, len;

	for (i = 0; i < num; i++) {
		at = le64_to_cpu(index[i].offset);
		len = le32_to_cpu(index[i].len);
		if (at <= sample_len && len <= sample_len - at)
			index[i].crc = cpu_to_le32(~kvmb_crc32c(~0u, chunks + at, len));
	}
}

int LLVMFuzzerTestOneInput(const u8 *in, size_t left);
int LLVMFuzzerTestOneInput(const u8 *in, size_t left)
{
	struct {
		u8 chunks[MOST_CHUNKS];
		struct state_pack_entry index[4];
	} f = { 0 };
	struct state_pack_index where = { 0 };
	struct mem_source *s;
	bool changed = left > 3;
	int fd;

	if (!sample_len)
		make_sample();
	if (!left)
		return 0;
	memcpy(f.chunks, sample, sample_len);
	memcpy(f.index, sample_index, sizeof(sample_index));
	where.at = sample_len;
	where.num = in[0] & 1 ? 3 : in[0] >> 1 & 3;
	changed = changed || where.num != 3;
	for (in++, left--; left >= 3; in += 3, left -= 3) { /* in the index, or in the chunks */
		u32 at = (u32)in[0] << 8 | in[1];

		if (at & 0x8000)
			((u8 *)f.index)[at % sizeof(f.index)] ^= in[2];
		else
			f.chunks[at % sample_len] ^= in[2];
	}
	seal(f.chunks, f.index, where.num);
	where.crc = ~kvmb_crc32c(~0u, f.index, where.num * sizeof(f.index[0]));
	fd = memfd_create("pack", 0);
	if (pwrite(fd, f.chunks, sample_len, 0) < 0 ||
	    pwrite(fd, f.index, sizeof(f.index), (off_t)sample_len) < 0)
		abort();
	if (!state_pack_source(fd, &where, SIZE, &s)) {
		read_all(s);
		mem_source_close(s);
		return 0;
	}
	close(fd);
	if (!changed)
		abort(); /* the sample itself is good */
	return 0;
}
