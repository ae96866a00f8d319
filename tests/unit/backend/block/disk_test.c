// SPDX-License-Identifier: GPL-2.0-only
/*
 * Opening disks: what a file is, what is wrong with it, and what its storage takes. Real files and
 * a real storage daemon; pread64() is wrapped, to be storage with large blocks. What an image
 * names: evil_test.c.
 */
#include <fcntl.h>
#include <signal.h>

#include "backend/block/vhdx_log.h"
#include "tests/harness/daemon.h"
#include "tests/harness/disk_io.h"
#include "tests/harness/keeper.h"

#define SECTOR 4096u
#define LOG_GUID "KVMBUS-TEST-GUID"

static char why[KVMB_DISK_WHY];

static ssize_t direct_unit; /* of the storage, 0 = as it really is */
ssize_t __real_pread64(int fd, void *buf, size_t len, off_t at);
ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t at);
ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t at)
{
	if (direct_unit && fcntl(fd, F_GETFL) & O_DIRECT &&
	    (len % (size_t)direct_unit || at % direct_unit || (uintptr_t)buf % 512)) {
		errno = EINVAL;
		return -1;
	}
	return __real_pread64(fd, buf, len, at);
}

/* In the test's directory */
static void in_dir(const char *line)
{
	char cmd[512];

	snprintf(cmd, sizeof(cmd), "cd %s && %s", dir, line);
	assert_int_equal(system(cmd), 0);
}

static int open_again(const char *name, struct kvmb_disk_spec *spec)
{
	kvmb_disk_close(d);
	d = NULL;
	return open_as(name, spec, why);
}

static void refused(const char *name, const char *words)
{
	struct kvmb_disk_spec spec = { 0 };

	if (open_again(name, &spec) >= 0 || !strstr(why, words) || strchr(why, '\n'))
		fail_msg("%s: \"%s\", not \"%s\"", name, why, words);
}

/* ---- storage daemons ---- */

static void the_directory_of_the_sockets_is_made(void **state)
{
	struct kvmb_disk_spec spec = { 0 };
	char run[96], path[96];

	(void)state;
	in_dir("qemu-img create -q -f qcow2 a.qcow2 1M");
	snprintf(run, sizeof(run), "%s/not-there", dir);
	snprintf(path, sizeof(path), "%s/a.qcow2", dir);
	spec.path = path;
	spec.run_dir = run;
	assert_int_equal(open_named(&spec, &d, why, sizeof(why)), 0);
	kvmb_disk_close(d);
	d = NULL;
	snprintf(run, sizeof(run), "%s/not/there", dir); /* but no more than one */
	assert_true(open_named(&spec, &d, why, sizeof(why)) < 0);
	assert_non_null(strstr(why, "No such file"));
	assert_non_null(strstr(why, run));
}

