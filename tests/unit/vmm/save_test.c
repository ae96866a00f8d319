// SPDX-License-Identifier: GPL-2.0-only
/*
 * A save and its client: the file is complete when the answer comes; a client that goes at any step
 * leaves a VM that runs and a file that cannot be used. What stands below save.c is a stub.
 */
#include "vmm/save.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host-vsp/bus/bus_state.h"
#include "host-vsp/net/net_state.h"
#include "host-vsp/storage/storage_state.h"
#include "ic-services/ic_state.h"
#include "lib/tlv.h"
#include "lib/zstd_lib.h"
#include "machine/machine_state.h"
#include "tests/harness/no_dynmem.h"
#include "tests/harness/no_input.h"
#include "tests/harness/no_synth.h"
#include "tests/harness/no_ide.h"
#include "tests/unit/test.h"
#include "vmm/disk_flush.h"
#include "vmm/disks.h"
#include "vmm/nics.h"
#include "vmm/state_file.h"
#include "vmm/vm_state.h"

#define RAM (1u << 20)

static struct vm vm;
static int file, word; /* the client's: file, writing end of the pipe */
static void (*bus_stands)(void *arg);
static void *bus_arg;
static bool bus_paused, disks_are_busy, request_waits, ended;
static int machine_err, flush_err;
static u32 flushes;	 /* begun and not freed */
static struct state_file_wish wish;
static char answer[300]; /* "ok", or why not; "" = none came */

/* ---- what stands below ---- */

int vm_pause(struct vm *v)
{
	if (v->state != VM_RUNNING)
		return -EINVAL;
	v->state = VM_PAUSED;
	return 0;
}

int vm_resume(struct vm *v)
{
	if (v->state != VM_PAUSED)
		return -EINVAL;
	v->state = VM_RUNNING;
	return 0;
}

bool vm_request_waits(const struct vm *v)
{
	(void)v;
	return request_waits;
}

void vm_saved(struct vm *v)
{
	v->state = VM_ENDED;
	ended = true;
}

void kvmb_bus_pause(struct kvmb_bus *bus, void (*done)(void *arg), void *arg)
{
	(void)bus;
	bus_paused = true;
	bus_stands = done;
	bus_arg = arg;
}

void kvmb_bus_resume(struct kvmb_bus *bus)
{
	(void)bus;
	assert_true(bus_paused);
	bus_paused = false;
	bus_stands = NULL;
}

int machine_save(struct machine *m, struct kvmb_tlv_out *o)
{
	(void)m, (void)o;
	assert_true(bus_paused);
	return machine_err;
}

void kvmb_bus_save(struct kvmb_bus *b, struct kvmb_tlv_out *o) { (void)b, (void)o; }
void kvmb_net_save(struct kvmb_net *n, struct kvmb_tlv_out *o) { (void)n, (void)o; }
void kvmb_ic_save(const struct kvmb_ic_services *s, struct kvmb_tlv_out *o) { (void)s, (void)o; }
void services_save(const struct vm *v, struct kvmb_tlv_out *o)
{
	(void)v, (void)o;
}
void kvmb_storage_save(struct kvmb_storage *s, struct kvmb_tlv_out *o) { (void)s, (void)o; }

void vm_state_save(const struct vm *v, bool paused, struct kvmb_tlv_out *o)
{
	(void)v, (void)paused, (void)o;
}

struct kvmb_net *nics_net(const struct vm *v, u32 index)
{
	(void)v, (void)index;
	return NULL;
}

bool disks_busy(const struct vm *v)
{
	(void)v;
	return disks_are_busy;
}

struct disk_flush *disk_flush_begin(struct vm *v)
{
	(void)v;
	assert_true(bus_paused);
	flushes++;
	return (struct disk_flush *)&flushes;
}

static bool flush_hangs; /* until it is cancelled */
static int flush_begun, flush_cancelled;

void disk_flush_cancel(struct disk_flush *f)
{
	(void)f;
	__atomic_store_n(&flush_cancelled, 1, __ATOMIC_SEQ_CST);
}

