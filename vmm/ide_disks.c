// SPDX-License-Identifier: GPL-2.0-only
/* Requests of IDE drives to their disks. Theory: ide_disks.h. */
#include "vmm/ide_disks.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "backend/block/disk.h"
#include "backend/block/disk_dirty.h"
#include "backend/block/disk_point.h"
#include "backend/iov.h"
#include "host-vsp/tuner.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/thread.h"
#include "lib/util.h"
#include "machine/dev/ide.h"

#define MAX_IOVS 1024u
#define RETRY_NS 10000000ull   /* the kernel does not take it now */
#define MAX_WAIT_MS 1000000ull /* then the limit is asked again */
#define STACK_SIZE (128 * 1024)

/* for the loop's thread */
#define NEWS_WAIT 1u
#define NEWS_STOPPED 2u
#define NEWS_EJECTED 4u

struct ide_unit {
	struct ide_disks *all; /* NULL = no such drive */
	u32 drive;
	struct kvmb_disk *disk; /* atomic; changes while the drive is stopped */
	bool locked;		/* atomic */

	/* the request; of whoever has it: who submits, then the disk's thread */
	struct ide_io *io;
	struct kvmb_disk_req req;
	struct iovec iov[MAX_IOVS]; /* what is left of it */
	u64 offset, length, done;   /* bytes at the disk: @done of @length at @offset are moved */
	const struct iovec *from;   /* from[num_from]: all of it */
	int num_from;
	u8 *bounce;	  /* bounce[length]; NULL = guest memory itself */
	struct iovec one; /* the bounce buffer */
	bool owed;	  /* kvmb_disk_take_owed() gave its error */
	bool filling;	  /* bounce is read, and then written with the guest's data */
	bool cancelled;	  /* atomic */

	/* a request that waits for the disk's limit; who submits */
	bool charged;
	bool forget; /* atomic: the limit was changed */
	u64 paid, due_ns;
	struct kvmb_throttle_cost cost;

	/* the loop's thread */
	struct kvmb_work work;
	struct kvmb_timer timer;
	u32 news;	 /* atomic: NEWS_* */
	int stopped_err; /* atomic */
	u64 wait_ns;	 /* atomic */

	/* the thread */
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t cond;
	bool work_to_do, quit;
};

struct ide_disks {
	struct ide *ide;
	const char *name;
	struct kvmb_loop *loop;
	const struct ide_disk_events *events;
	void *arg;
	struct ide_unit units[IDE_DRIVES];
};

static struct kvmb_disk *disk_of(const struct ide_unit *u)
{
	return __atomic_load_n(&u->disk, __ATOMIC_ACQUIRE);
}

/* ---- the end of a request ---- */

/* The disk's thread, or who submits; touch @u no more. */
static void end_request(struct ide_unit *u, int err)
{
	struct ide_io *io = u->io;

	free(u->bounce);
	u->bounce = NULL;
	u->io = NULL;
	io->done(io, err);
}

static void tell_loop(struct ide_unit *u, u32 news)
{
	__atomic_fetch_or(&u->news, news, __ATOMIC_RELEASE);
	kvmb_loop_post(u->all->loop, &u->work);
}

/*
 * The loop's thread hears of it first: after the end of the request, all this may be gone. If that
 * thread is quicker, ide_retry() counts for the -EAGAIN that comes.
 */
static void try_later(struct ide_unit *u, u64 ns)
{
	__atomic_store_n(&u->wait_ns, ns, __ATOMIC_RELAXED);
	tell_loop(u, NEWS_WAIT);
	end_request(u, -EAGAIN);
}

static enum kvmb_io kind_of_piece(const struct ide_unit *u)
{
	if (u->filling || u->io->op == IDE_READ)
		return KVMB_IO_READ;
	return u->io->op == IDE_WRITE ? KVMB_IO_WRITE : KVMB_IO_FLUSH;
}

