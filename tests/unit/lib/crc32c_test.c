// SPDX-License-Identifier: GPL-2.0-only
/* CRC-32C: known value, and the same with and without the CPU's instruction. */
#include "lib/crc32c.h"

#include "tests/unit/test.h"

static void check_value_is_that_of_the_standard(void **state)
{
	(void)state;
	assert_int_equal(~kvmb_crc32c(~0u, "123456789", 9), 0xe3069283); /* RFC 3720, B.4's CRC */
	assert_int_equal(~kvmb_crc32c_slow(~0u, "123456789", 9), 0xe3069283);
}

static void both_ways_agree_for_every_length_and_place(void **state)
{
	unsigned char buf[64];
	unsigned int i, from, len;

	(void)state;
	for (i = 0; i < sizeof(buf); i++)
		buf[i] = (unsigned char)(i * 37 + 11);
	for (from = 0; from < 9; from++) {
		for (len = 0; len + from <= sizeof(buf); len++)
			assert_int_equal(kvmb_crc32c(len, buf + from, len),
					 kvmb_crc32c_slow(len, buf + from, len));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(check_value_is_that_of_the_standard),
		cmocka_unit_test(both_ways_agree_for_every_length_and_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
