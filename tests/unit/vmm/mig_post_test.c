// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that comes later, from the list on: both sides are real, with a userfaultfd; then a source
 * or a target is played that lies, is silent, or goes.
 */
#include "vmm/mig_post.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/util.h"
#include "machine/mem_log.h"
#include "machine/mem_post.h"
#include "machine/mem_uffd.h"
#include "tests/harness/patience.h"
#include "tests/unit/test.h"
#include "vmm/mig_give.h"
#include "vmm/vm.h"

#define PAGES 700u
#define RAM (PAGES * KVMB_PAGE_SIZE)

static struct vm vm;	   /* the target's */
static struct machine old; /* the source's */
static struct mig_memory memory;
static struct mig_stream source;
static u8 secret[MIG_SECRET];
static char why[MIG_WHY];
static u32 waits, stops, resumes;
static u32 end_tries;
static bool one_waits; /* a vCPU does not come to stand */

bool disks_each_image(struct vm *v, u32 *c, u32 *lun, struct kvmb_unit_info *i)
{
	(void)v, (void)c, (void)lun, (void)i;
	return false;
}

/* ---- the VM ---- */

void vm_wait(struct vm *v, bool on)
{
	v->waits = on;
	waits++;
}

void vm_cut_off(struct vm *v, bool on)
{
	v->cut_off = on;
}

bool vm_try_stop(struct vm *v, const char *reason)
{
	assert_int_equal(v->state, VM_RUNNING);
	if (one_waits)
		return false;
	if (reason != v->stop_reason)
		snprintf(v->stop_reason, sizeof(v->stop_reason), "%s", reason);
	v->state = VM_PAUSED;
	stops++;
	return true;
}

void vm_try_end(struct vm *v)
{
	(void)v;
	end_tries++;
}

int vm_pause(struct vm *v)
{
	if (v->state != VM_RUNNING)
		return -EINVAL;
	assert_false(v->waits); /* it waits for vCPUs */
	v->state = VM_PAUSED;
	return 0;
}

int vm_resume(struct vm *v)
{
	assert_int_equal(v->state, VM_PAUSED);
	assert_false(v->cut_off);
	v->state = VM_RUNNING;
	v->stop_reason[0] = 0;
	resumes++;
	return 0;
}

/* ---- the source's memory ---- */

static u32 takes;

static bool is_listed(u64 page)
{
	return page % 3 == 1 || (page > 200 && page < 500);
}

/* None of them comes later: pages of a ring, and one that is written all the time. */
#define RING 600u
#define RING_CLEAN 603u
#define BUSY 606u

/* At first what the guest has written; then rings; then what is written all the time. */
int machine_log_take(struct machine *m, u64 *bits)
{
	u64 page;

	(void)m;
	for (page = 0; page < PAGES; page++) {
		if ((takes == 0 && (is_listed(page) || page == RING || page == BUSY)) ||
		    (takes == 1 && (page == RING || page == RING_CLEAN)) ||
		    (takes == 2 && page == BUSY))
			bits[page / 64] |= 1ull << page % 64;
	}
	takes++;
	return 0;
}

static u8 content(u64 page)
{
	return page % 10 == 1 ? 0 : (u8)(1 + page % 250);
}

static void make_ram(struct machine *m, const char *name)
{
	*m = (struct machine){ .name = name, .gm.num_regions = 1, .uffd = -1 };
	m->gm.memfd = memfd_create(name, MFD_CLOEXEC);
	assert_int_equal(ftruncate(m->gm.memfd, RAM), 0);
	m->gm.regions[0] = (struct kvmb_gm_region){ .size = RAM,
						    .hva = mmap(NULL, RAM, PROT_READ | PROT_WRITE,
								MAP_SHARED, m->gm.memfd, 0) };
}

static void free_ram(struct machine *m)
{
	munmap(m->gm.regions[0].hva, RAM);
	close(m->gm.memfd);
}

static int setup(void **state)
{
	u64 page;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	memset(&vm, 0, sizeof(vm));
	vm.cfg.name = "t";
	vm.loop = kvmb_loop_create();
	vm.state = VM_RUNNING;
	make_ram(&vm.machine, "new");
	vm.machine.uffd = mem_uffd_open();
	mem_post_prepare(&vm.machine);
	make_ram(&old, "old");
	for (page = 0; page < PAGES; page++)
		memset((u8 *)old.gm.regions[0].hva + page * KVMB_PAGE_SIZE, content(page),
		       KVMB_PAGE_SIZE);
	memset(secret, 7, MIG_SECRET / 2);
	memset(secret + MIG_SECRET / 2, 8, MIG_SECRET / 2);
	waits = stops = resumes = takes = 0;
	one_waits = false;
	source.fd = -1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mig_post_destroy(&vm);
	mem_post_end(&vm.machine);
	mig_memory_fini(&memory);
	if (source.fd >= 0)
		close(source.fd);
	free_ram(&vm.machine);
	free_ram(&old);
	kvmb_loop_destroy(vm.loop);
	return 0;
}