int disk_flush_end(struct disk_flush *f, char *why)
{
	int ms;

	(void)f;
	__atomic_store_n(&flush_begun, 1, __ATOMIC_SEQ_CST);
	for (ms = 0; flush_hangs && ms < 3000; ms++) {
		if (__atomic_load_n(&flush_cancelled, __ATOMIC_SEQ_CST))
			return -ECANCELED;
		usleep(1000);
	}
	if (flush_hangs)
		snprintf(why, STATE_FILE_WHY, "nobody cancelled it");
	if (flush_err)
		snprintf(why, STATE_FILE_WHY, "the disk is on fire");
	return flush_err;
}

void disk_flush_free(struct vm *v, struct disk_flush *f)
{
	(void)v;
	flushes -= f != NULL;
}

/* ---- the client ---- */

static void on_reply(void *arg, json_t *result, const char *class, const char *why)
{
	(void)arg, (void)class;
	assert_string_equal(answer, ""); /* one answer */
	snprintf(answer, sizeof(answer), "%s", result ? "ok" : why);
	json_decref(result);
}

static void ask(void)
{
	const struct ctl_reply reply = { on_reply, NULL };
	int p[2];

	assert_int_equal(pipe(p), 0);
	file = memfd_create("state", MFD_ALLOW_SEALING);
	word = p[1];
	save_begin(&vm, dup(file), p[0], &wish, reply);
}

static void serve_until(bool (*done)(void))
{
	int turns;

	for (turns = 0; turns < 1000 && !done(); turns++)
		kvmb_loop_once(vm.loop, 10);
	assert_true(done());
}

static bool answered(void) { return answer[0]; }
static bool nothing_saved(void) { return !vm.save; }
static bool vm_ended(void) { return ended; }

static bool usable(void)
{
	char why[STATE_FILE_WHY];
	struct state_file f;

	if (state_file_open(&f, dup(file), why))
		return false;
	state_file_close(&f);
	return true;
}

static int setup(void **state)
{
	(void)state;
	memset(&vm, 0, sizeof(vm));
	bus_paused = disks_are_busy = request_waits = ended = false;
	machine_err = flush_err = 0;
	flush_hangs = false;
	flush_begun = flush_cancelled = 0;
	answer[0] = 0;
	vm.cfg.name = "t";
	vm.loop = kvmb_loop_create();
	vm.state = VM_RUNNING;
	vm.machine.gm.memfd = memfd_create("ram", 0);
	assert_int_equal(ftruncate(vm.machine.gm.memfd, RAM), 0);
	vm.machine.gm.num_regions = 1;
	vm.machine.gm.regions[0] = (struct kvmb_gm_region){
		.size = RAM,
		.hva = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, vm.machine.gm.memfd, 0)
	};
	vm.machine.gm.regions[0].hva[5000] = 1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	save_destroy(&vm);
	assert_int_equal(flushes, 0);
	kvmb_loop_destroy(vm.loop);
	munmap(vm.machine.gm.regions[0].hva, RAM);
	close(vm.machine.gm.memfd);
	close(file);
	return 0;
}

/* ---- tests ---- */

static void the_answer_means_a_file_that_is_complete(void **state)
{
	u32 let_go = *keys_let_go();

	(void)state;
	ask();
	assert_int_equal(*keys_let_go(), let_go + 1);
	assert_false(answered());
	bus_stands(bus_arg);
	serve_until(answered);
	assert_string_equal(answer, "ok");
	assert_true(usable());
	assert_int_equal(vm.state, VM_PAUSED);
	assert_int_equal(write(word, "k", 1), 1);
	serve_until(vm_ended);
	save_destroy(&vm);
	assert_true(usable()); /* it is the VM's only life from here on */
	close(word);
}

