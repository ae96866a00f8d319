// SPDX-License-Identifier: GPL-2.0-only
/*
 * The source of a migration, whatever fails and whenever: the VM goes on here, or has moved, never
 * both, never neither. Memory, machine and disks are stubs; the target is played here.
 */
#include "vmm/mig_out.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vsp/bus/bus_state.h"
#include "lib/util.h"
#include "machine/machine_match.h"
#include "machine/mem_log.h"
#include "tests/harness/no_ide.h"
#include "tests/unit/test.h"
#include "vmm/disk_flush.h"
#include "vmm/disk_locks.h"
#include "vmm/mig_disks.h"
#include "vmm/mig_memory.h"
#include "vmm/mig_stream.h"
#include "vmm/vm_sections.h"

static struct vm vm;
static struct mig_stream target;
static int client;	 /* writing end of the pipe */
static char answer[300]; /* "" = none yet */
static bool moved, killed, bus_stands, logging, have_locks, written;
static int live_err, log_err, lock_err, flush_err, sections_err;
static const char *cannot;
static u32 flushes, locks_asked, announced;
static bool fits;

/* ---- the rooms ---- */

const char *vm_cannot_move(const struct vm *v)
{
	(void)v;
	return cannot;
}
int machine_log_begin(struct machine *m)
{
	(void)m;
	logging = !log_err;
	return log_err;
}
void machine_log_end(struct machine *m)
{
	(void)m;
	logging = false;
}
void machine_dirty(struct machine *m)
{
	(void)m;
	assert_true(bus_stands);
}
void kvmb_bus_dirty(struct kvmb_bus *b)
{
	(void)b;
	assert_true(bus_stands);
}
void machine_match_save(const struct machine *m, struct kvmb_tlv_out *o)
{
	(void)m;
	kvmb_tlv_begin(o, KVMB_SEC_HOST, 0, KVMB_TLV_CRITICAL);
	kvmb_tlv_end(o);
}
void nics_announce(struct vm *v)
{
	assert_int_not_equal(v->state, VM_ENDED);
	announced++;
}
bool vm_request_waits(const struct vm *v)
{
	(void)v;
	return false;
}

int vm_pause(struct vm *v)
{
	v->state = VM_PAUSED;
	return 0;
}
int vm_resume(struct vm *v)
{
	assert_false(bus_stands);
	v->state = VM_RUNNING;
	return 0;
}
void vm_saved(struct vm *v)
{
	v->state = VM_ENDED;
	moved = true;
	kvmb_loop_stop(v->loop);
}
void vm_kill(struct vm *v)
{
	v->state = VM_ENDED;
	killed = true;
	kvmb_loop_stop(v->loop);
}

static void (*stands)(void *arg);
static void *stands_arg;
static bool slow_bus; /* it stands when the test says so */

void kvmb_bus_pause(struct kvmb_bus *b, void (*done)(void *arg), void *arg)
{
	(void)b;
	assert_int_equal(vm.state, VM_PAUSED);
	bus_stands = true;
	stands = done;
	stands_arg = arg;
	if (!slow_bus)
		done(arg);
}

void kvmb_bus_resume(struct kvmb_bus *b)
{
	(void)b;
	/* providers write what the guest has asked for to its disks */
	assert_true(have_locks || vm.state == VM_ENDED);
	bus_stands = false;
	stands = NULL;
}

int vm_sections_put(struct vm *v, bool was_paused, struct kvmb_tlv_out *o)
{
	(void)v, (void)was_paused;
	kvmb_tlv_begin(o, KVMB_SEC_END, 0, 0);
	kvmb_tlv_end(o);
	return sections_err;
}

struct disk_flush *disk_flush_begin(struct vm *v)
{
	(void)v;
	flushes++;
	return (struct disk_flush *)&flushes;
}
void disk_flush_free(struct vm *v, struct disk_flush *f)
{
	(void)v;
	(void)f;
}
void disk_flush_cancel(struct disk_flush *f)
{
	(void)f;
}

static unsigned int slow_flush; /* s */
static bool kill_in_last;	/* `kvmbus kill` or SIGTERM while the target loads */

int disk_flush_end(struct disk_flush *f, char *why)
{
	(void)f;
	sleep(slow_flush);
	if (kill_in_last)
		vm.state = VM_ENDED; /* as end_vm() does; the bus is being reset */
	if (flush_err)
		snprintf(why, MIG_WHY, "disk d: %s", strerror(-flush_err));
	return flush_err;
}

static bool closed; /* images, or they are about to be */

void disk_flush_let_go(struct disk_flush *f)
{
	(void)f;
	assert_true(bus_stands && have_locks);
	closed = true;
}

void disk_locks_fetch_back(struct vm *v)
{
	(void)v;
	assert_true(have_locks && bus_stands); /* requests wait for them */
	closed = false;
}

static bool gone_before_go;

