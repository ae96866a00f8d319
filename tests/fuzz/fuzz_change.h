/* SPDX-License-Identifier: GPL-2.0-only */
/* Changes in the fields of a saved section, as a fuzzer chooses them: docs/migration.md. */
#ifndef KVMB_FUZZ_CHANGE_H
#define KVMB_FUZZ_CHANGE_H

#include <stdlib.h>
#include <string.h>

#include "lib/util.h"

#define HEADER 24u /* of a section */
#define FIELD 8u

struct change {
	u8 what, field;
	u8 value[8];
};

struct section { /* its fields, buf[len] of buf[room] */
	u8 *buf;
	size_t len, room;
};

struct spot {
	u8 *at;	      /* its header */
	u32 len;      /* bytes behind that */
	u8 *group[4]; /* headers of the groups it is in, NULL = no more */
};

static inline u32 length_of(const struct section *sec, const u8 *field)
{
	u32 len;

	memcpy(&len, field + 4, sizeof(len));
	return KVMB_MIN(len, (u32)(sec->buf + sec->len - field - FIELD));
}

/* Are the field's bytes fields themselves? What looks like some is taken for a group. */
static inline bool is_group(const u8 *p, u32 len)
{
	const u8 *end = p + len;
	u32 n;

	if (len < FIELD)
		return false;
	for (; (size_t)(end - p) >= FIELD; p += FIELD + n) {
		memcpy(&n, p + 4, sizeof(n));
		if (!p[0] || p[1] || p[2] > 1 || p[3] || n > (size_t)(end - p) - FIELD)
			return false;
	}
	return p == end;
}

/* The @n-th field of all, groups and what is in them; the last one if there are fewer. */
static inline struct spot find_field(const struct section *sec, u32 n)
{
	struct spot now = { sec->buf, length_of(sec, sec->buf), { NULL } }, next;
	u32 depth = 0;

	while (n--) {
		next = now;
		next.at += FIELD;
		if (depth < 3 && now.len && is_group(now.at + FIELD, now.len))
			next.group[depth++] = now.at;
		else
			next.at += now.len;
		while (depth && next.at >= next.group[depth - 1] + FIELD +
						   length_of(sec, next.group[depth - 1]))
			next.group[--depth] = NULL;
		if (next.at + FIELD > sec->buf + sec->len)
			break;
		next.len = length_of(sec, next.at);
		now = next;
	}
	return now;
}

static inline void add_length(u8 *field, u32 n)
{
	u32 len;

	memcpy(&len, field + 4, sizeof(len));
	len += n;
	memcpy(field + 4, &len, sizeof(len));
}

/* The field gets @n more bytes, and all that it is in. */
static inline void grow(struct section *sec, struct spot *spot, u32 n)
{
	u8 *end = spot->at + FIELD + spot->len;
	u32 i;

	if (sec->room - sec->len < n)
		return;
	memmove(end + n, end, (size_t)(sec->buf + sec->len - end));
	memset(end, 0x40, n);
	sec->len += n;
	add_length(spot->at, n);
	for (i = 0; spot->group[i]; i++)
		add_length(spot->group[i], n);
}

static inline void apply(struct section *sec, const struct change *c)
{
	struct spot spot = find_field(sec, c->field);
	u8 *p = spot.at;

	switch (c->what % 7) {
	case 0: /* its value */
		memcpy(p + FIELD, c->value, KVMB_MIN(spot.len, 8u));
		break;
	case 1: /* a byte of it */
		if (spot.len)
			p[FIELD + c->value[0] % spot.len] = c->value[1];
		break;
	case 2: /* its tag */
		p[0] = c->value[0];
		break;
	case 3: /* nearly the old value */
		if (spot.len >= 8)
			p[FIELD] = (u8)(p[FIELD] + c->value[0] % 5 - 2);
		break;
	case 4: /* its length, and what follows is torn */
		add_length(p, c->value[0] % 17 - 8u);
		break;
	case 5: /* it is critical */
		p[2] = 1;
		break;
	case 6:
		grow(sec, &spot, c->value[0] * 8u);
		break;
	}
}

#endif
