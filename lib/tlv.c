// SPDX-License-Identifier: GPL-2.0-only
/* Writing and reading sections of tagged fields: tlv.h. */
#include "lib/tlv.h"

#include <assert.h>
#include <endian.h>
#include <stdarg.h>
#include <string.h>

#include "lib/crc32c.h"
#include "lib/util.h"

struct wire_section {
	uint32_t tag, instance, flags;
	uint32_t crc; /* CRC-32C of this header with crc zero, and of the fields */
	uint64_t len; /* of the fields */
};
static_assert(sizeof(struct wire_section) == KVMB_TLV_HEADER, "docs/migration.md");

struct wire_field {
	uint16_t tag, flags;
	uint32_t len;
};
static_assert(sizeof(struct wire_field) == 8, "docs/migration.md");

const char *kvmb_tlv_section_name(uint32_t tag)
{
	static const char *const names[] = {
		[KVMB_SEC_END] = "end",		[KVMB_SEC_CONFIG] = "config",
		[KVMB_SEC_VM] = "vm",		[KVMB_SEC_MACHINE] = "machine",
		[KVMB_SEC_VCPU] = "vcpu",	[KVMB_SEC_BUS] = "bus",
		[KVMB_SEC_STORAGE] = "storage", [KVMB_SEC_NET] = "net",
		[KVMB_SEC_IC] = "ic",		[KVMB_SEC_MEMORY] = "memory",
		[KVMB_SEC_WORD] = "word",	[KVMB_SEC_HOST] = "host",
		[KVMB_SEC_HANDED] = "handed",	[KVMB_SEC_COPY] = "copy",
		[KVMB_SEC_DISK] = "disk",	[KVMB_SEC_LATER] = "later",
		[KVMB_SEC_WANTED] = "wanted",	[KVMB_SEC_LEGACY] = "legacy",
		[KVMB_SEC_SYNTH] = "synth",	[KVMB_SEC_SERVICES] = "services",
		[KVMB_SEC_INPUT] = "input",	[KVMB_SEC_MEM_SERVICE] = "memory service",
	};

	return tag < ARRAY_SIZE(names) && names[tag] ? names[tag] : "unknown";
}

void kvmb_tlv_head(const void *header, uint32_t *tag, uint64_t *len)
{
	struct wire_section s;

	memcpy(&s, header, sizeof(s));
	*tag = le32toh(s.tag);
	*len = le64toh(s.len);
}

/* ---- writing ---- */

static void put_raw(struct kvmb_tlv_out *o, const void *p, size_t len)
{
	size_t room = o->room ? o->room : 4096;
	uint8_t *buf;

	while (room - o->len < len)
		room *= 2;
	if (room != o->room) {
		buf = realloc(o->buf, room);
		o->failed |= !buf;
		if (!buf)
			return;
		o->buf = buf;
		o->room = room;
	}
	if (len)
		memcpy(o->buf + o->len, p, len);
	o->len += len;
}

void kvmb_tlv_begin(struct kvmb_tlv_out *o, enum kvmb_section tag, uint32_t instance,
		    unsigned int flags)
{
	struct wire_section s = { .tag = htole32(tag), .instance = htole32(instance),
				  .flags = htole32(flags) };

	kvmb_assert(!o->open);
	o->open = true;
	o->section = o->len;
	put_raw(o, &s, sizeof(s));
}

void kvmb_tlv_end(struct kvmb_tlv_out *o)
{
	struct wire_section s;

	kvmb_assert(o->open && !o->depth);
	o->open = false;
	if (o->failed)
		return;
	memcpy(&s, o->buf + o->section, sizeof(s));
	s.len = htole64(o->len - o->section - sizeof(s));
	memcpy(o->buf + o->section, &s, sizeof(s));
	s.crc = htole32(~kvmb_crc32c(~0u, o->buf + o->section, o->len - o->section));
	memcpy(o->buf + o->section, &s, sizeof(s));
}

static void put_tagged(struct kvmb_tlv_out *o, unsigned int field, const void *p, size_t len)
{
	struct wire_field f = { .tag = htole16((uint16_t)field), .len = htole32((uint32_t)len) };

	kvmb_assert(o->open && field && field <= KVMB_TLV_MAX_FIELD && len <= UINT32_MAX);
	o->last = o->len;
	put_raw(o, &f, sizeof(f));
	put_raw(o, p, len);
}

void kvmb_tlv_put(struct kvmb_tlv_out *o, unsigned int field, uint64_t v)
{
	v = htole64(v);
	put_tagged(o, field, &v, sizeof(v));
}

void kvmb_tlv_put_bytes(struct kvmb_tlv_out *o, unsigned int field, const void *bytes, size_t len)
{
	put_tagged(o, field, bytes, len);
}

void kvmb_tlv_put_str(struct kvmb_tlv_out *o, unsigned int field, const char *s)
{
	put_tagged(o, field, s, strlen(s));
}