void disk_locks_note(struct vm *v)
{
	(void)v;
	assert_true(have_locks && bus_stands && closed); /* nobody writes */
}

void disk_locks_give_up(struct vm *v)
{
	(void)v;
	assert_true(have_locks);
	have_locks = false;
	if (gone_before_go) {
		close(target.fd);
		target.fd = -1;
	}
}

int disk_locks_take(struct vm *v, char *why, size_t size)
{
	(void)v;
	snprintf(why, size, "locked");
	have_locks = !lock_err;
	locks_asked++;
	return lock_err;
}

static bool copies; /* disks are copied: each side has files of its own */
static int copy_err;
static u32 copying;

int disk_locks_tell(struct vm *v)
{
	(void)v;
	return copying ? -ENODATA : written ? -ESTALE : 0;
}

int mig_disks_begin(struct mig_disks *m, struct vm *v, char *why, size_t size)
{
	(void)m, (void)v;
	assert_false(logging); /* what is written from here on is noted */
	snprintf(why, size, "disk d: a device is not copied");
	copying += !copy_err;
	m->num = 1;
	return copy_err;
}

void mig_disks_end(struct mig_disks *m)
{
	copying -= m->num && copying;
	m->num = 0;
}

int mig_memory_init(struct mig_memory *m, struct machine *machine)
{
	(void)machine;
	*m = (struct mig_memory){ 0 };
	return 0;
}

void mig_memory_fini(struct mig_memory *m)
{
	free(m->list);
	m->list = NULL;
}

/* ---- what comes later ---- */

static bool later;    /* wanted, and to be had */
static u64 left;      /* pages that are only here */
static int serve_err; /* of the last part */
static int mend_err;
static u32 serves;
static enum mig_word served_until;
static void (*while_serving)(struct mig_stream *s);

void vm_hold(struct vm *v)
{
	assert_int_equal(v->state, VM_PAUSED);
	v->held = true;
	v->held_end = VM_END_NONE;
}

void vm_release(struct vm *v)
{
	if (v->held && v->held_end != VM_END_NONE) {
		v->state = VM_ENDED;
		killed = true;
		kvmb_loop_stop(v->loop);
	}
	v->held = false;
}

int mig_memory_keep(struct mig_memory *m)
{
	assert_true(bus_stands);
	m->list = calloc(1, 8);
	return 0;
}

static bool rings_noted;

void kvmb_bus_dirty_rings(struct kvmb_bus *b)
{
	(void)b;
	assert_true(bus_stands);
	rings_noted = true;
}

int mig_memory_soon(struct mig_memory *m)
{
	assert_non_null(m->list);
	assert_true(rings_noted);
	return 0;
}

u64 mig_memory_left(const struct mig_memory *m)
{
	(void)m;
	return left;
}

int mig_give(struct mig_memory *m, struct mig_stream *s, enum mig_word word, bool push, char *text)
{
	assert_non_null(m->list);
	assert_true(bus_stands); /* or memory would change */
	assert_int_equal(push, word == MIG_ALL_HERE);
	if (word != MIG_ALL_HERE)
		return mig_hear(s, word, text);
	assert_true(vm.held);
	serves++;
	served_until = word;
	if (while_serving)
		while_serving(s);
	if (serve_err)
		snprintf(text, MIG_WHY, "the other side has gone");
	return serve_err;
}

int mig_give_mend(struct mig_memory *m, struct mig_stream *s, const u8 *secret, char *text)
{
	(void)m, (void)s, (void)secret;
	assert_true(bus_stands);
	if (mend_err)
		snprintf(text, MIG_WHY, "a stranger");
	return mend_err;
}

static u32 slowed;
static bool auto_converge;

void machine_throttle(struct machine *m, u32 percent)
{
	(void)m;
	slowed = percent;
}

int mig_memory_live(struct mig_memory *m, struct mig_stream *s, const struct mig_pace *pace,
		    char *why)
{
	char byte;

	(void)why;
	assert_int_equal(pace->downtime_ms, 100);
	assert_true(logging);
	m->later = pace->later;
	assert_int_equal(pace->disks != NULL, copies);
	if (pace->slow_down)
		pace->slow_down(pace->arg, 30);
	/* until it is cancelled */
	return live_err == -ECANCELED ? mig_recv(s, &byte, 1) : live_err;
}

int mig_memory_last(struct mig_memory *m, struct mig_stream *s, char *why)
{
	(void)m, (void)s, (void)why;
	assert_true(bus_stands);
	return 0;
}

/* ---- the test ---- */

static void on_answer(void *arg, json_t *result, const char *class, const char *why)
{
	(void)arg, (void)class;
	assert_string_equal(answer, "");
	snprintf(answer, sizeof(answer), "%s", result ? "moved" : why);
	json_decref(result);
	kvmb_loop_stop(vm.loop);
}

