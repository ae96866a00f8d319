// SPDX-License-Identifier: GPL-2.0-only
/* Loading GnuTLS and finding its functions; why: tls_lib.h. */
#include "cli/tls_lib.h"

#include <dlfcn.h>

#include "lib/library.h"
#include "lib/util.h"

#define LIBGNUTLS "libgnutls.so.30"

static const struct kvmb_library_call calls[] = {
#define CALL(name) { "gnutls_" #name, offsetof(struct kvmb_gnutls, name) },
	KVMB_GNUTLS_CALLS(CALL)
#undef CALL
};

static const struct kvmb_library library = { "GnuTLS", "libgnutls30", calls, ARRAY_SIZE(calls) };

struct kvmb_gnutls gnutls;

int tls_lib_load(char *why, size_t size)
{
	struct kvmb_gnutls found;
	int err;

	if (gnutls.init)
		return 0;
	err = kvmb_library_take(dlopen(LIBGNUTLS, RTLD_NOW | RTLD_LOCAL), &library, &found, why,
				size);
	if (!err)
		gnutls = found;
	return err;
}
