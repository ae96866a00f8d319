// SPDX-License-Identifier: GPL-2.0-only
/* The VM's disks. */
#include "vmm/disks.h"

#include "host-vsp/storage/storage_ring.h"
#include "lib/log.h"
#include "lib/util.h"
#include "vmm/confine.h"
#include "vmm/disk_jobs.h"
#include "vmm/disks_ide.h"
#include "vmm/disks_priv.h"
#include "vmm/names.h"
#include "vmm/opt.h"
#include "vmm/uevent.h"

static const struct ctl_reply nobody;

static json_t *address(u32 controller, u32 lun)
{
	char s[16];

	snprintf(s, sizeof(s), "%u:%u", controller, lun);
	return json_pack("{s:s, s:i, s:i}", "disk", s, "controller", controller, "lun", lun);
}

/* ---- finding ---- */

bool disks_each_unit(struct vm *vm, u32 *c, u32 *lun, struct kvmb_unit_info *i)
{
	for (; *c < KVMB_STORAGE_MAX_CONTROLLERS; ++*c, *lun = 0) {
		for (; vm->scsi[*c] && *lun < KVMB_STORAGE_MAX_LUNS; ++*lun) {
			if (kvmb_storage_unit(vm->scsi[*c], *lun, i))
				return true;
		}
	}
	return false;
}

static bool find_unit(struct vm *vm, const char *name, u32 *c, u32 *lun, struct kvmb_unit_info *i)
{
	u32 want_c, want_lun;
	char tail;
	bool by_place = sscanf(name, "%u:%u%c", &want_c, &want_lun, &tail) == 2;

	for_each_unit(vm, *c, *lun, i) {
		if (by_place ? *c == want_c && *lun == want_lun :
		    i->disk && (!strcmp(i->disk->path, name) || !strcmp(i->disk->serial, name)))
			return true;
	}
	return false;
}

/* Find or refuse. */
static bool need_unit(struct vm *vm, const char *name, u32 *c, u32 *lun, struct kvmb_unit_info *i,
		      struct ctl_reply reply)
{
	if (find_unit(vm, name, c, lun, i))
		return true;
	reply_refused(reply, "failed", "no disk \"%.200s\"; kvmbus disk %s list shows them", name,
	       vm->cfg.name);
	return false;
}

/* ---- controllers ---- */

static void io_stopped(void *arg, struct kvmb_storage *s, unsigned int lun, int err)
{
	struct vm *vm = arg;
	struct kvmb_unit_info i;
	char reason[64];

	if (!kvmb_storage_unit(s, lun, &i) || !i.disk)
		return;
	snprintf(reason, sizeof(reason), "disk %u:%u: %s", kvmb_storage_index(s), lun,
		 strerror(-err));
	if (!vm_stop(vm, reason))
		return; /* a reset, or the end: it drops the request */
	kvmb_err(vm->cfg.name,
		 "paused: disk %u:%u (%s): %s; remove the cause, then: kvmbus resume %s",
		 kvmb_storage_index(s), lun, i.disk->path, strerror(-err), vm->cfg.name);
}

static kvmb_storage_done close_later;

static int set_medium(struct vm *vm, u32 c, u32 lun, struct kvmb_disk *d, kvmb_storage_done *done,
		      void *arg)
{
	return c < KVMB_STORAGE_IDE ? kvmb_storage_set_medium(vm->scsi[c], lun, d, done, arg) :
				      disks_ide_set_medium(vm, vm->scsi[c], d, done, arg);
}

bool disks_tray_locked(struct vm *vm, u32 c, const struct kvmb_unit_info *i)
{
	return c < KVMB_STORAGE_IDE ? i->locked : disks_ide_locked(vm, vm->scsi[c]);
}

/* Its options are kept by others, who have to hear of it (vmm/note.h). */
static void note_change(struct vm *vm, struct ctl_reply asked_by)
{
	if (!asked_by.noted)
		vm->changed = "a disk was changed, and its keeper was not told";
}

