// SPDX-License-Identifier: GPL-2.0-only
/* Items for firmware: fw_cfg.h. */
#include "machine/dev/fw_cfg.h"

#include <pthread.h>
#include <stdlib.h>

#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/iobus.h"

#define PORT 0x510u
#define KEY_SIGNATURE 0x00u
#define KEY_ID 0x01u
#define KEY_DIR 0x19u
#define KEY_FILES 0x20u
#define KEYS (KEY_FILES + FW_CFG_FILES)

struct item {
	u8 *data;
	u32 len;
	char name[FW_CFG_NAME]; /* of a file */
};

struct fw_cfg {
	struct item items[KEYS]; /* immutable once the VM runs, as is num_files */
	u32 num_files;
	pthread_mutex_t lock; /* guards the rest */
	u16 key;
	u32 offset; /* at most the item's length */
};

static void set_item(struct item *it, const void *data, u32 len)
{
	free(it->data);
	it->data = kvmb_xzalloc(len ? len : 1);
	memcpy(it->data, data, len);
	it->len = len;
}

void fw_cfg_put16(struct fw_cfg *c, u16 key, u16 v)
{
	u8 le[2] = { (u8)v, (u8)(v >> 8) };

	fw_cfg_put(c, key, le, sizeof(le));
}

void fw_cfg_put(struct fw_cfg *c, u16 key, const void *data, u32 len)
{
	kvmb_assert(key < KEY_DIR);
	set_item(&c->items[key], data, len);
}

static void put_be32(u8 *p, u32 v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, 4);
}

/* The directory: a count, then size, key, two bytes of nothing and the name of each. */
static void write_directory(struct fw_cfg *c)
{
	u32 len = 4 + c->num_files * 64, i;
	u8 *d = kvmb_xzalloc(len);

	put_be32(d, c->num_files);
	for (i = 0; i < c->num_files; i++) {
		const struct item *it = &c->items[KEY_FILES + i];
		u8 *p = d + 4 + i * 64;

		put_be32(p, it->len);
		p[5] = (u8)(KEY_FILES + i);
		memcpy(p + 8, it->name, FW_CFG_NAME);
	}
	set_item(&c->items[KEY_DIR], d, len);
	free(d);
}

u16 fw_cfg_put_file(struct fw_cfg *c, const char *name, const void *data, u32 len)
{
	u32 i;

	kvmb_assert(strlen(name) < FW_CFG_NAME);
	for (i = 0; i < c->num_files && strcmp(c->items[KEY_FILES + i].name, name); i++)
		;
	if (i == c->num_files) {
		kvmb_assert(c->num_files < FW_CFG_FILES);
		c->num_files++;
		snprintf(c->items[KEY_FILES + i].name, FW_CFG_NAME, "%s", name);
	}
	set_item(&c->items[KEY_FILES + i], data, len);
	write_directory(c);
	return (u16)(KEY_FILES + i);
}

/* ---- ports ---- */

/* Lock held. What is not there, or behind the end, reads as zeroes. */
static u8 next_byte(struct fw_cfg *c)
{
	const struct item *it = c->key < KEYS ? &c->items[c->key] : NULL;

	return it && c->offset < it->len ? it->data[c->offset++] : 0;
}

static void fw_cfg_access(void *dev, u16 offset, u32 size, bool write, u32 *val)
{
	struct fw_cfg *c = dev;

	pthread_mutex_lock(&c->lock);
	if (!offset && size == 2 && write) {
		c->key = (u16)*val & 0xbfff; /* bit 14 asks for writing, which nobody may */
		c->offset = 0;
	} else if (offset == 1 && size == 1 && !write) {
		*val = next_byte(c);
	}
	pthread_mutex_unlock(&c->lock);
}

void fw_cfg_reset(struct fw_cfg *c)
{
	pthread_mutex_lock(&c->lock);
	c->key = 0;
	c->offset = 0;
	pthread_mutex_unlock(&c->lock);
}

/* ---- saved VMs ---- */

/* Fields. Numbers are never used again. */
enum {
	FW_CFG_KEY = 1,
	FW_CFG_OFFSET = 2,
	FW_CFG_ITEM = 3, /* a group each, files in their order; the directory follows from them */
};