static void skip_where_it_cannot_be(void)
{
	if (!mem_post_can(&vm.machine)) {
		print_message("no userfaultfd here\n");
		skip();
	}
}

/* A page that is needed at once. */
static void take_before(int fd, u64 page)
{
	struct mig_stream s = { .fd = fd };
	struct mig_section sec = { 0 };

	assert_int_equal(mig_recv_section(&s, &sec), 0);
	assert_int_equal(sec.t.tag, KVMB_SEC_MEMORY);
	assert_int_equal(kvmb_tlv_get(&sec.t, MIG_MEM_FIRST, UINT64_MAX), page);
	mig_section_fini(&sec);
}

/* Takes the list from the stream, as mig_in.c does. */
static void take_list(int fd)
{
	struct mig_stream s = { .fd = fd };
	struct mig_section sec = { 0 };
	const u8 *bits;
	size_t len;
	u64 first;

	assert_int_equal(mig_recv_section(&s, &sec), 0);
	assert_int_equal(sec.t.tag, KVMB_SEC_LATER);
	first = kvmb_tlv_get(&sec.t, MIG_LATER_FIRST, UINT64_MAX);
	bits = kvmb_tlv_get_bytes(&sec.t, MIG_LATER_BITS, &len);
	assert_int_equal(mem_post_expect(&vm.machine), 0);
	assert_int_equal(mem_post_list(&vm.machine, first, bits, len), 0);
	mig_section_fini(&sec);
}

static int link_to(struct mig_stream *s)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	*s = (struct mig_stream){ .fd = sv[0] };
	return sv[1];
}

/* The guest stands, the list has been sent and taken, and nothing of it has come. */
static void meet(void)
{
	u8 *ram = vm.machine.gm.regions[0].hva;
	int fd = link_to(&source);
	u64 page;

	assert_int_equal(mig_memory_init(&memory, &old), 0);
	assert_int_equal(mig_memory_keep(&memory), 0);
	assert_int_equal(mig_memory_soon(&memory), 0);
	assert_int_equal(mig_memory_last(&memory, &source, NULL), 0);
	take_before(fd, RING);
	take_before(fd, BUSY);
	take_list(fd);
	for (page = 0; page < PAGES; page++) /* stale */
		memset(ram + page * KVMB_PAGE_SIZE, is_listed(page) ? 255 : content(page),
		       KVMB_PAGE_SIZE);
	assert_int_equal(mig_post_begin(&vm, fd, secret, why), 0);
}

/* ---- who serves ---- */

static struct {
	pthread_t thread;
	enum mig_word word;
	bool push, mends;
	int err;
	char why[MIG_WHY];
} server;

static void *serve(void *arg)
{
	(void)arg;
	server.err = 0;
	if (server.mends)
		server.err = mig_give_mend(&memory, &source, secret, server.why);
	if (!server.err)
		server.err = mig_give(&memory, &source, server.word, server.push, server.why);
	return NULL;
}