/* No option says that; the state does, and whoever loads it ejects the medium again. */
static void guest_ejected(void *arg, struct kvmb_storage *s, unsigned int lun)
{
	set_medium(arg, kvmb_storage_index(s), lun, NULL, close_later, arg);
}

static const struct kvmb_storage_events events = { .stopped = io_stopped,
						   .ejected = guest_ejected };

/* Said once a VM, by its first controller. */
static void warn_without_uring(const struct vm *vm, int err)
{
	kvmb_warn(vm->cfg.name,
		  "no io_uring on this host (%s): disks use threads, which is slower; see "
		  "kernel.io_uring_disabled, or the container's seccomp filter",
		  strerror(-err));
}

/* Of one controller. */
static u32 max_channels(const struct vm *vm)
{
	return KVMB_MIN(vm->cfg.machine.cpus, 16u);
}

static int need_controller(struct vm *vm, u32 c, bool offer)
{
	bool first = true;
	int err;
	u32 i;

	if (vm->scsi[c])
		return 0;
	for (i = 0; i < KVMB_STORAGE_MAX_CONTROLLERS; i++)
		first = first && !vm->scsi[i];
	vm->scsi[c] = kvmb_storage_create(c, c < KVMB_STORAGE_IDE ? (u16)(max_channels(vm) - 1) : 0,
					  vm->rings, vm->loop, &events, vm);
	err = kvmb_storage_uring(vm->scsi[c]);
	if (err && err != -EOPNOTSUPP && first) /* disks_create() has said that */
		warn_without_uring(vm, err);
	return offer ? kvmb_storage_offer(vm->scsi[c], vm->bus) : 0;
}

struct kvmb_storage *disks_controller(struct vm *vm, u32 c)
{
	return need_controller(vm, c, true) ? NULL : vm->scsi[c];
}

/* Of firmware's machine; and who is not there when it begins never comes. */
static int check_ide(const struct vm *vm, u32 c, u32 lun, bool running, char *why, size_t size)
{
	if (c < KVMB_STORAGE_IDE || (vm->cfg.machine.gen1 && !running && !lun))
		return 0;
	snprintf(why, size, "controller %u is an IDE drive: %s", c,
		 !vm->cfg.machine.gen1 ? "machines with --kernel have none" :
		 running	       ? "there can be no new one while the VM runs" :
					 "it has LUN 0 only");
	return -EINVAL;
}

/* Give an opened disk its place. Return: 0 with @dc completed, or -errno with @why. */
static int attach_disk(struct vm *vm, struct kvmb_disk *d, struct disk_config *dc, bool running,
		  char *why, size_t size)
{
	u32 c = dc->controller < 0 ? 0 : (u32)dc->controller, lun;
	struct kvmb_unit_info i;
	bool made = !vm->scsi[c];
	int err;

	lun = dc->lun < 0 ? 0 : (u32)dc->lun;
	if (check_ide(vm, c, lun, running, why, size))
		return -EINVAL;
	err = need_controller(vm, c, false);
	while (!err && dc->lun < 0 && c < KVMB_STORAGE_IDE &&
	       kvmb_storage_unit(vm->scsi[c], lun, &i))
		lun++;
	if (!err)
		err = kvmb_storage_attach(vm->scsi[c], d, dc->spec.dvd, lun);
	if (err) {
		snprintf(why, size, "controller %u LUN %u is %s", c, lun, err == -EEXIST ? "taken" :
			 err == -EBUSY ? "still being removed; try again" : "beyond the last");
		return err;
	}
	dc->controller = (int)c;
	dc->lun = (int)lun;
	if (c >= KVMB_STORAGE_IDE)
		disks_ide_add(vm, vm->scsi[c], dc->spec.dvd, &events);
	if (d && d->rdev)
		uevent_watch_listen(vm->uevents);
	return made && running ? kvmb_storage_offer(vm->scsi[c], vm->bus) : 0;
}

