// SPDX-License-Identifier: GPL-2.0-only
/* Rounds of a migration: what was touched and what changes arrives, and nothing else is sent. */
#include "vmm/mig_memory.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend/block/disk_dirty.h"
#include "host-vsp/tuner.h"
#include "lib/dirty_log.h"
#include "lib/loop.h"
#include "lib/util.h"
#include "machine/machine.h"
#include "machine/mem_log.h"
#include "tests/unit/test.h"
#include "vmm/disks_priv.h"
#include "vmm/mig_disks.h"

#define PAGES 300u /* no multiple of 64, and more than one chunk */
#define RAM (PAGES * KVMB_PAGE_SIZE)

static struct machine machine;
static struct mig_memory memory;
static struct mig_stream out, in;
static u8 *ram, *copy;		   /* what the target has */
static u64 full_pages, zero_pages; /* that were sent */
static char why[MIG_WHY];

/* ---- its disk ---- */

#define DISK (16u * KVMB_DISK_CHUNK)

static struct kvmb_disk disk; /* fd < 0: none */
static struct mig_disks disks;
static u64 disk_bytes; /* that were sent */
static bool disk_complete; /* atomic */
static u32 disk_writes; /* that the guest makes yet, one a take */

bool disks_each_unit(struct vm *v, u32 *c, u32 *lun, struct kvmb_unit_info *i)
{
	(void)v;
	if (disk.fd < 0 || *c || *lun)
		return false;
	*i = (struct kvmb_unit_info){ .disk = &disk };
	return true;
}

static void write_disk(u64 chunk)
{
	u64 v = kvmb_mono_ns();

	assert_int_equal(pwrite(disk.fd, &v, sizeof(v), (off_t)(chunk * KVMB_DISK_CHUNK)),
			 sizeof(v));
	kvmb_disk_dirty(&disk, chunk * KVMB_DISK_CHUNK, sizeof(v));
}

static void apply_disk(struct kvmb_tlv *t)
{
	size_t len;

	assert_false(disk_complete);
	__atomic_store_n(&disk_complete, kvmb_tlv_has(t, MIG_DISK_ALL), __ATOMIC_SEQ_CST);
	if (!kvmb_tlv_has(t, MIG_DISK_DATA))
		return;
	kvmb_tlv_get_bytes(t, MIG_DISK_DATA, &len);
	disk_bytes += len;
}

/* ---- the guest ---- */

static u32 takes, change_until; /* takes after which the guest goes on changing memory */
static u32 change;		/* pages a take */
static bool zeroes;
static useconds_t slow; /* of the target, each section */

static void set_page(u64 page, u8 v)
{
	memset(ram + page * KVMB_PAGE_SIZE, v, KVMB_PAGE_SIZE);
	ram[page * KVMB_PAGE_SIZE + 77] ^= 1;
}

/* The first has all pages, as KVM's. */
int machine_log_take(struct machine *m, u64 *bits)
{
	u64 page;

	(void)m;
	if (!takes++) {
		memset(bits, 0xff, (PAGES + 63) / 64 * sizeof(*bits));
		return 0;
	}
	if (disk_writes)
		write_disk(--disk_writes % 16);
	for (page = 0; zeroes && page < PAGES; page += 2)
		bits[page / 64] |= 1ull << page % 64; /* the guest has cleared every other page */
	for (page = 0; takes <= change_until && page < change; page++) {
		set_page(page * 3 % PAGES, (u8)(takes + page));
		bits[page * 3 % PAGES / 64] |= 1ull << page * 3 % PAGES % 64;
	}
	return 0;
}

/* ---- the target ---- */

static void apply(struct kvmb_tlv *t)
{
	u64 first = kvmb_tlv_get(t, MIG_MEM_FIRST, PAGES - 1), n;
	const u8 *pages;
	size_t len;

	if (kvmb_tlv_has(t, MIG_MEM_ZERO)) {
		n = kvmb_tlv_get(t, MIG_MEM_ZERO, PAGES);
		memset(copy + first * KVMB_PAGE_SIZE, 0, n * KVMB_PAGE_SIZE);
		zero_pages += n;
		return;
	}
	pages = kvmb_tlv_get_bytes(t, MIG_MEM_PAGES, &len);
	assert_in_range(first * KVMB_PAGE_SIZE + len, 0, RAM);
	memcpy(copy + first * KVMB_PAGE_SIZE, pages, len);
	full_pages += len / KVMB_PAGE_SIZE;
}

