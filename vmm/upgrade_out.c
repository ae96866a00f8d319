// SPDX-License-Identifier: GPL-2.0-only
/* Handing a VM over in place; theory of operation: upgrade_out.h. */
#include "vmm/upgrade_out.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend/net/backend.h"
#include "host-vsp/net/net.h"
#include "host-vsp/tuner.h"
#include "lib/log.h"
#include "lib/thread.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/machine_match.h"
#include "vmm/console.h"
#include "vmm/disks_priv.h"
#include "vmm/handed.h"
#include "vmm/nics.h"
#include "vmm/vars.h"
#include "vmm/vm_rest.h"
#include "vmm/vm_sections.h"

#define NAMES_MS 5000u /* for the other process to take our names; whoever connects comes to us */
#define LEAVE_MS 100u  /* for clients that came to us before that to get their answers */
#define DRAIN_MS 2000u /* for the serial port's output to be written */
#define VARS_MS 5000u  /* for the firmware's variables */

enum upgrade_step { UPG_LIVE, UPG_STOPPING, UPG_LAST, UPG_DECIDING, UPG_LEAVING };

struct vm_upgrade { /* main thread, but for what the thread has */
	struct vm *vm;
	enum upgrade_step step;
	bool was_paused;	  /* before: it stays so when this is given up */
	struct mig_stream stream; /* the thread's */
	struct vm_handed handed;  /* borrowed descriptors */
	struct kvmb_tlv_out sections;
	struct kvmb_watch *watch; /* STOPPING: of the stream */
	struct kvmb_timer leave;
	pthread_t thread;
	struct kvmb_work done; /* the thread has ended */
	int err;	       /* the thread's result */
	char why[MIG_WHY];
	int cancelled; /* atomic: the thread gives up */
};

static void free_upgrade(struct vm_upgrade *u)
{
	u->vm->upgrade = NULL;
	kvmb_loop_del(u->watch);
	kvmb_timer_cancel(&u->leave);
	kvmb_tlv_out_fini(&u->sections);
	close(u->stream.fd);
	free(u);
}

/* The other process prints it; it need not be there any more. */
static void tell_why(struct vm_upgrade *u)
{
	struct pollfd p = { .fd = u->stream.fd, .events = POLLOUT };

	if (u->err != -EPIPE && poll(&p, 1, 0) > 0)
		mig_say(&u->stream, MIG_REFUSED, u->why);
}

/* The VM goes on here. */
static void keep_vm(struct vm_upgrade *u)
{
	bool stands = u->step != UPG_LIVE, was_paused = u->was_paused;
	struct vm *vm = u->vm;

	if (!u->why[0])
		snprintf(u->why, sizeof(u->why), "%s", mig_why(u->err));
	tell_why(u);
	kvmb_warn(vm->cfg.name, "not handed over: %s; the VM %s", u->why,
		  vm->state == VM_ENDED ? "has ended" : "goes on here");
	free_upgrade(u);
	if (stands) /* also when the VM has ended: nobody is to be told any more that it stands */
		vm_rest_end(vm);
	if (stands && !was_paused && vm->state != VM_ENDED)
		vm_resume(vm);
	vm_release(vm);
}

/* ---- threads ---- */

/* One that ends says why before it hangs up, while we are sending. */
static int end_thread(struct vm_upgrade *u, int err)
{
	if (err == -EPIPE && mig_hear(&u->stream, MIG_LOADED, u->why) != -ECONNREFUSED)
		u->why[0] = 0;
	u->err = err;
	kvmb_loop_post(u->vm->loop, &u->done);
	return err;
}

static int send_host(struct vm_upgrade *u)
{
	struct kvmb_tlv_out o = { 0 };

	machine_match_save(&u->vm->machine, &o);
	return mig_send_out(&u->stream, &o);
}

static void *run_give(void *arg)
{
	struct vm_upgrade *u = arg;
	int err;

	kvmb_thread_enter(KVMB_THREAD_JOB, "upgrade");
	err = handed_send(&u->stream, &u->handed);
	if (!err)
		err = mig_hear(&u->stream, MIG_READY, u->why);
	if (!err)
		err = send_host(u);
	if (!err)
		err = mig_hear(&u->stream, MIG_FITS, u->why);
	end_thread(u, err);
	return NULL;
}

