/* SPDX-License-Identifier: GPL-2.0-only */
/* A saved section in the hands of somebody who means harm: finds its fields and changes them. */
#ifndef KVMB_TLV_MUTATE_H
#define KVMB_TLV_MUTATE_H

#include <endian.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/crc32c.h"
#include "lib/tlv.h"
#include "tests/unit/test.h"

#define TLV_HEADER 24u /* of a section: docs/migration.md */
#define TLV_FIELD 8u   /* header of a field */
#define TLV_MAX_SPOTS 512u

struct tlv_spot {
	size_t at;     /* of its header */
	uint32_t len;  /* bytes behind that */
	uint32_t path; /* tags from the outermost group to it, a byte each */
	bool group;
};

struct tlv_spots {
	struct tlv_spot spot[TLV_MAX_SPOTS];
	uint32_t num;
};

/* The fields of buf[from, to). is_group() knows which are groups. */
static inline void tlv_find_spots(const uint8_t *buf, size_t from, size_t to, uint32_t above,
				  bool (*is_group)(uint32_t), struct tlv_spots *out)
{
	struct tlv_spot *spot;
	uint16_t tag;
	uint32_t len;

	while (from < to) {
		memcpy(&tag, buf + from, sizeof(tag));
		memcpy(&len, buf + from + 4, sizeof(len));
		assert_in_range(out->num, 0, TLV_MAX_SPOTS - 1);
		spot = &out->spot[out->num++];
		*spot = (struct tlv_spot){ from, le32toh(len), above << 8 | le16toh(tag), false };
		spot->group = is_group(spot->path);
		from += TLV_FIELD + spot->len;
		if (spot->group)
			tlv_find_spots(buf, from - spot->len, from, spot->path, is_group, out);
	}
	assert_int_equal(from, to);
}

/* The @nth field of this path. */
static inline const struct tlv_spot *tlv_spot(const struct tlv_spots *all, uint32_t tags,
					      uint32_t nth)
{
	uint32_t i;

	for (i = 0; i < all->num; i++) {
		if (all->spot[i].path == tags && !nth--)
			return &all->spot[i];
	}
	fail_msg("no field %x", tags);
	return NULL;
}

/* After a change: the checksum of a section that begins at @buf is right again. */
static inline void tlv_fix_crc(uint8_t *buf, size_t len)
{
	uint32_t crc = 0;

	memcpy(buf + 12, &crc, sizeof(crc));
	crc = htole32(~kvmb_crc32c(~0u, buf, len));
	memcpy(buf + 12, &crc, sizeof(crc));
}

static inline void tlv_set(uint8_t *buf, const struct tlv_spot *spot, uint64_t v)
{
	v = htole64(v);
	assert_true(spot->len >= sizeof(v));
	memcpy(buf + spot->at + TLV_FIELD, &v, sizeof(v));
}

/* The field is not there: it has a tag that nobody knows. */
static inline void tlv_lose(uint8_t *buf, const struct tlv_spot *spot)
{
	buf[spot->at] = 254;
	buf[spot->at + 1] = 0;
}

enum { TLV_LOST, TLV_ONES, TLV_ZEROES, TLV_MORE, TLV_LESS, TLV_SHORT, TLV_WAYS };

/* One of the ways to spoil a field without moving the others. */
static inline void tlv_spoil(uint8_t *buf, const struct tlv_spot *spot, int way)
{
	uint8_t *p = buf + spot->at + TLV_FIELD;
	uint32_t len;

	switch (way) {
	case TLV_LOST:
		tlv_lose(buf, spot);
		break;
	case TLV_ONES:
	case TLV_ZEROES:
		memset(p, way == TLV_ONES ? 0xff : 0, spot->len);
		break;
	case TLV_MORE:
	case TLV_LESS:
		if (spot->len)
			*p = (uint8_t)(*p + (way == TLV_MORE ? 1 : -1));
		break;
	case TLV_SHORT: /* what follows is torn */
		len = htole32(spot->len ? spot->len - 1 : 1);
		memcpy(buf + spot->at + 4, &len, sizeof(len));
		break;
	}
}

static inline uint8_t *tlv_copy(const struct kvmb_tlv_out *o)
{
	uint8_t *buf = malloc(o->len);

	assert_non_null(buf);
	memcpy(buf, o->buf, o->len);
	return buf;
}

/* Loads a stream, and frees it. Return: what load said. */
typedef int tlv_load_fn(uint8_t *buf);

/* Whatever is spoilt: it is taken or refused, and @load sees that no harm is done. */
static inline void tlv_spoil_each(const struct kvmb_tlv_out *o, const struct tlv_spots *all,
				  tlv_load_fn *load)
{
	uint32_t i, taken = 0, refused = 0;
	uint8_t *buf;
	int way;

	for (i = 0; i < all->num; i++) {
		for (way = 0; way < TLV_WAYS; way++) {
			buf = tlv_copy(o);
			tlv_spoil(buf, &all->spot[i], way);
			if (load(buf))
				refused++;
			else
				taken++;
		}
	}
	print_message("%u fields: %u changes refused, %u taken\n", all->num, refused, taken);
	assert_true(refused > taken);
}

struct tlv_row { /* a value that cannot be, and what is said of it */
	uint32_t path, nth;
	uint64_t value;
	const char *why;
};

/* Each of rows[num] is refused by its own message in @error, which @load fills. */
static inline void tlv_refuse_each(const struct kvmb_tlv_out *o, const struct tlv_spots *all,
				   tlv_load_fn *load, const struct kvmb_tlv_error *error,
				   const struct tlv_row *rows, size_t num)
{
	uint8_t *buf;
	size_t i;

	for (i = 0; i < num; i++) {
		buf = tlv_copy(o);
		tlv_set(buf, tlv_spot(all, rows[i].path, rows[i].nth), rows[i].value);
		if (!load(buf))
			fail_msg("row %zu was taken", i);
		if (!strstr(error->text, rows[i].why))
			fail_msg("row %zu: %s", i, error->text);
	}
}

#endif