/* A guest drives a CD on IDE as ATAPI. */
static bool is_offered(struct vm *vm, u32 c)
{
	struct kvmb_unit_info i;

	return c < KVMB_STORAGE_IDE || (kvmb_storage_unit(vm->scsi[c], 0, &i) && !i.dvd);
}

int disks_create(struct vm *vm)
{
	char why[KVMB_DISK_WHY];
	struct kvmb_disk *d;
	u32 i;
	int err;

	vm->disks = kvmb_xzalloc(sizeof(*vm->disks));
	/* also for controllers that come later, when no more can be made */
	vm->rings = kvmb_rings_create(
		KVMB_STORAGE_IDE * max_channels(vm) +
			(vm->cfg.machine.gen1 ? KVMB_STORAGE_MAX_CONTROLLERS - KVMB_STORAGE_IDE :
						0),
		vm->cfg.sandbox == SANDBOX_STRICT);
	if (!kvmb_rings_restricted(vm->rings) && vm->cfg.sandbox != SANDBOX_OFF) {
		vm->lacks |= CONFINE_NO_RING_LIMITS;
		kvmb_warn(vm->cfg.name,
			  "sandbox: this kernel cannot restrict an io_uring (Linux 5.10 can)%s",
			  kvmb_rings_error(vm->rings) ? ": disks use threads, which is slower" :
							"");
	}
	for (i = 0; i < vm->cfg.num_disks; i++) {
		struct disk_config *dc = &vm->cfg.disks[i];
		const char *name = dc->spec.path ? dc->spec.path : "empty";

		d = NULL;
		err = dc->spec.path ?
			      kvmb_disk_open(&dc->spec, &vm->names->disks[i], &d, why,
					     sizeof(why)) :
			      0;
		if (!err)
			err = attach_disk(vm, d, dc, false, why, sizeof(why));
		if (err) {
			kvmb_err(vm->cfg.name, "disk %s: %s", name, why);
			kvmb_disk_close(d);
			return err;
		}
	}
	for (i = 0; i < KVMB_STORAGE_MAX_CONTROLLERS; i++) {
		if (vm->scsi[i] && is_offered(vm, i))
			kvmb_storage_offer(vm->scsi[i], vm->bus);
	}
	return 0;
}

/* ---- what jobs do ---- */

static void run_open(struct disk_job *j)
{
	if (j->conf.spec.path)
		j->err = kvmb_disk_open(&j->conf.spec, &j->files, &j->disk, j->why, sizeof(j->why));
}

static void undo_open(struct disk_job *j)
{
	kvmb_disk_close(j->disk);
}

static void run_resize(struct disk_job *j)
{
	j->err = kvmb_disk_resize(j->disk, j->bytes, j->why, sizeof(j->why));
}

static void undo_resize(struct disk_job *j)
{
	j->vm->disks->resizing = NULL;
}

static void run_close(struct disk_job *j)
{
	kvmb_disk_close(j->disk);
}

static void disk_closed(struct disk_job *j)
{
	reply_result(j->reply, address(j->controller, j->lun));
}

static const struct disk_job_kind closing = { .run = run_close, .done = disk_closed };

static struct disk_job *new_job(struct vm *vm, const struct disk_job_kind *kind,
				struct ctl_reply reply)
{
	struct disk_job *j = disk_job_create(&vm->disks->jobs, vm->loop, kind, reply);

	j->vm = vm;
	return j;
}

/* A disk that nobody uses any more. Also a kvmb_storage_done. */
static void close_later(void *arg, struct kvmb_disk *d)
{
	struct disk_job *j;

	if (!d)
		return;
	j = new_job(arg, &closing, nobody);
	j->disk = d;
	disk_job_start(j);
}

/*
 * The unit or medium of a change has been let go of: close it. A kvmb_storage_done whose
 * argument is a closing job. The user is answered when the file is free again.
 */