static void what_is_wrong_with_an_image_is_said(void **state)
{
	(void)state;
	in_dir("qemu-img create -q -f vhdx v.vhdx 8M");
	in_dir("cp v.vhdx regions.vhdx; "
		"dd if=/dev/zero of=regions.vhdx bs=64k seek=3 count=1 conv=notrunc status=none");
	refused("regions.vhdx", "region table");
	in_dir("cp v.vhdx meta.vhdx; "
		"dd if=/dev/zero of=meta.vhdx bs=1M seek=3 count=1 conv=notrunc status=none");
	refused("meta.vhdx", "metadata");
	in_dir("cp v.vhdx heads.vhdx; "
		"dd if=/dev/zero of=heads.vhdx bs=64k seek=1 count=2 conv=notrunc status=none");
	refused("heads.vhdx", "header");
	/* it ends within a sector: QEMU 7.2 hung */
	in_dir("cp v.vhdx short.vhdx; truncate -s 300000 short.vhdx");
	refused("short.vhdx", "truncated");
	in_dir("cp v.vhdx short2.vhdx; truncate -s 199999 short2.vhdx");
	refused("short2.vhdx", "truncated");
	in_dir("echo hello >text.qcow2; echo hello >text.vmdk; "
		"echo hello >text.vhd; echo hello >text.vdi");
	refused("text.qcow2", "not a qcow2 image");
	refused("text.vmdk", "VMDK image");
	refused("text.vhd", "not a VHD image");
	refused("text.vdi", "not a VDI image");
	in_dir("qemu-img create -q -f qcow2 --object secret,id=s,data=x "
		"-o encrypt.format=aes,encrypt.key-secret=s e.qcow2 1M");
	refused("e.qcow2", "encrypted");
	/*
	 * a dynamic VHD without its copy of the footer in front would be taken for a fixed one, of
	 * garbage
	 */
	in_dir("qemu-img create -q -f vpc -o force_size=on d.vhd 1M; "
		"dd if=/dev/zero of=d.vhd bs=8 count=1 conv=notrunc status=none");
	refused("d.vhd", "VHD");
	/* what only the daemon finds names the file, not a descriptor */
	in_dir("qemu-img create -q -f qcow2 l.qcow2 1M; "
	       "printf '\\377\\377\\377\\377' | dd of=l.qcow2 bs=1 seek=36 conv=notrunc "
	       "status=none");
	refused("l.qcow2", "L1");
	assert_null(strstr(why, "/proc/self"));
	assert_int_equal(daemon_pid(), 0);
}

static void only_files_have_a_format(void **state)
{
	(void)state;
	in_dir("mkdir dir.qcow2; mkfifo pipe.qcow2");
	refused("dir.qcow2", "irectory");
	refused("pipe.qcow2", "needs a regular file");
	refused("nothing.qcow2", "No such file");
}

/*
 * Virtual PC's oldest VHDs have a footer of 511 bytes; QEMU 7.2 waited for the last one, through
 * io_uring.
 */
static void a_file_that_ends_within_a_sector_is_opened(void **state)
{
	struct kvmb_disk_spec spec = { 0 };
	static struct io io;

	(void)state;
	in_dir("qemu-img create -q -f vpc -o subformat=fixed,force_size=on f.vhd 1M; "
		"printf x | dd of=f.vhd conv=notrunc "
	       "status=none; truncate -s -1 f.vhd");
	assert_int_equal(open_again("f.vhd", &spec), 0);
	assert_int_equal(kvmb_disk_bytes(d), 1 << 20);
	assert_int_equal(do_io(&io, KVMB_IO_READ, 0), 0);
	assert_int_equal(io.buf[0], 'x');
}

static void a_daemon_that_cannot_be_killed_holds_nobody_up(void **state)
{
	struct kvmb_disk_spec spec = { .timeout_s = 1 };
	static struct io io;
	pid_t daemon, holder;

	(void)state;
	in_dir("qemu-img create -q -f qcow2 a.qcow2 1M");
	assert_int_equal(open_again("a.qcow2", &spec), 0);
	daemon = daemon_pid();
	holder = hold(daemon);
	if (!holder)
		skip(); /* yama: this machine's users may not trace */
	set_clock(5);
	kill(daemon, SIGKILL);
	/* it may still write: no other one is started */
	assert_int_equal(do_io(&io, KVMB_IO_READ, 0), -EIO);
	wait_health("failed");
	let_go(holder);
	wait_health("ok");
	assert_int_equal(do_io(&io, KVMB_IO_READ, 0), 0);
	holder = hold(daemon_pid());
	kvmb_disk_close(d); /* does not wait for it either */
	set_clock(1);
	d = NULL;
	let_go(holder);
}

/* ---- a VHDX's log ---- */

