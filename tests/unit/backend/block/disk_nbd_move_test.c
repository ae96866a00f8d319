// SPDX-License-Identifier: GPL-2.0-only
/*
 * An image that moves between two disks, as between two hosts: what was acknowledged is there, the
 * two never have it open together, and whatever fails on the way leaves it with one of them.
 */
#include <fcntl.h>
#include <signal.h>

#include "tests/harness/daemon.h"
#include "tests/harness/disk_io.h"
#include "tests/harness/keeper.h"

static struct kvmb_disk *there; /* of the target; d is the source's */
static char why[KVMB_DISK_WHY];
static struct io io;
static pid_t source_daemon; /* of open_both() */

static const struct {
	const char *name, *create;
} images[] = {
	{ "a.qcow2", "qemu-img create -q -f qcow2 %s/%s 16M" },
	{ "lazy.qcow2", "qemu-img create -q -f qcow2 -o lazy_refcounts=on %s/%s 16M" },
	{ "a.vhdx", "qemu-img create -q -f vhdx %s/%s 16M" },
	{ "a.vhd", "qemu-img create -q -f vpc -o force_size=on %s/%s 16M" },
	{ "a.vmdk", "qemu-img create -q -f vmdk %s/%s 16M" },
	{ "a.vdi", "qemu-img create -q -f vdi %s/%s 16M" },
};

static int clean_up(void **state)
{
	kvmb_disk_close(there);
	there = NULL;
	return teardown(state);
}

static void path_of(const char *name, char *path)
{
	snprintf(path, 128, "%s/%s", dir, name);
}

/* As `kvmbus run --incoming` has it. */
static int await_image(const char *name)
{
	static char path[128];
	struct kvmb_disk_spec spec = { .path = path, .run_dir = dir, .unlocked = true };

	path_of(name, path);
	return open_named(&spec, &there, why, sizeof(why));
}

/* What a saved controller says of it: host-vsp/storage/storage_state.c. */
static void expect_size(u64 blocks)
{
	assert_true(there->away);
	assert_int_equal(kvmb_disk_blocks(there), 0);
	there->blocks = blocks;
}

static void open_both(u32 i)
{
	struct kvmb_disk_spec spec = { 0 };

	sh(images[i].create, images[i].name, "");
	assert_int_equal(open_as(images[i].name, &spec, why), 0);
	source_daemon = daemon_pid();
	assert_int_equal(await_image(images[i].name), 0);
	expect_size(BLOCKS * 8);
}

static void close_both(void)
{
	kvmb_disk_close(d);
	kvmb_disk_close(there);
	d = there = NULL;
}

static void write_block(u64 block, u32 version)
{
	fill(io.buf, block, version);
	assert_int_equal(do_io(&io, KVMB_IO_WRITE, block), 0);
}

static void has_block(u64 block, u32 version)
{
	static u8 want[BLOCK];

	memset(io.buf, 0, BLOCK);
	assert_int_equal(do_io(&io, KVMB_IO_READ, block), 0);
	fill(want, block, version);
	assert_memory_equal(io.buf, want, BLOCK);
}

/* What a source does before it says GO. */
static void leave(void)
{
	static struct io flush;

	start_io(&flush, KVMB_IO_FLUSH, 0);
	kvmb_disk_let_go(d);
	assert_int_equal(wait_io(&flush), 0);
	assert_int_equal(kvmb_disk_gone(d, why, sizeof(why)), 0);
	assert_string_equal(kvmb_disk_health(d), "moving");
	kvmb_disk_note(d);
	kvmb_disk_note(there);
	kvmb_disk_give_up(d);
}

static void on_target(void (*fn)(u64 block, u32 version), u64 block, u32 version)
{
	struct kvmb_disk *source = d;

	d = there;
	fn(block, version);
	d = source;
}

