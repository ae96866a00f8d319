// SPDX-License-Identifier: GPL-2.0-only
/* A VM whose memory comes later; theory of operation: mig_post.h. */
#include "vmm/mig_post.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/loop.h"
#include "lib/thread.h"
#include "lib/util.h"
#include "machine/machine.h"
#include "machine/mem_post.h"
#include "vmm/vm.h"

#define STOP_AGAIN_MS 100u
#define LIST_PIECE (64u << 10)
#define LOOK_MS 50
#define WAITS "the rest of its memory has not come: "

enum post_state { POST_COMING, POST_BROKEN, POST_MENDING, POST_DONE };

struct mig_post {
	struct vm *vm;
	u8 secret[MIG_SECRET];
	struct mig_stream in; /* the receiver's */
	struct mig_section sec;
	pthread_t thread;

	pthread_mutex_t sending; /* guards the next two, also while something is sent */
	struct mig_stream out;
	bool can_send;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t cond;
	enum post_state state; /* set_post_state() */
	bool runs;
	bool said_running;
	enum mig_word heard; /* by the receiver, for the main thread; 0 = none */
	int next;	     /* another link, -1 = none */
	char why[MIG_WHY];   /* of BROKEN; of REFUSED */
	int ended;	     /* atomic: the receiver ends */

	/* what was asked for before the VM runs, the oldest first; guarded by the lock */
	struct post_request {
		u64 page, ms;
	} * requests;
	u32 num_requests, first_request, room;

	/* main thread */
	struct kvmb_work changed;
	struct kvmb_timer stop; /* vCPUs that do not stand yet */
	struct ctl_reply reply; /* of mig_post_mend() */
	bool stopped;		/* the VM waits for its memory */
	bool answered;
};

/* ---- states ---- */

static const char *const state_names[] = { "coming", "broken", "mending", "done" };

static const u8 moves[] = {
	[POST_COMING] = 1 << POST_BROKEN | 1 << POST_DONE,
	[POST_BROKEN] = 1 << POST_MENDING,
	[POST_MENDING] = 1 << POST_COMING | 1 << POST_BROKEN,
	[POST_DONE] = 0,
};

/* The receiver, with the lock. */
static void move_to(struct mig_post *p, enum post_state to)
{
	kvmb_assert(moves[p->state] & 1 << to);
	p->state = to;
	pthread_cond_broadcast(&p->cond);
	kvmb_loop_post(p->vm->loop, &p->changed);
}

static void set_post_state(struct mig_post *p, enum post_state to)
{
	pthread_mutex_lock(&p->lock);
	move_to(p, to);
	pthread_mutex_unlock(&p->lock);
}

static enum post_state state_of(const struct mig_post *p)
{
	struct mig_post *q = (struct mig_post *)p;
	enum post_state s;

	pthread_mutex_lock(&q->lock);
	s = q->state;
	pthread_mutex_unlock(&q->lock);
	return s;
}

/* ---- sending ---- */

/* Return: as mig_send(); -EPIPE: there is no link. */
static int say_locked(struct mig_post *p, enum mig_word word, const char *why,
		      const struct mig_word_more *more)
{
	int err = -EPIPE;

	pthread_mutex_lock(&p->sending);
	if (p->can_send)
		err = mig_tell(&p->out, word, why, more);
	pthread_mutex_unlock(&p->sending);
	return err;
}

/* Without memory for it, this one is not waited for less long. */
static void note_wanted(struct mig_post *p, u64 page)
{
	struct post_request *more;

	pthread_mutex_lock(&p->lock);
	if (!p->runs && p->num_requests == p->room) {
		more = realloc(p->requests, (p->room + 256) * sizeof(*more));
		if (more) {
			p->requests = more;
			p->room += 256;
		}
	}
	if (!p->runs && p->num_requests < p->room)
		p->requests[p->num_requests++] = (struct post_request){ page, kvmb_now_ms() };
	pthread_mutex_unlock(&p->lock);
}

