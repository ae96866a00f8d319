// SPDX-License-Identifier: GPL-2.0-only
/* Pictures are read back by libpng; a host without it is told what to install. */
#include "cli/png.h"

#include <dlfcn.h>
#include <errno.h>
#include <png.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/test.h"

#define PATH "png-test.png"

static bool lacks;
static char why[200];

void *__real_dlopen(const char *name, int flags);
void *__wrap_dlopen(const char *name, int flags);
void *__wrap_dlopen(const char *name, int flags)
{
	return __real_dlopen(lacks ? "/nonexistent/libpng.so" : name, flags);
}

static int setup(void **state)
{
	(void)state;
	lacks = false;
	why[0] = 0;
	unlink(PATH);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(PATH);
	return 0;
}

static void png_is_what_was_given(void **state)
{
	static const uint32_t rgb[6] = { 0xff0000, 0x00ff00, 0x0000ff, 0x123456, 0xffffff, 0 };
	static const uint8_t expected[18] = "\xff\0\0\0\xff\0\0\0\xff\x12\x34\x56\xff\xff\xff\0\0";
	png_image image = { .version = PNG_IMAGE_VERSION };
	uint8_t bytes[18];

	(void)state;
	assert_int_equal(png_write(PATH, rgb, 3, 2, why, sizeof(why)), 0);
	assert_true(png_image_begin_read_from_file(&image, PATH));
	assert_int_equal(image.width, 3);
	assert_int_equal(image.height, 2);
	image.format = PNG_FORMAT_RGB;
	assert_true(png_image_finish_read(&image, NULL, bytes, 0, NULL));
	assert_memory_equal(bytes, expected, sizeof(bytes));
}

static void png_failure_has_one_line(void **state)
{
	static const uint32_t rgb[1];

	(void)state;
	assert_int_equal(png_write(PATH, rgb, 0, 2, why, sizeof(why)), -EINVAL);
	assert_int_equal(png_write("/nonexistent/x.png", rgb, 1, 1, why, sizeof(why)), -ENOENT);
	assert_string_equal(why, "/nonexistent/x.png: No such file or directory");
	lacks = true;
	assert_int_equal(png_write(PATH, rgb, 1, 1, why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, "apt install libpng16-16"));
	assert_int_equal(access(PATH, F_OK), -1);
}

static void png_on_a_full_disk_is_no_success(void **state)
{
	static uint32_t rgb[256 * 256];
	size_t i;

	(void)state;
	for (i = 0; i < 256 * 256; i++)
		rgb[i] = (uint32_t)i * 2654435761u >> 8;
	if (access("/dev/full", W_OK) || symlink("/dev/full", PATH))
		skip();
	assert_int_not_equal(png_write(PATH, rgb, 256, 256, why, sizeof(why)), 0);
	assert_string_equal(why, "cannot write the picture: No space left on device");
	assert_int_equal(access(PATH, F_OK), 0); /* it is no file */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(png_is_what_was_given),
		T(png_failure_has_one_line),
		T(png_on_a_full_disk_is_no_success),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