static void fail_request(struct ide_unit *u, const struct kvmb_disk *d, int err)
{
	static const char *const names[] = { "read", "write", "flush" };
	bool stop = kvmb_disk_holds_back(d, kind_of_piece(u), u->owed, err);

	kvmb_warn_ratelimited(u->all->name, "IDE drive %u (%s): %s at %llu failed: %s%s", u->drive,
			      d->path, names[u->io->op], (unsigned long long)(u->offset + u->done),
			      strerror(-err), stop ? "; held back" : "");
	if (stop) {
		__atomic_store_n(&u->stopped_err, err, __ATOMIC_RELAXED);
		tell_loop(u, NEWS_STOPPED);
	}
	end_request(u, stop ? -EAGAIN : err);
}

/* ---- to the disk ---- */

static void unit_done(struct kvmb_disk_req *r);

static void hand_to_thread(struct ide_unit *u)
{
	pthread_mutex_lock(&u->lock);
	u->work_to_do = true;
	pthread_cond_signal(&u->cond);
	pthread_mutex_unlock(&u->lock);
}

/*
 * What is left of it. A raw disk may be gone on return, unless the drive is being pumped; any other
 * one is there, for this is its thread, or the drive is pumped.
 */
static void send_rest(struct ide_unit *u, struct kvmb_disk *d)
{
	u64 left = u->length - u->done;

	u->req = (struct kvmb_disk_req){
		.io = kind_of_piece(u),
		.fua = !u->filling && u->io->fua,
		.offset = u->offset + u->done,
		.length = left,
		.iov = u->iov,
		.num_iov = kvmb_iov_slice(u->from, u->num_from, u->done, (u32)left, u->iov),
		.done = unit_done,
	};
	if (kvmb_disk_is_raw(d)) {
		hand_to_thread(u);
		return;
	}
	d->ops->submit(d, &u->req);
	if (__atomic_load_n(&u->cancelled, __ATOMIC_ACQUIRE))
		d->ops->cancel(d, &u->req); /* it came before the request was there */
}

/* A block was read of which the guest writes a part. */
static void write_filled(struct ide_unit *u, struct kvmb_disk *d)
{
	const struct ide_io *io = u->io;

	u->filling = false;
	u->done = 0;
	kvmb_iov_read(io->iov, io->num_iov, 0, u->bounce + (io->offset - u->offset),
		      (u32)io->length);
	send_rest(u, d);
}

static void request_moved(struct ide_unit *u, struct kvmb_disk *d, u64 bytes)
{
	const struct ide_io *io = u->io;

	u->done += bytes;
	if (__atomic_load_n(&u->cancelled, __ATOMIC_ACQUIRE) &&
	    (u->done < u->length || u->filling)) {
		end_request(u, -ECANCELED);
	} else if (u->done < u->length) {
		send_rest(u, d);
	} else if (u->filling) {
		write_filled(u, d);
	} else {
		if (io->op == IDE_READ && u->bounce)
			kvmb_iov_write(io->iov, io->num_iov, u->bounce + (io->offset - u->offset),
				       (u32)io->length);
		end_request(u, 0);
	}
}

/* The disk's thread. */
static void unit_done(struct kvmb_disk_req *r)
{
	struct ide_unit *u = container_of(r, struct ide_unit, req);
	struct kvmb_disk *d = disk_of(u);
	int res = r->result;

	if (r->io == KVMB_IO_WRITE) /* whatever came of it: disk_dirty.h */
		kvmb_disk_dirty(d, r->offset, r->length);
	u->owed = false;
	if (r->io == KVMB_IO_FLUSH && !res) {
		res = kvmb_disk_take_owed(d);
		u->owed = res;
	}
	if (res == -EINTR || res == -EAGAIN)
		try_later(u, RETRY_NS);
	else if (res == -ECANCELED)
		end_request(u, res);
	else if (res < 0)
		fail_request(u, d, res);
	else
		request_moved(u, d, res ? (u64)res : r->length);
}

