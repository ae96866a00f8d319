// SPDX-License-Identifier: GPL-2.0-only
/* The file of a VM's variables: whole whenever somebody looks, and in the order of the changes. */
#include "vmm/vars.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/util.h"
#include "tests/harness/patience.h"
#include "tests/unit/test.h"

#define BLOCK 4096u
#define BLOCKS 6u
#define LEN (BLOCKS * BLOCK)

static char dir[] = "/tmp/kvmb-vars-XXXXXX", path[64], why[200];
static u8 fresh[LEN], content[LEN], block[BLOCK];

static u32 lost; /* so many flushes fail, and what they had is not on the disk. Atomic */

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
	static const u8 zeroes[LEN];
	u32 n = __atomic_load_n(&lost, __ATOMIC_ACQUIRE);

	if (!n)
		return __real_fdatasync(fd);
	__atomic_store_n(&lost, n - 1, __ATOMIC_RELEASE);
	assert_int_equal(pwrite(fd, zeroes, LEN, 0), LEN);
	errno = EIO;
	return -1;
}

static u32 said_failing, said_again; /* lines of the log; atomic */

void __wrap_kvmb_log(enum kvmb_log_level level, const char *who, const char *fmt, ...);
void __wrap_kvmb_log(enum kvmb_log_level level, const char *who, const char *fmt, ...)
{
	(void)level, (void)who;
	if (strstr(fmt, "cannot be written"))
		__atomic_fetch_add(&said_failing, 1, __ATOMIC_RELEASE);
	if (strstr(fmt, "written again"))
		__atomic_fetch_add(&said_again, 1, __ATOMIC_RELEASE);
}

static int setup(void **state)
{
	u32 i;

	(void)state;
	strcpy(dir, "/tmp/kvmb-vars-XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/vars.fd", dir);
	for (i = 0; i < LEN; i++)
		fresh[i] = (u8)(i * 3 + i / BLOCK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir); /* nothing else is left there */
}

static int open_it(void)
{
	return vars_open(path, fresh, LEN, true, why, sizeof(why));
}

static struct vars *start(void)
{
	int fd = open_it();
	struct vars *v;

	assert_true(fd >= 0);
	v = vars_create("test", fd, content, LEN, why, sizeof(why));
	assert_non_null(v);
	return v;
}

static void read_file(u8 *buf)
{
	int fd = open(path, O_RDONLY);

	assert_int_equal(pread(fd, buf, LEN, 0), LEN);
	close(fd);
}

static bool file_has(u32 at, u8 val)
{
	u8 buf[LEN];

	read_file(buf);
	return buf[at * BLOCK] == val && buf[at * BLOCK + BLOCK - 1] == val;
}

static void wait_for(u32 at, u8 val)
{
	u64 until = unqueued_ms() + PATIENCE_MS;

	while (!file_has(at, val) && unqueued_ms() < until)
		usleep(1000);
	assert_true(file_has(at, val));
}

static void change(struct vars *v, u32 at, u8 val)
{
	memset(block, val, BLOCK);
	vars_changed(v, at, block);
}

static void new_file_is_as_firmware_wants_it(void **state)
{
	struct vars *v = start();
	struct stat st;
	u8 buf[LEN];

	(void)state;
	assert_memory_equal(content, fresh, LEN);
	read_file(buf);
	assert_memory_equal(buf, fresh, LEN);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(vars_destroy(v, 5000));
}

static void changes_are_there_the_next_time(void **state)
{
	struct vars *v = start();

	(void)state;
	change(v, 2, 0x22);
	vars_settled(v);
	wait_for(2, 0x22);
	change(v, 5, 0x55); /* is not settled, and comes all the same */
	wait_for(5, 0x55);
	change(v, 0, 0x11);
	assert_true(vars_destroy(v, 5000));
	memset(content, 0, LEN);
	v = start();
	assert_int_equal(content[0], 0x11);
	assert_int_equal(content[BLOCK], fresh[BLOCK]);
	assert_int_equal(content[2 * BLOCK], 0x22);
	assert_int_equal(content[6 * BLOCK - 1], 0x55);
	assert_true(vars_destroy(v, 5000));
}

