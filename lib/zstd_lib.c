// SPDX-License-Identifier: GPL-2.0-only
/* Loading libzstd and finding its functions: zstd_lib.h. */
#include "lib/zstd_lib.h"

#include <dlfcn.h>

#include "lib/library.h"
#include "lib/util.h"

#ifndef LIBZSTD /* a test has a host without it */
#define LIBZSTD "libzstd.so.1"
#endif

static const struct kvmb_library_call calls[] = {
#define CALL(name) { "ZSTD_" #name, offsetof(struct kvmb_zstd, name) },
	KVMB_ZSTD_CALLS(CALL)
#undef CALL
};

static const struct kvmb_library library = { "libzstd", "libzstd1", calls, ARRAY_SIZE(calls) };

struct kvmb_zstd zstd;

int kvmb_zstd_load(char *why, size_t size)
{
	struct kvmb_zstd found;
	int err;

	if (zstd.isError)
		return 0;
	err = kvmb_library_take(dlopen(LIBZSTD, RTLD_NOW | RTLD_LOCAL), &library, &found, why,
				size);
	if (!err)
		zstd = found;
	return err;
}