/* ---- the drive's thread ---- */

/* Return: bytes moved, 0 of a flush, or -errno. */
static int do_raw(const struct kvmb_disk *d, const struct kvmb_disk_req *r)
{
	ssize_t n;

	if (r->io == KVMB_IO_READ)
		n = preadv2(d->fd, r->iov, r->num_iov, (off_t)r->offset, 0);
	else if (r->io == KVMB_IO_WRITE)
		n = pwritev2(d->fd, r->iov, r->num_iov, (off_t)r->offset, r->fua ? RWF_DSYNC : 0);
	else
		return fdatasync(d->fd) ? -errno : 0;
	if (n < 0)
		return -errno;
	return n ? (int)n : -EIO; /* the file became shorter */
}

static void *unit_main(void *arg)
{
	struct ide_unit *u = arg;
	char name[16];

	snprintf(name, sizeof(name), "ide%u", u->drive);
	kvmb_thread_enter(KVMB_THREAD_STORAGE, name);
	pthread_mutex_lock(&u->lock);
	for (;;) {
		while (!u->work_to_do && !u->quit)
			pthread_cond_wait(&u->cond, &u->lock);
		if (!u->work_to_do)
			break;
		u->work_to_do = false;
		pthread_mutex_unlock(&u->lock);
		u->req.result = do_raw(disk_of(u), &u->req);
		unit_done(&u->req);
		pthread_mutex_lock(&u->lock);
	}
	pthread_mutex_unlock(&u->lock);
	return NULL;
}

static int start_unit_thread(struct ide_unit *u)
{
	pthread_attr_t attr;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	err = -pthread_create(&u->thread, &attr, unit_main, u);
	pthread_attr_destroy(&attr);
	u->has_thread = !err;
	return err;
}

/* ---- limits ---- */

/* Return: ns that the request must wait. */
static u64 limit_wait(struct ide_unit *u, struct kvmb_disk *d, const struct ide_io *io)
{
	u64 now, wait;

	if (__atomic_exchange_n(&u->forget, false, __ATOMIC_ACQ_REL) ||
	    !kvmb_throttle_on(&d->throttle))
		u->charged = false;
	if (!kvmb_throttle_on(&d->throttle))
		return 0;
	now = kvmb_mono_ns();
	if (u->charged && io->length <= u->paid && now >= u->due_ns) {
		u->charged = false;
		return 0;
	}
	if (u->charged && io->length == u->paid)
		return u->due_ns - now;
	if (u->charged && now < u->due_ns)
		kvmb_throttle_give_back(&d->throttle, &u->cost);
	wait = kvmb_throttle_charge(&d->throttle, io->length, now, &u->cost);
	u->charged = wait;
	u->paid = io->length;
	u->due_ns = now + wait;
	return wait;
}

/* ---- what the disk wants ---- */

/* Bytes of which offset and length must be multiples. */
static u32 unit_of(const struct kvmb_disk *d)
{
	u32 unit = KVMB_MAX(d->block, IDE_SECTOR);

	if (d->block == KVMB_DVD_BLOCK)
		unit = IDE_SECTOR;
	return d->direct ? KVMB_MAX(unit, d->direct_unit) : unit;
}

/* As Linux wants it for direct I/O: each piece of it. */
static bool memory_aligned(const struct kvmb_disk *d, const struct ide_io *io)
{
	u32 unit = KVMB_MAX(IDE_SECTOR, d->direct_unit);
	int i;

	for (i = 0; i < io->num_iov; i++) {
		if (((uintptr_t)io->iov[i].iov_base | io->iov[i].iov_len) & (unit - 1))
			return false;
	}
	return true;
}

