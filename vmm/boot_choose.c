// SPDX-License-Identifier: GPL-2.0-only
/* Choosing a VM's firmware: boot_choose.h. */
#include "vmm/boot_choose.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend/block/disk.h"
#include "lib/log.h"
#include "lib/util.h"
#include "machine/gen1.h"
#include "vmm/boot_find.h"
#include "vmm/disks_ide.h"

/* ---- reading a disk ---- */

struct one_read {
	struct kvmb_disk_req req;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
};

static void read_done(struct kvmb_disk_req *r)
{
	struct one_read *o = container_of(r, struct one_read, req);

	pthread_mutex_lock(&o->lock);
	o->done = true;
	pthread_cond_signal(&o->cond);
	pthread_mutex_unlock(&o->lock);
}

/* The disk answers, or gives up, within its own timeout. */
static bool read_by_request(struct kvmb_disk *d, u64 offset, void *buf, u32 len)
{
	struct iovec iov = { buf, len };
	struct one_read o = { .req = { .io = KVMB_IO_READ,
				       .offset = offset,
				       .length = len,
				       .iov = &iov,
				       .num_iov = 1,
				       .done = read_done },
			      .lock = PTHREAD_MUTEX_INITIALIZER,
			      .cond = PTHREAD_COND_INITIALIZER };

	d->ops->submit(d, &o.req);
	pthread_mutex_lock(&o.lock);
	while (!o.done)
		pthread_cond_wait(&o.cond, &o.lock);
	pthread_mutex_unlock(&o.lock);
	return !o.req.result;
}

static bool read_disk(void *arg, u64 offset, void *buf, u32 len)
{
	struct kvmb_disk *d = arg;
	u64 bytes = kvmb_disk_bytes(d);
	u32 there = (u32)KVMB_MIN(len, bytes - KVMB_MIN(bytes, offset));

	memset(buf, 0, len);
	if (!there)
		return false;
	if (!kvmb_disk_is_raw(d))
		return read_by_request(d, offset, buf, there);
	return pread(d->fd, buf, len, (off_t)offset) >= (ssize_t)there;
}

static enum boot_kind ask_disk(struct kvmb_disk *d, bool dvd)
{
	struct boot_source s = { .read = read_disk, .arg = d, .cd = dvd };

	return d && !d->away ? boot_find(&s) : BOOT_NONE;
}

/* ---- choosing ---- */

int boot_choose(struct vm *vm)
{
	enum boot_kind kind = BOOT_NONE;
	struct kvmb_disk *d = NULL;
	bool dvd;
	const struct vm_config *c = &vm->cfg;
	u32 i;

	if (!c->machine.gen1 || c->machine.firmware || c->state || c->incoming || c->handed)
		return 0;
	for (i = 0; kind == BOOT_NONE && disks_ide_drive(vm, i, &d, &dvd); i++)
		kind = ask_disk(d, dvd);
	if (kind == BOOT_UEFI && gen1_use_uefi(vm->machine.gen1)) {
		kvmb_warn(c->name,
			  "%s wants UEFI firmware, which is not installed (package ovmf); "
			  "it is started by a BIOS",
			  d->path);
	} else if (kind == BOOT_UEFI) {
		kvmb_info(c->name, "%s wants UEFI firmware, and gets it", d->path);
	}
	return 0;
}
