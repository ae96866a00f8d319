// SPDX-License-Identifier: GPL-2.0-only
/* libzstd where it is, and where it is not. */
#include "lib/zstd_lib.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "tests/unit/test.h"

static const char *lacks; /* a function that the library of this host has not; "" = all of it */

void *__real_dlopen(const char *name, int flags);
void *__wrap_dlopen(const char *name, int flags)
{
	return __real_dlopen(lacks && !lacks[0] ? "/nonexistent/libzstd.so" : name, flags);
}

void *__real_dlsym(void *lib, const char *name);
void *__wrap_dlsym(void *lib, const char *name)
{
	return __real_dlsym(lib, lacks && !strcmp(name, lacks) ? "no_such_function" : name);
}

static void host_without_it_says_what_to_install(void **state)
{
	static const char *const cases[] = { "", "ZSTD_isError", "ZSTD_decompressDCtx" };
	char why[200];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		lacks = cases[i];
		why[0] = 0;
		assert_int_equal(kvmb_zstd_load(why, sizeof(why)), -ENOENT);
		assert_non_null(strstr(why, "apt install libzstd1"));
		assert_null(zstd.isError);
	}
	lacks = NULL;
}

static void what_is_compressed_comes_back(void **state)
{
	static char in[100000], packed[100000], out[100000];
	char why[200];
	ZSTD_CCtx *c;
	ZSTD_DCtx *d;
	size_t n;

	(void)state;
	assert_int_equal(kvmb_zstd_load(why, sizeof(why)), 0);
	assert_int_equal(kvmb_zstd_load(why, sizeof(why)), 0);
	memset(in, 'z', sizeof(in));
	c = zstd.createCCtx();
	n = zstd.compressCCtx(c, packed, sizeof(packed), in, sizeof(in), 1);
	assert_false(zstd.isError(n));
	assert_true(n < 1000);
	d = zstd.createDCtx();
	assert_int_equal(zstd.decompressDCtx(d, out, sizeof(out), packed, n), sizeof(in));
	assert_memory_equal(in, out, sizeof(in));
	assert_true(zstd.isError(zstd.decompressDCtx(d, out, sizeof(out), packed, n - 1)));
	zstd.freeCCtx(c);
	zstd.freeDCtx(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(host_without_it_says_what_to_install),
		cmocka_unit_test(what_is_compressed_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
