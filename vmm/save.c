// SPDX-License-Identifier: GPL-2.0-only
/* Saving a VM; theory of operation: save.h. */
#include "vmm/save.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/thread.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "lib/zstd_lib.h"
#include "vmm/disk_flush.h"
#include "vmm/vm_rest.h"
#include "vmm/vm_sections.h"

/*
 * PAUSING: providers are coming to rest.
 * WRITING: the thread has file and sections.
 * WRITTEN: answered; the client names the file.
 * ENDING: it has; the VM ends, and the file is not touched any more.
 */
enum save_state { SAVE_PAUSING, SAVE_WRITING, SAVE_WRITTEN, SAVE_ENDING };

struct vm_save { /* main thread, but for what the thread has */
	struct vm *vm;
	enum save_state state;
	bool was_paused; /* before: it stays so when this is given up */
	int file, pipe;
	struct state_file_wish wish;
	struct kvmb_watch *watch; /* of the pipe */
	struct ctl_reply reply;	  /* until WRITTEN */
	struct kvmb_tlv_out sections;
	struct disk_flush *flush; /* from WRITING on */
	pthread_t thread; /* WRITING */
	struct kvmb_work written;
	int err;	  /* the thread's result */
	char why[STATE_FILE_WHY];
	u64 done, total;  /* atomics */
	int cancelled;	  /* atomic: the thread gives up */
};

static void free_save(struct vm_save *s)
{
	s->vm->save = NULL;
	kvmb_loop_del(s->watch);
	kvmb_tlv_out_fini(&s->sections);
	disk_flush_free(s->vm, s->flush);
	close(s->file);
	close(s->pipe);
	free(s);
}

static void go_on(struct vm_save *s)
{
	struct vm *vm = s->vm;
	bool was_paused = s->was_paused;

	state_file_void(s->file);
	free_save(s);
	vm_rest_end(vm);
	if (!was_paused)
		vm_resume(vm);
}

/* ---- the thread ---- */

static bool note_progress(void *arg, u64 done, u64 total)
{
	struct vm_save *s = arg;

	__atomic_store_n(&s->done, done, __ATOMIC_RELAXED);
	__atomic_store_n(&s->total, total, __ATOMIC_RELAXED);
	return !__atomic_load_n(&s->cancelled, __ATOMIC_RELAXED);
}

static int complete(struct vm_save *s)
{
	int err = state_file_complete(s->file);

	if (err)
		snprintf(s->why, sizeof(s->why), "cannot write the state: %s", strerror(-err));
	return err;
}

static void *write_state(void *arg)
{
	struct vm_save *s = arg;
	const struct state_file_progress p = { note_progress, s };
	int err;

	kvmb_thread_enter(KVMB_THREAD_JOB, "save");
	s->err = state_file_write(s->file, &s->vm->machine.gm, s->sections.buf, s->sections.len,
				  &s->wish, &p, s->why);
	if (s->err)
		disk_flush_cancel(s->flush);
	/* what the guest takes for written must outlive a host that fails, as its memory does */
	err = disk_flush_end(s->flush, s->why);
	if (!s->err)
		s->err = err ? err : complete(s);
	kvmb_loop_post(s->vm->loop, &s->written);
	return NULL;
}

static void on_written(void *arg)
{
	struct vm_save *s = arg;
	struct ctl_reply reply = s->reply;
	int err = s->err;
	char why[STATE_FILE_WHY];
	bool ended;

	pthread_join(s->thread, NULL);
	if (__atomic_load_n(&s->cancelled, __ATOMIC_RELAXED) || s->vm->state == VM_ENDED)
		err = -ECANCELED;
	s->state = SAVE_WRITTEN;
	if (!err) {
		reply_result(reply, json_pack("{s:s}", "state", "saved"));
		return;
	}
	snprintf(why, sizeof(why), "%s", err == -ECANCELED ? "it was given up" : s->why);
	ended = s->vm->state == VM_ENDED;
	go_on(s);
	if (ended)
		reply_refused(reply, "state", "the VM ended");
	else
		reply_refused(reply, "failed", "%s; the VM goes on", why);
}

/* ---- the main thread ---- */

static int start_writing(struct vm_save *s)
{
	char why[STATE_FILE_WHY];
	int err;

	s->flush = disk_flush_begin(s->vm);
	err = -pthread_create(&s->thread, NULL, write_state, s);
	if (err) {
		disk_flush_cancel(s->flush);
		disk_flush_end(s->flush, why);
	}
	return err;
}

/* The thread sees it soon. */
static void cancel_writing(struct vm_save *s)
{
	__atomic_store_n(&s->cancelled, 1, __ATOMIC_RELAXED);
	disk_flush_cancel(s->flush);
}

