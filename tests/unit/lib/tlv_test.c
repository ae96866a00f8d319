// SPDX-License-Identifier: GPL-2.0-only
/* Saved state: what is written is read again; what is damaged is refused with one line. */
#include "lib/tlv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/test.h"

/* Two sections, the first with a group that comes twice. */
static void write_sample(struct kvmb_tlv_out *o)
{
	const uint64_t list[3] = { 1, 1ull << 40, 3 };

	memset(o, 0, sizeof(*o));
	kvmb_tlv_begin(o, KVMB_SEC_BUS, 0, KVMB_TLV_CRITICAL);
	kvmb_tlv_put(o, 1, 0x1122334455667788);
	kvmb_tlv_put_str(o, 2, "scsi0");
	kvmb_tlv_put_list(o, 3, list, 3);
	kvmb_tlv_group(o, 4);
	kvmb_tlv_put(o, 1, 7);
	kvmb_tlv_group_end(o);
	kvmb_tlv_group(o, 4);
	kvmb_tlv_put(o, 1, 8);
	kvmb_tlv_group_end(o);
	kvmb_tlv_end(o);
	kvmb_tlv_begin(o, KVMB_SEC_END, 0, 0);
	kvmb_tlv_end(o);
	assert_false(o->failed);
}

static int first(const struct kvmb_tlv_out *o, struct kvmb_tlv *t, struct kvmb_tlv_error *e)
{
	size_t pos = 0;

	memset(e, 0, sizeof(*e));
	return kvmb_tlv_next(o->buf, o->len, &pos, t, e);
}

static void all_that_is_written_is_read(void **state)
{
	struct kvmb_tlv_out o;
	struct kvmb_tlv_error e = { 0 };
	struct kvmb_tlv t, g;
	size_t pos = 0, num, at = 0;
	uint64_t *list, sum = 0;
	char *s;

	(void)state;
	write_sample(&o);
	assert_int_equal(kvmb_tlv_next(o.buf, o.len, &pos, &t, &e), 0);
	assert_int_equal(t.tag, KVMB_SEC_BUS);
	assert_int_equal(t.flags, KVMB_TLV_CRITICAL);
	list = kvmb_tlv_get_list(&t, 3, 3, &num);
	assert_int_equal(num, 3);
	assert_int_equal(list[1], 1ull << 40);
	s = kvmb_tlv_get_str(&t, 2, 5);
	assert_string_equal(s, "scsi0");
	assert_int_equal(kvmb_tlv_get(&t, 1, UINT64_MAX), 0x1122334455667788);
	assert_int_equal(kvmb_tlv_get_or(&t, 9, 5, 42), 42);
	while (kvmb_tlv_each(&t, 4, &at, &g)) {
		sum = sum * 10 + kvmb_tlv_get(&g, 1, 8);
		assert_int_equal(kvmb_tlv_done(&g), 0);
	}
	assert_int_equal(sum, 78);
	assert_int_equal(kvmb_tlv_done(&t), 0);
	assert_int_equal(kvmb_tlv_next(o.buf, o.len, &pos, &t, &e), 0);
	assert_int_equal(t.tag, KVMB_SEC_END);
	assert_int_equal(kvmb_tlv_next(o.buf, o.len, &pos, &t, &e), -ENODATA);
	free(list);
	free(s);
	kvmb_tlv_out_fini(&o);
}

