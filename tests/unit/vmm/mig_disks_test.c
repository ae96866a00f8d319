// SPDX-License-Identifier: GPL-2.0-only
/*
 * The content of disks, from one side to the other, while a played worker writes: what arrives is
 * what the disk has when nobody writes any more. Raw disks are files, the others are played.
 */
#include "vmm/mig_disks.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend/block/disk_dirty.h"
#include "lib/dirty_log.h"
#include "lib/util.h"
#include "tests/unit/test.h"
#include "vmm/disks_priv.h"
#include "vmm/mig_disks_in.h"

#define CHUNK KVMB_DISK_CHUNK
#define BYTES (20ull * CHUNK + 512) /* its last chunk is one block */

static struct vm here, there;
static struct kvmb_disk disks[2], copies[2]; /* raw, and played: a daemon's */
static bool has_disk[2];
static struct mig_disks m;
static struct mig_stream out, in;
static char why[MIG_WHY], why_there[MIG_WHY];
static int result; /* of the target */
static u64 data_sections, bytes_there;
static pthread_t receiver;
static bool receives;
static int read_err, hold; /* of the played disk */
static bool on_ide;	   /* the first one is */

bool disks_each_image(struct vm *v, u32 *c, u32 *lun, struct kvmb_unit_info *i)
{
	for (; *c == 0 && *lun < 2; ++*lun) {
		if (!has_disk[*lun])
			continue;
		*i = (struct kvmb_unit_info){ .disk = v == &here ? &disks[*lun] : &copies[*lun] };
		*c = on_ide ? KVMB_STORAGE_MAX_CONTROLLERS : 0;
		return true;
	}
	return false;
}

/* the target's */
bool disks_each_unit(struct vm *v, u32 *c, u32 *lun, struct kvmb_unit_info *i)
{
	return disks_each_image(v, c, lun, i);
}

/* ---- a disk that is not raw: its file is in lock_fd ---- */

static struct kvmb_disk_req *held;

static void played_submit(struct kvmb_disk *d, struct kvmb_disk_req *r)
{
	static const u8 zeroes[MIG_CHUNK];
	ssize_t n = 0;

	if (hold) {
		held = r;
		return;
	}
	assert_true(r->length <= MIG_CHUNK);
	if (r->io == KVMB_IO_READ)
		n = preadv(d->lock_fd, r->iov, r->num_iov, (off_t)r->offset);
	else if (r->io == KVMB_IO_WRITE)
		n = pwritev(d->lock_fd, r->iov, r->num_iov, (off_t)r->offset);
	else if (r->io == KVMB_IO_ZERO)
		n = pwrite(d->lock_fd, zeroes, r->length, (off_t)r->offset);
	r->result = r->io != KVMB_IO_FLUSH && n != (ssize_t)r->length ? -EIO : read_err;
	r->done(r);
}

static void played_cancel(struct kvmb_disk *d, struct kvmb_disk_req *r)
{
	(void)d;
	assert_ptr_equal(held, r);
	held = NULL;
	r->result = -ECANCELED;
	r->done(r);
}

static const struct kvmb_disk_ops played = { .submit = played_submit, .cancel = played_cancel };

static int file_of(const struct kvmb_disk *d)
{
	return kvmb_disk_is_raw(d) ? d->fd : d->lock_fd;
}

static struct kvmb_disk make_disk(bool raw)
{
	int fd = memfd_create("disk", 0);

	assert_int_equal(ftruncate(fd, BYTES), 0);
	return (struct kvmb_disk){ .fd = raw ? fd : -1,
				   .lock_fd = raw ? -1 : fd,
				   .ops = &played,
				   .block = 512,
				   .blocks = BYTES / 512,
				   .can_zero = raw,
				   .path = "/d" };
}

/* ---- the target ---- */

static void *receive(void *arg)
{
	struct mig_disks_in target = { 0 };
	struct mig_section sec = { 0 };

	(void)arg;
	while (!result && !mig_recv_section(&in, &sec)) {
		if (sec.t.tag == KVMB_SEC_END)
			break;
		data_sections += kvmb_tlv_has(&sec.t, MIG_DISK_DATA);
		bytes_there += sec.len;
		result = mig_disks_in_take(&target, &there, &sec.t, why_there);
	}
	if (!result)
		result = mig_disks_in_finish(&target, &there, why_there);
	mig_disks_in_fini(&target);
	mig_section_fini(&sec);
	shutdown(in.fd, SHUT_RDWR);
	return NULL;
}