static int setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	memset(&vm, 0, sizeof(vm));
	vm.cfg.name = "t";
	vm.loop = kvmb_loop_create();
	vm.state = VM_RUNNING;
	answer[0] = 0;
	moved = killed = closed = bus_stands = logging = written = false;
	have_locks = true;
	live_err = log_err = lock_err = flush_err = sections_err = 0;
	flushes = locks_asked = announced = 0;
	fits = true;
	cannot = NULL;
	stands = NULL;
	kill_in_last = false;
	later = false;
	left = 5;
	serve_err = mend_err = 0;
	serves = 0;
	while_serving = NULL;
	copies = false;
	copy_err = 0;
	copying = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_null(vm.migration);
	assert_false(logging);
	assert_int_equal(copying, 0);
	close(target.fd);
	if (client >= 0)
		close(client);
	kvmb_loop_destroy(vm.loop);
	return 0;
}

static void begin(void)
{
	const struct mig_out_wish wish = { .downtime_ms = 100,
					   .auto_converge = auto_converge,
					   .copy_storage = copies,
					   .later = later };
	const struct mig_word_more more = { .can = MIG_CAN_LATER };
	int sv[2], pipes[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	target = (struct mig_stream){ .fd = sv[0] };
	client = pipes[1];
	if (fits)
		mig_tell(&target, MIG_FITS, NULL, later ? &more : NULL);
	mig_out_begin(&vm, sv[1], pipes[0], &wish, (struct ctl_reply){ on_answer, NULL });
}

static void run(void)
{
	while (!answer[0])
		assert_int_equal(kvmb_loop_once(vm.loop, -1), 0);
}

static void goes_on(const char *why)
{
	assert_non_null(strstr(answer, why));
	assert_int_equal(vm.state, VM_RUNNING);
	assert_false(moved || killed || bus_stands);
	assert_true(have_locks);
	assert_false(closed);
}

static void vm_that_runs_on_the_target_ends_here(void **state)
{
	(void)state;
	begin();
	mig_say(&target, MIG_LOADED, NULL);
	mig_say(&target, MIG_RUNNING, NULL);
	run();
	assert_string_equal(answer, "moved");
	assert_true(moved);
	assert_false(have_locks);
	assert_true(closed);
	assert_int_equal(flushes, 1); /* whoever reads the images next finds what was written */
}

static void what_fails_before_go_leaves_the_vm_here(void **state)
{
	static const int errs[] = { -EPIPE, -ETIMEDOUT, -ETIME, -ENOMEM };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(errs); i++) {
		live_err = errs[i];
		begin();
		run();
		goes_on("the VM goes on here");
		teardown(state);
		setup(state);
	}
	log_err = -ENOMEM;
	begin();
	goes_on("memory cannot be watched");
	teardown(state);
	setup(state);
	cannot = "it has test devices";
	begin();
	goes_on("test devices");
	teardown(state);
	setup(state);
	sections_err = -EFBIG;
	begin();
	run();
	goes_on("state cannot be read");
	teardown(state);
	setup(state);
	flush_err = -EIO;
	begin();
	mig_say(&target, MIG_LOADED, NULL);
	run();
	goes_on("disk d");
	teardown(state);
	setup(state);
	fits = false;
	begin();
	mig_say(&target, MIG_REFUSED, "no such CPU");
	run();
	goes_on("no such CPU");
	assert_int_equal(announced, 0); /* nobody else can have */
	teardown(state);
	setup(state);
	begin();
	mig_say(&target, MIG_RUNNING, NULL); /* a liar */
	run();
	goes_on("in place of");
	teardown(state);
	setup(state);
	begin();
	shutdown(target.fd, SHUT_RDWR);
	run();
	goes_on("has gone");
}

static void client_that_goes_leaves_the_vm_here(void **state)
{
	(void)state;
	live_err = -ECANCELED;
	begin();
	close(client);
	client = -1;
	run();
	goes_on("given up");
}

static void vm_that_was_paused_stays_so(void **state)
{
	(void)state;
	vm.state = VM_PAUSED;
	flush_err = -EIO;
	begin();
	mig_say(&target, MIG_LOADED, NULL);
	run();
	assert_int_equal(vm.state, VM_PAUSED);
	assert_false(bus_stands);
}

static void stands_until_its_end(void)
{
	assert_non_null(strstr(answer, "kvmbus resume"));
	assert_int_equal(vm.state, VM_PAUSED);
	assert_true(bus_stands); /* nothing is written to disks whose locks it does not have */
	mig_out_destroy(&vm);
	bus_stands = false;
}

static void vm_that_is_paused_while_its_memory_is_sent_stays_so(void **state)
{
	(void)state;
	live_err = -ECANCELED;
	begin();
	assert_true(mig_out_is_live(&vm));
	vm_pause(&vm); /* `kvmbus pause` */
	close(client);
	client = -1;
	run();
	assert_int_equal(vm.state, VM_PAUSED);
	assert_non_null(strstr(answer, "the VM stands here"));
}