static void one_vm_at_a_time(void **state)
{
	struct vars *v = start();

	(void)state;
	assert_int_equal(open_it(), -EBUSY);
	assert_non_null(strstr(why, "another VM"));
	assert_true(vars_destroy(v, 5000));
	assert_true(vars_destroy(start(), 5000));
	assert_true(vars_destroy(NULL, 0));
}

static void other_files_are_refused(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(vars_open(dir, fresh, LEN, true, why, sizeof(why)), -EISDIR);
	assert_int_equal(vars_open("/dev/null", fresh, LEN, true, why, sizeof(why)), -EINVAL);
	assert_int_equal(vars_open("/nowhere/at/all", fresh, LEN, true, why, sizeof(why)), -ENOENT);
	assert_true(why[0]);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(open_it(), -EINVAL);
	unlink(path);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(write(fd, fresh, LEN - 1), LEN - 1);
	close(fd);
	assert_int_equal(open_it(), -EINVAL);
	assert_non_null(strstr(why, "24575 bytes"));
}

/* Each block is written after its predecessor in the ring of six; so says the file at any time. */
static void hammer(void)
{
	struct vars *v = start();
	u32 i;

	for (i = 0;; i++) {
		change(v, i % BLOCKS, (u8)(1 + i / BLOCKS));
		if (i % 50 != 49)
			continue;
		vars_settled(v); /* firmware does not write more at once than can wait */
		while (!file_has(i % BLOCKS, (u8)(1 + i / BLOCKS)))
			usleep(100);
	}
}

static bool whole(const u8 *b)
{
	u32 i;

	for (i = 1; i < BLOCK && b[i] == b[0]; i++)
		;
	return i == BLOCK;
}

static void killed_at_any_moment(void **state)
{
	u32 round, i;
	pid_t pid;

	(void)state;
	memset(fresh, 0, LEN);
	for (round = 0; round < 12; round++) {
		pid = fork();
		if (!pid)
			hammer();
		usleep(3000 + round * 4777);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		memset(fresh, 0, LEN);
		assert_true(vars_destroy(start(), 5000)); /* nobody holds the lock */
		for (i = 0; i < BLOCKS; i++)
			assert_true(whole(content + i * BLOCK));
		for (i = 1; i < BLOCKS; i++) /* block i of a turn comes after block i - 1 */
			assert_in_range((u8)(content[(i - 1) * BLOCK] - content[i * BLOCK]), 0, 1);
		unlink(path);
	}
}

static void faster_than_any_disk(void **state)
{
	struct vars *v = start();
	u32 i;

	(void)state;
	for (i = 0; i <= 20000; i++)
		change(v, i % BLOCKS, (u8)(i / BLOCKS));
	change(v, 2, 0xaa);
	vars_settled(v);
	assert_true(vars_destroy(v, PATIENCE_MS));
	for (i = 0; i < BLOCKS; i++) /* the last turn ended with block 2 */
		assert_true(file_has(i, i == 2 ? 0xaa : (u8)(20000 / BLOCKS - (i > 2))));
}

static void disk_is_full_for_a_while(void **state)
{
	struct rlimit old, none;
	struct vars *v = start();

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	none = (struct rlimit){ BLOCK, old.rlim_max };
	setrlimit(RLIMIT_FSIZE, &none);
	change(v, 3, 0x33);
	vars_settled(v);
	usleep(100000);
	assert_false(file_has(3, 0x33));
	setrlimit(RLIMIT_FSIZE, &old);
	wait_for(3, 0x33);
	setrlimit(RLIMIT_FSIZE, &none);
	change(v, 4, 0x44);
	assert_false(vars_destroy(v, 5000)); /* this one is lost, and that is said */
	setrlimit(RLIMIT_FSIZE, &old);
	assert_false(file_has(4, 0x44));
}