enum {
	ITEM_KEY = 1,
	ITEM_NAME = 2, /* string, of a file */
	ITEM_DATA = 3,
};

#define ITEM_MOST (1u << 20) /* bytes */

static void save_item(const struct item *it, u16 key, struct kvmb_tlv_out *o)
{
	if (!it->data || key == KEY_DIR)
		return;
	kvmb_tlv_group(o, FW_CFG_ITEM);
	kvmb_tlv_put(o, ITEM_KEY, key);
	if (key >= KEY_FILES)
		kvmb_tlv_put_str(o, ITEM_NAME, it->name);
	kvmb_tlv_put_bytes(o, ITEM_DATA, it->data, it->len);
	kvmb_tlv_group_end(o);
}

void fw_cfg_save(struct fw_cfg *c, struct kvmb_tlv_out *o)
{
	u16 key;

	pthread_mutex_lock(&c->lock);
	kvmb_tlv_put(o, FW_CFG_KEY, c->key);
	kvmb_tlv_put(o, FW_CFG_OFFSET, c->offset);
	for (key = 0; key < KEYS; key++)
		save_item(&c->items[key], key, o);
	pthread_mutex_unlock(&c->lock);
}

static void load_name(struct item *it, struct kvmb_tlv *g)
{
	char *name = kvmb_tlv_get_str(g, ITEM_NAME, FW_CFG_NAME - 1);

	if (name)
		snprintf(it->name, sizeof(it->name), "%s", name);
	free(name);
}

/* Into @to, which has none. */
static void load_item(struct fw_cfg *to, struct kvmb_tlv *g)
{
	u16 key = (u16)kvmb_tlv_get(g, ITEM_KEY, KEYS - 1);
	size_t len;
	const u8 *data = kvmb_tlv_get_bytes(g, ITEM_DATA, &len);

	if (g->error->err)
		return;
	if (key == KEY_DIR || to->items[key].data ||
	    (key >= KEY_FILES && key != KEY_FILES + to->num_files)) {
		kvmb_tlv_refuse(g, ITEM_KEY, "no such item, or twice, or out of order");
		return;
	}
	if (len > ITEM_MOST) {
		kvmb_tlv_refuse(g, ITEM_DATA, "too long");
		return;
	}
	if (key >= KEY_FILES) {
		load_name(&to->items[key], g);
		to->num_files++;
	}
	set_item(&to->items[key], data, (u32)len);
}

static void free_items(struct fw_cfg *c)
{
	u32 i;

	for (i = 0; i < KEYS; i++)
		free(c->items[i].data);
}

int fw_cfg_load(struct fw_cfg *c, struct kvmb_tlv *group)
{
	struct fw_cfg *new = kvmb_xzalloc(sizeof(*new));
	struct kvmb_tlv g;
	size_t pos = 0;
	int err;

	new->key = (u16)kvmb_tlv_get(group, FW_CFG_KEY, 0xbfff);
	new->offset = (u32)kvmb_tlv_get(group, FW_CFG_OFFSET, UINT32_MAX);
	while (kvmb_tlv_each(group, FW_CFG_ITEM, &pos, &g)) {
		load_item(new, &g);
		if (kvmb_tlv_done(&g))
			break;
	}
	err = kvmb_tlv_done(group);
	if (!err) {
		write_directory(new);
		pthread_mutex_lock(&c->lock);
		free_items(c);
		memcpy(c->items, new->items, sizeof(c->items));
		c->num_files = new->num_files;
		c->key = new->key;
		c->offset = new->offset;
		pthread_mutex_unlock(&c->lock);
	} else {
		free_items(new);
	}
	free(new);
	return err;
}

struct fw_cfg *fw_cfg_create(struct iobus *b)
{
	struct fw_cfg *c = kvmb_xzalloc(sizeof(*c));

	pthread_mutex_init(&c->lock, NULL);
	set_item(&c->items[KEY_SIGNATURE], "QEMU", 4);
	set_item(&c->items[KEY_ID], "\1\0\0\0", 4); /* ports, no DMA */
	write_directory(c);
	iobus_add(b, PORT, 2, fw_cfg_access, c);
	return c;
}

void fw_cfg_destroy(struct fw_cfg *c)
{
	if (!c)
		return;
	free_items(c);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
