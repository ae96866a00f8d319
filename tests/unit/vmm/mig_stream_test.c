// SPDX-License-Identifier: GPL-2.0-only
/* The conversation of a migration: sections and words cross whole, or are refused by one line. */
#include "vmm/mig_stream.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <signal.h>

#include "lib/loop.h"
#include "lib/util.h"
#include "tests/unit/test.h"

static struct mig_stream a, b;
static struct mig_section sec;
static char why[MIG_WHY];

static int setup(void **state)
{
	int sv[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	a = (struct mig_stream){ .fd = sv[0] };
	b = (struct mig_stream){ .fd = sv[1] };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (a.fd >= 0)
		close(a.fd);
	close(b.fd);
	mig_section_fini(&sec);
	return 0;
}

static void hang_up(void)
{
	close(a.fd);
	a.fd = -1;
}

static struct kvmb_tlv_out section(enum kvmb_section tag, size_t len)
{
	struct kvmb_tlv_out o = { 0 };
	u8 *bytes = kvmb_xzalloc(len + 1);

	memset(bytes, 'x', len);
	kvmb_tlv_begin(&o, tag, 3, 0);
	kvmb_tlv_put_bytes(&o, 1, bytes, len);
	kvmb_tlv_end(&o);
	free(bytes);
	return o;
}

static void *send_all(void *arg)
{
	struct kvmb_tlv_out *o = arg;

	assert_int_equal(mig_send(&a, o->buf, o->len), 0);
	return NULL;
}

/* Longer than a socket's buffer, so that neither side goes through in one go. */
static void long_section_crosses_whole(void **state)
{
	struct kvmb_tlv_out o = section(KVMB_SEC_BUS, 5u << 20);
	pthread_t t;

	(void)state;
	assert_int_equal(pthread_create(&t, NULL, send_all, &o), 0);
	assert_int_equal(mig_recv_section(&b, &sec), 0);
	pthread_join(t, NULL);
	assert_int_equal(sec.t.tag, KVMB_SEC_BUS);
	assert_int_equal(sec.t.instance, 3);
	assert_int_equal(sec.len, o.len);
	assert_memory_equal(sec.buf, o.buf, o.len);
	assert_int_equal(a.sent, o.len);
	assert_int_equal(b.received, o.len);
	kvmb_tlv_out_fini(&o);
}

static void section_cut_off_anywhere_is_none(void **state)
{
	struct kvmb_tlv_out o = section(KVMB_SEC_VM, 40);
	size_t len;

	for (len = 0; len < o.len; len++) {
		assert_int_equal(write(a.fd, o.buf, len), len);
		hang_up();
		assert_int_equal(mig_recv_section(&b, &sec), -EPIPE);
		close(b.fd);
		setup(state);
	}
	kvmb_tlv_out_fini(&o);
}

/* Each bit of it: of the header, where it lies about the length, and of the fields. */
static void section_with_a_wrong_bit_is_none(void **state)
{
	struct kvmb_tlv_out o = section(KVMB_SEC_VM, 40);
	size_t bit;
	int err;

	for (bit = 0; bit < o.len * 8; bit++) {
		o.buf[bit / 8] ^= (u8)(1u << bit % 8);
		assert_int_equal(write(a.fd, o.buf, o.len), o.len);
		hang_up();
		err = mig_recv_section(&b, &sec);
		assert_true(err == -EPROTO || err == -EPIPE);
		o.buf[bit / 8] ^= (u8)(1u << bit % 8);
		close(b.fd);
		setup(state);
	}
	kvmb_tlv_out_fini(&o);
}

/* What is promised is not what memory is taken for. */
static void section_longer_than_its_kind_may_be_is_refused_by_its_header(void **state)
{
	static const struct {
		u32 tag;
		u64 most;
	} rows[] = {
		{ KVMB_SEC_MEMORY, MIG_CHUNK + 64 },
		{ KVMB_SEC_WORD, MIG_WHY + 128 },
		{ KVMB_SEC_BUS, KVMB_TLV_MAX_SECTION },
		{ 999, KVMB_TLV_MAX_SECTION },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct kvmb_tlv_out o = section((enum kvmb_section)rows[i].tag, 8);
		u64 len = rows[i].most + 1;

		memcpy(o.buf + 16, &len, sizeof(len));
		assert_int_equal(write(a.fd, o.buf, KVMB_TLV_HEADER), KVMB_TLV_HEADER);
		assert_int_equal(mig_recv_section(&b, &sec), -EPROTO);
		assert_non_null(strstr(sec.error.text, "too long"));
		assert_true(sec.room < 1u << 20);
		kvmb_tlv_out_fini(&o);
		close(b.fd);
		hang_up();
		setup(state);
	}
}

static void words_are_heard(void **state)
{
	enum mig_word w;

	(void)state;
	for (w = MIG_READY; w < MIG_REFUSED; w++) {
		assert_int_equal(mig_say(&a, w, NULL), 0);
		assert_int_equal(mig_hear(&b, w, why), 0);
		assert_int_equal(mig_say(&a, w, NULL), 0);
		assert_int_equal(mig_hear(&b, w == MIG_READY ? MIG_GO : MIG_READY, why), -EPROTO);
		assert_non_null(strstr(why, "in place of"));
	}
}

static void refusal_brings_its_reason_and_no_escape_sequence(void **state)
{
	char longest[2 * MIG_WHY];

	(void)state;
	assert_int_equal(mig_say(&a, MIG_REFUSED, "no\x1b[2Jroom"), 0);
	assert_int_equal(mig_hear(&b, MIG_LOADED, why), -ECONNREFUSED);
	assert_string_equal(why, "no?[2Jroom");
	memset(longest, 'w', sizeof(longest));
	longest[sizeof(longest) - 1] = 0;
	assert_int_equal(mig_say(&a, MIG_REFUSED, longest), 0);
	assert_int_equal(mig_hear(&b, MIG_LOADED, why), -ECONNREFUSED);
	assert_int_equal(strlen(why), MIG_WHY - 1);
}

static void something_else_than_a_word_is_named(void **state)
{
	struct kvmb_tlv_out o = section(KVMB_SEC_BUS, 8);

	(void)state;
	assert_int_equal(mig_send(&a, o.buf, o.len), 0);
	assert_int_equal(mig_hear(&b, MIG_READY, why), -EPROTO);
	assert_non_null(strstr(why, "section bus out of turn"));
	hang_up();
	assert_int_equal(mig_hear(&b, MIG_READY, why), -EPIPE);
	assert_non_null(strstr(why, "has gone"));
	kvmb_tlv_out_fini(&o);
}

static void who_waits_can_be_cancelled(void **state)
{
	static u8 much[8u << 20];
	int cancelled = 1;
	u8 byte;

	(void)state;
	a.cancelled = b.cancelled = &cancelled;
	assert_int_equal(mig_recv(&b, &byte, 1), -ECANCELED);
	assert_int_equal(mig_send(&a, much, sizeof(much)), -ECANCELED);
}

static void *dribble(void *arg)
{
	struct kvmb_tlv_out o = { 0 };
	size_t i;

	(void)arg;
	kvmb_tlv_begin(&o, KVMB_SEC_WORD, 0, KVMB_TLV_CRITICAL);
	kvmb_tlv_put(&o, MIG_WORD_WORD, MIG_RUNNING);
	kvmb_tlv_end(&o);
	for (i = 0; i < o.len; i++) {
		usleep(2000000);
		if (write(a.fd, o.buf + i, 1) != 1)
			break;
	}
	kvmb_tlv_out_fini(&o);
	return NULL;
}

/*
 * REV3-4: "the other side, a minute at most" (docs/architecture.md, Threads). A word may take one
 * byte a minute: in DECIDING the guest stands so long, the locks are given up, nothing cancels it.
 */
static void word_takes_a_minute_at_most(void **state)
{
	u64 begin = kvmb_now_ms();
	pthread_t t;
	int err;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pthread_create(&t, NULL, dribble, NULL), 0);
	err = mig_hear(&b, MIG_RUNNING, why);
	print_message("err %d after %llu ms\n", err, (unsigned long long)(kvmb_now_ms() - begin));
	begin = kvmb_now_ms() - begin;
	shutdown(b.fd, SHUT_RDWR);
	pthread_join(t, NULL);
	assert_in_range(begin, 0, MIG_PATIENCE_MS + 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(word_takes_a_minute_at_most),
		T(long_section_crosses_whole),
		T(section_cut_off_anywhere_is_none),
		T(section_with_a_wrong_bit_is_none),
		T(section_longer_than_its_kind_may_be_is_refused_by_its_header),
		T(words_are_heard),
		T(refusal_brings_its_reason_and_no_escape_sequence),
		T(something_else_than_a_word_is_named),
		T(who_waits_can_be_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