static void *run_state(void *arg)
{
	struct vm_upgrade *u = arg;
	int err;

	kvmb_thread_enter(KVMB_THREAD_JOB, "upgrade");
	err = vars_drain(u->vm->vars, VARS_MS);
	if (err)
		snprintf(u->why, sizeof(u->why),
			 "its firmware's variables cannot be written to their file");
	else
		err = mig_send(&u->stream, u->sections.buf, u->sections.len);
	if (!err)
		err = mig_hear(&u->stream, MIG_LOADED, u->why);
	end_thread(u, err);
	return NULL;
}

/* What was said before the socket was shut down is still in there, and nothing follows. */
static int hear_running(struct vm_upgrade *u)
{
	char why[MIG_WHY];
	int err = mig_hear(&u->stream, MIG_RUNNING, u->why);

	if (!err)
		return 0;
	shutdown(u->stream.fd, SHUT_RDWR);
	return mig_hear(&u->stream, MIG_RUNNING, why) ? err : 0;
}

static void *run_go(void *arg)
{
	struct vm_upgrade *u = arg;
	char byte;
	int err;

	kvmb_thread_enter(KVMB_THREAD_JOB, "upgrade");
	err = mig_say(&u->stream, MIG_GO, NULL);
	if (!err)
		err = hear_running(u);
	u->stream.patience_ms = NAMES_MS;
	if (!err)
		mig_recv(&u->stream, &byte, 1); /* until it hangs up */
	u->err = err;
	kvmb_loop_post(u->vm->loop, &u->done);
	return NULL;
}

/* ---- the main thread ---- */

static int run_in_thread(struct vm_upgrade *u, void *(*run)(void *))
{
	int err = -pthread_create(&u->thread, NULL, run, u);

	if (err)
		snprintf(u->why, sizeof(u->why), "no thread: %s", strerror(-err));
	return err;
}

static void on_leave(void *arg)
{
	struct vm_upgrade *u = arg;
	struct vm *vm = u->vm;

	free_upgrade(u);
	vm_handed_over(vm);
}

static void on_went(struct vm_upgrade *u)
{
	if (u->err) {
		keep_vm(u);
		return;
	}
	u->step = UPG_LEAVING;
	kvmb_timer_set(&u->leave, LEAVE_MS);
}

/* From here on u->err is the thread's. */
static void begin_thread_or_keep(struct vm_upgrade *u, void *(*run)(void *))
{
	int err = run_in_thread(u, run);

	if (!err)
		return;
	u->err = err;
	keep_vm(u);
}

/* All is there: let the other process have it. */
static void say_go(struct vm_upgrade *u)
{
	if (!u->err && u->vm->state == VM_ENDED)
		u->err = -ECANCELED;
	if (u->err) {
		keep_vm(u);
		return;
	}
	vm_hold(u->vm);
	u->step = UPG_DECIDING;
	begin_thread_or_keep(u, run_go);
}

static int make_sections(struct vm_upgrade *u)
{
	const char *why = vm_cannot_move(u->vm);
	int err;

	if (why) {
		snprintf(u->why, sizeof(u->why), "%s", why);
		return -ECANCELED;
	}
	if (!console_drain(u->vm->console, DRAIN_MS))
		kvmb_warn(u->vm->cfg.name, "the serial port's output could not be written in time");
	err = vm_sections_put(u->vm, u->was_paused, &u->sections);
	if (err)
		snprintf(u->why, sizeof(u->why), "its state cannot be read: %s", strerror(-err));
	return err;
}

/* The bus stands. */
static void send_state(void *arg)
{
	struct vm_upgrade *u = arg;

	kvmb_loop_del(u->watch);
	u->watch = NULL;
	u->err = make_sections(u);
	u->step = UPG_LAST;
	if (u->err)
		keep_vm(u);
	else
		begin_thread_or_keep(u, run_state);
}

/* The other process has gone while devices come to rest. */
static void on_hung_up(void *arg, uint32_t events)
{
	struct vm_upgrade *u = arg;

	if (!(events & (EPOLLHUP | EPOLLERR)))
		return;
	u->err = -EPIPE;
	keep_vm(u);
}

