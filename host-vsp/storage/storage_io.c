// SPDX-License-Identifier: GPL-2.0-only
/*
 * I/O of a storage channel: from a decided command to its answer.
 *
 * DOC: Theory of operation
 *
 * A request to a raw image goes to the kernel, a request to any other disk to that disk's
 * thread. Data moves between the image and guest pages by iovec. Three kinds of request need a
 * bounce buffer: VERIFY (the medium is read into it and compared), SAME (repeats the content of
 * one block), and O_DIRECT with guest buffers that are not aligned.
 *
 * All requests of one turn of the worker are issued together. In two cases the io_uring costs
 * more than it saves. A single read that may be in the page cache is tried with RWF_NOWAIT. A
 * write that only has to be copied into the page cache is done at once, as long as that is
 * quick. When it was not (because the kernel throttles writers, or a journal commits), writes go
 * through the io_uring for a while, because its threads may wait. On a host without io_uring,
 * threads of the disk take its place (disk_pool.h).
 *
 * A failed request is answered with sense data, or it is held back and the VM stopped; the disk's
 * on_error decides. A short transfer is continued where it stopped, so there is never a short
 * success.
 */
#include <fcntl.h>

#include "backend/block/disk_dirty.h"
#include "backend/block/disk_point.h"
#include "backend/iov.h"
#include "host-vsp/storage/storage_priv.h"
#include "lib/dirty_log.h"
#include "lib/log.h"
#include "lib/util.h"

#define SAME_CHUNK 65536u	 /* bytes of pattern that are written at once */
static_assert(!(SAME_CHUNK % KVMB_SCSI_BLOCK_MAX), "a pattern is whole blocks");
#define SLOW_WRITE_NS 1000000u	 /* a write on the spot that took longer was a bad idea */
#define SLOW_BACKOFF_NS 100000000u
#define DIRECT_ALIGN 512u
#define ZERO_PIECE (1ull << 30)

static void io_result(struct stor_chan *sc, struct stor_req *r, int res);

/* ---- errors ---- */

static const char *io_name(enum kvmb_io io)
{
	static const char *const names[] = { "nothing", "read", "write", "flush", "unmap", "write",
					     "verify" };
	static_assert(ARRAY_SIZE(names) == KVMB_IO_VERIFY + 1, "one a kind");

	return names[io];
}

static void io_failed(struct stor_chan *sc, struct stor_req *r, int err)
{
	struct kvmb_unit_stats *c = stor_counts(sc, r->lun);
	struct kvmb_scsi_cmd *cmd = &sc->cmd;
	bool held = kvmb_disk_holds_back(r->disk, r->io, r->owed, err);

	if (err == -ECANCELED) {
		stor_answer_gone(sc, r);
		return;
	}
	kvmb_warn_ratelimited(kvmb_chan_name(sc->ch), "disk %u (%s): %s at %llu failed: %s%s",
			      r->lun, r->disk->path, io_name(r->io),
			      (unsigned long long)(r->offset + r->done), strerror(-err),
			      held ? "; held back" : "");
	if (held) {
		stor_hold(sc, r, err);
		return;
	}
	if (c)
		stor_count(&c->errors, 1);
	if (err == -ENOSPC || err == -EDQUOT)
		kvmb_scsi_sense(cmd, SENSE_DATA_PROTECT, ASC_WRITE_PROTECTED,
				ASCQ_SPACE_ALLOCATION_FAILED);
	else if (r->io == KVMB_IO_READ || r->io == KVMB_IO_VERIFY)
		kvmb_scsi_sense(cmd, SENSE_MEDIUM_ERROR, ASC_READ_ERROR, 0);
	else
		kvmb_scsi_sense(cmd, SENSE_MEDIUM_ERROR, ASC_WRITE_ERROR, 0);
	stor_answer_sense(sc, r, cmd->sense);
}

/* ---- the kernel ---- */

struct io_uring_sqe *stor_sqe(struct stor_chan *sc)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&sc->uring);

	if (!sqe) { /* the submission queue is full: hand it over and go on */
		io_uring_submit(&sc->uring);
		stor_count(&sc->io_submits, 1);
		sqe = io_uring_get_sqe(&sc->uring);
	}
	return sqe;
}

