// SPDX-License-Identifier: GPL-2.0-only
/* Memory that comes from a file while it is in use: each page before it is seen, whoever looks. */
#include "machine/mem_lazy.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/loop.h"
#include "lib/util.h"
#include "machine/machine.h"
#include "machine/mem_source.h"
#include "machine/mem_uffd.h"
#include "tests/harness/patience.h"
#include "tests/unit/test.h"

#define PAGES 4000u
#define RAM (PAGES * KVMB_PAGE_SIZE)
#define OFFSET (1u << 20)
#define READERS 3u

static struct machine m;
static int file;

/* Page n has its number in it; every fifth is a hole, and so are 700 in a row. */
static bool is_hole(u64 page)
{
	return page % 5 == 4 || (page > 1000 && page < 1700);
}

static void write_pages(u64 from, u64 to)
{
	u64 buf[KVMB_PAGE_SIZE / 8], page, i;

	for (page = from; page < to; page++) {
		for (i = 0; i < KVMB_PAGE_SIZE / 8; i++)
			buf[i] = page << 32 | i;
		if (!is_hole(page))
			assert_int_equal(pwrite(file, buf, sizeof(buf),
						(off_t)(OFFSET + page * KVMB_PAGE_SIZE)),
					 sizeof(buf));
	}
}

static u8 *ram(void)
{
	return m.gm.regions[0].hva;
}

static bool is_right(u64 page)
{
	const volatile u64 *p = (u64 *)(ram() + page * KVMB_PAGE_SIZE);

	return p[3] == (is_hole(page) ? 0 : page << 32 | 3) &&
	       p[511] == (is_hole(page) ? 0 : page << 32 | 511);
}

