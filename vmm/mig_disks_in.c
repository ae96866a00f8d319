// SPDX-License-Identifier: GPL-2.0-only
/* The content of disks that comes with a VM: mig_disks_in.h. */
#include "vmm/mig_disks_in.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/tlv.h"
#include "lib/util.h"
#include "vmm/disks_priv.h"
#include "vmm/mig_disks.h"

#define PAGE 4096u		  /* whatever direct I/O wants */
#define FLUSH_BYTES (64ull << 20) /* that a disk has to write in the end, at most */

/* ---- a disk that is not raw ---- */

struct request {
	struct kvmb_disk_req req;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
};

static void on_done(struct kvmb_disk_req *req)
{
	struct request *r = container_of(req, struct request, req);

	pthread_mutex_lock(&r->lock);
	r->done = true;
	pthread_cond_signal(&r->cond);
	pthread_mutex_unlock(&r->lock);
}

/* A daemon that does not answer is killed before long, and then fails. */
static int do_request(struct kvmb_disk *d, enum kvmb_io io, u64 at, void *buf, u64 len)
{
	struct iovec iov = { buf, len };
	struct request r = { .req = { .io = io,
				      .offset = at,
				      .length = len,
				      .iov = &iov,
				      .num_iov = 1,
				      .done = on_done },
			     .lock = PTHREAD_MUTEX_INITIALIZER,
			     .cond = PTHREAD_COND_INITIALIZER };

	d->ops->submit(d, &r.req);
	pthread_mutex_lock(&r.lock);
	while (!r.done)
		pthread_cond_wait(&r.cond, &r.lock);
	pthread_mutex_unlock(&r.lock);
	return r.req.result;
}

/* ---- any disk ---- */

static int write_raw(const struct kvmb_disk *d, u64 at, const u8 *buf, size_t len)
{
	ssize_t n;

	for (; len; at += (u64)n, buf += n, len -= (size_t)n) {
		n = pwrite(d->fd, buf, len, (off_t)at);
		if (n < 0 && errno == EINTR)
			n = 0;
		if (n < 0)
			return -errno;
	}
	return 0;
}

static int write_data(struct mig_disks_in *in, struct kvmb_disk *d, u64 at, const void *data,
		      size_t len)
{
	memcpy(in->buf, data, len);
	return kvmb_disk_is_raw(d) ? write_raw(d, at, in->buf, len) :
				     do_request(d, KVMB_IO_WRITE, at, in->buf, len);
}

static int write_zeroes(struct mig_disks_in *in, struct kvmb_disk *d, u64 at, u64 len)
{
	u64 n;
	int err = -EOPNOTSUPP;

	if (kvmb_disk_is_raw(d) && d->can_zero)
		err = fallocate(d->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at,
				(off_t)len) ?
			      -errno :
			      0;
	else if (!kvmb_disk_is_raw(d) && d->can_zero)
		err = do_request(d, KVMB_IO_ZERO, at, NULL, len);
	if (err != -EOPNOTSUPP)
		return err;
	memset(in->buf, 0, MIG_CHUNK);
	for (err = 0; len && !err; at += n, len -= n) {
		n = KVMB_MIN(len, (u64)MIG_CHUNK);
		err = kvmb_disk_is_raw(d) ? write_raw(d, at, in->buf, n) :
					    do_request(d, KVMB_IO_WRITE, at, in->buf, n);
	}
	return err;
}

static int flush(struct kvmb_disk *d)
{
	if (!kvmb_disk_is_raw(d))
		return do_request(d, KVMB_IO_FLUSH, 0, NULL, 0);
	return fdatasync(d->fd) ? -errno : 0;
}

static int note_error(const struct kvmb_disk *d, int err, char *why)
{
	if (err)
		snprintf(why, MIG_WHY, "disk %.100s cannot be written: %s", d->path,
			 strerror(-err));
	return err;
}

static int flush_all(struct mig_disks_in *in, struct vm *vm, char *why)
{
	struct kvmb_unit_info i;
	u32 c, lun;
	int err;

	in->unflushed = 0;
	for_each_unit(vm, c, lun, &i) {
		err = i.disk && i.disk->copied ? note_error(i.disk, flush(i.disk), why) : 0;
		if (err)
			return err;
	}
	return 0;
}

/* ---- sections ---- */

