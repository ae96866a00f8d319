// SPDX-License-Identifier: GPL-2.0-only
/* Functions of a library that is loaded: library.h. */
#include "lib/library.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

int kvmb_library_take(void *lib, const struct kvmb_library *l, void *table, char *why, size_t size)
{
	void *f;
	size_t i;

	for (i = 0; lib && i < l->num_calls; i++) {
		f = dlsym(lib, l->calls[i].name);
		if (!f)
			break;
		memcpy((char *)table + l->calls[i].at, &f, sizeof(f));
	}
	if (lib && i == l->num_calls)
		return 0;
	snprintf(why, size, "it needs %s (%s); on Debian: apt install %s", l->name, dlerror(),
		 l->package);
	if (lib)
		dlclose(lib);
	return -ENOENT;
}