static void every_format_moves(void **state)
{
	u64 begin, closed, opened;
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(images); i++) {
		open_both(i);
		write_block(77, 1);
		/* while the source has it */
		assert_int_not_equal(kvmb_disk_fetch(there, why, sizeof(why)), 0);
		assert_int_equal(kvmb_disk_take(there), -EBUSY);
		write_block(78, 2);
		begin = real_ms();
		leave();
		usleep(20000); /* more than a tick of mtime */
		closed = real_ms();
		assert_int_equal(kvmb_disk_fetch(there, why, sizeof(why)), 0);
		opened = real_ms();
		print_message("%s: closed in %u ms, opened in %u ms\n", images[i].name,
			      (u32)(closed - begin - 20), (u32)(opened - closed));
		/* to open it is not to write to it, or no source could tell whether it ran */
		assert_int_equal(kvmb_disk_was_written(d), 0);
		assert_int_equal(kvmb_disk_was_written(there), 0);
		assert_int_equal(kvmb_disk_take(there), 0);
		assert_int_equal(kvmb_disk_take(d), -EBUSY);
		assert_int_equal(kvmb_disk_blocks(there), BLOCKS * 8);
		on_target(has_block, 77, 1);
		on_target(has_block, 78, 2);
		on_target(write_block, 77, 3);
		assert_int_equal(kvmb_disk_was_written(d), 1);
		close_both();
	}
}

/* And back to where it was, with what was written there. */
static void image_moves_to_and_fro(void **state)
{
	struct kvmb_disk *p;
	u32 i;

	(void)state;
	sh(images[0].create, images[0].name, "");
	assert_int_equal(open_as(images[0].name, &(struct kvmb_disk_spec){ 0 }, why), 0);
	for (i = 0; i < 4; i++) {
		write_block(5, i);
		write_block(100 + i, i);
		assert_int_equal(await_image(images[0].name), 0);
		expect_size(BLOCKS * 8);
		leave();
		assert_int_equal(kvmb_disk_fetch(there, why, sizeof(why)), 0);
		assert_int_equal(kvmb_disk_take(there), 0);
		kvmb_disk_close(d);
		p = d = there;
		there = NULL;
		has_block(5, i);
		has_block(100, 0);
	}
	assert_ptr_equal(p, d);
	kvmb_disk_close(d);
	d = NULL;
	sh("qemu-img check -q %s/%s", images[0].name, "");
}

/* The target refuses, or is no more: the guest's next requests wait until it is open again. */
static void source_takes_it_back(void **state)
{
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(images); i++) {
		open_both(i);
		write_block(1, 1);
		leave();
		assert_int_equal(kvmb_disk_take(d), 0);
		fill(io.buf, 2, 2);
		start_io(&io, KVMB_IO_WRITE, 2);
		usleep(50000);
		assert_int_equal(sem_trywait(&io.done), -1); /* it is not open */
		kvmb_disk_fetch_back(d);
		assert_int_equal(wait_io(&io), 0);
		has_block(1, 1);
		has_block(2, 2);
		assert_string_equal(kvmb_disk_health(d), "ok");
		/* and the target, if it comes now, finds it in use */
		assert_int_equal(kvmb_disk_take(there), -EBUSY);
		assert_int_not_equal(kvmb_disk_fetch(there, why, sizeof(why)), 0);
		has_block(2, 2);
		close_both();
	}
}

/* The target opens it, and does not get the lock: it closes it, and the source waits for that. */
static void source_waits_for_a_target_that_has_it_open(void **state)
{
	(void)state;
	open_both(0);
	write_block(1, 1);
	leave();
	assert_int_equal(kvmb_disk_fetch(there, why, sizeof(why)), 0);
	assert_int_equal(kvmb_disk_take(d), 0);
	kvmb_disk_fetch_back(d);
	start_io(&io, KVMB_IO_READ, 1);
	usleep(300000);
	assert_int_equal(sem_trywait(&io.done), -1);
	assert_int_equal(kvmb_disk_take(there), -EBUSY);
	kvmb_disk_let_go(there);
	assert_int_equal(kvmb_disk_gone(there, why, sizeof(why)), 0);
	assert_int_equal(wait_io(&io), 0);
	has_block(1, 1);
	write_block(1, 2);
}

