// SPDX-License-Identifier: GPL-2.0-only
/* Backing a running VM's disks up; theory of operation: backup.h. */
#include "vmm/backup.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/thread.h"
#include "lib/util.h"
#include "vmm/backup_copy.h"
#include "vmm/disks.h"
#include "vmm/disks_priv.h"
#include "vmm/vm_rest.h"

#ifndef BACKUP_RESTING_MS /* tests have less */
#define BACKUP_RESTING_MS 10000u
#endif
#define NO_FREEZE "--no-freeze takes its disks as after a power cut"

enum backup_state {
	BACKUP_WARMING,
	BACKUP_FREEZING,
	BACKUP_RESTING,
	BACKUP_COPYING,
	BACKUP_NUM_STATES
};

static const char *const backup_steps[] = { "preparing", "freezing", "resting", "copying" };
static_assert(ARRAY_SIZE(backup_steps) == BACKUP_NUM_STATES, "one name a state");

struct vm_backup { /* main thread, but for what the thread has: copy, err */
	struct vm *vm;
	enum backup_state state;
	struct ctl_reply reply;
	bool freeze, was_paused;
	char id[KVMB_POINT_ID], base[KVMB_POINT_ID];
	int pipe;
	struct kvmb_watch *watch; /* of the pipe */
	struct kvmb_timer timer;  /* RESTING */
	struct backup_copy copy;
	u64 stood_ms; /* how long the guest stood; until then, since when */
	pthread_t thread;
	bool has_thread;
	bool given_up;	       /* the thread is being ended */
	struct kvmb_work work; /* it has */
	int err;	       /* its result */
};

static void free_backup(struct vm_backup *b)
{
	b->vm->backup = NULL;
	kvmb_loop_del(b->watch);
	kvmb_timer_cancel(&b->timer);
	backup_copy_fini(&b->copy);
	close(b->pipe);
	free(b);
}

/* The moment is over, or does not come. */
static void end_moment(struct vm_backup *b)
{
	struct vm *vm = b->vm;

	kvmb_timer_cancel(&b->timer);
	vm_rest_end(vm);
	/* who was stopped by an error meanwhile waits for the administrator */
	if (!b->was_paused && !vm->stop_reason[0])
		vm_resume(vm);
	if (b->freeze)
		kvmb_vss_thaw(&vm->vss);
	b->stood_ms = kvmb_now_ms() - b->stood_ms;
}

