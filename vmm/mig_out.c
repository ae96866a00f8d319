// SPDX-License-Identifier: GPL-2.0-only
/* Moving a VM elsewhere; theory of operation: mig_out.h. */
#include "vmm/mig_out.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vsp/bus/bus_state.h"
#include "host-vsp/tuner.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/thread.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/machine_match.h"
#include "machine/mem_log.h"
#include "vmm/disk_flush.h"
#include "vmm/disk_locks.h"
#include "vmm/mig_disks.h"
#include "vmm/mig_memory.h"
#include "vmm/mig_give.h"
#include "vmm/mig_stream.h"
#include "vmm/nics.h"
#include "vmm/vars.h"
#include "vmm/vm_rest.h"
#include "vmm/vm_sections.h"

/* ASKING: nothing was heard after GO, and somebody has the locks. See mig_out.h. */
enum mig_step {
	MIG_LIVE,
	MIG_STOPPING,
	MIG_LAST,
	MIG_DECIDING,
	MIG_ASKING,
	MIG_UNDECIDED,
	MIG_SERVING,
	MIG_BROKEN
};

#define VARS_MS 5000u /* for the firmware's variables to be written */
#define LOOK_MS 500u  /* between two looks at what nobody tells us */

struct vm_migration { /* main thread, but for what the thread has */
	struct vm *vm;
	enum mig_step step;
	bool was_paused;    /* before: it stays so when this is given up */
	bool logging;	    /* machine_log_begin() was called */
	bool said_go;	    /* the target may have heard it */
	bool mends;	    /* the thread begins with another link */
	bool undecided;	    /* it was so before that */
	int pipe;	    /* -1 = none */
	struct kvmb_watch *watch; /* of the pipe */
	struct ctl_reply reply;
	struct mig_out_wish wish;
	struct mig_stream stream; /* the thread's */
	struct mig_memory memory; /* the thread's */
	struct mig_disks disks;	  /* likewise; none unless they are copied */
	struct kvmb_tlv_out sections;
	struct disk_flush *flush; /* from LAST on, else NULL */
	pthread_t thread;
	struct kvmb_work done; /* the thread has ended */
	u32 throttle;	       /* atomic, of the guest: percent */
	struct kvmb_work throttle_work;
	int err;	       /* the thread's result */
	char why[MIG_WHY];
	u64 begin_ms, stopped_ns;
	u64 runs_ns;	       /* when it ran there; 0 = not yet */
	u8 secret[MIG_SECRET]; /* of LATER */
	int cancelled; /* atomic: the thread gives up */
	struct kvmb_timer look; /* LIVE, STOPPING, ASKING: the next look_around() */
	u64 until_ms;		/* STOPPING, ASKING: how long it may take */
};

static void free_migration(struct vm_migration *m)
{
	m->vm->migration = NULL;
	kvmb_loop_del(m->watch);
	kvmb_loop_unpost(m->vm->loop, &m->throttle_work);
	machine_throttle(&m->vm->machine, 0);
	kvmb_timer_cancel(&m->look);
	if (m->logging)
		machine_log_end(&m->vm->machine);
	kvmb_tlv_out_fini(&m->sections);
	mig_memory_fini(&m->memory);
	mig_disks_end(&m->disks);
	disk_flush_free(m->vm, m->flush);
	if (m->stream.fd >= 0)
		close(m->stream.fd);
	if (m->pipe >= 0)
		close(m->pipe);
	free(m);
}

/* Also when the VM has ended: nobody is to be told any more that it stands. */
static void wake_devices(struct vm *vm)
{
	if (vm->state != VM_ENDED)
		disk_locks_fetch_back(vm);
	vm_rest_end(vm);
}