static int setup(void **state)
{
	char path[] = "/tmp/kvmbus-lazy-XXXXXX";

	(void)state;
	file = mkstemp(path);
	unlink(path);
	assert_int_equal(ftruncate(file, OFFSET + RAM), 0);
	write_pages(0, PAGES);
	m = (struct machine){ .name = "t", .gm.num_regions = 1 };
	m.gm.memfd = memfd_create("ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(m.gm.memfd, RAM), 0);
	m.gm.regions[0] = (struct kvmb_gm_region){ .size = RAM,
						   .hva = mmap(NULL, RAM, PROT_READ | PROT_WRITE,
							       MAP_SHARED, m.gm.memfd, 0) };
	madvise(ram(), RAM, MADV_HUGEPAGE); /* as machine/mem.c does */
	m.uffd = mem_uffd_open();
	mem_lazy_prepare(&m);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mem_lazy_end(&m);
	assert_null(m.lazy);
	assert_int_equal(m.gm.lazy, 0);
	munmap(ram(), RAM);
	close(m.gm.memfd);
	if (m.uffd >= 0)
		close(m.uffd);
	if (file >= 0)
		close(file);
	return 0;
}

/* A user who may not have faults of the kernel handled has none of it. */
static void skip_where_it_cannot_be(void)
{
	if (!m.lazy) {
		print_message("no userfaultfd here\n");
		skip();
	}
}

static void begin(void)
{
	struct mem_source *s = mem_source_file(file, OFFSET, RAM);

	assert_int_equal(mem_lazy_begin(&m, s), 0);
	file = -1; /* taken over */
}

static u32 wrong; /* atomic */

static void *reader(void *arg)
{
	u64 x = (u64)(uintptr_t)arg, i;

	for (i = 0; i < 3000; i++) {
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		if (!is_right((x >> 33) % PAGES))
			__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void each_page_has_come_before_anybody_sees_it(void **state)
{
	pthread_t t[READERS];
	u64 i;

	(void)state;
	skip_where_it_cannot_be();
	begin();
	for (i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, reader, (void *)(uintptr_t)(i + 1)),
				 0);
	for (i = 0; i < READERS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(wrong, 0);
	for (i = 0; i < PAGES; i++)
		assert_true(is_right(i));
}

static void wait_until_all_is_there(void)
{
	u64 until = kvmb_now_ms() + PATIENCE_MS;

	while (mem_lazy_left(&m) && kvmb_now_ms() < until)
		usleep(1000);
	assert_int_equal(mem_lazy_left(&m), 0);
}

/* What was written before the rest has come is not overwritten. */
static void page_that_the_guest_has_changed_stays_so(void **state)
{
	u64 i;

	(void)state;
	skip_where_it_cannot_be();
	begin();
	for (i = 0; i < PAGES; i += 7)
		*(volatile u64 *)(ram() + i * KVMB_PAGE_SIZE) = ~i;
	wait_until_all_is_there();
	for (i = 0; i < PAGES; i++) {
		if (i % 7)
			assert_true(is_right(i));
		else
			assert_true(*(u64 *)(ram() + i * KVMB_PAGE_SIZE) == ~i);
	}
}

/* A ring is another mapping of the same pages: through it nobody waits. */
static void ring_has_its_pages(void **state)
{
	u64 gfns[] = { 3900, 3901, 3905, 3906 }, i;
	struct kvmb_gm_ring r;

	(void)state;
	skip_where_it_cannot_be();
	begin();
	assert_int_equal(kvmb_gm_map_ring(&m.gm, gfns, 4, &r), 0);
	assert_true(((u64 *)r.ctrl)[3] == (gfns[0] << 32 | 3));
	for (i = 1; i < 4; i++)
		assert_true(*(u64 *)((u8 *)r.data + (i - 1) * KVMB_PAGE_SIZE + 8) ==
			    (gfns[i] << 32 | 1));
	kvmb_gm_unmap_ring(&r);
}

/* The kernel touches guest memory for a provider. */
static void system_call_waits_for_its_pages(void **state)
{
	u64 buf[2 * KVMB_PAGE_SIZE / 8];
	int pipes[2];

	(void)state;
	skip_where_it_cannot_be();
	begin();
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(write(pipes[1], ram() + 3500 * KVMB_PAGE_SIZE, sizeof(buf)), sizeof(buf));
	assert_int_equal(read(pipes[0], buf, sizeof(buf)), sizeof(buf));
	assert_true(buf[5] == (3500ull << 32 | 5) && buf[517] == (3501ull << 32 | 5));
	close(pipes[0]);
	close(pipes[1]);
}

static void file_that_cannot_be_read_makes_the_guest_wait(void **state)
{
	int again = dup(file);
	pthread_t t;

	(void)state;
	skip_where_it_cannot_be();
	assert_int_equal(ftruncate(again, OFFSET + RAM / 2), 0); /* a read says EOF, which is EIO */
	wrong = 0;
	begin();
	assert_int_equal(mem_lazy_run(&m), 0);
	usleep(300000); /* all that can be read has been, and its end is no hole */
	assert_int_equal(pthread_create(&t, NULL, reader, (void *)77), 0);
	usleep(300000);
	file = again;
	write_pages(PAGES / 2, PAGES); /* in order: nothing that can be read is wrong */
	file = -1;
	assert_int_equal(ftruncate(again, OFFSET + RAM), 0);
	pthread_join(t, NULL);
	assert_int_equal(wrong, 0);
	close(again);
}

/* Or the main thread would wait for ever, and nobody could even end the VM. */
static void file_that_cannot_be_read_makes_a_load_fail(void **state)
{
	(void)state;
	skip_where_it_cannot_be();
	assert_int_equal(ftruncate(file, OFFSET + RAM / 2), 0);
	begin();
	alarm(PATIENCE_MS / 1000);
	assert_true(is_right(10));
	assert_int_equal(*(volatile u64 *)(ram() + (PAGES - 9) * KVMB_PAGE_SIZE), 0);
	alarm(0);
	assert_int_equal(mem_lazy_run(&m), -EIO);
}

/* ---- a source that is played: the file, but for pages that cannot be read ---- */

static struct mem_source *below, played;
static u64 bad_pages[2]; /* atomics; PAGES: none */
static u32 bad_reads;	 /* atomic */

static int play_read(struct mem_source *s, void *buf, u64 at, u64 len)
{
	u32 i;
	u64 page;

	(void)s;
	for (i = 0; i < ARRAY_SIZE(bad_pages); i++) {
		page = __atomic_load_n(&bad_pages[i], __ATOMIC_SEQ_CST) * KVMB_PAGE_SIZE;
		if (at <= page && page < at + len) {
			__atomic_fetch_add(&bad_reads, 1, __ATOMIC_SEQ_CST);
			return -EIO;
		}
	}
	return below->ops->read(below, buf, at, len);
}

static int play_next(struct mem_source *s, u64 at, u64 *from, u64 *to)
{
	(void)s;
	return below->ops->next(below, at, from, to);
}

static int play_check(struct mem_source *s)
{
	(void)s;
	return below->ops->check(below);
}

static void play_close(struct mem_source *s)
{
	(void)s;
	mem_source_close(below);
}

static const struct mem_source_ops play_ops = { play_read, play_next, play_check, play_close };

static void begin_play(u64 bad0, u64 bad1, u64 grain)
{
	below = mem_source_file(file, OFFSET, RAM);
	played = (struct mem_source){ &play_ops, RAM, grain };
	bad_pages[0] = bad0;
	bad_pages[1] = bad1;
	bad_reads = 0;
	assert_int_equal(mem_lazy_begin(&m, &played), 0);
	assert_int_equal(mem_lazy_run(&m), 0);
	file = -1;
}

static u64 come[4]; /* atomic: this page has come to who wanted it, and was right: 1; wrong: 2 */

static void *want(void *arg)
{
	u64 *c = arg, page = *c;

	__atomic_store_n(c, is_right(page) ? 1 : 2, __ATOMIC_SEQ_CST);
	return NULL;
}

static void wait_for_left(u64 left)
{
	u64 until = kvmb_now_ms() + PATIENCE_MS;

	while (mem_lazy_left(&m) != left && kvmb_now_ms() < until)
		usleep(1000);
	assert_int_equal(mem_lazy_left(&m), left);
}

/* Two wait for one such page, one for another: all others are served, and all the rest comes. */
static void page_that_cannot_be_read_stops_only_who_needs_it(void **state)
{
	static const u64 wanted[] = { 70, 70, 3000, 3001 };
	pthread_t t[4];
	u64 i;

	(void)state;
	skip_where_it_cannot_be();
	begin_play(70, 3000, KVMB_PAGE_SIZE);
	for (i = 0; i < 4; i++) {
		come[i] = wanted[i];
		assert_int_equal(pthread_create(&t[i], NULL, want, &come[i]), 0);
	}
	pthread_join(t[3], NULL); /* beside a bad one, in the same chunk */
	assert_int_equal(come[3], 1);
	alarm(PATIENCE_MS / 1000);
	for (i = 0; i < PAGES; i++) {
		if (i != 70 && i != 3000)
			assert_true(is_right(i));
	}
	alarm(0);
	wait_for_left(2 * (256 << 10)); /* chunks with these pages */
	assert_int_equal(__atomic_load_n(&come[0], __ATOMIC_SEQ_CST), 70);
	assert_int_equal(__atomic_load_n(&come[1], __ATOMIC_SEQ_CST), 70);
	assert_int_equal(__atomic_load_n(&come[2], __ATOMIC_SEQ_CST), 3000);
	__atomic_store_n(&bad_pages[0], PAGES, __ATOMIC_SEQ_CST); /* mended */
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	assert_int_equal(come[0], 1);
	assert_int_equal(come[1], 1);
	assert_int_equal(__atomic_load_n(&come[2], __ATOMIC_SEQ_CST), 3000);
	wait_for_left(256 << 10);
	__atomic_store_n(&bad_pages[1], PAGES, __ATOMIC_SEQ_CST);
	pthread_join(t[2], NULL);
	assert_int_equal(come[2], 1);
	wait_until_all_is_there();
}

static void one_that_cannot_be_read_is_tried_each_second_not_all_the_time(void **state)
{
	pthread_t t;

	(void)state;
	skip_where_it_cannot_be();
	begin_play(70, PAGES, KVMB_PAGE_SIZE);
	come[0] = 70;
	assert_int_equal(pthread_create(&t, NULL, want, &come[0]), 0);
	wait_for_left(256 << 10);
	__atomic_store_n(&bad_reads, 0, __ATOMIC_SEQ_CST);
	usleep(2500000);
	assert_in_range(__atomic_load_n(&bad_reads, __ATOMIC_SEQ_CST), 1, 8);
	__atomic_store_n(&bad_pages[0], PAGES, __ATOMIC_SEQ_CST);
	pthread_join(t, NULL);
	assert_int_equal(come[0], 1);
}

/* The VM ends while somebody waits: he is let go, or the end would wait for him. */
static void end_lets_go_who_waits(void **state)
{
	pthread_t t;

	(void)state;
	skip_where_it_cannot_be();
	begin_play(70, PAGES, KVMB_PAGE_SIZE);
	come[0] = 70;
	assert_int_equal(pthread_create(&t, NULL, want, &come[0]), 0);
	wait_for_left(256 << 10);
	mem_lazy_end(&m);
	pthread_join(t, NULL);
	assert_int_equal(come[0], 2); /* a zero */
}

/* Is the page mapped here, by whoever brought it? */
static bool is_here(u64 page)
{
	u8 vec = 0;

	assert_int_equal(mincore(ram() + page * KVMB_PAGE_SIZE, KVMB_PAGE_SIZE, &vec), 0);
	return vec & 1;
}

/* Page 0 cannot be read, so nothing else comes in order for a second. */
static void neighbours_come_along_and_holes_stay_holes(void **state)
{
	u64 i;

	(void)state;
	skip_where_it_cannot_be();
	begin_play(0, PAGES, 64 * KVMB_PAGE_SIZE);
	while (!__atomic_load_n(&bad_reads, __ATOMIC_SEQ_CST))
		usleep(100);
	assert_true(is_right(1713)); /* behind the large hole */
	usleep(50000);
	for (i = 1700; i < 1728; i++)
		assert_int_equal(is_here(i), !is_hole(i));
	__atomic_store_n(&bad_pages[0], PAGES, __ATOMIC_SEQ_CST);
	wait_until_all_is_there();
	assert_true(is_right(0));
}

static void end_before_all_has_come_is_an_end(void **state)
{
	(void)state;
	skip_where_it_cannot_be();
	begin(); /* and teardown() */
}

static bool no_threads;

int __real_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg)
{
	return no_threads ? EAGAIN : __real_pthread_create(t, a, fn, arg);
}

static void memory_is_an_ordinary_one_when_it_cannot_begin(void **state)
{
	struct mem_source *s = mem_source_file(file, OFFSET, RAM);

	(void)state;
	skip_where_it_cannot_be();
	no_threads = true;
	assert_int_equal(mem_lazy_begin(&m, s), -EAGAIN);
	no_threads = false;
	assert_null(m.lazy);
	assert_int_equal(*(volatile u8 *)ram(), 0); /* nobody waits */
	assert_int_equal(mem_lazy_begin(&m, s), -EOPNOTSUPP);
	assert_int_equal(mem_source_fill(s, ram()), 0);
	assert_true(is_right(10) && is_right(PAGES - 2));
	mem_source_close(s);
	file = -1;
}

/* "hg" or "nh", as smaps says of guest memory; "" = neither. */
static void huge_flag(char flag[4])
{
	unsigned long long begin, end;
	bool found = false;
	char line[400];
	FILE *f = fopen("/proc/self/smaps", "re");

	flag[0] = 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx-%llx ", &begin, &end) == 2)
			found = begin <= (uintptr_t)ram() && (uintptr_t)ram() < end;
		else if (found && !strncmp(line, "VmFlags:", 8))
			strcpy(flag, strstr(line, " hg") ? "hg" : strstr(line, " nh") ? "nh" : "");
	}
	fclose(f);
}

/* khugepaged of Linux 6.1 makes pages that have not come, as zeroes. */
static void no_page_becomes_huge_before_all_has_come(void **state)
{
	u64 until = kvmb_now_ms() + PATIENCE_MS;
	char flag[4];

	(void)state;
	skip_where_it_cannot_be();
	if (access("/sys/kernel/mm/transparent_hugepage", F_OK))
		skip();
	huge_flag(flag);
	assert_string_equal(flag, "nh");
	begin();
	wait_until_all_is_there();
	while (__atomic_load_n(&m.gm.lazy, __ATOMIC_ACQUIRE) && kvmb_now_ms() < until)
		usleep(1000);
	huge_flag(flag);
	assert_string_equal(flag, "hg");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(each_page_has_come_before_anybody_sees_it),
		T(page_that_the_guest_has_changed_stays_so),
		T(ring_has_its_pages),
		T(system_call_waits_for_its_pages),
		T(file_that_cannot_be_read_makes_the_guest_wait),
		T(file_that_cannot_be_read_makes_a_load_fail),
		T(page_that_cannot_be_read_stops_only_who_needs_it),
		T(one_that_cannot_be_read_is_tried_each_second_not_all_the_time),
		T(end_lets_go_who_waits),
		T(neighbours_come_along_and_holes_stay_holes),
		T(end_before_all_has_come_is_an_end),
		T(no_page_becomes_huge_before_all_has_come),
		T(memory_is_an_ordinary_one_when_it_cannot_begin),
	};

	kvmb_log_set_level(-1); /* of files that cannot be read it tells from a thread of its own */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