static void let_go(void *arg, struct kvmb_disk *d)
{
	struct disk_job *j = arg;

	j->disk = d; /* NULL: the drive was empty; closing nothing is fine */
	disk_job_start(j);
}

static struct disk_job *closing_job(struct vm *vm, u32 c, u32 lun, struct ctl_reply reply)
{
	struct disk_job *j = new_job(vm, &closing, reply);

	j->controller = c;
	j->lun = lun;
	return j;
}

static void disk_added(struct disk_job *j)
{
	int err = attach_disk(j->vm, j->disk, &j->conf, true, j->why, sizeof(j->why));

	if (err) {
		reply_refused(j->reply, "failed", "disk %s: %s",
		       j->conf.spec.path ? j->conf.spec.path : "empty", j->why);
		close_later(j->vm, j->disk);
		return;
	}
	kvmb_info(j->vm->cfg.name, "disk %d:%d added: %s", j->conf.controller, j->conf.lun,
		  j->conf.spec.path ? j->conf.spec.path : "an empty drive");
	reply_result(j->reply, address((u32)j->conf.controller, (u32)j->conf.lun));
}

static void medium_inserted(struct disk_job *j)
{
	struct disk_job *old = closing_job(j->vm, j->controller, j->lun, j->reply);
	int err = set_medium(j->vm, j->controller, j->lun, j->disk, let_go, old);

	if (!err)
		return;
	disk_job_free(old);
	reply_refused(j->reply, "failed", "drive %u:%u %s", j->controller, j->lun,
		      err == -EBUSY ? "is being changed; try again" : "has been removed");
	close_later(j->vm, j->disk);
}

static void disk_resized(struct disk_job *j)
{
	struct kvmb_unit_info i;
	json_t *o;

	if (kvmb_storage_unit(j->vm->scsi[j->controller], j->lun, &i) && i.disk == j->disk)
		kvmb_storage_capacity_changed(j->vm->scsi[j->controller], j->lun);
	j->vm->disks->resizing = NULL;
	o = address(j->controller, j->lun);
	json_object_set_new(o, "size", json_integer((json_int_t)kvmb_disk_bytes(j->disk)));
	reply_result(j->reply, o);
}

static const struct disk_job_kind adding = { .run = run_open,
					     .done = disk_added,
					     .undo = undo_open };
static const struct disk_job_kind inserting = { .run = run_open,
						.done = medium_inserted,
						.undo = undo_open };
static const struct disk_job_kind resizing = { .run = run_resize,
					       .done = disk_resized,
					       .undo = undo_resize };

/*
 * A job may work on a disk, and the end of a controller may begin jobs, which close what it lets go
 * of.
 */
void disks_destroy(struct vm *vm)
{
	u32 c;

	if (!vm->disks)
		return;
	uevent_watch_destroy(vm->uevents);
	vm->uevents = NULL;
	disk_jobs_end(&vm->disks->jobs);
	disks_ide_end(vm);
	for (c = 0; c < KVMB_STORAGE_MAX_CONTROLLERS; c++) {
		kvmb_storage_destroy(vm->scsi[c]);
		vm->scsi[c] = NULL;
	}
	kvmb_rings_destroy(vm->rings);
	vm->rings = NULL;
	disk_jobs_end(&vm->disks->jobs);
	free(vm->disks);
	vm->disks = NULL;
}

/* ---- changes ---- */

static struct disk_job *open_job(struct vm *vm, const struct disk_job_kind *kind, const char *spec,
				 bool dvd, struct kvmb_disk_files *files, struct ctl_reply reply)
{
	struct disk_job *j = new_job(vm, kind, reply);

	j->files = *files;
	*files = (struct kvmb_disk_files){ 0 };
	j->text = strdup(spec);
	if (!j->text || opt_disk(j->text, dvd, &j->conf, j->why, sizeof(j->why))) {
		reply_refused(reply, "usage", "%s", j->text ? j->why : "no memory");
		disk_job_free(j);
		return NULL;
	}
	j->what = j->conf.spec.path;
	return j;
}

