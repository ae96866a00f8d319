// SPDX-License-Identifier: GPL-2.0-only
/* `kvmbus disk VM ...`: what the VM's keeper is told of a change, whatever the VM says of it. */
#define kvmb_keeper_announce played_announce
#define kvmb_keeper_kept played_kept
#define kvmb_keeper_replace played_replace
#define kvmb_keeper_recall played_recall
#define kvmb_keeper_seal played_seal
#include "cli/client_note.c"
#include "cli/cli_config.c"
#include "cli/cmd_disk.c"

#include "tests/harness/no_ide.h"
#include "tests/unit/test.h"

static char said[512];
static int kept, announced, recalled, replaced, again; /* @again: so often another was faster */
static int no_keeper, is_saved;
static bool noted; /* the VM was told so */
static const char *meanwhile; /* another command notes these words: a drive's, a disk's */
static enum { DONE, REFUSES, IS_SILENT } vm_does;
static u32 answer_c, answer_lun;
static bool no_place; /* in the answer */

static void keep(const char *drive, const char *disk)
{
	char *args[] = { (char *)"run", (char *)"--name=web", (char *)drive, (char *)disk, NULL };

	close(kept);
	kept = vm_state_seal_config(
		&(struct vm_state_config){ .dir = (char *)"/", .args = args, .num_args = 4 });
	assert_true(kept >= 0);
}

/* ---- the keeper ---- */

int client_find_keeper(int fd, const char *vm, char *dir, size_t size, char *why, size_t why_size)
{
	(void)fd, (void)vm, (void)dir, (void)size;
	snprintf(why, why_size, "none");
	return no_keeper;
}
int kvmb_keeper_announce(char *why, size_t size)
{
	snprintf(why, size, "it is being saved or moved");
	announced += !is_saved;
	return is_saved;
}
int kvmb_keeper_kept(char *why, size_t size)
{
	(void)why, (void)size;
	return dup(kept);
}
int kvmb_keeper_replace(int fd, int old, char *why, size_t size)
{
	(void)old, (void)why, (void)size;
	if (again-- > 0)
		return -EAGAIN;
	close(kept);
	kept = dup(fd);
	replaced++;
	return 0;
}
int kvmb_keeper_recall(char *why, size_t size)
{
	(void)why, (void)size;
	recalled++;
	return 0;
}
void kvmb_keeper_seal(void)
{
}

/* ---- the VM ---- */

int client_connect(const char *vm, int *fd)
{
	(void)vm;
	*fd = -1;
	return EXIT_OK;
}
int client_as_owner(int fd, const char *vm)
{
	(void)fd, (void)vm;
	return EXIT_OK;
}
int client_ask(const char *vm, const char *name, json_t *arguments, json_t **out)
{
	(void)vm, (void)arguments;
	assert_string_equal(name, "disk-list");
	*out = json_pack("[{s:i, s:i, s:s}]", "controller", 0, "lun", 0, "serial", "S");
	return EXIT_OK;
}
int client_ask_heard(int fd, const char *vm, const char *name, json_t *arguments,
		     const struct handover_fds *fds, json_t **out, bool *heard)
{
	(void)fd, (void)vm, (void)name, (void)fds;
	noted = json_is_true(json_object_get(arguments, "noted"));
	if (meanwhile)
		keep(meanwhile, "--disk=/other,controller=0,lun=2");
	json_decref(arguments);
	*heard = vm_does != IS_SILENT;
	if (vm_does != DONE)
		return EXIT_FAILED;
	*out = no_place ? json_pack("{s:s}", "disk", "0:0") :
			  json_pack("{s:i, s:i}", "controller", answer_c, "lun", answer_lun);
	return EXIT_OK;
}

/* ---- what else is around ---- */

