// SPDX-License-Identifier: GPL-2.0-only
/* The serial port's far end: readers that are slow, stop, or go; what is typed. */
#include "vmm/console.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "lib/util.h"
#include "tests/harness/connect.h"
#include "vmm/ctl.h"
#include "vmm/dev/serial.h"

#define LONG_OUTPUT (1u << 20) /* more than any socket buffer and the backlog hold */

static struct vm vm;
static char path[64];

/* The rest of the VMM, which has no part in this. */
void vm_kill(struct vm *v)
{
	(void)v;
}

void ctl_console_output(struct ctl *ctl)
{
	(void)ctl;
}

void ctl_console_room(struct ctl *ctl)
{
	(void)ctl;
}

static void no_irq(void *arg, int level)
{
	(void)arg, (void)level;
}

static int setup(void **state)
{
	struct serial_ops ops = { .set_irq = no_irq, .output = console_output, .room = console_room, .arg = &vm };

	(void)state;
	memset(&vm, 0, sizeof(vm));
	vm.loop = kvmb_loop_create();
	vm.serial = serial_create(&ops);
	snprintf(path, sizeof(path), "/tmp/kvmb-console-%d", (int)getpid());
	return vm.loop ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	console_destroy(vm.console);
	serial_destroy(vm.serial);
	kvmb_loop_destroy(vm.loop);
	unlink(path);
	return 0;
}

static void create(enum serial_kind kind)
{
	char why[256];

	vm.cfg.serial = kind;
	vm.cfg.serial_path = path;
	vm.console = console_create(&vm, why, sizeof(why));
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
		serial_access(vm.serial, 0, 1, true, &v);
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

static void a_reader_that_stops_holds_nobody_up(void **state)
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
		assert_int_equal(got[len - SERIAL_BACKLOG + i], letter(LONG_OUTPUT - SERIAL_BACKLOG + i));
	close(fd);
	free(got);
}

static void the_next_reader_gets_what_its_predecessor_left(void **state)
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

static void standard_output_does_not_block_and_its_reader_gets_the_end(void **state)
{
	int p[2], old = dup(STDOUT_FILENO), in = dup(STDIN_FILENO), null = open("/dev/null", O_RDONLY);
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

static void what_is_typed_waits_for_the_guest(void **state)
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
			serial_access(vm.serial, 5, 1, false, &v);
			if (!(v & 1))
				break;
			serial_access(vm.serial, 0, 1, false, &v);
			assert_int_equal(v, typed[len++]);
		}
	}
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_reader_that_stops_holds_nobody_up),
		T(the_next_reader_gets_what_its_predecessor_left),
		T(standard_output_does_not_block_and_its_reader_gets_the_end),
		T(what_is_typed_waits_for_the_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
