// SPDX-License-Identifier: GPL-2.0-only
/*
 * Image formats through a real storage daemon that is killed, stopped and resized; a request
 * layer of our own stands where the channels are. Skipped where QEMU's tools are missing.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include "backend/block/qsd_monitor.h"
#include "tests/harness/daemon.h"
#include "tests/harness/disk_io.h"
#include "tests/harness/keeper.h"

static void every_format_reads_back(void **state)
{
	static const struct { const char *name, *create; } formats[] = {
		{ "a.qcow2", "qemu-img create -q -f qcow2 %s/%s 16M" },
		{ "a.vhdx", "qemu-img create -q -f vhdx %s/%s 16M" },
		{ "a.vhd", "qemu-img create -q -f vpc -o force_size=on %s/%s 16M" },
		{ "b.vhd", "qemu-img create -q -f vpc -o force_size=on,subformat=fixed %s/%s 16M" },
		{ "a.vmdk", "qemu-img create -q -f vmdk %s/%s 16M" },
		{ "a.vdi", "qemu-img create -q -f vdi %s/%s 16M" },
	};
	struct kvmb_disk_spec spec;
	struct kvmb_disk *second;
	char why[KVMB_DISK_WHY];
	static struct io io;
	u8 want[BLOCK];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(formats); i++) {
		sh(formats[i].create, formats[i].name, "");
		spec = (struct kvmb_disk_spec){ 0 };
		assert_int_equal(open_as(formats[i].name, &spec, why), 0);
		assert_int_equal(kvmb_disk_blocks(d), BLOCKS * 8);
		assert_int_equal(open_named(&spec, &second, why, sizeof(why)), -EBUSY);
		fill(io.buf, 77, 1);
		assert_int_equal(do_io(&io, KVMB_IO_WRITE, 77), 0);
		assert_int_equal(do_io(&io, KVMB_IO_FLUSH, 0), 0);
		kvmb_disk_close(d);
		/* its lock went with it */
		assert_int_equal(open_as(formats[i].name, &spec, why), 0);
		memset(io.buf, 0, BLOCK);
		assert_int_equal(do_io(&io, KVMB_IO_READ, 77), 0);
		fill(want, 77, 1);
		assert_memory_equal(io.buf, want, BLOCK);
		assert_int_equal(do_io(&io, KVMB_IO_ZERO, 77), 0);
		assert_int_equal(do_io(&io, KVMB_IO_READ, 77), 0);
		memset(want, 0, BLOCK);
		assert_memory_equal(io.buf, want, BLOCK);
		kvmb_disk_close(d);
		d = NULL;
	}
}

/* The heart of it: acknowledged, not flushed, the daemon killed - nothing may be missing. */
static void nothing_acknowledged_is_lost_when_the_daemon_is_killed(void **state)
{
	struct kvmb_disk_spec spec = { 0 };
	static u32 version[BLOCKS];
	static struct io io[16];
	char why[KVMB_DISK_WHY];
	u32 round, i, k, n = 0;
	u8 want[BLOCK];

	(void)state;
	sh("qemu-img create -q -f qcow2 %s/%s 16M", "k.qcow2", "");
	assert_int_equal(open_as("k.qcow2", &spec, why), 0);
	srandom(1);
	memset(version, 0, sizeof(version));
	for (round = 0; round < 5; round++) {
		for (i = 0; i < 40; i++) {
			for (k = 0; k < 16; k++) {
				/* each of its own sixteenth, so that none overlap */
				u64 block = k * (BLOCKS / 16) + (u64)random() % 64;

				fill(io[k].buf, block, ++version[block]);
				start_io(&io[k], KVMB_IO_WRITE, block);
			}
			if (i == 20 + round)
				kill(daemon_pid(), SIGKILL);
			for (k = 0; k < 16; k++) {
				assert_int_equal(wait_io(&io[k]), 0);
				n++;
			}
			if (i == 10)
				assert_int_equal(do_io(&io[0], KVMB_IO_FLUSH, 0), 0);
		}
		for (i = 0; i < BLOCKS; i++) {
			if (!version[i])
				continue;
			assert_int_equal(do_io(&io[0], KVMB_IO_READ, i), 0);
			fill(want, i, version[i]);
			assert_memory_equal(io[0].buf, want, BLOCK);
		}
	}
	assert_int_equal(n, 5 * 40 * 16);
	assert_true(d->ops->restarts(d) >= 5);
	/* and the image itself, closed in good order, has it all */
	kvmb_disk_close(d);
	sh("qemu-img check -q %s/%s", "k.qcow2", "");
	assert_int_equal(open_as("k.qcow2", &spec, why), 0);
	for (i = 0; i < BLOCKS; i++) {
		if (!version[i])
			continue;
		assert_int_equal(do_io(&io[0], KVMB_IO_READ, i), 0);
		fill(want, i, version[i]);
		assert_memory_equal(io[0].buf, want, BLOCK);
	}
}

