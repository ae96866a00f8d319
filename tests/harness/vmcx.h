/* SPDX-License-Identifier: GPL-2.0-only */
/* Makes a .vmcx, by what manage/vmcx_tree.h cites: two headers, a table of objects, one of keys. */
#ifndef KVMB_VMCX_H
#define KVMB_VMCX_H

#include <string.h>

#include "vmbus-core/env.h"

#define VMCX_LOG_AT 0x3000u
#define VMCX_KEYS_AT 0x4000u
#define VMCX_FILES_AT 0x6000u
#define VMCX_MOST 0x7000u

struct vmcx_maker {
	u8 data[VMCX_MOST];
	size_t len;
	u32 keys, files; /* ends of the two */
};

static inline void vmcx_put(struct vmcx_maker *m, u32 at, u64 v, u32 bytes)
{
	for (; bytes; bytes--, v >>= 8)
		m->data[at++] = (u8)v;
}

static inline void vmcx_header(struct vmcx_maker *m, u32 at, u16 sequence)
{
	vmcx_put(m, at, 0x01282014, 4);
	vmcx_put(m, at + 8, sequence, 2);
	vmcx_put(m, at + 10, 0x400, 4);
	vmcx_put(m, at + 22, 0x1000, 4);
	vmcx_put(m, at + 26, VMCX_LOG_AT, 8);
	vmcx_put(m, at + 34, 0x1000, 8);
}

static inline void vmcx_begin(struct vmcx_maker *m)
{
	memset(m, 0, sizeof(*m));
	vmcx_header(m, 0, 1);
	vmcx_header(m, 0x1000, 2);
	vmcx_put(m, VMCX_LOG_AT, 0x01110003, 4);
	vmcx_put(m, VMCX_KEYS_AT, 2, 2);
	vmcx_put(m, VMCX_KEYS_AT + 2, 1, 2);
	m->keys = 10;
	m->files = VMCX_FILES_AT;
}

/* A key with room for its value. Return: where it is in the table; *value is its place. */
static inline u32 vmcx_key(struct vmcx_maker *m, u32 parent, const char *name, u32 type, u32 bytes,
			   u32 *value)
{
	u32 at = m->keys, p = VMCX_KEYS_AT + at, n = (u32)strlen(name) + 1;

	vmcx_put(m, p, type, 2);
	vmcx_put(m, p + 2, 21 + n + bytes, 4);
	vmcx_put(m, p + 6, parent ? 1 : 0, 2);
	vmcx_put(m, p + 8, parent, 4);
	vmcx_put(m, p + 20, n, 1);
	memcpy(m->data + p + 21, name, n);
	*value = p + 21 + n;
	m->keys += 21 + n + bytes;
	return at;
}

static inline u32 vmcx_node(struct vmcx_maker *m, u32 parent, const char *name)
{
	u32 value;

	return vmcx_key(m, parent, name, 9, 12, &value);
}

static inline void vmcx_number(struct vmcx_maker *m, u32 parent, const char *name, u64 v)
{
	u32 value;

	vmcx_key(m, parent, name, 4, 8, &value);
	vmcx_put(m, value, v, 8);
}

static inline void vmcx_bool(struct vmcx_maker *m, u32 parent, const char *name, bool v)
{
	u32 value;

	vmcx_key(m, parent, name, 8, 4, &value);
	vmcx_put(m, value, v, 4);
}

static inline void vmcx_wide(struct vmcx_maker *m, u32 at, const char *text)
{
	for (; *text; text++, at += 2)
		vmcx_put(m, at, (u8)*text, 2);
}

static inline void vmcx_text(struct vmcx_maker *m, u32 parent, const char *name, const char *text)
{
	u32 value, bytes = 2 * (u32)strlen(text);

	vmcx_key(m, parent, name, 6, 4 + bytes, &value);
	vmcx_put(m, value, bytes, 4);
	vmcx_wide(m, value + 4, text);
}

/* Its value is an object of its own. */
static inline void vmcx_text_elsewhere(struct vmcx_maker *m, u32 parent, const char *name,
				       const char *text)
{
	u32 value, bytes = 2 * (u32)strlen(text);

	vmcx_key(m, parent, name, 6 | 0x100, 12, &value);
	vmcx_put(m, value, bytes, 4);
	vmcx_put(m, value + 4, m->files, 8);
	vmcx_wide(m, m->files, text);
	m->files += bytes;
}

static inline void vmcx_end(struct vmcx_maker *m)
{
	u32 e = 0x2008;

	vmcx_put(m, 0x2000, 0x01110001, 4);
	vmcx_put(m, 0x2004, 2, 4);
	m->data[e] = 2;
	vmcx_put(m, e + 5, VMCX_KEYS_AT, 8);
	vmcx_put(m, e + 13, VMCX_FILES_AT - VMCX_KEYS_AT, 4);
	m->data[e + 17] = 1;
	m->data[e + 18] = 3;
	vmcx_put(m, e + 23, VMCX_FILES_AT, 8);
	vmcx_put(m, e + 31, VMCX_MOST - VMCX_FILES_AT, 4);
	m->data[e + 35] = 1;
	m->len = VMCX_MOST;
}

#endif
