// SPDX-License-Identifier: GPL-2.0-only
/* Compressed chunks and an index that lies: refused, or a page that cannot be read; never more. */
#include "vmm/state_pack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/crc32c.h"
#include "lib/util.h"
#include "lib/zstd_lib.h"
#include "tests/unit/test.h"

#define BEGIN 5000u
/* Three chunks and a quarter. */
#define SIZE (3 * STATE_PACK_CHUNK + 16 * KVMB_PAGE_SIZE)

static struct state_packer packer;
static struct state_pack_entry entries[4];
static u64 end; /* of the chunks */
static int file;
static struct mem_source *source;

static void add(u32 n, u64 chunk, const u8 *data, u64 len)
{
	const void *out;

	memcpy(packer.pages, data, len);
	out = state_pack(&packer, len, &entries[n]);
	assert_non_null(out);
	entries[n].chunk = cpu_to_le64(chunk);
	entries[n].offset = cpu_to_le64(end);
	assert_int_equal(pwrite(file, out, le32_to_cpu(entries[n].len), (off_t)end),
			 le32_to_cpu(entries[n].len));
	end += le32_to_cpu(entries[n].len);
}

/* Chunk 2: page n begins with n; pages 3 and 63 are zero. Chunk 0: noise. Chunk 3: one page. */
static void write_chunks(void)
{
	static u8 chunk[STATE_PACK_CHUNK];
	u64 x = 88172645463325252ull, i;

	end = BEGIN;
	for (i = 0; i < STATE_PACK_PAGES; i++)
		memset(chunk + i * KVMB_PAGE_SIZE, i == 3 || i == 63 ? 0 : (int)i + 1,
		       KVMB_PAGE_SIZE);
	add(0, 2, chunk, sizeof(chunk));
	for (i = 0; i < sizeof(chunk) / 8; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		((u64 *)chunk)[i] = x;
	}
	add(1, 0, chunk, sizeof(chunk));
	memset(chunk, 0, sizeof(chunk));
	chunk[15 * KVMB_PAGE_SIZE + 9] = 1;
	add(2, 3, chunk, 16 * KVMB_PAGE_SIZE);
}

/* With a CRC that is right, as whoever means harm has it. Return: what state_pack_source() says. */
static int open_index(u64 num)
{
	struct state_pack_index index = { .begin = BEGIN, .at = end, .num = num };
	int fd = dup(file), err;

	index.crc = ~kvmb_crc32c(~0u, entries, num * sizeof(entries[0]));
	assert_int_equal(pwrite(file, entries, num * sizeof(entries[0]), (off_t)end),
			 num * sizeof(entries[0]));
	err = state_pack_source(fd, &index, SIZE, &source);
	if (err)
		close(fd);
	return err;
}

static int setup(void **state)
{
	char why[200];

	(void)state;
	assert_int_equal(kvmb_zstd_load(why, sizeof(why)), 0);
	assert_int_equal(state_packer_init(&packer), 0);
	file = memfd_create("state", 0);
	source = NULL;
	write_chunks();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mem_source_close(source);
	state_packer_fini(&packer);
	close(file);
	return 0;
}

static void any_page_comes_by_itself(void **state)
{
	u8 page[2 * KVMB_PAGE_SIZE];

	(void)state;
	assert_int_equal(open_index(3), 0);
	assert_int_equal(source->ops->read(source, page, SIZE - KVMB_PAGE_SIZE, KVMB_PAGE_SIZE), 0);
	assert_true(page[9] == 1 && page[8] == 0);
	assert_int_equal(source->ops->read(source, page, 2 * STATE_PACK_CHUNK + 3 * KVMB_PAGE_SIZE,
					   2 * KVMB_PAGE_SIZE),
			 0);
	assert_true(page[0] == 0 && page[KVMB_PAGE_SIZE] == 5);
	assert_int_equal(source->ops->read(source, page, STATE_PACK_CHUNK - KVMB_PAGE_SIZE,
					   2 * KVMB_PAGE_SIZE),
			 0); /* noise, and a chunk of none */
	assert_true(page[KVMB_PAGE_SIZE] == 0 && page[2 * KVMB_PAGE_SIZE - 1] == 0);
	assert_memory_not_equal(page, page + KVMB_PAGE_SIZE, KVMB_PAGE_SIZE);
}