static void *receive(void *arg)
{
	struct mig_section sec = { 0 };

	(void)arg;
	while (!mig_recv_section(&in, &sec)) {
		if (slow)
			usleep(slow);
		if (sec.t.tag == KVMB_SEC_DISK)
			apply_disk(&sec.t);
		else
			apply(&sec.t);
	}
	mig_section_fini(&sec);
	return NULL;
}

static pthread_t receiver;

static int setup(void **state)
{
	int sv[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	out = (struct mig_stream){ .fd = sv[0] };
	in = (struct mig_stream){ .fd = sv[1] };
	machine.gm.memfd = memfd_create("ram", 0);
	assert_int_equal(ftruncate(machine.gm.memfd, RAM), 0);
	ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, machine.gm.memfd, 0);
	machine.gm.num_regions = 1;
	machine.gm.regions[0] = (struct kvmb_gm_region){ .size = RAM, .hva = ram };
	copy = kvmb_xzalloc(RAM);
	takes = change_until = change = 0;
	full_pages = zero_pages = 0;
	zeroes = false;
	slow = 0;
	disk = (struct kvmb_disk){ .fd = -1, .lock_fd = -1, .block = 512, .blocks = DISK / 512 };
	disk_bytes = disk_writes = 0;
	disk_complete = false;
	assert_int_equal(mig_memory_init(&memory, &machine), 0);
	assert_int_equal(pthread_create(&receiver, NULL, receive, NULL), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(in.fd);
	mig_memory_fini(&memory);
	mig_disks_end(&disks);
	kvmb_disk_dirty_free(&disk);
	if (disk.fd >= 0)
		close(disk.fd);
	munmap(ram, RAM);
	close(machine.gm.memfd);
	free(copy);
	return 0;
}

static void end_of_stream(void)
{
	close(out.fd);
	pthread_join(receiver, NULL);
	assert_memory_equal(copy, ram, RAM);
}

#define AT_LEISURE 60000 /* ms */

static u32 percents[16], num_percents;

/* A guest that is slowed down by half changes nothing any more. */
static void slow_down(void *arg, u32 percent)
{
	assert_ptr_equal(arg, percents);
	assert_in_range(num_percents, 0, 15);
	percents[num_percents++] = percent;
	if (percent >= 50)
		change = 0;
}

static int send_live(u32 downtime_ms, u32 timeout_s)
{
	const struct mig_pace pace = { .downtime_ms = downtime_ms, .timeout_s = timeout_s };

	return mig_memory_live(&memory, &out, &pace, why);
}

static void what_was_never_touched_or_is_zero_is_not_sent(void **state)
{
	(void)state;
	set_page(0, 1);
	memset(ram + 3 * KVMB_PAGE_SIZE, 0, KVMB_PAGE_SIZE); /* touched */
	set_page(100, 2);
	set_page(PAGES - 1, 3);
	assert_int_equal(send_live(AT_LEISURE, 0), 0);
	assert_int_equal(mig_memory_last(&memory, &out, why), 0);
	end_of_stream();
	assert_int_equal(full_pages, 3);
	assert_int_equal(zero_pages, 0);
}

static void what_changes_is_sent_again_until_it_is_little(void **state)
{
	u64 page;

	(void)state;
	for (page = 0; page < PAGES; page++)
		set_page(page, (u8)page);
	change = 20;
	change_until = 5;
	assert_int_equal(send_live(0, 0), 0);
	assert_int_equal(memory.rounds, 5); /* the guest was still in the fifth */
	change_until = 100;
	assert_int_equal(mig_memory_last(&memory, &out, why), 0);
	end_of_stream();
	assert_int_equal(full_pages, PAGES + 5 * 20);
}

static void page_that_becomes_zero_is_told(void **state)
{
	(void)state;
	set_page(9, 1);
	assert_int_equal(send_live(AT_LEISURE, 0), 0);
	memset(ram + 9 * KVMB_PAGE_SIZE, 0, KVMB_PAGE_SIZE);
	memory.bits[0] |= 1ull << 9;
	assert_int_equal(mig_memory_last(&memory, &out, why), 0);
	end_of_stream();
	assert_int_equal(zero_pages, 1);
}

/* One that the guest has given away is not looked at, which would make it anew. */
static void page_that_is_away_is_zero(void **state)
{
	u64 away[PAGES / 64 + 1] = { 0 };
	struct stat before, after;

	(void)state;
	set_page(9, 1);
	set_page(20, 2);
	machine.gm.away = away;
	away[0] = 1ull << 9 | 1ull << 11;
	assert_int_equal(send_live(AT_LEISURE, 0), 0);
	away[0] |= 1ull << 20;
	assert_int_equal(madvise(ram + 20 * KVMB_PAGE_SIZE, KVMB_PAGE_SIZE, MADV_REMOVE), 0);
	assert_int_equal(fstat(machine.gm.memfd, &before), 0);
	memory.bits[0] |= 1ull << 9 | 1ull << 11 | 1ull << 20;
	assert_int_equal(mig_memory_last(&memory, &out, why), 0);
	assert_int_equal(fstat(machine.gm.memfd, &after), 0);
	machine.gm.away = NULL;
	close(out.fd);
	pthread_join(receiver, NULL);
	assert_int_equal(full_pages, 1);
	assert_int_equal(zero_pages, 3);
	assert_int_equal(copy[9 * KVMB_PAGE_SIZE], 0);
	assert_int_equal(copy[20 * KVMB_PAGE_SIZE], 0);
	assert_int_equal(after.st_blocks, before.st_blocks);
}

static void guest_that_never_stops_is_given_up_in_time(void **state)
{
	(void)state;
	set_page(0, 1);
	change = 1;
	change_until = UINT32_MAX;
	assert_int_equal(send_live(0, 1), -ETIME);
	assert_non_null(strstr(why, "allow more downtime"));
	close(out.fd);
	pthread_join(receiver, NULL);
}

static void guest_that_outruns_the_link_is_slowed_until_it_does_not(void **state)
{
	const struct mig_pace pace = { .slow_down = slow_down, .arg = percents };
	u64 page;

	(void)state;
	for (page = 0; page < PAGES; page++)
		set_page(page, (u8)page);
	change = 90;
	change_until = UINT32_MAX;
	num_percents = 0;
	assert_int_equal(mig_memory_live(&memory, &out, &pace, why), 0);
	assert_int_equal(num_percents, 4);
	assert_int_equal(percents[0], 20);
	assert_int_equal(percents[3], 50);
	assert_int_equal(mig_memory_last(&memory, &out, why), 0);
	end_of_stream();
}

/* What a guest changes less each time needs no help. */
static void guest_that_comes_to_rest_is_not_slowed(void **state)
{
	const struct mig_pace pace = { .slow_down = slow_down, .arg = percents };

	(void)state;
	set_page(0, 1);
	change = 90;
	change_until = 3;
	num_percents = 0;
	assert_int_equal(mig_memory_live(&memory, &out, &pace, why), 0);
	assert_int_equal(num_percents, 0);
	end_of_stream();
}

static void target_that_goes_ends_it(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	shutdown(in.fd, SHUT_RDWR);
	pthread_join(receiver, NULL);
	set_page(0, 1);
	assert_int_equal(send_live(AT_LEISURE, 0), -EPIPE);
	close(out.fd);
}

/* REV3-5: --timeout counts on a link on which one round takes longer than that, too. */
static void timeout_counts_within_a_round(void **state)
{
	const int little = 65536;
	u64 begin = kvmb_now_ms(), page;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	setsockopt(out.fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof(little));
	slow = 1000000; /* 256 KiB/s: 5 s in all */
	for (page = 0; page < PAGES; page++)
		set_page(page, (u8)(page + 1));
	send_live(0, 1);
	close(out.fd);
	pthread_join(receiver, NULL);
	assert_in_range(kvmb_now_ms() - begin, 0, 2500);
}

/*
 * The guest clears pages. A round of them takes a millisecond, so the last would, too; but
 * bytes that are left are bytes of RAM, and bytes that were sent are those of the stream.
 */
static void pages_that_become_zero_do_not_keep_it_from_ending(void **state)
{
	u64 begin = kvmb_mono_ns(), ns;
	int err;

	(void)state;
	zeroes = true;
	memset(ram, 0, RAM);
	ram[0] = 1;
	err = send_live(30, 2);
	ns = (kvmb_mono_ns() - begin) / (memory.rounds + 1);
	print_message("err %d, %u rounds of %llu us each, allowed are 30000 us\n", err,
		      memory.rounds, (unsigned long long)ns / 1000);
	close(out.fd);
	pthread_join(receiver, NULL);
	if (ns < 15000000) { /* half of what is allowed */
		assert_int_equal(err, 0);
		assert_in_range(memory.rounds, 1, 4);
	}
}

/* A file that cannot be asked is not one without data. */
static void memory_that_cannot_be_asked_for_is_an_error(void **state)
{
	int pipes[2], memfd = machine.gm.memfd;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	set_page(0, 1);
	machine.gm.memfd = pipes[0];
	assert_int_not_equal(send_live(AT_LEISURE, 0), 0);
	machine.gm.memfd = memfd;
	close(out.fd);
	pthread_join(receiver, NULL);
}

/* ---- a limit ---- */

static int cancelled;

static int send_limited(u64 bandwidth, u32 downtime_ms, u32 timeout_s)
{
	const struct mig_pace pace = { .bandwidth = bandwidth,
				       .downtime_ms = downtime_ms,
				       .timeout_s = timeout_s };
	u64 page;

	signal(SIGPIPE, SIG_IGN);
	for (page = 0; page < PAGES; page++)
		set_page(page, (u8)(page + 1));
	return mig_memory_live(&memory, &out, &pace, why);
}

/* 1.2 MB at 1 MB a second, in bursts of a quarter; then all of it again, while the guest stands. */
static void limit_is_kept_until_the_guest_stands(void **state)
{
	u64 begin = kvmb_now_ms(), ms;

	(void)state;
	assert_int_equal(send_limited(1000000, AT_LEISURE, 0), 0);
	ms = kvmb_now_ms() - begin;
	print_message("live: %llu ms\n", (unsigned long long)ms);
	assert_in_range(ms, 900, 2500);
	memset(memory.bits, 0xff, PAGES / 64 * 8);
	begin = kvmb_now_ms();
	assert_int_equal(mig_memory_last(&memory, &out, why), 0);
	assert_in_range(kvmb_now_ms() - begin, 0, 500);
	end_of_stream();
}

/* 80 kB a round would take 80 ms within the limit; it fits into a burst, and takes none. */
static void what_fits_into_a_burst_ends_it_though_the_limit_would_not(void **state)
{
	(void)state;
	change = 20;
	change_until = UINT32_MAX;
	assert_int_equal(send_limited(1000000, 60, 5), 0);
	assert_in_range(memory.rounds, 1, 5);
	change = 0;
	assert_int_equal(mig_memory_last(&memory, &out, why), 0);
	end_of_stream();
}

/* How fast 400 kB go out nobody has seen. */
static void what_is_more_than_a_burst_is_not_promised(void **state)
{
	(void)state;
	change = 100;
	change_until = UINT32_MAX;
	assert_int_equal(send_limited(1000000, 300, 3), -ETIME);
	close(out.fd);
	pthread_join(receiver, NULL);
}

static void *cancel_soon(void *arg)
{
	u64 *at = arg;

	usleep(400000);
	*at = kvmb_now_ms();
	__atomic_store_n(&cancelled, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void pause_can_be_cancelled(void **state)
{
	pthread_t t;
	u64 at = 0;

	(void)state;
	cancelled = 0;
	out.cancelled = &cancelled;
	assert_int_equal(pthread_create(&t, NULL, cancel_soon, &at), 0);
	assert_int_equal(send_limited(1000, AT_LEISURE, 0), -ECANCELED);
	pthread_join(t, NULL);
	assert_in_range(kvmb_now_ms() - at, 0, 400); /* 200, on a quiet machine */
	close(out.fd);
	pthread_join(receiver, NULL);
}

static void pause_ends_in_time(void **state)
{
	u64 begin = kvmb_now_ms();

	(void)state;
	assert_int_equal(send_limited(1000, AT_LEISURE, 1), -ETIME);
	assert_in_range(kvmb_now_ms() - begin, 900, 2000);
	close(out.fd);
	pthread_join(receiver, NULL);
}

static void *hang_up_soon(void *arg)
{
	u64 *at = arg;

	usleep(400000);
	*at = kvmb_now_ms();
	shutdown(in.fd, SHUT_RDWR);
	return NULL;
}

static void target_that_goes_ends_a_pause(void **state)
{
	pthread_t t;
	u64 at = 0;

	(void)state;
	assert_int_equal(pthread_create(&t, NULL, hang_up_soon, &at), 0);
	assert_int_equal(send_limited(1000, AT_LEISURE, 0), -EPIPE);
	pthread_join(t, NULL);
	assert_in_range(kvmb_now_ms() - at, 0, 1000);
	pthread_join(receiver, NULL);
	close(out.fd);
}

/* ---- disks ---- */

static void make_disk(void)
{
	u64 chunk;

	assert_int_equal(kvmb_dirty_log_prepare(), 0);
	disk.fd = memfd_create("disk", 0);
	assert_int_equal(ftruncate(disk.fd, DISK), 0);
	for (chunk = 0; chunk < 16; chunk++)
		write_disk(chunk);
	assert_int_equal(mig_disks_begin(&disks, NULL, why, sizeof(why)), 0);
}

static void disk_goes_along_until_both_are_little(void **state)
{
	const struct mig_pace pace = { .disks = &disks };

	(void)state;
	make_disk();
	set_page(0, 1);
	disk_writes = 10; /* with no downtime allowed, it ends when nothing at all is left */
	assert_int_equal(mig_memory_live(&memory, &out, &pace, why), 0);
	assert_false(__atomic_load_n(&disk_complete, __ATOMIC_SEQ_CST));
	write_disk(3);
	set_page(5, 9);
	memory.bits[0] |= 1ull << 5;
	assert_int_equal(mig_memory_last(&memory, &out, why), 0);
	end_of_stream();
	assert_true(disk_complete);
	assert_int_equal(disk_writes, 0);
	assert_int_equal(disk_bytes, DISK + 11 * KVMB_DISK_CHUNK);
	assert_int_equal(memory.rounds, 11);
	assert_int_equal(full_pages, 2);
}

/* 1 MiB of disk at 1 MB a second, as the same of memory. */
static void limit_counts_disks(void **state)
{
	const struct mig_pace pace = { .disks = &disks,
				       .bandwidth = 1000000,
				       .downtime_ms = AT_LEISURE };
	u64 begin = kvmb_now_ms();

	(void)state;
	make_disk();
	assert_int_equal(mig_memory_live(&memory, &out, &pace, why), 0);
	assert_in_range(kvmb_now_ms() - begin, 700, 2500);
	end_of_stream();
}

static void guest_that_never_stops_writing_is_given_up_in_time(void **state)
{
	const struct mig_pace pace = { .disks = &disks, .timeout_s = 1 };

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	make_disk();
	disk_writes = UINT32_MAX;
	assert_int_equal(mig_memory_live(&memory, &out, &pace, why), -ETIME);
	assert_non_null(strstr(why, "memory or disks"));
	close(out.fd);
	pthread_join(receiver, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(disk_goes_along_until_both_are_little),
		T(limit_counts_disks),
		T(guest_that_never_stops_writing_is_given_up_in_time),
		T(limit_is_kept_until_the_guest_stands),
		T(what_fits_into_a_burst_ends_it_though_the_limit_would_not),
		T(what_is_more_than_a_burst_is_not_promised),
		T(pause_can_be_cancelled),
		T(pause_ends_in_time),
		T(target_that_goes_ends_a_pause),
		T(timeout_counts_within_a_round),
		T(pages_that_become_zero_do_not_keep_it_from_ending),
		T(memory_that_cannot_be_asked_for_is_an_error),
		T(what_was_never_touched_or_is_zero_is_not_sent),
		T(what_changes_is_sent_again_until_it_is_little),
		T(page_that_becomes_zero_is_told),
		T(page_that_is_away_is_zero),
		T(guest_that_never_stops_is_given_up_in_time),
		T(guest_that_outruns_the_link_is_slowed_until_it_does_not),
		T(guest_that_comes_to_rest_is_not_slowed),
		T(target_that_goes_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
