// SPDX-License-Identifier: GPL-2.0-only
/*
 * A backup, and all that can go wrong with it: the files hold what the disks had at the moment,
 * whatever the guest writes afterwards; and whoever fails, the VM goes on and the guest is thawed.
 */
#include "tests/harness/backup_box.h"

/* ---- tests ---- */

static json_int_t figure(u32 disk, const char *name)
{
	json_t *o = json_array_get(json_object_get(result, "disks"), disk);

	return json_integer_value(json_object_get(o, name));
}

static void files_hold_the_moment_while_the_guest_writes(void **state)
{
	(void)state;
	fill_disks(1);
	remember();
	ask_with(wishes_of(ID_A, NULL, true, 32 * CHUNK)); /* it takes more than a second */
	guest_freezes(0);
	assert_int_equal(thaws, 1); /* at once */
	assert_int_equal(vm.state, VM_RUNNING);
	fill_disks(2); /* each of them waits for its chunk, and not for more */
	assert_string_equal(answer, "");
	serve_until(answered);
	assert_string_equal(answer, "ok");
	assert_true(json_is_true(json_object_get(result, "frozen")));
	assert_int_equal(figure(1, "copied"), BYTES);
	assert_true(figure(0, "copied") < (json_int_t)(8 * CHUNK)); /* not its holes */
	copies_are_what_was();
	all_is_as_before();
	assert_int_equal(thaws, 1);
}

static void without_a_freeze_nobody_is_asked(void **state)
{
	(void)state;
	fill_disks(1);
	remember();
	ask_with(wishes_of(ID_A, NULL, false, 0));
	serve_until(answered);
	assert_string_equal(answer, "ok");
	assert_true(json_is_false(json_object_get(result, "frozen")));
	copies_are_what_was();
	all_is_as_before();
	assert_int_equal(thaws, 0);
}

static void a_vm_that_is_paused_stays_so(void **state)
{
	(void)state;
	fill_disks(1);
	vm.state = VM_PAUSED;
	ask_with(wishes_of(ID_A, NULL, true, 0));
	serve_until(answered);
	assert_non_null(strstr(answer, "kvmbus resume"));
	hang_up();
	remember();
	ask_with(wishes_of(ID_A, NULL, false, 0));
	serve_until(answered);
	assert_string_equal(answer, "ok");
	assert_int_equal(vm.state, VM_PAUSED);
	copies_are_what_was();
	vm.state = VM_RUNNING;
	all_is_as_before();
}

/* The files begin as the last backup, as the client makes them. */
static void changes_and_the_last_backup_are_all(void **state)
{
	int old[2], i;
	u8 *p;

	(void)state;
	fill_disks(1);
	ask_with(wishes_of(ID_A, NULL, true, 0));
	guest_freezes(0);
	serve_until(answered);
	assert_string_equal(answer, "ok");
	all_is_as_before();
	guest_writes(0, 7 * CHUNK - 512, 0, 1024); /* what becomes zero is a change, too */
	guest_writes(1, 30 * CHUNK, 5, 512);
	for (i = 0; i < 2; i++)
		old[i] = dup(files[i]);
	new_files();
	for (i = 0; i < 2; i++) {
		p = contents(old[i]);
		assert_int_equal(pwrite(files[i], p, BYTES, 0), BYTES);
		free(p);
		close(old[i]);
	}
	remember();
	ask_with(wishes_of(ID_B, ID_A, true, 0));
	guest_freezes(0);
	serve_until(answered);
	assert_string_equal(answer, "ok");
	assert_int_equal(figure(0, "copied"), 2 * CHUNK);
	assert_int_equal(figure(1, "copied"), CHUNK);
	copies_are_what_was();
	all_is_as_before();
}