static void a_client_that_goes_before_the_bus_stands_leaves_a_vm_that_runs(void **state)
{
	(void)state;
	ask();
	close(word);
	serve_until(nothing_saved);
	assert_int_equal(vm.state, VM_RUNNING);
	assert_false(bus_paused);
	assert_false(usable());
}

static void a_client_that_goes_while_it_is_written_leaves_a_vm_that_runs(void **state)
{
	(void)state;
	ask();
	close(word);
	bus_stands(bus_arg);
	serve_until(nothing_saved);
	assert_true(answered());
	assert_string_not_equal(answer, "ok");
	assert_int_equal(vm.state, VM_RUNNING);
	assert_false(usable());
}

static void a_client_that_goes_after_the_answer_leaves_a_vm_that_runs(void **state)
{
	(void)state;
	ask();
	bus_stands(bus_arg);
	serve_until(answered);
	close(word);
	serve_until(nothing_saved);
	assert_int_equal(vm.state, VM_RUNNING);
	assert_false(bus_paused);
	assert_false(usable());
}

static void a_vm_that_was_paused_stays_paused(void **state)
{
	(void)state;
	vm.state = VM_PAUSED;
	ask();
	close(word);
	serve_until(nothing_saved);
	assert_int_equal(vm.state, VM_PAUSED);
	assert_false(bus_paused);
}

static void a_vm_that_ends_meanwhile_leaves_no_file(void **state)
{
	(void)state;
	ask();
	bus_stands(bus_arg);
	save_destroy(&vm);
	assert_string_equal(answer, "the VM ended");
	assert_false(usable());
	close(word);
}

static void state_that_cannot_be_read_is_said_and_the_vm_goes_on(void **state)
{
	(void)state;
	machine_err = -EIO;
	ask();
	bus_stands(bus_arg);
	assert_non_null(strstr(answer, "Input/output error"));
	assert_int_equal(vm.state, VM_RUNNING);
	assert_false(bus_paused);
	close(word);
}

static void a_file_that_is_full_is_said_and_the_vm_goes_on(void **state)
{
	(void)state;
	ask();
	assert_int_equal(fcntl(file, F_ADD_SEALS, F_SEAL_GROW), 0);
	bus_stands(bus_arg);
	serve_until(answered);
	assert_non_null(strstr(answer, "cannot write the state"));
	assert_int_equal(vm.state, VM_RUNNING);
	close(word);
}

static void a_file_is_compressed_where_the_library_is(void **state)
{
	char why[200];
	u8 header[20];

	(void)state;
	wish.zstd = true;
	ask();
	assert_non_null(strstr(answer, "libzstd"));
	assert_int_equal(vm.state, VM_RUNNING);
	assert_false(bus_paused);
	close(word), close(file);
	answer[0] = 0;
	assert_int_equal(kvmb_zstd_load(why, sizeof(why)), 0);
	ask();
	bus_stands(bus_arg);
	serve_until(answered);
	assert_string_equal(answer, "ok");
	assert_true(usable());
	assert_int_equal(pread(file, header, sizeof(header), 0), sizeof(header));
	assert_int_equal(header[16], 2); /* which an older kvmbus refuses */
	wish.zstd = false;
	close(word);
}

static void what_cannot_be_saved_is_refused_and_untouched(void **state)
{
	(void)state;
	disks_are_busy = true;
	ask();
	assert_non_null(strstr(answer, "a disk is being"));
	close(word), close(file);
	disks_are_busy = false;
	answer[0] = 0;
	vm.changed = "a NIC was added";
	ask();
	assert_non_null(strstr(answer, "a NIC was added"));
	close(word), close(file);
	vm.changed = NULL;
	answer[0] = 0;
	request_waits = true; /* it asks for a reset while it is stopped */
	ask();
	assert_non_null(strstr(answer, "being reset"));
	assert_int_equal(vm.state, VM_RUNNING);
	assert_false(bus_paused);
	close(word);
}