/* After GO who has the locks has the VM. The target has gone, with or without having run. */
static void after_go_the_locks_decide(void **state)
{
	static const struct {
		int lock_err;
		bool written, here, moved;
	} rows[] = {
		{ 0, false, true, false },	 /* it never took them */
		{ 0, true, false, false },	 /* it ran, and is no more: nobody may go back */
		{ -EBUSY, true, false, true },	 /* it runs, and could not say so */
		{ -EBUSY, false, false, false }, /* nobody knows: it stands */
		{ -EIO, false, false, false },	 /* likewise */
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		lock_err = rows[i].lock_err;
		written = rows[i].written;
		begin();
		mig_say(&target, MIG_LOADED, NULL);
		shutdown(target.fd, SHUT_WR); /* GO arrives, nothing comes back */
		run();
		if (rows[i].here)
			goes_on("has gone");
		assert_int_equal(announced,
				 rows[i].here); /* switches may have learnt another way */
		assert_int_equal(moved, rows[i].moved);
		assert_int_equal(killed, rows[i].written && !rows[i].moved);
		if (!rows[i].here && !rows[i].moved && !killed)
			stands_until_its_end();
		teardown(state);
		setup(state);
	}
	target.fd = client = -1;
}

static void end_of_the_vm_ends_its_migration(void **state)
{
	(void)state;
	live_err = -ECANCELED;
	begin();
	mig_out_destroy(&vm);
	assert_string_equal(answer, "the VM ended");
}

/* A guest that ejects its DVD in the first of many hours: the VM that arrives would have it. */
static void vm_that_cannot_move_any_more_is_not_sent_to_the_end(void **state)
{
	(void)state;
	live_err = -ECANCELED;
	begin();
	vm.changed = cannot = "a disk was removed";
	run();
	goes_on("cannot move: a disk was removed");
}

/* A disk that does not answer: its requests are in hand, and the guest stands. */
static void devices_that_do_not_come_to_rest_end_it(void **state)
{
	(void)state;
	slow_bus = true;
	begin();
	run();
	slow_bus = false;
	goes_on("do not come to rest");
	assert_null(stands);
}

/* Its devices come to rest after all, because it ends: nobody waits for that any more. */
static void client_that_goes_while_the_vm_ends_is_not_waited_for(void **state)
{
	(void)state;
	slow_bus = true;
	begin();
	while (!stands)
		assert_int_equal(kvmb_loop_once(vm.loop, -1), 0);
	slow_bus = false;
	vm.state = VM_ENDED; /* vm_kill(); the bus is being reset */
	close(client);
	client = -1;
	run();
	assert_string_equal(answer, "the VM ended");
	assert_null(stands);
}

/* It was killed before GO: it must not begin to run there. */
static void vm_that_was_killed_before_go_does_not_move(void **state)
{
	struct mig_section sec = { 0 };
	char why[MIG_WHY] = "";

	(void)state;
	kill_in_last = true;
	begin();
	mig_say(&target, MIG_LOADED, NULL);
	shutdown(target.fd, SHUT_WR); /* else the source waits for a minute */
	run();
	assert_int_equal(mig_recv_section(&target, &sec), 0);
	assert_int_equal(sec.t.tag, KVMB_SEC_HOST);
	assert_int_equal(mig_recv_section(&target, &sec), 0);
	assert_int_equal(sec.t.tag, KVMB_SEC_END);
	mig_section_fini(&sec);
	assert_int_not_equal(mig_hear(&target, MIG_GO, why), 0);
}

/*
 * GO was not said, so the VM is nowhere but here. That somebody (a backup, qemu-img) locks
 * an image in the moment in which nobody has it must not cost the VM.
 */
static void without_go_the_vm_is_not_killed(void **state)
{
	(void)state;
	lock_err = -EBUSY;
	begin();
	mig_say(&target, MIG_LOADED, NULL);
	gone_before_go = true; /* GO meets EPIPE */
	run();
	gone_before_go = false;
	assert_false(moved);
	assert_false(killed);
	stands_until_its_end();
}

/*
 * The link breaks when the target has just taken the locks, or when it dies while a backup has one:
 * a little later it is known.
 */
static void locks_that_somebody_has_are_asked_for_again(void **state)
{
	static const struct {
		int lock_err; /* a little later */
		bool written, moved;
	} rows[] = {
		{ -EBUSY, true, true }, /* the guest there has written */
		{ 0, false, false },	/* the backup is done */
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		lock_err = -EBUSY;
		begin();
		mig_say(&target, MIG_LOADED, NULL);
		shutdown(target.fd, SHUT_WR);
		while (locks_asked < 2 && !answer[0])
			assert_int_equal(kvmb_loop_once(vm.loop, -1), 0);
		assert_string_equal(answer, "");
		assert_true(bus_stands);
		lock_err = rows[i].lock_err;
		written = rows[i].written;
		run();
		assert_int_equal(moved, rows[i].moved);
		if (!moved)
			goes_on("has gone");
		teardown(state);
		setup(state);
	}
	target.fd = client = -1;
}

