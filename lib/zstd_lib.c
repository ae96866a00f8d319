// SPDX-License-Identifier: GPL-2.0-only
/* Loading libzstd and finding its functions: zstd_lib.h. */
#include "lib/zstd_lib.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/util.h"

#ifndef LIBZSTD /* a test has a host without it */
#define LIBZSTD "libzstd.so.1"
#endif

static const struct {
	const char *name;
	size_t at; /* in struct kvmb_zstd */
} functions[] = {
#define CALL(name) { "ZSTD_" #name, offsetof(struct kvmb_zstd, name) },
	KVMB_ZSTD_CALLS(CALL)
#undef CALL
};

struct kvmb_zstd zstd;

int kvmb_zstd_load(char *why, size_t size)
{
	struct kvmb_zstd found;
	void *lib, *f = NULL;
	size_t i;

	if (zstd.isError)
		return 0;
	lib = dlopen(LIBZSTD, RTLD_NOW | RTLD_LOCAL);
	for (i = 0; lib && i < ARRAY_SIZE(functions); i++) {
		f = dlsym(lib, functions[i].name);
		if (!f)
			break;
		memcpy((char *)&found + functions[i].at, &f, sizeof(f));
	}
	if (f) {
		zstd = found;
		return 0;
	}
	snprintf(why, size, "it needs libzstd (%s); on Debian: apt install libzstd1", dlerror());
	if (lib)
		dlclose(lib);
	return -ENOENT;
}
