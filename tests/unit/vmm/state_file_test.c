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
#include "tests/unit/test.h"

#define RAM (8u << 20)

static struct kvmb_gm gm;
static int file;
static char why[STATE_FILE_WHY];
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

static int setup(void **state)
{
	(void)state;
	make_ram(&gm);
	file = memfd_create("state", 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free_ram(&gm);
	close(file);
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

	return state_file_write(file, &gm, sections, sizeof(sections), &p, why);
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
	assert_int_equal(state_file_write(file, &gm, sections, sizeof(sections), &p, why),
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
