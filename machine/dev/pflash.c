// SPDX-License-Identifier: GPL-2.0-only
/* A flash chip's commands: pflash.h. */
#include "machine/dev/pflash.h"

#include <pthread.h>
#include <stdlib.h>

#include "lib/tlv.h"
#include "lib/util.h"

/* first cycles */
#define CMD_PROGRAM 0x40u
#define CMD_PROGRAM_OLD 0x10u /* the one that firmware uses */
#define CMD_ERASE 0x20u
#define CMD_CLEAR_STATUS 0x50u
#define CMD_LOCK 0x60u
#define CMD_STATUS 0x70u
#define CMD_IDENTIFY 0x90u
#define CMD_QUERY 0x98u
#define CMD_ARRAY 0xffu
/* second cycles */
#define CONFIRM 0xd0u /* to erase; to unlock all blocks */
#define LOCK_BLOCK 0x01u

#define STATUS_READY 0x80u
#define STATUS_SEQUENCE 0x30u /* a second cycle that does not belong to the first */

#define MAKER 0x89u  /* Intel */
#define DEVICE 0x18u /* and as many bytes as the query says */

enum mode { MODE_ARRAY, MODE_STATUS, MODE_IDENTIFY, MODE_QUERY, MODE_NUM };

struct pflash {
	u8 *data; /* data[len]; changed with the lock held, and read by the guest any time */
	u32 len;
	struct pflash_ops ops;
	pthread_mutex_t lock; /* guards the rest */
	enum mode mode;	      /* what is read */
	u8 first;	      /* cycle of a command that wants a second one; 0 = none is open */
	u8 status;
	bool shown;
	u64 loaded[PFLASH_MOST / PFLASH_BLOCK / 64]; /* bit per block that nobody was told of */
	bool any_loaded;
};

/* ---- what is read ---- */

static u8 log2_of(u32 v)
{
	u8 n = 0;

	while (1u << n < v)
		n++;
	return n;
}

/* The table of the common flash interface, one byte at each address. */
static u8 query(const struct pflash *p, u32 at)
{
	const u32 blocks = p->len / PFLASH_BLOCK - 1;
	const u8 table[] = {
		'Q',
		'R',
		'Y',
		1,
		0,
		0x31,
		0,
		0,
		0,
		0,
		0, /* command set 0001, table at 0x31 */
		0x45,
		0x55,
		0,
		0, /* supply: 4.5 to 5.5 V */
		7,
		0,
		10,
		0,
		4,
		0,
		4,
		0, /* time: bytes; no buffer; blocks */
		log2_of(p->len),
		0,
		0,
		0,
		0, /* size; 8 bits wide; no buffer */
		1,
		(u8)blocks,
		(u8)(blocks >> 8), /* one kind of block, how many less one */
		PFLASH_BLOCK >> 8 & 0xff,
		PFLASH_BLOCK >> 16,
		'P',
		'R',
		'I',
		'1',
		'0',
		0,
		0,
		0,
		0, /* no optional commands */
	};

	return at >= 0x10 && at - 0x10 < sizeof(table) ? table[at - 0x10] : 0;
}

/* Lock held. */
static u8 read_byte(const struct pflash *p, u32 at)
{
	switch (p->mode) {
	case MODE_STATUS:
		return p->status;
	case MODE_IDENTIFY:
		at %= PFLASH_BLOCK; /* from 2 on: whether this block is locked */
		return !at ? MAKER : at == 1 ? DEVICE : 0;
	case MODE_QUERY:
		return query(p, at % PFLASH_BLOCK);
	default:
		return at < p->len ? p->data[at] : 0xff;
	}
}

/* ---- what is written; lock held ---- */

static void set_mode(struct pflash *p, enum mode mode)
{
	bool there = mode == MODE_ARRAY;

	p->mode = mode;
	if (there && !p->shown && p->ops.settled)
		p->ops.settled(p->ops.keep_arg);
	if (there != p->shown)
		p->ops.show(p->ops.show_arg, there);
	p->shown = there;
}

static void tell_block(struct pflash *p, u32 block)
{
	if (p->ops.changed)
		p->ops.changed(p->ops.keep_arg, block, p->data + (size_t)block * PFLASH_BLOCK);
}

static void tell_loaded(struct pflash *p)
{
	u32 i;

	for (i = 0; p->any_loaded && i < p->len / PFLASH_BLOCK; i++) {
		if (p->loaded[i / 64] >> i % 64 & 1)
			tell_block(p, i);
	}
	memset(p->loaded, 0, sizeof(p->loaded));
	p->any_loaded = false;
}

/* What was loaded came before. */
static void tell_changed(struct pflash *p, u32 block)
{
	tell_loaded(p);
	tell_block(p, block);
}

static void program(struct pflash *p, u32 at, u8 val)
{
	u8 old = p->data[at];

	p->data[at] = old & val;
	if (p->data[at] != old)
		tell_changed(p, at / PFLASH_BLOCK);
}

static void erase(struct pflash *p, u32 at)
{
	u32 block = at / PFLASH_BLOCK;

	memset(p->data + (size_t)block * PFLASH_BLOCK, 0xff, PFLASH_BLOCK);
	tell_changed(p, block);
}

static void first_cycle(struct pflash *p, u8 command)
{
	switch (command) {
	case CMD_PROGRAM:
	case CMD_PROGRAM_OLD:
	case CMD_ERASE:
	case CMD_LOCK:
		p->first = command;
		set_mode(p, MODE_STATUS);
		break;
	case CMD_STATUS:
		set_mode(p, MODE_STATUS);
		break;
	case CMD_IDENTIFY:
		set_mode(p, MODE_IDENTIFY);
		break;
	case CMD_QUERY:
		set_mode(p, MODE_QUERY);
		break;
	case CMD_CLEAR_STATUS:
		p->status = 0;
		set_mode(p, MODE_ARRAY);
		break;
	default: /* CMD_ARRAY, and what this chip does not know */
		set_mode(p, MODE_ARRAY);
	}
}

