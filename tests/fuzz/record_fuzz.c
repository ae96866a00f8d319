// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a pump reads from its connections: greetings, answers, and records in pieces, raw or well
 * made and then changed. What was not changed comes out as it went in; what is refused is refused
 * by a phrase.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/mig_record.h"
#include "lib/util.h"

static struct mig_packer packer;
static struct mig_reader reader;
static uint64_t last;		/* number of the last record + 1 */
static bool ended;		/* its END has come */
static bool spoilt;		/* something was changed: what follows may be read as anything */
static const uint8_t *expected; /* expected[expected_len]: the next record; NULL = anything */
static size_t expected_len;

static void take_whole(void)
{
	volatile uint8_t sum = 0;
	const uint8_t *raw;
	char why[100] = "";
	size_t i;

	if (ended || reader.now.seq < last || reader.now.raw > MIG_RECORD_RAW)
		abort();
	last = reader.now.seq + 1;
	ended = reader.now.flags & MIG_RECORD_END;
	if (mig_reader_unpack(&reader, &raw, why, sizeof(why))) {
		if (!why[0] || expected)
			abort();
		return;
	}
	for (i = 0; i < reader.now.raw; i++)
		sum = (uint8_t)(sum + raw[i]);
	if (expected && (reader.now.raw != expected_len || memcmp(raw, expected, expected_len)))
		abort();
}

/* Return: false: it was refused. */
static bool feed(const uint8_t *in, size_t len, size_t piece)
{
	char why[100] = "";
	uint8_t *to;

	while (len) {
		size_t n = KVMB_MIN(mig_reader_want(&reader, &to), KVMB_MIN(len, piece));
		int got;

		memcpy(to, in, n);
		got = mig_reader_took(&reader, n, why, sizeof(why));
		in += n;
		len -= n;
		if (got < 0) {
			if (!why[0] || expected)
				abort();
			return false;
		}
		if (got) {
			take_whole();
			mig_reader_next(&reader);
		}
	}
	return true;
}

struct made {
	uint8_t seq_step, fill, change; /* change: 0 = as it is */
	uint8_t len[3], at[2];
};

/* A record as the other side makes it, of which a byte may be another one. */
static bool feed_made(const struct made *m, bool packs)
{
	size_t len = m->len[2] == 0xff ? MIG_RECORD_RAW : (m->len[0] | m->len[1] << 8) % 5000u;
	static uint8_t copy[MIG_RECORD_RAW];
	size_t i, n;

	for (i = 0; i < len; i++)
		packer.raw[i] = m->fill & 1 ? (uint8_t)(i * m->fill >> 7) : m->fill;
	memcpy(copy, packer.raw, len);
	n = mig_pack(&packer, last + m->seq_step, len);
	packer.record[(m->at[0] | m->at[1] << 8) % n] ^= m->change;
	if (m->change || ended || (!packs && packer.record[16] & MIG_RECORD_PACKED))
		spoilt = true;
	expected = spoilt ? NULL : copy;
	expected_len = len;
	return feed(packer.record, n, SIZE_MAX);
}

static void read_greetings(const uint8_t *in, size_t left)
{
	uint8_t bytes[MIG_HELLO_LEN] = MIG_BUNDLE_GREETING, again[MIG_HELLO_LEN];
	uint8_t token[MIG_TOKEN_LEN];
	struct mig_hello h;
	int answer;

	if (left > MIG_HELLO_LEN - MIG_BUNDLE_GREETING_LEN)
		left = MIG_HELLO_LEN - MIG_BUNDLE_GREETING_LEN;
	memcpy(bytes + MIG_BUNDLE_GREETING_LEN, in, left);
	if (!mig_hello_get(bytes, &h)) {
		if (!h.num || h.num > MIG_LANES || h.lane >= h.num)
			abort();
		mig_hello_put(&h, again);
		if (memcmp(bytes, again, sizeof(bytes)))
			abort(); /* a bit of it was not looked at */
	}
	answer = mig_answer_get(bytes + MIG_BUNDLE_GREETING_LEN, token);
	if (answer != MIG_ANSWER_OK && !mig_answer_why(answer)[0])
		abort();
}

static void read_records(uint8_t how, const uint8_t *in, size_t left)
{
	const bool packs = how & 2;

	if (mig_reader_init(&reader, packs))
		abort();
	last = 0;
	ended = spoilt = false;
	expected = NULL;
	if (how & 4) {
		left = KVMB_MIN(left, 16 * sizeof(struct made));
		for (; left >= sizeof(struct made); left -= sizeof(struct made)) {
			struct made m;

			memcpy(&m, in, sizeof(m));
			in += sizeof(m);
			if (!feed_made(&m, packs))
				break;
		}
	} else {
		feed(in, left, 1 + (how >> 3));
	}
	mig_reader_fini(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t left);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t left)
{
	char why[200];

	if (!packer.raw && (kvmb_zstd_load(why, sizeof(why)) || mig_packer_init(&packer, true))) {
		fprintf(stderr, "no libzstd\n");
		exit(1);
	}
	if (!left)
		return 0;
	if (in[0] & 1)
		read_greetings(in + 1, left - 1);
	else
		read_records(in[0], in + 1, left - 1);
	return 0;
}
