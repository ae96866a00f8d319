// SPDX-License-Identifier: GPL-2.0-only
/* UTF-16 as UTF-8: pairs, halves of them, and where it ends. */
#include "manage/utf16.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/test.h"

static char out[16];

static ssize_t big(const char *in, size_t len)
{
	return utf16_text((const unsigned char *)in, len, true, out, sizeof(out));
}

CASE(characters_of_every_length_are_converted)
{
	CHECK_EQ(big("\0a\0\xe4\x20\xac\xd8\x3d\xde\x00", 10), 10);
	assert_string_equal(out, "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
	CHECK_EQ(utf16_text((const unsigned char *)"a\0\xe4\0", 4, false, out, sizeof(out)), 3);
	assert_string_equal(out, "a\xc3\xa4");
}

CASE(text_ends_at_a_zero_or_with_its_bytes)
{
	CHECK_EQ(big("\0a\0\0\0b", 6), 1);
	CHECK_EQ(big("\0a\0b", 3), 1);
	CHECK_EQ(big("", 0), 0);
	assert_string_equal(out, "");
}

CASE(halves_and_control_characters_are_refused)
{
	CHECK_EQ(big("\xd8\x3d", 2), -EINVAL);
	CHECK_EQ(big("\xd8\x3d\0a", 4), -EINVAL);
	CHECK_EQ(big("\xde\0\0a", 4), -EINVAL);
	CHECK_EQ(big("\0\x1b", 2), -EINVAL);
	CHECK_EQ(big("\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a\0a", 28), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(characters_of_every_length_are_converted),
		cmocka_unit_test(text_ends_at_a_zero_or_with_its_bytes),
		cmocka_unit_test(halves_and_control_characters_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