static void begin_writing(void *arg)
{
	struct vm_save *s = arg;
	struct ctl_reply reply = s->reply;
	/* again: a medium may have been ejected, or the VM killed, while devices came to rest */
	const char *why = vm_cannot_move(s->vm);
	int err = why ? 0 : vm_sections_put(s->vm, s->was_paused, &s->sections);

	s->state = SAVE_WRITING;
	if (!why && !err)
		err = start_writing(s);
	if (!why && !err)
		return;
	go_on(s);
	if (why)
		reply_refused(reply, "state", "the VM cannot be saved: %s", why);
	else
		reply_refused(reply, "failed", "its state cannot be read: %s; the VM goes on",
			      strerror(-err));
}

/* A byte: the file has its name. Else the client has gone, or says nothing yet. */
static bool read_named(const struct vm_save *s)
{
	char byte;

	return read(s->pipe, &byte, 1) == 1;
}

/* The client has gone, or has named the file; or somebody asks for the VM's end. */
static void end_or_go_on(struct vm_save *s)
{
	struct ctl_reply reply = s->reply;
	bool named = read_named(s);

	kvmb_loop_del(s->watch);
	s->watch = NULL;
	switch (s->state) {
	case SAVE_PAUSING:
		go_on(s);
		reply_refused(reply, "failed", "it was given up");
		break;
	case SAVE_WRITING:
		cancel_writing(s);
		break;
	case SAVE_WRITTEN:
		if (named) {
			s->state = SAVE_ENDING;
			vm_saved(s->vm);
		} else {
			kvmb_warn(s->vm->cfg.name, "the save was given up; the VM goes on");
			go_on(s);
		}
		break;
	case SAVE_ENDING:
		break;
	}
}

static void on_pipe(void *arg, uint32_t events)
{
	(void)events;
	end_or_go_on(arg);
}

void save_cancel(struct vm *vm)
{
	if (vm->save)
		end_or_go_on(vm->save);
}

/* Not sysconf(), which opens a file. */
static u32 usual_threads(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) ? 1 : KVMB_MIN((u32)CPU_COUNT(&set), 4u);
}

static const char *cannot_save(const struct vm *vm, const struct state_file_wish *wish)
{
	if (vm->save)
		return "it is being saved";
	if (wish->zstd && !zstd.isError)
		return "libzstd was not there when the VM was started (on Debian: apt install "
		       "libzstd1); save it without --compress";
	return vm_cannot_move(vm);
}

void save_begin(struct vm *vm, int file, int pipe, const struct state_file_wish *wish,
		struct ctl_reply reply)
{
	const char *why = cannot_save(vm, wish);
	struct vm_save *s;
	bool was_paused = vm->state == VM_PAUSED;

	if (!why && !was_paused)
		vm_pause(vm);
	if (!why && vm_request_waits(vm)) {
		why = "it is being reset, or ends";
		if (!was_paused)
			vm_resume(vm);
	}
	if (why) {
		close(file);
		close(pipe);
		reply_refused(reply, "state", "the VM cannot be saved: %s", why);
		return;
	}
	s = kvmb_xzalloc(sizeof(*s));
	*s = (struct vm_save){ .vm = vm,
			       .was_paused = was_paused,
			       .file = file,
			       .pipe = pipe,
			       .wish = *wish,
			       .reply = reply };
	if (!s->wish.threads)
		s->wish.threads = usual_threads();
	vm->save = s;
	kvmb_work_init(&s->written, on_written, s);
	fcntl(pipe, F_SETFL, O_NONBLOCK); /* whatever it is, nobody waits for it */
	s->watch = kvmb_loop_add(vm->loop, pipe, EPOLLIN, on_pipe, s);
	if (!s->watch) { /* a file, for example: nobody would ever hear of the client's end */
		free_save(s);
		if (!was_paused)
			vm_resume(vm);
		reply_refused(reply, "usage", "the second descriptor is no pipe");
		return;
	}
	vm_rest(vm, begin_writing, s);
}

json_t *save_info(const struct vm *vm)
{
	static const char *const names[] = { "pausing", "writing", "written", "ending" };
	const struct vm_save *s = vm->save;

	if (!s)
		return json_null();
	return json_pack("{s:s, s:I, s:I}", "step", names[s->state], "done",
			 (json_int_t)__atomic_load_n(&s->done, __ATOMIC_RELAXED), "total",
			 (json_int_t)__atomic_load_n(&s->total, __ATOMIC_RELAXED));
}

void save_destroy(struct vm *vm)
{
	struct vm_save *s = vm->save;
	struct ctl_reply reply;

	if (!s)
		return;
	reply = s->reply;
	if (s->state == SAVE_WRITING) {
		cancel_writing(s);
		pthread_join(s->thread, NULL);
		kvmb_loop_unpost(vm->loop, &s->written);
	}
	/* its word may be there, and not have been read: it has told its user that all is well */
	if (s->state != SAVE_ENDING && !(s->state == SAVE_WRITTEN && read_named(s)))
		state_file_void(s->file);
	if (s->state == SAVE_PAUSING || s->state == SAVE_WRITING)
		reply_refused(reply, "state", "the VM ended");
	free_save(s);
}