static void second_cycle(struct pflash *p, u32 at, u8 val)
{
	u8 first = p->first;

	p->first = 0;
	p->status |= STATUS_READY;
	if (first == CMD_PROGRAM || first == CMD_PROGRAM_OLD) {
		program(p, at, val);
	} else if (first == CMD_ERASE && val == CONFIRM) {
		erase(p, at);
	} else if (val == CMD_ARRAY) {
		set_mode(p, MODE_ARRAY);
	} else if (first == CMD_ERASE || (val != CONFIRM && val != LOCK_BLOCK)) {
		p->status |= STATUS_SEQUENCE;
	}
}

static void write_byte(struct pflash *p, u32 at, u8 val)
{
	if (at >= p->len)
		return;
	if (p->first)
		second_cycle(p, at, val);
	else
		first_cycle(p, val);
}

void pflash_access(void *dev, u32 offset, u32 size, bool write, u64 *val)
{
	struct pflash *p = dev;
	u64 v = 0;
	u32 i;

	pthread_mutex_lock(&p->lock);
	for (i = 0; i < size; i++) {
		if (write)
			write_byte(p, offset + i, (u8)(*val >> i * 8));
		else
			v |= (u64)read_byte(p, offset + i) << i * 8;
	}
	pthread_mutex_unlock(&p->lock);
	if (!write)
		*val = v;
}

/* ---- saved VMs ---- */

/* Fields. Numbers are never used again. */
enum {
	PFLASH_DATA = 1, /* bytes: all of it */
	PFLASH_MODE = 2,
	PFLASH_FIRST = 3,
	PFLASH_STATUS = 4,
};

void pflash_save(struct pflash *p, struct kvmb_tlv_out *o)
{
	pthread_mutex_lock(&p->lock);
	kvmb_tlv_put_bytes(o, PFLASH_DATA, p->data, p->len);
	kvmb_tlv_put(o, PFLASH_MODE, p->mode);
	kvmb_tlv_put(o, PFLASH_FIRST, p->first);
	kvmb_tlv_put(o, PFLASH_STATUS, p->status);
	pthread_mutex_unlock(&p->lock);
}

static bool wants_second(u32 command)
{
	return command == CMD_PROGRAM || command == CMD_PROGRAM_OLD || command == CMD_ERASE ||
	       command == CMD_LOCK;
}

static void take_content(struct pflash *p, const u8 *data)
{
	u32 i;

	for (i = 0; i < p->len / PFLASH_BLOCK; i++) {
		size_t at = (size_t)i * PFLASH_BLOCK;

		if (!memcmp(p->data + at, data + at, PFLASH_BLOCK))
			continue;
		memcpy(p->data + at, data + at, PFLASH_BLOCK);
		p->loaded[i / 64] |= 1ull << i % 64;
		p->any_loaded = true;
	}
}

u32 pflash_saved_len(struct kvmb_tlv *group)
{
	size_t len;

	if (!kvmb_tlv_get_bytes(group, PFLASH_DATA, &len) || len % PFLASH_BLOCK ||
	    len > PFLASH_MOST)
		return 0;
	return (u32)len;
}

int pflash_load(struct pflash *p, struct kvmb_tlv *group)
{
	u32 mode = (u32)kvmb_tlv_get(group, PFLASH_MODE, MODE_NUM - 1);
	u32 first = (u32)kvmb_tlv_get(group, PFLASH_FIRST, 0xff);
	u32 status = (u32)kvmb_tlv_get(group, PFLASH_STATUS, 0xff);
	const u8 *data;
	size_t len;
	int err;

	data = kvmb_tlv_get_bytes(group, PFLASH_DATA, &len);
	if (data && len != p->len)
		kvmb_tlv_refuse(group, PFLASH_DATA, "it is of another size here");
	if (first && (!wants_second(first) || mode != MODE_STATUS))
		kvmb_tlv_refuse(group, PFLASH_FIRST, "no guest can do that");
	if (status & ~(STATUS_READY | STATUS_SEQUENCE))
		kvmb_tlv_refuse(group, PFLASH_STATUS, "no guest can do that");
	err = kvmb_tlv_done(group);
	if (err)
		return err;
	pthread_mutex_lock(&p->lock);
	take_content(p, data);
	p->first = (u8)first;
	p->status = (u8)status;
	set_mode(p, (enum mode)mode);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

void pflash_loaded(struct pflash *p)
{
	pthread_mutex_lock(&p->lock);
	if (p->any_loaded) {
		tell_loaded(p);
		if (p->ops.settled)
			p->ops.settled(p->ops.keep_arg);
	}
	pthread_mutex_unlock(&p->lock);
}

/* ---- life ---- */

void pflash_reset(struct pflash *p)
{
	pthread_mutex_lock(&p->lock);
	p->first = 0;
	p->status = STATUS_READY;
	set_mode(p, MODE_ARRAY);
	pthread_mutex_unlock(&p->lock);
}

struct pflash *pflash_create(u8 *data, u32 len, const struct pflash_ops *ops)
{
	struct pflash *p = kvmb_xzalloc(sizeof(*p));

	kvmb_assert(len && len <= PFLASH_MOST && !(len % PFLASH_BLOCK));
	p->data = data;
	p->len = len;
	p->ops = *ops;
	p->status = STATUS_READY;
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

void pflash_destroy(struct pflash *p)
{
	if (!p)
		return;
	pthread_mutex_destroy(&p->lock);
	free(p);
}
