// SPDX-License-Identifier: GPL-2.0-only
/* Copies a file of the host into the guest: fcopy.h. */
#include "vmm/fcopy.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/thread.h"
#include "lib/util.h"
#include "vmm/json_text.h"
#include "vmm/services.h"

#define BLOCK (1u << 20)

struct block {
	u8 data[BLOCK];
	u32 len;
};

struct vm_fcopy { /* main thread, but for what the thread has */
	struct vm *vm;
	int file, pipe;
	struct kvmb_watch *watch; /* of the pipe */
	struct ctl_reply reply;
	char *name;
	u64 size, read;		  /* read: bytes, with those that are being read */
	struct block *now, *next; /* that the guest gets; the thread's while it reads */
	bool reading;		  /* the thread runs */
	bool full;		  /* next is read, and not fed */
	bool hungry;		  /* the guest wants it */
	bool ended;		  /* answered; the thread is waited for */
	pthread_t thread;
	struct kvmb_work work; /* the thread has read */
	int err;	       /* its result */
};

static void free_copy(struct vm_fcopy *c)
{
	c->vm->copy = NULL;
	kvmb_loop_del(c->watch);
	close(c->file);
	close(c->pipe);
	free(c->now);
	free(c->next);
	free(c->name);
	free(c);
}

/* ---- the thread ---- */

static void *read_block(void *arg)
{
	struct vm_fcopy *c = arg;
	struct block *b = c->next;
	u64 at = c->read - b->len;
	u32 done = 0;
	ssize_t n;

	kvmb_thread_enter(KVMB_THREAD_JOB, "copy");
	while (done < b->len && !c->err) {
		n = pread(c->file, b->data + done, b->len - done, (off_t)(at + done));
		if (n > 0)
			done += (u32)n;
		else if (!n || errno != EINTR)
			c->err = n ? -errno : -ENODATA;
	}
	kvmb_loop_post(c->vm->loop, &c->work);
	return NULL;
}

static void read_next(struct vm_fcopy *c)
{
	int err;

	if (c->read == c->size)
		return;
	c->next->len = (u32)KVMB_MIN(c->size - c->read, (u64)BLOCK);
	c->read += c->next->len;
	err = pthread_create(&c->thread, NULL, read_block, c); /* from here on c->err is its own */
	c->reading = !err;
	if (!err)
		return;
	c->err = -err;
	kvmb_loop_post(c->vm->loop, &c->work);
}

/* ---- the main thread ---- */

static void feed(struct vm_fcopy *c)
{
	struct block *b = c->next;

	c->next = c->now;
	c->now = b;
	c->full = c->hungry = false;
	read_next(c);
	kvmb_fcopy_feed(&c->vm->fcopy, b->data, b->len);
}

static void has_read(void *arg)
{
	struct vm_fcopy *c = arg;

	if (c->reading)
		pthread_join(c->thread, NULL);
	c->reading = false;
	c->full = !c->err;
	if (c->ended)
		free_copy(c);
	else if (c->err)
		kvmb_fcopy_cancel(&c->vm->fcopy, c->err);
	else if (c->hungry)
		feed(c);
}

static void wants_bytes(void *arg)
{
	struct vm_fcopy *c = arg;

	c->hungry = true;
	if (c->full)
		feed(c);
}

static void refuse_copy(struct vm_fcopy *c, int err, u32 status, bool kept)
{
	const char *text = kvmb_ic_status_text(status);
	const char *rest = kept ? "; it may have kept a part of the file" : "";

	switch (err) {
	case 0:
		reply_refused(c->reply, "failed", "the guest answered 0x%08x%s%s%s", status,
			      text ? ": " : "", text ? text : "", rest);
		break;
	case -ENOTCONN:
		reply_refused(c->reply, "failed", "the guest's service has gone%s", rest);
		break;
	case -ETIMEDOUT:
		reply_refused(c->reply, "timeout", "the guest did not answer in time%s", rest);
		break;
	case -ECANCELED:
		reply_refused(c->reply, "failed", "it was given up%s", rest);
		break;
	case -ENODATA:
		reply_refused(c->reply, "failed", "the file has become shorter%s", rest);
		break;
	default:
		reply_refused(c->reply, "failed", "the file cannot be read: %s%s", strerror(-err),
			      rest);
	}
}