/* On the thread that sees faults. What cannot be asked for is asked for again over another link. */
static void want(void *arg, u64 page)
{
	struct kvmb_tlv_out o = { 0 };
	struct mig_post *p = arg;

	note_wanted(p, page);
	kvmb_tlv_begin(&o, KVMB_SEC_WANTED, 0, KVMB_TLV_CRITICAL);
	kvmb_tlv_put(&o, MIG_WANTED_PAGE, page);
	kvmb_tlv_end(&o);
	pthread_mutex_lock(&p->sending);
	if (p->can_send && mig_send(&p->out, o.buf, o.failed ? 0 : o.len))
		shutdown(p->out.fd, SHUT_RDWR); /* the receiver sees it */
	pthread_mutex_unlock(&p->sending);
	kvmb_tlv_out_fini(&o);
}

static void set_link(struct mig_post *p, int fd, bool can_send)
{
	pthread_mutex_lock(&p->sending);
	p->out = (struct mig_stream){ .fd = fd, .cancelled = &p->ended };
	p->can_send = can_send;
	pthread_mutex_unlock(&p->sending);
}

/* Who sends is woken first. */
static void cut_link(struct mig_post *p)
{
	if (p->in.fd < 0)
		return;
	shutdown(p->in.fd, SHUT_RDWR);
	set_link(p, -1, false);
	close(p->in.fd);
	p->in.fd = -1;
}

/* GO may be old, and the receiver not have come round to see it. Main thread, before it runs. */
static bool has_hung_up(struct mig_post *p)
{
	struct pollfd f = { .events = POLLRDHUP };
	bool gone;

	pthread_mutex_lock(&p->sending); /* it is not closed meanwhile */
	f.fd = p->out.fd;
	gone = !p->can_send || poll(&f, 1, 0) > 0;
	pthread_mutex_unlock(&p->sending);
	return gone;
}

/* ---- receiving ---- */

static void say_why(struct mig_post *p, const char *why)
{
	pthread_mutex_lock(&p->lock);
	snprintf(p->why, sizeof(p->why), "%.*s", MIG_WHY - 1, why);
	pthread_mutex_unlock(&p->lock);
}

static int post_wrong(struct mig_post *p, const char *why)
{
	say_why(p, why);
	return -EPROTO;
}

static int post_failed(struct mig_post *p, int err)
{
	say_why(p, p->sec.error.text[0] ? p->sec.error.text : mig_why(err));
	return err;
}

/* Pages that were received are in the section's buffer, which is not guest memory. */
static int take_pages(struct mig_post *p)
{
	struct mig_pages s;
	int err;

	if (mig_take_pages(&p->sec.t, &s))
		return post_failed(p, -EPROTO);
	if (s.len % KVMB_PAGE_SIZE)
		return post_wrong(p, "section memory: no whole pages");
	err = mem_post_put(&p->vm->machine, s.first, s.bytes, s.num);
	if (err == -EINVAL)
		return post_wrong(p, "section memory: pages that were not to come, or came before");
	return err ? post_failed(p, err) : 0;
}

/* GO is for the main thread. It says nothing else before the VM runs, and nothing then. */
static int take_word(struct mig_post *p)
{
	char why[MIG_WHY];
	int err = mig_take_word(&p->in, &p->sec, MIG_GO, why);

	if (err)
		return post_wrong(p, why);
	pthread_mutex_lock(&p->lock);
	err = p->heard ? -EPROTO : 0;
	p->heard = MIG_GO;
	pthread_cond_broadcast(&p->cond);
	pthread_mutex_unlock(&p->lock);
	return err ? post_wrong(p, "the source says GO twice") : 0;
}

static bool does_run(struct mig_post *p)
{
	bool runs;

	pthread_mutex_lock(&p->lock);
	runs = p->runs;
	pthread_mutex_unlock(&p->lock);
	return runs;
}

static int take_late(struct mig_post *p)
{
	int err = mig_recv_section(&p->in, &p->sec);

	if (err)
		return post_failed(p, err);
	switch (p->sec.t.tag) {
	case KVMB_SEC_MEMORY:
		return take_pages(p);
	case KVMB_SEC_WORD:
		return take_word(p);
	}
	return post_wrong(p, "the source sends a section out of turn");
}

