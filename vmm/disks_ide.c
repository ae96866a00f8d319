// SPDX-License-Identifier: GPL-2.0-only
/* IDE drives and their disks: disks_ide.h. */
#include "vmm/disks_ide.h"

#include <pthread.h>
#include <stdlib.h>

#include "lib/log.h"
#include "lib/util.h"
#include "machine/dev/ide.h"
#include "machine/gen1.h"
#include "vmm/ide_disks.h"

static_assert(KVMB_STORAGE_MAX_CONTROLLERS - KVMB_STORAGE_IDE == IDE_DRIVES, "each has its place");

enum drive_state { DRIVE_EMULATED, DRIVE_LEAVING, DRIVE_SYNTHETIC };

struct vm_drive { /* main thread, but for what says otherwise */
	struct vm *vm;
	struct kvmb_storage *s; /* NULL: there is no such drive */
	bool dvd;
	const struct kvmb_storage_events *ev;
	enum drive_state state; /* move() */
	bool wanted;		/* the guest's channel is open */
	bool told;		/* atomic: the drive has stopped */
	struct kvmb_work work;	/* likewise */

	/* another medium waits for the drive to stop */
	bool changing;
	struct kvmb_disk *medium; /* NULL = none */
	kvmb_storage_done *done;
	void *done_arg;
};

/*
 * GO: drives go, or were loaded and stand.
 * ASKED: they were told to stand; drives_heard() comes.
 * STANDS: they do.
 * CROSSED: as ASKED, and nobody wants it any more.
 */
enum ide_rest { IDE_REST_GO, IDE_REST_ASKED, IDE_REST_STANDS, IDE_REST_CROSSED };

struct vm_ide { /* main thread, but for what says otherwise */
	struct vm *vm;
	struct vm_drive drives[IDE_DRIVES];
	struct ide_disks *glue; /* NULL: not connected */
	enum ide_rest rest;
	struct kvmb_work heard;
	bool resting, settled;	      /* who wants drives to stand */
	void (*rest_done)(void *arg); /* NULL = nobody waits */
	void *rest_arg;
	void (*settle_done)(void *vm); /* likewise */
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool stands; /* lock: what was asked for last is so */
};

static u32 number_of(const struct kvmb_storage *s)
{
	return kvmb_storage_index(s) - KVMB_STORAGE_IDE;
}

static struct vm_drive *drive_at(struct vm *vm, const struct kvmb_storage *s)
{
	kvmb_assert(vm->ide && kvmb_storage_index(s) >= KVMB_STORAGE_IDE);
	return &vm->ide->drives[number_of(s)];
}

static struct ide *ide_of(struct vm *vm)
{
	return gen1_ide(vm->machine.gen1);
}

static struct kvmb_disk *disk_in(const struct vm_drive *d)
{
	struct kvmb_unit_info i;

	return kvmb_storage_unit(d->s, 0, &i) ? i.disk : NULL;
}

bool disks_ide_drive(const struct vm *vm, u32 n, struct kvmb_disk **disk, bool *dvd)
{
	if (!vm->ide || n >= IDE_DRIVES)
		return false;
	*disk = vm->ide->drives[n].s ? disk_in(&vm->ide->drives[n]) : NULL;
	*dvd = vm->ide->drives[n].dvd;
	return true;
}

/* ---- changing hands ---- */

static void move(struct vm_drive *d, enum drive_state to)
{
	static const bool may[3][3] = {
		[DRIVE_EMULATED] = { [DRIVE_LEAVING] = true },
		[DRIVE_LEAVING] = { [DRIVE_SYNTHETIC] = true, [DRIVE_EMULATED] = true },
		[DRIVE_SYNTHETIC] = { [DRIVE_EMULATED] = true }
	};

	kvmb_assert(may[d->state][to]);
	d->state = to;
}

/* Any thread. */
static void drive_stands(void *arg)
{
	struct vm_drive *d = arg;

	__atomic_store_n(&d->told, true, __ATOMIC_RELEASE);
	kvmb_loop_post(d->vm->loop, &d->work);
}

static void let_drive_go(struct vm_drive *d)
{
	struct ide *ide = ide_of(d->vm);
	enum vm_state state = d->vm->state;

	/* a VM that is being loaded is CREATED */
	if (d->vm->ide->rest != IDE_REST_GO || state == VM_CREATED || state == VM_ENDED)
		ide_stop_drive(ide, number_of(d->s), IDE_HOLD, NULL, NULL);
	else
		ide_resume_drive(ide, number_of(d->s));
}

static void drive_left(struct vm_drive *d)
{
	if (d->wanted) {
		move(d, DRIVE_SYNTHETIC);
		kvmb_disk_set_path(disk_in(d), KVMB_PATH_SYNTHETIC);
		kvmb_storage_taken(d->s);
	} else {
		move(d, DRIVE_EMULATED);
		let_drive_go(d);
	}
}