static void a_stalled_daemon_is_replaced(void **state)
{
	struct kvmb_disk_spec spec = { .timeout_s = 1 };
	char why[KVMB_DISK_WHY];
	static struct io io[2];
	u8 want[BLOCK];

	(void)state;
	sh("qemu-img create -q -f vhdx %s/%s 16M", "s.vhdx", "");
	assert_int_equal(open_as("s.vhdx", &spec, why), 0);
	fill(io[0].buf, 5, 1);
	assert_int_equal(do_io(&io[0], KVMB_IO_WRITE, 5), 0);
	kill(daemon_pid(), SIGSTOP);
	fill(io[1].buf, 6, 1);
	start_io(&io[1], KVMB_IO_WRITE, 6);
	assert_int_equal(wait_io(&io[1]), 0);
	assert_int_equal(d->ops->restarts(d), 1);
	assert_int_equal(do_io(&io[0], KVMB_IO_READ, 5), 0);
	fill(want, 5, 1);
	assert_memory_equal(io[0].buf, want, BLOCK);
	wait_health("ok");
}

/*
 * What moves nothing on the disk at once; a write when the daemon that has it is gone, and cannot
 * do it any more.
 */
static void a_cancelled_request_comes_back_soon(void **state)
{
	struct kvmb_disk_spec spec = { 0 };
	char why[KVMB_DISK_WHY];
	static struct io io[3];
	u32 wait_ms;
	pid_t pid;

	(void)state;
	sh("qemu-img create -q -f qcow2 %s/%s 16M", "c.qcow2", "");
	assert_int_equal(open_as("c.qcow2", &spec, why), 0);
	pid = daemon_pid();
	/* a write that was not yet sent costs no daemon: then once more, with more time */
	for (wait_ms = 20; wait_ms < PATIENCE_MS && !kill(pid, 0); wait_ms *= 2) {
		kill(pid, SIGSTOP);
		start_io(&io[0], KVMB_IO_READ, 1);
		start_io(&io[1], KVMB_IO_WRITE, 2);
		start_io(&io[2], KVMB_IO_FLUSH, 0);
		usleep(wait_ms * 1000);
		set_clock(0); /* so that nobody can wait for the daemon, whose time would be up */
		d->ops->cancel(d, &io[0].r);
		d->ops->cancel(d, &io[1].r);
		d->ops->cancel(d, &io[2].r);
		assert_int_equal(wait_io(&io[0]), -ECANCELED);
		assert_int_equal(wait_io(&io[2]), -ECANCELED);
		assert_int_equal(kill(pid, 0), 0);
		set_clock(1);
		assert_int_equal(wait_io(&io[1]), -ECANCELED);
		if (!kill(pid, 0))
			kill(pid, SIGCONT);
	}
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
	assert_int_equal(do_io(&io[0], KVMB_IO_READ, 1), 0);
}

/* The storage daemon that comes after @last. Waits until there is one. */
static pid_t next_daemon(pid_t last)
{
	u64 give_up = kvmb_now_ms() + PATIENCE_MS;
	pid_t pid;

	while (!(pid = daemon_pid()) || pid == last) {
		assert_true(kvmb_now_ms() < give_up);
		usleep(5000);
	}
	return pid;
}

