// SPDX-License-Identifier: GPL-2.0-only
/* Copies from a played NBD server that fails in the middle, and from files with holes. */
#include "manage/copier.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/util.h"
#include "manage/copy_journal.h"
#include "tests/harness/nbd_server.h"
#include "tests/unit/test.h"

#define GRAINS 40u
#define TAIL 1536u /* bytes of one more grain */
#define BYTES ((uint64_t)GRAINS * COPIER_GRAIN + TAIL)

static struct nbd_srv srv;
static char dir[64], why[300];
static int dir_fd, target;
static u32 reads[GRAINS + 1]; /* of each grain; the server's thread, atomic */
static u32 answers;	      /* atomic: so many, then it hangs up */
static struct copier c;
static u32 told_most;

static u32 count_reads(struct nbd_srv *s, const struct nbd_srv_req *q)
{
	u32 n = (u32)(q->offset / COPIER_GRAIN);

	(void)s;
	if (q->type != NBD_SRV_READ || q->length <= 4096) /* what it is, not what is on it */
		return SRV_GOOD;
	if (!__atomic_load_n(&answers, __ATOMIC_ACQUIRE))
		return SRV_HANGUP;
	__atomic_sub_fetch(&answers, 1, __ATOMIC_ACQ_REL);
	__atomic_add_fetch(&reads[n], 1, __ATOMIC_ACQ_REL);
	return SRV_GOOD;
}

static bool tell(void *arg, uint64_t done, uint64_t total)
{
	(void)arg;
	CHECK(done <= total);
	told_most = (u32)KVMB_MAX(told_most, done >> 20);
	return true;
}

/* Long enough for what is copied to be flushed. */
static bool wait_a_while(void *arg, uint64_t done, uint64_t total)
{
	uint64_t *waited_at = arg;

	(void)total;
	if (done > *waited_at)
		usleep(COPIER_SYNC_MS * 1000 / 8);
	*waited_at = done;
	return true;
}

static bool stop_after(void *arg, uint64_t done, uint64_t total)
{
	(void)total;
	return done < *(uint64_t *)arg;
}

/* ---- a disk that does not write ---- */

static int syncs_fail; /* so many */

/* It tells of it once, and drops what it could not write. */
int fdatasync(int fd)
{
	if (!syncs_fail)
		return (int)syscall(SYS_fdatasync, fd);
	syncs_fail--;
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(ftruncate(fd, BYTES), 0);
	errno = EIO;
	return -1;
}

