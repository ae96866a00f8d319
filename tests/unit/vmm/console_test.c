// SPDX-License-Identifier: GPL-2.0-only
/* The serial port's far end: readers that are slow, stop, or go; what is typed. */
#include "vmm/console.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/util.h"
#include "machine/dev/serial.h"
#include "tests/harness/connect.h"
#include "tests/harness/patience.h"
#include "vmm/vm.h"

#define LONG_OUTPUT (1u << 20) /* more than any socket buffer and the backlog hold */

static struct vm vm;
static char path[64];

/* The rest of the VMM, which has no part in this. */
void vm_kill(struct vm *v)
{
	(void)v;
}

static void nobody_listens(void *arg)
{
	(void)arg;
}

static const struct console_watcher nobody = { .output = nobody_listens, .room = nobody_listens };

/* A disk that is stuck: whoever writes to this descriptor's file stays there. */
static ino_t stuck; /* atomic; 0 = none is */
static pthread_mutex_t stuck_lock = PTHREAD_MUTEX_INITIALIZER;

ssize_t __real_write(int fd, const void *buf, size_t n);
ssize_t __wrap_write(int fd, const void *buf, size_t n);
ssize_t __wrap_write(int fd, const void *buf, size_t n)
{
	struct stat st;

	ino_t which = __atomic_load_n(&stuck, __ATOMIC_SEQ_CST);

	if (which && !fstat(fd, &st) && st.st_ino == which) {
		pthread_mutex_lock(&stuck_lock);
		pthread_mutex_unlock(&stuck_lock);
	}
	return __real_write(fd, buf, n);
}

/* Another process with the same standard input takes what is there, once, just before us. */
static int shared = -1;

ssize_t __real_read(int fd, void *buf, size_t n);
ssize_t __wrap_read(int fd, void *buf, size_t n);
ssize_t __wrap_read(int fd, void *buf, size_t n)
{
	char theirs[100];

	if (shared >= 0 && __real_read(shared, theirs, sizeof(theirs)) < 0)
		return -1;
	shared = -1;
	return __real_read(fd, buf, n);
}

static void no_irq(void *arg, int level)
{
	(void)arg, (void)level;
}

/* The port is older than the console here. */
static void output(void *arg)
{
	(void)arg;
	console_output(vm.console);
}

static void room(void *arg)
{
	(void)arg;
	console_room(vm.console);
}

static int setup(void **state)
{
	struct serial_ops ops = { .set_irq = no_irq, .output = output, .room = room };

	(void)state;
	memset(&vm, 0, sizeof(vm));
	vm.loop = kvmb_loop_create();
	vm.machine.serial = serial_create(&ops);
	snprintf(path, sizeof(path), "/tmp/kvmb-console-%d", (int)getpid());
	return vm.loop ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	console_destroy(vm.console);
	serial_destroy(vm.machine.serial);
	kvmb_loop_destroy(vm.loop);
	unlink(path);
	return 0;
}

static void create(enum serial_kind kind)
{
	char why[256];

	vm.cfg.serial = kind;
	vm.cfg.serial_path = path;
	vm.console = console_create(&vm, &nobody, NULL, why, sizeof(why));
	assert_non_null(vm.console);
}

static int reach(void)
{
	int fd = connect_to(path);

	kvmb_loop_once(vm.loop, 1000);
	return fd;
}

/* The byte at a place of the guest's output: no period that a buffer's size could hide. */
static u8 letter(u32 i)
{
	return (u8)(i * 2654435761u >> 24);
}

static void print_bytes(u32 from, u32 to)
{
	u32 i, v;

	for (i = from; i < to; i++) {
		v = letter(i);
		serial_access(vm.machine.serial, 0, 1, true, &v);
	}
	console_flush(vm.console);
}

/* All that comes, while the loop turns. Return: bytes. */
static u32 read_all(int fd, u8 *buf, u32 size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	u32 len = 0;
	ssize_t n;

	for (;;) {
		kvmb_loop_once(vm.loop, 0);
		if (poll(&p, 1, 50) <= 0)
			return len;
		n = read(fd, buf + len, size - len);
		assert_true(n >= 0);
		if (!n)
			return len;
		len += (u32)n;
	}
}