/*
 * Only the shortest possible pauses are checked: how long a start takes is the machine's business.
 */
static void daemon_killed_at_each_start_comes_back_ever_later(void **state)
{
	static const u32 pauses_ms[] = { 0, 100, 200, 400, 800 };
	struct kvmb_disk_spec spec = { 0 };
	char why[KVMB_DISK_WHY];
	u64 seen, killed;
	static struct io io;
	u32 i, tries = 5;
	pid_t pid;

	(void)state;
	sh("qemu-img create -q -f qcow2 %s/%s 16M", "b.qcow2", "");
	assert_int_equal(open_as("b.qcow2", &spec, why), 0);
	fill(io.buf, 2, 1);
	/* so that each start has something to repeat */
	assert_int_equal(do_io(&io, KVMB_IO_WRITE, 2), 0);
	seen = kvmb_now_ms();
	pid = daemon_pid();
	for (i = 0; i < ARRAY_SIZE(pauses_ms); i++) {
		assert_int_equal(kill(pid, SIGKILL), 0);
		killed = kvmb_now_ms();
		pid = next_daemon(pid);
		if (killed - seen < 10000) /* a connection that was good for so long begins anew */
			assert_true(kvmb_now_ms() - killed >= pauses_ms[i]);
		seen = kvmb_now_ms();
	}
	/* one that was killed before it answered is no restart */
	assert_in_range(d->ops->restarts(d), 0, i);
	/* starts that took ten seconds in all made it fail */
	while (do_io(&io, KVMB_IO_READ, 2) && --tries)
		d->ops->retry(d);
	assert_true(tries);
	assert_string_equal(kvmb_disk_health(d), "ok");
}

#define LARGE (1u << 20)

static u64 address_space(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	assert_int_equal(fscanf(file, "%lu", &pages), 1);
	fclose(file);
	return pages * 4096ull;
}

/*
 * A server that does not answer must not make us hold a buffer for each read that a guest can ask
 * for.
 */
static void reads_without_number_take_so_much_memory_and_no_more(void **state)
{
	struct kvmb_disk_spec spec = { 0 };
	char why[KVMB_DISK_WHY];
	static struct io io[160];
	static u8 buf[LARGE];
	u64 before;
	u32 i;

	(void)state;
	sh("qemu-img create -q -f qcow2 %s/%s 16M", "r.qcow2", "");
	assert_int_equal(open_as("r.qcow2", &spec, why), 0);
	assert_int_equal(do_io(&io[0], KVMB_IO_READ, 1), 0);
	before = address_space();
	kill(daemon_pid(), SIGSTOP);
	for (i = 0; i < ARRAY_SIZE(io); i++) {
		io[i].iov = (struct iovec){ buf, LARGE };
		io[i].r = (struct kvmb_disk_req){ .io = KVMB_IO_READ,
						  .offset = i % 16 * LARGE,
						  .length = LARGE,
						  .iov = &io[i].iov,
						  .num_iov = 1,
						  .done = on_done };
		sem_init(&io[i].done, 0, 0);
		d->ops->submit(d, &io[i].r);
	}
	usleep(300000);
	assert_true(address_space() - before < 80u << 20);
	kill(daemon_pid(), SIGCONT);
	for (i = 0; i < ARRAY_SIZE(io); i++)
		assert_int_equal(wait_io(&io[i]), 0);
}

static void write_magic(const char *path, const char *magic)
{
	int fd = open(path, O_WRONLY);

	assert_int_equal(pwrite(fd, magic, 4, 0), 4);
	close(fd);
}