/*
 * The target refuses, and somebody else has a disk. What the guest has asked for may not be written
 * to it: the VM stands, with its bus, until the administrator has it go on, with the locks.
 */
static void vm_without_its_locks_stands_until_it_gets_them(void **state)
{
	char why[MIG_WHY] = "";

	(void)state;
	lock_err = -EBUSY;
	begin();
	mig_say(&target, MIG_LOADED, NULL);
	mig_say(&target, MIG_REFUSED, "disk b: another VM or program has locked it");
	run();
	assert_non_null(strstr(answer, "kvmbus resume"));
	assert_true(mig_out_is_undecided(&vm));
	assert_true(bus_stands);
	assert_int_equal(mig_out_resume(&vm, why, sizeof(why)), -EBUSY);
	assert_string_equal(why, "locked");
	lock_err = 0;
	written = true;
	assert_int_equal(mig_out_resume(&vm, why, sizeof(why)), -ESTALE);
	assert_non_null(strstr(why, "kvmbus kill"));
	assert_false(have_locks);
	assert_true(bus_stands);
	written = false;
	assert_true(closed);
	assert_int_equal(mig_out_resume(&vm, why, sizeof(why)), 0);
	assert_int_equal(vm.state, VM_RUNNING);
	assert_false(bus_stands);
	assert_false(closed); /* or what the guest asks of an image would wait for ever */
	assert_true(have_locks);
	assert_int_equal(announced, 1);
}

/*
 * The target answers GO with REFUSED (mig_in.c: take_over(), it did not get the locks), so it
 * does not run. Of a block device nobody can tell whether it was written (disk.c: was_written() is
 * always true): the VM is killed, and runs nowhere.
 */
static void refusal_after_go_is_not_silence(void **state)
{
	(void)state;
	written = true;
	begin();
	mig_say(&target, MIG_LOADED, NULL);
	mig_say(&target, MIG_REFUSED, "disk b: another VM or program has locked it");
	run();
	assert_false(moved);
	assert_false(killed);
}

/* SIGTERM or kill just after RUNNING was heard: what is said must be true. */
static void answer_is_moved_when_running_was_heard(void **state)
{
	(void)state;
	begin();
	mig_say(&target, MIG_LOADED, NULL);
	mig_say(&target, MIG_RUNNING, NULL);
	while (have_locks)
		assert_int_equal(kvmb_loop_once(vm.loop, -1), 0);
	usleep(100000); /* the thread has heard it; then finish_end() stops the loop */
	vm.state = VM_ENDED;
	mig_out_destroy(&vm);
	assert_null(strstr(answer, "the VM ended"));
}

static void *play_target(void *arg)
{
	struct mig_section sec = { 0 };
	char *why = arg;

	/* host, end */
	if (!mig_recv_section(&target, &sec) && !mig_recv_section(&target, &sec) &&
	    !mig_say(&target, MIG_LOADED, NULL) && !mig_hear(&target, MIG_GO, why))
		mig_say(&target, MIG_RUNNING, NULL);
	shutdown(target.fd, SHUT_RDWR);
	mig_section_fini(&sec);
	return NULL;
}

/*
 * Disks that need more than a minute to be flushed (a guest that wrote 10 GiB, a slow disk).
 * The target has said LOADED long ago and waits for GO. The guest stands for all that time, and it
 * never moves, however often one tries after more writes.
 */
static void slow_flush_is_no_silence(void **state)
{
	char why[MIG_WHY] = "";
	pthread_t t;

	(void)state;
	slow_flush = MIG_PATIENCE_MS / 1000 + 2;
	begin();
	target.patience_ms = 10 * MIG_PATIENCE_MS; /* as mig_in.c has until the end */
	pthread_create(&t, NULL, play_target, why);
	run();
	pthread_join(t, NULL);
	slow_flush = 0;
	print_message("source: %s; target: %s\n", answer, why);
	assert_true(moved);
}

/*
 * A target that refuses a page, or has no memory left, says why and hangs up, while the source is
 * sending and meets EPIPE.
 */
static void reason_of_a_target_that_ends_while_pages_are_sent_is_heard(void **state)
{
	struct mig_section sec = { 0 };

	(void)state;
	live_err = -EPIPE;
	begin();
	assert_int_equal(mig_recv_section(&target, &sec), 0); /* host */
	mig_section_fini(&sec);
	mig_say(&target, MIG_REFUSED, "no memory for its sections");
	shutdown(target.fd, SHUT_RDWR);
	run();
	goes_on("no memory for its sections");
}

