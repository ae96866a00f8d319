// SPDX-License-Identifier: GPL-2.0-only
/* Reading VHDs that are differencing: vhd.h. */
#include "manage/vhd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/be.h"
#include "lib/io.h"
#include "lib/util.h"
#include "manage/copier.h"
#include "manage/probe.h"
#include "manage/utf16.h"

#define SECTOR 512u
#define UNUSED 0xffffffffu /* of a block: it has no data */
#define BLOCK_MOST (64u << 20)
#define BLOCKS_MOST (1u << 20)

enum vhd_type { VHD_IS_FIXED = 2, VHD_IS_DYNAMIC = 3, VHD_IS_DIFFERENCING = 4 };

struct vhd {
	int fd;
	uint64_t bytes, file_bytes;
	uint32_t type; /* enum vhd_type */
	unsigned char id[16], parent_id[16];
	char parent[PROBE_NAME];
	uint32_t block, num_blocks; /* bytes of one; how many */
	uint32_t *table;	    /* table[num_blocks]: sector of its bitmap, or UNUSED */
	uint64_t bitmap_of;	    /* sector of the one in @bitmap; 0 = none */
	unsigned char *bitmap;
};

/* ---- headers ---- */

static bool read_footer(int fd, unsigned char *f, uint64_t *file_bytes)
{
	struct stat st;

	if (fstat(fd, &st) || st.st_size < (off_t)SECTOR)
		return false;
	*file_bytes = (uint64_t)st.st_size;
	return !kvmb_pread_all(fd, f, SECTOR, *file_bytes - SECTOR) && !memcmp(f, "conectix", 8);
}

bool vhd_has_footer(int fd)
{
	unsigned char f[SECTOR];
	uint64_t bytes;

	return read_footer(fd, f, &bytes);
}

static bool parse_header(struct vhd *v, const unsigned char *h, uint64_t *table_at)
{
	*table_at = get_be64(h + 16);
	v->num_blocks = get_be32(h + 28);
	v->block = get_be32(h + 32);
	memcpy(v->parent_id, h + 40, sizeof(v->parent_id));
	if (memcmp(h, "cxsparse", 8) || v->block < 4096 || v->block > BLOCK_MOST ||
	    v->block & (v->block - 1) || v->num_blocks > BLOCKS_MOST ||
	    (uint64_t)v->num_blocks * v->block < v->bytes)
		return false;
	if (v->type == VHD_IS_DIFFERENCING &&
	    utf16_text(h + 64, 512, true, v->parent, sizeof(v->parent)) < 0)
		return false;
	return v->type == VHD_IS_DYNAMIC || v->parent[0];
}

/* Return: 0; -EINVAL: it is no VHD, or makes no sense; -errno. */
static int open_vhd(struct vhd *v, int fd, uint64_t *table_at)
{
	unsigned char f[SECTOR], h[1024];
	int err;

	*v = (struct vhd){ .fd = fd };
	if (!read_footer(fd, f, &v->file_bytes))
		return -EINVAL;
	v->bytes = get_be64(f + 48);
	v->type = get_be32(f + 60);
	memcpy(v->id, f + 68, sizeof(v->id));
	if (!v->bytes || v->bytes % SECTOR || v->bytes > COPIER_MOST)
		return -EINVAL;
	if (v->type == VHD_IS_FIXED)
		return v->bytes <= v->file_bytes - SECTOR ? 0 : -EINVAL;
	if (v->type != VHD_IS_DYNAMIC && v->type != VHD_IS_DIFFERENCING)
		return -EINVAL;
	err = kvmb_pread_all(fd, h, sizeof(h), get_be64(f + 16) & INT64_MAX);
	return err ? err : parse_header(v, h, table_at) ? 0 : -EINVAL;
}

int vhd_parent_of(int fd, char *name, size_t size)
{
	struct vhd v;
	uint64_t at;
	int err = open_vhd(&v, fd, &at);

	*name = 0;
	if (err)
		return -EINVAL;
	snprintf(name, size, "%s", v.parent);
	return 0;
}

static size_t bitmap_bytes(const struct vhd *v)
{
	return KVMB_ALIGN_UP(v->block / SECTOR / 8, SECTOR);
}

static int load_table(struct vhd *v, uint64_t at)
{
	size_t i, len = (size_t)v->num_blocks * sizeof(*v->table);
	int err;

	if (v->type == VHD_IS_FIXED)
		return 0;
	v->table = malloc(len);
	v->bitmap = malloc(bitmap_bytes(v));
	if (!v->table || !v->bitmap)
		return -ENOMEM;
	err = kvmb_pread_all(v->fd, v->table, len, at & INT64_MAX);
	for (i = 0; !err && i < v->num_blocks; i++)
		v->table[i] = get_be32((unsigned char *)&v->table[i]);
	return err;
}