/* The image cannot be served any more: requests fail after a while; it is mended: all is there. */
static void an_image_that_breaks_fails_and_may_come_back(void **state)
{
	struct kvmb_disk_spec spec = { 0 };
	char why[KVMB_DISK_WHY], path[128], away[128];
	static struct io io;
	u8 want[BLOCK];

	(void)state;
	sh("qemu-img create -q -f qcow2 %s/%s 16M", "v.qcow2", "");
	assert_int_equal(open_as("v.qcow2", &spec, why), 0);
	fill(io.buf, 9, 1);
	assert_int_equal(do_io(&io, KVMB_IO_WRITE, 9), 0); /* acknowledged, never flushed */
	snprintf(path, sizeof(path), "%s/v.qcow2", dir);
	snprintf(away, sizeof(away), "%s/away", dir);
	rename(path, away); /* an image is the file that was opened, not its name */
	kill(daemon_pid(), SIGKILL);
	assert_int_equal(do_io(&io, KVMB_IO_READ, 9), 0);
	write_magic(away, "nope");
	set_clock(5);
	kill(daemon_pid(), SIGKILL);
	assert_int_equal(do_io(&io, KVMB_IO_READ, 9), -EIO);
	set_clock(1);
	assert_string_equal(kvmb_disk_health(d), "failed");
	/* at once: nobody waits for the dead */
	assert_int_equal(do_io(&io, KVMB_IO_FLUSH, 0), -EIO);
	write_magic(away, "QFI\xfb");
	d->ops->retry(d);
	wait_health("ok");
	assert_int_equal(do_io(&io, KVMB_IO_READ, 9), 0);
	fill(want, 9, 1);
	assert_memory_equal(io.buf, want, BLOCK);
}

static void an_image_grows_while_in_use(void **state)
{
	static const char *const names[] = { "g.qcow2", "g.vhdx" };
	static const char *const create[] = { "qemu-img create -q -f qcow2 %s/%s 16M",
					      "qemu-img create -q -f vhdx %s/%s 16M" };
	struct kvmb_disk_spec spec;
	char why[KVMB_DISK_WHY];
	static struct io io;
	u8 want[BLOCK];
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		sh(create[i], names[i], "");
		spec = (struct kvmb_disk_spec){ 0 };
		assert_int_equal(open_as(names[i], &spec, why), 0);
		fill(io.buf, 3, 1);
		assert_int_equal(do_io(&io, KVMB_IO_WRITE, 3), 0);
		assert_int_equal(kvmb_disk_resize(d, 8u << 20, why, sizeof(why)), -EINVAL);
		assert_int_equal(kvmb_disk_resize(d, 24u << 20, why, sizeof(why)), i ? -EIO : 0);
		if (!i) {
			assert_int_equal(kvmb_disk_blocks(d), 24u << 11);
			fill(io.buf, 6000, 1);
			assert_int_equal(do_io(&io, KVMB_IO_WRITE, 6000), 0);
		} else { /* QEMU 7.2 cannot: it says so, and the disk goes on as it was */
			assert_non_null(strstr(why, "resize"));
			assert_int_equal(kvmb_disk_blocks(d), 16u << 11);
		}
		assert_int_equal(do_io(&io, KVMB_IO_READ, 3), 0);
		fill(want, 3, 1);
		assert_memory_equal(io.buf, want, BLOCK);
		assert_int_equal(d->ops->restarts(d), 0);
		kvmb_disk_close(d);
		d = NULL;
	}
}

static void *chatter(void *fd)
{
	static const char event[] = "{\"event\": \"NOTHING\"}\n";

	while (send(*(int *)fd, event, sizeof(event) - 1, MSG_NOSIGNAL) > 0)
		usleep(100000);
	return NULL;
}

/* A daemon that an image has taken over has all the time in the world, and something to say. */
static void a_daemon_that_talks_of_other_things_does_not_answer(void **state)
{
	struct kvmb_qsd_monitor m = { 0 };
	char why[KVMB_DISK_WHY] = "";
	pthread_t t;
	int fd[2];
	u64 begin;

	(void)state;
	set_clock(5);
	begin = kvmb_now_ms();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	m.fd = fd[0];
	pthread_create(&t, NULL, chatter, &fd[1]);
	alarm(PATIENCE_MS / 1000); /* it was for ever */
	assert_int_equal(kvmb_qsd_simple(&m, "quit", NULL, why, sizeof(why)), -EIO);
	alarm(0);
	assert_true(kvmb_now_ms() - begin >= 9000);
	set_clock(1);
	assert_non_null(strstr(why, "does not answer"));
	close(fd[0]);
	pthread_join(t, NULL);
	close(fd[1]);
	free(m.in);
}