/*
 * The locks that it gets back are those of its own files, to which nobody has written: with shared
 * disks it would go on. The target may run, with files of its own.
 */
static void source_of_copied_disks_that_hears_nothing_never_goes_on_by_itself(void **state)
{
	char why[MIG_WHY] = "";

	(void)state;
	copies = true;
	begin();
	mig_say(&target, MIG_LOADED, NULL);
	shutdown(target.fd, SHUT_WR); /* GO arrives, nothing comes back */
	run();
	assert_false(moved || killed);
	assert_int_equal(vm.state, VM_PAUSED);
	assert_true(bus_stands);
	assert_true(mig_out_is_undecided(&vm));
	assert_non_null(strstr(answer, "kvmbus resume"));
	/* the administrator has looked there */
	assert_int_equal(mig_out_resume(&vm, why, sizeof(why)), 0);
	assert_int_equal(vm.state, VM_RUNNING);
	assert_int_equal(announced, 1);
}

static void source_of_copied_disks_goes_on_when_the_target_refuses(void **state)
{
	(void)state;
	copies = true;
	begin();
	mig_say(&target, MIG_LOADED, NULL);
	mig_say(&target, MIG_REFUSED, "no keeper");
	run();
	goes_on("no keeper");
	teardown(state);
	setup(state);
	copies = true;
	begin();
	mig_say(&target, MIG_REFUSED, "disk d cannot be written: No space left on device");
	run();
	goes_on("No space left");
}

static void disk_that_cannot_be_copied_keeps_the_vm_here(void **state)
{
	(void)state;
	copies = true;
	copy_err = -EINVAL;
	begin();
	goes_on("a device is not copied");
}

static void guest_that_was_slowed_is_so_no_more_when_it_goes_on(void **state)
{
	(void)state;
	auto_converge = true;
	live_err = -ECANCELED;
	begin();
	while (slowed != 30)
		assert_int_equal(kvmb_loop_once(vm.loop, -1), 0);
	close(client);
	client = -1;
	run();
	auto_converge = false;
	goes_on("given up");
	assert_int_equal(slowed, 0);
}

/* ---- a part of memory comes later ---- */

static void runs_there(void)
{
	later = true;
	begin();
	mig_say(&target, MIG_LOADED, NULL);
	mig_say(&target, MIG_RUNNING, NULL);
}

static void client_goes(struct mig_stream *s)
{
	(void)s;
	close(client);
	client = -1;
	usleep(50000);
}

/* The VM needs this process, not the client. */
static void memory_that_comes_later_is_served_to_the_end(void **state)
{
	(void)state;
	while_serving = client_goes;
	runs_there();
	run();
	assert_string_equal(answer, "moved");
	assert_true(moved);
	assert_int_equal(serves, 1);
	assert_int_equal(served_until, MIG_ALL_HERE);
}

static void target_that_cannot_is_not_sent_a_page(void **state)
{
	struct mig_section sec = { 0 };

	(void)state;
	begin();
	mig_out_destroy(&vm);
	teardown(state);
	setup(state);
	later = true;
	fits = false;
	begin();
	mig_say(&target, MIG_FITS, NULL); /* and nothing more */
	run();
	goes_on("userfaultfd");
	assert_int_equal(mig_recv_section(&target, &sec), 0); /* host */
	assert_int_not_equal(mig_recv_section(&target, &sec), 0);
	mig_section_fini(&sec);
}

/* The link breaks: what is here is nowhere else. */
static void stays_broken(void)
{
	serve_err = -EPIPE;
	runs_there();
	run();
	assert_non_null(strstr(answer, "kvmbus migrate --recover"));
	assert_false(moved || killed);
	assert_true(bus_stands && vm.held);
	assert_int_equal(mig_out_serves(&vm), left * KVMB_PAGE_SIZE);
	answer[0] = 0;
	serve_err = 0;
}

/* What was sent may be lost on its way: until the target says that all is there, nobody knows. */
static void link_that_breaks_when_all_was_sent_is_no_end(void **state)
{
	(void)state;
	left = 0;
	serve_err = -EPIPE;
	runs_there();
	run();
	assert_non_null(strstr(answer, "kvmbus migrate --recover"));
	assert_true(mig_out_serves(&vm) > 0); /* or kvmbus kill ends it without a question */
	mig_out_destroy(&vm);
}