/* The VM goes on here. */
static void give_up(struct vm_migration *m, const char *class)
{
	struct ctl_reply reply = m->reply;
	struct vm *vm = m->vm;
	bool stands = m->step != MIG_LIVE, was_paused = m->was_paused;
	bool may_run_there = m->said_go && m->err != -ECONNREFUSED;
	char why[MIG_WHY];

	snprintf(why, sizeof(why), "%s", m->why);
	free_migration(m);
	if (stands)
		wake_devices(vm);
	if (vm->state == VM_ENDED) {
		reply_refused(reply, "state",
			      may_run_there ? "the VM ended; it may run on the other side" :
					      "the VM ended");
		return;
	}
	if (stands && !was_paused)
		vm_resume(vm);
	if (may_run_there) /* it may have, and told the network */
		nics_announce(vm);
	reply_refused(reply, class, "%s; the VM %s here", why,
		      vm->state == VM_PAUSED ? "stands" : "goes on");
	vm_release(vm);
}

static int note_failure(struct vm_migration *m, int err)
{
	if (!m->why[0])
		snprintf(m->why, sizeof(m->why), "%s", mig_why(err));
	return err;
}

/* A target that ends says why before it hangs up, while we are still sending. */
static int hear_reason(struct vm_migration *m, int err)
{
	int heard = err == -EPIPE ? mig_hear(&m->stream, MIG_LOADED, m->why) : 0;

	if (heard && heard != -ECONNREFUSED)
		m->why[0] = 0;
	return err;
}

/* ---- threads ---- */

static int say_later(struct vm_migration *m)
{
	struct mig_word_more more = { .secret_len = MIG_SECRET };

	if (!(m->stream.heard.can & MIG_CAN_LATER)) {
		snprintf(m->why, sizeof(m->why),
			 "--postcopy: the other side has no userfaultfd for faults of the kernel "
			 "(vm.unprivileged_userfaultfd, or run it as root)");
		return -EOPNOTSUPP;
	}
	if (getrandom(m->secret, MIG_SECRET, 0) != MIG_SECRET)
		return -errno;
	memcpy(more.secret, m->secret, MIG_SECRET);
	return mig_tell(&m->stream, MIG_LATER, NULL, &more);
}

/* Before a page is sent: a host where it cannot go on says so. */
static int ask_whether_it_fits(struct vm_migration *m)
{
	struct kvmb_tlv_out o = { 0 };
	int err;

	machine_match_save(&m->vm->machine, &o);
	err = mig_send_out(&m->stream, &o);
	if (!err)
		err = mig_hear(&m->stream, MIG_FITS, m->why);
	return err || !m->wish.later ? err : say_later(m);
}

/* From the list on the target may need pages before it can say a word. */
static int hear(struct vm_migration *m, enum mig_word word)
{
	return m->memory.list ? mig_give(&m->memory, &m->stream, word, false, m->why) :
				mig_hear(&m->stream, word, m->why);
}

static void slow_down(void *arg, u32 percent)
{
	struct vm_migration *m = arg;

	__atomic_store_n(&m->throttle, percent, __ATOMIC_RELAXED);
	kvmb_loop_post(m->vm->loop, &m->throttle_work);
}

static void *run_live(void *arg)
{
	struct vm_migration *m = arg;
	const struct mig_pace pace = { .downtime_ms = m->wish.downtime_ms,
				       .timeout_s = m->wish.timeout_s,
				       .bandwidth = m->wish.bandwidth,
				       .later = m->wish.later,
				       .disks = m->wish.copy_storage ? &m->disks : NULL,
				       .slow_down = m->wish.auto_converge ? slow_down : NULL,
				       .arg = m };

	kvmb_thread_enter(KVMB_THREAD_JOB, "migrate");
	m->err = ask_whether_it_fits(m);
	if (!m->err)
		m->err = mig_memory_live(&m->memory, &m->stream, &pace, m->why);
	if (m->err)
		note_failure(m, hear_reason(m, m->err));
	kvmb_loop_post(m->vm->loop, &m->done);
	return NULL;
}

static int write_variables(struct vm_migration *m)
{
	int err = vars_drain(m->vm->vars, VARS_MS);

	if (err)
		snprintf(m->why, sizeof(m->why),
			 "its firmware's variables cannot be written to their file");
	return err;
}

/*
 * Whoever reads the images next must find what the guest has written.
 *
 * The sections last: a target that has them waits for GO, and not for our disks. While the guest
 * stands, a slow reader has no more than a minute.
 */