/* No thread runs. */
static void __attribute__((format(printf, 3, 4)))
fail_backup(struct vm_backup *b, const char *class, const char *fmt, ...)
{
	struct ctl_reply reply = b->reply;
	char why[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	backup_copy_end(&b->copy);
	if (b->state == BACKUP_RESTING)
		end_moment(b);
	else if (b->freeze)
		kvmb_vss_thaw(&b->vm->vss);
	free_backup(b);
	reply_refused(reply, class, "%s", why);
}

/* ---- the thread ---- */

static void *backup_thread(void *arg)
{
	struct vm_backup *b = arg;

	kvmb_thread_enter(KVMB_THREAD_JOB, "backup");
	b->err = b->state == BACKUP_WARMING ? backup_copy_warm(&b->copy) :
					      backup_copy_run(&b->copy);
	kvmb_loop_post(b->vm->loop, &b->work);
	return NULL;
}

/* Return: false: it has failed, and @b is gone. */
static bool start_thread_of(struct vm_backup *b)
{
	int err = pthread_create(&b->thread, NULL, backup_thread, b);

	b->has_thread = !err;
	if (err)
		fail_backup(b, "failed", "no thread: %s", strerror(err));
	return !err;
}

/* ---- the moment ---- */

/* Return: NULL; or why this is no moment, one phrase. */
static const char *no_moment(struct vm_backup *b)
{
	const struct vm *vm = b->vm;

	if (vm->state != VM_PAUSED || vm_request_waits(vm))
		return "it is being reset, or ends";
	if (!b->was_paused && vm->stop_reason[0])
		return "it was stopped meanwhile";
	if (b->freeze && !kvmb_vss_frozen(&vm->vss))
		return "the guest did not stay frozen";
	return NULL;
}

static void on_moment(void *arg)
{
	struct vm_backup *b = arg;
	const char *why = no_moment(b);

	kvmb_timer_cancel(&b->timer);
	if (why) {
		fail_backup(b, "failed", "the VM cannot be backed up: %s", why);
		return;
	}
	if (backup_copy_begin(&b->copy, b->base)) {
		fail_backup(b, "failed", "%s", b->copy.why);
		return;
	}
	end_moment(b);
	b->state = BACKUP_COPYING;
	start_thread_of(b);
}

static void on_no_rest(void *arg)
{
	fail_backup(arg, "failed", "a disk did not finish its requests within %u s; the VM goes on",
		    BACKUP_RESTING_MS / 1000);
}

static void take_moment(struct vm_backup *b)
{
	struct vm *vm = b->vm;

	b->was_paused = vm->state == VM_PAUSED;
	if (!b->was_paused && vm_pause(vm)) {
		fail_backup(b, "state", "the VM is being reset, or ends");
		return;
	}
	b->state = BACKUP_RESTING;
	b->stood_ms = kvmb_now_ms();
	kvmb_timer_set(&b->timer, BACKUP_RESTING_MS);
	vm_rest(vm, on_moment, b);
}

static const char *freeze_error(int err)
{
	switch (err) {
	case -ENOTCONN:
		return "the guest has no backup service (VSS); " NO_FREEZE;
	case -EOPNOTSUPP:
		return "the guest's backup service does not work: in Linux hv_vss_daemon of the "
		       "package hyperv-daemons must run; " NO_FREEZE;
	case -EIO:
		return "the guest could not freeze its file systems; " NO_FREEZE;
	case -ETIMEDOUT:
		return "the guest did not freeze its file systems in time; " NO_FREEZE;
	case -ECONNRESET:
		return "the guest's backup service went away while it froze";
	case -EBUSY:
		return "the guest has not thawed from an earlier backup yet; try again";
	}
	return "the guest does not take requests of the backup service; " NO_FREEZE;
}

static void on_frozen(void *arg, int err)
{
	struct vm_backup *b = arg;

	if (err)
		fail_backup(b, "failed", "%s", freeze_error(err));
	else
		take_moment(b);
}

static void freeze(struct vm_backup *b)
{
	int err;

	if (!b->freeze) {
		take_moment(b);
		return;
	}
	if (b->vm->state != VM_RUNNING) {
		b->freeze = false;
		fail_backup(b, "state",
			    "the VM does not run, so the guest cannot freeze; try: kvmbus "
			    "resume, or " NO_FREEZE);
		return;
	}
	b->state = BACKUP_FREEZING;
	err = kvmb_vss_freeze(&b->vm->vss, on_frozen, b);
	if (!err)
		return;
	b->freeze = false; /* whose freeze it is, if there is one, is not ours */
	fail_backup(b, "failed", "%s", freeze_error(err));
}

/* ---- the end ---- */

static json_t *backup_result(const struct vm_backup *b)
{
	json_t *disks = json_array();
	u32 i;

	for (i = 0; i < b->copy.num; i++) {
		const struct backup_disk *d = &b->copy.disks[i];

		json_array_append_new(disks, json_pack("{s:i, s:i, s:I, s:I, s:b}", "controller",
						       d->controller, "lun", d->lun, "bytes",
						       (json_int_t)d->bytes, "copied",
						       (json_int_t)d->copied, "cloned", d->cloned));
	}
	return json_pack("{s:s, s:b, s:I, s:o}", "id", b->id, "frozen", b->freeze, "stood_ms",
			 (json_int_t)b->stood_ms, "disks", disks);
}

static void on_copied(struct vm_backup *b)
{
	struct ctl_reply reply = b->reply;
	json_t *result;
	u32 i;

	if (b->err) {
		fail_backup(b, "failed", "%s",
			    b->err == -ECANCELED ? "the backup was given up" : b->copy.why);
		return;
	}
	for (i = 0; i < b->copy.num; i++)
		kvmb_disk_since_done(b->copy.disks[i].d, b->id);
	result = backup_result(b);
	free_backup(b);
	reply_result(reply, result);
}

static void on_thread(void *arg)
{
	struct vm_backup *b = arg;

	pthread_join(b->thread, NULL);
	b->has_thread = false;
	if (b->given_up && !b->err)
		b->err = -ECANCELED;
	if (b->state == BACKUP_COPYING)
		on_copied(b);
	else if (b->err)
		fail_backup(b, "failed", "the backup was given up");
	else
		freeze(b);
}

/* The client has gone. */
static void on_pipe_end(void *arg, uint32_t events)
{
	struct vm_backup *b = arg;

	(void)events;
	kvmb_loop_del(b->watch);
	b->watch = NULL;
	if (!b->has_thread) {
		fail_backup(b, "failed", "the backup was given up");
		return;
	}
	b->given_up = true;
	backup_copy_cancel(&b->copy);
}

/* ---- the beginning ---- */

static bool is_backed_up(const struct kvmb_unit_info *i)
{
	return i->disk && !i->dvd && !i->disk->read_only;
}

/* A file of the client: where from it is, is his business. */
static const char *bad_file(const struct backup_disk *d, bool changes)
{
	struct stat st;
	int flags = fcntl(d->fd, F_GETFL);

	if (fstat(d->fd, &st) || !S_ISREG(st.st_mode) || flags < 0 ||
	    (flags & O_ACCMODE) != O_RDWR || flags & O_APPEND)
		return "is no file that can be written anywhere and read";
	if (!changes && st.st_size)
		return "is not empty";
	if (changes && (u64)st.st_size != d->bytes)
		return "has not the size of its disk";
	return NULL;
}

/* Return: false with @why, one phrase: @o and the disk are not about the same. */
static bool take_disk_of(struct vm_backup *b, const json_t *o, int *fd, u32 c, u32 lun,
			 struct kvmb_disk *disk, char *why, size_t size)
{
	struct backup_disk *d = &b->copy.disks[b->copy.num];
	const char *bad;

	if (json_integer_value(json_object_get(o, "controller")) != (json_int_t)c ||
	    json_integer_value(json_object_get(o, "lun")) != (json_int_t)lun ||
	    json_integer_value(json_object_get(o, "bytes")) != (json_int_t)kvmb_disk_bytes(disk)) {
		snprintf(why, size, "its disks are not those that were asked for; try again");
		return false;
	}
	*d = (struct backup_disk){ .d = disk,
				   .controller = c,
				   .lun = lun,
				   .fd = *fd,
				   .chunks = kvmb_disk_chunks(disk),
				   .bytes = kvmb_disk_bytes(disk) };
	*fd = -1;
	b->copy.num++;
	bad = bad_file(d, b->copy.changes);
	if (!bad && b->copy.changes && !kvmb_disk_since_bits(disk, b->base))
		bad = "would lack changes: since that backup the VM was started anew, moved or "
		      "backed up otherwise, or it failed; make a full one";
	if (bad)
		snprintf(why, size, "the file for disk %u:%u %s", c, lun, bad);
	return !bad;
}

static bool take_all_disks(struct vm_backup *b, json_t *args, struct handover_fds *fds, char *why,
			   size_t size)
{
	json_t *disks = json_object_get(args, "disks");
	size_t num = json_array_size(disks);
	struct kvmb_unit_info i;
	u32 c, lun, at = 0;

	if (!num || fds->num != num + 1 || backup_copy_init(&b->copy, (u32)num)) {
		snprintf(why, size, "a pipe, and a file for each disk, must come with the command");
		return false;
	}
	for_each_unit(b->vm, c, lun, &i) {
		if (!is_backed_up(&i))
			continue;
		if (at == num) {
			snprintf(why, size, "its disks have changed; try again");
			return false;
		}
		if (!take_disk_of(b, json_array_get(disks, at), &fds->fd[at + 1], c, lun, i.disk,
				  why, size))
			return false;
		at++;
	}
	if (at != num)
		snprintf(why, size, "its disks have changed; try again");
	return at == num;
}

/* An id of a point. Return: false: it is none. @required: else it may be missing. */
static bool take_id(json_t *args, const char *name, bool required, char id[KVMB_POINT_ID])
{
	const char *s = json_string_value(json_object_get(args, name));

	if (!s)
		return !required;
	if (strlen(s) != KVMB_POINT_ID - 1 || strspn(s, "0123456789abcdef") != strlen(s))
		return false;
	memcpy(id, s, KVMB_POINT_ID);
	return true;
}

static bool take_wishes(struct vm_backup *b, json_t *args)
{
	json_int_t rate = json_integer_value(json_object_get(args, "rate"));

	b->freeze = !json_is_false(json_object_get(args, "freeze"));
	b->copy.rate = rate > 0 ? (u64)rate : 0;
	if (!take_id(args, "id", true, b->id) || !take_id(args, "base", false, b->base))
		return false;
	b->copy.changes = b->base[0];
	return true;
}

static const char *cannot_back_up(const struct vm *vm)
{
	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED)
		return "it is being reset, or ends";
	if (disks_busy(vm))
		return "a disk is being opened, resized or closed; try again";
	return NULL;
}

