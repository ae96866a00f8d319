// SPDX-License-Identifier: GPL-2.0-only
/* Guests of the IDE controller reach their disks: raw ones by a thread, others by operations. */
#include "vmm/ide_disks.h"

#include <errno.h>
#include <sys/syscall.h>

#include "backend/block/disk.h"
#include "backend/block/disk_dirty.h"
#include "backend/block/disk_point.h"
#include "lib/dirty_log.h"
#include "lib/loop.h"
#include "tests/harness/ide_box.h"
#include "tests/harness/open_named.h"

#define TABLE 0x10000u
#define BYTES (8u << 20)

static struct ide_disks *disks;
static struct kvmb_loop *loop;
static char path[40];
static struct kvmb_disk *raw;

/* ---- a host whose system calls are short, or fail ---- */

static u32 most; /* bytes that one call moves; 0 = all. Atomic, as fails */
static int fails;
static u32 stable; /* writes with RWF_DSYNC */

ssize_t __real_preadv64v2(int fd, const struct iovec *iov, int num, off_t at, int flags);
ssize_t __wrap_preadv64v2(int fd, const struct iovec *iov, int num, off_t at, int flags);
ssize_t __real_pwritev64v2(int fd, const struct iovec *iov, int num, off_t at, int flags);
ssize_t __wrap_pwritev64v2(int fd, const struct iovec *iov, int num, off_t at, int flags);

static struct iovec cut(const struct iovec *iov)
{
	u32 n = __atomic_load_n(&most, __ATOMIC_ACQUIRE);

	return (struct iovec){ iov->iov_base, KVMB_MIN(iov->iov_len, (size_t)n) };
}

ssize_t __wrap_preadv64v2(int fd, const struct iovec *iov, int num, off_t at, int flags)
{
	struct iovec one = cut(iov);

	return __real_preadv64v2(fd, one.iov_len ? &one : iov, one.iov_len ? 1 : num, at, flags);
}

ssize_t __wrap_pwritev64v2(int fd, const struct iovec *iov, int num, off_t at, int flags)
{
	struct iovec one = cut(iov);

	if (__atomic_load_n(&fails, __ATOMIC_ACQUIRE)) {
		errno = __atomic_load_n(&fails, __ATOMIC_ACQUIRE);
		return -1;
	}
	if (flags & RWF_DSYNC)
		__atomic_fetch_add(&stable, 1, __ATOMIC_RELAXED);
	return __real_pwritev64v2(fd, one.iov_len ? &one : iov, one.iov_len ? 1 : num, at, flags);
}

static int sync_fails; /* the next one, so, and tells no other; atomic */

int fdatasync(int fd)
{
	int err = __atomic_exchange_n(&sync_fails, 0, __ATOMIC_ACQ_REL);

	if (!err)
		return (int)syscall(SYS_fdatasync, fd);
	errno = err;
	return -1;
}

/* ---- a disk with operations ---- */

static struct kvmb_disk served;
static struct kvmb_disk_req *waits;
static u32 submits, cancels, retries;
static int result;
static bool keeps;
static void (*before_it_is_there)(void); /* of the next request */

static void served_submit(struct kvmb_disk *d, struct kvmb_disk_req *r)
{
	void (*first)(void) = before_it_is_there;

	(void)d;
	submits++;
	before_it_is_there = NULL;
	if (first)
		first();
	waits = r;
	if (keeps)
		return;
	waits = NULL;
	r->result = result;
	r->done(r);
}

static void served_cancel(struct kvmb_disk *d, struct kvmb_disk_req *r)
{
	(void)d;
	cancels++;
	if (waits != r)
		return;
	waits = NULL;
	r->result = -ECANCELED;
	r->done(r);
}

static void served_retry(struct kvmb_disk *d)
{
	(void)d;
	retries++;
}

static const struct kvmb_disk_ops served_ops = { .submit = served_submit,
						 .cancel = served_cancel,
						 .retry = served_retry };

/* ---- the VM ---- */

static u32 stopped, ejected;
static int stopped_err;

static void on_stopped(void *arg, u32 drive, int err)
{
	(void)arg;
	assert_int_equal(drive, 0);
	stopped++;
	stopped_err = err;
}

static void on_stand(void *arg)
{
	__atomic_store_n((bool *)arg, true, __ATOMIC_RELEASE);
}

/* What is told of before its thread has answered is under way for a moment. */
static void stop_and_resume(void)
{
	bool stands = false;

	ide_stop(ide, on_stand, &stands);
	while (!__atomic_load_n(&stands, __ATOMIC_ACQUIRE))
		kvmb_loop_once(loop, 10);
	ide_resume(ide);
}