static void changes_since_another_backup_are_not_known(void **state)
{
	(void)state;
	fill_disks(1);
	ask_with(wishes_of(ID_A, NULL, false, 0));
	serve_until(answered);
	assert_string_equal(answer, "ok");
	hang_up();
	ask_with(wishes_of(ID_A, ID_B, false, 0));
	assert_non_null(strstr(answer, "make a full one"));
	all_is_as_before();
	disks[0].blocks += 8; /* it was resized */
	assert_int_equal(ftruncate(disks[0].fd, BYTES + 4096), 0);
	assert_int_equal(ftruncate(files[0], BYTES + 4096), 0);
	ask_with(wishes_of(ID_B, ID_A, false, 0));
	assert_non_null(strstr(answer, "make a full one"));
	all_is_as_before();
}

/* What failed has not eaten the changes. */
static void a_failure_between_two_backups_loses_no_change(void **state)
{
	u8 *p;
	int i;

	(void)state;
	fill_disks(1);
	ask_with(wishes_of(ID_A, NULL, false, 0));
	serve_until(answered);
	hang_up();
	guest_writes(1, 30 * CHUNK, 5, 512);
	__atomic_store_n(&read_err, -EIO, __ATOMIC_RELEASE);
	ask_with(wishes_of(ID_B, ID_A, false, 0));
	serve_until(answered);
	assert_non_null(strstr(answer, "cannot be read"));
	all_is_as_before();
	__atomic_store_n(&read_err, 0, __ATOMIC_RELEASE);
	guest_writes(1, 31 * CHUNK, 6, 512);
	remember();
	ask_with(wishes_of(ID_B, ID_A, false, 0));
	serve_until(answered);
	assert_string_equal(answer, "ok");
	for (i = 0; i < 2; i++) {
		p = contents(files[i]);
		assert_memory_equal(p, before[i], BYTES);
		free(p);
		free(before[i]);
	}
	assert_int_equal(figure(1, "copied"), 2 * CHUNK);
	all_is_as_before();
}

static void a_guest_that_does_not_freeze_costs_nothing(void **state)
{
	static const int errs[] = { -EOPNOTSUPP, -EIO, -ETIMEDOUT, -ECONNRESET };
	static const int at_once[] = { -ENOTCONN, -EBUSY, -EAGAIN };
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(errs); i++) {
		ask_with(wishes_of(ID_A, NULL, true, 0));
		guest_freezes(errs[i]);
		assert_true(answered());
		assert_string_not_equal(answer, "ok");
		all_is_as_before();
		new_files();
	}
	for (i = 0; i < ARRAY_SIZE(at_once); i++) {
		freeze_err = at_once[i];
		ask_with(wishes_of(ID_A, NULL, true, 0));
		serve_until(answered);
		assert_string_not_equal(answer, "ok");
		all_is_as_before();
		new_files();
	}
	assert_int_equal(thaws, 0); /* of somebody else's freeze */
}

static void what_happens_at_the_moment_spoils_it(void **state)
{
	(void)state;
	happens_at_rest = "the host is out of space";
	ask_with(wishes_of(ID_A, NULL, true, 0));
	guest_freezes(0);
	assert_non_null(strstr(answer, "stopped"));
	assert_int_equal(vm.state, VM_PAUSED); /* for its reason */
	assert_int_equal(thaws, 1);
	vm.stop_reason[0] = 0;
	happens_at_rest = NULL;
	vm.state = VM_RUNNING;
	all_is_as_before();

	new_files();
	ask_with(wishes_of(ID_A, NULL, true, 0));
	serve_until(freezing);
	is_frozen = false; /* its driver went, or it was too long ago */
	freeze_done(freeze_arg, 0);
	assert_non_null(strstr(answer, "did not stay frozen"));
	assert_int_equal(thaws, 2);
	all_is_as_before();

	new_files();
	request_waits = true;
	ask_with(wishes_of(ID_A, NULL, false, 0));
	serve_until(answered);
	assert_non_null(strstr(answer, "reset"));
	request_waits = false;
	all_is_as_before();

	new_files();
	ask_with(wishes_of(ID_A, NULL, true, 0));
	serve_until(freezing);
	disks[1].blocks += 8; /* since it was asked for */
	is_frozen = true;
	freeze_done(freeze_arg, 0);
	assert_non_null(strstr(answer, "another size"));
	assert_int_equal(thaws, 3);
	all_is_as_before();
}