static int connect_srv(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(a.sun_path, srv.path);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static int open_target(bool new)
{
	target = openat(dir_fd, "disk", O_RDWR | O_CLOEXEC | (new ? O_CREAT | O_EXCL : 0), 0600);
	assert_true(target >= 0);
	if (new)
		assert_int_equal(ftruncate(target, BYTES), 0);
	return target;
}

/* A disk with data in two grains of three. */
static int setup(void **state)
{
	char path[100];
	u32 i;

	(void)state;
	strcpy(dir, "/tmp/copier.XXXXXX");
	assert_non_null(mkdtemp(dir));
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	srv = (struct nbd_srv){ 0 };
	snprintf(path, sizeof(path), "%s/sock", dir);
	nbd_srv_start(&srv, path, BYTES, 0);
	for (i = 0; i < BYTES / 512; i++) {
		if (i / 2048 % 3)
			memset(srv.disk + i * 512ull, (int)(i % 251 + 1), 512);
	}
	srv.disk[BYTES - 1] = 77;
	nbd_srv_plan(&srv, count_reads);
	memset(reads, 0, sizeof(reads));
	answers = 100000;
	told_most = 0;
	c = (struct copier){ .tell = tell, .fresh = true };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (c.source)
		c.source->ops->close(c.source);
	copy_journal_close(c.journal);
	close(target);
	nbd_srv_stop(&srv);
	unlinkat(dir_fd, "sock", 0);
	unlinkat(dir_fd, "disk", 0);
	unlinkat(dir_fd, "journal", 0);
	close(dir_fd);
	rmdir(dir);
	return 0;
}

static void begin(bool new, const char *id)
{
	bool fresh;

	c.source = copy_nbd_open(connect_srv(), id, why, sizeof(why));
	if (!c.source)
		fail_msg("%s", why);
	CHECK_EQ(c.source->bytes, BYTES);
	c.journal = copy_journal_open(dir_fd, "journal", BYTES, c.source->id, COPIER_GRAIN, &fresh,
				      why, sizeof(why));
	if (!c.journal)
		fail_msg("%s", why);
	CHECK_EQ(fresh, new);
	c.fd = open_target(new);
	c.fresh = new;
}

static void check_equal(void)
{
	u8 *copy = malloc(BYTES);

	assert_int_equal(pread(target, copy, BYTES, 0), (ssize_t)BYTES);
	CHECK_MEM(copy, srv.disk, BYTES);
	free(copy);
}

static u32 total_reads(void)
{
	u32 i, sum = 0;

	for (i = 0; i <= GRAINS; i++)
		sum += __atomic_load_n(&reads[i], __ATOMIC_ACQUIRE);
	return sum;
}

CASE(whole_disk_is_copied_once_and_zeroes_are_holes)
{
	struct stat st;

	begin(true, "a");
	CHECK_EQ(copier_run(&c, why, sizeof(why)), 0);
	check_equal();
	CHECK_EQ(total_reads(), GRAINS); /* the tail is too short to be counted */
	CHECK_EQ(fstat(target, &st), 0);
	CHECK(st.st_blocks * 512 <= (off_t)(28ull << 20)); /* 26 grains of 40 have data */
	CHECK_EQ(c.read, BYTES);
	CHECK_EQ(told_most, GRAINS);
	CHECK_EQ(copier_verify(&c, why, sizeof(why)), 0);
}

/* It dies at every place: the copy is whole in the end, and what counted is not read again. */
CASE(source_that_dies_is_gone_on_with)
{
	u32 n, i, before, again = 0;

	begin(true, "a");
	for (n = 0; n < 3; n++) {
		__atomic_store_n(&answers, 7 + 5 * n, __ATOMIC_RELEASE);
		assert_true(copier_run(&c, why, sizeof(why)) < 0);
		assert_true(why[0]);
		assert_null(c.source);
		before = total_reads();
		/* what was answered and taken counts, all but what was in flight */
		again += before;
		CHECK(copy_journal_count(c.journal) + COPIER_SLOTS * (n + 1) >= again / (n + 1));
		copy_journal_close(c.journal);
		close(target);
		__atomic_store_n(&answers, 100000, __ATOMIC_RELEASE);
		begin(false, "a");
	}
	CHECK_EQ(copier_run(&c, why, sizeof(why)), 0);
	check_equal();
	for (i = 0, again = 0; i <= GRAINS; i++)
		again += reads[i] > 1 ? reads[i] - 1 : 0;
	CHECK(again <= 3 * COPIER_SLOTS);
}

CASE(what_the_disk_could_not_write_is_copied_again)
{
	uint64_t waited_at = 0;

	begin(true, "a");
	c.tell = wait_a_while;
	c.arg = &waited_at;
	syncs_fail = 1;
	CHECK_EQ(copier_run(&c, why, sizeof(why)), -EIO);
	assert_non_null(strstr(why, "writing the copy to disk"));
	CHECK_EQ(syncs_fail, 0);
	copy_journal_close(c.journal);
	close(target);
	c.tell = tell;
	begin(false, "a");
	CHECK_EQ(copy_journal_count(c.journal), 0);
	CHECK_EQ(copier_run(&c, why, sizeof(why)), 0);
	check_equal();
}

/* As after kill -9: what the journal has on disk counts, and no more than one step is lost. */
CASE(journal_that_was_not_closed_loses_one_step_at_most)
{
	uint64_t until = 30ull << 20;

	begin(true, "a");
	c.tell = stop_after;
	c.arg = &until;
	CHECK_EQ(copier_run(&c, why, sizeof(why)), -EINTR);
	CHECK(copy_journal_count(c.journal) >= 30);
	copy_journal_mark(c.journal, GRAINS - 1); /* not synced: never happened */
	copy_journal_close(c.journal);
	close(target);
	c.tell = tell;
	begin(false, "a");
	CHECK(!copy_journal_has(c.journal, GRAINS - 1));
	CHECK(copy_journal_count(c.journal) >= 30);
	CHECK_EQ(copier_run(&c, why, sizeof(why)), 0);
	check_equal();
}

CASE(another_disk_is_refused)
{
	bool fresh;

	begin(true, "a");
	copy_journal_close(c.journal);
	c.journal = copy_journal_open(dir_fd, "journal", BYTES, "b", COPIER_GRAIN, &fresh, why,
				      sizeof(why));
	assert_null(c.journal);
	assert_string_equal(why, "is of another disk (a)");
	c.journal = copy_journal_open(dir_fd, "journal", BYTES - 512, "a", COPIER_GRAIN, &fresh,
				      why, sizeof(why));
	assert_null(c.journal);
	assert_non_null(strstr(why, "is of a disk of"));
}

CASE(partition_table_is_part_of_what_a_disk_is)
{
	memcpy(srv.disk + 440, "\x01\x02\x03\x04", 4);
	memcpy(srv.disk + 510, "\x55\xaa", 2);
	memcpy(srv.disk + 512, "EFI PART", 8);
	memset(srv.disk + 568, 0xab, 16);
	begin(true, "a b");
	assert_string_equal(c.source->id, "a_b,mbr=01020304,gpt=abababababababababababababababab");
}

CASE(journal_that_is_damaged_or_in_use_is_refused)
{
	struct copy_journal *second;
	bool fresh;
	int fd;

	begin(true, "a");
	second = copy_journal_open(dir_fd, "journal", BYTES, c.source->id, COPIER_GRAIN, &fresh,
				   why, sizeof(why));
	assert_null(second);
	assert_string_equal(why, "is in use: another import copies");
	copy_journal_close(c.journal);
	c.journal = NULL;
	fd = openat(dir_fd, "journal", O_RDWR);
	assert_int_equal(pwrite(fd, "x", 1, 30), 1);
	second = copy_journal_open(dir_fd, "journal", BYTES, c.source->id, COPIER_GRAIN, &fresh,
				   why, sizeof(why));
	assert_null(second);
	assert_string_equal(why, "is damaged, or no journal of a copy");
	assert_int_equal(ftruncate(fd, 17), 0);
	second = copy_journal_open(dir_fd, "journal", BYTES, c.source->id, COPIER_GRAIN, &fresh,
				   why, sizeof(why));
	assert_null(second);
	close(fd);
}

static u32 say_error(struct nbd_srv *s, const struct nbd_srv_req *q)
{
	(void)s;
	return q->length > 4096 && q->offset >= 20 * COPIER_GRAIN ? SRV_ERR + 5 : SRV_GOOD;
}

static u32 say_nothing(struct nbd_srv *s, const struct nbd_srv_req *q)
{
	(void)s;
	return q->length > 4096 && q->offset >= 20 * COPIER_GRAIN ? SRV_HOLD : SRV_GOOD;
}

static u32 say_junk(struct nbd_srv *s, const struct nbd_srv_req *q)
{
	(void)s;
	return q->length > 4096 && q->offset >= 20 * COPIER_GRAIN ? SRV_BAD_MAGIC : SRV_GOOD;
}

CASE(errors_silence_and_junk_end_it)
{
	u32 (*const plans[])(struct nbd_srv * s,
			     const struct nbd_srv_req *q) = { say_error, say_nothing, say_junk };
	static const int errors[] = { -EIO, -ETIMEDOUT, 0 };
	size_t i;
	int err;

	for (i = 0; i < ARRAY_SIZE(plans); i++) {
		nbd_srv_plan(&srv, plans[i]);
		begin(!i, "a");
		err = copier_run(&c, why, sizeof(why));
		assert_true(err < 0);
		if (errors[i])
			CHECK_EQ(err, errors[i]);
		CHECK(copy_journal_count(c.journal) >= 20 - COPIER_SLOTS);
		copy_journal_close(c.journal);
		c.journal = NULL;
		close(target);
	}
	nbd_srv_plan(&srv, count_reads);
	begin(false, "a");
	CHECK_EQ(copier_run(&c, why, sizeof(why)), 0);
	check_equal();
}

CASE(server_that_does_not_greet_is_refused)
{
	static const int hellos[] = { HELLO_GARBAGE, HELLO_HANGUP };
	size_t i;

	open_target(true);
	for (i = 0; i < ARRAY_SIZE(hellos); i++) {
		__atomic_store_n(&srv.hello, hellos[i], __ATOMIC_RELEASE);
		assert_null(copy_nbd_open(connect_srv(), "a", why, sizeof(why)));
		assert_true(why[0]);
	}
}

CASE(what_was_written_before_becomes_a_hole_again)
{
	begin(true, "a");
	memset(srv.disk + 3 * COPIER_GRAIN, 1, COPIER_GRAIN);
	CHECK_EQ(pwrite(c.fd, "old", 3, 6 * COPIER_GRAIN + 5), 3); /* that grain is zero */
	c.fresh = false;
	CHECK_EQ(copier_run(&c, why, sizeof(why)), 0);
	check_equal();
}

CASE(difference_is_found_and_said_where)
{
	begin(true, "a");
	CHECK_EQ(copier_run(&c, why, sizeof(why)), 0);
	CHECK_EQ(pwrite(target, "x", 1, 5 * COPIER_GRAIN + 1234), 1);
	CHECK_EQ(copier_verify(&c, why, sizeof(why)), -ESTALE);
	assert_string_equal(why, "source and copy differ at byte 5244114");
}

CASE(holes_of_a_file_are_not_read)
{
	char path[100];
	int fd;

	snprintf(path, sizeof(path), "%s/source", dir);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_int_equal(ftruncate(fd, BYTES), 0);
	assert_int_equal(pwrite(fd, srv.disk + COPIER_GRAIN, COPIER_GRAIN, COPIER_GRAIN),
			 COPIER_GRAIN);
	assert_int_equal(pwrite(fd, "end", 3, BYTES - 3), 3);
	c.fd = open_target(true);
	c.source = copy_file_open(path, why, sizeof(why));
	assert_non_null(c.source);
	CHECK_EQ(copier_run(&c, why, sizeof(why)), 0);
	CHECK_EQ(c.read, COPIER_GRAIN + TAIL);
	CHECK_EQ(copier_verify(&c, why, sizeof(why)), 0);
	unlink(path);
	close(fd);
	assert_null(copy_file_open(dir, why, sizeof(why)));
	assert_null(copy_file_open("/dev/null", why, sizeof(why)));
	assert_null(copy_file_open("/nosuch", why, sizeof(why)));
}

/* ---- a source that is asked what is zero, and tells a byte at a time ---- */

static uint64_t looks;

static int begin_played(struct copier_source *s, struct copier_slot *slot)
{
	(void)s;
	memcpy(slot->buf, srv.disk + slot->at, slot->len);
	slot->done = true;
	return 0;
}

static int wait_for_played(struct copier_source *s, int ms)
{
	(void)s, (void)ms;
	return 0;
}

static int look_at_played(struct copier_source *s, uint64_t at, uint64_t *end, bool *zero)
{
	(void)s;
	looks++;
	*end = at + 1;
	*zero = !srv.disk[at];
	return 0;
}

static void close_played(struct copier_source *s)
{
	(void)s;
}

/* Nobody could stop it meanwhile. */
CASE(source_that_says_little_is_not_asked_for_ever)
{
	static const struct copier_ops ops = { begin_played, wait_for_played, look_at_played,
					       close_played };
	struct copier_source played = { .ops = &ops, .bytes = BYTES };

	c.source = &played;
	c.fd = open_target(true);
	looks = 0;
	CHECK_EQ(copier_run(&c, why, sizeof(why)), 0);
	CHECK(looks <= GRAINS * 64);
	check_equal();
	c.source = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(whole_disk_is_copied_once_and_zeroes_are_holes),
		T(source_that_dies_is_gone_on_with),
		T(what_the_disk_could_not_write_is_copied_again),
		T(journal_that_was_not_closed_loses_one_step_at_most),
		T(another_disk_is_refused),
		T(partition_table_is_part_of_what_a_disk_is),
		T(journal_that_is_damaged_or_in_use_is_refused),
		T(errors_silence_and_junk_end_it),
		T(server_that_does_not_greet_is_refused),
		T(what_was_written_before_becomes_a_hole_again),
		T(difference_is_found_and_said_where),
		T(holes_of_a_file_are_not_read),
		T(source_that_says_little_is_not_asked_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