static int send_last(struct vm_migration *m)
{
	int err, flushed;

	m->stream.deadline_ms = kvmb_now_ms() + MIG_PATIENCE_MS;
	err = mig_memory_last(&m->memory, &m->stream, m->why);
	if (err)
		disk_flush_cancel(m->flush);
	flushed = disk_flush_end(m->flush, m->why);
	m->stream.deadline_ms = kvmb_now_ms() + MIG_PATIENCE_MS;
	err = err ? err : flushed;
	if (!err)
		err = write_variables(m);
	if (!err)
		err = mig_send(&m->stream, m->sections.buf, m->sections.len);
	m->stream.deadline_ms = 0;
	return err;
}

static void *run_last(void *arg)
{
	struct vm_migration *m = arg;
	int err;

	kvmb_thread_enter(KVMB_THREAD_JOB, "migrate");
	disk_flush_let_go(m->flush);
	err = hear_reason(m, send_last(m));
	if (!err)
		err = hear(m, MIG_LOADED);
	m->err = err ? note_failure(m, err) : 0;
	kvmb_loop_post(m->vm->loop, &m->done);
	return NULL;
}

static void *run_decide(void *arg)
{
	struct vm_migration *m = arg;
	int err;

	kvmb_thread_enter(KVMB_THREAD_JOB, "migrate");
	err = mig_say(&m->stream, MIG_GO, NULL);
	m->said_go = !err;
	if (!err)
		err = hear(m, MIG_RUNNING);
	m->err = err ? note_failure(m, err) : 0;
	kvmb_loop_post(m->vm->loop, &m->done);
	return NULL;
}

static void *run_serve(void *arg)
{
	struct vm_migration *m = arg;
	int err = 0;

	kvmb_thread_enter(KVMB_THREAD_JOB, "migrate");
	if (m->mends)
		err = mig_give_mend(&m->memory, &m->stream, m->secret, m->why);
	if (!err)
		m->mends = false;
	if (!err)
		err = mig_give(&m->memory, &m->stream, MIG_ALL_HERE, true, m->why);
	m->err = err ? note_failure(m, err) : 0;
	kvmb_loop_post(m->vm->loop, &m->done);
	return NULL;
}

/* ---- the main thread ---- */

static int begin_thread(struct vm_migration *m, void *(*run)(void *))
{
	int err = -pthread_create(&m->thread, NULL, run, m);

	if (err)
		snprintf(m->why, sizeof(m->why), "no thread: %s", strerror(-err));
	return err;
}

/* The thread sees it soon. */
static void cancel(struct vm_migration *m)
{
	__atomic_store_n(&m->cancelled, 1, __ATOMIC_RELAXED);
	if (m->flush)
		disk_flush_cancel(m->flush);
}

static bool is_cancelled(struct vm_migration *m)
{
	return __atomic_load_n(&m->cancelled, __ATOMIC_RELAXED);
}

static json_int_t ms_of(u64 ns)
{
	return (json_int_t)(ns / 1000000);
}

static json_t *describe(const struct vm_migration *m)
{
	u64 now = kvmb_mono_ns(), runs = m->runs_ns ? m->runs_ns : now;

	return json_pack("{s:s, s:I, s:I, s:I, s:i, s:I, s:i, s:I}", "state", "migrated",
			 "total_ms", (json_int_t)(kvmb_now_ms() - m->begin_ms), "downtime_ms",
			 ms_of(runs - m->stopped_ns), "bytes", (json_int_t)m->stream.sent, "rounds",
			 (int)m->memory.rounds, "later_ms", ms_of(now - runs), "disks_copied",
			 (int)m->disks.num, "disk_bytes", (json_int_t)m->disks.sent);
}

/* The VM runs on the target, with all of its memory. */
static void has_moved(struct vm_migration *m)
{
	struct ctl_reply reply = m->reply;
	json_t *o = describe(m);
	struct vm *vm = m->vm;

	free_migration(m);
	vm_release(vm);
	vm_saved(vm);
	reply_result(reply, o);
}

/* ---- when it runs there, and a part of its memory is here ---- */

static u64 served(const struct vm_migration *m)
{
	return mig_memory_left(&m->memory) * KVMB_PAGE_SIZE;
}