/* The kernel forgets what it could not write, and a later flush says that all is well. */
/* Not at each try: a file system that is broken may be so for days. */
static void flushes_that_fail_are_said_once(void **state)
{
	struct vars *v = start();
	u64 until = unqueued_ms() + PATIENCE_MS;

	(void)state;
	__atomic_store_n(&said_failing, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&said_again, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&lost, 3, __ATOMIC_RELEASE);
	change(v, 1, 0x11);
	vars_settled(v);
	while (!__atomic_load_n(&said_again, __ATOMIC_ACQUIRE) && unqueued_ms() < until)
		usleep(1000);
	assert_int_equal(__atomic_load_n(&lost, __ATOMIC_ACQUIRE), 0);
	wait_for(1, 0x11);
	assert_true(vars_destroy(v, 5000));
	assert_int_equal(__atomic_load_n(&said_failing, __ATOMIC_ACQUIRE), 1);
	assert_int_equal(__atomic_load_n(&said_again, __ATOMIC_ACQUIRE), 1);
}

static void what_a_flush_has_lost_is_written_again(void **state)
{
	struct vars *v = start();

	(void)state;
	__atomic_store_n(&lost, 1, __ATOMIC_RELEASE);
	change(v, 2, 0x22);
	vars_settled(v);
	while (__atomic_load_n(&lost, __ATOMIC_ACQUIRE))
		usleep(1000);
	wait_for(2, 0x22);
	assert_true(vars_destroy(v, 5000));
	assert_true(file_has(2, 0x22));
}

static struct vars *start_unlocked(void)
{
	int fd = vars_open(path, fresh, LEN, false, why, sizeof(why));

	assert_true(fd >= 0);
	return vars_create("other", fd, content, LEN, why, sizeof(why));
}

/* Of a VM that moves: both sides have it open, one has the lock, and what it had is there. */
static void file_goes_from_one_side_to_the_other(void **state)
{
	struct vars *from = start(), *to;

	(void)state;
	to = start_unlocked();
	change(from, 1, 0x11);
	change(from, 4, 0x44); /* and does not settle it */
	assert_int_equal(vars_drain(from, PATIENCE_MS), 0);
	assert_true(file_has(1, 0x11) && file_has(4, 0x44));
	assert_int_equal(vars_lock(to), -EBUSY);
	vars_unlock(from);
	assert_int_equal(vars_lock(to), 0);
	assert_int_equal(vars_lock(from), -EBUSY);
	assert_true(vars_destroy(from, 5000));
	change(to, 4, 0x45);
	assert_true(vars_destroy(to, 5000));
	assert_true(file_has(1, 0x11) && file_has(4, 0x45));
}

static void drain_waits_for_what_cannot_be_written(void **state)
{
	struct rlimit old, none;
	struct vars *v = start();

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	none = (struct rlimit){ BLOCK, old.rlim_max };
	setrlimit(RLIMIT_FSIZE, &none);
	change(v, 3, 0x33);
	assert_int_equal(vars_drain(v, 200), -ETIMEDOUT);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(vars_drain(v, PATIENCE_MS), 0);
	assert_true(file_has(3, 0x33));
	assert_int_equal(vars_drain(NULL, 0), 0);
	assert_int_equal(vars_lock(NULL), 0);
	assert_true(vars_destroy(v, 5000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(new_file_is_as_firmware_wants_it),
		T(changes_are_there_the_next_time),
		T(one_vm_at_a_time),
		T(other_files_are_refused),
		T(killed_at_any_moment),
		T(faster_than_any_disk),
		T(disk_is_full_for_a_while),
		T(what_a_flush_has_lost_is_written_again),
		T(file_goes_from_one_side_to_the_other),
		T(drain_waits_for_what_cannot_be_written),
		T(flushes_that_fail_are_said_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