static void console_stuck_reader_holds_nobody_up(void **state)
{
	u8 *got = malloc(LONG_OUTPUT);
	u32 i, len, kept;
	int fd;

	(void)state;
	create(SERIAL_UNIX);
	fd = reach();
	for (i = 0; i < LONG_OUTPUT; i += 4096)
		print_bytes(i, i + 4096);
	/* it goes on where it was, and the last of all is there */
	len = read_all(fd, got, LONG_OUTPUT);
	assert_in_range(len, SERIAL_BACKLOG, LONG_OUTPUT - 1);
	for (kept = 0; kept < len - SERIAL_BACKLOG && got[kept] == letter(kept); kept++)
		;
	assert_true(kept >= len - SERIAL_BACKLOG);
	for (i = 0; i < SERIAL_BACKLOG; i++)
		assert_int_equal(got[len - SERIAL_BACKLOG + i],
				 letter(LONG_OUTPUT - SERIAL_BACKLOG + i));
	close(fd);
	free(got);
}

static void console_next_reader_gets_what_is_left(void **state)
{
	static u8 got[SERIAL_BACKLOG + 1];
	int fd, next;
	u32 i, len;

	(void)state;
	create(SERIAL_UNIX);
	fd = reach();
	for (i = 0; i < LONG_OUTPUT; i += 4096)
		print_bytes(i, i + 4096);
	next = reach();
	len = read_all(next, got, sizeof(got));
	assert_int_equal(len, SERIAL_BACKLOG);
	for (i = 0; i < len; i++)
		assert_int_equal(got[i], letter(LONG_OUTPUT - SERIAL_BACKLOG + i));
	close(fd);
	close(next);
}

static void *slow_reader(void *arg)
{
	static u8 got[100000];
	int fd = *(int *)arg;
	u32 len = 0, i;
	ssize_t n;

	usleep(100000);
	while ((n = read(fd, got + len, KVMB_MIN(sizeof(got) - len, 5000u))) > 0) {
		len += (u32)n;
		usleep(1000);
	}
	for (i = 0; i < len && got[i] == letter(i); i++)
		;
	return (void *)(uintptr_t)i;
}

static void console_stdout_does_not_block_and_gets_the_end(void **state)
{
	int p[2], old = dup(STDOUT_FILENO), in = dup(STDIN_FILENO),
		  null = open("/dev/null", O_RDONLY);
	pthread_t thread;
	void *right;

	(void)state;
	assert_int_equal(pipe(p), 0);
	fflush(stdout);
	dup2(p[1], STDOUT_FILENO);
	dup2(null, STDIN_FILENO);
	create(SERIAL_STDIO);
	dup2(old, STDOUT_FILENO);
	dup2(in, STDIN_FILENO);
	assert_false(fcntl(p[1], F_GETFL) & O_NONBLOCK); /* others write to it too */
	close(p[1]);

	print_bytes(0, 50000);
	print_bytes(50000, 100000); /* a pipe holds 64 KiB */
	assert_int_equal(pthread_create(&thread, NULL, slow_reader, &p[0]), 0);
	console_destroy(vm.console);
	vm.console = NULL;
	pthread_join(thread, &right);
	assert_int_equal((uintptr_t)right, 100000);
	close(p[0]);
	close(old);
	close(in);
	close(null);
}

/* A terminal of another user's, after su or sudo: we cannot have it opened for ourselves. */
static void console_stdout_without_reopen_does_not_block(void **state)
{
	int p[2], old = dup(STDOUT_FILENO), in = dup(STDIN_FILENO),
		  null = open("/dev/null", O_RDONLY);
	static u8 got[100001];
	struct rlimit r, none;
	u32 i, len;

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &r), 0);
	none = (struct rlimit){ 0, r.rlim_max };
	fflush(stdout);
	dup2(p[1], STDOUT_FILENO);
	dup2(null, STDIN_FILENO);
	setrlimit(RLIMIT_NOFILE, &none);
	create(SERIAL_STDIO);
	setrlimit(RLIMIT_NOFILE, &r);
	alarm(PATIENCE_MS / 1000);
	print_bytes(0, 50000);
	print_bytes(50000, 100000); /* a pipe holds 64 KiB */
	len = read_all(p[0], got, sizeof(got));
	console_destroy(vm.console);
	vm.console = NULL;
	alarm(0);
	dup2(old, STDOUT_FILENO);
	dup2(in, STDIN_FILENO);
	assert_int_equal(len, 100000);
	for (i = 0; i < len && got[i] == letter(i); i++)
		;
	assert_int_equal(i, len);
	close(p[0]);
	close(p[1]);
	close(old);
	close(in);
	close(null);
}