static void stop_vm(struct vm_upgrade *u)
{
	struct vm *vm = u->vm;
	const char *why = vm_cannot_move(vm);

	u->was_paused = vm->state == VM_PAUSED;
	if (!u->err && why) {
		snprintf(u->why, sizeof(u->why), "%s", why);
		u->err = -EBUSY;
	}
	if (u->err) {
		keep_vm(u);
		return;
	}
	handed_put_stopped(&u->sections, kvmb_mono_ns());
	if (!u->was_paused)
		vm_pause(vm);
	if (vm_request_waits(vm)) { /* served when it goes on */
		if (!u->was_paused)
			vm_resume(vm);
		snprintf(u->why, sizeof(u->why), "the VM is being reset, or ends");
		u->err = -EBUSY;
		keep_vm(u);
		return;
	}
	u->step = UPG_STOPPING;
	u->watch = kvmb_loop_add(vm->loop, u->stream.fd, 0, on_hung_up, u);
	vm_rest(vm, send_state, u);
}

static void on_upgrade_thread(void *arg)
{
	struct vm_upgrade *u = arg;

	pthread_join(u->thread, NULL);
	switch (u->step) {
	case UPG_LIVE:
		stop_vm(u);
		break;
	case UPG_LAST:
		say_go(u);
		break;
	case UPG_DECIDING:
		on_went(u);
		break;
	case UPG_STOPPING:
	case UPG_LEAVING:
		kvmb_assert(false); /* they have no thread */
	}
}

/* ---- what there is to hand over ---- */

static const char *lend_disks(struct vm *vm, struct vm_handed *h, char *why, size_t size)
{
	struct kvmb_unit_info i;
	u32 c, lun;

	for_each_unit(vm, c, lun, &i) {
		if (!i.disk) /* an empty drive */
			continue;
		if (!kvmb_disk_is_raw(i.disk)) {
			snprintf(why, size,
				 "disk %.100s: only raw files and devices can be handed over yet",
				 i.disk->path);
			return why;
		}
		h->disks[c * KVMB_STORAGE_MAX_LUNS + lun] = i.disk->fd;
	}
	return NULL;
}

static const char *lend_nics(struct vm *vm, struct vm_handed *h)
{
	const struct kvmb_net_backend *b;
	u32 i;

	for (i = 0; i < KVMB_MAX_NICS; i++) {
		b = nics_net(vm, i) ? kvmb_net_backend(nics_net(vm, i)) : NULL;
		if (!b || b->fd[0] < 0) /* connected to nothing */
			continue;
		if (b->ops->revive)
			return "connections of a NIC of kind user cannot be handed over yet";
		h->nics[i].num = b->num_queues;
		memcpy(h->nics[i].fd, b->fd, b->num_queues * sizeof(*b->fd));
	}
	return NULL;
}

static const char *lend_all(struct vm *vm, struct vm_handed *h, char *why, size_t size)
{
	const char *because = vm_cannot_move(vm);

	h->memory = vm->machine.gm.memfd;
	if (!because)
		because = lend_disks(vm, h, why, size);
	return because ? because : lend_nics(vm, h);
}

int upgrade_out_begin(struct vm *vm, int peer, char *why, size_t size)
{
	struct vm_upgrade *u = kvmb_xzalloc(sizeof(*u));
	const char *because = lend_all(vm, &u->handed, u->why, sizeof(u->why));

	u->vm = vm;
	u->stream = (struct mig_stream){ .fd = peer, .cancelled = &u->cancelled };
	vm->upgrade = u;
	kvmb_work_init(&u->done, on_upgrade_thread, u);
	kvmb_timer_init(&u->leave, vm->loop, on_leave, u);
	fcntl(peer, F_SETFL, O_NONBLOCK);
	if (!because && run_in_thread(u, run_give))
		because = u->why;
	if (!because)
		return 0;
	snprintf(why, size, "the VM cannot be handed over: %s", because);
	free_upgrade(u);
	return -EBUSY;
}

json_t *upgrade_out_info(const struct vm *vm)
{
	static const char *const names[] = { "live", "stopping", "last", "deciding", "leaving" };

	return vm->upgrade ? json_pack("{s:s}", "step", names[vm->upgrade->step]) : json_null();
}

void upgrade_out_destroy(struct vm *vm)
{
	struct vm_upgrade *u = vm->upgrade;

	if (!u)
		return;
	kvmb_assert(u->step < UPG_DECIDING); /* vm_hold() */
	__atomic_store_n(&u->cancelled, 1, __ATOMIC_RELAXED);
	if (u->step != UPG_STOPPING) {
		pthread_join(u->thread, NULL);
		kvmb_loop_unpost(vm->loop, &u->done);
	}
	free_upgrade(u);
}
