// SPDX-License-Identifier: GPL-2.0-only
/* libnbd in a process that gives up its files: loaded before, or never. Each case is a process. */
#include "backend/block/nbd_lib.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/block/disk.h"
#include "tests/unit/test.h"

static char why[KVMB_DISK_WHY];

/* Return: what @fn returns, in a process of its own. */
static int apart(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(fn());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int seal_then_load(void)
{
	kvmb_disk_seal(false);
	return kvmb_libnbd_load(why, sizeof(why)) == -ENOENT && strstr(why, "--hotplug-images") &&
	       !libnbd.create;
}

static int load_and_seal(void)
{
	kvmb_disk_seal(true);
	return !kvmb_libnbd_load(why, sizeof(why)) && libnbd.create;
}

/* Is an object of this name mapped? */
static bool has_mapped(const char *name)
{
	FILE *f = fopen("/proc/self/maps", "re");
	bool found = false;
	char line[512];

	while (f && fgets(line, sizeof(line), f))
		found = found || strstr(line, name);
	fclose(f);
	return found;
}

static int load_without_xml(void)
{
	struct nbd_handle *h;

	kvmb_disk_seal(true);
	if (!libnbd.create)
		return 2;
	h = libnbd.create(); /* and it works */
	if (!h || libnbd.aio_is_closed(h))
		return 0;
	libnbd.close(h);
	return !has_mapped("libxml2") && !has_mapped("libicu") && has_mapped("libgnutls");
}

static void libnbd_of_a_sealed_process_does_without_libxml2(void **state)
{
	int result = apart(load_without_xml);

	(void)state;
	if (result == 2)
		skip();
	assert_int_equal(result, 1);
}

static int open_tls(void)
{
	struct kvmb_disk_spec spec = { .path = "nbds://127.0.0.1:1/x" };
	struct kvmb_disk_files files;
	struct kvmb_disk *d;

	kvmb_disk_seal(true);
	return !kvmb_disk_resolve(&spec, &files, why, sizeof(why)) &&
	       kvmb_disk_open(&spec, &files, &d, why, sizeof(why)) == -EPERM &&
	       strstr(why, "--sandbox off");
}

static void libnbd_sealed_is_not_loaded(void **state)
{
	(void)state;
	assert_int_equal(apart(seal_then_load), 1);
}

static void libnbd_loaded_before_the_seal_is_used(void **state)
{
	(void)state;
	if (kvmb_libnbd_load(why, sizeof(why)))
		skip();
	assert_int_equal(apart(load_and_seal), 1);
}

static void disk_open_tls_server_sealed_is_refused(void **state)
{
	(void)state;
	assert_int_equal(apart(open_tls), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(libnbd_sealed_is_not_loaded),
		cmocka_unit_test(disk_open_tls_server_sealed_is_refused),
		cmocka_unit_test(
			libnbd_of_a_sealed_process_does_without_libxml2), /* before it is */
		cmocka_unit_test(libnbd_loaded_before_the_seal_is_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
