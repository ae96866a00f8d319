// SPDX-License-Identifier: GPL-2.0-only
/* Changes of disks, and the VM's end that comes between their beginning and their end. */
#include "vmm/disks.h"

#include <semaphore.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/util.h"
#include "tests/harness/fake_vmm.h"
#include "tests/unit/test.h"
#include "vmm/disk_info.h"
#include "vmm/disks_ide.h"
#include "vmm/disks_priv.h"
#include "vmm/json_text.h"
#include "vmm/names.h"
#include "vmm/uevent.h"

#define SIZE (1u << 20)

/* ---- the rest of the VMM ---- */

json_t *json_text(const char *s)
{
	return json_string(s);
}

static int pause_err;

bool vm_stop(struct vm *v, const char *reason)
{
	if (!pause_err)
		snprintf(v->stop_reason, sizeof(v->stop_reason), "%s", reason);
	return !pause_err;
}

void uevent_watch_listen(struct uevent_watch *u)
{
	(void)u;
}

void uevent_watch_destroy(struct uevent_watch *u)
{
	(void)u;
}

/* ---- a resize takes its time: what makes a file longer waits in here ---- */

static bool slow;
static sem_t begun;

static u32 on_ide;

/* no disk here is driven by IDE */
void disks_ide_add(struct vm *v, struct kvmb_storage *s, bool dvd,
		   const struct kvmb_storage_events *ev)
{
	(void)v, (void)s, (void)dvd, (void)ev;
	on_ide++;
}
int disks_ide_set_medium(struct vm *v, struct kvmb_storage *s, struct kvmb_disk *d,
			 kvmb_storage_done *done, void *arg)
{
	(void)v, (void)s, (void)d, (void)done, (void)arg;
	fail_msg("disks_ide_set_medium");
	return 0;
}
bool disks_ide_locked(struct vm *v, const struct kvmb_storage *s)
{
	(void)v, (void)s;
	return true;
}
const char *disks_ide_path(struct vm *v, const struct kvmb_storage *s)
{
	(void)v, (void)s;
	return "ide";
}
void disks_ide_ask_eject(struct vm *v, const struct kvmb_storage *s)
{
	(void)v, (void)s;
	fail_msg("disks_ide_ask_eject");
}
void disks_ide_retry(struct vm *v)
{
	(void)v;
}
void disks_ide_end(struct vm *v)
{
	(void)v;
}

int __real_ftruncate64(int fd, off_t len);
int __wrap_ftruncate64(int fd, off_t len);
int __wrap_ftruncate64(int fd, off_t len)
{
	int err = __real_ftruncate64(fd, len);

	if (slow) {
		sem_post(&begun);
		usleep(1000000);
	}
	return err;
}

/* ---- a host without room for one more thread ---- */

static bool no_threads;

int __real_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	return no_threads ? EAGAIN : __real_pthread_create(t, attr, fn, arg);
}

/* ---- what is said about io_uring ---- */

static u32 uring_warnings;

