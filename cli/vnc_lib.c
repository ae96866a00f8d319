// SPDX-License-Identifier: GPL-2.0-only
/* Loading LibVNCServer and finding its functions; why: vnc_lib.h. */
#include "cli/vnc_lib.h"

#include <dlfcn.h>

#include "lib/library.h"
#include "lib/util.h"

#ifndef LIBVNCSERVER /* a test has a host without it */
#define LIBVNCSERVER "libvncserver.so.1"
#endif

static const struct kvmb_library_call calls_of_vnc[] = {
#define CALL(name) { #name, offsetof(struct kvmb_vnc, name) },
	KVMB_VNC_CALLS(CALL)
#undef CALL
};

static const struct kvmb_library libvncserver = { "LibVNCServer", "libvncserver1", calls_of_vnc,
						  ARRAY_SIZE(calls_of_vnc) };

struct kvmb_vnc vnc;

int vnc_lib_load(char *why, size_t size)
{
	struct kvmb_vnc found;
	int err;

	if (vnc.rfbGetScreen)
		return 0;
	err = kvmb_library_take(dlopen(LIBVNCSERVER, RTLD_NOW | RTLD_LOCAL), &libvncserver, &found,
				why, size);
	if (!err)
		vnc = found;
	return err;
}