static void *grow(void *err)
{
	char why[KVMB_DISK_WHY];

	*(int *)err = kvmb_disk_resize(d, 24u << 20, why, sizeof(why));
	return NULL;
}

/*
 * A resize reconnects to the same daemon, which has lost nothing; if that one does not live to see
 * it, it has.
 */
static void a_daemon_that_dies_in_a_resize_takes_nothing_with_it(void **state)
{
	struct kvmb_disk_spec spec = { 0 };
	char why[KVMB_DISK_WHY];
	static struct io io;
	u8 want[BLOCK];
	pthread_t t;
	pid_t pid;
	int err;

	(void)state;
	sh("qemu-img create -q -f qcow2 %s/%s 16M", "z.qcow2", "");
	assert_int_equal(open_as("z.qcow2", &spec, why), 0);
	fill(io.buf, 9, 1);
	assert_int_equal(do_io(&io, KVMB_IO_WRITE, 9), 0); /* acknowledged, never flushed */
	pid = daemon_pid();
	kill(pid, SIGSTOP);
	pthread_create(&t, NULL, grow, &err);
	wait_health("restarting"); /* the resize has begun */
	kill(pid, SIGKILL);
	pthread_join(t, NULL);
	assert_int_equal(err, -EIO);
	assert_int_equal(do_io(&io, KVMB_IO_READ, 9), 0);
	fill(want, 9, 1);
	assert_memory_equal(io.buf, want, BLOCK);
	wait_health("ok");
}

/* What the daemon tells of an image is as long as its lists of snapshots and bitmaps. */
static void an_image_may_have_many_bitmaps(void **state)
{
	struct kvmb_disk_spec spec = { 0 };
	char why[KVMB_DISK_WHY];

	(void)state;
	sh("qemu-img create -q -f qcow2 %s/%s 1M", "n.qcow2", "");
	sh("for i in $(seq 60); do "
		"qemu-img bitmap --add %s/%s \"$(printf '%%0900d' $i)\" || exit 1; done",
	   "n.qcow2", "");
	assert_int_equal(open_as("n.qcow2", &spec, why), 0);
}

static void a_parent_is_opened_only_if_named(void **state)
{
	struct kvmb_disk_spec spec = { 0 };
	char why[KVMB_DISK_WHY], parent[128];
	static struct io io;
	u8 want[BLOCK];

	(void)state;
	sh("qemu-img create -q -f vhdx %s/%s 16M", "p.vhdx", "");
	assert_int_equal(open_as("p.vhdx", &spec, why), 0);
	fill(io.buf, 4, 1);
	assert_int_equal(do_io(&io, KVMB_IO_WRITE, 4), 0);
	kvmb_disk_close(d);
	d = NULL;
	sh("cd %s && qemu-img create -q -f qcow2 -b %s -F vhdx %s/%s", "p.vhdx", "o.qcow2");
	assert_int_equal(open_as("o.qcow2", &spec, why), -EINVAL);
	assert_non_null(strstr(why, "overlay of"));
	assert_non_null(strstr(why, "p.vhdx"));
	snprintf(parent, sizeof(parent), "%s/p.vhdx", dir);
	spec.backing[0] = parent;
	spec.num_backing = 1;
	assert_int_equal(open_as("o.qcow2", &spec, why), 0);
	assert_int_equal(do_io(&io, KVMB_IO_READ, 4), 0);
	fill(want, 4, 1);
	assert_memory_equal(io.buf, want, BLOCK);
}