static bool is_missing(const struct mig_post *p, u64 page)
{
	u8 bits[8];

	return mem_post_missing(&p->vm->machine, page & ~63ull, bits, sizeof(bits)) &&
	       bits[page % 64 / 8] >> page % 8 & 1;
}

/* Before the VM runs: a page that somebody waits for is due. Return: kvmb_now_ms(); 0: none is. */
static u64 when_due(struct mig_post *p)
{
	u64 due = 0;

	pthread_mutex_lock(&p->lock);
	while (!p->runs && !due && p->first_request < p->num_requests) {
		if (is_missing(p, p->requests[p->first_request].page))
			due = p->requests[p->first_request].ms + MIG_PATIENCE_MS;
		else
			p->first_request++;
	}
	pthread_mutex_unlock(&p->lock);
	return due;
}

/*
 * Who loads the VM may wait for a page, and cannot look at a clock. Otherwise, before the VM runs,
 * who hears words has a clock of his own; then a source sends on and on.
 */
static int look_at_clock(struct mig_post *p, u64 last_ms)
{
	u64 now = kvmb_now_ms(), due = when_due(p);

	if (__atomic_load_n(&p->ended, __ATOMIC_RELAXED))
		return post_failed(p, -ECANCELED);
	if (does_run(p))
		due = last_ms + MIG_PATIENCE_MS;
	p->in.deadline_ms = does_run(p) ? 0 : due;
	return due && now >= due ? post_failed(p, -ETIMEDOUT) : 0;
}

/* One who sends a byte now and then is silent: a section that has begun is due, too. */
static int take_in_time(struct mig_post *p)
{
	u64 until = kvmb_now_ms() + MIG_PATIENCE_MS;

	if (!p->in.deadline_ms || until < p->in.deadline_ms)
		p->in.deadline_ms = until;
	return take_late(p);
}

/* Return: 0: all has come, and the VM runs. */
static int receive_rest(struct mig_post *p)
{
	struct pollfd f = { .fd = p->in.fd, .events = POLLIN };
	u64 last_ms = kvmb_now_ms();
	int err = 0;

	p->sec.error.text[0] = 0;
	while (!err && (mem_post_left(&p->vm->machine) || !does_run(p))) {
		if (poll(&f, 1, LOOK_MS) > 0) {
			err = take_in_time(p);
			last_ms = kvmb_now_ms();
		}
		if (!err)
			err = look_at_clock(p, last_ms);
	}
	p->in.deadline_ms = 0;
	return err;
}

/* ---- another link ---- */

static int send_missing(struct mig_post *p)
{
	const struct machine *m = &p->vm->machine;
	struct kvmb_tlv_out o = { 0 };
	u8 *bits = malloc(LIST_PIECE);
	int err = bits ? 0 : -ENOMEM;
	u64 first;

	for (first = 0; !err && mem_post_missing(m, first, bits, LIST_PIECE);
	     first += LIST_PIECE * 8ull) {
		kvmb_tlv_begin(&o, KVMB_SEC_LATER, 0, KVMB_TLV_CRITICAL);
		kvmb_tlv_put(&o, MIG_LATER_FIRST, first);
		kvmb_tlv_put_bytes(&o, MIG_LATER_BITS, bits, LIST_PIECE);
		kvmb_tlv_end(&o);
		err = mig_send_out(&p->in, &o);
	}
	free(bits);
	kvmb_tlv_begin(&o, KVMB_SEC_END, 0, 0);
	kvmb_tlv_end(&o);
	if (!err)
		err = mig_send_out(&p->in, &o);
	kvmb_tlv_out_fini(&o);
	return err;
}

static bool knows_us(const struct mig_post *p)
{
	return p->in.heard.secret_len == MIG_SECRET / 2 &&
	       !memcmp(p->in.heard.secret, p->secret, MIG_SECRET / 2);
}

/* Nobody else sends on this link so far. */
static int agree(struct mig_post *p)
{
	struct mig_word_more more = { .secret_len = MIG_SECRET / 2 };
	char why[MIG_WHY];
	int err = mig_hear(&p->in, MIG_MEND, why);

	if (err) {
		say_why(p, why);
		return err;
	}
	if (!knows_us(p)) {
		mig_say(&p->in, MIG_REFUSED, "its memory does not come from there");
		return post_wrong(p, "who connected is not where its memory is");
	}
	memcpy(more.secret, p->secret + MIG_SECRET / 2, MIG_SECRET / 2);
	err = mig_tell(&p->in, MIG_MEND, NULL, &more);
	if (!err)
		err = send_missing(p);
	return err ? post_failed(p, err) : 0;
}

