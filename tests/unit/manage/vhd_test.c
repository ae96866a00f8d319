// SPDX-License-Identifier: GPL-2.0-only
/* Chains of VHDs that checkpoints leave: what they hold as a whole, and damaged ones. */
#include "manage/vhd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/be.h"
#include "lib/util.h"
#include "manage/copier.h"
#include "manage/probe.h"
#include "tests/unit/test.h"

#define SECTOR 512u
#define BLOCK 4096u /* 8 sectors, with a bitmap of one */
#define BLOCKS 4u
#define BYTES (BLOCK * BLOCKS)
#define TABLE_AT 1536u
#define DATA_AT 2048u

static struct probe_chain chain;
static char why[200];

struct image {
	uint8_t bytes[DATA_AT + BLOCKS * (BLOCK + SECTOR) + SECTOR];
	uint32_t blocks; /* that have data */
	uint8_t id;
};

/* The name is that of the parent, whose identifier is @parent_id; 0 = it has none. */
static void begin_image(struct image *v, uint8_t id, uint8_t parent_id, const char *name)
{
	uint8_t *h = v->bytes + SECTOR;
	uint32_t i;

	memset(v, 0, sizeof(*v));
	v->id = id;
	memcpy(v->bytes, "conectix", 8);
	put_be64(v->bytes + 16, SECTOR);
	put_be64(v->bytes + 48, BYTES);
	put_be32(v->bytes + 60, parent_id ? 4 : 3);
	memset(v->bytes + 68, id, 16);
	memcpy(h, "cxsparse", 8);
	put_be64(h + 16, TABLE_AT);
	put_be32(h + 28, BLOCKS);
	put_be32(h + 32, BLOCK);
	memset(h + 40, parent_id, 16);
	for (i = 0; name[i]; i++)
		h[64 + 2 * i + 1] = (uint8_t)name[i];
	memset(v->bytes + TABLE_AT, 0xff, BLOCKS * 4);
}

/* One sector of a block, of bytes @fill. */
static void write_sector(struct image *v, uint32_t block, uint32_t sector, uint8_t fill)
{
	uint8_t *entry = v->bytes + TABLE_AT + block * 4, *b;

	if (get_be32(entry) == 0xffffffff)
		put_be32(entry, (DATA_AT + v->blocks++ * (BLOCK + SECTOR)) / SECTOR);
	b = v->bytes + (size_t)get_be32(entry) * SECTOR;
	b[sector / 8] |= (uint8_t)(0x80 >> sector % 8);
	memset(b + SECTOR + sector * SECTOR, fill, SECTOR);
}

static int file_of_image(struct image *v)
{
	int fd = memfd_create("vhd", MFD_CLOEXEC);
	uint32_t at = DATA_AT + v->blocks * (BLOCK + SECTOR);

	memcpy(v->bytes + at, v->bytes, SECTOR);
	assert_int_equal(write(fd, v->bytes, at + SECTOR), (ssize_t)(at + SECTOR));
	return fd;
}

static void add_to_chain(struct image *v)
{
	chain.at[chain.num++] = (struct probe_image){ .fd = file_of_image(v), .format = "vhd" };
}

static int setup(void **state)
{
	(void)state;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	probe_chain_close(&chain);
	return 0;
}

static int read_all(uint8_t *buf, uint32_t at, uint32_t len)
{
	struct copier_source *s = copy_vhd_open(&chain, why, sizeof(why));
	struct copier_slot slot = { .buf = buf, .at = at, .len = len };
	int err;

	if (!s)
		return -EINVAL;
	CHECK_EQ(s->bytes, BYTES);
	err = s->ops->begin(s, &slot);
	CHECK(slot.done);
	s->ops->close(s);
	return err ? err : slot.err;
}

static struct image child, middle, base;

