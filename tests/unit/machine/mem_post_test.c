// SPDX-License-Identifier: GPL-2.0-only
/* Memory of which a list of pages comes later: nobody sees one before, and the others are there. */
#include "machine/mem_post.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/loop.h"
#include "lib/util.h"
#include "machine/machine.h"
#include "machine/mem_uffd.h"
#include "tests/harness/patience.h"
#include "tests/unit/test.h"

#define PAGES 1000u /* no multiple of 64 */
#define RAM (PAGES * KVMB_PAGE_SIZE)

static struct machine m;
static u8 list[(PAGES + 63) / 64 * 8];
static u64 asked[PAGES], num_asked; /* atomic */

static u8 *ram(void)
{
	return m.gm.regions[0].hva;
}

/* Every third page came before, with 1 in it; every fourth is on the list: there it is stale. */
static bool came(u64 page)
{
	return page % 3 == 0;
}

static bool is_listed(u64 page)
{
	return page % 4 == 0 || (page > 300 && page < 400);
}

static u8 content(u64 page)
{
	return is_listed(page) ? (u8)(2 + page % 200) : came(page);
}

static int setup(void **state)
{
	u64 page;

	(void)state;
	m = (struct machine){ .name = "t", .gm.num_regions = 1 };
	m.gm.memfd = memfd_create("ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(m.gm.memfd, RAM), 0);
	m.gm.regions[0] = (struct kvmb_gm_region){ .size = RAM,
						   .hva = mmap(NULL, RAM, PROT_READ | PROT_WRITE,
							       MAP_SHARED, m.gm.memfd, 0) };
	madvise(ram(), RAM, MADV_HUGEPAGE); /* as machine/mem.c does */
	m.uffd = mem_uffd_open();
	mem_post_prepare(&m);
	num_asked = 0;
	memset(list, 0, sizeof(list));
	for (page = 0; page < PAGES; page++) {
		if (is_listed(page))
			list[page / 8] |= (u8)(1u << page % 8);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mem_post_end(&m);
	assert_null(m.post);
	assert_int_equal(m.gm.lazy, 0);
	munmap(ram(), RAM);
	close(m.gm.memfd);
	if (m.uffd >= 0)
		close(m.uffd);
	return 0;
}

static void skip_where_it_cannot_be(void)
{
	if (!mem_post_can(&m)) {
		print_message("no userfaultfd here\n");
		skip();
	}
}

static void note_page(void *arg, u64 page)
{
	u64 n = __atomic_load_n(&num_asked, __ATOMIC_SEQ_CST);

	assert_ptr_equal(arg, &m);
	__atomic_store_n(&asked[n], page, __ATOMIC_RELAXED);
	__atomic_store_n(&num_asked, n + 1, __ATOMIC_SEQ_CST);
}

/* What came before is there, and the list is complete. */
static void begin(void)
{
	u64 page;

	assert_int_equal(mem_post_expect(&m), 0);
	for (page = 0; page < PAGES; page++) {
		if (came(page))
			memset(ram() + page * KVMB_PAGE_SIZE, 1, KVMB_PAGE_SIZE);
	}
	assert_int_equal(mem_post_list(&m, 0, list, sizeof(list)), 0);
	assert_int_equal(mem_post_begin(&m, note_page, &m), 0);
	assert_int_equal(mem_post_run(&m), 0);
}

static int put(u64 page, u64 num)
{
	static u8 bytes[16 * KVMB_PAGE_SIZE];
	u64 i;

	assert_true(num <= 16);
	for (i = 0; i < num; i++)
		memset(bytes + i * KVMB_PAGE_SIZE, content(page + i), KVMB_PAGE_SIZE);
	return mem_post_put(&m, page, bytes, num);
}

static void *look(void *arg)
{
	const volatile u8 *p = ram() + (uintptr_t)arg * KVMB_PAGE_SIZE;

	return (void *)(uintptr_t)(p[0] + 1u);
}

static u8 seen(pthread_t t)
{
	void *result;

	pthread_join(t, &result);
	return (u8)((uintptr_t)result - 1);
}

static void wait_until_asked(u64 num)
{
	u64 until = kvmb_now_ms() + PATIENCE_MS;

	while (__atomic_load_n(&num_asked, __ATOMIC_SEQ_CST) < num && kvmb_now_ms() < until)
		usleep(1000);
	assert_int_equal(__atomic_load_n(&num_asked, __ATOMIC_SEQ_CST), num);
}

/* Two who need the same page ask once. */
static void page_of_the_list_is_asked_for_and_waited_for(void **state)
{
	pthread_t t[3];

	(void)state;
	skip_where_it_cannot_be();
	begin();
	pthread_create(&t[0], NULL, look, (void *)12);
	pthread_create(&t[1], NULL, look, (void *)12);
	pthread_create(&t[2], NULL, look, (void *)8);
	wait_until_asked(2);
	usleep(50000);
	assert_int_equal(num_asked, 2);
	assert_int_equal(put(12, 1), 0);
	assert_int_equal(seen(t[0]), content(12));
	assert_int_equal(seen(t[1]), content(12));
	assert_int_equal(put(8, 1), 0);
	assert_int_equal(seen(t[2]), content(8));
}

/* What came before stays, what never came is zero: for neither does anybody ask. */
static void page_that_is_not_on_the_list_is_there(void **state)
{
	u64 page;

	(void)state;
	skip_where_it_cannot_be();
	begin();
	for (page = 0; page < PAGES; page++) {
		if (!is_listed(page))
			assert_int_equal(*(volatile u8 *)(ram() + page * KVMB_PAGE_SIZE + 9),
					 came(page));
	}
	assert_int_equal(num_asked, 0);
}

static u64 put_all(void)
{
	u64 page, bytes = 0;

	for (page = 0; page < PAGES; page++) {
		if (is_listed(page)) {
			assert_int_equal(mem_post_left(&m) % KVMB_PAGE_SIZE, 0);
			assert_int_equal(put(page, 1), 0);
			bytes += KVMB_PAGE_SIZE;
		}
	}
	return bytes;
}

static void memory_is_an_ordinary_one_when_all_has_come(void **state)
{
	u64 page, left;

	(void)state;
	skip_where_it_cannot_be();
	begin();
	assert_int_equal(m.gm.lazy, 1);
	left = mem_post_left(&m);
	assert_int_equal(put_all(), left);
	assert_int_equal(mem_post_left(&m), 0);
	mem_post_done(&m);
	assert_int_equal(m.gm.lazy, 0);
	for (page = 0; page < PAGES; page++)
		assert_int_equal(*(volatile u8 *)(ram() + page * KVMB_PAGE_SIZE), content(page));
	assert_int_equal(num_asked, 0);
}

/* Whatever the other side sends: a page that is there is not overwritten. */
static void pages_that_are_not_to_come_are_refused(void **state)
{
	static const struct {
		u64 page, num;
	} rows[] = { { 1, 1 },	       { 3, 1 },	  { 0, 2 },	     { PAGES, 1 },
		     { PAGES - 4, 5 }, { UINT64_MAX, 1 }, { 0, UINT64_MAX }, { 2, UINT64_MAX - 1 },
		     { 0, 0 } };
	u8 bytes[5 * KVMB_PAGE_SIZE];
	size_t i;

	(void)state;
	skip_where_it_cannot_be();
	begin();
	memset(bytes, 99, sizeof(bytes));
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(mem_post_put(&m, rows[i].page, bytes, rows[i].num), -EINVAL);
		assert_int_equal(mem_post_put(&m, rows[i].page, NULL, rows[i].num), -EINVAL);
	}
	assert_int_equal(*(volatile u8 *)(ram() + 3 * KVMB_PAGE_SIZE), 1);
	assert_int_equal(*(volatile u8 *)(ram() + KVMB_PAGE_SIZE), 0);
	assert_int_equal(put(0, 1), 0);
	assert_int_equal(put(0, 1), -EINVAL);		      /* twice */
	assert_int_equal(mem_post_put(&m, 301, NULL, 99), 0); /* zeroes of many pages */
	assert_int_equal(*(volatile u8 *)(ram() + 399 * KVMB_PAGE_SIZE), 0);
	assert_int_equal(num_asked, 0);
}

static void list_of_pages_that_there_are_not_is_refused(void **state)
{
	u8 bit = 1, far[sizeof(list)] = { [sizeof(list) - 1] = 0x80 };

	(void)state;
	skip_where_it_cannot_be();
	assert_int_equal(mem_post_list(&m, 0, list, sizeof(list)), -EINVAL); /* nobody expects it */
	assert_int_equal(mem_post_expect(&m), 0);
	assert_int_equal(mem_post_expect(&m), -EOPNOTSUPP);
	assert_int_equal(mem_post_list(&m, 1, &bit, 1), -EINVAL);
	assert_int_equal(mem_post_list(&m, 1024, &bit, 1), -EINVAL);
	assert_int_equal(mem_post_list(&m, 1ull << 63, &bit, 1), -EINVAL);
	assert_int_equal(mem_post_list(&m, 0, far, sizeof(far)), -EINVAL); /* page 1023 */
	assert_int_equal(mem_post_list(&m, 64, &bit, 1), 0);
	assert_int_equal(mem_post_list(&m, 64, &bit, 1), -EINVAL); /* twice */
	assert_int_equal(mem_post_left(&m), KVMB_PAGE_SIZE);
	assert_int_equal(mem_post_begin(&m, note_page, &m), 0);
	assert_int_equal(mem_post_list(&m, 128, &bit, 1), -EINVAL); /* too late */
}

/* Before the VM runs: who loads it is not made to wait, and it must not run. */
static void who_waits_is_woken_when_it_is_given_up(void **state)
{
	pthread_t t;

	(void)state;
	skip_where_it_cannot_be();
	assert_int_equal(mem_post_expect(&m), 0);
	assert_int_equal(mem_post_list(&m, 0, list, sizeof(list)), 0);
	assert_int_equal(mem_post_begin(&m, note_page, &m), 0);
	pthread_create(&t, NULL, look, (void *)4);
	wait_until_asked(1);
	assert_true(mem_post_give_up(&m));
	seen(t);
	assert_int_equal(*(volatile u8 *)(ram() + 16 * KVMB_PAGE_SIZE), 0); /* nobody waits */
	assert_int_equal(mem_post_run(&m), -EPIPE);
}

/* Later it waits for as long as it takes: what is missing is never made up. */
static void vm_that_runs_is_not_given_up(void **state)
{
	pthread_t t;

	(void)state;
	skip_where_it_cannot_be();
	begin();
	assert_false(mem_post_give_up(&m));
	pthread_create(&t, NULL, look, (void *)4);
	wait_until_asked(1);
	__atomic_store_n(&num_asked, 0, __ATOMIC_SEQ_CST);
	mem_post_ask_again(&m); /* over another link */
	assert_int_equal(num_asked, 1);
	assert_int_equal(asked[0], 4);
	assert_int_equal(put(4, 1), 0);
	assert_int_equal(seen(t), content(4));
	mem_post_ask_again(&m);
	assert_int_equal(num_asked, 1);
}

static void what_is_missing_is_what_has_not_come(void **state)
{
	u8 bits[sizeof(list)], piece[8];
	u64 page;

	(void)state;
	skip_where_it_cannot_be();
	begin();
	assert_int_equal(put(0, 1), 0);
	assert_int_equal(put(304, 16), 0);
	assert_true(mem_post_missing(&m, 0, bits, sizeof(bits)));
	for (page = 0; page < PAGES; page++)
		assert_int_equal(bits[page / 8] >> page % 8 & 1,
				 is_listed(page) && page && (page < 304 || page >= 320));
	assert_true(mem_post_missing(&m, 320, piece, sizeof(piece)));
	assert_memory_equal(piece, bits + 40, sizeof(piece));
	assert_false(mem_post_missing(&m, 1024, piece, sizeof(piece)));
}

/* A provider's ring is another mapping; through it nobody waits. */
struct ring_wish {
	u64 gfns[3];
	struct kvmb_gm_ring r;
};

static void *map_ring(void *arg)
{
	struct ring_wish *w = arg;

	return (void *)(intptr_t)kvmb_gm_map_ring(&m.gm, w->gfns, 3, &w->r);
}

static void ring_is_mapped_when_its_pages_have_come(void **state)
{
	struct ring_wish w = { .gfns = { 8, 9, 10 } }; /* one of them is on the list */
	pthread_t t;

	(void)state;
	skip_where_it_cannot_be();
	begin();
	pthread_create(&t, NULL, map_ring, &w);
	wait_until_asked(1);
	assert_int_equal(put(8, 1), 0);
	pthread_join(t, NULL);
	assert_int_equal(*(u8 *)w.r.ctrl, content(8));
	kvmb_gm_unmap_ring(&w.r);
}

/* Of a page that is part of a huge one only its content might go, and nobody would wait for it. */
static void page_that_does_not_go_is_no_page_that_comes(void **state)
{
	u8 *other;

	(void)state;
	skip_where_it_cannot_be();
	assert_int_equal(mem_post_expect(&m), 0);
	assert_int_equal(mem_post_list(&m, 0, list, sizeof(list)), 0);
	close(m.gm.memfd); /* a file that always has data there */
	m.gm.memfd = memfd_create("other", MFD_CLOEXEC);
	assert_int_equal(ftruncate(m.gm.memfd, RAM), 0);
	other = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, m.gm.memfd, 0);
	memset(other, 1, RAM);
	assert_int_equal(mem_post_begin(&m, note_page, &m), -EBUSY);
	munmap(other, RAM);
}