void client_show(json_t *o, bool json, void (*fn)(json_t *))
{
	(void)o, (void)json, (void)fn;
}
void client_print_done(json_t *o, bool as_json, const char *done)
{
	(void)o, (void)as_json, (void)done;
}
void client_print_disks(json_t *all)
{
	(void)all;
}
const char *client_size(long long bytes, char *buf, size_t size)
{
	(void)bytes, (void)size;
	return buf;
}
int client_change(struct cli_args *a, const char *command, json_t *args, const char *done)
{
	(void)a, (void)command, (void)args, (void)done;
	abort();
}
void handover_put_disk(json_t *args, struct kvmb_disk_files *files, struct handover_fds *fds)
{
	(void)args, (void)files, (void)fds;
}
void handover_close(struct handover_fds *fds)
{
	(void)fds;
}
bool cli_flag(const struct cli_args *a, const char *name)
{
	(void)a;
	return !strcmp(name, "dvd");
}
const char *cli_text(const struct cli_args *a, const char *name)
{
	(void)a;
	return !strcmp(name, "iops") ? "50" : NULL;
}
int cli_parse(int argc, char **argv, struct cli_args *a)
{
	(void)argc, (void)argv, (void)a;
	abort();
}
void cli_free(struct cli_args *a)
{
	(void)a;
}
int cmd_run_from(struct cli_args *a, struct state_file *state, int incoming,
		 const struct disk_copies *copies, struct vm_handed *handed)
{
	(void)copies, (void)handed;
	(void)a, (void)state, (void)incoming;
	abort();
}
int cli_bad(const struct cli_command *cmd, const char *fmt, ...)
{
	(void)cmd, (void)fmt;
	abort();
}
void cli_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said, sizeof(said), fmt, ap);
	va_end(ap);
}

static int setup(void **state)
{
	char *args[] = { "run", "--name=web", "--disk=/a,controller=0,lun=0", NULL };

	(void)state;
	kept = vm_state_seal_config(
		&(struct vm_state_config){ .dir = "/", .args = args, .num_args = 3 });
	assert_true(kept >= 0);
	said[0] = 0;
	announced = recalled = replaced = again = no_keeper = is_saved = 0;
	answer_c = answer_lun = 0;
	noted = no_place = false;
	meanwhile = NULL;
	vm_does = DONE;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(kept);
	return 0;
}

static bool keeps(const char *word)
{
	struct vm_state_config c = { 0 };
	char why[200];
	bool found = false;
	int i;

	assert_int_equal(cli_config_read(kept, &c, why, sizeof(why)), 0);
	for (i = 0; i < c.num_args; i++)
		found |= !strcmp(c.args[i], word);
	vm_state_free_config(&c);
	return found;
}

static int run(int (*command)(struct cli_args *a), const char *word)
{
	struct cli_args a = { .words = { (char *)"vm", (char *)word }, .num_words = 2 };

	return command(&a);
}

static void a_change_is_announced_made_and_noted(void **state)
{
	(void)state;
	answer_c = 1;
	answer_lun = 3;
	assert_int_equal(run(disk_add, "empty,controller=1"), EXIT_OK);
	assert_true(noted && keeps("--dvd=empty,controller=1,lun=3"));
	assert_int_equal(announced, 1);
	answer_c = answer_lun = 0;
	assert_int_equal(run(disk_limit, "S"), EXIT_OK);
	assert_true(keeps("--disk=/a,controller=0,lun=0,iops=50"));
	assert_int_equal(run(disk_remove, "0:0"), EXIT_OK);
	assert_false(keeps("--disk=/a,controller=0,lun=0,iops=50"));
	assert_true(keeps("--dvd=empty,controller=1,lun=3"));
	assert_int_equal(replaced, 3);
	assert_string_equal(said, "");
}

static void who_was_slower_begins_again(void **state)
{
	(void)state;
	again = 2;
	assert_int_equal(run(disk_remove, "0:0"), EXIT_OK);
	assert_int_equal(replaced, 1);
	assert_false(keeps("--disk=/a,controller=0,lun=0"));
}