/* What an image may hold to do harm, or to be a nuisance: one line, and nothing is left behind. */
static void hostile_images_are_refused_with_one_line(void **state)
{
	static const char *const names[] = { "h.qcow2", "h.vhdx", "h.vhd", "h.vmdk", "h.vdi" };
	struct kvmb_disk_spec spec;
	char why[KVMB_DISK_WHY], path[128];
	u8 junk[65536];
	int fd;
	size_t i, k, n;

	(void)state;
	srandom(7);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		for (k = 0; k < 4; k++) { /* empty, noise, noise with the right magic, truncated */
			for (n = 0; n < sizeof(junk); n++)
				junk[n] = k == 3 ? 0 : (u8)random();
			if (k == 2)
				memcpy(junk,
				       (const char *[]){ "QFI\xfb\0\0\0\3", "vhdxfile", "conectix",
							 "KDMV\1\0\0\0",
							 "<<< QEMU VM Virtual Disk Image >>>" }[i],
				       8);
			fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
			assert_int_equal(write(fd, junk, k ? sizeof(junk) : 0),
					 k ? sizeof(junk) : 0);
			close(fd);
			spec = (struct kvmb_disk_spec){ 0 };
			assert_true(open_as(names[i], &spec, why) < 0);
			assert_null(d);
			assert_int_not_equal(strlen(why), 0);
			assert_null(strchr(why, '\n'));
		}
	}
	assert_int_equal(daemon_pid(), 0);
	/* a backing file that is somebody's secret: named in the header alone, so never opened */
	sh("qemu-img create -q -f qcow2 -u -b /etc/shadow -F raw %s/%s 1M", "e.qcow2", "");
	spec = (struct kvmb_disk_spec){ 0 };
	assert_int_equal(open_as("e.qcow2", &spec, why), -EINVAL);
	assert_non_null(strstr(why, "/etc/shadow"));
	/* 64 TiB that are not there */
	sh("qemu-img create -q -f qcow2 %s/%s 64T", "t.qcow2", "");
	assert_int_equal(open_as("t.qcow2", &spec, why), 0);
	assert_int_equal(kvmb_disk_bytes(d), 64ull << 40);
}

static void names_decide_what_a_format_is(void **state)
{
	struct kvmb_disk_spec spec = { 0 };
	char why[KVMB_DISK_WHY];

	(void)state;
	assert_string_equal(kvmb_disk_format_of("/a/b.VHDX"), "vhdx");
	assert_string_equal(kvmb_disk_format_of("disk.img"), "raw");
	assert_string_equal(kvmb_disk_format_of("vhdx"), "raw");
	assert_string_equal(kvmb_disk_format_of("nbd+unix:///x?socket=/s"), "nbd");
	sh("qemu-img create -q -f qcow2 %s/%s 16M", "d.img", "");
	assert_int_equal(open_as("d.img", &spec, why), -EINVAL);
	assert_non_null(strstr(why, "format=qcow2"));
	/* the user insists: what a guest wrote into a raw disk is its business */
	spec.format = "raw";
	assert_int_equal(open_as("d.img", &spec, why), 0);
	assert_int_equal(d->fd >= 0, 1);
}

static void a_server_of_somebody_else(void **state)
{
	struct kvmb_disk_spec spec = { .format = NULL };
	char why[KVMB_DISK_WHY], cmd[640], uri[128];
	static struct io io;
	u8 want[BLOCK];

	(void)state;
	snprintf(uri, sizeof(uri), "nbd+unix:///?socket=%s/sock", dir);
	spec.path = uri;
	assert_true(open_named(&spec, &d, why, sizeof(why)) < 0);
	assert_non_null(strstr(why, "no connection"));
	snprintf(cmd, sizeof(cmd),
		 "truncate -s 16M %s/u.raw && qemu-nbd -t -f raw -k %s/sock --fork "
		 "--pid-file=%s/pid %s/u.raw",
		 dir, dir, dir, dir);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(open_named(&spec, &d, why, sizeof(why)), 0);
	assert_string_equal(d->format, "nbd");
	fill(io.buf, 8, 2);
	assert_int_equal(do_io(&io, KVMB_IO_WRITE, 8), 0);
	/* it is restarted by whoever runs it; we come back by ourselves */
	snprintf(cmd, sizeof(cmd),
		 "kill -9 $(cat %s/pid); sleep 0.3; rm -f %s/sock; qemu-nbd -t -f raw -k %s/sock "
		 "--fork --pid-file=%s/pid %s/u.raw",
		 dir, dir, dir, dir, dir);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(do_io(&io, KVMB_IO_READ, 8), 0);
	fill(want, 8, 2);
	assert_memory_equal(io.buf, want, BLOCK);
	assert_true(d->ops->restarts(d) >= 1);
	snprintf(cmd, sizeof(cmd), "kill $(cat %s/pid)", dir);
	assert_int_equal(system(cmd), 0);
}