static void console_input_waits_for_the_guest(void **state)
{
	u32 i, v, len = 0;
	u8 typed[1000];
	int fd;

	(void)state;
	create(SERIAL_UNIX);
	fd = reach();
	for (i = 0; i < sizeof(typed); i++)
		typed[i] = letter(i);
	assert_int_equal(write(fd, typed, sizeof(typed)), sizeof(typed));
	while (len < sizeof(typed)) {
		kvmb_loop_once(vm.loop, 1000);
		for (;;) {
			serial_access(vm.machine.serial, 5, 1, false, &v);
			if (!(v & 1))
				break;
			serial_access(vm.machine.serial, 0, 1, false, &v);
			assert_int_equal(v, typed[len++]);
		}
	}
	close(fd);
}

static void console_shared_input_does_not_block(void **state)
{
	int p[2], out = dup(STDOUT_FILENO), in = dup(STDIN_FILENO),
		  null = open("/dev/null", O_WRONLY);
	u32 v = 0;

	(void)state;
	assert_int_equal(pipe(p), 0);
	fflush(stdout);
	dup2(null, STDOUT_FILENO);
	dup2(p[0], STDIN_FILENO);
	create(SERIAL_STDIO);
	dup2(out, STDOUT_FILENO);
	assert_int_equal(write(p[1], "theirs", 6), 6);
	shared = p[0];
	alarm(PATIENCE_MS / 1000);
	kvmb_loop_once(vm.loop, 1000);
	assert_int_equal(write(p[1], "o", 1), 1);
	kvmb_loop_once(vm.loop, 1000);
	alarm(0);
	serial_access(vm.machine.serial, 0, 1, false, &v);
	assert_int_equal(v, 'o');
	console_destroy(vm.console);
	vm.console = NULL;
	dup2(in, STDIN_FILENO);
	close(p[0]);
	close(p[1]);
	close(out);
	close(in);
	close(null);
}

/* ---- --serial file= ---- */

static const char *refused(void)
{
	static char why[256];

	why[0] = 0;
	vm.cfg.serial = SERIAL_FILE;
	vm.cfg.serial_path = path;
	alarm(PATIENCE_MS / 1000);
	vm.console = console_create(&vm, &nobody, NULL, why, sizeof(why));
	alarm(0);
	if (vm.console)
		console_start(vm.console); /* would empty it */
	return why;
}

static void write_file(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void assert_file(const char *file, const void *text, size_t len)
{
	static char buf[100000];
	int fd = open(file, O_RDONLY);

	assert_int_equal(read(fd, buf, sizeof(buf)), len);
	assert_memory_equal(buf, text, len);
	close(fd);
}

static void console_file_gets_all_and_is_its_owners_alone(void **state)
{
	u8 want[50000];
	struct stat st;
	u32 i;

	(void)state;
	create(SERIAL_FILE);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	console_start(vm.console);
	for (i = 0; i < sizeof(want); i++)
		want[i] = letter(i);
	print_bytes(0, sizeof(want));
	console_destroy(vm.console);
	vm.console = NULL;
	assert_file(path, want, sizeof(want));
}

static void console_file_is_emptied_at_start(void **state)
{
	(void)state;
	write_file(path, "old");
	create(SERIAL_FILE);
	assert_file(path, "old", 3);
	console_start(vm.console);
	assert_file(path, "", 0);
}

static void console_file_of_a_disk_is_refused(void **state)
{
	static const char *const uses[] = { "kernel", "initrd", "disk", "parent", "dvd" };
	char image[80], other[100];
	size_t i;

	(void)state;
	snprintf(image, sizeof(image), "%s.img", path);
	snprintf(other, sizeof(other), "/tmp/../%s.img", path); /* the same, by another name */
	for (i = 0; i < ARRAY_SIZE(uses); i++) {
		memset(&vm.cfg, 0, sizeof(vm.cfg));
		write_file(path, "precious");
		unlink(image);
		assert_int_equal(link(path, image), 0);
		if (i == 0)
			vm.cfg.machine.kernel = other;
		else if (i == 1)
			vm.cfg.machine.initrd = other;
		else
			vm.cfg.num_disks = 1;
		vm.cfg.disks[0].spec.path = i == 3 ? "/nonexistent" : other;
		vm.cfg.disks[0].spec.backing[0] = i == 3 ? other : NULL;
		vm.cfg.disks[0].spec.num_backing = i == 3;
		vm.cfg.disks[0].spec.dvd = i == 4;
		assert_non_null(strstr(refused(), "of this VM") ?:
					strstr(refused(), "it is this VM's"));
		assert_null(vm.console);
		assert_file(path, "precious", 8);
	}
	unlink(image);
}

/* By a lock: this is what an image that is added later meets, and another VM's disk or console. */
static void console_locked_file_is_refused_ours_is_locked(void **state)
{
	struct flock fl = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 100 };
	int fd;

	(void)state;
	write_file(path, "precious");
	fd = open(path, O_RDONLY);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &fl), 0);
	assert_non_null(strstr(refused(), "locked"));
	assert_file(path, "precious", 8);
	fl.l_type = F_UNLCK;
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &fl), 0);
	assert_string_equal(refused(), "");
	fl.l_type = F_RDLCK;
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &fl), -1);
	close(fd);
}