static bool make_bounce(struct ide_unit *u, u32 unit)
{
	const struct ide_io *io = u->io;

	u->offset = io->offset / unit * unit;
	u->length = KVMB_ALIGN_UP(io->offset + io->length, (u64)unit) - u->offset;
	u->bounce = aligned_alloc(4096, KVMB_ALIGN_UP(u->length, 4096u));
	if (!u->bounce)
		return false;
	u->one = (struct iovec){ u->bounce, u->length };
	u->from = &u->one;
	u->num_from = 1;
	if (io->op == IDE_WRITE && u->length == io->length)
		kvmb_iov_read(io->iov, io->num_iov, 0, u->bounce, (u32)io->length);
	else
		u->filling = io->op == IDE_WRITE;
	return true;
}

/* Return: false without memory. */
static bool prepare_request(struct ide_unit *u, const struct kvmb_disk *d)
{
	const struct ide_io *io = u->io;
	u32 unit = unit_of(d);

	u->offset = io->offset;
	u->length = io->length;
	u->done = 0;
	u->from = io->iov;
	u->num_from = io->num_iov;
	u->filling = false;
	if (io->op == IDE_FLUSH ||
	    (!((io->offset | io->length) % unit) && (!d->direct || memory_aligned(d, io))))
		return true;
	return make_bounce(u, unit);
}

/* ---- operations of the drive ---- */

static void unit_submit(void *arg, struct ide_io *io)
{
	struct ide_unit *u = arg;
	struct kvmb_disk *d = disk_of(u);
	u64 wait;

	__atomic_store_n(&u->cancelled, false, __ATOMIC_RELEASE);
	u->io = io;
	kvmb_assert(!d || kvmb_disk_is_on(d, KVMB_PATH_EMULATED));
	if (!d) {
		end_request(u, -ENOMEDIUM);
		return;
	}
	wait = limit_wait(u, d, io);
	/* no point begins while a request is under way, so that pieces of it need not ask */
	if (!wait && io->op == IDE_WRITE && !kvmb_disk_may_write(d, io->offset, io->length))
		wait = KVMB_POINT_RETRY_NS;
	if (!wait && !prepare_request(u, d))
		wait = RETRY_NS;
	if (wait) {
		try_later(u, wait);
		return;
	}
	send_rest(u, d);
}

/* What the drive's thread has is at the kernel: only its end ends it. */
static void unit_cancel(void *arg, struct ide_io *io)
{
	struct ide_unit *u = arg;
	struct kvmb_disk *d = disk_of(u);

	(void)io;
	__atomic_store_n(&u->cancelled, true, __ATOMIC_RELEASE);
	if (d && !kvmb_disk_is_raw(d))
		d->ops->cancel(d, &u->req);
}

static u64 unit_bytes(void *arg)
{
	const struct kvmb_disk *d = disk_of(arg);

	return d ? kvmb_disk_bytes(d) : 0;
}

static void unit_eject(void *arg)
{
	tell_loop(arg, NEWS_EJECTED);
}

static void unit_lock(void *arg, bool locked)
{
	struct ide_unit *u = arg;

	__atomic_store_n(&u->locked, locked, __ATOMIC_RELEASE);
}

static const struct ide_drive_ops unit_ops = {
	.submit = unit_submit,
	.cancel = unit_cancel,
	.bytes = unit_bytes,
	.eject = unit_eject,
	.lock = unit_lock,
};

/* ---- the loop's thread ---- */

static void unit_due(void *arg)
{
	struct ide_unit *u = arg;

	ide_retry(u->all->ide, u->drive);
}

static void unit_news(void *arg)
{
	struct ide_unit *u = arg;
	const struct ide_disks *all = u->all;
	u32 news = __atomic_exchange_n(&u->news, 0, __ATOMIC_ACQ_REL);
	u64 ms = __atomic_load_n(&u->wait_ns, __ATOMIC_RELAXED) / 1000000 + 1;

	if (news & NEWS_WAIT)
		kvmb_timer_set(&u->timer, KVMB_MIN(ms, MAX_WAIT_MS));
	if (news & NEWS_STOPPED)
		all->events->stopped(all->arg, u->drive,
				     __atomic_load_n(&u->stopped_err, __ATOMIC_RELAXED));
	if (news & NEWS_EJECTED)
		all->events->ejected(all->arg, u->drive);
}