static void begin_server(enum mig_word word, bool push, bool mends)
{
	server.word = word;
	server.push = push;
	server.mends = mends;
	assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

static int end_server(void)
{
	pthread_join(server.thread, NULL);
	return server.err;
}

static u8 look_at(u64 page)
{
	return ((volatile u8 *)vm.machine.gm.regions[0].hva)[page * KVMB_PAGE_SIZE + 5];
}

static u32 wrong;	/* atomic */
static useconds_t slow; /* of readers */

static void *reader(void *arg)
{
	u64 x = (u64)(uintptr_t)arg, i, page;

	for (i = 0; i < 2000; i++) {
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		page = (x >> 33) % PAGES;
		usleep(__atomic_load_n(&slow, __ATOMIC_RELAXED));
		if (look_at(page) != content(page))
			__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static pthread_t readers[3];

static void begin_readers(void)
{
	uintptr_t i;

	wrong = 0;
	for (i = 0; i < 3; i++)
		pthread_create(&readers[i], NULL, reader, (void *)(i + 1));
}

static void end_readers(void)
{
	int i;

	for (i = 0; i < 3; i++)
		pthread_join(readers[i], NULL);
	assert_int_equal(wrong, 0);
}

static void loop_until(bool (*done)(void))
{
	u64 until = kvmb_now_ms() + PATIENCE_MS;

	while (!done() && kvmb_now_ms() < until)
		assert_int_equal(kvmb_loop_once(vm.loop, 20), 0);
	assert_true(done());
}

static bool all_is_here(void)
{
	return !vm.post;
}

static bool is_paused(void)
{
	return vm.state == VM_PAUSED;
}

static bool is_being_ended(void)
{
	return end_tries;
}

static bool runs(void)
{
	return vm.state == VM_RUNNING && !mig_post_is_broken(&vm);
}

/* LOADED, GO, RUNNING, as mig_in.c and mig_out.c say them. */
static void begin_to_run(void)
{
	begin_server(MIG_LOADED, false, false);
	assert_int_equal(look_at(1), content(1)); /* who loads needs one */
	assert_int_equal(look_at(4), content(4));
	assert_int_equal(mig_post_say(&vm, MIG_LOADED, NULL), 0);
	assert_int_equal(end_server(), 0);
	assert_int_equal(mig_say(&source, MIG_GO, NULL), 0);
	begin_server(MIG_RUNNING, false, false);
	assert_int_equal(mig_post_hear(&vm, MIG_GO, why), 0);
	assert_int_equal(mig_post_run(&vm), 0);
	assert_true(vm.waits);
	assert_int_equal(mig_post_say(&vm, MIG_RUNNING, NULL), 0);
	assert_int_equal(end_server(), 0);
}

static void check_all(void)
{
	u64 page;

	for (page = 0; page < PAGES; page++)
		assert_int_equal(look_at(page), content(page));
}

/* ---- both sides are what they should be ---- */

static void guest_runs_while_its_memory_comes(void **state)
{
	(void)state;
	skip_where_it_cannot_be();
	meet();
	begin_to_run();
	begin_readers();
	begin_server(MIG_ALL_HERE, true, false);
	end_readers();
	assert_int_equal(end_server(), 0);
	loop_until(all_is_here);
	assert_false(vm.waits);
	assert_int_equal(stops, 0);
	assert_int_equal(mig_memory_left(&memory), 0);
	check_all();
}

/* Asked for, all of it, because nobody pushes. */
static void pages_come_when_they_are_asked_for(void **state)
{
	(void)state;
	skip_where_it_cannot_be();
	meet();
	begin_to_run();
	begin_server(MIG_ALL_HERE, false, false);
	check_all();
	loop_until(all_is_here);
	assert_int_equal(end_server(), 0);
}

static char answer[200];

static void on_answer(void *arg, json_t *result, const char *class, const char *text)
{
	(void)arg, (void)class;
	snprintf(answer, sizeof(answer), "%s", result ? "mended" : text);
	json_decref(result);
}

static bool is_answered(void)
{
	return answer[0];
}

static const struct ctl_reply reply = { on_answer, NULL };

/* Link after link breaks, with readers in the middle of it: nobody sees what is not there. */
static void broken_link_pauses_the_vm_until_it_is_mended(void **state)
{
	int i;

	(void)state;
	skip_where_it_cannot_be();
	meet();
	begin_to_run();
	__atomic_store_n(&slow, 500, __ATOMIC_RELAXED); /* or all has come too soon */
	begin_readers();
	for (i = 0; i < 3; i++) {
		usleep(20000); /* some wait */
		shutdown(source.fd, SHUT_RDWR);
		loop_until(is_paused);
		assert_true(vm.cut_off);
		assert_non_null(strstr(vm.stop_reason, "has not come"));
		assert_true(mig_post_is_broken(&vm));
		answer[0] = 0;
		close(source.fd);
		mig_post_mend(&vm, link_to(&source), reply);
		if (i == 2)
			break;
		begin_server(MIG_ALL_HERE, false, true);
		loop_until(is_answered);
		assert_string_equal(answer, "mended");
		loop_until(runs);
		usleep(20000); /* some pages come */
		shutdown(source.fd, SHUT_RDWR);
		assert_int_not_equal(end_server(), 0);
	}
	__atomic_store_n(&slow, 0, __ATOMIC_RELAXED);
	begin_server(MIG_ALL_HERE, true, true);
	end_readers();
	assert_int_equal(end_server(), 0);
	loop_until(all_is_here);
	assert_int_equal(vm.state, VM_RUNNING);
	assert_int_equal(resumes, stops);
	check_all();
}

/* A vCPU that waits for memory is not waited for, and when it is mended it goes on. */
static void vcpu_that_waits_is_not_waited_for(void **state)
{
	(void)state;
	skip_where_it_cannot_be();
	meet();
	begin_to_run();
	one_waits = true;
	shutdown(source.fd, SHUT_RDWR);
	while (!vm.cut_off)
		assert_int_equal(kvmb_loop_once(vm.loop, 20), 0);
	assert_int_equal(vm.state, VM_RUNNING);
	assert_non_null(strstr(vm.stop_reason, "has not come")); /* to be seen, nevertheless */
	close(source.fd);
	mig_post_mend(&vm, link_to(&source), reply);
	begin_server(MIG_ALL_HERE, true, true);
	loop_until(all_is_here);
	assert_int_equal(end_server(), 0);
	assert_false(vm.cut_off);
	assert_string_equal(vm.stop_reason, "");
	assert_int_equal(stops + resumes, 0);
}

/* The administrator paused it before; mending is no resume. */
static void vm_that_was_paused_stays_so(void **state)
{
	(void)state;
	skip_where_it_cannot_be();
	meet();
	begin_to_run();
	vm.state = VM_PAUSED;
	shutdown(source.fd, SHUT_RDWR);
	while (!vm.cut_off)
		assert_int_equal(kvmb_loop_once(vm.loop, 20), 0);
	close(source.fd);
	mig_post_mend(&vm, link_to(&source), reply);
	begin_server(MIG_ALL_HERE, true, true);
	loop_until(all_is_here);
	assert_int_equal(end_server(), 0);
	assert_int_equal(vm.state, VM_PAUSED);
	assert_int_equal(resumes, 0);
}

/* It ends before all has come, and nobody touches it: the source need not stay. */
static void source_of_a_vm_that_ends_may_end(void **state)
{
	(void)state;
	skip_where_it_cannot_be();
	meet();
	begin_to_run();
	begin_server(MIG_ALL_HERE, false, false);
	mig_post_destroy(&vm);
	assert_int_equal(end_server(), 0);
	assert_int_not_equal(mig_memory_left(&memory), 0);
}

/* ---- a source that lies, is silent, or goes ---- */

static void send_page(u64 first, size_t len, u64 zero)
{
	static u8 bytes[4 * KVMB_PAGE_SIZE] = { 66 };
	struct kvmb_tlv_out o = { 0 };

	kvmb_tlv_begin(&o, KVMB_SEC_MEMORY, 0, KVMB_TLV_CRITICAL);
	kvmb_tlv_put(&o, MIG_MEM_FIRST, first);
	if (len)
		kvmb_tlv_put_bytes(&o, MIG_MEM_PAGES, bytes, len);
	else
		kvmb_tlv_put(&o, MIG_MEM_ZERO, zero);
	kvmb_tlv_end(&o);
	assert_int_equal(mig_send(&source, o.buf, o.len), 0);
	kvmb_tlv_out_fini(&o);
}

static void send_empty(struct mig_stream *to, enum kvmb_section tag)
{
	struct kvmb_tlv_out o = { 0 };

	kvmb_tlv_begin(&o, tag, 0, 0);
	kvmb_tlv_end(&o);
	mig_send(to, o.buf, o.len);
	kvmb_tlv_out_fini(&o);
}

/* What is there stays as it is; the VM waits for who tells the truth. */
static void source_that_lies_changes_nothing(void **state)
{
	static const struct {
		u64 first;
		size_t len;
		u64 zero;
	} rows[] = {
		{ 0, KVMB_PAGE_SIZE, 0 },     /* not on the list */
		{ 1, KVMB_PAGE_SIZE, 0 },     /* twice */
		{ PAGES, KVMB_PAGE_SIZE, 0 }, /* beyond RAM */
		{ UINT64_MAX, KVMB_PAGE_SIZE, 0 },
		{ 499, 2 * KVMB_PAGE_SIZE, 0 }, /* the second is not */
		{ 7, KVMB_PAGE_SIZE + 1, 0 },
		{ 7, 0, UINT64_MAX },
		{ 0, 0, PAGES },
		{ 7, 0, 0 },
	};
	size_t i;

	(void)state;
	skip_where_it_cannot_be();
	for (i = 0; i < ARRAY_SIZE(rows) + 3; i++) {
		meet();
		begin_to_run();
		if (i < ARRAY_SIZE(rows))
			send_page(rows[i].first, rows[i].len, rows[i].zero);
		else if (i == ARRAY_SIZE(rows))
			mig_say(&source, MIG_GO, NULL); /* a second time */
		else if (i == ARRAY_SIZE(rows) + 1)
			send_empty(&source, KVMB_SEC_BUS);
		else
			mig_say(&source, MIG_ALL_HERE, NULL);
		loop_until(is_paused);
		close(source.fd);
		mig_post_mend(&vm, link_to(&source), reply);
		begin_server(MIG_ALL_HERE, true, true);
		loop_until(all_is_here);
		assert_int_equal(end_server(), 0);
		check_all();
		teardown(state);
		setup(state);
	}
}

static void silent_source_is_a_broken_link(void **state)
{
	(void)state;
	skip_where_it_cannot_be();
	meet();
	begin_to_run();
	loop_until(is_paused);
	assert_non_null(strstr(vm.stop_reason, "says nothing"));
}

/* It has loaded, waits for a page or for GO, and hears that there will be none. */
static void link_that_breaks_before_go_ends_it(void **state)
{
	(void)state;
	skip_where_it_cannot_be();
	meet();
	shutdown(source.fd, SHUT_RDWR);
	look_at(7); /* who loads goes on */
	assert_int_equal(mig_post_hear(&vm, MIG_GO, why), -EPIPE);
	assert_non_null(strstr(why, "has gone"));
	assert_int_equal(mig_post_run(&vm), -EPIPE);
	assert_int_equal(mig_post_say(&vm, MIG_REFUSED, "x"), -EPIPE);
	assert_false(vm.waits);
}

static void source_that_does_not_say_go_is_not_waited_for(void **state)
{
	u64 begin = kvmb_now_ms();

	(void)state;
	skip_where_it_cannot_be();
	meet();
	assert_int_equal(mig_post_hear(&vm, MIG_GO, why), -ETIMEDOUT);
	assert_in_range(kvmb_now_ms() - begin, MIG_PATIENCE_MS - 1000, PATIENCE_MS);
	mig_post_fail(&vm);
	look_at(7);
}

static void break_link(void)
{
	shutdown(source.fd, SHUT_RDWR);
	loop_until(is_paused);
	close(source.fd);
	answer[0] = 0;
	mig_post_mend(&vm, link_to(&source), reply);
}

/* Whoever connects: without the secret he learns nothing, and changes nothing. */
static void stranger_does_not_mend(void **state)
{
	struct mig_word_more more = { .secret_len = MIG_SECRET / 2 };
	struct mig_section sec = { 0 };
	int i;

	(void)state;
	skip_where_it_cannot_be();
	meet();
	begin_to_run();
	for (i = 0; i < 4; i++) {
		break_link();
		if (i == 0)
			mig_tell(&source, MIG_MEND, NULL, &more); /* another VM's */
		else if (i == 1)
			mig_say(&source, MIG_MEND, NULL);
		else if (i == 2)
			send_page(7, KVMB_PAGE_SIZE, 0);
		else
			shutdown(source.fd, SHUT_WR);
		loop_until(is_answered);
		assert_non_null(strstr(answer, "waits as before"));
		while (!mig_recv_section(&source, &sec))
			assert_int_equal(sec.t.tag, KVMB_SEC_WORD); /* a refusal, and no list */
		assert_true(mig_post_is_broken(&vm));
		assert_int_equal(vm.state, VM_PAUSED);
	}
	mig_section_fini(&sec);
	break_link();
	begin_server(MIG_ALL_HERE, true, true);
	loop_until(all_is_here);
	assert_int_equal(end_server(), 0);
	check_all();
}

static void what_is_whole_is_not_mended(void **state)
{
	struct mig_stream other;

	(void)state;
	skip_where_it_cannot_be();
	answer[0] = 0;
	mig_post_mend(&vm, link_to(&other), reply);
	assert_non_null(strstr(answer, "all of its memory is here"));
	close(other.fd);
	meet();
	begin_to_run();
	answer[0] = 0;
	mig_post_mend(&vm, link_to(&other), reply);
	assert_non_null(strstr(answer, "nothing to mend"));
	close(other.fd);
	break_link();
	answer[0] = 0;
	mig_post_mend(&vm, link_to(&other), reply);
	assert_string_equal(answer, "somebody else is mending it");
	close(other.fd);
	answer[0] = 0;
	mig_post_forget(&vm); /* as the VM's end does */
	assert_non_null(strstr(answer, "ended"));
}

/* ---- a target that lies; the source's side ---- */

static struct mig_stream target;

static void meet_target(void)
{
	target = (struct mig_stream){ .fd = link_to(&source) };
	assert_int_equal(mig_memory_init(&memory, &old), 0);
	assert_int_equal(mig_memory_keep(&memory), 0);
	assert_int_equal(mig_memory_last(&memory, &source, NULL), 0);
}

static void leave_target(void)
{
	close(target.fd);
	mig_memory_fini(&memory);
	close(source.fd);
	source.fd = -1;
	takes = 0;
}

static void want_page(u64 page)
{
	struct kvmb_tlv_out o = { 0 };

	kvmb_tlv_begin(&o, KVMB_SEC_WANTED, 0, KVMB_TLV_CRITICAL);
	kvmb_tlv_put(&o, MIG_WANTED_PAGE, page);
	kvmb_tlv_end(&o);
	mig_send(&target, o.buf, o.len);
	kvmb_tlv_out_fini(&o);
}

static void target_gets_only_what_is_on_the_list(void **state)
{
	static const u64 pages[] = { 0, 3, PAGES, 1ull << 40, UINT64_MAX };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		meet_target();
		want_page(pages[i]);
		assert_int_equal(mig_give(&memory, &source, MIG_LOADED, false, why), -EPROTO);
		assert_non_null(strstr(why, "never to come later"));
		leave_target();
	}
}

/* A page is sent once, whoever asks how often. */
static void page_is_sent_once(void **state)
{
	struct mig_section sec = { 0 };
	u64 left;
	int n = 0;

	(void)state;
	meet_target();
	left = mig_memory_left(&memory);
	want_page(7);
	want_page(7);
	mig_say(&target, MIG_LOADED, NULL);
	assert_int_equal(mig_give(&memory, &source, MIG_LOADED, false, why), 0);
	assert_int_equal(mig_memory_left(&memory), left - 1);
	close(source.fd);
	while (!mig_recv_section(&target, &sec))
		n = sec.t.tag == KVMB_SEC_LATER ? 0 : n + (sec.t.tag == KVMB_SEC_MEMORY);
	assert_int_equal(n, 1); /* after the list */
	mig_section_fini(&sec);
	source.fd = -1;
	close(target.fd);
}

static void *trickle(void *arg)
{
	const u8 header[KVMB_TLV_HEADER] = { KVMB_SEC_WORD, [16] = 100 };
	int *end = arg;
	size_t i;

	for (i = 0; i < sizeof(header) && !__atomic_load_n(end, __ATOMIC_RELAXED); i++) {
		if (write(target.fd, header + i, 1) != 1)
			break;
		usleep(MIG_PATIENCE_MS * 500); /* half of what it may be silent */
	}
	return NULL;
}

static void target_that_says_a_byte_now_and_then_is_silent(void **state)
{
	u64 begin = kvmb_now_ms();
	int end = 0;
	pthread_t t;

	(void)state;
	meet_target();
	pthread_create(&t, NULL, trickle, &end);
	assert_int_equal(mig_give(&memory, &source, MIG_LOADED, false, why), -ETIMEDOUT);
	assert_in_range(kvmb_now_ms() - begin, 0, 3 * MIG_PATIENCE_MS);
	__atomic_store_n(&end, 1, __ATOMIC_RELAXED);
	pthread_join(t, NULL);
	leave_target();
}

static void *ask_and_ask(void *arg)
{
	int *end = arg;

	while (!__atomic_load_n(end, __ATOMIC_RELAXED)) {
		want_page(7);
		usleep(10000);
	}
	return NULL;
}

/* The guest stands as long as it does not say LOADED. */
static void target_that_only_asks_does_not_keep_the_guest_standing(void **state)
{
	u64 begin = kvmb_now_ms();
	int end = 0;
	pthread_t t;

	(void)state;
	meet_target();
	pthread_create(&t, NULL, ask_and_ask, &end);
	assert_int_equal(mig_give(&memory, &source, MIG_LOADED, false, why), -ETIMEDOUT);
	assert_in_range(kvmb_now_ms() - begin, 0, 3 * MIG_PATIENCE_MS);
	__atomic_store_n(&end, 1, __ATOMIC_RELAXED);
	pthread_join(t, NULL);
	leave_target();
}

static void target_that_does_not_say_that_all_is_there_is_left(void **state)
{
	(void)state;
	meet_target();
	assert_int_equal(mig_give(&memory, &source, MIG_ALL_HERE, true, why), -ETIMEDOUT);
	leave_target();
	meet_target();
	mig_say(&target, MIG_REFUSED, "no more");
	assert_int_equal(mig_give(&memory, &source, MIG_ALL_HERE, true, why), -ECONNREFUSED);
	assert_string_equal(why, "no more");
	leave_target();
	meet_target();
	send_page(1, 0, 1);
	shutdown(target.fd, SHUT_RDWR);
	assert_int_equal(mig_give(&memory, &source, MIG_ALL_HERE, true, why), -EPIPE);
	leave_target();
}

static void say_list(u64 first, const u8 *bits, size_t len)
{
	struct kvmb_tlv_out o = { 0 };

	kvmb_tlv_begin(&o, KVMB_SEC_LATER, 0, KVMB_TLV_CRITICAL);
	kvmb_tlv_put(&o, MIG_LATER_FIRST, first);
	kvmb_tlv_put_bytes(&o, MIG_LATER_BITS, bits, len);
	kvmb_tlv_end(&o);
	mig_send(&target, o.buf, o.len);
	kvmb_tlv_out_fini(&o);
}

/* Who is there may be a stranger, who would get memory; or miss what he has never lacked. */
static void target_that_lies_is_not_mended(void **state)
{
	struct mig_word_more more = { .secret_len = MIG_SECRET / 2 };
	u8 first[1] = { 1 }, second[1] = { 2 };
	u64 left;
	int i;

	(void)state;
	for (i = 0; i < 7; i++) {
		meet_target();
		left = mig_memory_left(&memory);
		memset(more.secret, i == 0 ? 7 : 8, MIG_SECRET / 2); /* 7: what it was told */
		if (i == 1)
			mig_say(&target, MIG_MEND, NULL);
		else if (i == 2)
			mig_say(&target, MIG_REFUSED, "its memory does not come from there");
		else
			mig_tell(&target, MIG_MEND, NULL, &more);
		if (i == 3)
			say_list(0, first, 1); /* page 0 never was on it */
		else if (i == 4)
			say_list(1024, second, 1);
		else if (i == 5)
			mig_say(&target, MIG_LOADED, NULL);
		else if (i == 6)
			shutdown(target.fd, SHUT_WR);
		assert_int_not_equal(mig_give_mend(&memory, &source, secret, why), 0);
		assert_int_equal(mig_memory_left(&memory), left);
		leave_target();
	}
	meet_target();
	memset(more.secret, 8, MIG_SECRET / 2);
	mig_tell(&target, MIG_MEND, NULL, &more);
	say_list(0, second, 1);
	send_empty(&target, KVMB_SEC_END);
	assert_int_equal(mig_give_mend(&memory, &source, secret, why), 0);
	assert_int_equal(mig_memory_left(&memory), 1);
	leave_target();
}

/* The list was short, and who loads the VM has needed all of it: RUNNING must be heard first. */
static void running_is_said_before_all_here(void **state)
{
	(void)state;
	skip_where_it_cannot_be();
	meet();
	begin_server(MIG_LOADED, false, false);
	check_all(); /* all is asked for, and comes */
	assert_int_equal(mig_post_say(&vm, MIG_LOADED, NULL), 0);
	assert_int_equal(end_server(), 0);
	assert_int_equal(mig_say(&source, MIG_GO, NULL), 0);
	begin_server(MIG_RUNNING, false, false);
	assert_int_equal(mig_post_hear(&vm, MIG_GO, why), 0);
	assert_int_equal(mig_post_run(&vm), 0);
	usleep(200000); /* disk_locks_forget_caches(), or another process has the CPU */
	mig_post_say(&vm, MIG_RUNNING, NULL);
	if (end_server())
		print_message("the source: %s\n", server.why);
	assert_int_equal(server.err, 0);
}

/* GO is old: the source has hung up since, and may run. Who is to run must see that at once. */
static void source_that_has_gone_since_go_is_seen(void **state)
{
	u32 i, ran = 0;

	for (i = 0; i < 20; i++) {
		if (i) {
			teardown(state);
			setup(state);
		}
		skip_where_it_cannot_be();
		meet();
		assert_int_equal(mig_say(&source, MIG_GO, NULL), 0);
		assert_int_equal(mig_post_hear(&vm, MIG_GO, why), 0);
		close(source.fd); /* vmm/mig_out.c: stay_undecided() */
		source.fd = -1;
		/* vmm/mig_in.c: check_go(), then run_without_rest() */
		if (!mig_post_is_broken(&vm) && !mig_post_run(&vm))
			ran++;
	}
	assert_int_equal(ran, 0);
}

static bool main_goes_on; /* atomic */

static void *load(void *arg)
{
	(void)arg;
	look_at(1);
	__atomic_store_n(&main_goes_on, true, __ATOMIC_RELAXED);
	return NULL;
}

/* Before GO: who loads the VM, its main thread, needs a page, and the source says nothing. */
static void silent_source_does_not_keep_who_loads(void **state)
{
	pthread_t loader;
	bool goes_on = false;
	int i;

	(void)state;
	skip_where_it_cannot_be();
	meet();
	main_goes_on = false;
	pthread_create(&loader, NULL, load, NULL);
	for (i = 0; i < 5 * (int)MIG_PATIENCE_MS / 100 && !goes_on; i++) {
		usleep(100000);
		goes_on = __atomic_load_n(&main_goes_on, __ATOMIC_RELAXED);
	}
	mig_post_fail(&vm);
	pthread_join(loader, NULL);
	assert_true(goes_on);
}

/* vm_kill() leaves the rest to us, while memory comes and when the link has broken. */
static void end_that_waits_for_a_vcpu_is_tried_again(void **state)
{
	(void)state;
	skip_where_it_cannot_be();
	meet();
	begin_to_run();
	end_tries = 0;
	loop_until(is_being_ended);
	close(source.fd);
	source.fd = -1;
	loop_until(is_paused);
	end_tries = 0;
	loop_until(is_being_ended);
}

/* vm_stop() leaves the rest to us, and then all has come before our timer. */
static void stop_that_is_under_way_is_finished(void **state)
{
	(void)state;
	skip_where_it_cannot_be();
	meet();
	begin_to_run();
	one_waits = true;
	/* as vm_stop() does when a vCPU does not stand at once: vmm/vm.c */
	snprintf(vm.stop_reason, sizeof(vm.stop_reason), "disk 0:0: no space");
	begin_server(MIG_ALL_HERE, true, false);
	loop_until(all_is_here);
	assert_int_equal(end_server(), 0);
	assert_int_equal(vm.state, VM_PAUSED);
	assert_string_equal(vm.stop_reason, "disk 0:0: no space");
}

/* `kvmbus kill` there while a slow link is full of pages: it says so, reads no more, and goes. */
static void source_that_is_sending_hears_that_the_vm_has_ended(void **state)
{
	(void)state;
	meet_target();
	want_page(7); /* was on its way */
	begin_server(MIG_ALL_HERE, true, false);
	usleep(300000); /* the link is full */
	assert_int_not_equal(mig_memory_left(&memory), 0);
	mig_say(&target, MIG_ALL_HERE, NULL);
	want_page(10);
	shutdown(target.fd, SHUT_RDWR);
	if (end_server())
		print_message("the source: %s\n", server.why);
	assert_int_equal(server.err, 0);
	leave_target();
}

static void *trickle_page(void *arg)
{
	const u8 header[KVMB_TLV_HEADER] = { KVMB_SEC_MEMORY, [17] = 16 }; /* 4096 bytes */
	int *end = arg;
	size_t i;

	for (i = 0; !__atomic_load_n(end, __ATOMIC_RELAXED); i++) {
		if (write(source.fd, i < sizeof(header) ? header + i : (const u8 *)"", 1) != 1)
			break;
		usleep(MIG_PATIENCE_MS * 500); /* half of what it may be silent */
	}
	return NULL;
}

/* As above, but it says a byte now and then, of a section that began before anybody waited. */
static void source_that_says_a_byte_now_and_then_does_not_keep_who_loads(void **state)
{
	pthread_t loader, t;
	bool goes_on = false;
	int i, end = 0;

	(void)state;
	skip_where_it_cannot_be();
	meet();
	main_goes_on = false;
	pthread_create(&t, NULL, trickle_page, &end);
	usleep(200000);
	pthread_create(&loader, NULL, load, NULL);
	for (i = 0; i < 4 * (int)MIG_PATIENCE_MS / 100 && !goes_on; i++) {
		usleep(100000);
		goes_on = __atomic_load_n(&main_goes_on, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&end, 1, __ATOMIC_RELAXED);
	mig_post_fail(&vm);
	pthread_join(loader, NULL);
	pthread_join(t, NULL);
	assert_true(goes_on);
}

/* vm_stop() has left the rest to us, and then the link breaks: to mend it is no resume. */
static void stop_that_is_under_way_outlives_a_broken_link(void **state)
{
	(void)state;
	skip_where_it_cannot_be();
	meet();
	begin_to_run();
	one_waits = true;
	snprintf(vm.stop_reason, sizeof(vm.stop_reason), "disk 0:0: no space");
	shutdown(source.fd, SHUT_RDWR);
	while (!vm.cut_off)
		assert_int_equal(kvmb_loop_once(vm.loop, 20), 0);
	one_waits = false;
	loop_until(is_paused);
	close(source.fd);
	mig_post_mend(&vm, link_to(&source), reply);
	begin_server(MIG_ALL_HERE, true, true);
	loop_until(all_is_here);
	assert_int_equal(end_server(), 0);
	assert_int_equal(vm.state, VM_PAUSED);
	assert_string_equal(vm.stop_reason, "disk 0:0: no space");
	assert_int_equal(resumes, 0);
}

#define MANY 50u

/* A slow link: what was asked for takes longer than anybody may be silent. */
static void *take_slowly(void *arg)
{
	struct mig_section sec = { 0 };
	struct mig_stream s = { .fd = target.fd };
	bool has_list = false;
	u32 n = 0;

	while (n < MANY && !mig_recv_section(&s, &sec)) {
		has_list |= sec.t.tag == KVMB_SEC_LATER;
		n += has_list && sec.t.tag == KVMB_SEC_MEMORY;
		if (n)
			usleep(MIG_PATIENCE_MS * 1400 / MANY);
	}
	mig_section_fini(&sec);
	usleep(400000); /* the source has nothing more to do */
	mig_say(&target, MIG_ALL_HERE, NULL);
	return arg;
}

/* Many CPUs ask all the time, so that nothing is pushed. All is there by that: no silence. */
static void target_that_asks_for_all_of_it_is_not_left(void **state)
{
	u64 want[(PAGES + 63) / 64] = { 0 }, page;
	int size = 4096;
	pthread_t take;

	(void)state;
	meet_target();
	for (page = 201; page < 201 + MANY; page++)
		want[page / 64] |= 1ull << page % 64;
	mig_memory_want(&memory, want);
	assert_int_equal(setsockopt(source.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	for (page = 201; page < 201 + MANY; page++)
		want_page(page);
	pthread_create(&take, NULL, take_slowly, NULL);
	begin_server(MIG_ALL_HERE, true, false);
	if (end_server())
		print_message("the source: %s, %llu left\n", server.why,
			      (unsigned long long)mig_memory_left(&memory));
	shutdown(source.fd, SHUT_RDWR);
	pthread_join(take, NULL);
	assert_int_equal(server.err, 0);
	leave_target();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(guest_runs_while_its_memory_comes),
		T(pages_come_when_they_are_asked_for),
		T(broken_link_pauses_the_vm_until_it_is_mended),
		T(vcpu_that_waits_is_not_waited_for),
		T(vm_that_was_paused_stays_so),
		T(source_of_a_vm_that_ends_may_end),
		T(source_that_lies_changes_nothing),
		T(silent_source_is_a_broken_link),
		T(link_that_breaks_before_go_ends_it),
		T(source_that_does_not_say_go_is_not_waited_for),
		T(stranger_does_not_mend),
		T(what_is_whole_is_not_mended),
		T(target_gets_only_what_is_on_the_list),
		T(page_is_sent_once),
		T(target_that_says_a_byte_now_and_then_is_silent),
		T(target_that_only_asks_does_not_keep_the_guest_standing),
		T(target_that_does_not_say_that_all_is_there_is_left),
		T(target_that_lies_is_not_mended),
		T(running_is_said_before_all_here),
		T(source_that_has_gone_since_go_is_seen),
		T(silent_source_does_not_keep_who_loads),
		T(end_that_waits_for_a_vcpu_is_tried_again),
		T(stop_that_is_under_way_is_finished),
		T(source_that_is_sending_hears_that_the_vm_has_ended),
		T(source_that_says_a_byte_now_and_then_does_not_keep_who_loads),
		T(stop_that_is_under_way_outlives_a_broken_link),
		T(target_that_asks_for_all_of_it_is_not_left),
	};

	kvmb_log_set_level(-1); /* what it warns of is wanted here */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