static int setup(void **state)
{
	int sv[2], i;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(kvmb_dirty_log_prepare(), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	out = (struct mig_stream){ .fd = sv[0] };
	in = (struct mig_stream){ .fd = sv[1] };
	for (i = 0; i < 2; i++) {
		has_disk[i] = true;
		disks[i] = make_disk(!i);
		copies[i] = make_disk(!i);
		copies[i].copied = true;
	}
	result = read_err = hold = 0;
	data_sections = bytes_there = 0;
	why[0] = why_there[0] = 0;
	assert_int_equal(pthread_create(&receiver, NULL, receive, NULL), 0);
	receives = true;
	return 0;
}

static int teardown(void **state)
{
	int i;

	(void)state;
	mig_disks_end(&m);
	close(out.fd);
	if (receives)
		pthread_join(receiver, NULL);
	close(in.fd);
	for (i = 0; i < 2; i++) {
		assert_false(disks[i].copied || disks[i].watched);
		kvmb_disk_dirty_free(&disks[i]);
		close(file_of(&disks[i]));
		close(file_of(&copies[i]));
	}
	return 0;
}

static void end_of_stream(void)
{
	struct kvmb_tlv_out o = { 0 };

	kvmb_tlv_begin(&o, KVMB_SEC_END, 0, 0);
	kvmb_tlv_end(&o);
	assert_int_equal(mig_send_out(&out, &o), 0);
	pthread_join(receiver, NULL);
	receives = false;
}

/* As the guest writes: the disk, then the note. */
static void write_at(struct kvmb_disk *d, u64 at, u8 v, size_t len)
{
	u8 bytes[512];

	memset(bytes, v, sizeof(bytes));
	assert_int_equal(pwrite(file_of(d), bytes, len, (off_t)at), len);
	kvmb_disk_dirty(d, at, len);
}

static void same(int i)
{
	static u8 a[BYTES], b[BYTES];

	assert_int_equal(pread(file_of(&disks[i]), a, BYTES, 0), BYTES);
	assert_int_equal(pread(file_of(&copies[i]), b, BYTES, 0), BYTES);
	assert_memory_equal(a, b, BYTES);
}

static void begin(void)
{
	assert_int_equal(mig_disks_begin(&m, &here, why, sizeof(why)), 0);
	assert_int_equal(m.num, 2);
	assert_true(disks[0].copied && disks[1].copied);
	assert_int_equal(m.total, 2 * BYTES);
}

static void all_arrives_and_holes_stay_holes(void **state)
{
	(void)state;
	write_at(&disks[0], 3 * CHUNK + 512, 1, 512);
	write_at(&disks[0], BYTES - 512, 2, 512);
	write_at(&disks[1], 7 * CHUNK, 3, 512);
	begin();
	assert_int_equal(mig_disks_first(&m, &out, NULL, why), 0);
	assert_int_equal(m.done, m.total);
	assert_int_equal(mig_disks_take(&m), 0);
	assert_int_equal(mig_disks_last(&m, &out, why), 0);
	end_of_stream();
	assert_int_equal(result, 0);
	assert_int_equal(data_sections, 3);
	assert_int_equal(m.sent, bytes_there);
	same(0);
	same(1);
	assert_int_equal(lseek(copies[0].fd, 0, SEEK_DATA), 3 * CHUNK);
}

static void what_changes_or_becomes_zero_is_sent_again(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		write_at(&disks[i], 5 * CHUNK, 1, 512);
		write_at(&disks[i], 6 * CHUNK, 1, 512);
	}
	begin();
	assert_int_equal(mig_disks_first(&m, &out, NULL, why), 0);
	for (i = 0; i < 2; i++) {
		write_at(&disks[i], 6 * CHUNK, 0, 512);
		write_at(&disks[i], 19 * CHUNK, 9, 512);
	}
	assert_int_equal(mig_disks_take(&m), 4 * CHUNK);
	assert_int_equal(mig_disks_send(&m, &out, NULL, why), 0);
	assert_int_equal(mig_disks_take(&m), 0);
	write_at(&disks[0], BYTES - 512, 7, 512);
	assert_int_equal(mig_disks_last(&m, &out, why), 0);
	end_of_stream();
	assert_int_equal(result, 0);
	same(0);
	same(1);
}

/* Whole pages at aligned places, on both sides; the disk's last page is half a one. */
static void disk_with_direct_io_is_read_and_written_as_it_wants(void **state)
{
	char path[] = "/var/tmp/kvmbus-direct-XXXXXX";
	int fd, i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct kvmb_disk *d = i ? &copies[0] : &disks[0];

		strcpy(path + strlen(path) - 6, "XXXXXX");
		fd = mkstemp(path);
		assert_int_equal(ftruncate(fd, BYTES), 0);
		close(d->fd);
		close(fd);
		d->fd = open(path, O_RDWR | O_DIRECT);
		if (d->fd < 0) {
			d->fd = open(path, O_RDWR);
			print_message("no direct I/O in /var/tmp\n");
		}
		unlink(path);
		d->direct = true;
	}
	begin();
	for (i = 0; i < 3; i++) {
		void *page = aligned_alloc(4096, 4096);

		memset(page, i + 1, 4096);
		assert_int_equal(pwrite(disks[0].fd, page, i == 2 ? 512 : 4096,
					i == 2 ? (off_t)BYTES - 512 : i * 7 * (off_t)CHUNK),
				 i == 2 ? 512 : 4096);
		free(page);
	}
	assert_int_equal(mig_disks_first(&m, &out, NULL, why), 0);
	assert_int_equal(mig_disks_last(&m, &out, why), 0);
	end_of_stream();
	assert_int_equal(result, 0);
	for (i = 0; i < 2; i++) /* same() reads as it likes */
		fcntl(i ? copies[0].fd : disks[0].fd, F_SETFL, 0);
	same(0);
}