/*
 * The registered slot of the request's file, or its descriptor. Devices are not registered: the
 * kernel lets go of a registered file up to a second late, and a device would stay claimed.
 */
static int file_of(struct stor_chan *sc, struct stor_req *r, u8 *flags)
{
	int fd = r->disk->fd;

	if (!sc->slots_ok || r->disk->rdev)
		return fd;
	if (sc->slots[r->lun] != r->disk) {
		if (io_uring_register_files_update(&sc->uring, r->lun, &fd, 1) != 1)
			return fd;
		sc->slots[r->lun] = r->disk;
	}
	*flags |= IOSQE_FIXED_FILE;
	return (int)r->lun;
}

void stor_forget_slots(struct stor_chan *sc, u64 luns)
{
	u32 i, none = (u32)-1;

	for (i = 0; i < KVMB_STORAGE_MAX_LUNS; i++) {
		if (!(luns >> i & 1) || !sc->slots[i])
			continue;
		io_uring_register_files_update(&sc->uring, i, (int *)&none, 1);
		sc->slots[i] = NULL;
	}
}

/* A range to be zeroed is done in pieces, so that none takes for ever. */
static u64 zero_offset(const struct stor_req *r)
{
	return r->extents[r->extent].lba * r->disk->block;
}

static u64 zero_length(const struct stor_req *r)
{
	return KVMB_MIN(r->extents[r->extent].blocks * r->disk->block, ZERO_PIECE);
}

/* Return: false when the kernel takes nothing now. */
static bool queue_uring(struct stor_chan *sc, struct stor_req *r)
{
	struct io_uring_sqe *sqe = stor_sqe(sc);
	u64 at = r->offset + r->done;
	u8 flags = 0;
	int fd;

	if (!sqe)
		return false;
	fd = file_of(sc, r, &flags);
	switch (r->io) {
	case KVMB_IO_READ:
	case KVMB_IO_VERIFY:
		io_uring_prep_readv(sqe, fd, r->cur, (unsigned int)r->num_iov, at);
		break;
	case KVMB_IO_WRITE:
	case KVMB_IO_SAME:
		io_uring_prep_writev(sqe, fd, r->cur, (unsigned int)r->num_iov, at);
		if (r->fua)
			sqe->rw_flags = RWF_DSYNC;
		break;
	case KVMB_IO_ZERO:
		io_uring_prep_fallocate(sqe, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					(off_t)zero_offset(r), (off_t)zero_length(r));
		break;
	default:
		io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	}
	sqe->flags |= flags;
	io_uring_sqe_set_data(sqe, r);
	stor_req_to(r, REQ_URING);
	sc->inflight++;
	return true;
}

static bool write_on_the_spot(const struct stor_chan *sc, const struct stor_req *r)
{
	return r->io == KVMB_IO_WRITE && !r->fua && !r->disk->direct && !r->done &&
	       sc->now >= sc->slow_until;
}

static void write_now(struct stor_chan *sc, struct stor_req *r)
{
	u64 begin = stor_now(sc);
	ssize_t n = pwritev2(r->disk->fd, r->cur, r->num_iov, (off_t)r->offset, 0);

	if (n < 0)
		n = -errno;
	stor_count(&sc->inline_ios, 1);
	sc->now = kvmb_mono_ns();
	if (sc->now - begin > SLOW_WRITE_NS)
		sc->slow_until = sc->now + SLOW_BACKOFF_NS;
	io_result(sc, r, (int)n);
}

/*
 * Return: false when the kernel would have to wait. A file system that cannot tell is asked once: a
 * system call for nothing, at each read, would cost more than the sandbox does.
 */
