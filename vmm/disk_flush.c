// SPDX-License-Identifier: GPL-2.0-only
/* Flushing all disks of a VM: disk_flush.h. */
#include "vmm/disk_flush.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "lib/util.h"
#include "vmm/disks_priv.h"

struct unit {
	struct disk_flush *all;
	struct kvmb_disk *of;	/* may be closed by now */
	struct kvmb_disk *disk; /* not raw, else NULL */
	int fd;			/* raw: ours; -1 = none */
	int err;
	int owed;	/* -errno of a flush before, which the guest has not heard of */
	char name[100]; /* of its image */
	struct kvmb_disk_req req;
};

struct disk_flush {
	bool cancelled; /* atomic */
	bool lets_go;	/* images are closed, too */
	pthread_mutex_t lock;
	pthread_cond_t cond;
	u32 left; /* requests at disks; under the lock */
	u32 num;
	struct unit units[];
};

static void on_flushed(struct kvmb_disk_req *r)
{
	struct unit *u = container_of(r, struct unit, req);
	struct disk_flush *f = u->all;

	pthread_mutex_lock(&f->lock);
	u->err = KVMB_MIN(r->result, 0);
	f->left--;
	pthread_cond_signal(&f->cond);
	pthread_mutex_unlock(&f->lock);
}

static void begin_unit(struct disk_flush *f, struct kvmb_disk *d)
{
	struct unit *u = &f->units[f->num++];

	u->all = f;
	u->of = d;
	u->owed = kvmb_disk_owes(d);
	u->fd = -1;
	snprintf(u->name, sizeof(u->name), "%.99s", d->path);
	if (kvmb_disk_is_raw(d)) {
		u->fd = fcntl(d->fd, F_DUPFD_CLOEXEC, 0);
		u->err = u->fd < 0 ? -errno : 0;
		return;
	}
	u->disk = d;
	u->req = (struct kvmb_disk_req){ .io = KVMB_IO_FLUSH, .done = on_flushed };
	pthread_mutex_lock(&f->lock);
	f->left++;
	pthread_mutex_unlock(&f->lock);
	d->ops->submit(d, &u->req);
}

/* Of one that is copied nobody reads what is here; its daemon serves who copies. */
static bool can_be_dirty(const struct kvmb_unit_info *i)
{
	return i->disk && !i->disk->read_only && !i->disk->copied;
}

struct disk_flush *disk_flush_begin(struct vm *vm)
{
	struct kvmb_unit_info i;
	struct disk_flush *f;
	u32 c, lun, num = 0;

	for_each_unit(vm, c, lun, &i)
		num += can_be_dirty(&i);
	f = kvmb_xzalloc(sizeof(*f) + num * sizeof(f->units[0]));
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->cond, NULL);
	for_each_unit(vm, c, lun, &i) {
		if (can_be_dirty(&i))
			begin_unit(f, i.disk);
	}
	return f;
}

void disk_flush_let_go(struct disk_flush *f)
{
	u32 i;

	f->lets_go = true;
	for (i = 0; i < f->num; i++) {
		if (f->units[i].disk)
			kvmb_disk_let_go(f->units[i].disk);
	}
}

void disk_flush_cancel(struct disk_flush *f)
{
	u32 i;

	__atomic_store_n(&f->cancelled, true, __ATOMIC_RELEASE);
	for (i = 0; i < f->num; i++) {
		if (f->units[i].disk)
			f->units[i].disk->ops->cancel(f->units[i].disk, &f->units[i].req);
	}
}

static void sync_file(struct disk_flush *f, struct unit *u)
{
	if (u->fd < 0)
		return;
	if (__atomic_load_n(&f->cancelled, __ATOMIC_ACQUIRE))
		u->err = -ECANCELED;
	else if (fdatasync(u->fd))
		u->err = -errno;
	close(u->fd);
}

/* They close at the same time. An image that was not flushed is not waited for. */
static int await_gone(struct disk_flush *f, char *why)
{
	char text[KVMB_DISK_WHY];
	int err = 0;
	u32 i;

	for (i = 0; i < f->num && !err; i++) {
		if (f->units[i].disk)
			err = kvmb_disk_gone(f->units[i].disk, text, sizeof(text));
		if (err)
			snprintf(why, STATE_FILE_WHY, "disk %s: %.90s", f->units[i].name, text);
	}
	return err;
}

int disk_flush_end(struct disk_flush *f, char *why)
{
	int err = 0;
	u32 i;

	for (i = 0; i < f->num; i++)
		sync_file(f, &f->units[i]);
	pthread_mutex_lock(&f->lock);
	while (f->left)
		pthread_cond_wait(&f->cond, &f->lock);
	pthread_mutex_unlock(&f->lock);
	for (i = 0; i < f->num && !err; i++) {
		err = f->units[i].err ? f->units[i].err : f->units[i].owed;
		if (err && err != -ECANCELED) /* who cancels knows why */
			snprintf(why, STATE_FILE_WHY, "disk %s: cannot be flushed: %s",
				 f->units[i].name, strerror(-err));
	}
	if (!err && f->lets_go)
		err = await_gone(f, why);
	return err;
}

static void pass_error(struct vm *vm, const struct unit *u)
{
	struct kvmb_unit_info i;
	u32 c, lun;

	if (!u->err || u->err == -ECANCELED)
		return;
	for_each_unit(vm, c, lun, &i) {
		if (i.disk == u->of)
			kvmb_disk_owe(i.disk, u->err);
	}
}

void disk_flush_free(struct vm *vm, struct disk_flush *f)
{
	u32 i;

	if (!f)
		return;
	for (i = 0; i < f->num; i++)
		pass_error(vm, &f->units[i]);
	pthread_mutex_destroy(&f->lock);
	pthread_cond_destroy(&f->cond);
	free(f);
}