/* ---- a worker meanwhile ---- */

static bool stop;

static void *be_a_worker(void *arg)
{
	struct kvmb_disk *d = arg;
	unsigned int seed = 7;
	u8 v = 0;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		write_at(d, (u64)rand_r(&seed) % (BYTES / 512) * 512, rand_r(&seed) & 1 ? ++v : 0,
			 512);
	return NULL;
}

static void copy_is_the_disk_though_a_worker_writes_all_the_time(void **state)
{
	pthread_t t[2];
	int i, round;

	(void)state;
	stop = false;
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, be_a_worker, &disks[i]), 0);
	begin();
	assert_int_equal(mig_disks_first(&m, &out, NULL, why), 0);
	for (round = 0; round < 30; round++) {
		mig_disks_take(&m);
		assert_int_equal(mig_disks_send(&m, &out, NULL, why), 0);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(mig_disks_last(&m, &out, why), 0);
	end_of_stream();
	assert_int_equal(result, 0);
	same(0);
	same(1);
}

/* ---- what fails ---- */

static void disk_that_cannot_be_read_ends_it(void **state)
{
	(void)state;
	begin();
	read_err = -EIO;
	assert_int_equal(mig_disks_first(&m, &out, NULL, why), -EIO);
	assert_string_equal(why, "disk /d cannot be read: Input/output error");
}

static int cancelled;

static void *cancel_soon(void *arg)
{
	usleep(100000);
	__atomic_store_n(&cancelled, 1, __ATOMIC_RELAXED);
	return arg;
}

/* Its daemon hangs; whoever gives up is not to wait for it. */
static void disk_that_does_not_answer_can_be_given_up(void **state)
{
	pthread_t t;

	(void)state;
	cancelled = 0;
	out.cancelled = &cancelled;
	begin();
	hold = 1;
	assert_int_equal(pthread_create(&t, NULL, cancel_soon, NULL), 0);
	assert_int_equal(mig_disks_first(&m, &out, NULL, why), -ECANCELED);
	assert_null(held);
	hold = 0;
	pthread_join(t, NULL);
}

static void disk_of_which_nothing_is_said_to_be_complete_is_missing(void **state)
{
	(void)state;
	begin();
	assert_int_equal(mig_disks_first(&m, &out, NULL, why), 0);
	end_of_stream();
	assert_int_equal(result, -EPROTO);
	assert_non_null(strstr(why_there, "did not come"));
}

static void devices_and_what_is_read_only_or_at_a_server_are_no_files(void **state)
{
	(void)state;
	disks[0].rdev = 5;
	assert_int_equal(mig_disks_begin(&m, &here, why, sizeof(why)), -EINVAL);
	assert_string_equal(why, "disk /d: a device is not copied");
	mig_disks_end(&m);
	disks[0].rdev = 0;
	on_ide = true;
	assert_int_equal(mig_disks_begin(&m, &here, why, sizeof(why)), -EOPNOTSUPP);
	assert_string_equal(why, "disk /d: a disk on IDE is not copied yet");
	mig_disks_end(&m);
	on_ide = false;
	disks[0].read_only = true;
	close(disks[1].lock_fd);
	disks[1].lock_fd = -1;
	assert_int_equal(mig_disks_begin(&m, &here, why, sizeof(why)), 0);
	assert_int_equal(m.num, 0);
	mig_disks_end(&m);
}

static u64 counted;

static int count(void *arg, struct mig_stream *s, u64 bytes)
{
	assert_ptr_equal(s, &out);
	assert_ptr_equal(arg, &counted);
	counted += bytes;
	return counted > MIG_CHUNK ? -ETIMEDOUT : 0;
}

/* A limit of --bandwidth counts disks, and who waits for it may give up. */
static void whoever_limits_it_hears_of_each_section(void **state)
{
	const struct mig_disks_pace pace = { count, &counted };
	int i;

	(void)state;
	counted = 0;
	for (i = 0; i < 16; i++)
		write_at(&disks[0], (u64)i * CHUNK, 1, 512);
	begin();
	assert_int_equal(mig_disks_first(&m, &out, &pace, why), -ETIMEDOUT);
	assert_int_equal(counted, m.sent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(all_arrives_and_holes_stay_holes),
		T(what_changes_or_becomes_zero_is_sent_again),
		T(disk_with_direct_io_is_read_and_written_as_it_wants),
		T(copy_is_the_disk_though_a_worker_writes_all_the_time),
		T(disk_that_cannot_be_read_ends_it),
		T(disk_that_does_not_answer_can_be_given_up),
		T(disk_of_which_nothing_is_said_to_be_complete_is_missing),
		T(devices_and_what_is_read_only_or_at_a_server_are_no_files),
		T(whoever_limits_it_hears_of_each_section),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
