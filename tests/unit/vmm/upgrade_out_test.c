// SPDX-License-Identifier: GPL-2.0-only
/*
 * Handing a VM over, whatever fails and whenever: it goes on here as if nothing had happened, or
 * this process touches nothing any more. Never both, never neither. The other process is played.
 */
#include "vmm/upgrade_out.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vsp/bus/bus_state.h"
#include "host-vsp/net/net.h"
#include "lib/log.h"
#include "lib/util.h"
#include "machine/machine_match.h"
#include "tests/harness/no_ide.h"
#include "tests/unit/test.h"
#include "vmm/console.h"
#include "vmm/handed.h"
#include "vmm/nics.h"
#include "vmm/vm_sections.h"

static struct vm vm;
static bool bus_stands, held, handed_over, drained;
static int sections_err;
static const char *cannot;

/* ---- the rooms ---- */

const char *vm_cannot_move(const struct vm *v)
{
	return v->state == VM_ENDED ? "it is being reset, or ends" : cannot;
}
void machine_match_save(const struct machine *m, struct kvmb_tlv_out *o)
{
	(void)m;
	kvmb_tlv_begin(o, KVMB_SEC_HOST, 0, KVMB_TLV_CRITICAL);
	kvmb_tlv_end(o);
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
void vm_hold(struct vm *v)
{
	assert_true(bus_stands && drained);
	(void)v;
	held = true;
}
void vm_release(struct vm *v)
{
	held = false;
	kvmb_loop_stop(v->loop); /* it is decided */
}
void vm_handed_over(struct vm *v)
{
	assert_true(held);
	handed_over = true;
	v->state = VM_ENDED;
	kvmb_loop_stop(v->loop);
}
bool console_drain(struct console *c, u32 ms)
{
	(void)c, (void)ms;
	assert_true(bus_stands); /* nothing follows */
	return drained = true;
}

static void (*stands)(void *arg);
static void *stands_arg;
static bool slow_bus;

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

static struct kvmb_disk disk;
static struct kvmb_net_backend_ops ops;
static struct kvmb_net_backend tap = { .ops = &ops, .num_queues = 2 };

bool disks_each_unit(struct vm *v, u32 *c, u32 *lun, struct kvmb_unit_info *i)
{
	(void)v;
	*i = (struct kvmb_unit_info){ .disk = *lun ? NULL : &disk }; /* and an empty drive */
	*c = 1;
	return *lun < 2;
}
struct kvmb_net *nics_net(const struct vm *v, u32 index)
{
	static int net;

	(void)v;
	return index == 3 ? (struct kvmb_net *)(void *)&net : NULL;
}
const struct kvmb_net_backend *kvmb_net_backend(const struct kvmb_net *n)
{
	assert_non_null(n);
	return &tap;
}
static int revive(struct kvmb_net_backend *b)
{
	(void)b;
	return 0;
}

/* ---- the other process ---- */

/* After which step it goes; each word stands for what it says after it has heard what is due. */
enum last_act {
	TAKES_ALL,
	SAYS_READY,
	SAYS_FITS,
	TAKES_STATE,
	SAYS_LOADED,
	HEARS_GO,
	SAYS_RUNNING,
	SAYS_JUNK_AND_RUNNING,
	SAYS_RUNNING_TOO_LATE,
	REFUSES
};

static struct {
	enum last_act last;
	pthread_t thread;
	struct mig_stream s;
	struct vm_handed handed;
	char why[MIG_WHY];
	int running; /* what sending RUNNING returned */
} other;

static void hear_sections(u32 until)
{
	struct mig_section sec = { 0 };

	while (!mig_recv_section(&other.s, &sec) && sec.t.tag != until)
		;
	mig_section_fini(&sec);
}

/* At once: nobody can shut the socket down between the two. */
static int say_junk_and_running(void)
{
	static const enum mig_word words[] = { MIG_FITS, MIG_RUNNING };
	struct kvmb_tlv_out o = { 0 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++) {
		kvmb_tlv_begin(&o, KVMB_SEC_WORD, 0, KVMB_TLV_CRITICAL);
		kvmb_tlv_put(&o, MIG_WORD_WORD, words[i]);
		kvmb_tlv_end(&o);
	}
	return mig_send_out(&other.s, &o);
}

static void play_end(void)
{
	if (other.last == SAYS_RUNNING_TOO_LATE)
		usleep((MIG_PATIENCE_MS + 1000) * 1000);
	if (other.last == SAYS_JUNK_AND_RUNNING)
		other.running = say_junk_and_running();
	else if (other.last == REFUSES)
		mig_say(&other.s, MIG_REFUSED, "it is not for me");
	else
		other.running = mig_say(&other.s, MIG_RUNNING, NULL);
}

static void *play(void *arg)
{
	(void)arg;
	if (handed_receive(&other.s, &other.handed, other.why) || other.last == TAKES_ALL)
		goto out;
	if (mig_say(&other.s, MIG_READY, NULL) || other.last == SAYS_READY)
		goto out;
	hear_sections(KVMB_SEC_HOST);
	if (mig_say(&other.s, MIG_FITS, NULL) || other.last == SAYS_FITS)
		goto out;
	hear_sections(KVMB_SEC_END);
	if (other.last == TAKES_STATE || mig_say(&other.s, MIG_LOADED, NULL) ||
	    other.last == SAYS_LOADED)
		goto out;
	if (!mig_hear(&other.s, MIG_GO, other.why) && other.last != HEARS_GO)
		play_end();
out:
	shutdown(other.s.fd, SHUT_RDWR);
	return NULL;
}

/* ---- the test ---- */

static int setup(void **state)
{
	(void)state;
	kvmb_log_set_level(KVMB_LOG_ERR);
	signal(SIGPIPE, SIG_IGN);
	vm = (struct vm){ .cfg = { .name = "t" }, .state = VM_RUNNING, .loop = kvmb_loop_create() };
	ops.revive = NULL;
	vm.machine.gm.memfd = memfd_create("ram", MFD_CLOEXEC);
	disk.fd = tap.fd[0] = tap.fd[1] = vm.machine.gm.memfd;
	other.handed = (struct vm_handed){ .process = -1 };
	other.running = -1;
	bus_stands = held = handed_over = drained = slow_bus = false;
	sections_err = 0;
	cannot = NULL;
	stands = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_null(vm.upgrade);
	handed_close(&other.handed);
	close(vm.machine.gm.memfd);
	kvmb_loop_destroy(vm.loop);
	return 0;
}

static int begin(enum last_act last)
{
	char why[300] = "";
	int sv[2], err;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	other.last = last;
	other.s = (struct mig_stream){ .fd = sv[0], .patience_ms = 10 * MIG_PATIENCE_MS };
	assert_int_equal(pthread_create(&other.thread, NULL, play, NULL), 0);
	err = upgrade_out_begin(&vm, sv[1], why, sizeof(why));
	assert_true(!err == !why[0]);
	return err;
}

static void end(void)
{
	pthread_join(other.thread, NULL);
	close(other.s.fd);
}

static void goes_on(void)
{
	assert_int_equal(vm.state, VM_RUNNING);
	assert_false(bus_stands || held || handed_over);
	assert_int_not_equal(other.running, 0); /* and not there */
}

static void run_until_decided(enum last_act last)
{
	assert_int_equal(begin(last), 0);
	assert_int_equal(kvmb_loop_run(vm.loop), 0);
	end();
}

static void vm_that_runs_there_is_not_touched_here(void **state)
{
	(void)state;
	run_until_decided(SAYS_RUNNING);
	assert_true(handed_over && held && bus_stands);
	assert_int_equal(other.handed.nics[3].num, 2);
	assert_true(other.handed.disks[KVMB_STORAGE_MAX_LUNS] > 0 && other.handed.memory > 0);
	assert_true(other.s.received < 4096);
}

static void other_process_may_die_at_each_step(void **state)
{
	static const enum last_act acts[] = { TAKES_ALL,   SAYS_READY, SAYS_FITS, TAKES_STATE,
					      SAYS_LOADED, HEARS_GO,   REFUSES };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(acts); i++) {
		run_until_decided(acts[i]);
		goes_on();
		teardown(state);
		setup(state);
	}
}