static void on_ejected(void *arg, u32 drive)
{
	(void)arg;
	assert_int_equal(drive, 2);
	ejected++;
}

static const struct ide_disk_events events = { .stopped = on_stopped, .ejected = on_ejected };

static int setup(void **state)
{
	(void)state;
	open_box();
	enable_master();
	loop = kvmb_loop_create();
	disks = ide_disks_create(ide, "vm", loop, &events, NULL);
	served = (struct kvmb_disk){ .fd = -1,
				     .ops = &served_ops,
				     .block = 512,
				     .blocks = BYTES / 512,
				     .path = "nbd://x",
				     .serial = "S1" };
	waits = NULL;
	submits = cancels = retries = stopped = ejected = stable = 0;
	result = stopped_err = fails = 0;
	keeps = false;
	before_it_is_there = NULL;
	most = 0;
	raw = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close_box(); /* the controller first */
	ide_disks_destroy(disks);
	kvmb_disk_close(raw);
	kvmb_loop_destroy(loop);
	if (path[0])
		unlink(path);
	path[0] = 0;
	return 0;
}

static void attach_raw(u32 block, enum kvmb_disk_cache cache)
{
	struct kvmb_disk_spec spec = { .path = path, .block = block, .cache = cache };
	char why[KVMB_DISK_WHY];
	int fd;

	strcpy(path, "/tmp/kvmbus-ide-XXXXXX");
	fd = mkstemp(path);
	assert_int_equal(ftruncate(fd, BYTES), 0);
	drives[0].fd = fd; /* for lay_down() and lies_there() */
	assert_int_equal(open_named(&spec, &raw, why, sizeof(why)), 0);
	assert_int_equal(ide_disks_attach(disks, 0, false, raw), 0);
}

/* Serves the loop until the drive is ready. Return: its status. */
static u8 ready(void)
{
	u64 until = kvmb_now_ms() + PATIENCE_MS;

	while (alt_status(PRIMARY) & BSY && kvmb_now_ms() < until)
		kvmb_loop_once(loop, 1);
	return wait_ready(PRIMARY);
}

static void serve_loop(u32 ms)
{
	u64 until = kvmb_now_ms() + ms;

	while (kvmb_now_ms() < until)
		kvmb_loop_once(loop, 1);
}

static u8 flush(void)
{
	issue28(PRIMARY, 0, 0xe7, 0, 0);
	return ready();
}

/* By DMA, over pieces that are aligned to nothing. */
static u8 move_odd(u8 command, u32 lba, u32 sectors)
{
	u8 st;

	put_prd(TABLE, 0, 0x200002, 510, false);
	put_prd(TABLE, 1, 0x300006, sectors * 512 - 510, true);
	bm_setup(PRIMARY, TABLE, command == 0xc8);
	issue28(PRIMARY, 0, command, lba, (u8)sectors);
	bm_start(PRIMARY);
	ready();
	bm_finish(PRIMARY, &st);
	return st;
}

static void fill_odd(u32 sectors, u32 seed)
{
	u8 *buf = malloc(sectors * 512);

	fill_pattern(buf, sectors * 512, seed);
	memcpy(ram + 0x200002, buf, 510);
	memcpy(ram + 0x300006, buf + 510, sectors * 512 - 510);
	free(buf);
}

static void is_odd_pattern(u32 sectors, u32 seed)
{
	u8 *buf = malloc(sectors * 512);

	memcpy(buf, ram + 0x200002, 510);
	memcpy(buf + 510, ram + 0x300006, sectors * 512 - 510);
	is_pattern(buf, sectors * 512, seed);
	free(buf);
}

/* ---- raw disks ---- */

static void raw_disk_is_read_and_written(void **state)
{
	(void)state;
	attach_raw(0, KVMB_CACHE_WRITEBACK);
	fill_odd(100, 1);
	assert_int_equal(move_odd(0xca, 77, 100), DRDY | DSC);
	lies_there(0, 77 * 512, 100 * 512, 1);
	memset(ram + 0x200000, 0, 0x200000);
	assert_int_equal(move_odd(0xc8, 77, 100), DRDY | DSC);
	is_odd_pattern(100, 1);
	assert_int_equal(flush(), DRDY | DSC);
	assert_int_equal(stable, 0);
}