void ide_disks_retry(struct ide_disks *all)
{
	struct kvmb_disk *d;
	u32 i;

	for (i = 0; i < IDE_DRIVES; i++) {
		struct ide_unit *u = &all->units[i];

		if (!u->all)
			continue;
		d = disk_of(u);
		if (d && d->ops->retry)
			d->ops->retry(d);
		__atomic_store_n(&u->forget, true, __ATOMIC_RELEASE);
		ide_retry(all->ide, i);
	}
}

bool ide_disks_locked(const struct ide_disks *all, u32 drive)
{
	return __atomic_load_n(&all->units[drive].locked, __ATOMIC_ACQUIRE);
}

void ide_disks_set_medium(struct ide_disks *all, u32 drive, struct kvmb_disk *d)
{
	struct ide_unit *u = &all->units[drive];

	kvmb_assert(u->all);
	__atomic_store_n(&u->forget, true, __ATOMIC_RELEASE);
	if (d)
		kvmb_disk_set_path(d, KVMB_PATH_EMULATED);
	__atomic_store_n(&u->disk, d, __ATOMIC_RELEASE);
	ide_medium_changed(all->ide, drive);
}

/* ---- life ---- */

int ide_disks_attach(struct ide_disks *all, u32 drive, bool dvd, struct kvmb_disk *d)
{
	struct ide_unit *u = &all->units[drive];
	struct ide_drive_config cfg = {
		.ops = &unit_ops,
		.arg = u,
		.cd = dvd,
		.read_only = dvd || d->read_only,
		.write_through = !dvd && d->cache == KVMB_CACHE_WRITETHROUGH,
		.physical = dvd ? 0 : unit_of(d),
	};
	int err;

	kvmb_assert(!u->all && (dvd || d));
	if (d)
		snprintf(cfg.serial, sizeof(cfg.serial), "%s", d->serial);
	u->all = all;
	u->drive = drive;
	u->disk = d;
	if (d)
		kvmb_disk_set_path(d, KVMB_PATH_EMULATED);
	pthread_mutex_init(&u->lock, NULL);
	pthread_cond_init(&u->cond, NULL);
	kvmb_work_init(&u->work, unit_news, u);
	kvmb_timer_init(&u->timer, all->loop, unit_due, u);
	err = start_unit_thread(u);
	if (!err)
		ide_attach(all->ide, drive, &cfg);
	return err;
}

struct ide_disks *ide_disks_create(struct ide *ide, const char *name, struct kvmb_loop *loop,
				   const struct ide_disk_events *events, void *arg)
{
	struct ide_disks *all = kvmb_xzalloc(sizeof(*all));

	*all = (struct ide_disks){
		.ide = ide, .name = name, .loop = loop, .events = events, .arg = arg
	};
	return all;
}

static void end_unit(struct ide_unit *u)
{
	pthread_mutex_lock(&u->lock);
	u->quit = true;
	pthread_cond_signal(&u->cond);
	pthread_mutex_unlock(&u->lock);
	if (u->has_thread)
		pthread_join(u->thread, NULL);
	kvmb_loop_unpost(u->all->loop, &u->work);
	kvmb_timer_cancel(&u->timer);
	pthread_mutex_destroy(&u->lock);
	pthread_cond_destroy(&u->cond);
}

void ide_disks_destroy(struct ide_disks *all)
{
	u32 i;

	if (!all)
		return;
	for (i = 0; i < IDE_DRIVES; i++) {
		if (all->units[i].all)
			end_unit(&all->units[i]);
	}
	free(all);
}