static bool read_now(struct stor_chan *sc, struct stor_req *r)
{
	ssize_t n;

	if (__atomic_load_n(&r->disk->no_nowait, __ATOMIC_RELAXED))
		return false;
	n = preadv2(r->disk->fd, r->cur, r->num_iov, (off_t)(r->offset + r->done), RWF_NOWAIT);
	if (n < 0 && errno == EOPNOTSUPP)
		__atomic_store_n(&r->disk->no_nowait, true, __ATOMIC_RELAXED);
	if (n <= 0)
		return false; /* whatever it is, the io_uring will find out */
	stor_count(&sc->inline_ios, 1);
	sc->now = kvmb_mono_ns();
	io_result(sc, r, (int)n);
	return true;
}

static void make_ready(struct stor_chan *sc, struct stor_req *r)
{
	r->next = sc->ready;
	sc->ready = r;
	sc->num_ready++;
}

/* ---- threads of the disk ---- */

static void disk_done(struct kvmb_disk_req *d)
{
	struct stor_req *r = container_of(d, struct stor_req, dreq);
	struct stor_chan *sc = r->sc;

	/* kicked under the lock: once it is free, the channel may be gone */
	pthread_mutex_lock(&sc->lock);
	d->next = sc->done_list;
	__atomic_store_n(&sc->done_list, d, __ATOMIC_RELEASE);
	if (!d->next)
		kvmb_worker_kick(&sc->worker);
	pthread_mutex_unlock(&sc->lock);
}

static void submit_to_disk(struct stor_chan *sc, struct stor_req *r)
{
	struct kvmb_disk_req *d = &r->dreq;

	*d = (struct kvmb_disk_req){
		.io = r->io == KVMB_IO_VERIFY ? KVMB_IO_READ :
		      r->io == KVMB_IO_SAME   ? KVMB_IO_WRITE :
						r->io,
		.fua = r->fua, .offset = r->offset + r->done, .length = r->length - r->done,
		.iov = r->cur, .num_iov = r->num_iov, .done = disk_done,
	};
	if (r->io == KVMB_IO_ZERO) {
		d->offset = zero_offset(r);
		d->length = zero_length(r);
	} else if (r->io == KVMB_IO_SAME) {
		d->length = r->one.iov_len;
	}
	stor_req_to(r, REQ_DISK);
	sc->inflight++;
	r->disk->ops->submit(r->disk, d);
}

void stor_disks_done(struct stor_chan *sc)
{
	struct kvmb_disk_req *d, *next;

	pthread_mutex_lock(&sc->lock);
	d = sc->done_list;
	sc->done_list = NULL;
	pthread_mutex_unlock(&sc->lock);
	for (; d; d = next) {
		struct stor_req *r = container_of(d, struct stor_req, dreq);

		next = d->next;
		sc->inflight--;
		stor_req_to(r, REQ_TAKEN);
		io_result(sc, r,
			  d->result					  ? d->result :
			  d->io == KVMB_IO_READ || d->io == KVMB_IO_WRITE ? (int)d->length :
									    0);
	}
}

void stor_cancel_at_disks(struct stor_chan *sc, u64 luns)
{
	u32 i;

	for (i = 0; i < sc->allocated; i++) {
		struct stor_req *r = sc->all[i];

		if (r->state == REQ_DISK && luns >> r->lun & 1)
			r->disk->ops->cancel(r->disk, &r->dreq);
	}
}

/* ---- a request's way ---- */

/*
 * Without a ring. What the page cache has is read here: to wake a thread would cost more than the
 * copy.
 */
static void issue_to_threads(struct stor_chan *sc, struct stor_req *r)
{
	struct stor_req *next;

	for (; r; r = next) {
		next = r->next;
		if (r->io != KVMB_IO_READ || r->disk->direct || !read_now(sc, r))
			submit_to_disk(sc, r);
	}
}

void stor_issue_ready(struct stor_chan *sc)
{
	struct stor_req *r = sc->ready;
	bool single = sc->num_ready == 1 && !sc->inflight, full = false;

	sc->ready = NULL;
	sc->num_ready = 0;
	if (!sc->uring_ok) {
		issue_to_threads(sc, r);
		return;
	}
	if (single && r->io == KVMB_IO_READ && !r->disk->direct && read_now(sc, r)) {
		r = sc->ready; /* a short read left the rest */
		sc->ready = NULL;
		sc->num_ready = 0;
	}
	while (r) {
		struct stor_req *next = r->next;

		full = full || !queue_uring(sc, r);
		if (full)
			stor_delay(sc, r, STOR_RETRY_NS);
		r = next;
	}
}