/* What was acknowledged and is not flushed is in the daemon's hands: it is not closed before. */
static void image_is_not_closed_before_what_it_has_is_written(void **state)
{
	static struct io flush;

	(void)state;
	open_both(0);
	write_block(9, 1);
	kvmb_disk_let_go(d);
	usleep(200000);
	assert_string_equal(kvmb_disk_health(d), "ok");
	write_block(10, 1);
	start_io(&flush, KVMB_IO_FLUSH, 0);
	assert_int_equal(wait_io(&flush), 0);
	assert_int_equal(kvmb_disk_gone(d, why, sizeof(why)), 0);
	assert_string_equal(kvmb_disk_health(d), "moving");
}

/* It does not end when it is asked to: killed, and the VM does not move. Nothing is lost. */
static void daemon_that_does_not_close_it_is_replaced(void **state)
{
	static struct io flush;
	u32 i;

	(void)state;
	for (i = 0; i < 4; i += 2) { /* qcow2, vhdx */
		open_both(i);
		write_block(3, 1);
		start_io(&flush, KVMB_IO_FLUSH, 0);
		assert_int_equal(wait_io(&flush), 0);
		kill(source_daemon, SIGSTOP);
		set_clock(20);
		kvmb_disk_let_go(d);
		assert_int_not_equal(kvmb_disk_gone(d, why, sizeof(why)), 0);
		assert_non_null(strstr(why, "does not close"));
		set_clock(1);
		kvmb_disk_fetch_back(d);
		has_block(3, 1);
		write_block(4, 1);
		has_block(4, 1);
		close_both();
	}
}

static void kill_daemon(void)
{
	pid_t pid = daemon_pid();

	if (pid)
		kill(pid, SIGKILL);
}

/* Before the order, in its midst, and when it is given: whoever kills it, the disk goes on. */
static void daemon_that_is_killed_costs_nothing(void **state)
{
	static struct io flush;
	u32 i;

	(void)state;
	sh(images[0].create, images[0].name, "");
	assert_int_equal(open_as(images[0].name, &(struct kvmb_disk_spec){ 0 }, why), 0);
	for (i = 0; i < 6; i++) {
		write_block(20 + i, i);
		kill_daemon();
		start_io(&flush, KVMB_IO_FLUSH, 0);
		kvmb_disk_let_go(d);
		if (i % 2)
			kill_daemon();
		assert_int_equal(wait_io(&flush), 0);
		kvmb_disk_gone(d, why, sizeof(why));
		kvmb_disk_fetch_back(d);
		has_block(20 + i, i);
		has_block(20, 0);
	}
}

/* The target's daemon, which waits, is killed: another one is started. */
static void daemon_that_waits_may_die(void **state)
{
	(void)state;
	open_both(2);
	write_block(1, 1);
	kill_daemon();
	leave();
	assert_int_equal(kvmb_disk_fetch(there, why, sizeof(why)), 0);
	on_target(has_block, 1, 1);
}

/* Somebody else (qemu-img, a backup) has it in the moment in which nobody of ours does. */
static void image_in_other_hands_is_not_opened(void **state)
{
	char cmd[256];
	FILE *other;

	(void)state;
	open_both(0);
	write_block(1, 1);
	leave();
	snprintf(cmd, sizeof(cmd), "qemu-io -f qcow2 %s/%s >/dev/null", dir, images[0].name);
	other = popen(cmd, "w");
	usleep(500000);
	assert_int_not_equal(kvmb_disk_fetch(there, why, sizeof(why)), 0);
	assert_non_null(strstr(why, "lock"));
	assert_null(strstr(why, "/proc/"));
	assert_int_equal(kvmb_disk_take(d), 0);
	kvmb_disk_fetch_back(d);
	pclose(other);
	has_block(1, 1);
}

/* GO is old: the image was used meanwhile. Its metadata must not even be read. */
static void image_that_was_written_since_is_not_opened(void **state)
{
	(void)state;
	open_both(0);
	leave();
	usleep(20000); /* more than a tick of mtime */
	kvmb_disk_take(d);
	kvmb_disk_fetch_back(d);
	write_block(1, 1);
	leave();
	there->given_up.tv_nsec ^= 1; /* leave() noted it anew */
	assert_int_equal(kvmb_disk_fetch(there, why, sizeof(why)), -ESTALE);
	assert_true(there->away);
}