/*
 * What QEMU leaves when it is killed between announcing a log and writing to it: a header with a
 * log's GUID.
 */
static void announce_log(const char *name)
{
	sh("python3 -c '\n"
	   "import struct\n"
	   "f = open(\"%s/%s\", \"r+b\")\n"
	   "def crc(b):\n"
	   "    c = 0xffffffff\n"
	   "    for x in b:\n"
	   "        c ^= x\n"
	   "        for _ in range(8): c = c >> 1 ^ (0x82f63b78 if c & 1 else 0)\n"
	   "    return c ^ 0xffffffff\n"
	   "h = {}\n"
	   "for at in 65536, 131072:\n"
	   "    f.seek(at); h[at] = f.read(4096)\n"
	   "now = max(h, key=lambda a: struct.unpack_from(\"<Q\", h[a], 8))\n"
	   "b = bytearray(h[now]); b[48:64] = b\"KVMBUS-TEST-GUID\"\n"
	   "b[4:8] = bytes(4); "
		"struct.pack_into(\"<Q\", b, 8, struct.unpack_from(\"<Q\", b, 8)[0] + 1)\n"
	   "struct.pack_into(\"<I\", b, 4, crc(b))\n"
	   "f.seek(196608 - now); f.write(b)\n'",
	   name, "");
}

static void a_vhdx_with_an_empty_log_takes_writes(void **state)
{
	struct kvmb_disk_spec spec = { 0 };
	char why[KVMB_DISK_WHY];
	struct io io;

	(void)state;
	sh("qemu-img create -q -f vhdx %s/%s 16M", "l.vhdx", "");
	announce_log("l.vhdx");
	assert_int_equal(open_as("l.vhdx", &spec, why), 0);
	memset(io.buf, 0x5a, sizeof(io.buf));
	assert_int_equal(do_io(&io, KVMB_IO_WRITE, 7), 0); /* needs a block, and so the log */
	assert_int_equal(do_io(&io, KVMB_IO_FLUSH, 0), 0);
	memset(io.buf, 0, sizeof(io.buf));
	assert_int_equal(do_io(&io, KVMB_IO_READ, 7), 0);
	assert_int_equal(io.buf[0], 0x5a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_format_reads_back),
		T(a_vhdx_with_an_empty_log_takes_writes),
		T(nothing_acknowledged_is_lost_when_the_daemon_is_killed),
		T(a_stalled_daemon_is_replaced),
		T(daemon_killed_at_each_start_comes_back_ever_later),
		T(reads_without_number_take_so_much_memory_and_no_more),
		T(a_cancelled_request_comes_back_soon),
		T(an_image_that_breaks_fails_and_may_come_back),
		T(an_image_grows_while_in_use),
		T(a_daemon_that_dies_in_a_resize_takes_nothing_with_it),
		T(an_image_may_have_many_bitmaps),
		T(a_daemon_that_talks_of_other_things_does_not_answer),
		T(a_parent_is_opened_only_if_named),
		T(hostile_images_are_refused_with_one_line),
		T(names_decide_what_a_format_is),
		T(a_server_of_somebody_else),
	};

	if (system("command -v qemu-storage-daemon qemu-img qemu-nbd pgrep >/dev/null"))
		return 77; /* meson's word for "skipped" */
	kvmb_log_set_level(KVMB_LOG_ERR);
	start_keeper();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
