// SPDX-License-Identifier: GPL-2.0-only
/* Reading a .vmcx: vmcx_tree.h. */
#include "manage/vmcx_tree.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util.h"
#include "manage/utf16.h"

#define FILE_MAGIC 0x01282014u
#define FILE_VERSION 0x400u
#define FILE_HEADER 0x2eu
#define SECOND_HEADER 0x1000u
#define LOG_MAGIC 0x01110003u
#define LOG_HEADER 0x22u
#define OBJECTS_AT 0x2000u
#define OBJECTS_MAGIC 0x01110001u
#define OBJECT 18u /* bytes of an entry of the table */
#define KEYS_MAGIC 2u
#define KEYS_HEADER 10u
#define KEY 21u /* bytes of an entry's header */
#define MOST_OBJECTS 4096u
#define MOST_TABLES 16u /* of objects */
#define TEXT 8192u

enum object_type { OBJECT_TABLE = 1, OBJECT_KEYS = 2 };
enum key_type {
	KEY_FREE = 1,
	KEY_INT = 3,
	KEY_UINT = 4,
	KEY_STRING = 6,
	KEY_BOOL = 8,
	KEY_NODE = 9
};

#define KEY_ELSEWHERE 0x100u /* a flag: the value is in an object of its own */

struct key_table {
	uint16_t index, sequence;
	size_t at, len; /* of the file */
};

struct key {
	uint16_t table, parent_table;
	uint32_t at, parent_at; /* in their tables */
	uint16_t type;
	const unsigned char *name, *value; /* name[name_len], value[value_len] */
	size_t name_len, value_len;
	struct tree_node *node;
	bool visited;
};

struct vmcx {
	const unsigned char *data;
	size_t len;
	struct key_table *tables; /* tables[num_tables] */
	size_t num_tables;
	struct key *keys; /* keys[num_keys], by table and place */
	size_t num_keys;
	struct tree *t;
};