/* A guest that ejects and is saved at once: its drive is empty, and in its options it is not. */
static void what_changes_while_the_bus_comes_to_rest_counts(void **state)
{
	(void)state;
	ask();
	vm.changed = "a disk was removed";
	bus_stands(bus_arg);
	assert_non_null(strstr(answer, "a disk was removed"));
	assert_int_equal(vm.state, VM_RUNNING);
	assert_false(bus_paused);
	assert_false(usable());
	close(word);
}

/* The bus stands at last, because it was reset. */
static void a_vm_that_is_killed_while_it_comes_to_rest_is_not_saved(void **state)
{
	(void)state;
	ask();
	vm.state = VM_ENDED;
	bus_stands(bus_arg);
	assert_true(answered());
	assert_string_not_equal(answer, "ok");
	assert_false(usable());
	close(word);
}

static void a_vm_that_is_killed_while_it_is_written_is_not_saved(void **state)
{
	(void)state;
	ask();
	bus_stands(bus_arg);
	vm.state = VM_ENDED;
	serve_until(answered);
	assert_string_equal(answer, "the VM ended");
	assert_false(usable());
	close(word);
}

/* It has said that it has the file, and the VM ends before it looks. */
static void a_file_that_has_its_name_outlives_a_vm_that_is_killed(void **state)
{
	(void)state;
	ask();
	bus_stands(bus_arg);
	serve_until(answered);
	assert_int_equal(write(word, "k", 1), 1);
	save_destroy(&vm);
	assert_true(usable());
	close(word);
}

static void disks_that_cannot_be_flushed_keep_the_vm(void **state)
{
	(void)state;
	flush_err = -EIO;
	ask();
	bus_stands(bus_arg);
	serve_until(answered);
	assert_non_null(strstr(answer, "on fire"));
	assert_int_equal(vm.state, VM_RUNNING);
	assert_false(usable());
	close(word);
}

static void ask_and_flush(void)
{
	flush_hangs = true;
	ask();
	bus_stands(bus_arg);
	while (!__atomic_load_n(&flush_begun, __ATOMIC_SEQ_CST))
		usleep(1000);
}

/* The server of a disk is dead, and its flush waits for it. */
static void a_client_that_goes_while_a_flush_hangs_leaves_a_vm_that_runs(void **state)
{
	(void)state;
	ask_and_flush();
	close(word);
	serve_until(nothing_saved);
	assert_string_equal(answer, "it was given up; the VM goes on");
	assert_true(flush_cancelled);
	assert_int_equal(vm.state, VM_RUNNING);
	assert_false(usable());
}

static void the_end_of_a_vm_does_not_wait_for_a_flush_that_hangs(void **state)
{
	(void)state;
	ask_and_flush();
	save_destroy(&vm);
	assert_string_equal(answer, "the VM ended");
	assert_true(flush_cancelled);
	close(word);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_answer_means_a_file_that_is_complete),
		T(a_client_that_goes_before_the_bus_stands_leaves_a_vm_that_runs),
		T(a_client_that_goes_while_it_is_written_leaves_a_vm_that_runs),
		T(a_client_that_goes_after_the_answer_leaves_a_vm_that_runs),
		T(a_vm_that_was_paused_stays_paused),
		T(a_vm_that_ends_meanwhile_leaves_no_file),
		T(state_that_cannot_be_read_is_said_and_the_vm_goes_on),
		T(a_file_that_is_full_is_said_and_the_vm_goes_on),
		T(a_file_is_compressed_where_the_library_is),
		T(what_cannot_be_saved_is_refused_and_untouched),
		T(what_changes_while_the_bus_comes_to_rest_counts),
		T(a_vm_that_is_killed_while_it_comes_to_rest_is_not_saved),
		T(a_vm_that_is_killed_while_it_is_written_is_not_saved),
		T(a_file_that_has_its_name_outlives_a_vm_that_is_killed),
		T(disks_that_cannot_be_flushed_keep_the_vm),
		T(a_client_that_goes_while_a_flush_hangs_leaves_a_vm_that_runs),
		T(the_end_of_a_vm_does_not_wait_for_a_flush_that_hangs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