/* Nobody knows which of them the VM has obeyed last. */
static void two_changes_of_one_disk_at_once_leave_a_doubt(void **state)
{
	(void)state;
	keep("--dvd=/a,controller=0,lun=1", "--disk=/b,controller=0,lun=2");
	meanwhile = "--dvd=/c,controller=0,lun=1";
	answer_lun = 1;
	assert_int_equal(run(disk_eject, "0:1"), EXIT_OK);
	assert_non_null(strstr(said, "another command changed the same"));
	assert_int_equal(replaced + recalled, 0);
	assert_true(keeps(meanwhile));
	said[0] = 0;
	assert_int_equal(run(disk_eject, "0:1"), EXIT_OK); /* the other was there before */
	assert_true(keeps("--dvd=empty,controller=0,lun=1"));
	assert_string_equal(said, "");
}

static void changes_of_two_disks_at_once_are_both_noted(void **state)
{
	(void)state;
	keep("--dvd=/a,controller=0,lun=1", "--disk=/b,controller=0,lun=2");
	meanwhile = "--dvd=/a,controller=0,lun=1";
	answer_lun = 1;
	assert_int_equal(run(disk_eject, "0:1"), EXIT_OK);
	assert_true(keeps("--dvd=empty,controller=0,lun=1"));
	assert_true(keeps("--disk=/other,controller=0,lun=2"));
	assert_string_equal(said, "");
}

static void what_was_refused_is_recalled(void **state)
{
	(void)state;
	vm_does = REFUSES;
	assert_int_equal(run(disk_remove, "0:0"), EXIT_FAILED);
	assert_int_equal(recalled, 1);
	assert_int_equal(replaced, 0);
}

/* It may have been made, or will be: the keeper is left in doubt. */
static void what_is_not_answered_is_neither_noted_nor_recalled(void **state)
{
	(void)state;
	vm_does = IS_SILENT;
	assert_int_equal(run(disk_remove, "0:0"), EXIT_FAILED);
	assert_int_equal(announced, 1);
	assert_int_equal(recalled + replaced, 0);
}

static void an_answer_that_cannot_be_notes_nothing(void **state)
{
	static const u32 places[][2] = {
		{ 0, 0 }, { 4, 0 }, { 1, 64 }, { 0, UINT32_MAX }, { 0, 5 }
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		answer_c = places[i][0];
		answer_lun = places[i][1];
		said[0] = 0;
		assert_int_equal(run(disk_add, "empty,lun=7"), EXIT_OK);
		assert_non_null(strstr(said, "cannot be saved or moved"));
	}
	assert_int_equal(run(disk_eject, "0:0"), EXIT_OK); /* a disk, not a drive */
	assert_non_null(strstr(said, "cannot be saved or moved"));
	no_place = true;
	said[0] = 0;
	assert_int_equal(run(disk_remove, "0:0"), EXIT_OK);
	assert_non_null(strstr(said, "cannot be saved or moved"));
	assert_int_equal(replaced + recalled, 0);
	assert_true(keeps("--disk=/a,controller=0,lun=0"));
}

static void a_vm_without_a_keeper_is_told_so(void **state)
{
	(void)state;
	no_keeper = -ECONNREFUSED;
	noted = true;
	assert_int_equal(run(disk_remove, "0:0"), EXIT_OK);
	assert_false(noted);
	assert_int_equal(announced + replaced, 0);
}

static void a_vm_that_is_being_saved_is_not_asked(void **state)
{
	(void)state;
	is_saved = -EBUSY;
	noted = true;
	assert_int_equal(run(disk_remove, "0:0"), EXIT_STATE);
	assert_true(noted); /* nobody was asked */
	assert_non_null(strstr(said, "being saved"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_change_is_announced_made_and_noted),
		T(who_was_slower_begins_again),
		T(two_changes_of_one_disk_at_once_leave_a_doubt),
		T(changes_of_two_disks_at_once_are_both_noted),
		T(what_was_refused_is_recalled),
		T(what_is_not_answered_is_neither_noted_nor_recalled),
		T(an_answer_that_cannot_be_notes_nothing),
		T(a_vm_without_a_keeper_is_told_so),
		T(a_vm_that_is_being_saved_is_not_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