static void short_transfers_are_continued(void **state)
{
	(void)state;
	attach_raw(0, KVMB_CACHE_WRITEBACK);
	most = 1000;
	fill_odd(20, 2);
	assert_int_equal(move_odd(0xca, 5, 20), DRDY | DSC);
	lies_there(0, 5 * 512, 20 * 512, 2);
	memset(ram + 0x200000, 0, 0x200000);
	assert_int_equal(move_odd(0xc8, 5, 20), DRDY | DSC);
	is_odd_pattern(20, 2);
}

static void large_blocks_are_read_before_a_part_is_written(void **state)
{
	u8 id[512];

	(void)state;
	attach_raw(4096, KVMB_CACHE_WRITEBACK);
	issue28(PRIMARY, 0, 0xec, 0, 0);
	pio_in(PRIMARY, id, 1, 512);
	assert_int_equal(id[212] | id[213] << 8, 0x6003);
	lay_down(0, 0, 65536, 3);
	fill_odd(10, 4);
	assert_int_equal(move_odd(0xca, 13, 10), DRDY | DSC); /* from within a block into another */
	lies_there(0, 13 * 512, 10 * 512, 4);
	lies_there(0, 0, 13 * 512, 3);
	assert_int_equal(move_odd(0xc8, 13, 10), DRDY | DSC);
	is_odd_pattern(10, 4);
	most = 700;
	fill_odd(16, 5);
	assert_int_equal(move_odd(0xca, 8, 16), DRDY | DSC);
	lies_there(0, 8 * 512, 16 * 512, 5);
	lies_there(0, 0, 8 * 512, 3);
}

/* Nothing that is not aligned reaches the file; that it could tell is not needed here. */
static void direct_io_has_aligned_memory(void **state)
{
	(void)state;
	attach_raw(0, KVMB_CACHE_WRITEBACK);
	raw->direct = true;
	raw->direct_unit = 512;
	fill_odd(30, 6);
	assert_int_equal(move_odd(0xca, 3, 30), DRDY | DSC);
	lies_there(0, 3 * 512, 30 * 512, 6);
	memset(ram + 0x200000, 0, 0x200000);
	assert_int_equal(move_odd(0xc8, 3, 30), DRDY | DSC);
	is_odd_pattern(30, 6);
}

static void write_through_is_stable(void **state)
{
	(void)state;
	attach_raw(0, KVMB_CACHE_WRITETHROUGH);
	assert_int_equal(move_odd(0xca, 3, 2), DRDY | DSC);
	assert_int_equal(stable, 1);
}

static void writes_are_noted_for_who_copies(void **state)
{
	u64 bits[BYTES / KVMB_DISK_CHUNK / 64] = { 0 };

	(void)state;
	attach_raw(0, KVMB_CACHE_WRITEBACK);
	assert_int_equal(kvmb_dirty_log_prepare(), 0);
	assert_int_equal(kvmb_disk_dirty_begin(raw), 0);
	move_odd(0xca, 128 * 3, 2);
	move_odd(0xc8, 128 * 7, 2);
	kvmb_disk_dirty_take(raw, bits);
	kvmb_disk_dirty_end(raw);
	assert_int_equal(bits[0], 1 << 3);
}

static struct kvmb_disk_bell bell = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false };

static void what_is_not_saved_is_not_overwritten(void **state)
{
	u64 chunk = 0, num = 0;

	(void)state;
	attach_raw(0, KVMB_CACHE_WRITEBACK);
	fill_odd(4, 7);
	assert_int_equal(kvmb_disk_point_begin(raw, NULL, &bell), 0);
	put_prd(TABLE, 0, 0x200002, 510, false);
	put_prd(TABLE, 1, 0x300006, 4 * 512 - 510, true);
	bm_setup(PRIMARY, TABLE, false);
	issue28(PRIMARY, 0, 0xca, 128 * 3 - 1, 4);
	bm_start(PRIMARY);
	serve_loop(20);
	assert_int_equal(alt_status(PRIMARY), BSY);
	assert_true(kvmb_disk_point_wanted(raw, 64, &chunk, &num));
	assert_int_equal(chunk, 2);
	assert_int_equal(num, 2);
	kvmb_disk_point_saved(raw, 2, 1);
	serve_loop(20);
	assert_int_equal(alt_status(PRIMARY), BSY);
	stop_and_resume(); /* it can be saved */
	kvmb_disk_point_saved(raw, 3, 1);
	assert_int_equal(ready(), DRDY | DSC);
	lies_there(0, (128 * 3 - 1) * 512, 4 * 512, 7);
	kvmb_disk_point_end(raw);
}

