// SPDX-License-Identifier: GPL-2.0-only
/* Loading GnuTLS and finding its functions; why: tls_lib.h. */
#include "cli/tls_lib.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/util.h"

#define LIBGNUTLS "libgnutls.so.30"

static const struct {
	const char *name;
	size_t at; /* in struct kvmb_gnutls */
} functions[] = {
#define CALL(name) { "gnutls_" #name, offsetof(struct kvmb_gnutls, name) },
	KVMB_GNUTLS_CALLS(CALL)
#undef CALL
};

struct kvmb_gnutls gnutls;

int tls_lib_load(char *why, size_t size)
{
	struct kvmb_gnutls found;
	void *lib, *f = NULL;
	size_t i;

	if (gnutls.init)
		return 0;
	lib = dlopen(LIBGNUTLS, RTLD_NOW | RTLD_LOCAL);
	for (i = 0; lib && i < ARRAY_SIZE(functions); i++) {
		f = dlsym(lib, functions[i].name);
		if (!f)
			break;
		memcpy((char *)&found + functions[i].at, &f, sizeof(f));
	}
	if (f) {
		gnutls = found;
		return 0;
	}
	snprintf(why, size, "it needs GnuTLS (%s); on Debian: apt install libgnutls30", dlerror());
	if (lib)
		dlclose(lib);
	return -ENOENT;
}