static void change_medium(struct vm_drive *d)
{
	d->changing = false;
	ide_disks_set_medium(d->vm->ide->glue, number_of(d->s), d->medium);
	let_drive_go(d);
	kvmb_assert(!kvmb_storage_set_medium(d->s, 0, d->medium, d->done, d->done_arg));
}

static void serve_drive(void *arg)
{
	struct vm_drive *d = arg;

	if (!__atomic_exchange_n(&d->told, false, __ATOMIC_ACQ_REL))
		return; /* served when it was asked */
	if (d->state == DRIVE_LEAVING)
		drive_left(d);
	else if (d->changing)
		change_medium(d);
}

static void stop_and_serve(struct vm_drive *d, enum ide_stop how)
{
	ide_stop_drive(ide_of(d->vm), number_of(d->s), how, drive_stands, d);
	serve_drive(d);
}

static void guest_takes_disk(void *arg, struct kvmb_storage *s)
{
	struct vm_drive *d = drive_at(arg, s);

	d->wanted = true;
	if (d->state != DRIVE_EMULATED)
		return;
	kvmb_dbg(d->vm->cfg.name, "ide%u: the guest takes its disk by VMBus", number_of(s));
	move(d, DRIVE_LEAVING);
	stop_and_serve(d, IDE_REFUSE);
}

static void guest_gives_disk(void *arg, struct kvmb_storage *s)
{
	struct vm_drive *d = drive_at(arg, s);

	d->wanted = false;
	if (d->state != DRIVE_SYNTHETIC)
		return;
	kvmb_dbg(d->vm->cfg.name, "ide%u: its disk is the emulated drive's again", number_of(s));
	move(d, DRIVE_EMULATED);
	kvmb_disk_set_path(disk_in(d), KVMB_PATH_EMULATED);
	let_drive_go(d);
}

static const struct kvmb_storage_twin twin = { .take = guest_takes_disk, .give = guest_gives_disk };

const char *disks_ide_path(struct vm *vm, const struct kvmb_storage *s)
{
	return drive_at(vm, s)->state == DRIVE_SYNTHETIC ? "vmbus" : "ide";
}

/* ---- what drives tell ---- */

static void drive_stopped(void *arg, u32 drive, int err)
{
	struct vm *vm = arg;
	struct vm_drive *d = &vm->ide->drives[drive];

	d->ev->stopped(vm, d->s, 0, err);
}

static void drive_ejected(void *arg, u32 drive)
{
	struct vm *vm = arg;
	struct vm_drive *d = &vm->ide->drives[drive];

	d->ev->ejected(vm, d->s, 0);
}

static const struct ide_disk_events ide_events = { .stopped = drive_stopped,
						   .ejected = drive_ejected };

/* ---- media ---- */

int disks_ide_set_medium(struct vm *vm, struct kvmb_storage *s, struct kvmb_disk *medium,
			 kvmb_storage_done *done, void *arg)
{
	struct vm_drive *d = drive_at(vm, s);

	kvmb_assert(d->dvd);
	if (d->changing)
		return -EBUSY;
	d->changing = true;
	d->medium = medium;
	d->done = done;
	d->done_arg = arg;
	stop_and_serve(d, IDE_HOLD);
	return 0;
}

bool disks_ide_locked(struct vm *vm, const struct kvmb_storage *s)
{
	return ide_disks_locked(vm->ide->glue, number_of(s));
}

void disks_ide_ask_eject(struct vm *vm, const struct kvmb_storage *s)
{
	ide_eject_request(ide_of(vm), number_of(s));
}

void disks_ide_retry(struct vm *vm)
{
	if (vm->ide && vm->ide->glue)
		ide_disks_retry(vm->ide->glue);
}

/* ---- standing still ---- */

/* Any thread; the last touch of @all, unless the main thread hears of it. */
static void drives_have_stopped(void *arg)
{
	struct vm_ide *all = arg;

	pthread_mutex_lock(&all->lock);
	all->stands = true;
	kvmb_loop_post(all->vm->loop, &all->heard);
	pthread_cond_signal(&all->cond);
	pthread_mutex_unlock(&all->lock);
}

static void ask_to_stand(struct vm_ide *all)
{
	switch (all->rest) {
	case IDE_REST_GO:
		all->rest = IDE_REST_ASKED;
		all->stands = false;
		ide_stop(ide_of(all->vm), drives_have_stopped, all);
		break;
	case IDE_REST_STANDS:
		kvmb_loop_post(all->vm->loop, &all->heard);
		break;
	default:
		all->rest = IDE_REST_ASKED;
	}
}

static void let_drives_go(struct vm_ide *all)
{
	u32 i;

	if (all->vm->state == VM_ENDED)
		return;
	for (i = 0; i < IDE_DRIVES; i++)
		serve_drive(&all->drives[i]); /* who has waited for one of them comes first */
	kvmb_loop_unpost(all->vm->loop, &all->heard); /* who asks next does not hear of it */
	all->rest = IDE_REST_GO;
	ide_resume(ide_of(all->vm));
}