/* Return: NULL; or the class of the refusal, with @why. */
static const char *prepare_backup(struct vm_backup *b, json_t *args, struct handover_fds *fds,
				  char *why, size_t size)
{
	const char *cannot = cannot_back_up(b->vm);

	if (cannot) {
		snprintf(why, size, "%s", cannot);
		return "state";
	}
	if (!take_wishes(b, args)) {
		snprintf(why, size, "an id is 32 hexadecimal digits");
		return "usage";
	}
	if (!take_all_disks(b, args, fds, why, size))
		return "failed";
	b->pipe = fds->fd[0];
	fds->fd[0] = -1;
	fcntl(b->pipe, F_SETFL, O_NONBLOCK); /* whatever it is, nobody waits for it */
	b->watch = kvmb_loop_add(b->vm->loop, b->pipe, EPOLLIN, on_pipe_end, b);
	if (b->watch)
		return NULL;
	snprintf(why, size, "the first descriptor is no pipe");
	return "usage";
}

void backup_begin(struct vm *vm, json_t *args, struct handover_fds *fds, struct ctl_reply reply)
{
	struct vm_backup *b = kvmb_xzalloc(sizeof(*b));
	const char *class;
	char why[300] = "";

	*b = (struct vm_backup){ .vm = vm, .reply = reply, .pipe = -1 };
	kvmb_work_init(&b->work, on_thread, b);
	kvmb_timer_init(&b->timer, vm->loop, on_no_rest, b);
	class = prepare_backup(b, args, fds, why, sizeof(why));
	handover_close(fds);
	if (class) {
		free_backup(b);
		reply_refused(reply, class, "the VM cannot be backed up: %s", why);
		return;
	}
	vm->backup = b;
	start_thread_of(b);
}

json_t *backup_info(const struct vm *vm)
{
	const struct vm_backup *b = vm->backup;

	if (!b)
		return json_null();
	return json_pack("{s:s, s:I, s:I}", "step", backup_steps[b->state], "done",
			 (json_int_t)__atomic_load_n(&b->copy.done, __ATOMIC_RELAXED), "total",
			 (json_int_t)__atomic_load_n(&b->copy.total, __ATOMIC_RELAXED));
}

bool backup_stands(const struct vm *vm)
{
	return vm->backup && vm->backup->state == BACKUP_RESTING;
}

void backup_destroy(struct vm *vm)
{
	struct vm_backup *b = vm->backup;
	struct ctl_reply reply;

	kvmb_vss_fini(&vm->vss);
	if (!b)
		return;
	reply = b->reply;
	if (b->has_thread) {
		backup_copy_cancel(&b->copy);
		pthread_join(b->thread, NULL);
		kvmb_loop_unpost(vm->loop, &b->work);
	}
	backup_copy_end(&b->copy);
	free_backup(b);
	reply_refused(reply, "state", "the VM ended");
}