void disks_add(struct vm *vm, const char *spec, bool dvd, struct kvmb_disk_files *files,
	       struct ctl_reply reply)
{
	struct disk_job *j = open_job(vm, &adding, spec, dvd, files, reply);

	if (!j)
		return;
	note_change(vm, reply);
	disk_job_start(j);
}

static void remove_unit(struct vm *vm, u32 c, u32 lun, struct ctl_reply reply)
{
	kvmb_info(vm->cfg.name, "disk %u:%u removed", c, lun);
	kvmb_storage_detach(vm->scsi[c], lun, let_go, closing_job(vm, c, lun, reply));
}

static bool busy_resizing(struct vm *vm, const struct kvmb_unit_info *i, struct ctl_reply reply)
{
	if (!i->disk || vm->disks->resizing != i->disk)
		return false;
	reply_refused(reply, "state", "the disk is being resized; try again");
	return true;
}

void disks_remove(struct vm *vm, const char *disk, struct ctl_reply reply)
{
	struct kvmb_unit_info i;
	u32 c, lun;

	if (!need_unit(vm, disk, &c, &lun, &i, reply) || busy_resizing(vm, &i, reply))
		return;
	if (c >= KVMB_STORAGE_IDE) {
		reply_refused(reply, "state",
			      "disk %u:%u is on IDE, and stays as long as the VM runs%s", c, lun,
			      i.dvd ? "; its medium can be ejected" : "");
		return;
	}
	note_change(vm, reply);
	remove_unit(vm, c, lun, reply);
}

static void resize_unit(struct vm *vm, u32 c, u32 lun, struct kvmb_disk *d, u64 bytes,
			struct ctl_reply reply)
{
	struct disk_job *j = new_job(vm, &resizing, reply);

	j->controller = c;
	j->lun = lun;
	j->disk = d;
	j->bytes = bytes;
	j->what = d->path;
	vm->disks->resizing = d; /* it must not be removed meanwhile */
	disk_job_start(j);
}

void disks_resize(struct vm *vm, const char *disk, u64 bytes, struct ctl_reply reply)
{
	struct kvmb_unit_info i;
	u32 c, lun;

	if (!need_unit(vm, disk, &c, &lun, &i, reply))
		return;
	if (i.dvd)
		reply_refused(reply, "state", "cannot resize a DVD");
	else if (vm->disks->resizing)
		reply_refused(reply, "state", "another disk is being resized; try again");
	else
		resize_unit(vm, c, lun, i.disk, bytes, reply);
}

static bool need_drive(struct vm *vm, const char *disk, u32 *c, u32 *lun, struct kvmb_unit_info *i,
		       struct ctl_reply reply)
{
	if (!need_unit(vm, disk, c, lun, i, reply))
		return false;
	if (!i->dvd)
		reply_refused(reply, "state",
			      "disk %u:%u is not a DVD drive; try: kvmbus disk %s remove", *c, *lun,
			      vm->cfg.name);
	return i->dvd;
}

static void ask_eject(struct vm *vm, u32 c, u32 lun)
{
	if (c < KVMB_STORAGE_IDE)
		kvmb_storage_ask_eject(vm->scsi[c], lun);
	else
		disks_ide_ask_eject(vm, vm->scsi[c]);
}

static void take_medium_out(struct vm *vm, u32 c, u32 lun, struct ctl_reply reply)
{
	struct disk_job *j = closing_job(vm, c, lun, reply);

	if (!set_medium(vm, c, lun, NULL, let_go, j))
		return;
	disk_job_free(j);
	reply_refused(reply, "state", "drive %u:%u is being changed; try again", c, lun);
}