void kvmb_tlv_put_list(struct kvmb_tlv_out *o, unsigned int field, const uint64_t *list, size_t num)
{
	struct wire_field f = { .tag = htole16((uint16_t)field),
				.len = htole32((uint32_t)(num * sizeof(*list))) };
	uint64_t v;
	size_t i;

	kvmb_assert(o->open && field && field <= KVMB_TLV_MAX_FIELD && num < UINT32_MAX / 8);
	o->last = o->len;
	put_raw(o, &f, sizeof(f));
	for (i = 0; i < num; i++) {
		v = htole64(list[i]);
		put_raw(o, &v, sizeof(v));
	}
}

void kvmb_tlv_critical(struct kvmb_tlv_out *o)
{
	struct wire_field f;

	kvmb_assert(o->open && o->last > o->section);
	if (o->failed)
		return;
	memcpy(&f, o->buf + o->last, sizeof(f));
	f.flags = htole16(KVMB_TLV_CRITICAL);
	memcpy(o->buf + o->last, &f, sizeof(f));
}

void kvmb_tlv_group(struct kvmb_tlv_out *o, unsigned int field)
{
	kvmb_assert(o->depth < KVMB_TLV_MAX_DEPTH);
	o->group[o->depth++] = o->len;
	put_tagged(o, field, NULL, 0);
}

void kvmb_tlv_group_end(struct kvmb_tlv_out *o)
{
	size_t at;
	struct wire_field f;

	kvmb_assert(o->depth);
	at = o->group[--o->depth];
	if (o->failed)
		return;
	memcpy(&f, o->buf + at, sizeof(f));
	f.len = htole32((uint32_t)(o->len - at - sizeof(f)));
	memcpy(o->buf + at, &f, sizeof(f));
	o->last = at;
}

void kvmb_tlv_out_fini(struct kvmb_tlv_out *o)
{
	free(o->buf);
	memset(o, 0, sizeof(*o));
}

/* ---- reading ---- */

__attribute__((format(printf, 3, 4))) static int wrong(struct kvmb_tlv *t, int err, const char *fmt,
							...)
{
	struct kvmb_tlv_error *e = t->error;
	va_list ap;
	int n;

	if (e->err)
		return e->err;
	e->err = err;
	n = snprintf(e->text, sizeof(e->text), "section %s %u: ", kvmb_tlv_section_name(t->tag),
		     t->instance);
	va_start(ap, fmt);
	vsnprintf(e->text + n, sizeof(e->text) - (size_t)n, fmt, ap);
	va_end(ap);
	return err;
}

/* The field at @pos. Return: false at the end, or when it is cut off: that is an error. */
static bool field_at(struct kvmb_tlv *t, size_t pos, struct wire_field *f)
{
	if (pos == t->len || t->error->err)
		return false;
	if (t->len - pos < sizeof(*f)) {
		wrong(t, -EPROTO, "a field is cut off");
		return false;
	}
	memcpy(f, t->p + pos, sizeof(*f));
	f->tag = le16toh(f->tag);
	f->flags = le16toh(f->flags);
	f->len = le32toh(f->len);
	if (f->len > t->len - pos - sizeof(*f)) {
		wrong(t, -EPROTO, "field %u is cut off", f->tag);
		return false;
	}
	return true;
}

static const uint8_t *find_from(struct kvmb_tlv *t, unsigned int field, size_t *pos, size_t *len)
{
	struct wire_field f;
	const uint8_t *p;

	kvmb_assert(field && field <= KVMB_TLV_MAX_FIELD);
	t->asked[field / 8] |= (uint8_t)(1u << field % 8);
	while (field_at(t, *pos, &f)) {
		p = t->p + *pos + sizeof(f);
		*pos += sizeof(f) + f.len;
		if (f.tag == field) {
			*len = f.len;
			return p;
		}
	}
	*len = 0;
	return NULL;
}

static const uint8_t *find(struct kvmb_tlv *t, unsigned int field, size_t *len)
{
	size_t pos = 0;

	return find_from(t, field, &pos, len);
}

int kvmb_tlv_next(const uint8_t *p, size_t len, size_t *pos, struct kvmb_tlv *t,
		  struct kvmb_tlv_error *error)
{
	struct wire_section s;
	uint32_t crc;

	memset(t, 0, sizeof(*t));
	t->error = error;
	if (error->err)
		return error->err;
	if (*pos == len)
		return -ENODATA;
	if (len - *pos < sizeof(s))
		return wrong(t, -EPROTO, "the header is cut off");
	memcpy(&s, p + *pos, sizeof(s));
	t->tag = le32toh(s.tag);
	t->instance = le32toh(s.instance);
	t->flags = le32toh(s.flags);
	t->p = p + *pos + sizeof(s);
	if (le64toh(s.len) > KVMB_TLV_MAX_SECTION)
		return wrong(t, -EPROTO, "it is too long");
	if (le64toh(s.len) > len - *pos - sizeof(s))
		return wrong(t, -EPROTO, "it is cut off");
	t->len = le64toh(s.len);
	crc = s.crc;
	s.crc = 0;
	if (le32toh(crc) != ~kvmb_crc32c(kvmb_crc32c(~0u, &s, sizeof(s)), t->p, t->len))
		return wrong(t, -EPROTO, "its checksum is wrong");
	*pos += sizeof(s) + t->len;
	return 0;
}