/* ---- data ---- */

struct vhd_source {
	struct copier_source s;
	struct vhd at[PROBE_CHAIN]; /* at[num]: the disk's file, its parent, ... */
	unsigned int num;
};

static int read_level(struct vhd_source *c, unsigned int level, uint64_t at, unsigned char *buf,
		      size_t len);

static int load_bitmap(struct vhd *v, uint32_t sector)
{
	int err;

	if (!sector) /* that is the header's */
		return -EINVAL;
	if (v->bitmap_of == sector)
		return 0;
	v->bitmap_of = 0;
	err = kvmb_pread_all(v->fd, v->bitmap, bitmap_bytes(v), (uint64_t)sector * SECTOR);
	if (!err)
		v->bitmap_of = sector;
	return err;
}

static bool has_sector(const struct vhd *v, uint64_t n)
{
	return v->bitmap[n / 8] >> (7 - n % 8) & 1;
}

/* Within one block that has data, of some sectors. */
static int read_block(struct vhd_source *c, unsigned int level, uint64_t at, unsigned char *buf,
		      size_t len)
{
	struct vhd *v = &c->at[level];
	uint32_t sector = v->table[at / v->block];
	uint64_t data = (uint64_t)sector * SECTOR + bitmap_bytes(v), in = at % v->block, n;
	int err = load_bitmap(v, sector);
	bool ours;
	size_t run;

	for (; !err && len; in += run, at += run, buf += run, len -= run) {
		ours = has_sector(v, in / SECTOR);
		run = SECTOR - in % SECTOR;
		for (n = in / SECTOR + 1; run < len && has_sector(v, n) == ours; n++)
			run += SECTOR;
		run = KVMB_MIN(run, len);
		err = ours ? kvmb_pread_all(v->fd, buf, run, data + in) :
			     read_level(c, level + 1, at, buf, run);
	}
	return err;
}

static int read_level(struct vhd_source *c, unsigned int level, uint64_t at, unsigned char *buf,
		      size_t len)
{
	struct vhd *v = &c->at[level];
	size_t run;
	int err = 0;

	for (; !err && len; at += run, buf += run, len -= run) {
		run = len;
		if (level == c->num || at >= v->bytes) {
			memset(buf, 0, len);
			return 0;
		}
		run = (size_t)KVMB_MIN((uint64_t)len, v->bytes - at);
		if (v->type == VHD_IS_FIXED) {
			err = kvmb_pread_all(v->fd, buf, run, at);
			continue;
		}
		run = (size_t)KVMB_MIN((uint64_t)run, v->block - at % v->block);
		err = v->table[at / v->block] == UNUSED ? read_level(c, level + 1, at, buf, run) :
							  read_block(c, level, at, buf, run);
	}
	return err;
}

static int begin_vhd(struct copier_source *s, struct copier_slot *slot)
{
	struct vhd_source *c = container_of(s, struct vhd_source, s);

	slot->err = read_level(c, 0, slot->at, slot->buf, slot->len);
	if (slot->err == -EINVAL)
		snprintf(s->why, sizeof(s->why), "a table of its chain is damaged");
	slot->done = true;
	return 0;
}

static int wait_for_vhd(struct copier_source *s, int ms)
{
	(void)s;
	(void)ms;
	return 0;
}

static void close_vhd(struct copier_source *s)
{
	struct vhd_source *c = container_of(s, struct vhd_source, s);
	unsigned int i;

	for (i = 0; i < c->num; i++) {
		free(c->at[i].table);
		free(c->at[i].bitmap);
	}
	free(c);
}

static const struct copier_ops vhd_ops = { begin_vhd, wait_for_vhd, NULL, close_vhd };

struct copier_source *copy_vhd_open(const struct probe_chain *chain, char *why, size_t size)
{
	struct vhd_source *c = kvmb_xzalloc(sizeof(*c));
	uint64_t table_at = 0;
	int err = 0;

	c->s.ops = &vhd_ops;
	for (; !err && c->num < chain->num; c->num += !err) {
		struct vhd *v = &c->at[c->num];

		err = open_vhd(v, chain->at[c->num].fd, &table_at);
		if (!err)
			err = load_table(v, table_at);
		if (!err && c->num && memcmp(v->id, v[-1].parent_id, sizeof(v->id))) {
			snprintf(why, size,
				 "its parent \"%.200s\" is not the disk that it was made of",
				 v[-1].parent);
			err = -ESTALE;
		}
		if (err) {
			free(v->table);
			free(v->bitmap);
		}
	}
	if (!err) {
		c->s.bytes = c->at[0].bytes;
		return &c->s;
	}
	if (err != -ESTALE)
		snprintf(why, size, "%s",
			 err == -EINVAL ? "a VHD of its chain is damaged" : strerror(-err));
	close_vhd(&c->s);
	return NULL;
}
