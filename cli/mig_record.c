// SPDX-License-Identifier: GPL-2.0-only
/* Greetings and records of two pumps: mig_record.h. Numbers are little-endian. */
#include "cli/mig_record.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util.h"

#define LEVEL 1 /* a faster link gains nothing from smaller records that take longer */

static void put32(uint8_t *to, uint32_t v)
{
	v = htole32(v);
	memcpy(to, &v, sizeof(v));
}

static void put64(uint8_t *to, uint64_t v)
{
	v = htole64(v);
	memcpy(to, &v, sizeof(v));
}

static uint32_t get32(const uint8_t *from)
{
	uint32_t v;

	memcpy(&v, from, sizeof(v));
	return le32toh(v);
}

static uint64_t get64(const uint8_t *from)
{
	uint64_t v;

	memcpy(&v, from, sizeof(v));
	return le64toh(v);
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
	while (len && !bytes[len - 1])
		len--;
	return !len;
}

/* ---- how two pumps meet ---- */

void mig_hello_put(const struct mig_hello *h, uint8_t *bytes)
{
	memset(bytes, 0, MIG_HELLO_LEN);
	memcpy(bytes, MIG_BUNDLE_GREETING, MIG_BUNDLE_GREETING_LEN);
	bytes[16] = h->lane;
	bytes[17] = h->num;
	bytes[18] = h->packs;
	memcpy(bytes + 24, h->token, MIG_TOKEN_LEN);
}

int mig_hello_get(const uint8_t *bytes, struct mig_hello *h)
{
	if (memcmp(bytes, MIG_BUNDLE_GREETING, MIG_BUNDLE_GREETING_LEN) || bytes[18] > 1 ||
	    !is_zero(bytes + 19, 5))
		return -EPROTO;
	*h = (struct mig_hello){ .lane = bytes[16], .num = bytes[17], .packs = bytes[18] };
	memcpy(h->token, bytes + 24, MIG_TOKEN_LEN);
	if (!h->num || h->num > MIG_LANES || h->lane >= h->num ||
	    (!h->lane && !is_zero(h->token, MIG_TOKEN_LEN)))
		return -EPROTO;
	return 0;
}

void mig_answer_put(enum mig_answer a, const uint8_t *token, uint8_t *bytes)
{
	memset(bytes, 0, MIG_ANSWER_LEN);
	bytes[0] = (uint8_t)a;
	if (token)
		memcpy(bytes + 8, token, MIG_TOKEN_LEN);
}

int mig_answer_get(const uint8_t *bytes, uint8_t *token)
{
	if (bytes[0] > MIG_ANSWER_BAD || !is_zero(bytes + 1, 7))
		return -EPROTO;
	if (bytes[0] == MIG_ANSWER_OK)
		memcpy(token, bytes + 8, MIG_TOKEN_LEN);
	return bytes[0];
}

const char *mig_answer_why(int answer)
{
	switch (answer) {
	case MIG_ANSWER_NO_ZSTD:
		return "the other side has no libzstd; on Debian: apt install libzstd1 there, or "
		       "go without --compress";
	case MIG_ANSWER_ONE_LANE:
		return "the other side waits for one connection only; go without --streams";
	case MIG_ANSWER_BAD:
		return "the other side is another version of kvmbus; go without --streams and "
		       "--compress";
	}
	return "who is there is no kvmbus that waits for a VM";
}

/* ---- making records ---- */

int mig_packer_init(struct mig_packer *p, bool packs)
{
	*p = (struct mig_packer){ .raw = malloc(MIG_RECORD_RAW),
				  .record = malloc(MIG_RECORD_HEADER + MIG_RECORD_RAW) };
	if (packs)
		p->zstd = zstd.createCCtx();
	if (p->raw && p->record && (p->zstd || !packs))
		return 0;
	mig_packer_fini(p);
	return -ENOMEM;
}

void mig_packer_fini(struct mig_packer *p)
{
	if (p->zstd)
		zstd.freeCCtx(p->zstd);
	free(p->raw);
	free(p->record);
	*p = (struct mig_packer){ 0 };
}

/* Return: bytes, fewer than @len; 0: it does not become shorter. */
static size_t press(struct mig_packer *p, size_t len)
{
	size_t n;

	if (!p->zstd || !len)
		return 0;
	n = zstd.compressCCtx(p->zstd, p->record + MIG_RECORD_HEADER, len - 1, p->raw, len, LEVEL);
	return zstd.isError(n) ? 0 : n;
}