static void a_disk_that_does_not_come_to_rest_lets_the_guest_go(void **state)
{
	(void)state;
	never_rests = true;
	ask_with(wishes_of(ID_A, NULL, true, 0));
	guest_freezes(0);
	assert_true(backup_stands(&vm));
	assert_int_equal(vm.state, VM_PAUSED);
	kvmb_loop_once(vm.loop, 10);
	assert_string_equal(answer, "");
	hang_up(); /* one way out; the other is a timer */
	serve_until(answered);
	assert_int_equal(thaws, 1);
	all_is_as_before();
	new_files();
	ask_with(wishes_of(ID_A, NULL, true, 0));
	guest_freezes(0);
	serve_until(answered);
	assert_non_null(strstr(answer, "did not finish its requests"));
	assert_int_equal(thaws, 2);
	all_is_as_before();
}

static void a_client_that_goes_ends_it_at_any_step(void **state)
{
	(void)state;
	ask_with(wishes_of(ID_A, NULL, true, 0));
	hang_up(); /* perhaps while the thread looks for clones */
	serve_until(answered);
	assert_string_equal(answer, "the backup was given up");
	all_is_as_before();

	new_files();
	thaws = 0;
	ask_with(wishes_of(ID_A, NULL, true, 0));
	serve_until(freezing);
	hang_up();
	serve_until(answered);
	assert_int_equal(thaws, 1);
	all_is_as_before();

	new_files();
	ask_with(wishes_of(ID_A, NULL, true, CHUNK));
	guest_freezes(0);
	assert_int_equal(thaws, 2);
	hang_up();
	serve_until(answered);
	assert_string_equal(answer, "the backup was given up");
	guest_writes(0, 0, 9, 512); /* nobody waits */
	all_is_as_before();
}

static void files_that_cannot_be_written_let_the_guest_go_on(void **state)
{
	(void)state;
	fill_disks(1);
	assert_int_equal(fcntl(files[0], F_ADD_SEALS, F_SEAL_WRITE), 0);
	ask_with(wishes_of(ID_A, NULL, true, 0));
	guest_freezes(0);
	serve_until(answered);
	assert_non_null(strstr(answer, "cannot be written"));
	guest_writes(0, 0, 9, 512);
	assert_int_equal(thaws, 1);
	all_is_as_before();
}

static void disks_that_cannot_be_read_let_the_guest_go_on(void **state)
{
	(void)state;
	__atomic_store_n(&read_err, -EIO, __ATOMIC_RELEASE);
	ask_with(wishes_of(ID_A, NULL, true, 0));
	guest_freezes(0);
	serve_until(answered);
	assert_non_null(strstr(answer, "disk 0:1 cannot be read"));
	guest_writes(1, 0, 9, 512);
	all_is_as_before();
}

static void the_end_of_the_vm_ends_it(void **state)
{
	u32 step;

	(void)state;
	for (step = 0; step < 3; step++) {
		never_rests = step == 1;
		new_files();
		ask_with(wishes_of(ID_A, NULL, true, CHUNK));
		if (step)
			guest_freezes(0);
		backup_destroy(&vm);
		assert_string_equal(answer, "the VM ended");
		assert_null(vm.backup);
		assert_false(disks[0].pointed || disks[1].pointed || freezes);
		rests = false;
		vm.state = VM_RUNNING;
		hang_up();
	}
	backup_destroy(&vm);
}

static void refuses(json_t *args, const char *why)
{
	ask_with(args);
	assert_true(answered());
	if (!strstr(answer, why))
		fail_msg("\"%s\" and not \"%s\"", answer, why);
	all_is_as_before();
}