static bool has_huge_pages(void)
{
	char line[256], flags[256] = "";
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long from, to;
	bool here = false;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = from <= (uintptr_t)ram() && (uintptr_t)ram() < to;
		if (here && !strncmp(line, "VmFlags:", 8))
			strcpy(flags, line);
	}
	fclose(f);
	return strstr(flags, " hg") && !strstr(flags, " nh");
}

/* The source has sent all of it before: a guest that runs here is to have huge pages again. */
static void list_that_does_not_come_leaves_an_ordinary_memory(void **state)
{
	(void)state;
	skip_where_it_cannot_be();
	if (!has_huge_pages())
		skip(); /* a kernel without */
	assert_int_equal(mem_post_expect(&m), 0);
	assert_false(has_huge_pages());
	mem_post_end(&m);
	assert_true(has_huge_pages());
}

static void host_that_cannot_says_so(void **state)
{
	(void)state;
	mem_post_end(&m);
	assert_false(mem_post_can(&m));
	assert_int_equal(mem_post_expect(&m), -EOPNOTSUPP);
	assert_int_equal(mem_post_list(&m, 0, list, 8), -EINVAL);
	assert_int_equal(mem_post_begin(&m, note_page, &m), -EOPNOTSUPP);
	assert_int_equal(mem_post_left(&m), 0);
	assert_false(mem_post_has_list(&m));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(page_of_the_list_is_asked_for_and_waited_for),
		T(page_that_is_not_on_the_list_is_there),
		T(memory_is_an_ordinary_one_when_all_has_come),
		T(pages_that_are_not_to_come_are_refused),
		T(list_of_pages_that_there_are_not_is_refused),
		T(who_waits_is_woken_when_it_is_given_up),
		T(vm_that_runs_is_not_given_up),
		T(what_is_missing_is_what_has_not_come),
		T(ring_is_mapped_when_its_pages_have_come),
		T(page_that_does_not_go_is_no_page_that_comes),
		T(list_that_does_not_come_leaves_an_ordinary_memory),
		T(host_that_cannot_says_so),
	};

	kvmb_log_set_level(KVMB_LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