void __wrap_kvmb_log(enum kvmb_log_level level, const char *who, const char *fmt, ...);
void __wrap_kvmb_log(enum kvmb_log_level level, const char *who, const char *fmt, ...)
{
	char line[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (level <= KVMB_LOG_WARN)
		print_message("%s: %s\n", who, line);
	uring_warnings += level == KVMB_LOG_WARN &&
			  strstr(line, "no io_uring on this host (Operation not permitted)");
}

/* ---- what controllers tell ---- */

static const struct kvmb_storage_events *told;

struct kvmb_storage *__real_kvmb_storage_create(unsigned int index, u16 subs,
						struct kvmb_rings *rings, struct kvmb_loop *loop,
						const struct kvmb_storage_events *ev, void *arg);
struct kvmb_storage *__wrap_kvmb_storage_create(unsigned int index, u16 subs,
						struct kvmb_rings *rings, struct kvmb_loop *loop,
						const struct kvmb_storage_events *ev, void *arg);
struct kvmb_storage *__wrap_kvmb_storage_create(unsigned int index, u16 subs,
						struct kvmb_rings *rings, struct kvmb_loop *loop,
						const struct kvmb_storage_events *ev, void *arg)
{
	told = ev;
	return __real_kvmb_storage_create(index, subs, rings, loop, ev, arg);
}

static struct fake_vmm f;
static struct vm vm;
static struct vm_names names;
static char path[32];
static u32 replies, results;
static char class_said[32], why_said[200];

static void reply(void *arg, json_t *result, const char *class, const char *why)
{
	(void)arg;
	snprintf(why_said, sizeof(why_said), "%s", why ? why : "");
	replies++;
	results += result != NULL;
	snprintf(class_said, sizeof(class_said), "%s", class ? class : "");
	json_decref(result);
}

static const struct ctl_reply answer = { .fn = reply };

static void make_file(char *name)
{
	int fd;

	strcpy(name, "/tmp/kvmbus-disk-XXXXXX");
	fd = mkstemp(name);
	assert_int_equal(ftruncate(fd, SIZE), 0);
	close(fd);
}

static int setup(void **state)
{
	(void)state;
	fake_init(&f, KVMB_VERSION_NEWEST);
	slow = no_threads = false;
	uring_warnings = 0;
	pause_err = 0;
	make_file(path);
	memset(&vm, 0, sizeof(vm));
	vm.cfg.name = "t";
	vm.cfg.machine.cpus = 1;
	vm.cfg.num_disks = 1;
	vm.cfg.disks[0] = (struct disk_config){ .spec.path = path, .controller = -1, .lun = -1 };
	vm.loop = f.loop;
	vm.bus = f.bus;
	vm.names = &names;
	assert_int_equal(names_open(&vm.cfg, &names), 0);
	assert_int_equal(disks_create(&vm), 0);
	sem_init(&begun, 0, 0);
	replies = results = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_rest(&f);
	disks_destroy(&vm);
	fake_fini(&f);
	sem_destroy(&begun);
	unlink(path);
	return 0;
}

static void an_ide_drive_has_one_disk(void **state)
{
	(void)state;
	fake_init(&f, KVMB_VERSION_NEWEST);
	make_file(path);
	vm = (struct vm){ .cfg.name = "t", .loop = f.loop, .bus = f.bus, .names = &names };
	vm.cfg.machine.cpus = 1;
	vm.cfg.machine.gen1 = true;
	vm.cfg.num_disks = 2;
	vm.cfg.disks[0] = (struct disk_config){ .spec.dvd = true, .controller = 4, .lun = -1 };
	vm.cfg.disks[1] = (struct disk_config){ .spec.path = path, .controller = 4, .lun = -1 };
	on_ide = 0;
	assert_int_equal(names_open(&vm.cfg, &names), 0);
	assert_int_equal(disks_create(&vm), -EEXIST);
	assert_int_equal(on_ide, 1);
	teardown(NULL);
}

/* Its controller knows nothing of the lock: the guest has it from the emulated drive. */
static void info_has_the_lock_of_an_ide_drive(void **state)
{
	json_t *a;

	(void)state;
	fake_init(&f, KVMB_VERSION_NEWEST);
	make_file(path);
	vm = (struct vm){ .cfg.name = "t", .loop = f.loop, .bus = f.bus, .names = &names };
	vm.cfg.machine.cpus = vm.cfg.num_disks = 1;
	vm.cfg.machine.gen1 = true;
	vm.cfg.disks[0] = (struct disk_config){ .spec.dvd = true, .controller = 4, .lun = -1 };
	assert_int_equal(names_open(&vm.cfg, &names), 0);
	assert_int_equal(disks_create(&vm), 0);
	a = disks_list(&vm);
	assert_true(json_is_true(json_object_get(json_array_get(a, 0), "locked")));
	json_decref(a);
	teardown(NULL);
}

static u32 units(void)
{
	json_t *a = disks_list(&vm);
	u32 n = (u32)json_array_size(a);

	json_decref(a);
	return n;
}

static void run_until_replied(void)
{
	u64 until = kvmb_now_ms() + PATIENCE_MS;

	while (!replies && kvmb_now_ms() < until)
		kvmb_loop_once(f.loop, 10);
	fake_run(&f);
}

/* A client that opens @file and says that it is @name. */
static void add_disk(const char *name, const char *file)
{
	struct kvmb_disk_spec spec = { .path = file };
	struct kvmb_disk_files files;
	char why[KVMB_DISK_WHY];

	assert_int_equal(kvmb_disk_resolve(&spec, &files, why, sizeof(why)), 0);
	files.channel = dup(files.fd[0]); /* to nobody: a raw disk has no use for it */
	disks_add(&vm, name, false, &files, answer);
	assert_int_equal(files.num, 0);
	assert_int_equal(files.channel, 0); /* both were taken over */
}

static void a_disk_comes_and_goes(void **state)
{
	char second[sizeof(path)];

	(void)state;
	make_file(second);
	add_disk(second, second);
	run_until_replied();
	assert_int_equal(results, 1);
	assert_int_equal(units(), 2);
	replies = 0;
	disks_remove(&vm, "0:1", answer);
	run_until_replied();
	assert_int_equal(results, 2);
	assert_int_equal(units(), 1);
	unlink(second);
}

/* Where io_uring is forbidden an administrator is told: once by the log, always by `info`. */
static void a_disk_says_who_does_its_io(void **state)
{
	bool forbidden = syscall(SYS_io_uring_setup, 1, NULL) && errno == EPERM;
	const char *io = forbidden ? "threads" : "io_uring";
	char second[sizeof(path)], spec[64];
	json_t *a, *o;
	size_t i;

	(void)state;
	make_file(second);
	snprintf(spec, sizeof(spec), "%s,controller=1", second);
	add_disk(spec, second);
	run_until_replied();
	assert_int_equal(results, 1);
	a = disks_list(&vm);
	assert_int_equal(json_array_size(a), 2);
	json_array_foreach(a, i, o)
		assert_string_equal(json_string_value(json_object_get(o, "io")), io);
	json_decref(a);
	unlink(second);
	assert_int_equal(uring_warnings, forbidden);
}

/* Where the VM cannot open a name; and nothing tells it whether the name still is that file. */
static void disks_add_uses_what_came_not_its_name(void **state)
{
	struct kvmb_disk_files none = { 0 };
	char second[sizeof(path)];

	(void)state;
	make_file(second);
	disks_add(&vm, second, false, &none, answer);
	run_until_replied();
	assert_int_equal(results, 0);
	assert_non_null(strstr(why_said, "descriptor"));
	assert_int_equal(units(), 1);
	replies = 0;
	add_disk("/nowhere", second);
	unlink(second);
	run_until_replied();
	assert_int_equal(results, 1);
	assert_int_equal(units(), 2);
}

/* The guest powers off while an administrator resizes. */
static void a_resize_ends_before_its_disk(void **state)
{
	(void)state;
	slow = true;
	disks_resize(&vm, "0:0", 2 * SIZE, answer);
	sem_wait(&begun);
	fake_rest(&f);
	disks_destroy(&vm);
	assert_int_equal(replies, 1);
	assert_int_equal(results, 0);
	assert_string_equal(class_said, "state");
	assert_null(vm.scsi[0]);
}

/* The guest has not let go of it yet, and never will. */
static void a_removal_under_way_ends_too(void **state)
{
	(void)state;
	disks_remove(&vm, "0:0", answer);
	fake_rest(&f);
	disks_destroy(&vm);
	assert_int_equal(replies, 1);
}

static void a_disk_that_was_opened_for_nothing_is_closed(void **state)
{
	char second[sizeof(path)];

	(void)state;
	make_file(second);
	add_disk(second, second);
	fake_rest(&f);
	disks_destroy(&vm); /* the leak checker watches */
	assert_int_equal(replies, 1);
	unlink(second);
}

/* Files have no device number, and neither has an event that is not about a device node. */
static void an_event_without_a_device_touches_no_file(void **state)
{
	(void)state;
	disks_device_gone(&vm, 0);
	fake_run(&f);
	assert_int_equal(units(), 1);
	disks_device_changed(&vm, 0);
	assert_null(vm.disks->resizing);
}

/* A thread of it reads the disk. */
static void a_device_that_vanishes_during_a_backup_stays(void **state)
{
	struct kvmb_unit_info i;

	(void)state;
	assert_true(kvmb_storage_unit(vm.scsi[0], 0, &i));
	i.disk->rdev = 5;
	vm.backup = (struct vm_backup *)&vm;
	disks_device_gone(&vm, 5);
	fake_run(&f);
	assert_int_equal(units(), 1);
	vm.backup = NULL;
	disks_device_gone(&vm, 5);
	fake_run(&f);
	assert_int_equal(units(), 0);
}

/* Options that do not follow would make another VM of a saved one. */
static void a_change_that_nobody_notes_is_remembered(void **state)
{
	struct ctl_reply noted = answer;

	(void)state;
	noted.noted = true;
	disks_limit(&vm, "0:0", 100, -1, noted);
	assert_int_equal(results, 1);
	assert_null(vm.changed);
	disks_remove(&vm, "0:9", answer); /* nothing changes */
	assert_null(vm.changed);
	disks_limit(&vm, "0:0", 200, -1, answer);
	assert_non_null(vm.changed);
	vm.changed = NULL;
	disks_remove(&vm, "0:0", noted);
	assert_null(vm.changed);
	replies = 0;
	run_until_replied();
}

static void a_resize_without_a_thread_is_over(void **state)
{
	(void)state;
	no_threads = true;
	disks_resize(&vm, "0:0", 2 * SIZE, answer);
	no_threads = false;
	assert_int_equal(replies, 1);
	assert_int_equal(results, 0);
	disks_remove(&vm, "0:0", answer);
	replies = 0;
	run_until_replied();
	assert_int_equal(results, 1);
	assert_int_equal(units(), 0);
}

/* The error came while the guest was being reset, which drops the request: nobody will resume. */
static void an_error_that_pauses_nothing_is_no_reason(void **state)
{
	(void)state;
	vm.state = VM_RESETTING;
	pause_err = -EINVAL;
	told->stopped(&vm, vm.scsi[0], 0, -ENOSPC);
	assert_string_equal(vm.stop_reason, "");
	vm.state = VM_RUNNING;
	pause_err = 0;
	told->stopped(&vm, vm.scsi[0], 0, -ENOSPC);
	assert_string_equal(vm.stop_reason, "disk 0:0: No space left on device");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_disk_comes_and_goes),
		T(a_disk_says_who_does_its_io),
		T(disks_add_uses_what_came_not_its_name),
		T(a_resize_ends_before_its_disk),
		T(a_removal_under_way_ends_too),
		T(a_disk_that_was_opened_for_nothing_is_closed),
		T(an_event_without_a_device_touches_no_file),
		T(a_device_that_vanishes_during_a_backup_stays),
		T(a_change_that_nobody_notes_is_remembered),
		T(a_resize_without_a_thread_is_over),
		T(an_error_that_pauses_nothing_is_no_reason),
		cmocka_unit_test(an_ide_drive_has_one_disk),
		cmocka_unit_test(info_has_the_lock_of_an_ide_drive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