/* Return: false: the VM ends. */
static bool wait_for_link(struct mig_post *p)
{
	int fd;

	pthread_mutex_lock(&p->lock);
	while (p->next < 0 && !__atomic_load_n(&p->ended, __ATOMIC_RELAXED))
		pthread_cond_wait(&p->cond, &p->lock);
	fd = p->next;
	p->next = -1;
	if (fd >= 0)
		move_to(p, POST_MENDING);
	pthread_mutex_unlock(&p->lock);
	if (fd < 0)
		return false;
	p->in = (struct mig_stream){ .fd = fd, .cancelled = &p->ended };
	p->sec.error.text[0] = 0;
	return true;
}

/* Return: false: there will be none. */
static bool get_another_link(struct mig_post *p)
{
	for (;;) {
		cut_link(p);
		set_post_state(p, POST_BROKEN);
		if (!wait_for_link(p))
			return false;
		if (!agree(p))
			break;
	}
	set_link(p, p->in.fd, true);
	mem_post_ask_again(&p->vm->machine);
	set_post_state(p, POST_COMING);
	return true;
}

/* Who waits for RUNNING, which the main thread says, does not know ALL_HERE. */
static void wait_for_running(struct mig_post *p)
{
	pthread_mutex_lock(&p->lock);
	while (!p->said_running && !__atomic_load_n(&p->ended, __ATOMIC_RELAXED))
		pthread_cond_wait(&p->cond, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

static void *run_receiver(void *arg)
{
	struct mig_post *p = arg;
	int err;

	kvmb_thread_enter(KVMB_THREAD_JOB, "memory");
	for (;;) {
		err = receive_rest(p);
		if (!err)
			break;
		if (mem_post_give_up(&p->vm->machine)) {
			cut_link(p);
			set_post_state(p, POST_BROKEN);
			return NULL;
		}
		if (!get_another_link(p))
			return NULL;
	}
	mem_post_done(&p->vm->machine);
	wait_for_running(p);
	say_locked(p, MIG_ALL_HERE, NULL, NULL);
	cut_link(p);
	set_post_state(p, POST_DONE);
	return NULL;
}

/* ---- the main thread: the VM stands as long as the link is broken ---- */

static bool is_ours(const struct vm *vm)
{
	return !strncmp(vm->stop_reason, WAITS, strlen(WAITS));
}

static void try_to_stop(struct mig_post *p)
{
	char reason[sizeof(p->vm->stop_reason)], why[MIG_WHY];

	if (p->vm->stop_reason[0] && !is_ours(p->vm)) { /* of vm_stop(): to mend is no resume */
		vm_try_stop(p->vm, p->vm->stop_reason);
		return;
	}
	pthread_mutex_lock(&p->lock);
	memcpy(why, p->why, sizeof(why));
	pthread_mutex_unlock(&p->lock);
	snprintf(reason, sizeof(reason), WAITS "%.100s", why);
	if (!vm_try_stop(p->vm, reason) && !p->vm->stop_reason[0]) /* it is to be seen at once */
		snprintf(p->vm->stop_reason, sizeof(p->vm->stop_reason), "%s", reason);
}

/* vCPUs that wait for memory come to stand when they have it, or the kernel lets them. */
static void look_at_vm(void *arg)
{
	struct mig_post *p = arg;
	struct vm *vm = p->vm;

	kvmb_timer_set(&p->stop, STOP_AGAIN_MS);
	vm_try_end(vm);
	if (vm->state != VM_RUNNING)
		return;
	if (p->stopped)
		try_to_stop(p);
	else if (vm->stop_reason[0]) /* vm_stop() could not */
		vm_try_stop(vm, vm->stop_reason);
}

static void stand(struct mig_post *p)
{
	struct vm *vm = p->vm;

	if (vm->state == VM_ENDED) /* it waits for threads that wait for memory */
		vm->listener->leave(vm);
	if (p->stopped || vm->state == VM_ENDED)
		return;
	p->stopped = true;
	kvmb_warn(vm->cfg.name,
		  WAITS "%s; the VM is paused, and nothing is lost; try: kvmbus migrate --recover, "
			"here and where it was",
		  p->why);
	vm_cut_off(vm, true);
	look_at_vm(p);
}

static void carry_on(struct mig_post *p)
{
	struct vm *vm = p->vm;
	bool was_stopped = p->stopped, ours;

	p->stopped = false;
	if (!was_stopped || vm->state == VM_ENDED)
		return;
	ours = is_ours(vm);
	if (ours && vm->state == VM_RUNNING) /* vCPUs that stand go on, as no reason is left */
		vm->stop_reason[0] = 0;
	vm_cut_off(vm, false);
	if (ours && vm->state == VM_PAUSED)
		vm_resume(vm);
	kvmb_warn(vm->cfg.name, "the rest of its memory comes; the VM goes on");
}

static void answer_mend(struct mig_post *p, enum post_state state)
{
	struct ctl_reply reply = p->reply;

	if (!reply.fn || state == POST_MENDING)
		return;
	p->reply = (struct ctl_reply){ 0 };
	if (state == POST_BROKEN)
		reply_refused(reply, "failed", "%s; the VM waits as before", p->why);
	else
		reply_result(reply, json_pack("{s:s}", "state", "mended"));
}

static void on_changed(void *arg)
{
	struct mig_post *p = arg;
	struct vm *vm = p->vm;
	enum post_state state;
	bool begins;

	pthread_mutex_lock(&p->lock);
	state = p->state;
	begins = p->next >= 0; /* to be mended */
	pthread_mutex_unlock(&p->lock);
	if (!begins)
		answer_mend(p, state);
	if (!p->runs)
		return;
	if (state == POST_BROKEN)
		stand(p);
	else if (state == POST_COMING || state == POST_DONE)
		carry_on(p);
	if (state == POST_DONE) {
		vm_wait(vm, false);
		if (vm->stop_reason[0])
			vm_pause(vm); /* vm_stop() could not, unless it stands already */
		mig_post_destroy(vm);
	}
}

/* ---- beginning and end ---- */

static void free_post(struct mig_post *p)
{
	p->vm->post = NULL;
	kvmb_loop_unpost(p->vm->loop, &p->changed);
	kvmb_timer_cancel(&p->stop);
	mig_section_fini(&p->sec);
	free(p->requests);
	pthread_mutex_destroy(&p->lock);
	pthread_mutex_destroy(&p->sending);
	pthread_cond_destroy(&p->cond);
	free(p);
}

static struct mig_post *create_post(struct vm *vm, int fd, const u8 *secret)
{
	struct mig_post *p = kvmb_xzalloc(sizeof(*p));
	pthread_condattr_t attr;

	*p = (struct mig_post){ .vm = vm, .next = -1 };
	memcpy(p->secret, secret, MIG_SECRET);
	p->in = (struct mig_stream){ .fd = fd, .cancelled = &p->ended };
	pthread_mutex_init(&p->lock, NULL);
	pthread_mutex_init(&p->sending, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->cond, &attr);
	pthread_condattr_destroy(&attr);
	set_link(p, fd, true);
	kvmb_work_init(&p->changed, on_changed, p);
	kvmb_timer_init(&p->stop, vm->loop, look_at_vm, p);
	vm->post = p;
	return p;
}

int mig_post_begin(struct vm *vm, int fd, const u8 *secret, char *why)
{
	struct mig_post *p = create_post(vm, fd, secret);
	int err = mem_post_begin(&vm->machine, want, p);

	fcntl(fd, F_SETFL, O_NONBLOCK);
	if (!err)
		err = -pthread_create(&p->thread, NULL, run_receiver, p);
	if (!err)
		return 0;
	snprintf(why, MIG_WHY, "its memory cannot come later: %s", strerror(-err));
	mem_post_end(&vm->machine);
	free_post(p);
	return err;
}

int mig_post_say(struct vm *vm, enum mig_word word, const char *why)
{
	struct mig_post *p = vm->post;
	int err = say_locked(p, word, why, NULL);

	if (word != MIG_RUNNING)
		return err;
	pthread_mutex_lock(&p->lock);
	p->said_running = true; /* or there is no link any more */
	pthread_cond_broadcast(&p->cond);
	pthread_mutex_unlock(&p->lock);
	return err;
}

int mig_post_hear(struct vm *vm, enum mig_word word, char *why)
{
	struct mig_post *p = vm->post;
	struct timespec until;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += MIG_PATIENCE_MS / 1000;
	pthread_mutex_lock(&p->lock);
	while (!err && p->heard != word && p->state == POST_COMING)
		err = -pthread_cond_timedwait(&p->cond, &p->lock, &until);
	if (p->state != POST_COMING)
		err = -EPIPE;
	else if (p->heard == word)
		err = 0;
	snprintf(why, MIG_WHY, "%.*s", MIG_WHY - 1,
		 err == -EPIPE && p->why[0] ? p->why : mig_why(err));
	pthread_mutex_unlock(&p->lock);
	return err;
}

void mig_post_fail(struct vm *vm)
{
	mem_post_give_up(&vm->machine);
}

int mig_post_run(struct vm *vm)
{
	struct mig_post *p = vm->post;
	int err = has_hung_up(p) ? -EPIPE : mem_post_run(&vm->machine);

	if (err)
		return err;
	pthread_mutex_lock(&p->lock);
	p->runs = true;
	pthread_mutex_unlock(&p->lock);
	vm_wait(vm, true);
	kvmb_timer_set(&p->stop, STOP_AGAIN_MS);
	kvmb_loop_post(vm->loop, &p->changed); /* it may have broken before */
	return 0;
}

bool mig_post_is_broken(const struct vm *vm)
{
	struct mig_post *p = vm->post;
	enum post_state s = p ? state_of(p) : POST_DONE;

	return s == POST_BROKEN || s == POST_MENDING || (p && !p->runs && has_hung_up(p));
}

void mig_post_mend(struct vm *vm, int fd, struct ctl_reply reply)
{
	struct mig_post *p = vm->post;
	enum post_state s = p ? state_of(p) : POST_DONE;

	if (s != POST_BROKEN || p->reply.fn) {
		close(fd);
		reply_refused(reply, "state", "%s",
			      s == POST_DONE   ? "all of its memory is here" :
			      s == POST_COMING ? "its memory comes; there is nothing to mend" :
						 "somebody else is mending it");
		return;
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
	p->reply = reply;
	pthread_mutex_lock(&p->lock);
	p->next = fd;
	pthread_cond_broadcast(&p->cond);
	pthread_mutex_unlock(&p->lock);
}

void mig_post_forget(struct vm *vm)
{
	if (vm->post && vm->post->reply.fn)
		reply_refused(vm->post->reply, "state", "the VM ended");
	if (vm->post)
		vm->post->reply = (struct ctl_reply){ 0 };
}

json_t *mig_post_info(const struct vm *vm)
{
	struct mig_post *p = vm->post;
	json_t *o;

	if (!p)
		return json_null();
	pthread_mutex_lock(&p->lock);
	o = json_pack("{s:s, s:I, s:o}", "state", state_names[p->state], "left",
		      (json_int_t)mem_post_left(&vm->machine), "why",
		      p->state == POST_BROKEN ? json_string(p->why) : json_null());
	pthread_mutex_unlock(&p->lock);
	return o;
}

/* Before it runs the source goes on with it; later nobody needs the rest. */
void mig_post_destroy(struct vm *vm)
{
	struct mig_post *p = vm->post;

	if (!p)
		return;
	if (p->runs && state_of(p) == POST_COMING)
		say_locked(p, MIG_ALL_HERE, NULL, NULL);
	pthread_mutex_lock(&p->lock);
	__atomic_store_n(&p->ended, 1, __ATOMIC_RELAXED);
	pthread_cond_broadcast(&p->cond);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	cut_link(p);
	if (p->next >= 0)
		close(p->next);
	mem_post_end(&vm->machine);
	free_post(p);
}