static void tell_waiters(struct vm_ide *all)
{
	void (*rest)(void *arg) = all->rest_done, (*settle)(void *vm) = all->settle_done;

	all->rest_done = NULL;
	all->settle_done = NULL;
	if (rest)
		rest(all->rest_arg);
	if (settle)
		settle(all->vm);
}

static void drives_heard(void *arg)
{
	struct vm_ide *all = arg;
	bool unwanted = all->rest == IDE_REST_CROSSED;

	if (all->rest == IDE_REST_GO)
		return;
	all->rest = IDE_REST_STANDS;
	if (unwanted)
		let_drives_go(all);
	else
		tell_waiters(all);
}

static void stand_no_longer(struct vm_ide *all)
{
	if (all->resting || all->settled)
		return;
	if (all->rest == IDE_REST_ASKED)
		all->rest = IDE_REST_CROSSED;
	else if (all->rest != IDE_REST_CROSSED)
		let_drives_go(all);
}

void disks_ide_rest(struct vm *vm, void (*done)(void *arg), void *arg)
{
	struct vm_ide *all = vm->ide;

	if (!all || !all->glue) {
		done(arg);
		return;
	}
	kvmb_assert(!all->resting);
	all->resting = true;
	all->rest_done = done;
	all->rest_arg = arg;
	ask_to_stand(all);
}

void disks_ide_go_on(struct vm *vm)
{
	struct vm_ide *all = vm->ide;

	if (!all || !all->glue)
		return;
	all->resting = false;
	all->rest_done = NULL;
	stand_no_longer(all);
}

static void cancel_all(struct ide *ide)
{
	u32 i;

	for (i = 0; i < IDE_DRIVES; i++)
		ide_cancel(ide, i);
}

void disks_ide_settle(struct vm *vm, void (*done)(void *vm))
{
	struct vm_ide *all = vm->ide;

	if (!all || !all->glue) {
		done(vm);
		return;
	}
	all->settled = true;
	all->settle_done = done;
	cancel_all(ide_of(vm));
	ask_to_stand(all);
}

void disks_ide_settled(struct vm *vm)
{
	if (!vm->ide || !vm->ide->settled)
		return;
	vm->ide->settled = false;
	stand_no_longer(vm->ide);
}

/* ---- life ---- */

static struct vm_ide *make_vm_ide(struct vm *vm)
{
	struct vm_ide *all = kvmb_xzalloc(sizeof(*all));

	all->vm = vm;
	kvmb_work_init(&all->heard, drives_heard, all);
	pthread_mutex_init(&all->lock, NULL);
	pthread_cond_init(&all->cond, NULL);
	return all;
}

void disks_ide_add(struct vm *vm, struct kvmb_storage *s, bool dvd,
		   const struct kvmb_storage_events *ev)
{
	struct vm_drive *d;

	if (!vm->ide)
		vm->ide = make_vm_ide(vm);
	d = drive_at(vm, s);
	*d = (struct vm_drive){ .vm = vm, .s = s, .dvd = dvd, .ev = ev };
	kvmb_work_init(&d->work, serve_drive, d);
	if (!dvd)
		kvmb_storage_set_twin(s, &twin, vm);
}

int disks_ide_connect(struct vm *vm)
{
	struct vm_ide *all = vm->ide;
	int err = 0;
	u32 i;

	if (!all)
		return 0;
	all->glue = ide_disks_create(ide_of(vm), vm->cfg.name, vm->loop, &ide_events, vm);
	for (i = 0; i < IDE_DRIVES && !err; i++) {
		if (all->drives[i].s)
			err = ide_disks_attach(all->glue, i, all->drives[i].dvd,
					       disk_in(&all->drives[i]));
	}
	if (err)
		kvmb_err(vm->cfg.name, "ide%u: no thread: %s", i - 1, strerror(-err));
	return err;
}

static void stop_drives(struct vm_ide *all)
{
	cancel_all(ide_of(all->vm));
	if (all->rest == IDE_REST_GO)
		ask_to_stand(all);
	pthread_mutex_lock(&all->lock);
	while (!all->stands)
		pthread_cond_wait(&all->cond, &all->lock);
	pthread_mutex_unlock(&all->lock);
}

/* Nobody changes it any more, but its old medium and the new one have their way. */
static void end_drive(struct vm_drive *d)
{
	if (!d->s)
		return;
	kvmb_loop_unpost(d->vm->loop, &d->work);
	if (d->changing)
		kvmb_storage_set_medium(d->s, 0, d->medium, d->done, d->done_arg);
}

void disks_ide_end(struct vm *vm)
{
	struct vm_ide *all = vm->ide;
	u32 i;

	if (!all)
		return;
	if (all->glue) {
		stop_drives(all);
		gen1_end_ide(vm->machine.gen1);
		ide_disks_destroy(all->glue);
	}
	for (i = 0; i < IDE_DRIVES; i++)
		end_drive(&all->drives[i]);
	kvmb_loop_unpost(vm->loop, &all->heard);
	pthread_mutex_destroy(&all->lock);
	pthread_cond_destroy(&all->cond);
	free(all);
	vm->ide = NULL;
}