static void next_finds_what_is_not_zero(void **state)
{
	static const u64 want[][2] = { { 0, 64 }, { 128, 131 }, { 132, 191 }, { 207, 208 } };
	u64 at = 0, from, to, i;

	(void)state;
	assert_int_equal(open_index(3), 0);
	for (i = 0; i < ARRAY_SIZE(want); i++, at = to) {
		assert_int_equal(source->ops->next(source, at, &from, &to), 1);
		assert_int_equal(from, want[i][0] * KVMB_PAGE_SIZE);
		assert_int_equal(to, want[i][1] * KVMB_PAGE_SIZE);
	}
	assert_int_equal(source->ops->next(source, at, &from, &to), 0);
	assert_int_equal(source->ops->next(source, 150 * KVMB_PAGE_SIZE, &from, &to), 1);
	assert_int_equal(from, 150 * KVMB_PAGE_SIZE);
}

static void noise_is_stored_as_it_is(void **state)
{
	(void)state;
	assert_int_equal(le32_to_cpu(entries[1].len), STATE_PACK_CHUNK);
	assert_true(le32_to_cpu(entries[0].len) < STATE_PACK_CHUNK / 20);
}

static void refused(void)
{
	assert_int_equal(open_index(3), -EPROTO);
	end = BEGIN;
	write_chunks();
}

static void index_that_lies_is_refused(void **state)
{
	const u64 far[] = { 1, 1ull << 32, 1ull << 62, ~0ull - 100, ~0ull };
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(far); i++) {
		entries[1].offset = cpu_to_le64(end + far[i]); /* behind the chunks, or wrapped */
		refused();
		entries[2].chunk = cpu_to_le64(3 + far[i]); /* of no memory */
		refused();
	}
	entries[0].offset = cpu_to_le64(BEGIN - 1); /* in the options */
	refused();
	entries[1].offset = entries[0].offset; /* overlaps */
	refused();
	entries[2].chunk = entries[0].chunk; /* there twice */
	refused();
	entries[0].pages = 0;
	refused();
	entries[2].pages = cpu_to_le64(1ull << 16); /* behind the end of memory */
	refused();
	entries[2].len = 0;
	refused();
	entries[2].len = cpu_to_le32(KVMB_PAGE_SIZE + 1); /* longer than its page */
	refused();
	entries[2].len = cpu_to_le32(~0u);
	refused();
}

static void index_that_is_not_there_is_an_error(void **state)
{
	struct state_pack_index index = { .begin = BEGIN, .at = end, .num = 3 };

	(void)state;
	assert_int_equal(ftruncate(file, (off_t)end + 40), 0);
	assert_int_equal(state_pack_source(file, &index, SIZE, &source), -ENODATA);
}

/* As a bad sector: only who needs these pages has none. */
static void chunk_that_is_damaged_leaves_the_others(void **state)
{
	u8 page[KVMB_PAGE_SIZE], x = 0x55;

	(void)state;
	assert_int_equal(pwrite(file, &x, 1, BEGIN + 6), 1);
	assert_int_equal(open_index(3), 0);
	assert_int_equal(source->ops->read(source, page, 2 * STATE_PACK_CHUNK, KVMB_PAGE_SIZE),
			 -EIO);
	assert_int_equal(source->ops->read(source, page, SIZE - KVMB_PAGE_SIZE, KVMB_PAGE_SIZE), 0);
	assert_int_equal(page[9], 1);
	assert_int_equal(source->ops->read(source, page, 2 * STATE_PACK_CHUNK, KVMB_PAGE_SIZE),
			 -EIO);
}

/* The CRC is right: another frame, of more or less, or none at all. */
static void chunk_that_is_something_else_is_not_taken(void **state)
{
	u8 page[KVMB_PAGE_SIZE];
	u64 bit;
	u32 i;

	(void)state;
	for (i = 0; i < 3; i++) {
		write_chunks();
		bit = i == 0 ? 1ull << 3 : i == 1 ? 1ull << 62 : 0;
		entries[0].pages ^= cpu_to_le64(bit); /* a page more than in the frame; one less */
		if (i == 2) {
			memset(packer.pages, 0xaa, KVMB_PAGE_SIZE);
			assert_int_equal(pwrite(file, packer.pages, le32_to_cpu(entries[0].len),
						BEGIN),
					 le32_to_cpu(entries[0].len));
			entries[0].crc = cpu_to_le32(
				~kvmb_crc32c(~0u, packer.pages, le32_to_cpu(entries[0].len)));
		}
		assert_int_equal(open_index(3), 0);
		assert_int_equal(source->ops->read(source, page, 2 * STATE_PACK_CHUNK,
						   KVMB_PAGE_SIZE),
				 -EIO);
		mem_source_close(source);
		source = NULL;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(any_page_comes_by_itself),
		T(next_finds_what_is_not_zero),
		T(noise_is_stored_as_it_is),
		T(index_that_lies_is_refused),
		T(index_that_is_not_there_is_an_error),
		T(chunk_that_is_damaged_leaves_the_others),
		T(chunk_that_is_something_else_is_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
