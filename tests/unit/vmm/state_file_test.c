// SPDX-License-Identifier: GPL-2.0-only
/* The file of a saved VM: what was written comes back; a part of one, or a used one, is refused. */
#include "vmm/state_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/util.h"
#include "lib/zstd_lib.h"
#include "tests/unit/test.h"

#define RAM (8u << 20)

static struct kvmb_gm gm;
static int file;
static char why[STATE_FILE_WHY];
static struct state_file_wish wish = { .threads = 1 };
static u32 writes; /* atomic: after so many, the disk is full; 0: never */
static const char sections[] = "these are the sections";

static void make_ram(struct kvmb_gm *g)
{
	*g = (struct kvmb_gm){ .memfd = memfd_create("ram", 0), .num_regions = 2 };
	assert_int_equal(ftruncate(g->memfd, RAM), 0);
	g->regions[0].hva = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, g->memfd, 0);
	g->regions[0].size = RAM / 4;
	g->regions[1] = (struct kvmb_gm_region){ .base = 1ull << 32, .size = RAM - RAM / 4,
						 .file_offset = RAM / 4,
						 .hva = g->regions[0].hva + RAM / 4 };
}

static void free_ram(struct kvmb_gm *g)
{
	munmap(g->regions[0].hva, RAM);
	close(g->memfd);
}

/* As setup(), compressed by four threads. */
static int setup(void **state);

static int setup_packed(void **state)
{
	wish = (struct state_file_wish){ .threads = 4, .zstd = true };
	return setup(state);
}