static void console_link_is_refused(void **state)
{
	char target[80];

	(void)state;
	snprintf(target, sizeof(target), "%s.target", path);
	write_file(target, "precious");
	assert_int_equal(symlink(target, path), 0);
	assert_non_null(strstr(refused(), "symbolic link"));
	assert_file(target, "precious", 8);
	unlink(target);
	assert_non_null(strstr(refused(), "symbolic link"));
	assert_int_equal(access(target, F_OK), -1); /* nor made */
}

static void console_pipe_does_not_block_the_start(void **state)
{
	u8 got[10], want[10];
	int fd, i;

	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_string_equal(refused(), "");
	fd = open(path, O_RDONLY | O_NONBLOCK);
	for (i = 0; i < 10; i++)
		want[i] = letter((u32)i);
	print_bytes(0, 10);
	assert_int_equal(read(fd, got, 10), 10);
	assert_memory_equal(got, want, 10);
	close(fd);
}

/* Neither the guest nor the main thread, nor the end of the VM. */
static void console_stuck_disk_holds_nobody_up(void **state)
{
	struct stat st;

	(void)state;
	create(SERIAL_FILE);
	console_start(vm.console);
	assert_int_equal(stat(path, &st), 0);
	alarm(PATIENCE_MS / 1000);
	pthread_mutex_lock(&stuck_lock);
	__atomic_store_n(&stuck, st.st_ino, __ATOMIC_SEQ_CST);
	print_bytes(0, 1000);
	usleep(50000);
	print_bytes(1000, 2000);
	console_destroy(vm.console);
	vm.console = NULL;
	__atomic_store_n(&stuck, 0, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&stuck_lock);
	alarm(0);
	usleep(50000); /* for the thread that was left behind: it does not come back to us */
}

/* Its source may have the file locked, and go on: what it has written stays. */
static void console_file_goes_on_with_a_vm_that_comes(void **state)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd;

	(void)state;
	write_file(path, "old");
	fd = open(path, O_RDWR);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &fl), 0);
	vm.cfg.incoming = 9;
	create(SERIAL_FILE);
	console_start(vm.console);
	assert_file(path, "old", 3);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(console_stuck_reader_holds_nobody_up),
		T(console_next_reader_gets_what_is_left),
		T(console_stdout_does_not_block_and_gets_the_end),
		T(console_stdout_without_reopen_does_not_block),
		T(console_input_waits_for_the_guest),
		T(console_shared_input_does_not_block),
		T(console_file_gets_all_and_is_its_owners_alone),
		T(console_file_is_emptied_at_start),
		T(console_file_goes_on_with_a_vm_that_comes),
		T(console_file_of_a_disk_is_refused),
		T(console_locked_file_is_refused_ours_is_locked),
		T(console_link_is_refused),
		T(console_pipe_does_not_block_the_start),
		T(console_stuck_disk_holds_nobody_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