static void full_disk_stops_the_vm_and_goes_on(void **state)
{
	(void)state;
	attach_raw(0, KVMB_CACHE_WRITEBACK);
	fails = ENOSPC;
	fill_odd(4, 7);
	put_prd(TABLE, 0, 0x200002, 510, false);
	put_prd(TABLE, 1, 0x300006, 4 * 512 - 510, true);
	bm_setup(PRIMARY, TABLE, false);
	issue28(PRIMARY, 0, 0xca, 1, 4);
	bm_start(PRIMARY);
	while (!stopped)
		kvmb_loop_once(loop, 10);
	assert_int_equal(stopped_err, -ENOSPC);
	assert_int_equal(alt_status(PRIMARY), BSY);
	stop_and_resume(); /* it can be saved */
	while (stopped < 2)
		kvmb_loop_once(loop, 10);
	fails = 0;
	ide_disks_retry(disks);
	assert_int_equal(ready(), DRDY | DSC);
	lies_there(0, 512, 4 * 512, 7);
}

static void errors_are_reported(void **state)
{
	(void)state;
	attach_raw(0, KVMB_CACHE_WRITEBACK);
	fails = EIO;
	assert_int_equal(move_odd(0xca, 9, 2), DRDY | DSC | DF | ERR);
	assert_int_equal(inb(PRIMARY + LBA0), 9);
	fails = ENOSPC;
	raw->on_error = KVMB_ON_ERROR_REPORT;
	assert_int_equal(move_odd(0xca, 9, 2), DRDY | DSC | DF | ERR);
	assert_int_equal(stopped, 0);
	kvmb_disk_owe(raw, -EIO); /* a flush of somebody else failed */
	assert_int_equal(flush(), DRDY | DSC | DF | ERR);
	assert_int_equal(flush(), DRDY | DSC);
}

/* What was not written is forgotten: once more it would succeed, and say what is not true. */
static void flush_that_failed_is_not_tried_again(void **state)
{
	(void)state;
	attach_raw(0, KVMB_CACHE_WRITEBACK);
	sync_fails = ENOSPC;
	assert_int_equal(flush(), DRDY | DSC | DF | ERR);
	raw->on_error = KVMB_ON_ERROR_STOP;
	sync_fails = EIO;
	assert_int_equal(flush(), DRDY | DSC | DF | ERR);
	kvmb_disk_owe(raw, -EIO);
	assert_int_equal(flush(), DRDY | DSC | DF | ERR);
	serve_loop(1);
	assert_int_equal(stopped, 0);
	assert_int_equal(flush(), DRDY | DSC);
}

/* Its server has kept what it has not written. */
static void flush_of_a_server_is_tried_again(void **state)
{
	(void)state;
	assert_int_equal(ide_disks_attach(disks, 0, false, &served), 0);
	served.on_error = KVMB_ON_ERROR_STOP;
	result = -EIO;
	issue28(PRIMARY, 0, 0xe7, 0, 0);
	while (!stopped)
		kvmb_loop_once(loop, 10);
	result = 0;
	kvmb_disk_owe(&served, -EIO); /* but this one must be heard */
	ide_disks_retry(disks);
	assert_int_equal(ready(), DRDY | DSC | DF | ERR);
	assert_int_equal(stopped, 1);
	assert_int_equal(flush(), DRDY | DSC);
}

/* ---- others ---- */

static void served_disk_gets_requests(void **state)
{
	(void)state;
	assert_int_equal(ide_disks_attach(disks, 0, false, &served), 0);
	keeps = true;
	issue48(PRIMARY, 0, 0x25, 100, 8);
	put_prd(TABLE, 0, 0x200000, 4096, true);
	bm_setup(PRIMARY, TABLE, true);
	bm_start(PRIMARY);
	assert_non_null(waits);
	assert_int_equal(waits->io, KVMB_IO_READ);
	assert_int_equal(waits->offset, 100 * 512);
	assert_int_equal(waits->length, 4096);
	assert_ptr_equal(waits->iov[0].iov_base, ram + 0x200000);
	waits->result = 0;
	waits->done(waits);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC);
	issue28(PRIMARY, 0, 0xe7, 0, 0);
	assert_int_equal(waits->io, KVMB_IO_FLUSH);
	outb(PRIMARY + 0x206, 4); /* a reset cancels it */
	outb(PRIMARY + 0x206, 0);
	assert_int_equal(cancels, 1);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC);
}