static void a_flipped_bit_anywhere_is_found(void **state)
{
	struct kvmb_tlv_out o;
	struct kvmb_tlv_error e;
	struct kvmb_tlv t;
	size_t bit, len;

	(void)state;
	write_sample(&o);
	len = o.len - 24; /* the first section */
	for (bit = 0; bit < len * 8; bit++) {
		o.buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(first(&o, &t, &e), -EPROTO);
		o.buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(first(&o, &t, &e), 0);
	kvmb_tlv_out_fini(&o);
}

static void a_stream_cut_off_anywhere_is_found(void **state)
{
	struct kvmb_tlv_out o;
	struct kvmb_tlv_error e;
	struct kvmb_tlv t;
	size_t len, pos;

	(void)state;
	write_sample(&o);
	for (len = 1; len < o.len - 24; len++) {
		memset(&e, 0, sizeof(e));
		pos = 0;
		assert_int_equal(kvmb_tlv_next(o.buf, len, &pos, &t, &e), -EPROTO);
		assert_non_null(strstr(e.text, "cut off"));
	}
	kvmb_tlv_out_fini(&o);
}

static void a_missing_field_is_named_and_the_error_sticks(void **state)
{
	struct kvmb_tlv_out o;
	struct kvmb_tlv_error e;
	struct kvmb_tlv t;

	(void)state;
	write_sample(&o);
	assert_int_equal(first(&o, &t, &e), 0);
	assert_int_equal(kvmb_tlv_get(&t, 77, 1), 0);
	assert_int_equal(kvmb_tlv_get(&t, 1, UINT64_MAX), 0); /* zero from then on */
	assert_int_equal(kvmb_tlv_done(&t), -EPROTO);
	assert_string_equal(e.text, "section bus 0: field 77 is missing");
	kvmb_tlv_out_fini(&o);
}

static void an_integer_above_its_limit_is_refused(void **state)
{
	struct kvmb_tlv_out o;
	struct kvmb_tlv_error e;
	struct kvmb_tlv t;

	(void)state;
	write_sample(&o);
	assert_int_equal(first(&o, &t, &e), 0);
	assert_int_equal(kvmb_tlv_get(&t, 1, 100), 0);
	assert_int_equal(kvmb_tlv_done(&t), -EPROTO);
	assert_non_null(strstr(e.text, "the most is 100"));
	kvmb_tlv_out_fini(&o);
}

static void wrong_sizes_are_refused(void **state)
{
	struct kvmb_tlv_out o;
	struct kvmb_tlv_error e;
	struct kvmb_tlv t;
	size_t num;
	char buf[4] = "abc";

	(void)state;
	write_sample(&o);
	assert_int_equal(first(&o, &t, &e), 0);
	kvmb_tlv_copy(&t, 2, buf, sizeof(buf));
	assert_int_equal(buf[0], 0);
	assert_int_equal(kvmb_tlv_done(&t), -EPROTO);
	assert_int_equal(first(&o, &t, &e), 0);
	assert_null(kvmb_tlv_get_list(&t, 2, 10, &num));
	assert_int_equal(kvmb_tlv_done(&t), -EPROTO);
	assert_int_equal(first(&o, &t, &e), 0);
	assert_null(kvmb_tlv_get_list(&t, 3, 2, &num));
	assert_int_equal(kvmb_tlv_done(&t), -EPROTO);
	assert_int_equal(first(&o, &t, &e), 0);
	assert_null(kvmb_tlv_get_str(&t, 2, 4));
	assert_int_equal(kvmb_tlv_done(&t), -EPROTO);
	kvmb_tlv_out_fini(&o);
}

static void an_unknown_field_is_skipped_unless_it_is_critical(void **state)
{
	struct kvmb_tlv_out o = { 0 };
	struct kvmb_tlv_error e;
	struct kvmb_tlv t;

	(void)state;
	kvmb_tlv_begin(&o, KVMB_SEC_NET, 2, 0);
	kvmb_tlv_put(&o, 5, 1);
	kvmb_tlv_put(&o, 6, 1);
	kvmb_tlv_critical(&o);
	kvmb_tlv_end(&o);
	assert_int_equal(first(&o, &t, &e), 0);
	assert_int_equal(kvmb_tlv_get(&t, 6, 1), 1);
	assert_int_equal(kvmb_tlv_done(&t), 0);
	assert_int_equal(first(&o, &t, &e), 0);
	assert_int_equal(kvmb_tlv_get(&t, 5, 1), 1);
	assert_int_equal(kvmb_tlv_done(&t), -EOPNOTSUPP);
	assert_string_equal(e.text, "section net 2: field 6 is unknown, and critical");
	kvmb_tlv_out_fini(&o);
}

static void a_group_longer_than_its_section_is_refused(void **state)
{
	struct kvmb_tlv_out o = { 0 };
	struct kvmb_tlv_error e;
	struct kvmb_tlv t, g;
	size_t at = 0;
	const uint8_t inner[] = { 1, 0, 0, 0, 9, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8 };

	(void)state;
	kvmb_tlv_begin(&o, KVMB_SEC_BUS, 0, 0);
	kvmb_tlv_put_bytes(&o, 4, inner, sizeof(inner)); /* says 9 bytes, has 8 */
	kvmb_tlv_end(&o);
	assert_int_equal(first(&o, &t, &e), 0);
	assert_true(kvmb_tlv_each(&t, 4, &at, &g));
	assert_int_equal(kvmb_tlv_get(&g, 1, 9), 0);
	assert_int_equal(kvmb_tlv_done(&g), -EPROTO);
	assert_false(kvmb_tlv_each(&t, 4, &at, &g));
	kvmb_tlv_out_fini(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_that_is_written_is_read),
		cmocka_unit_test(a_flipped_bit_anywhere_is_found),
		cmocka_unit_test(a_stream_cut_off_anywhere_is_found),
		cmocka_unit_test(a_missing_field_is_named_and_the_error_sticks),
		cmocka_unit_test(an_integer_above_its_limit_is_refused),
		cmocka_unit_test(wrong_sizes_are_refused),
		cmocka_unit_test(an_unknown_field_is_skipped_unless_it_is_critical),
		cmocka_unit_test(a_group_longer_than_its_section_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