static void what_makes_no_sense_changes_nothing(void **state)
{
	struct handover_fds fds = { 0 };
	json_t *o;

	(void)state;
	refuses(wishes_of("xyz", NULL, true, 0), "32 hexadecimal");
	refuses(wishes_of(ID_A, "../../../../../../../etc/passwd", true, 0), "32 hexadecimal");
	o = wishes_of(ID_A, NULL, true, 0);
	json_object_set_new(json_array_get(json_object_get(o, "disks"), 1), "bytes",
			    json_integer(5));
	refuses(o, "not those");
	o = wishes_of(ID_A, NULL, true, 0);
	json_object_set_new(json_array_get(json_object_get(o, "disks"), 1), "lun", json_integer(2));
	refuses(o, "not those");
	o = wishes_of(ID_A, NULL, true, 0);
	json_array_remove(json_object_get(o, "disks"), 1);
	refuses(o, "must come with");
	refuses(json_object(), "");
	refuses(NULL, "");
	assert_int_equal(pwrite(files[1], "x", 1, 0), 1);
	refuses(wishes_of(ID_A, NULL, true, 0), "is not empty");
	new_files();
	close(files[1]);
	files[1] = open("/dev/null", O_RDWR);
	refuses(wishes_of(ID_A, NULL, true, 0), "is no file");
	new_files();
	disks_are_busy = true;
	refuses(wishes_of(ID_A, NULL, true, 0), "try again");
	disks_are_busy = false;
	answer[0] = 0;
	o = wishes_of(ID_A, NULL, true, 0);
	backup_begin(&vm, o, &fds, (struct ctl_reply){ on_reply, NULL });
	json_decref(o);
	assert_true(answered());
	all_is_as_before();
}

static void info_says_how_far_it_is(void **state)
{
	json_t *o = backup_info(&vm);

	(void)state;
	assert_true(json_is_null(o));
	json_decref(o);
	ask_with(wishes_of(ID_A, NULL, true, CHUNK));
	guest_freezes(0);
	o = backup_info(&vm);
	assert_string_equal(json_string_value(json_object_get(o, "step")), "copying");
	json_decref(o);
	hang_up();
	serve_until(answered);
	all_is_as_before();
}

/* On a file system that can clone, nothing is read. TMPDIR says where to look for one. */
static void a_raw_file_is_cloned_where_that_can_be(void **state)
{
	const char *dir = getenv("TMPDIR");
	int fd = open(dir ? dir : "/tmp", O_TMPFILE | O_RDWR, 0600), old;
	int target = open(dir ? dir : "/tmp", O_TMPFILE | O_RDWR, 0600);

	(void)state;
	assert_true(fd >= 0 && target >= 0);
	old = disks[0].fd;
	assert_int_equal(ftruncate(fd, BYTES), 0);
	if (ioctl(target, FICLONE, fd)) {
		print_message("no file system here that can clone\n");
		close(fd);
		close(target);
		return;
	}
	assert_int_equal(ftruncate(target, 0), 0);
	close(old);
	disks[0].fd = fd;
	close(files[0]);
	files[0] = target;
	fill_disks(1);
	remember();
	ask_with(wishes_of(ID_A, NULL, true, 0));
	guest_freezes(0);
	fill_disks(2);
	serve_until(answered);
	assert_string_equal(answer, "ok");
	assert_int_equal(figure(0, "copied"), 0);
	copies_are_what_was();
	all_is_as_before();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(files_hold_the_moment_while_the_guest_writes),
		TEST(without_a_freeze_nobody_is_asked),
		TEST(a_vm_that_is_paused_stays_so),
		TEST(changes_and_the_last_backup_are_all),
		TEST(changes_since_another_backup_are_not_known),
		TEST(a_failure_between_two_backups_loses_no_change),
		TEST(a_guest_that_does_not_freeze_costs_nothing),
		TEST(what_happens_at_the_moment_spoils_it),
		TEST(a_disk_that_does_not_come_to_rest_lets_the_guest_go),
		TEST(a_client_that_goes_ends_it_at_any_step),
		TEST(files_that_cannot_be_written_let_the_guest_go_on),
		TEST(disks_that_cannot_be_read_let_the_guest_go_on),
		TEST(the_end_of_the_vm_ends_it),
		TEST(what_makes_no_sense_changes_nothing),
		TEST(info_says_how_far_it_is),
		TEST(a_raw_file_is_cloned_where_that_can_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