static void mend(void)
{
	int sv[2], pipes[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	close(target.fd);
	target = (struct mig_stream){ .fd = sv[0] };
	close(client);
	client = pipes[1];
	mig_out_mend(&vm, sv[1], pipes[0], (struct ctl_reply){ on_answer, NULL });
}

static void link_that_breaks_is_mended(void **state)
{
	(void)state;
	stays_broken();
	mend_err = -EPROTO; /* who is there does not know us */
	mend();
	run();
	assert_non_null(strstr(answer, "a stranger"));
	assert_int_equal(mig_out_serves(&vm), left * KVMB_PAGE_SIZE);
	answer[0] = 0;
	mend_err = 0;
	mend();
	run();
	assert_string_equal(answer, "moved");
	assert_true(moved);
}

static void nothing_that_is_whole_is_mended(void **state)
{
	(void)state;
	target.fd = client = -1;
	mend();
	assert_non_null(strstr(answer, "no memory"));
	answer[0] = 0;
	live_err = -ECANCELED;
	later = true;
	close(target.fd);
	close(client);
	begin();
	mend();
	assert_non_null(strstr(answer, "no memory"));
	answer[0] = 0;
	mig_out_destroy(&vm);
}

/* kvmbus kill --force, or a second SIGTERM: the thread that sends is stopped before. */
static void end_that_is_asked_for_waits_for_who_sends(void **state)
{
	(void)state;
	stays_broken();
	vm.held_end = VM_END_KILLED; /* vm_kill() */
	while (vm.migration)
		assert_int_equal(kvmb_loop_once(vm.loop, -1), 0);
	assert_true(killed);
}

static void ask_for_end(void *arg)
{
	(void)arg;
	vm.held_end = VM_END_KILLED; /* vm_kill() */
}

static struct kvmb_work end_work;

static void until_cancelled(struct mig_stream *s)
{
	char byte;

	kvmb_loop_post(vm.loop, &end_work);
	serve_err = mig_recv(s, &byte, 1);
	assert_int_equal(serve_err, -ECANCELED);
}

static void end_that_is_asked_for_stops_who_sends(void **state)
{
	(void)state;
	kvmb_work_init(&end_work, ask_for_end, NULL);
	while_serving = until_cancelled;
	runs_there();
	run();
	assert_true(killed);
	assert_non_null(strstr(answer, "lacks a part of its memory"));
}

/* It took the locks, and could not say so: it runs there, and needs what is here. */
static void target_that_could_not_say_that_it_runs_is_not_left(void **state)
{
	(void)state;
	later = true;
	lock_err = -EBUSY;
	written = true;
	begin();
	mig_say(&target, MIG_LOADED, NULL);
	shutdown(target.fd, SHUT_WR);
	run();
	assert_non_null(strstr(answer, "kvmbus migrate --recover"));
	assert_false(moved || killed);
	assert_int_equal(mig_out_serves(&vm), left * KVMB_PAGE_SIZE);
	answer[0] = 0;
	mend();
	run();
	assert_true(moved);
}

/* Nobody can tell; but who knows the secret runs it. One who does not changes nothing. */
static void undecided_vm_is_mended_where_it_runs(void **state)
{
	char why[MIG_WHY] = "";

	(void)state;
	later = true;
	lock_err = -EIO;
	begin();
	mig_say(&target, MIG_LOADED, NULL);
	shutdown(target.fd, SHUT_WR);
	run();
	assert_true(mig_out_is_undecided(&vm));
	assert_false(vm.held); /* it can be killed */
	assert_non_null(strstr(answer, "--recover")); /* and must not be, if it runs there */
	assert_null(strstr(answer, "kvmbus kill"));
	answer[0] = 0;
	mend_err = -EPROTO;
	mend();
	run();
	assert_non_null(strstr(answer, "a stranger"));
	assert_true(mig_out_is_undecided(&vm));
	assert_false(vm.held);
	answer[0] = 0;
	mend_err = 0;
	mend();
	run();
	assert_true(moved);
	(void)why;
}

/* From the list on the target may need what an end would write to; before GO it goes on here. */
static void target_that_does_not_load_leaves_the_vm_here(void **state)
{
	(void)state;
	later = true;
	begin();
	mig_say(&target, MIG_REFUSED, "no memory left");
	run();
	goes_on("no memory left");
	assert_false(vm.held);
	teardown(state);
	setup(state);
	later = true;
	begin();
	mig_say(&target, MIG_LOADED, NULL);
	mig_say(&target, MIG_REFUSED, "disk b: locked");
	run();
	goes_on("disk b: locked");
	assert_false(vm.held);
	assert_int_equal(serves, 0);
}

/* It may run there, and wait for what is only here: kvmbus kill would lose it. */
static void undecided_vm_is_not_killed_lightly(void **state)
{
	(void)state;
	later = true;
	lock_err = -EIO;
	begin();
	mig_say(&target, MIG_LOADED, NULL);
	shutdown(target.fd, SHUT_WR);
	run();
	assert_true(mig_out_is_undecided(&vm));
	assert_int_equal(mig_out_serves(&vm), left * KVMB_PAGE_SIZE);
	assert_non_null(strstr(answer, "kvmbus migrate --recover"));
	assert_null(strstr(answer, "kvmbus kill"));
	assert_non_null(strstr(vm.stop_reason, "kvmbus migrate --recover"));
	mig_out_destroy(&vm);
}

/* It was killed, and its bus is being reset, when somebody mends it. */
static void undecided_vm_that_ends_is_not_mended(void **state)
{
	(void)state;
	later = true;
	lock_err = -EIO;
	begin();
	mig_say(&target, MIG_LOADED, NULL);
	shutdown(target.fd, SHUT_WR);
	run();
	assert_true(mig_out_is_undecided(&vm));
	answer[0] = 0;
	vm.state = VM_ENDED; /* vm_kill(); the bus is being reset */
	mend();
	assert_string_equal(answer, "the VM has ended");
	mig_out_destroy(&vm);
}

/*
 * GO was said, and nobody has answered so far: it may run there already, and need what is here.
 * `kvmbus kill` asks mig_out_serves(); what is let through is done when all is decided.
 */
static void vm_that_may_have_moved_is_not_killed_lightly(void **state)
{
	(void)state;
	later = true;
	lock_err = -EBUSY; /* the target has them, and has not written so far */
	begin();
	mig_say(&target, MIG_LOADED, NULL);
	while (have_locks)
		assert_int_equal(kvmb_loop_once(vm.loop, -1), 0);
	/* deciding */
	assert_int_equal(mig_out_serves(&vm), left * KVMB_PAGE_SIZE);
	shutdown(target.fd, SHUT_WR); /* nothing comes back */
	while (!locks_asked)
		assert_int_equal(kvmb_loop_once(vm.loop, -1), 0);
	/* asking: vm_kill(), if cmd_kill() does not refuse */
	if (!mig_out_serves(&vm))
		vm.held_end = VM_END_KILLED;
	written = true; /* it runs there */
	run();
	kvmb_loop_once(vm.loop, 1000); /* look_after_rest() */
	assert_false(killed);
	assert_int_equal(mig_out_serves(&vm), left * KVMB_PAGE_SIZE);
	mig_out_destroy(&vm);
}

int __real_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg);