/* Is what the next piece would overwrite saved, if somebody copies the disk: disk_point.h? */
static bool may_write(const struct stor_req *r)
{
	if (r->io == KVMB_IO_WRITE || r->io == KVMB_IO_SAME)
		return kvmb_disk_may_write(r->disk, r->offset + r->done, r->length - r->done);
	if (r->io == KVMB_IO_ZERO)
		return kvmb_disk_may_write(r->disk, zero_offset(r), zero_length(r));
	return true;
}

void stor_issue(struct stor_chan *sc, struct stor_req *r)
{
	if (!may_write(r))
		stor_delay(sc, r, KVMB_POINT_RETRY_NS);
	else if (!kvmb_disk_is_raw(r->disk))
		submit_to_disk(sc, r);
	else if (write_on_the_spot(sc, r))
		write_now(sc, r);
	else
		make_ready(sc, r);
}

void stor_issue_due(struct stor_chan *sc, struct stor_req *r)
{
	r->cost = (struct kvmb_throttle_cost){ 0 }; /* it has waited for what it cost */
	stor_issue(sc, r);
}

static enum kvmb_io_kind kind_of(enum kvmb_io io)
{
	return io == KVMB_IO_READ			     ? KVMB_KIND_READ :
	       io == KVMB_IO_WRITE || io == KVMB_IO_SAME ? KVMB_KIND_WRITE :
							     KVMB_KIND_OTHER;
}

static void finish(struct stor_chan *sc, struct stor_req *r, bool flush)
{
	struct kvmb_unit_stats *c = stor_counts(sc, r->lun);
	enum kvmb_io_kind k = kind_of(r->io);

	if (c) {
		stor_count(&c->ops[k], 1);
		stor_count(&c->bytes[k], flush ? 0 : r->length);
		if (flush)
			stor_count(&c->flushes, 1);
		stor_note_latency(c, k, stor_now(sc) - r->started_ns);
	}
	/* what the guest's buffer took part in; a flush or an unmap moves nothing */
	stor_answer_good(sc, r, r->io == KVMB_IO_READ || r->io == KVMB_IO_WRITE ? r->length : 0);
}

/* Drop @bytes from the front of what is left. */
static void consume_iov(struct stor_req *r, u32 bytes)
{
	while (bytes) {
		u32 n = (u32)KVMB_MIN((size_t)bytes, r->cur->iov_len);

		r->cur->iov_base = (u8 *)r->cur->iov_base + n;
		r->cur->iov_len -= n;
		bytes -= n;
		if (!r->cur->iov_len) {
			r->cur++;
			r->num_iov--;
		}
	}
}

static void same_chunk(struct stor_req *r)
{
	r->one = (struct iovec){ r->bounce, KVMB_MIN((size_t)SAME_CHUNK, r->length - r->done) };
	r->cur = &r->one;
	r->num_iov = 1;
}

static void verified(struct stor_chan *sc, struct stor_req *r)
{
	struct kvmb_scsi_cmd *cmd = &sc->cmd;

	if (kvmb_iov_equal(r->iov, r->num_guest, r->bounce, (u32)r->length)) {
		finish(sc, r, false);
		return;
	}
	kvmb_scsi_sense(cmd, SENSE_MISCOMPARE, ASC_MISCOMPARE, 0);
	stor_answer_sense(sc, r, cmd->sense);
}

/*
 * The next piece of a request. A unit that goes, or a reset, does not wait for all of them:
 * they may be a thousand, and nobody cancels one that is yet to come.
 */
static void go_on(struct stor_chan *sc, struct stor_req *r)
{
	if (stor_leaving(sc, r->lun))
		io_failed(sc, r, -ECANCELED);
	else if (!may_write(r))
		stor_delay(sc, r, KVMB_POINT_RETRY_NS);
	else if (!kvmb_disk_is_raw(r->disk))
		submit_to_disk(sc, r);
	else
		make_ready(sc, r);
}