static struct kvmb_disk *find_copy(struct vm *vm, u32 controller, u32 lun)
{
	struct kvmb_unit_info i;
	u32 c, l;

	for_each_unit(vm, c, l, &i) {
		if (c == controller && l == lun)
			return i.disk && i.disk->copied && !i.disk->read_only ? i.disk : NULL;
	}
	return NULL;
}

/* It may be larger than was promised: some formats have sizes of their own. */
static void note_complete(struct mig_disks_in *in, const struct kvmb_disk *d, u32 c, u32 lun,
			  struct kvmb_tlv *t)
{
	u64 bytes = kvmb_tlv_get(t, MIG_DISK_ALL, UINT64_MAX);

	if (bytes > kvmb_disk_bytes(d))
		kvmb_tlv_refuse(t, MIG_DISK_ALL, "the disk has grown since; try again");
	else if (in->said[c] >> lun & 1)
		kvmb_tlv_refuse(t, MIG_DISK_ALL, "it was complete before");
	if (kvmb_tlv_done(t))
		return;
	in->said[c] |= 1ull << lun;
}

static int write_section(struct mig_disks_in *in, struct vm *vm, struct kvmb_disk *d,
			 struct kvmb_tlv *t, char *why)
{
	u64 at = kvmb_tlv_get(t, MIG_DISK_OFFSET, UINT64_MAX), len = 0, end = kvmb_disk_bytes(d);
	const void *data = NULL;
	size_t bytes = 0;
	int err;

	if (kvmb_tlv_has(t, MIG_DISK_ZERO)) {
		len = kvmb_tlv_get(t, MIG_DISK_ZERO, MIG_CHUNK);
	} else {
		data = kvmb_tlv_get_bytes(t, MIG_DISK_DATA, &bytes);
		len = bytes;
	}
	if (!len || len > MIG_CHUNK || len > end || at > end - len || at % d->block ||
	    len % d->block)
		kvmb_tlv_refuse(t, MIG_DISK_OFFSET, "what the disk does not have");
	err = kvmb_tlv_done(t);
	if (err)
		return err;
	err = data ? write_data(in, d, at, data, len) : write_zeroes(in, d, at, len);
	in->unflushed += len;
	if (err)
		return note_error(d, err, why);
	return in->unflushed < FLUSH_BYTES ? 0 : flush_all(in, vm, why);
}

int mig_disks_in_take(struct mig_disks_in *in, struct vm *vm, struct kvmb_tlv *t, char *why)
{
	u32 c = (u32)kvmb_tlv_get(t, MIG_DISK_CONTROLLER, KVMB_STORAGE_MAX_CONTROLLERS - 1);
	u32 lun = (u32)kvmb_tlv_get(t, MIG_DISK_LUN, KVMB_STORAGE_MAX_LUNS - 1);
	struct kvmb_disk *d = find_copy(vm, c, lun);

	if (!in->buf)
		in->buf = aligned_alloc(PAGE, MIG_CHUNK);
	if (!in->buf)
		return -ENOMEM;
	if (!d)
		kvmb_tlv_refuse(t, MIG_DISK_LUN, "no disk that is copied");
	else if (in->said[c] >> lun & 1)
		kvmb_tlv_refuse(t, MIG_DISK_LUN, "it was complete before");
	else if (!kvmb_tlv_has(t, MIG_DISK_ALL))
		return write_section(in, vm, d, t, why);
	else
		note_complete(in, d, c, lun, t);
	return kvmb_tlv_done(t);
}

int mig_disks_in_finish(struct mig_disks_in *in, struct vm *vm, char *why)
{
	struct kvmb_unit_info i;
	u32 c, lun;

	for_each_unit(vm, c, lun, &i) {
		if (!i.disk || !i.disk->copied || in->said[c] >> lun & 1)
			continue;
		snprintf(why, MIG_WHY, "disk %.100s did not come; is kvmbus older there?",
			 i.disk->path);
		return -EPROTO;
	}
	return flush_all(in, vm, why);
}

void mig_disks_in_settle(struct vm *vm)
{
	struct kvmb_unit_info i;
	u32 c, lun;

	for_each_unit(vm, c, lun, &i) {
		if (i.disk)
			i.disk->copied = false;
	}
}

void mig_disks_in_fini(struct mig_disks_in *in)
{
	free(in->buf);
	in->buf = NULL;
}
