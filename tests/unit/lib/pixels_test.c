// SPDX-License-Identifier: GPL-2.0-only
/* Pixels of 16 bits, and a hash that sees each byte. */
#include "lib/pixels.h"

#include <string.h>

#include "tests/unit/test.h"

static void rgb_of_565_reaches_black_and_white(void **state)
{
	(void)state;
	assert_int_equal(kvmb_rgb_of_565(0), 0);
	assert_int_equal(kvmb_rgb_of_565(0xffff), 0xffffff);
	assert_int_equal(kvmb_rgb_of_565(0xf800), 0xff0000);
	assert_int_equal(kvmb_rgb_of_565(0x07e0), 0x00ff00);
	assert_int_equal(kvmb_rgb_of_565(0x001f), 0x0000ff);
	assert_int_equal(kvmb_rgb_of_565(0x8410), 0x848284);
}

/* Also where the length is no multiple of a word. */
static void hash_sees_each_byte_and_its_place(void **state)
{
	uint8_t p[29] = { 0 };
	uint64_t seen[sizeof(p)], none;
	size_t len, i, k;

	(void)state;
	for (len = 1; len <= sizeof(p); len++) {
		none = kvmb_pixels_hash(0, p, len);
		for (i = 0; i < len; i++) {
			p[i] = 1;
			seen[i] = kvmb_pixels_hash(0, p, len);
			p[i] = 0;
			assert_true(seen[i] != none);
			for (k = 0; k < i; k++)
				assert_true(seen[i] != seen[k]);
		}
	}
	assert_true(kvmb_pixels_hash(1, p, 8) != kvmb_pixels_hash(2, p, 8));
	assert_true(kvmb_pixels_hash(7, p, 0) == 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rgb_of_565_reaches_black_and_white),
		cmocka_unit_test(hash_sees_each_byte_and_its_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