static bool no_threads;

int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg)
{
	return no_threads ? EAGAIN : __real_pthread_create(t, a, fn, arg);
}

/* It can be killed, or go on here, as before. */
static void undecided_vm_stays_so_when_it_cannot_be_mended(void **state)
{
	(void)state;
	later = true;
	lock_err = -EIO;
	begin();
	mig_say(&target, MIG_LOADED, NULL);
	shutdown(target.fd, SHUT_WR);
	run();
	assert_true(mig_out_is_undecided(&vm));
	answer[0] = 0;
	no_threads = true;
	mend();
	no_threads = false;
	assert_non_null(strstr(answer, "no thread"));
	assert_true(mig_out_is_undecided(&vm));
	assert_false(vm.held);
	mig_out_destroy(&vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(memory_that_comes_later_is_served_to_the_end),
		T(target_that_cannot_is_not_sent_a_page),
		T(link_that_breaks_is_mended),
		T(nothing_that_is_whole_is_mended),
		T(end_that_is_asked_for_waits_for_who_sends),
		T(end_that_is_asked_for_stops_who_sends),
		T(target_that_could_not_say_that_it_runs_is_not_left),
		T(link_that_breaks_when_all_was_sent_is_no_end),
		T(undecided_vm_is_mended_where_it_runs),
		T(target_that_does_not_load_leaves_the_vm_here),
		T(guest_that_was_slowed_is_so_no_more_when_it_goes_on),
		T(reason_of_a_target_that_ends_while_pages_are_sent_is_heard),
		T(refusal_after_go_is_not_silence),
		T(answer_is_moved_when_running_was_heard),
		T(vm_that_was_killed_before_go_does_not_move),
		T(without_go_the_vm_is_not_killed),
		T(vm_without_its_locks_stands_until_it_gets_them),
		T(locks_that_somebody_has_are_asked_for_again),
		T(vm_that_runs_on_the_target_ends_here),
		T(what_fails_before_go_leaves_the_vm_here),
		T(client_that_goes_leaves_the_vm_here),
		T(vm_that_was_paused_stays_so),
		T(vm_that_is_paused_while_its_memory_is_sent_stays_so),
		T(after_go_the_locks_decide),
		T(end_of_the_vm_ends_its_migration),
		T(client_that_goes_while_the_vm_ends_is_not_waited_for),
		T(vm_that_cannot_move_any_more_is_not_sent_to_the_end),
		T(devices_that_do_not_come_to_rest_end_it),
		T(source_of_copied_disks_that_hears_nothing_never_goes_on_by_itself),
		T(source_of_copied_disks_goes_on_when_the_target_refuses),
		T(disk_that_cannot_be_copied_keeps_the_vm_here),
		T(slow_flush_is_no_silence), /* 62 s */
		T(undecided_vm_is_not_killed_lightly),
		T(undecided_vm_that_ends_is_not_mended),
		T(vm_that_may_have_moved_is_not_killed_lightly),
		T(undecided_vm_stays_so_when_it_cannot_be_mended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
