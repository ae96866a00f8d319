// SPDX-License-Identifier: GPL-2.0-only
/* Loading libnbd and finding its functions; why: nbd_lib.h. */
#include "backend/block/nbd_lib.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "backend/block/nbd_noxml.h"
#include "lib/library.h"
#include "lib/util.h"

#define LIBNBD "libnbd.so.0"

static const struct kvmb_library_call calls[] = {
#define CALL(name) { "nbd_" #name, offsetof(struct kvmb_libnbd, name) },
	KVMB_LIBNBD_CALLS(CALL)
#undef CALL
};

static const struct kvmb_library library = { "libnbd", "libnbd0", calls, ARRAY_SIZE(calls) };

struct kvmb_libnbd libnbd;
static bool sealed; /* before the first thread */

static void *open_library(bool without_xml)
{
	void *noxml = without_xml ? kvmb_noxml_load() : NULL;
	void *lib = dlopen(LIBNBD, RTLD_NOW | RTLD_LOCAL);

	if (!lib && noxml) { /* it needs more of libxml2 */
		dlclose(noxml);
		lib = dlopen(LIBNBD, RTLD_NOW | RTLD_LOCAL);
	}
	return lib;
}

static int load(bool without_xml, char *why, size_t size)
{
	struct kvmb_libnbd found;
	int err = kvmb_library_take(open_library(without_xml), &library, &found, why, size);

	if (!err)
		libnbd = found;
	return err;
}

static int load_once(bool without_xml, char *why, size_t size)
{
	/* guards libnbd until it is filled */
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	int err;

	pthread_mutex_lock(&lock);
	if (sealed && !libnbd.create)
		snprintf(why, size,
			 "it needs libnbd, which was not loaded when the VM was started: by "
			 "--hotplug-images=off, or because it is not installed; on Debian: apt "
			 "install libnbd0");
	err = libnbd.create ? 0 : sealed ? -ENOENT : load(without_xml, why, size);
	pthread_mutex_unlock(&lock);
	return err;
}

int kvmb_libnbd_load(char *why, size_t size)
{
	return load_once(false, why, size);
}

void kvmb_libnbd_seal(bool load)
{
	char why[256];

	if (load)
		load_once(true, why, sizeof(why)); /* without it a disk says what it lacks */
	sealed = true;
}

bool kvmb_libnbd_is_sealed(void)
{
	return sealed;
}