static void begin_guest_reset(void)
{
	outb(PRIMARY + 0x206, 4);
}

/* A cancel that comes when the disk has some of it, and the rest is on its way there. */
static void reset_cancels_the_rest_of_a_request(void **state)
{
	struct kvmb_disk_req *first;

	(void)state;
	assert_int_equal(ide_disks_attach(disks, 0, false, &served), 0);
	keeps = true;
	issue48(PRIMARY, 0, 0x25, 100, 8);
	put_prd(TABLE, 0, 0x200000, 4096, true);
	bm_setup(PRIMARY, TABLE, true);
	bm_start(PRIMARY);
	assert_non_null(waits);
	before_it_is_there = begin_guest_reset;
	first = waits;
	waits = NULL;
	first->result = 512;
	first->done(first);
	assert_int_equal(submits, 2);
	outb(PRIMARY + 0x206, 0);
	assert_null(waits);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC);
}

static void host_that_is_short_is_asked_again(void **state)
{
	(void)state;
	assert_int_equal(ide_disks_attach(disks, 0, false, &served), 0);
	result = -EAGAIN;
	issue28(PRIMARY, 0, 0xe7, 0, 0);
	assert_int_equal(alt_status(PRIMARY), BSY);
	while (submits < 3)
		kvmb_loop_once(loop, 10);
	result = 0;
	assert_int_equal(ready(), DRDY | DSC);
}

static void limit_lets_requests_wait(void **state)
{
	u32 i;

	(void)state;
	assert_int_equal(ide_disks_attach(disks, 0, false, &served), 0);
	kvmb_throttle_set(&served.throttle, 0, 1000);
	for (i = 0; i < 100 && !(alt_status(PRIMARY) & BSY); i++)
		issue28(PRIMARY, 0, 0x40, 0, 64); /* 32 s each */
	assert_in_range(i, 1, 3);
	submits = 0;
	serve_loop(50);
	assert_int_equal(submits, 0);
	stop_and_resume(); /* it is not under way */
	for (i = 0; i < 1000; i++) { /* resets do not add up */
		outb(PRIMARY + 0x206, 4);
		outb(PRIMARY + 0x206, 0);
		assert_int_equal(wait_ready(PRIMARY), DRDY | DSC);
		issue28(PRIMARY, 0, 0x40, 0, i & 1 ? 64 : 1);
	}
	assert_int_equal(submits, 0);
	kvmb_throttle_set(&served.throttle, 0, 1000000);
	ide_disks_retry(disks);
	assert_int_equal(ready(), DRDY | DSC);
	assert_int_equal(submits, 1);
	assert_int_equal(retries, 1);
}

static void cd_drive_changes_its_medium(void **state)
{
	static const u8 commands[][12] = { { 0x1e, 0, 0, 0, 1 }, { 0x1e }, { 0x1b, 0, 0, 0, 2 } };
	u32 i;

	(void)state;
	assert_int_equal(ide_disks_attach(disks, 2, true, NULL), 0);
	ide_stop_drive(ide, 2, IDE_HOLD, NULL, NULL);
	served.block = 2048;
	ide_disks_set_medium(disks, 2, &served);
	ide_resume_drive(ide, 2);
	for (i = 0; i < 4; i++) { /* the first one hears of the change */
		outb(SECONDARY + DEVICE, 0xa0);
		outb(SECONDARY + STATUS, 0xa0);
		write_words(SECONDARY, commands[i ? i - 1 : 0], 12);
		assert_int_equal(wait_ready(SECONDARY), DRDY | DSC | (i ? 0 : ERR));
		assert_int_equal(ide_disks_locked(disks, 2), i == 1);
	}
	serve_loop(1);
	assert_int_equal(ejected, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(raw_disk_is_read_and_written),
		T(short_transfers_are_continued),
		T(large_blocks_are_read_before_a_part_is_written),
		T(direct_io_has_aligned_memory),
		T(write_through_is_stable),
		T(writes_are_noted_for_who_copies),
		T(what_is_not_saved_is_not_overwritten),
		T(full_disk_stops_the_vm_and_goes_on),
		T(errors_are_reported),
		T(flush_that_failed_is_not_tried_again),
		T(flush_of_a_server_is_tried_again),
		T(served_disk_gets_requests),
		T(reset_cancels_the_rest_of_a_request),
		T(host_that_is_short_is_asked_again),
		T(limit_lets_requests_wait),
		T(cd_drive_changes_its_medium),
	};

	return cmocka_run_group_tests_name("ide_disks", tests, NULL, NULL);
}