static void copy_done(void *arg, int err, u32 status, bool kept)
{
	struct vm_fcopy *c = arg;

	if (!err && status == KVMB_IC_STATUS_OK)
		reply_result(c->reply, json_pack("{s:I}", "bytes", (json_int_t)c->size));
	else
		refuse_copy(c, err, status, kept);
	kvmb_loop_del(c->watch);
	c->watch = NULL;
	c->ended = true;
	if (!c->reading) {
		kvmb_loop_unpost(c->vm->loop, &c->work);
		free_copy(c);
	}
}

static const struct kvmb_fcopy_ops copy_ops = { .wants = wants_bytes, .done = copy_done };

static void client_gone(void *arg, uint32_t events)
{
	struct vm_fcopy *c = arg;

	(void)events;
	kvmb_loop_del(c->watch);
	c->watch = NULL;
	kvmb_fcopy_cancel(&c->vm->fcopy, -ECANCELED);
}

static const char *text_arg(json_t *args, const char *key)
{
	const char *s = json_string_value(json_object_get(args, key));

	return s ? s : "";
}

/* Return: NULL; else why not. */
static const char *take_copy_args(struct vm *vm, json_t *args, struct kvmb_fcopy_file *f,
				  const char **class)
{
	json_int_t size = json_integer_value(json_object_get(args, "size"));

	*f = (struct kvmb_fcopy_file){
		.path = text_arg(args, "path"),
		.name = text_arg(args, "name"),
		.size = (u64)KVMB_MAX(size, 0),
		.flags = (json_is_true(json_object_get(args, "overwrite")) ? KVMB_FCOPY_OVERWRITE :
									     0) |
			 (json_is_true(json_object_get(args, "make_path")) ? KVMB_FCOPY_MAKE_PATH :
									     0),
	};
	*class = "state";
	if (vm->state != VM_RUNNING)
		return "the VM is not running";
	if (!services_on(vm, SERVICE_FCOPY))
		return "the VM's service fcopy is off";
	if (vm->copy || vm->fcopy.state != KVMB_FCOPY_IS_IDLE)
		return "another file is being copied";
	*class = "usage";
	return kvmb_fcopy_check(f->path, f->name);
}

void fcopy_begin(struct vm *vm, json_t *args, int file, int pipe, struct ctl_reply reply)
{
	struct kvmb_fcopy_file f;
	const char *class, *why = take_copy_args(vm, args, &f, &class);
	struct vm_fcopy *c;

	if (why) {
		close(file);
		close(pipe);
		reply_refused(reply, class, "%s", why);
		return;
	}
	c = vm->copy = kvmb_xzalloc(sizeof(*c));
	*c = (struct vm_fcopy){
		.vm = vm, .file = file, .pipe = pipe, .reply = reply, .size = f.size
	};
	c->now = kvmb_xzalloc(sizeof(*c->now));
	c->next = kvmb_xzalloc(sizeof(*c->next));
	c->name = strdup(f.name);
	kvmb_work_init(&c->work, has_read, c);
	c->watch = kvmb_loop_add(vm->loop, pipe, EPOLLIN, client_gone, c);
	if (!c->watch) {
		free_copy(c);
		reply_refused(reply, "usage", "the second descriptor is no pipe");
	} else if (kvmb_fcopy_start(&vm->fcopy, &f, &copy_ops, c)) {
		free_copy(c);
		reply_refused(reply, "failed",
			      "the guest has no file copy service now (for Linux: hyperv-daemons)");
	} else {
		read_next(c);
	}
}

json_t *fcopy_info(const struct vm *vm)
{
	const struct vm_fcopy *c = vm->copy;

	if (!c)
		return json_null();
	return json_pack("{s:s, s:o, s:I, s:I}", "step", c->ended ? "ending" : "copying", "name",
			 json_text(c->name ? c->name : ""), "done", (json_int_t)vm->fcopy.offset,
			 "total", (json_int_t)c->size);
}

int fcopy_create(struct vm *vm)
{
	kvmb_fcopy_init(&vm->fcopy, vm->loop);
	return services_add(vm, SERVICE_FCOPY, &vm->fcopy.ic, NULL);
}

void fcopy_destroy(struct vm *vm)
{
	struct vm_fcopy *c;

	if (!vm->fcopy.ic.ops)
		return;
	kvmb_fcopy_fini(&vm->fcopy); /* who waits hears of it */
	c = vm->copy;
	if (!c)
		return;
	if (c->reading)
		pthread_join(c->thread, NULL);
	kvmb_loop_unpost(vm->loop, &c->work);
	free_copy(c);
}