bool kvmb_tlv_has(struct kvmb_tlv *t, unsigned int field)
{
	size_t len;

	return find(t, field, &len) != NULL;
}

static uint64_t to_integer(struct kvmb_tlv *t, unsigned int field, const uint8_t *p, size_t len,
			   uint64_t max)
{
	uint64_t v;

	if (len != sizeof(v)) {
		wrong(t, -EPROTO, "field %u has %zu bytes, not 8", field, len);
		return 0;
	}
	memcpy(&v, p, sizeof(v));
	v = le64toh(v);
	if (v <= max)
		return v;
	wrong(t, -EPROTO, "field %u is %llu, the most is %llu", field, (unsigned long long)v,
	      (unsigned long long)max);
	return 0;
}

uint64_t kvmb_tlv_get_or(struct kvmb_tlv *t, unsigned int field, uint64_t max, uint64_t missing)
{
	size_t len;
	const uint8_t *p = find(t, field, &len);

	if (t->error->err)
		return 0;
	return p ? to_integer(t, field, p, len, max) : missing;
}

const uint8_t *kvmb_tlv_get_bytes(struct kvmb_tlv *t, unsigned int field, size_t *len)
{
	const uint8_t *p = find(t, field, len);

	if (!p)
		wrong(t, -EPROTO, "field %u is missing", field);
	return p;
}

uint64_t kvmb_tlv_get(struct kvmb_tlv *t, unsigned int field, uint64_t max)
{
	size_t len;
	const uint8_t *p = kvmb_tlv_get_bytes(t, field, &len);

	return p ? to_integer(t, field, p, len, max) : 0;
}

void kvmb_tlv_copy(struct kvmb_tlv *t, unsigned int field, void *buf, size_t len)
{
	size_t have;
	const uint8_t *p = kvmb_tlv_get_bytes(t, field, &have);

	memset(buf, 0, len);
	if (p && have == len)
		memcpy(buf, p, len);
	else if (p)
		wrong(t, -EPROTO, "field %u has %zu bytes, not %zu", field, have, len);
}

char *kvmb_tlv_get_str(struct kvmb_tlv *t, unsigned int field, size_t max)
{
	size_t len;
	const uint8_t *p = kvmb_tlv_get_bytes(t, field, &len);
	char *s = NULL;

	if (p && (len > max || memchr(p, 0, len)))
		wrong(t, -EPROTO, "field %u is no string of at most %zu characters", field, max);
	else if (p)
		s = strndup((const char *)p, len);
	if (p && !s)
		wrong(t, -ENOMEM, "no memory");
	return s;
}

uint64_t *kvmb_tlv_get_list(struct kvmb_tlv *t, unsigned int field, size_t max, size_t *num)
{
	size_t len, i;
	const uint8_t *p = kvmb_tlv_get_bytes(t, field, &len);
	uint64_t *list;

	*num = 0;
	if (p && (len % sizeof(*list) || len / sizeof(*list) > max))
		wrong(t, -EPROTO, "field %u is no list of at most %zu numbers", field, max);
	if (!p || !len || t->error->err)
		return NULL;
	list = malloc(len);
	if (!list) {
		wrong(t, -ENOMEM, "no memory");
		return NULL;
	}
	memcpy(list, p, len);
	*num = len / sizeof(*list);
	for (i = 0; i < *num; i++)
		list[i] = le64toh(list[i]);
	return list;
}

bool kvmb_tlv_each(struct kvmb_tlv *t, unsigned int field, size_t *pos, struct kvmb_tlv *group)
{
	size_t len;
	const uint8_t *p = find_from(t, field, pos, &len);

	memset(group, 0, sizeof(*group));
	group->error = t->error;
	group->tag = t->tag;
	group->instance = t->instance;
	group->p = p;
	group->len = len;
	return p && !t->error->err;
}

void kvmb_tlv_refuse(struct kvmb_tlv *t, unsigned int field, const char *why)
{
	wrong(t, -EPROTO, "field %u: %s", field, why);
}

int kvmb_tlv_done(struct kvmb_tlv *t)
{
	struct wire_field f;
	size_t pos;

	for (pos = 0; field_at(t, pos, &f); pos += sizeof(f) + f.len) {
		if (f.flags & KVMB_TLV_CRITICAL &&
		    (f.tag > KVMB_TLV_MAX_FIELD || !(t->asked[f.tag / 8] & 1u << f.tag % 8)))
			wrong(t, -EOPNOTSUPP, "field %u is unknown, and critical", f.tag);
	}
	return t->error->err;
}