static int setup(void **state)
{
	(void)state;
	assert_int_equal(kvmb_zstd_load(why, sizeof(why)), 0);
	make_ram(&gm);
	file = memfd_create("state", 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free_ram(&gm);
	close(file);
	wish = (struct state_file_wish){ .threads = 1 };
	writes = 0;
	return 0;
}

static bool go_on(void *arg, u64 done, u64 total)
{
	(void)arg;
	return done <= total;
}

static bool give_up(void *arg, u64 done, u64 total)
{
	(void)arg, (void)done, (void)total;
	return false;
}

static int save(void)
{
	const struct state_file_progress p = { go_on, NULL };

	return state_file_write(file, &gm, sections, sizeof(sections), &wish, &p, why);
}

static int save_whole(void)
{
	int err = save();

	return err ? err : state_file_complete(file);
}

static int open_again(struct state_file *f)
{
	return state_file_open(f, dup(file), why);
}

static void memory_and_sections_come_back(void **state)
{
	struct kvmb_gm other;
	struct state_file f;
	u32 i;

	(void)state;
	for (i = 0; i < RAM; i += 5 * KVMB_PAGE_SIZE)
		memset(gm.regions[0].hva + i, (int)(i / KVMB_PAGE_SIZE) | 1, 100);
	assert_int_equal(save_whole(), 0);
	make_ram(&other);
	assert_int_equal(open_again(&f), 0);
	assert_int_equal(f.len, sizeof(sections));
	assert_memory_equal(f.sections, sections, sizeof(sections));
	assert_int_equal(state_file_read_memory(&f, &other, why), 0);
	assert_memory_equal(other.regions[0].hva, gm.regions[0].hva, RAM);
	state_file_close(&f);
	free_ram(&other);
}

static void options_come_back_and_others_are_noticed(void **state)
{
	static u8 options[STATE_FILE_CONFIG_MAX];
	struct kvmb_gm other;
	struct state_file f;

	(void)state;
	memset(options, 'o', sizeof(options));
	memset(gm.regions[0].hva, 1, KVMB_PAGE_SIZE);
	assert_int_equal(save_whole(), 0);
	assert_int_equal(state_file_put_config(file, options, sizeof(options)), 0);
	assert_true(state_file_has_config(file, options, sizeof(options)));
	assert_int_equal(open_again(&f), 0);
	assert_int_equal(f.config_len, sizeof(options));
	assert_memory_equal(f.config, options, sizeof(options));
	make_ram(&other);
	assert_int_equal(state_file_read_memory(&f, &other, why), 0); /* which begins behind them */
	assert_int_equal(*other.regions[0].hva, 1);
	state_file_close(&f);
	free_ram(&other);
	options[sizeof(options) - 1] = 'x';
	assert_false(state_file_has_config(file, options, sizeof(options)));
}

static void zero_memory_takes_no_space(void **state)
{
	struct stat st;

	(void)state;
	memset(gm.regions[0].hva, 0, RAM / 2); /* touched, and zero */
	gm.regions[0].hva[RAM / 2 + 5] = 1;
	assert_int_equal(save_whole(), 0);
	assert_int_equal(fstat(file, &st), 0);
	assert_true(st.st_size > RAM);
	assert_true(st.st_blocks * 512 <= 4 * KVMB_PAGE_SIZE);
}

static void one_that_was_not_finished_is_refused(void **state)
{
	struct state_file f;

	(void)state;
	assert_int_equal(save(), 0);
	assert_int_equal(open_again(&f), -EPROTO);
	assert_string_equal(why, "the save was not finished");
}

static void a_state_is_used_once(void **state)
{
	struct state_file f, g;

	(void)state;
	assert_int_equal(save_whole(), 0);
	assert_int_equal(open_again(&f), 0);
	assert_int_equal(state_file_use(&f), 0);
	state_file_close(&f);
	assert_int_equal(open_again(&g), -ESTALE);
	assert_non_null(strstr(why, "used before"));
}

static void one_that_was_given_up_is_not_used_and_takes_no_space(void **state)
{
	struct state_file f;
	struct stat st;

	(void)state;
	memset(gm.regions[0].hva, 1, RAM);
	assert_int_equal(save_whole(), 0);
	state_file_void(file);
	assert_int_equal(open_again(&f), -ESTALE);
	assert_int_equal(fstat(file, &st), 0);
	assert_int_equal(st.st_size, KVMB_PAGE_SIZE);
}

static void who_watches_may_give_up(void **state)
{
	const struct state_file_progress p = { give_up, NULL };

	(void)state;
	gm.regions[0].hva[0] = 1;
	assert_int_equal(state_file_write(file, &gm, sections, sizeof(sections), &wish, &p, why),
			 -ECANCELED);
}

static bool disk_fails;

int fdatasync(int fd)
{
	if (!disk_fails)
		return (int)syscall(SYS_fdatasync, fd);
	errno = EIO;
	return -1;
}

/* vm_start() gives up then: no vCPU ran, and the file is all that is left of the VM. */
static void one_that_could_not_be_marked_is_not_used_up(void **state)
{
	struct state_file f, g;
	int err;

	(void)state;
	assert_int_equal(save_whole(), 0);
	assert_int_equal(open_again(&f), 0);
	disk_fails = true;
	err = state_file_use(&f);
	disk_fails = false;
	assert_int_equal(err, -EIO);
	state_file_close(&f);
	assert_int_equal(open_again(&g), 0);
	state_file_close(&g);
}

/* Its VM went on, or its client did not trust it, after a restore has opened it. */
static void one_that_is_given_up_while_it_is_read_is_not_used(void **state)
{
	struct kvmb_gm other;
	struct state_file f;
	int err;

	(void)state;
	memset(gm.regions[0].hva, 1, RAM);
	assert_int_equal(save_whole(), 0);
	assert_int_equal(open_again(&f), 0);
	state_file_void(file);
	make_ram(&other);
	err = state_file_read_memory(&f, &other, why);
	print_message("read_memory: %d, first byte %d, not 1\n", err, *other.regions[0].hva);
	err = err ? err : state_file_use(&f);
	state_file_close(&f);
	free_ram(&other);
	assert_int_not_equal(err, 0);
}

static void flipped_bits_are_refused(void **state)
{
	struct state_file f;
	off_t at;
	int bit;
	u8 c;

	(void)state;
	assert_int_equal(save_whole(), 0);
	for (at = 0; at < 56 + (off_t)sizeof(sections); at++) {
		off_t pos = at < 56 ? at : (1 << 20) + RAM + at - 56;

		for (bit = 0; bit < 8; bit++) {
			assert_int_equal(pread(file, &c, 1, pos), 1);
			c ^= (u8)(1 << bit);
			assert_int_equal(pwrite(file, &c, 1, pos), 1);
			assert_int_not_equal(open_again(&f), 0);
			c ^= (u8)(1 << bit);
			assert_int_equal(pwrite(file, &c, 1, pos), 1);
		}
	}
	assert_int_equal(open_again(&f), 0);
	state_file_close(&f);
}

static void a_file_cut_off_is_refused(void **state)
{
	struct state_file f;
	const off_t lengths[] = { 0, 10, 55, 56, 5000, (1 << 20) + RAM,
				  (1 << 20) + RAM + sizeof(sections) - 1 };
	u32 i;

	(void)state;
	assert_int_equal(save_whole(), 0);
	for (i = ARRAY_SIZE(lengths); i--;) {
		assert_int_equal(ftruncate(file, lengths[i]), 0);
		assert_int_equal(open_again(&f), -EPROTO);
	}
}

static void a_vm_of_another_size_is_refused(void **state)
{
	struct kvmb_gm other;
	struct state_file f;

	(void)state;
	assert_int_equal(save_whole(), 0);
	make_ram(&other);
	other.regions[1].size -= KVMB_PAGE_SIZE;
	assert_int_equal(open_again(&f), 0);
	assert_int_equal(state_file_read_memory(&f, &other, why), -EPROTO);
	state_file_close(&f);
	free_ram(&other);
}

/* ---- threads ---- */

ssize_t __real_pwrite64(int fd, const void *buf, size_t len, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *buf, size_t len, off_t at)
{
	if (__atomic_load_n(&writes, __ATOMIC_SEQ_CST) &&
	    __atomic_fetch_sub(&writes, 1, __ATOMIC_SEQ_CST) == 1) {
		__atomic_store_n(&writes, 1, __ATOMIC_SEQ_CST); /* and stays full */
		errno = ENOSPC;
		return -1;
	}
	return __real_pwrite64(fd, buf, len, at);
}

/* Pages of all kinds: zero, alike, of no pattern. */
static void fill_ram(void)
{
	u64 x = 88172645463325252ull, *p;
	u32 page, i;

	for (page = 0; page < RAM / KVMB_PAGE_SIZE; page++) {
		p = (u64 *)(gm.regions[0].hva + page * KVMB_PAGE_SIZE);
		for (i = 0; i < KVMB_PAGE_SIZE / 8 && page % 3; i++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			p[i] = page / 64 % 4 ? page : x;
		}
	}
}

static void each_number_of_threads_saves_the_same(void **state)
{
	static const u32 threads[] = { 1, 2, 3, 7, STATE_FILE_THREADS_MAX };
	struct kvmb_gm other;
	struct state_file f;
	u32 i;

	(void)state;
	fill_ram();
	for (i = 0; i < 2 * ARRAY_SIZE(threads); i++) {
		wish.threads = threads[i / 2];
		wish.zstd = i % 2;
		assert_int_equal(ftruncate(file, 0), 0);
		assert_int_equal(save_whole(), 0);
		assert_int_equal(open_again(&f), 0);
		assert_int_equal(f.packed, wish.zstd);
		make_ram(&other);
		assert_int_equal(state_file_read_memory(&f, &other, why), 0);
		assert_memory_equal(other.regions[0].hva, gm.regions[0].hva, RAM);
		state_file_close(&f);
		free_ram(&other);
	}
}

static void a_disk_that_is_full_ends_all_threads_with_one_line(void **state)
{
	static const u32 full_after[] = { 1, 2, 5, 9 };
	u32 i;

	(void)state;
	fill_ram();
	for (i = 0; i < 2 * ARRAY_SIZE(full_after); i++) {
		wish = (struct state_file_wish){ .threads = 4, .zstd = i % 2 };
		writes = full_after[i / 2];
		assert_int_equal(ftruncate(file, 0), 0);
		assert_int_equal(save(), -ENOSPC);
		assert_string_equal(why, "cannot write the state: No space left on device");
	}
	writes = 0;
}

struct watcher {
	u64 last, calls, give_up_at;
	bool backwards;
};

static bool watch(void *arg, u64 done, u64 total)
{
	struct watcher *w = arg;

	w->backwards = w->backwards || done < w->last || done > total;
	w->last = done;
	return ++w->calls != w->give_up_at;
}

static void progress_only_grows_and_ends_with_all(void **state)
{
	u32 i;

	(void)state;
	fill_ram();
	for (i = 0; i < 2; i++) {
		struct watcher w = { 0 };
		const struct state_file_progress p = { watch, &w };

		wish = (struct state_file_wish){ .threads = 4, .zstd = i };
		assert_int_equal(
			state_file_write(file, &gm, sections, sizeof(sections), &wish, &p, why), 0);
		assert_false(w.backwards);
		assert_int_equal(w.last, RAM);
	}
}

static void who_watches_may_give_up_at_any_piece(void **state)
{
	struct watcher w = { 0 };
	const struct state_file_progress p = { watch, &w };
	u64 i, pieces;
	struct state_file f;

	(void)state;
	fill_ram();
	wish = (struct state_file_wish){ .threads = 4, .zstd = true };
	assert_int_equal(state_file_write(file, &gm, sections, sizeof(sections), &wish, &p, why),
			 0);
	pieces = w.calls - 4; /* each of the four looks once more, at least */
	for (i = 1; i <= pieces; i++) {
		w = (struct watcher){ .give_up_at = i };
		assert_int_equal(state_file_write(file, &gm, sections, sizeof(sections), &wish, &p,
						  why),
				 -ECANCELED);
		assert_true(w.calls <= i + 3);
		assert_int_equal(open_again(&f), -EPROTO);
	}
}

/* ---- compressed ---- */

static void compressed_memory_is_smaller_and_zero_takes_none(void **state)
{
	struct stat st;
	u32 i;

	(void)state;
	for (i = 0; i < RAM / 2; i++)
		gm.regions[0].hva[i] = (u8)(i / 64);
	memset(gm.regions[0].hva + RAM / 2, 0, RAM / 4); /* touched, and zero */
	assert_int_equal(save_whole(), 0);
	assert_int_equal(fstat(file, &st), 0);
	assert_true(st.st_size < (1 << 20) + RAM / 20);
}

/* Saving does not make memory of what was never touched: the VM may go on. */
static void saving_takes_no_memory(void **state)
{
	struct stat before, after;
	u32 i;

	(void)state;
	for (i = 0; i < RAM; i += 32 * KVMB_PAGE_SIZE)
		gm.regions[0].hva[i] = 1;
	for (i = 0; i < 2; i++) {
		wish.zstd = i;
		assert_int_equal(fstat(gm.memfd, &before), 0);
		assert_int_equal(save_whole(), 0);
		assert_int_equal(fstat(gm.memfd, &after), 0);
		assert_int_equal(before.st_blocks, after.st_blocks);
	}
}

static void flipped_bits_of_a_compressed_file_are_refused(void **state)
{
	struct state_file f;
	struct kvmb_gm other;
	struct stat st;
	off_t at;
	u64 x = 1;
	int err;
	u8 c;

	(void)state;
	memset(gm.regions[0].hva + RAM / 3, 7, RAM / 3);
	assert_int_equal(save_whole(), 0);
	assert_int_equal(fstat(file, &st), 0);
	for (at = 0; at < st.st_size; at += at < 79 || at >= 1 << 20 ? 1 : (1 << 20) - at) {
		assert_int_equal(pread(file, &c, 1, at), 1);
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		c ^= (u8)(1 << (x >> 61));
		assert_int_equal(pwrite(file, &c, 1, at), 1);
		make_ram(&other);
		err = open_again(&f);
		if (!err) {
			err = state_file_read_memory(&f, &other, why);
			state_file_close(&f);
		}
		free_ram(&other);
		if (!err)
			fail_msg("byte %ld of %ld", (long)at, (long)st.st_size);
		c ^= (u8)(1 << (x >> 61));
		assert_int_equal(pwrite(file, &c, 1, at), 1);
	}
}

static void a_compressed_file_cut_off_is_refused(void **state)
{
	struct state_file f;
	struct stat st;
	off_t len;

	(void)state;
	fill_ram();
	assert_int_equal(save_whole(), 0);
	assert_int_equal(fstat(file, &st), 0);
	for (len = st.st_size - 1; len > 0; len -= len > 1 << 20 ? 50001 : 9973) {
		assert_int_equal(ftruncate(file, len), 0);
		assert_int_equal(open_again(&f), -EPROTO);
	}
}

/* tests/data/state-1.bin has sections of version 1; that such a file is one stays so. */
static void a_file_of_version_1_is_read_for_ever(void **state)
{
	static const u8 header[56] = {
		'k',  'v',  'm', 'b', 'u',  's',  ' ',	's',  't',  'a', 't', 'e', '\n',
		0x1a, '\n', 0,	 1,   0,    0,	  0,	2,    0,    0,	 0,   0,   0,
		0x80, 0,    0,	 0,   0,    0,	  0,	0,    0x90, 0,	 0,   0,   0,
		0,    0,    0,	 0,   0,    0,	  0,	0,    0, /* no sections behind it */
		0,    0,    0,	 0,   0x97, 0xcd, 0xc0, 0xb7,	 /* their CRC, the header's */
	};
	struct kvmb_gm other;
	struct state_file f;

	(void)state;
	assert_int_equal(pwrite(file, header, sizeof(header), 0), sizeof(header));
	assert_int_equal(pwrite(file, "page", 4, (1 << 20) + 5 * KVMB_PAGE_SIZE), 4);
	assert_int_equal(ftruncate(file, (1 << 20) + RAM), 0);
	assert_int_equal(open_again(&f), 0);
	assert_false(f.packed);
	make_ram(&other);
	assert_int_equal(state_file_read_memory(&f, &other, why), 0);
	assert_string_equal((char *)other.regions[0].hva + 5 * KVMB_PAGE_SIZE, "page");
	free_ram(&other);
	state_file_close(&f);
}

/* What this version says of the next, version 1 says of this one: by the same line of code. */
static void a_newer_file_is_refused_with_one_line(void **state)
{
	struct state_file f;

	(void)state;
	assert_int_equal(save_whole(), 0);
	assert_int_equal(pwrite(file, "\3", 1, 16), 1);
	assert_int_equal(open_again(&f), -EPROTO);
	assert_string_equal(why, "this state is of a newer kvmbus");
}

#define PACKED(t)                                                  \
	{                                                          \
		"compressed: " #t, t, setup_packed, teardown, NULL \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(memory_and_sections_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(options_come_back_and_others_are_noticed, setup,
						teardown),
		cmocka_unit_test_setup_teardown(zero_memory_takes_no_space, setup, teardown),
		cmocka_unit_test_setup_teardown(one_that_was_not_finished_is_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_state_is_used_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
			one_that_was_given_up_is_not_used_and_takes_no_space, setup, teardown),
		cmocka_unit_test_setup_teardown(who_watches_may_give_up, setup, teardown),
		T(one_that_could_not_be_marked_is_not_used_up),
		T(one_that_is_given_up_while_it_is_read_is_not_used),
		cmocka_unit_test_setup_teardown(flipped_bits_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_cut_off_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_vm_of_another_size_is_refused, setup, teardown),
		T(each_number_of_threads_saves_the_same),
		T(a_disk_that_is_full_ends_all_threads_with_one_line),
		T(progress_only_grows_and_ends_with_all),
		T(who_watches_may_give_up_at_any_piece),
		T(a_file_of_version_1_is_read_for_ever),
		PACKED(memory_and_sections_come_back),
		PACKED(options_come_back_and_others_are_noticed),
		PACKED(one_that_was_not_finished_is_refused),
		PACKED(one_that_was_given_up_is_not_used_and_takes_no_space),
		PACKED(one_that_is_given_up_while_it_is_read_is_not_used),
		PACKED(a_vm_of_another_size_is_refused),
		PACKED(a_state_is_used_once),
		PACKED(compressed_memory_is_smaller_and_zero_takes_none),
		PACKED(saving_takes_no_memory),
		PACKED(flipped_bits_of_a_compressed_file_are_refused),
		PACKED(a_compressed_file_cut_off_is_refused),
		PACKED(a_newer_file_is_refused_with_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