static void make_chain(void)
{
	probe_chain_close(&chain);
	begin_image(&base, 1, 0, "");
	begin_image(&middle, 2, 1, "base.vhd");
	begin_image(&child, 3, 2, "D:\\x\\middle.avhd");
	write_sector(&base, 0, 0, 10);
	write_sector(&base, 0, 7, 11);
	write_sector(&base, 2, 3, 12);
	write_sector(&middle, 0, 7, 20);
	write_sector(&middle, 1, 1, 21);
	write_sector(&child, 0, 1, 30);
	write_sector(&child, 2, 3, 31);
	write_sector(&child, 2, 4, 32);
	add_to_chain(&child);
	add_to_chain(&middle);
	add_to_chain(&base);
}

CASE(sector_comes_from_the_youngest_that_has_it)
{
	static const uint8_t want[BLOCKS][8] = { { 10, 30, 0, 0, 0, 0, 0, 20 },
						 { 0, 21 },
						 { 0, 0, 0, 31, 32 } };
	uint8_t buf[BYTES];
	uint32_t i, at, len;

	make_chain();
	CHECK_EQ(read_all(buf, 0, BYTES), 0);
	for (i = 0; i < BYTES; i++)
		CHECK_ROW(buf[i], want[i / BLOCK][i % BLOCK / SECTOR], i);
	for (at = 0; at < BYTES; at += 333) { /* any part of it */
		for (len = 1; at + len <= BYTES; len += 777) {
			CHECK_EQ(read_all(buf, at, len), 0);
			for (i = 0; i < len; i++)
				CHECK_ROW(buf[i], want[(at + i) / BLOCK][(at + i) % BLOCK / SECTOR],
					  i);
		}
	}
}

CASE(parent_that_is_another_disk_is_refused)
{
	uint8_t buf[BYTES];

	make_chain();
	close(chain.at[2].fd);
	base.bytes[68] = 99;
	chain.at[2].fd = file_of_image(&base);
	CHECK_EQ(read_all(buf, 0, BYTES), -EINVAL);
	assert_string_equal(why, "its parent \"base.vhd\" is not the disk that it was made of");
}

CASE(parent_is_named_and_a_fixed_disk_found)
{
	char name[100];

	make_chain();
	CHECK_EQ(vhd_parent_of(chain.at[0].fd, name, sizeof(name)), 0);
	assert_string_equal(name, "D:\\x\\middle.avhd");
	CHECK_EQ(vhd_parent_of(chain.at[2].fd, name, sizeof(name)), 0);
	assert_string_equal(name, "");
	CHECK(vhd_has_footer(chain.at[0].fd));
	CHECK_EQ(ftruncate(chain.at[0].fd, 400), 0);
	CHECK(!vhd_has_footer(chain.at[0].fd));
	CHECK_EQ(vhd_parent_of(chain.at[0].fd, name, sizeof(name)), -EINVAL);
}

/* Every byte of the headers and of the table another one: data, or an error. */
CASE(damaged_disks_give_data_or_errors)
{
	static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff };
	uint8_t buf[BYTES];
	size_t i, v;

	make_chain();
	for (i = 0; i < DATA_AT + SECTOR; i++) {
		for (v = 0; v < ARRAY_SIZE(values); v++) {
			struct image bad = child;

			bad.bytes[i] = values[v];
			close(chain.at[0].fd);
			chain.at[0].fd = file_of_image(&bad);
			if (!read_all(buf, 0, BYTES))
				read_all(buf, BYTES - 1, 1);
			vhd_parent_of(chain.at[0].fd, why, sizeof(why));
		}
	}
}

/* Sector 0 is the footer's copy: a table that says so has no bitmap there that anybody wrote. */
CASE(block_in_the_header_is_refused)
{
	uint8_t buf[BYTES];

	make_chain();
	put_be32(child.bytes + TABLE_AT, 0);
	close(chain.at[0].fd);
	chain.at[0].fd = file_of_image(&child);
	CHECK_EQ(read_all(buf, 0, BYTES), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(sector_comes_from_the_youngest_that_has_it),
		T(parent_that_is_another_disk_is_refused),
		T(parent_is_named_and_a_fixed_disk_found),
		T(block_in_the_header_is_refused),
		T(damaged_disks_give_data_or_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
