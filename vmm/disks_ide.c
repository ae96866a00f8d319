// SPDX-License-Identifier: GPL-2.0-only
/* IDE drives and their disks: disks_ide.h. */
#include "vmm/disks_ide.h"

#include <pthread.h>

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

struct vm_ide {
	struct vm_drive drives[IDE_DRIVES];
	struct ide_disks *glue; /* NULL: not connected */
	bool settled;
	void (*settle_done)(void *vm);
	bool settle_told; /* atomic */
	struct kvmb_work settle_work;
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

	if (d->vm->ide->settled)
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

static void take_disk(void *arg, struct kvmb_storage *s)
{
	struct vm_drive *d = drive_at(arg, s);

	d->wanted = true;
	if (d->state != DRIVE_EMULATED)
		return;
	kvmb_dbg(d->vm->cfg.name, "ide%u: the guest takes its disk by VMBus", number_of(s));
	move(d, DRIVE_LEAVING);
	stop_and_serve(d, IDE_REFUSE);
}

static void give_disk(void *arg, struct kvmb_storage *s)
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

static const struct kvmb_storage_twin twin = { .take = take_disk, .give = give_disk };

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

/* Any thread. */
static void all_stand(void *arg)
{
	struct vm *vm = arg;

	__atomic_store_n(&vm->ide->settle_told, true, __ATOMIC_RELEASE);
	kvmb_loop_post(vm->loop, &vm->ide->settle_work);
}

static void serve_settled(void *arg)
{
	struct vm *vm = arg;

	if (__atomic_exchange_n(&vm->ide->settle_told, false, __ATOMIC_ACQ_REL))
		vm->ide->settle_done(vm);
}

void disks_ide_settle(struct vm *vm, void (*done)(void *vm))
{
	u32 i;

	if (!vm->ide || !vm->ide->glue || vm->ide->settled) {
		done(vm);
		return;
	}
	vm->ide->settled = true;
	vm->ide->settle_done = done;
	for (i = 0; i < IDE_DRIVES; i++)
		ide_cancel(ide_of(vm), i);
	ide_stop(ide_of(vm), all_stand, vm);
	serve_settled(vm);
}

void disks_ide_go(struct vm *vm)
{
	if (!vm->ide || !vm->ide->settled)
		return;
	vm->ide->settled = false;
	ide_resume(ide_of(vm));
}

/* ---- life ---- */

void disks_ide_add(struct vm *vm, struct kvmb_storage *s, bool dvd,
		   const struct kvmb_storage_events *ev)
{
	struct vm_drive *d;

	if (!vm->ide) {
		vm->ide = kvmb_xzalloc(sizeof(*vm->ide));
		kvmb_work_init(&vm->ide->settle_work, serve_settled, vm);
	}
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

struct wait {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
};

static void stopped(void *arg)
{
	struct wait *w = arg;

	pthread_mutex_lock(&w->lock);
	w->done = true;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->lock);
}

/* Of a VM that did not come to run. */
static void stop_drives(struct ide *ide)
{
	struct wait w = { .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };

	ide_stop(ide, stopped, &w);
	pthread_mutex_lock(&w.lock);
	while (!w.done)
		pthread_cond_wait(&w.cond, &w.lock);
	pthread_mutex_unlock(&w.lock);
}

void disks_ide_end(struct vm *vm)
{
	struct vm_ide *all = vm->ide;
	u32 i;

	if (!all)
		return;
	if (all->glue) {
		if (!all->settled)
			stop_drives(ide_of(vm));
		gen1_end_ide(vm->machine.gen1);
		ide_disks_destroy(all->glue);
	}
	for (i = 0; i < IDE_DRIVES; i++) {
		if (all->drives[i].s)
			kvmb_loop_unpost(vm->loop, &all->drives[i].work);
	}
	kvmb_loop_unpost(vm->loop, &all->settle_work);
	free(all);
	vm->ide = NULL;
}