/* It was stopped, or swapped out: what it says when it wakes cannot be sent. */
static void running_that_comes_too_late_is_not_said(void **state)
{
	(void)state;
	run_until_decided(SAYS_RUNNING_TOO_LATE);
	goes_on();
	assert_int_equal(other.running, -EPIPE);
}

/* What was in the socket when we gave up counts. */
static void running_that_came_in_time_is_heard_whatever_was_before(void **state)
{
	(void)state;
	run_until_decided(SAYS_JUNK_AND_RUNNING);
	assert_int_equal(other.running, 0);
	assert_true(handed_over);
}

static void what_fails_here_is_told_there(void **state)
{
	(void)state;
	sections_err = -EFBIG;
	run_until_decided(SAYS_RUNNING);
	goes_on();
	teardown(state);
	setup(state);
	vm.state = VM_PAUSED; /* by the administrator: it stays so */
	sections_err = -EFBIG;
	run_until_decided(SAYS_RUNNING);
	assert_int_equal(vm.state, VM_PAUSED);
	assert_false(bus_stands || handed_over);
}

static void what_cannot_be_handed_over_is_refused_at_once(void **state)
{
	cannot = "it has test devices";
	assert_int_equal(begin(TAKES_ALL), -EBUSY);
	end();
	teardown(state);
	setup(state);
	ops.revive = revive; /* a passt */
	assert_int_equal(begin(TAKES_ALL), -EBUSY);
	end();
	teardown(state);
	setup(state);
	disk.fd = -1; /* an image in a format */
	assert_int_equal(begin(TAKES_ALL), -EBUSY);
	end();
	assert_int_equal(vm.state, VM_RUNNING);
}

/* A device does not come to rest, and who waits for the VM has gone. */
static void other_process_that_dies_while_devices_come_to_rest(void **state)
{
	(void)state;
	slow_bus = true;
	run_until_decided(SAYS_FITS);
	goes_on();
	assert_null(stands);
}

/* `kvmbus kill` before GO: it must not begin to run there. */
static void vm_that_was_killed_does_not_go_on_there(void **state)
{
	(void)state;
	slow_bus = true;
	assert_int_equal(begin(SAYS_RUNNING), 0);
	while (!stands)
		assert_int_equal(kvmb_loop_once(vm.loop, -1), 0);
	vm.state = VM_ENDED;
	stands(stands_arg);
	kvmb_loop_stop(vm.loop);
	end();
	assert_false(handed_over);
	assert_int_equal(other.running, -1);
}

static void end_of_the_vm_ends_it(void **state)
{
	(void)state;
	assert_int_equal(begin(SAYS_RUNNING), 0);
	upgrade_out_destroy(&vm);
	end();
	assert_int_equal(other.running, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(vm_that_runs_there_is_not_touched_here),
		T(other_process_may_die_at_each_step),
		T(running_that_comes_too_late_is_not_said),
		T(running_that_came_in_time_is_heard_whatever_was_before),
		T(what_fails_here_is_told_there),
		T(what_cannot_be_handed_over_is_refused_at_once),
		T(other_process_that_dies_while_devices_come_to_rest),
		T(vm_that_was_killed_does_not_go_on_there),
		T(end_of_the_vm_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