/* As QEMU leaves it when it is killed: a log is announced. Return: where it is, and its length. */
static u64 announce_log(int fd, u32 *len)
{
	static const off_t places[2] = { 65536, 131072 };
	u8 h[2][SECTOR];
	u64 seq[2], at;
	u32 sum;
	int i, now;

	for (i = 0; i < 2; i++) {
		assert_int_equal(pread(fd, h[i], SECTOR, places[i]), SECTOR);
		memcpy(&seq[i], h[i] + 8, 8);
	}
	now = seq[1] > seq[0];
	memcpy(h[now] + 48, LOG_GUID, 16);
	seq[now]++;
	memcpy(h[now] + 8, &seq[now], 8);
	sum = kvmb_vhdx_checksum(h[now], SECTOR);
	memcpy(h[now] + 4, &sum, 4);
	assert_int_equal(pwrite(fd, h[now], SECTOR, places[!now]), SECTOR);
	memcpy(len, h[now] + 68, 4);
	memcpy(&at, h[now] + 72, 8);
	return at;
}

/* An entry of @len bytes, of which only the first sector is written. */
static void write_entry(int fd, u64 at, u32 len, bool whole)
{
	u8 e[SECTOR] = "loge";
	u32 sum;

	memcpy(e + 8, &len, 4);
	memcpy(e + 32, LOG_GUID, 16);
	sum = whole ? kvmb_vhdx_checksum(e, SECTOR) : 0x12345678;
	memcpy(e + 4, &sum, 4);
	assert_int_equal(pwrite(fd, e, SECTOR, (off_t)at), SECTOR);
}