static void answer(struct vm_migration *m, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Who asked is told once; the VM does not wait for him. */
static void answer(struct vm_migration *m, const char *fmt, ...)
{
	struct ctl_reply reply = m->reply;
	char text[2 * MIG_WHY];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	m->reply = (struct ctl_reply){ 0 };
	reply_refused(reply, "failed", "%s", text);
}

static void drop_link(struct vm_migration *m)
{
	if (m->stream.fd >= 0)
		close(m->stream.fd);
	m->stream.fd = -1;
}

/* What the target has not got is here, and nowhere else. */
static void stay_broken(struct vm_migration *m)
{
	struct vm *vm = m->vm;

	m->step = MIG_BROKEN;
	drop_link(m);
	snprintf(vm->stop_reason, sizeof(vm->stop_reason),
		 "it runs elsewhere, and misses memory that is here: %.80s", m->why);
	kvmb_warn(vm->cfg.name,
		  "migration: %s; the VM runs on the other side, and misses %llu KiB "
		  "that are here; try: kvmbus migrate --recover, on both sides",
		  m->why, (unsigned long long)served(m) >> 10);
	kvmb_timer_set(&m->look, LOOK_MS);
	answer(m,
	       "%.150s; the VM has moved, and waits there for memory that is here; mend it with: "
	       "kvmbus migrate --recover, on both sides",
	       m->why);
}

/* Who answers is not where it runs, if it runs elsewhere at all; or nobody was asked. */
static void stay_where_it_was(struct vm_migration *m)
{
	m->step = MIG_UNDECIDED;
	m->mends = false;
	m->runs_ns = 0;
	drop_link(m);
	snprintf(m->vm->stop_reason, sizeof(m->vm->stop_reason),
		 "migration: nobody knows whether it has moved; try: kvmbus migrate --recover");
	answer(m, "%.150s; the VM stands here, as before", m->why);
	vm_release(m->vm);
}

static void begin_serving(struct vm_migration *m)
{
	struct vm *vm = m->vm;

	if (!m->vm->held)
		vm_hold(vm);
	if (!m->runs_ns)
		m->runs_ns = kvmb_mono_ns();
	m->step = MIG_SERVING;
	m->err = 0;
	m->why[0] = 0;
	__atomic_store_n(&m->cancelled, 0, __ATOMIC_RELAXED); /* what was asked for before */
	m->stream.cancelled = &m->cancelled;
	snprintf(vm->stop_reason, sizeof(vm->stop_reason),
		 "it runs elsewhere, and the rest of its memory is sent");
	if (!begin_thread(m, run_serve))
		kvmb_timer_set(&m->look, LOOK_MS);
	else if (m->mends && m->undecided)
		stay_where_it_was(m);
	else
		stay_broken(m);
}

/* An end was asked for, and held back: what is here is lost. */
static bool must_end(const struct vm_migration *m)
{
	return m->vm->held && m->vm->held_end != VM_END_NONE;
}

static void end_serving(struct vm_migration *m)
{
	struct vm *vm = m->vm;

	kvmb_warn(vm->cfg.name, "migration: memory that the VM needs on the other side is lost: "
				"the VM was ended here");
	answer(m, "the VM was ended here; it has moved, and lacks a part of its memory there");
	free_migration(m);
	vm_release(vm);
}

static void on_served(struct vm_migration *m)
{
	if (!m->err)
		has_moved(m);
	else if (m->mends && m->undecided)
		stay_where_it_was(m);
	else if (must_end(m))
		end_serving(m);
	else
		stay_broken(m);
}

/* It runs there, as far as anybody knows. */
static void runs_there(struct vm_migration *m, bool linked)
{
	if (!m->memory.list) {
		has_moved(m);
	} else if (linked) {
		begin_serving(m);
	} else {
		m->runs_ns = kvmb_mono_ns();
		stay_broken(m);
	}
}

/* It has run there, and to go on here would take back what others have seen. */
static void end_here(struct vm_migration *m, const char *because)
{
	struct ctl_reply reply = m->reply;
	struct vm *vm = m->vm;

	kvmb_err(vm->cfg.name, "migration: %s, and %s: the VM does not go on here", m->why,
		 because);
	free_migration(m);
	vm_release(vm);
	vm_kill(vm);
	reply_refused(reply, "failed", "it has run on the other side, and has ended here");
}

/* Nothing is lost by waiting. The target must see that we do not wait for it any more. */
static void stay_undecided(struct vm_migration *m, const char *because)
{
	snprintf(m->vm->stop_reason, sizeof(m->vm->stop_reason), "migration: %.45s, and %.45s%s",
		 m->why, because, m->memory.list ? "; try: kvmbus migrate --recover" : "");
	m->step = MIG_UNDECIDED;
	close(m->stream.fd);
	m->stream.fd = -1;
	reply_refused(m->reply, "failed",
		      "%s, and %s; the VM stands here: if it does not run there, kvmbus resume, "
		      "else %s",
		      m->why, because,
		      m->memory.list ? "kvmbus migrate --recover, on both sides: it needs memory "
				       "that is here" :
				       "kvmbus kill");
	m->reply = (struct ctl_reply){ 0 };
	vm_release(m->vm);
}

/* The target does not run the VM: GO was not said, or it has refused. */
static void take_back(struct vm_migration *m)
{
	char why[MIG_WHY];

	if (m->vm->state == VM_ENDED || !disk_locks_take(m->vm, why, sizeof(why)))
		give_up(m, "failed");
	else
		stay_undecided(m, why);
}

/*
 * Whoever has the locks has the VM. But when the target is gone, somebody else may have them, for
 * example a backup: only one who also writes to the disks is the target. A guest that runs does so
 * before long, and a backup ends.
 */
static void ask_for_locks(struct vm_migration *m)
{
	struct vm *vm = m->vm;
	char why[MIG_WHY];
	int err, told;

	if (vm->state == VM_ENDED) {
		give_up(m, "state");
		return;
	}
	err = disk_locks_take(vm, why, sizeof(why));
	told = disk_locks_tell(vm);
	if (err == -EBUSY && told == -ESTALE) {
		kvmb_warn(vm->cfg.name, "migration: %s; the other side has the disks, and the VM",
			  m->why);
		runs_there(m, false);
	} else if (err == -EBUSY && kvmb_now_ms() < m->until_ms) {
		kvmb_timer_set(&m->look, LOOK_MS);
	} else if (err) {
		stay_undecided(m, why);
	} else if (!told) {
		give_up(m, "failed");
	} else if (told == -ENODATA) {
		stay_undecided(m, "no disk tells whether it runs there");
	} else {
		end_here(m, "its disks were written there");
	}
}

/* Nothing was heard after GO. */
static void begin_asking(struct vm_migration *m)
{
	m->step = MIG_ASKING;
	m->until_ms = kvmb_now_ms() + MIG_PATIENCE_MS;
	ask_for_locks(m);
}

static void on_decided(struct vm_migration *m)
{
	if (!m->err)
		runs_there(m, true);
	else if (!m->said_go || m->err == -ECONNREFUSED)
		take_back(m);
	else
		begin_asking(m);
}

/* All is there. From here on nobody gives up but by the locks. */
static void on_loaded(struct vm_migration *m)
{
	if (!m->err && (is_cancelled(m) || m->vm->state == VM_ENDED))
		m->err = note_failure(m, -ECANCELED);
	if (m->err) {
		give_up(m, "failed");
		return;
	}
	disk_locks_note(m->vm);
	disk_locks_give_up(m->vm);
	if (m->memory.list) /* an end would write to memory that the target may still need */
		vm_hold(m->vm);
	m->step = MIG_DECIDING;
	m->stream.cancelled = NULL;
	if (begin_thread(m, run_decide))
		take_back(m);
}

/* Rings are mapped where it is loaded: page by page that would take long, and the guest stands. */
static int keep_for_later(struct vm_migration *m)
{
	int err = mig_memory_keep(&m->memory);

	if (err)
		return err;
	kvmb_bus_dirty_rings(m->vm->bus);
	return mig_memory_soon(&m->memory);
}

static int put_state(struct vm_migration *m)
{
	const char *why = is_cancelled(m) ? "it was given up" : vm_cannot_move(m->vm);
	int err;

	if (why) {
		snprintf(m->why, sizeof(m->why), "%s", why);
		return -ECANCELED;
	}
	err = m->memory.later ? keep_for_later(m) : 0;
	kvmb_bus_dirty(m->vm->bus);
	machine_dirty(&m->vm->machine);
	if (!err)
		err = vm_sections_put(m->vm, m->was_paused, &m->sections);
	if (err)
		snprintf(m->why, sizeof(m->why), "its state cannot be read: %s", strerror(-err));
	return err;
}

/* The bus stands. */
static void begin_last(void *arg)
{
	struct vm_migration *m = arg;
	char why[MIG_WHY]; /* why there is no thread is said already */

	if (put_state(m)) {
		give_up(m, "failed");
		return;
	}
	m->step = MIG_LAST;
	m->flush = disk_flush_begin(m->vm);
	if (!begin_thread(m, run_last))
		return;
	disk_flush_cancel(m->flush);
	disk_flush_end(m->flush, why);
	give_up(m, "failed");
}

/* What is left is little: stop. */
static void on_sent(struct vm_migration *m)
{
	struct vm *vm = m->vm;
	const char *why = vm_cannot_move(vm);

	if (!m->err && is_cancelled(m))
		m->err = note_failure(m, -ECANCELED);
	if (why && (!m->err || m->err == -ECANCELED)) {
		snprintf(m->why, sizeof(m->why), "the VM cannot move: %s", why);
		m->err = -EBUSY;
	}
	if (m->err) {
		give_up(m, "failed");
		return;
	}
	machine_throttle(&vm->machine, 0);
	m->was_paused = vm->state == VM_PAUSED;
	m->stopped_ns = kvmb_mono_ns();
	if (!m->was_paused)
		vm_pause(vm);
	if (vm_request_waits(vm)) { /* served when it goes on */
		if (!m->was_paused)
			vm_resume(vm);
		snprintf(m->why, sizeof(m->why), "the VM is being reset, or ends");
		give_up(m, "state");
		return;
	}
	m->step = MIG_STOPPING;
	m->until_ms = kvmb_now_ms() + MIG_PATIENCE_MS;
	vm_rest(vm, begin_last, m);
}

static void on_thread_done(void *arg)
{
	struct vm_migration *m = arg;

	pthread_join(m->thread, NULL);
	switch (m->step) {
	case MIG_LIVE:
		on_sent(m);
		break;
	case MIG_LAST:
		on_loaded(m);
		break;
	case MIG_DECIDING:
		on_decided(m);
		break;
	case MIG_SERVING:
		on_served(m);
		break;
	case MIG_STOPPING:
	case MIG_ASKING:
	case MIG_UNDECIDED:
	case MIG_BROKEN:
		kvmb_assert(false); /* they have no thread */
	}
}

/* The bus does not stand so far, and is not waited for any more. */
static void stop_waiting(struct vm_migration *m, const char *why)
{
	snprintf(m->why, sizeof(m->why), "%s", why);
	give_up(m, "failed");
}

static void look_after_rest(struct vm_migration *m)
{
	if (must_end(m) && m->step == MIG_BROKEN) {
		end_serving(m);
		return;
	}
	if (must_end(m))
		cancel(m); /* on_served() */
	kvmb_timer_set(&m->look, LOOK_MS);
}

/* What nobody tells us. */
static void look_around(void *arg)
{
	struct vm_migration *m = arg;

	if (m->step == MIG_ASKING) {
		ask_for_locks(m);
		return;
	}
	if (m->step == MIG_SERVING || m->step == MIG_BROKEN) {
		look_after_rest(m);
		return;
	}
	if (m->step == MIG_LIVE && m->vm->changed)
		cancel(m); /* on_sent() says why */
	if (m->step == MIG_STOPPING && kvmb_now_ms() >= m->until_ms)
		stop_waiting(m, "its devices do not come to rest, as when a disk does not answer");
	else if (m->step == MIG_LIVE || m->step == MIG_STOPPING)
		kvmb_timer_set(&m->look, LOOK_MS);
}

/* The client has gone, or says what nobody asked for; or somebody asks for the VM's end. */
static void cancel_early(struct vm_migration *m)
{
	kvmb_loop_del(m->watch);
	m->watch = NULL;
	if (m->step == MIG_SERVING || m->step == MIG_BROKEN)
		return; /* too late: the VM on the other side needs us, not the client */
	cancel(m);
	if (m->step == MIG_STOPPING)
		stop_waiting(m, "it was given up");
}

/* The thread has asked for it. */
static void on_throttle(void *arg)
{
	struct vm_migration *m = arg;

	if (m->step == MIG_LIVE)
		machine_throttle(&m->vm->machine, __atomic_load_n(&m->throttle, __ATOMIC_RELAXED));
}

static void on_client_pipe(void *arg, uint32_t events)
{
	(void)events;
	cancel_early(arg);
}

void mig_out_cancel(struct vm *vm)
{
	if (vm->migration)
		cancel_early(vm->migration);
}

static void refuse_to_move(struct vm_migration *m, const char *class, const char *why)
{
	struct ctl_reply reply = m->reply;

	reply_refused(reply, class, "the VM cannot move: %s", why);
	free_migration(m);
}

void mig_out_begin(struct vm *vm, int peer, int pipe, const struct mig_out_wish *wish,
		   struct ctl_reply reply)
{
	struct vm_migration *m = kvmb_xzalloc(sizeof(*m));
	const char *why = vm_cannot_move(vm);
	char text[MIG_WHY];
	int err;

	*m = (struct vm_migration){ .vm = vm,
				    .pipe = pipe,
				    .reply = reply,
				    .wish = *wish,
				    .stream = { .fd = peer, .cancelled = &m->cancelled },
				    .begin_ms = kvmb_now_ms() };
	vm->migration = m;
	kvmb_work_init(&m->done, on_thread_done, m);
	kvmb_work_init(&m->throttle_work, on_throttle, m);
	kvmb_timer_init(&m->look, vm->loop, look_around, m);
	fcntl(pipe, F_SETFL, O_NONBLOCK);
	fcntl(peer, F_SETFL, O_NONBLOCK);
	if (why) {
		refuse_to_move(m, "state", why);
		return;
	}
	m->watch = kvmb_loop_add(vm->loop, pipe, EPOLLIN, on_client_pipe, m);
	if (!m->watch) {
		refuse_to_move(m, "usage", "the second descriptor is no pipe");
		return;
	}
	if (wish->copy_storage && mig_disks_begin(&m->disks, vm, text, sizeof(text))) {
		refuse_to_move(m, "failed", text);
		return;
	}
	err = machine_log_begin(&vm->machine);
	m->logging = !err;
	if (!err)
		err = mig_memory_init(&m->memory, &vm->machine);
	if (err) {
		snprintf(text, sizeof(text), "its memory cannot be watched: %s", strerror(-err));
		refuse_to_move(m, "failed", text);
	} else if (begin_thread(m, run_live)) {
		refuse_to_move(m, "failed", m->why);
	} else {
		kvmb_timer_set(&m->look, LOOK_MS);
	}
}

bool mig_out_is_live(const struct vm *vm)
{
	return vm->migration && vm->migration->step == MIG_LIVE;
}

u64 mig_out_serves(const struct vm *vm)
{
	const struct vm_migration *m = vm->migration;

	if (!m || !m->memory.list || m->step < MIG_DECIDING) /* it may run there from GO on */
		return 0;
	/* what was sent may be lost on its way until the target says that all is there */
	return KVMB_MAX(served(m), KVMB_PAGE_SIZE);
}

bool mig_out_runs_there(const struct vm *vm)
{
	const struct vm_migration *m = vm->migration;

	return m && (m->step == MIG_SERVING || m->step == MIG_BROKEN);
}

static const char *cannot_mend(const struct vm *vm)
{
	const struct vm_migration *m = vm->migration;

	if (m && m->step == MIG_SERVING)
		return "its memory is being sent; there is nothing to mend";
	if (!m || !m->memory.list || (m->step != MIG_BROKEN && m->step != MIG_UNDECIDED))
		return "it has no memory that a VM elsewhere waits for";
	/* one that is undecided may have been killed: its bus is being reset */
	return vm->state == VM_PAUSED ? NULL : "the VM has ended";
}

/* An undecided VM may run there, too: who answers with the secret is where it does. */
void mig_out_mend(struct vm *vm, int peer, int pipe, struct ctl_reply reply)
{
	struct vm_migration *m = vm->migration;
	const char *why = cannot_mend(vm);

	if (why) {
		close(peer);
		close(pipe);
		reply_refused(reply, "state", "%s", why);
		return;
	}
	if (m->pipe >= 0)
		close(m->pipe);
	kvmb_loop_del(m->watch);
	m->watch = NULL;
	m->pipe = pipe;
	m->reply = reply;
	fcntl(peer, F_SETFL, O_NONBLOCK);
	m->stream.fd = peer;
	m->mends = true;
	m->undecided = m->step == MIG_UNDECIDED;
	begin_serving(m);
}

bool mig_out_is_undecided(const struct vm *vm)
{
	return vm->migration && vm->migration->step == MIG_UNDECIDED;
}

int mig_out_resume(struct vm *vm, char *why, size_t size)
{
	int err;

	kvmb_assert(mig_out_is_undecided(vm));
	if (vm->state != VM_PAUSED) {
		snprintf(why, size, "the VM has ended");
		return -EINVAL;
	}
	err = disk_locks_take(vm, why, size);
	if (!err && disk_locks_tell(vm) == -ESTALE) {
		disk_locks_give_up(vm);
		snprintf(why, size,
			 "its disks were written since it was to move: the guest would "
			 "destroy them; try: %s",
			 vm->migration->memory.list ? "kvmbus migrate --recover" : "kvmbus kill");
		err = -ESTALE;
	}
	if (err)
		return err;
	free_migration(vm->migration);
	wake_devices(vm);
	nics_announce(vm); /* it may have run there, and told the network */
	return vm_resume(vm);
}

json_t *mig_out_info(const struct vm *vm)
{
	static const char *const names[] = { "live",   "stopping",  "last",    "deciding",
					     "asking", "undecided", "serving", "broken" };
	const struct vm_migration *m = vm->migration;

	if (!m)
		return json_null();
	return json_pack("{s:s, s:I, s:I, s:I, s:i, s:I, s:i, s:I, s:I, s:I}", "step",
			 names[m->step], "total", (json_int_t)vm->cfg.machine.memory, "done",
			 (json_int_t)__atomic_load_n(&m->memory.looked_at, __ATOMIC_RELAXED),
			 "sent", (json_int_t)__atomic_load_n(&m->stream.sent, __ATOMIC_RELAXED),
			 "round", (int)__atomic_load_n(&m->memory.rounds, __ATOMIC_RELAXED),
			 "dirty", (json_int_t)__atomic_load_n(&m->memory.left, __ATOMIC_RELAXED),
			 "throttle", (int)vm->machine.throttle.percent, "later",
			 (json_int_t)served(m), "disk_total", (json_int_t)m->disks.total,
			 "disk_done",
			 (json_int_t)__atomic_load_n(&m->disks.done, __ATOMIC_RELAXED));
}

void mig_out_destroy(struct vm *vm)
{
	struct vm_migration *m = vm->migration;

	if (!m)
		return;
	cancel(m);
	if (m->step == MIG_DECIDING)
		shutdown(m->stream.fd, SHUT_RDWR); /* it is not cancelled otherwise */
	if (m->step == MIG_LIVE || m->step == MIG_LAST || m->step == MIG_DECIDING ||
	    m->step == MIG_SERVING) {
		pthread_join(m->thread, NULL);
		kvmb_loop_unpost(vm->loop, &m->done);
	}
	if (m->step == MIG_UNDECIDED)
		; /* answered */
	else if ((m->step == MIG_DECIDING && !m->memory.list && !m->err) ||
		 (m->step == MIG_SERVING && !m->err))
		reply_result(m->reply, describe(m)); /* RUNNING was heard */
	else
		reply_refused(m->reply, "state",
			      m->said_go ? "the VM ended; it may run on the other side" :
					   "the VM ended");
	free_migration(m);
}