static uint16_t le16_at(const unsigned char *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t le32_at(const unsigned char *p)
{
	return le16_at(p) | (uint32_t)le16_at(p + 2) << 16;
}

static uint64_t le64_at(const unsigned char *p)
{
	return le32_at(p) | (uint64_t)le32_at(p + 4) << 32;
}

/* Return: NULL: it is not all in the file. */
static const unsigned char *part_of(const struct vmcx *v, uint64_t at, uint64_t len)
{
	return at <= v->len && len <= v->len - at ? v->data + at : NULL;
}

/* ---- headers and objects ---- */

static const unsigned char *choose_header(const struct vmcx *v)
{
	const unsigned char *one = part_of(v, 0, FILE_HEADER),
			    *two = part_of(v, SECOND_HEADER, FILE_HEADER);

	if (one && le32_at(one) != FILE_MAGIC)
		one = NULL;
	if (two && le32_at(two) != FILE_MAGIC)
		two = NULL;
	if (!one || !two)
		return one ? one : two;
	return le16_at(one + 8) > le16_at(two + 8) ? one : two;
}

static const char *check_headers(const struct vmcx *v)
{
	const unsigned char *h = choose_header(v), *log;

	if (!h)
		return "it is no .vmcx";
	if (le32_at(h + 10) != FILE_VERSION)
		return "it is of a version that nobody has described";
	log = part_of(v, le64_at(h + 26), LOG_HEADER);
	if (!log || le32_at(log) != LOG_MAGIC)
		return "its log is damaged";
	return le32_at(log + 8) ? "it was not closed: its log has changes" : NULL;
}

/* Of two tables with one number, the younger one counts. */
static void note_table(struct vmcx *v, uint64_t at, uint64_t len)
{
	const unsigned char *p = part_of(v, at, len);
	struct key_table k = { .at = (size_t)at, .len = (size_t)len };
	size_t i;

	if (!p || len < KEYS_HEADER || le16_at(p) != KEYS_MAGIC || v->num_tables == MOST_OBJECTS)
		return;
	k.index = le16_at(p + 2);
	k.sequence = le16_at(p + 4);
	for (i = 0; i < v->num_tables && v->tables[i].index != k.index; i++)
		;
	if (i == v->num_tables)
		v->tables[v->num_tables++] = k;
	else if (k.sequence > v->tables[i].sequence)
		v->tables[i] = k;
}

static bool list_objects(struct vmcx *v)
{
	uint64_t tables[MOST_TABLES] = { OBJECTS_AT };
	size_t num = 1, i;
	const unsigned char *h, *e;
	uint32_t n, count;

	for (i = 0; i < num; i++) {
		h = part_of(v, tables[i], 8);
		if (!h || le32_at(h) != OBJECTS_MAGIC)
			return false;
		count = KVMB_MIN(le32_at(h + 4), MOST_OBJECTS);
		for (n = 0; n < count; n++) {
			e = part_of(v, tables[i] + 8 + (uint64_t)n * OBJECT, OBJECT);
			if (!e)
				return false;
			if (!e[17])
				continue;
			if (e[0] == OBJECT_KEYS)
				note_table(v, le64_at(e + 5), le32_at(e + 13));
			else if (e[0] == OBJECT_TABLE && num < MOST_TABLES &&
				 le64_at(e + 5) != tables[i])
				tables[num++] = le64_at(e + 5);
		}
	}
	return v->num_tables;
}

/* ---- keys ---- */

static bool take_key_at(struct vmcx *v, const struct key_table *k, size_t at, uint32_t *step)
{
	const unsigned char *p = v->data + k->at + at;
	uint32_t len = le32_at(p + 2);
	struct key key = { .table = k->index,
			   .at = (uint32_t)at,
			   .type = le16_at(p),
			   .parent_table = le16_at(p + 6),
			   .parent_at = le32_at(p + 8),
			   .name = p + KEY,
			   .name_len = p[20] ? p[20] - 1u : 0 };

	*step = len;
	if (!len)
		return true;
	if (len < KEY || len > k->len - at || p[20] > len - KEY || v->num_keys == TREE_NODES)
		return false;
	key.value = key.name + p[20];
	key.value_len = len - KEY - p[20];
	if ((key.type & 0xff) != KEY_FREE)
		v->keys[v->num_keys++] = key;
	return true;
}

static bool list_keys(struct vmcx *v)
{
	size_t i, at;
	uint32_t step;

	for (i = 0; i < v->num_tables; i++) {
		for (at = KEYS_HEADER; at + KEY <= v->tables[i].len; at += step) {
			if (!take_key_at(v, &v->tables[i], at, &step))
				return false;
			if (!step)
				break;
		}
	}
	return true;
}

static int compare_keys(const void *a, const void *b)
{
	const struct key *x = a, *y = b;

	if (x->table != y->table)
		return x->table < y->table ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* Return: false: it makes no sense. */
static bool add_value(struct vmcx *v, const struct key *k)
{
	const unsigned char *p = k->value;
	char text[TEXT];
	uint64_t len = k->value_len;

	if (k->type & KEY_ELSEWHERE) {
		if (len < 12)
			return false;
		len = le32_at(k->value);
		p = part_of(v, le64_at(k->value + 4), len);
	} else if ((k->type & 0xff) == KEY_STRING) {
		if (len < 4 || le32_at(p) > len - 4)
			return false;
		len = le32_at(p);
		p += 4;
	}
	switch (p ? k->type & 0xff : 0) {
	case KEY_INT:
	case KEY_UINT:
		snprintf(text, sizeof(text), "%lld", len >= 8 ? (long long)le64_at(p) : 0);
		break;
	case KEY_BOOL:
		snprintf(text, sizeof(text), "%s", len >= 4 && le32_at(p) ? "True" : "False");
		break;
	case KEY_STRING:
		if (utf16_text(p, len, false, text, sizeof(text)) < 0)
			text[0] = 0; /* notes of several lines, for one */
		break;
	default:
		return p != NULL;
	}
	return tree_add_text(v->t, k->node, text, strlen(text));
}

/* Its parents first. Only what is below "configuration" is wanted. Return: false: it is refused. */
static bool add_key(struct vmcx *v, struct key *k, unsigned int depth)
{
	struct key want = { .table = k->parent_table, .at = k->parent_at }, *up = NULL;

	if (k->visited)
		return true;
	if (depth == TREE_DEPTH)
		return false;
	k->visited = true; /* a circle leads to a node that is not there */
	if (k->parent_table) {
		up = bsearch(&want, v->keys, v->num_keys, sizeof(*v->keys), compare_keys);
		if (!up || !add_key(v, up, depth + 1))
			return false;
		if (!up->node)
			return true;
	} else if (k->name_len != 13 || memcmp(k->name, "configuration", 13) || v->t->root) {
		return true;
	}
	k->node = tree_add(v->t, up ? up->node : NULL, (const char *)k->name, k->name_len);
	return k->node && ((k->type & 0xff) == KEY_NODE || add_value(v, k));
}

int vmcx_tree_read(const unsigned char *data, size_t len, struct tree *t, char *why, size_t size)
{
	struct vmcx v = { .data = data, .len = len, .t = t };
	const char *wrong;
	bool ok;
	size_t i;

	*t = (struct tree){ 0 };
	wrong = check_headers(&v);
	if (wrong) {
		snprintf(why, size, "%s", wrong);
		return -EINVAL;
	}
	v.tables = kvmb_xzalloc(MOST_OBJECTS * sizeof(*v.tables));
	v.keys = kvmb_xzalloc(TREE_NODES * sizeof(*v.keys));
	ok = list_objects(&v) && list_keys(&v);
	qsort(v.keys, v.num_keys, sizeof(*v.keys), compare_keys);
	for (i = 0; ok && i < v.num_keys; i++)
		ok = add_key(&v, &v.keys[i], 0);
	free(v.tables);
	free(v.keys);
	if (ok && t->root)
		return 0;
	snprintf(why, size, ok ? "it has no configuration" : "its tables are damaged");
	return -EINVAL;
}