static int new_vhdx(u64 *at, u32 *len)
{
	char path[96];
	int fd;

	in_dir("qemu-img create -q -f vhdx log.vhdx 8M");
	snprintf(path, sizeof(path), "%s/log.vhdx", dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	*at = announce_log(fd, len);
	assert_int_equal(*len, 1 << 20);
	return fd;
}

static void a_log_that_claims_more_than_it_holds_is_not_added_up(void **state)
{
	u64 at, work;
	u32 len, i;
	int fd = new_vhdx(&at, &len);

	(void)state;
	for (i = 0; i < len; i += SECTOR)
		write_entry(fd, at + i, len, false);
	assert_int_equal(kvmb_vhdx_drop_empty_log(fd, &work), 0);
	assert_true(work <= len);
	close(fd);
}

static void only_a_log_without_a_whole_entry_is_dropped(void **state)
{
	u64 at, work;
	u32 len;
	int fd = new_vhdx(&at, &len);

	(void)state;
	write_entry(fd, at + SECTOR, SECTOR, true);
	assert_int_equal(kvmb_vhdx_drop_empty_log(fd, &work), 0);
	assert_int_equal(work, SECTOR);
	/* QEMU was killed while it wrote this one */
	write_entry(fd, at + SECTOR, 3 * SECTOR, false);
	assert_int_equal(kvmb_vhdx_drop_empty_log(fd, &work), 1);
	assert_int_equal(work, 3 * SECTOR);
	assert_int_equal(kvmb_vhdx_drop_empty_log(fd, &work), 0);
	assert_int_equal(work, 0);
	close(fd);
}

/* ---- raw ---- */

static void direct_io_takes_the_blocks_of_the_storage(void **state)
{
	struct kvmb_disk_spec spec = { .cache = KVMB_CACHE_NONE };

	(void)state;
	in_dir("truncate -s 1M r.img");
	if (open_again("r.img", &spec) < 0)
		skip(); /* the file system has no direct I/O */
	assert_int_equal(d->block, 512);
	direct_unit = 4096;
	assert_int_equal(open_again("r.img", &spec), 0);
	assert_int_equal(d->block, 4096);
	assert_int_equal(kvmb_disk_blocks(d), 256);
	spec.block = 4096;
	assert_int_equal(open_again("r.img", &spec), 0);
	spec.block = 512;
	assert_int_equal(open_again("r.img", &spec), -EINVAL);
	assert_non_null(strstr(why, "block=4096"));
	spec.block = 0;
	spec.dvd = true; /* its blocks are 2048 bytes, whatever the storage likes */
	assert_int_equal(open_again("r.img", &spec), -EINVAL);
	assert_non_null(strstr(why, "cache=writeback"));
	assert_null(strstr(why, "block="));
	spec.cache = KVMB_CACHE_WRITEBACK;
	assert_int_equal(open_again("r.img", &spec), 0);
	direct_unit = 8192;
	spec = (struct kvmb_disk_spec){ .cache = KVMB_CACHE_NONE };
	assert_int_equal(open_again("r.img", &spec), -EINVAL);
	assert_non_null(strstr(why, "cache=writeback"));
	direct_unit = 0;
}

static void a_raw_disk_that_looks_like_an_image_is_asked_about(void **state)
{
	struct kvmb_disk_spec spec = { 0 };

	(void)state;
	in_dir("qemu-img create -q -f qcow2 q.img 1M");
	refused("q.img", "guest");
	assert_non_null(strstr(why, "format=raw"));
	spec.cache = KVMB_CACHE_NONE; /* reads nothing smaller than a block */
	assert_true(open_again("q.img", &spec) < 0);
	if (!strstr(why, "direct I/O"))
		assert_non_null(strstr(why, "format=raw"));
}

/* ---- descriptors that somebody else opened ---- */

static int open_given(const char *name, int flags, const struct kvmb_disk_spec *how)
{
	struct kvmb_disk_spec spec = *how;
	struct kvmb_disk_files files = { .num = 1 };
	char path[96];

	kvmb_disk_close(d);
	d = NULL;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	spec.path = spec.path ? spec.path : path;
	files.fd[0] = open(path, flags | O_CLOEXEC);
	assert_true(files.fd[0] >= 0);
	return kvmb_disk_open(&spec, &files, &d, why, sizeof(why));
}

/* What a name would have been opened with, and nothing else: a guest's data depends on it. */
static void disk_open_wrong_descriptor_is_refused(void **state)
{
	const struct kvmb_disk_spec rw = { 0 }, ro = { .read_only = true },
				    parent = { .path = "a.qcow2", .backing = { "b.qcow2" },
					       .num_backing = 1 },
				    server = { .path = "nbd://h/e" }, qcow2 = { .format = "qcow2" };

	(void)state;
	in_dir("truncate -s 1M a.img; mkfifo pipe; mkdir -p sub");
	assert_int_equal(open_given("a.img", O_RDWR, &rw), 0);
	assert_int_equal(open_given("a.img", O_RDONLY, &ro), 0);
	assert_int_equal(open_given("a.img", O_RDONLY, &rw), -EBADF);
	assert_string_equal(why, "descriptor 0 that came with it is not what its name needs");
	assert_int_equal(open_given("a.img", O_WRONLY, &ro), -EBADF);
	assert_int_equal(open_given("a.img", O_PATH, &ro), -EBADF);
	assert_int_equal(open_given("a.img", O_RDWR | O_APPEND, &rw), -EBADF);
	assert_int_equal(open_given("a.img", O_RDWR | O_NONBLOCK, &rw), -EBADF);
	assert_int_equal(open_given("pipe", O_RDWR, &rw), -EBADF);
	assert_int_equal(open_given("sub", O_RDONLY, &ro), -EBADF);
	assert_int_equal(open_given("sub", O_RDONLY, &qcow2), -EBADF);
	assert_int_equal(open_given("a.img", O_RDONLY, &qcow2), -EBADF);
	assert_non_null(strstr(why, "descriptor 0"));
	assert_int_equal(open_given("a.img", O_RDWR, &qcow2), -EBADF);
	assert_non_null(strstr(why, "a channel to the keeper must come"));
	assert_int_equal(open_given("a.img", O_RDWR, &parent), -EBADF); /* one is missing */
	assert_non_null(strstr(why, "2 descriptors must come with its names"));
	assert_int_equal(open_given("a.img", O_RDWR, &server), -EBADF); /* one too many */
	in_dir("rm pipe; rmdir sub");
}

/* Who sent it to us may have it still. */
static void disk_close_gives_the_lock_up(void **state)
{
	struct kvmb_disk_spec spec = { 0 };
	struct kvmb_disk_files files;
	char path[96];
	int i, other;

	(void)state;
	in_dir("truncate -s 1M l.img; qemu-img create -q -f qcow2 l.qcow2 1M");
	for (i = 0; i < 2; i++) {
		kvmb_disk_close(d);
		d = NULL;
		snprintf(path, sizeof(path), "%s/%s", dir, i ? "l.qcow2" : "l.img");
		spec.path = path;
		assert_int_equal(kvmb_disk_resolve(&spec, &files, why, sizeof(why)), 0);
		other = dup(files.fd[0]);
		assert_int_equal(kvmb_disk_open(&spec, &files, &d, why, sizeof(why)), 0);
		assert_int_equal(open_again(i ? "l.qcow2" : "l.img", &spec), 0);
		close(other);
	}
}

/* With a disk that another process hands over goes its lock, and only its own file will do. */
static void only_the_file_of_its_name_is_adopted(void **state)
{
	struct kvmb_disk_files theirs, ours = { 0 };
	struct kvmb_disk_spec spec = { 0 };
	struct kvmb_disk *other = NULL;
	char path[96];
	int fd;

	(void)state;
	in_dir("truncate -s 1M l.img; truncate -s 1M m.img; ln l.img n.img");
	snprintf(path, sizeof(path), "%s/l.img", dir);
	spec.path = path;
	assert_int_equal(kvmb_disk_resolve(&spec, &theirs, why, sizeof(why)), 0);
	fd = dup(theirs.fd[0]);
	assert_int_equal(kvmb_disk_open(&spec, &theirs, &other, why, sizeof(why)), 0);
	snprintf(path, sizeof(path), "%s/m.img", dir);
	assert_int_equal(kvmb_disk_adopt(&spec, fd, &ours, why, sizeof(why)), -ESTALE);
	snprintf(path, sizeof(path), "%s/gone", dir);
	assert_int_equal(kvmb_disk_adopt(&spec, fd, &ours, why, sizeof(why)), -ENOENT);
	snprintf(path, sizeof(path), "%s/l.img", dir);
	spec.format = "qcow2";
	assert_int_equal(kvmb_disk_adopt(&spec, fd, &ours, why, sizeof(why)), -EOPNOTSUPP);
	spec.format = NULL;
	assert_int_equal(ours.num, 0);
	snprintf(path, sizeof(path), "%s/n.img", dir); /* the same file */
	assert_int_equal(kvmb_disk_adopt(&spec, fd, &ours, why, sizeof(why)), 0);
	kvmb_disk_close(d);
	d = NULL;
	assert_int_equal(kvmb_disk_open(&spec, &ours, &d, why, sizeof(why)), 0); /* locked */
	/* its process ends without a word: the lock stays */
	close(other->fd);
	other->fd = -1;
	assert_int_equal(kvmb_disk_resolve(&spec, &theirs, why, sizeof(why)), 0);
	kvmb_disk_close(other);
	other = NULL;
	assert_int_equal(kvmb_disk_open(&spec, &theirs, &other, why, sizeof(why)), -EBUSY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_directory_of_the_sockets_is_made),
		T(what_is_wrong_with_an_image_is_said),
		T(only_files_have_a_format),
		T(a_file_that_ends_within_a_sector_is_opened),
		T(a_daemon_that_cannot_be_killed_holds_nobody_up),
		T(a_log_that_claims_more_than_it_holds_is_not_added_up),
		T(only_a_log_without_a_whole_entry_is_dropped),
		T(direct_io_takes_the_blocks_of_the_storage),
		T(a_raw_disk_that_looks_like_an_image_is_asked_about),
		T(disk_open_wrong_descriptor_is_refused),
		T(disk_close_gives_the_lock_up),
		T(only_the_file_of_its_name_is_adopted),
	};

	if (system("command -v qemu-storage-daemon qemu-img pgrep >/dev/null"))
		return 77; /* meson's word for "skipped" */
	kvmb_log_set_level(KVMB_LOG_ERR);
	start_keeper();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