/* To open it writes to it, so that the source cannot tell whether the VM ran there. */
static void image_with_bitmaps_cannot_tell(void **state)
{
	(void)state;
	sh(images[0].create, images[0].name, "");
	sh("qemu-img bitmap --add %s/%s b", images[0].name, "");
	assert_int_equal(open_as(images[0].name, &(struct kvmb_disk_spec){ 0 }, why), 0);
	assert_int_equal(await_image(images[0].name), 0);
	expect_size(BLOCKS * 8);
	write_block(1, 1);
	leave();
	assert_int_equal(kvmb_disk_fetch(there, why, sizeof(why)), 0);
	assert_int_equal(kvmb_disk_was_written(d), -ENODATA);
	assert_int_equal(kvmb_disk_was_written(there), -ENODATA);
	on_target(has_block, 1, 1);
}

static void what_cannot_be_opened_is_refused_at_once(void **state)
{
	(void)state;
	sh("head -c 100000 /dev/zero > %s/%s", "n.qcow2", "");
	assert_int_not_equal(await_image("n.qcow2"), 0);
	assert_non_null(strstr(why, "qcow2"));
	assert_int_not_equal(await_image("missing.qcow2"), 0);
}

static void image_that_became_smaller_is_refused(void **state)
{
	(void)state;
	open_both(0);
	there->blocks++;
	leave();
	assert_int_not_equal(kvmb_disk_fetch(there, why, sizeof(why)), 0);
	assert_non_null(strstr(why, "smaller"));
}

/* An image that is only read may be open on both sides, as it is from the beginning. */
static void image_that_is_only_read_stays_open(void **state)
{
	static char path[128];
	struct kvmb_disk_spec spec = { .read_only = true };
	struct kvmb_disk_spec spec2 = {
		.path = path, .run_dir = dir, .read_only = true, .unlocked = true
	};

	(void)state;
	sh(images[0].create, images[0].name, "");
	assert_int_equal(open_as(images[0].name, &spec, why), 0);
	path_of(images[0].name, path);
	assert_int_equal(open_named(&spec2, &there, why, sizeof(why)), 0);
	assert_false(there->away);
	assert_int_equal(kvmb_disk_blocks(there), BLOCKS * 8);
	kvmb_disk_let_go(d);
	assert_int_equal(kvmb_disk_gone(d, why, sizeof(why)), 0);
	kvmb_disk_give_up(d);
	assert_int_equal(kvmb_disk_fetch(there, why, sizeof(why)), 0);
	assert_int_equal(kvmb_disk_take(there), 0);
	assert_int_equal(do_io(&io, KVMB_IO_READ, 1), 0);
}

/* The VM ends while its image is closed, or has not come yet. */
static void disk_without_its_image_can_be_closed(void **state)
{
	(void)state;
	open_both(0);
	leave();
	close_both();
}

int main(void)
{
#define TC(test) cmocka_unit_test_setup_teardown(test, setup, clean_up)
	const struct CMUnitTest tests[] = {
		TC(every_format_moves),
		TC(image_moves_to_and_fro),
		TC(source_takes_it_back),
		TC(source_waits_for_a_target_that_has_it_open),
		TC(image_is_not_closed_before_what_it_has_is_written),
		TC(daemon_that_does_not_close_it_is_replaced),
		TC(daemon_that_is_killed_costs_nothing),
		TC(daemon_that_waits_may_die),
		TC(image_in_other_hands_is_not_opened),
		TC(image_that_was_written_since_is_not_opened),
		TC(image_with_bitmaps_cannot_tell),
		TC(what_cannot_be_opened_is_refused_at_once),
		TC(image_that_became_smaller_is_refused),
		TC(image_that_is_only_read_stays_open),
		TC(disk_without_its_image_can_be_closed),
	};

	if (system("command -v qemu-storage-daemon qemu-img qemu-io pgrep >/dev/null"))
		return 77; /* meson's word for "skipped" */
	kvmb_log_set_level(KVMB_LOG_ERR);
	start_keeper();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