size_t mig_pack(struct mig_packer *p, uint64_t seq, size_t len)
{
	size_t n = press(p, len);
	uint32_t flags = (n ? MIG_RECORD_PACKED : 0) | (len ? 0 : MIG_RECORD_END);

	if (!n) {
		n = len;
		memcpy(p->record + MIG_RECORD_HEADER, p->raw, len);
	}
	put64(p->record, seq);
	put32(p->record + 8, (uint32_t)len);
	put32(p->record + 12, (uint32_t)n);
	put32(p->record + 16, flags);
	put32(p->record + 20, 0);
	return MIG_RECORD_HEADER + n;
}

/* ---- taking them ---- */

int mig_reader_init(struct mig_reader *r, bool packs)
{
	*r = (struct mig_reader){ .packs = packs,
				  .packed = malloc(MIG_RECORD_RAW),
				  .raw = packs ? malloc(MIG_RECORD_RAW) : NULL,
				  .zstd = packs ? zstd.createDCtx() : NULL };
	if (r->packed && (!packs || (r->raw && r->zstd)))
		return 0;
	mig_reader_fini(r);
	return -ENOMEM;
}

void mig_reader_fini(struct mig_reader *r)
{
	if (r->zstd)
		zstd.freeDCtx(r->zstd);
	free(r->packed);
	free(r->raw);
	*r = (struct mig_reader){ 0 };
}

size_t mig_reader_want(struct mig_reader *r, uint8_t **to)
{
	if (!r->has) {
		*to = r->header + r->got;
		return MIG_RECORD_HEADER - r->got;
	}
	*to = r->packed + (r->got - MIG_RECORD_HEADER);
	return MIG_RECORD_HEADER + r->now.packed - r->got;
}

/* Return: NULL, or what is wrong. */
static const char *judge(const struct mig_reader *r, const struct mig_record *n)
{
	if (r->ended)
		return "a record behind the end";
	if (n->flags & ~(uint32_t)(MIG_RECORD_PACKED | MIG_RECORD_END) ||
	    !is_zero(r->header + 20, 4))
		return "a record of an unknown kind";
	if (n->seq < r->least || n->seq >> 63)
		return "a record out of order";
	if (n->flags & MIG_RECORD_END)
		return n->flags == MIG_RECORD_END && !n->raw && !n->packed ? NULL :
									     "an end with bytes";
	if (!n->raw || n->raw > MIG_RECORD_RAW)
		return "a record that is too long, or empty";
	if (n->flags & MIG_RECORD_PACKED) {
		if (!r->packs)
			return "a record that is packed";
		return n->packed && n->packed < n->raw ? NULL : "a packed record of a wrong length";
	}
	return n->packed == n->raw ? NULL : "a record of a wrong length";
}

static int tell_lie(const char *what, char *why, size_t size)
{
	snprintf(why, size, "the other side sends %s", what);
	return -EPROTO;
}

static int take_header(struct mig_reader *r, char *why, size_t size)
{
	const struct mig_record n = { .seq = get64(r->header),
				      .raw = get32(r->header + 8),
				      .packed = get32(r->header + 12),
				      .flags = get32(r->header + 16) };
	const char *wrong = judge(r, &n);

	if (wrong)
		return tell_lie(wrong, why, size);
	r->now = n;
	r->has = true;
	r->least = n.seq + 1;
	r->ended = n.flags & MIG_RECORD_END;
	return 0;
}

int mig_reader_took(struct mig_reader *r, size_t n, char *why, size_t size)
{
	int err;

	r->got += n;
	if (!r->has && r->got == MIG_RECORD_HEADER) {
		err = take_header(r, why, size);
		if (err)
			return err;
	}
	return r->has && r->got == MIG_RECORD_HEADER + r->now.packed;
}

int mig_reader_unpack(struct mig_reader *r, const uint8_t **raw, char *why, size_t size)
{
	size_t n;

	*raw = r->packed;
	if (!(r->now.flags & MIG_RECORD_PACKED))
		return 0;
	*raw = r->raw;
	/* its room is what was announced: no frame can make it write more */
	n = zstd.decompressDCtx(r->zstd, r->raw, r->now.raw, r->packed, r->now.packed);
	if (zstd.isError(n))
		return tell_lie("a packed record that cannot be unpacked", why, size);
	return n == r->now.raw ? 0 : tell_lie("a packed record of another size", why, size);
}

void mig_reader_next(struct mig_reader *r)
{
	r->has = false;
	r->got = 0;
}

bool mig_reader_may_end(const struct mig_reader *r)
{
	return r->ended && !r->has && !r->got;
}