static void moved(struct stor_chan *sc, struct stor_req *r, u32 bytes)
{
	r->done += bytes;
	if (r->done < r->length) {
		if (r->io == KVMB_IO_SAME)
			same_chunk(r);
		else
			consume_iov(r, bytes);
		go_on(sc, r);
	} else if (r->io == KVMB_IO_VERIFY) {
		verified(sc, r);
	} else {
		if (r->io == KVMB_IO_READ && r->bounce)
			kvmb_iov_write(r->iov, r->num_guest, r->bounce, (u32)r->length);
		finish(sc, r, false);
	}
}

static void zeroed(struct stor_chan *sc, struct stor_req *r)
{
	struct kvmb_extent *e = &r->extents[r->extent];
	u64 bytes = zero_length(r);

	r->length += bytes;
	e->lba += bytes / r->disk->block;
	e->blocks -= bytes / r->disk->block;
	if (!e->blocks && ++r->extent == r->num_extents) {
		/*
		 * a disk with requests of its own had the flag on each piece; a file is synced once
		 */
		if (!r->fua || !kvmb_disk_is_raw(r->disk)) {
			finish(sc, r, false);
			return;
		}
		r->io = KVMB_IO_FLUSH;
	}
	go_on(sc, r);
}

/* It has ended, whatever came of it: disk_dirty.h. */
static void note_written(const struct stor_req *r)
{
	if (r->io == KVMB_IO_WRITE)
		kvmb_disk_dirty(r->disk, r->offset + r->done, r->length - r->done);
	else if (r->io == KVMB_IO_SAME)
		kvmb_disk_dirty(r->disk, r->offset + r->done, r->one.iov_len);
	else if (r->io == KVMB_IO_ZERO)
		kvmb_disk_dirty(r->disk, zero_offset(r), zero_length(r));
}

/* @res: bytes moved, 0 of a request without data, or -errno. */
static void io_result(struct stor_chan *sc, struct stor_req *r, int res)
{
	bool data = r->io != KVMB_IO_FLUSH && r->io != KVMB_IO_ZERO;

	if (r->io == KVMB_IO_READ) /* a read that failed may have come half the way */
		kvmb_dirty_iov(r->cur, r->num_iov, r->length - r->done);
	else
		note_written(r);
	r->owed = false;
	if (r->io == KVMB_IO_FLUSH && !res) {
		res = kvmb_disk_take_owed(r->disk);
		r->owed = res;
	}
	if (res == -EINTR || res == -EAGAIN)
		stor_delay(sc, r, STOR_RETRY_NS); /* at once might be for ever */
	else if (res < 0 || (!res && data))
		io_failed(sc, r, res ? res : -EIO); /* 0: the file became shorter */
	else if (data)
		moved(sc, r, (u32)res);
	else if (r->io == KVMB_IO_ZERO)
		zeroed(sc, r);
	else
		finish(sc, r, !r->extents); /* with extents it was the end of a ZERO */
}

void stor_uring_done(struct stor_chan *sc, struct stor_req *r, int res)
{
	sc->inflight--;
	stor_req_to(r, REQ_TAKEN);
	io_result(sc, r, res);
}

/* ---- from the command ---- */

/*
 * Linux wants each piece to be so, not only the sum of them. Source: Linux 6.1
 * bdev_iter_is_aligned(), which also wants the length, and 5.10 iov_iter_alignment(), which wants
 * the address, too, in logical blocks of the device.
 */
static bool aligned(const struct stor_req *r)
{
	u32 unit = KVMB_MAX(DIRECT_ALIGN, r->disk->direct_unit);
	int i;

	for (i = 0; i < r->num_iov; i++) {
		if (((uintptr_t)r->cur[i].iov_base | r->cur[i].iov_len) & (unit - 1))
			return false;
	}
	return true;
}