void disks_eject(struct vm *vm, const char *disk, bool force, struct ctl_reply reply)
{
	struct kvmb_unit_info i;
	u32 c, lun;

	if (!need_drive(vm, disk, &c, &lun, &i, reply))
		return;
	if (disks_tray_locked(vm, c, &i) && !force) {
		ask_eject(vm, c, lun);
		reply_refused(
			reply, "state",
			"the guest has locked drive %u:%u and was asked to release it; or use "
			"--force",
			c, lun);
		return;
	}
	note_change(vm, reply);
	take_medium_out(vm, c, lun, reply);
}

void disks_insert(struct vm *vm, const char *disk, const char *spec, struct kvmb_disk_files *files,
		  struct ctl_reply reply)
{
	struct kvmb_unit_info i;
	struct disk_job *j;
	u32 c, lun;

	if (!need_drive(vm, disk, &c, &lun, &i, reply))
		return;
	if (disks_tray_locked(vm, c, &i)) {
		reply_refused(reply, "state",
			      "the guest has locked drive %u:%u; try: kvmbus disk %s eject %u:%u",
			      c, lun, vm->cfg.name, c, lun);
		return;
	}
	j = open_job(vm, &inserting, spec, true, files, reply);
	if (!j)
		return;
	note_change(vm, reply);
	j->controller = c;
	j->lun = lun;
	disk_job_start(j);
}

void disks_limit(struct vm *vm, const char *disk, s64 iops, s64 bps, struct ctl_reply reply)
{
	struct kvmb_unit_info i;
	u32 c, lun;

	if (!need_unit(vm, disk, &c, &lun, &i, reply))
		return;
	if (!i.disk) {
		reply_refused(reply, "state", "drive %u:%u is empty", c, lun);
		return;
	}
	note_change(vm, reply);
	kvmb_storage_set_limits(vm->scsi[c], lun, iops, bps);
	if (c >= KVMB_STORAGE_IDE)
		disks_ide_retry(vm);
	reply_result(reply, address(c, lun));
}

bool disks_busy(const struct vm *vm)
{
	return vm->disks->jobs;
}

void disks_retry(struct vm *vm)
{
	u32 c;

	for (c = 0; c < KVMB_STORAGE_MAX_CONTROLLERS; c++) {
		if (vm->scsi[c])
			kvmb_storage_retry(vm->scsi[c]);
	}
	disks_ide_retry(vm);
}

/* ---- devices of the host ---- */

/* A file's rdev is 0, and so is the number in an event that is about no device node. */
static bool is_on(const struct kvmb_disk *d, dev_t dev)
{
	return d && dev && d->rdev == dev;
}

void disks_device_gone(void *arg, dev_t dev)
{
	struct vm *vm = arg;
	struct kvmb_unit_info i;
	u32 c, lun;

	for_each_unit(vm, c, lun, &i) {
		if (!is_on(i.disk, dev) || vm->disks->resizing == i.disk)
			continue;
		if (vm->backup && !i.dvd) { /* whose thread reads it */
			kvmb_warn(vm->cfg.name,
				  "disk %u:%u (%s): the device has vanished during a backup; "
				  "remove it by kvmbus disk",
				  c, lun, i.disk->path);
			continue;
		}
		kvmb_warn(vm->cfg.name,
			  "disk %u:%u (%s): the device has vanished; removed from the guest", c,
			  lun, i.disk->path);
		vm->changed = "a disk's device has vanished";
		if (i.dvd)
			set_medium(vm, c, lun, NULL, close_later, vm);
		else if (c >= KVMB_STORAGE_IDE)
			continue; /* it stays, and each request fails */
		else
			remove_unit(vm, c, lun, nobody);
	}
}

void disks_device_changed(void *arg, dev_t dev)
{
	struct vm *vm = arg;
	struct kvmb_unit_info i;
	u32 c, lun;

	for_each_unit(vm, c, lun, &i) {
		if (is_on(i.disk, dev) && !i.dvd && !vm->disks->resizing)
			resize_unit(vm, c, lun, i.disk, 0, nobody);
	}
}
