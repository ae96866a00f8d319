// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copies of images by their storage daemons, while somebody writes, and while the daemon dies: what
 * is copied is the moment. Real images and daemons; what goes wrong beside that: backup_test.c.
 */
#include "vmm/backup_copy.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/dirty_log.h"
#include "tests/harness/daemon.h"
#include "tests/harness/disk_io.h"
#include "tests/harness/keeper.h"

#define BYTES (BLOCK * BLOCKS)

static u8 now[BYTES], moment[BYTES], found[BYTES]; /* what the disk has, had, and the copy has */
static struct backup_copy c;
static unsigned int seed;

static void write_block(u64 block, u32 version)
{
	static struct io io;

	while (!kvmb_disk_may_write(d, block * BLOCK, BLOCK))
		usleep(500);
	fill(io.buf, block, version);
	assert_int_equal(do_io(&io, KVMB_IO_WRITE, block), 0);
	kvmb_disk_dirty(d, block * BLOCK, BLOCK);
	memcpy(now + block * BLOCK, io.buf, BLOCK);
}

static void write_some(u32 num, u32 version)
{
	u32 i;

	for (i = 0; i < num; i++)
		write_block((u64)rand_r(&seed) % BLOCKS, version);
}

static void *run_copy(void *arg)
{
	(void)arg;
	return (void *)(intptr_t)backup_copy_run(&c);
}

/* @base: of the last one, NULL = all. @kill_it: its daemon, in between */
static void back_up(const char *base, const char *id, bool kill_it)
{
	int fd = memfd_create("copy", 0);
	pthread_t thread;
	void *err;

	assert_int_equal(backup_copy_init(&c, 1), 0);
	c.disks[c.num++] = (struct backup_disk){
		.d = d, .fd = dup(fd), .chunks = kvmb_disk_chunks(d), .bytes = kvmb_disk_bytes(d)
	};
	c.changes = base;
	c.rate = 32u << 20;
	if (base)
		assert_int_equal(pwrite(fd, found, BYTES, 0), BYTES);
	assert_int_equal(backup_copy_warm(&c), 0);
	assert_int_equal(backup_copy_begin(&c, base ? base : ""), 0);
	memcpy(moment, now, BYTES);
	assert_int_equal(pthread_create(&thread, NULL, run_copy, NULL), 0);
	write_some(40, 7);
	if (kill_it)
		kill(daemon_pid(), SIGKILL);
	write_some(40, 8);
	pthread_join(thread, &err);
	if (err)
		fail_msg("%s", c.why);
	assert_false(d->pointed);
	if (base)
		assert_true(c.disks[0].copied < BYTES);
	else
		assert_int_equal(c.disks[0].copied, BYTES);
	kvmb_disk_since_done(d, id);
	backup_copy_fini(&c);
	assert_int_equal(pread(fd, found, BYTES, 0), BYTES);
	assert_memory_equal(found, moment, BYTES);
	close(fd);
}

static void back_up_format(const char *format)
{
	struct kvmb_disk_spec spec = { 0 };
	char name[32], why[KVMB_DISK_WHY], line[200];

	snprintf(name, sizeof(name), "a.%s", format);
	snprintf(line, sizeof(line), "cd %s && qemu-img create -q -f %s %s 16M", dir, format, name);
	assert_int_equal(system(line), 0);
	memset(now, 0, BYTES);
	memset(found, 0, BYTES);
	seed = 1;
	assert_int_equal(open_as(name, &spec, why), 0);
	assert_int_equal(kvmb_disk_bytes(d), BYTES);
	write_some(100, 1);
	back_up(NULL, "a", false);
	write_some(10, 2);
	back_up("a", "b", false);
	back_up("b", "c", true);
	back_up(NULL, "d", true);
}

static void qcow2_is_copied_as_it_was(void **state)
{
	(void)state;
	back_up_format("qcow2");
}

static void vhdx_is_copied_as_it_was(void **state)
{
	(void)state;
	back_up_format("vhdx");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(qcow2_is_copied_as_it_was, setup, teardown),
		cmocka_unit_test_setup_teardown(vhdx_is_copied_as_it_was, setup, teardown),
	};

	if (system("command -v qemu-storage-daemon qemu-img pgrep >/dev/null"))
		return 77; /* meson's word for "skipped" */
	kvmb_log_set_level(KVMB_LOG_ERR);
	if (kvmb_dirty_log_prepare())
		return 77;
	start_keeper();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