/* The guest's buffer may be larger than the command moves. */
static void trim_iov(struct stor_req *r, u32 bytes)
{
	int i;

	for (i = 0; bytes; i++) {
		/* the SCSI layer let no command move more than the buffer */
		kvmb_assert(i < r->num_iov);
		r->iov[i].iov_len = KVMB_MIN(r->iov[i].iov_len, (size_t)bytes);
		bytes -= (u32)r->iov[i].iov_len;
	}
	r->num_iov = r->num_guest = i;
}

static bool take_bounce(struct stor_req *r, size_t bytes)
{
	r->bounce = aligned_alloc(KVMB_PAGE_SIZE, KVMB_ALIGN_UP(bytes, (size_t)KVMB_PAGE_SIZE));
	if (!r->bounce)
		return false;
	r->bounce_len = bytes;
	r->sc->bounced += bytes;
	r->one = (struct iovec){ r->bounce, bytes };
	r->cur = &r->one;
	r->num_iov = 1;
	return true;
}

static bool prepare_pattern(struct stor_req *r, const struct kvmb_scsi_cmd *cmd)
{
	u32 i, block = r->disk->block;
	/* no data-out buffer: zeroes */
	bool zero = cmd->cdb[0] == KVMB_SCSI_WRITE_SAME_16 && cmd->cdb[1] & 1;

	if (!take_bounce(r, SAME_CHUNK))
		return false;
	for (i = 0; i < SAME_CHUNK; i += block) {
		if (zero)
			memset(r->bounce + i, 0, block);
		else
			memcpy(r->bounce + i, cmd->param, block);
	}
	same_chunk(r);
	return true;
}

/* Buffers beside the guest's. Return: false without memory. */
static bool prepare(struct stor_req *r, const struct kvmb_scsi_cmd *cmd)
{
	r->cur = r->iov;
	switch (r->io) {
	case KVMB_IO_READ:
	case KVMB_IO_WRITE:
		trim_iov(r, (u32)r->length);
		if (!r->disk->direct || aligned(r))
			return true;
		if (!take_bounce(r, r->length))
			return false;
		if (r->io == KVMB_IO_WRITE)
			kvmb_iov_read(r->iov, r->num_guest, 0, r->bounce, (u32)r->length);
		return true;
	case KVMB_IO_VERIFY:
		trim_iov(r, (u32)r->length);
		return take_bounce(r, r->length);
	case KVMB_IO_SAME:
		return prepare_pattern(r, cmd);
	case KVMB_IO_ZERO:
		r->num_extents = cmd->num_extents;
		r->extents = malloc(r->num_extents * sizeof(r->extents[0]));
		if (r->extents)
			memcpy(r->extents, cmd->extents, r->num_extents * sizeof(r->extents[0]));
		r->length = 0; /* counted as it is done */
		return r->extents;
	default:
		return true;
	}
}

/* A decided command's I/O: @cmd->io is not NONE, @r has its unit and buffer. */
void stor_begin_io(struct stor_chan *sc, struct stor_req *r, const struct kvmb_scsi_cmd *cmd)
{
	u64 wait;

	kvmb_assert(kvmb_disk_is_on(cmd->disk, KVMB_PATH_SYNTHETIC));
	r->disk = cmd->disk;
	r->io = cmd->io;
	r->fua = cmd->fua;
	r->offset = cmd->offset;
	r->length = cmd->io == KVMB_IO_FLUSH ? 0 : cmd->length;
	r->done = 0;
	r->extent = 0;
	r->cost = (struct kvmb_throttle_cost){ 0 };
	r->started_ns = stor_now(sc);
	if (!prepare(r, cmd)) {
		kvmb_scsi_sense(&sc->cmd, SENSE_ABORTED, ASC_NO_RESOURCES,
				ASCQ_INSUFFICIENT_RESOURCES);
		stor_answer_sense(sc, r, sc->cmd.sense);
		return;
	}
	if (kvmb_throttle_on(&r->disk->throttle)) {
		wait = kvmb_throttle_charge(&r->disk->throttle, r->length, r->started_ns, &r->cost);
		if (wait) {
			stor_delay(sc, r, wait);
			return;
		}
	}
	stor_issue(sc, r);
}
