/* SPDX-License-Identifier: GPL-2.0-only */
/* Changes in a saved stream, for tests of those who load it: bytes of one field, checksums anew. */
#ifndef KVMB_TLV_EDIT_H
#define KVMB_TLV_EDIT_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/crc32c.h"
#include "lib/tlv.h"
#include "lib/util.h"

#define TLV_SECTION_HEAD 24u
#define TLV_FIELD_HEAD 8u

struct tlv_at { /* a field in a stream: offsets of its header */
	size_t pos;
	unsigned int field;
	uint32_t len;			   /* of its bytes */
	size_t section;			   /* header of its section */
	size_t groups[KVMB_TLV_MAX_DEPTH]; /* groups[depth]: headers of those it is in */
	unsigned int depth;
};

static inline uint32_t tlv_u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t tlv_u64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* The section of that tag and instance. Return: offset of its header; the stream's end = none. */
static inline size_t tlv_section(const uint8_t *p, size_t len, uint32_t tag, uint32_t instance)
{
	size_t pos = 0;

	while (pos < len && (tlv_u32(p + pos) != tag || tlv_u32(p + pos + 4) != instance))
		pos += TLV_SECTION_HEAD + tlv_u64(p + pos + 16);
	return pos;
}

/* The first field of that tag at @pos .. @end. Return: false: there is none. */
static inline bool tlv_find(const uint8_t *p, size_t pos, size_t end, unsigned int field,
			    struct tlv_at *at)
{
	uint16_t tag;

	for (; pos < end; pos += TLV_FIELD_HEAD + tlv_u32(p + pos + 4)) {
		memcpy(&tag, p + pos, sizeof(tag));
		if (tag != field)
			continue;
		at->pos = pos;
		at->field = field;
		at->len = tlv_u32(p + pos + 4);
		return true;
	}
	return false;
}

/* The field that @path names, a zero behind it: groups, then the field in the last of them. */
static inline struct tlv_at tlv_path(const uint8_t *p, size_t len, uint32_t tag, uint32_t instance,
				     const unsigned int *path)
{
	struct tlv_at at = { .section = tlv_section(p, len, tag, instance) };
	size_t pos = at.section + TLV_SECTION_HEAD, end;

	kvmb_assert(at.section < len);
	end = pos + tlv_u64(p + at.section + 16);
	for (; *path; path++) {
		kvmb_assert(tlv_find(p, pos, end, *path, &at));
		pos = at.pos + TLV_FIELD_HEAD;
		end = pos + at.len;
		if (path[1])
			at.groups[at.depth++] = at.pos;
	}
	return at;
}

static inline void tlv_seal(uint8_t *p, size_t section)
{
	uint32_t crc;

	memset(p + section + 12, 0, 4);
	crc = ~kvmb_crc32c(~0u, p + section, TLV_SECTION_HEAD + tlv_u64(p + section + 16));
	memcpy(p + section + 12, &crc, sizeof(crc));
}

/* Replace the field's bytes by bytes[new_len], or the whole field by nothing: @bytes == NULL. */
static inline void tlv_replace(uint8_t **p, size_t *len, const struct tlv_at *at, const void *bytes,
			       uint32_t new_len)
{
	size_t from = bytes ? at->pos + TLV_FIELD_HEAD : at->pos;
	size_t old = at->pos + TLV_FIELD_HEAD + at->len - from;
	size_t add = bytes ? new_len : 0;
	uint8_t *q = malloc(*len - old + add);
	uint64_t body;
	uint32_t part;
	unsigned int i;

	kvmb_assert(q);
	memcpy(q, *p, from);
	if (add)
		memcpy(q + from, bytes, add);
	memcpy(q + from + add, *p + from + old, *len - from - old);
	if (bytes)
		memcpy(q + at->pos + 4, &new_len, sizeof(new_len));
	for (i = 0; i < at->depth; i++) {
		part = (uint32_t)(tlv_u32(q + at->groups[i] + 4) - old + add);
		memcpy(q + at->groups[i] + 4, &part, sizeof(part));
	}
	body = tlv_u64(q + at->section + 16) - old + add;
	memcpy(q + at->section + 16, &body, sizeof(body));
	free(*p);
	*p = q;
	*len = *len - old + add;
	tlv_seal(q, at->section);
}

#endif
