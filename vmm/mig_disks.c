// SPDX-License-Identifier: GPL-2.0-only
/* Sending the content of disks: mig_disks.h. */
#include "vmm/mig_disks.h"

#include <stdlib.h>

#include "backend/block/disk_dirty.h"
#include "backend/block/disk_point.h"
#include "lib/loop.h"
#include "lib/sparse.h"
#include "lib/util.h"
#include "vmm/disks_priv.h"

#ifndef QUIET_MS	/* tests have less */
#define QUIET_MS 10000u /* without a section: who is not there any more is noticed by one */
#endif

static_assert(!(MIG_CHUNK % KVMB_DISK_CHUNK), "a section has whole chunks");

/* ---- which ---- */

static bool is_wanted(const struct kvmb_unit_info *i)
{
	return i->disk && !i->dvd && !i->disk->read_only &&
	       (kvmb_disk_is_raw(i->disk) || i->disk->lock_fd >= 0); /* else it is at a server */
}

static int add(struct mig_disks *m, struct kvmb_disk *d, u32 c, u32 lun, char *why, size_t size)
{
	struct mig_disk *at = &m->disks[m->num];
	int err;

	if (d->rdev) {
		snprintf(why, size, "disk %.150s: a device is not copied", d->path);
		return -EINVAL;
	}
	*at = (struct mig_disk){
		.d = d, .controller = c, .lun = lun, .chunks = kvmb_disk_chunks(d)
	};
	kvmb_disk_since_forget(d); /* it goes on elsewhere, where nobody knows of backups */
	at->bits = calloc((at->chunks + 63) / 64, sizeof(*at->bits));
	err = at->bits ? kvmb_disk_dirty_begin(d) : -ENOMEM;
	if (err) {
		free(at->bits);
		snprintf(why, size, "disk %.150s: its writes cannot be watched: %s", d->path,
			 strerror(-err));
		return err;
	}
	d->copied = true;
	m->total += kvmb_disk_bytes(d);
	m->num++;
	return 0;
}

int mig_disks_begin(struct mig_disks *m, struct vm *vm, char *why, size_t size)
{
	struct kvmb_unit_info i;
	u32 c, lun;
	int err = 0;

	m->disks = calloc(KVMB_MAX_DISKS, sizeof(*m->disks));
	m->copy = aligned_alloc(DISK_READ_ALIGN, MIG_CHUNK + DISK_READ_ALIGN);
	disk_reader_init(&m->reader);
	if (!m->disks || !m->copy) {
		snprintf(why, size, "no memory to copy its disks");
		return -ENOMEM;
	}
	for_each_unit(vm, c, lun, &i) {
		if (!err && is_wanted(&i))
			err = add(m, i.disk, c, lun, why, size);
	}
	return err;
}

void mig_disks_end(struct mig_disks *m)
{
	u32 i;

	for (i = 0; i < m->num; i++) {
		kvmb_disk_dirty_end(m->disks[i].d);
		m->disks[i].d->copied = false;
		free(m->disks[i].bits);
	}
	if (m->disks)
		disk_reader_fini(&m->reader);
	free(m->disks);
	free(m->copy);
	kvmb_tlv_out_fini(&m->out);
	*m = (struct mig_disks){ 0 };
}

/* ---- reading ---- */

static int is_wanted_yet(void *s)
{
	return mig_pause(s, 0);
}

static int read_chunks(struct mig_disks *m, const struct mig_disk *at, struct mig_stream *s,
		       u64 offset, size_t len, char *why)
{
	int err = mig_pause(s, 0);

	if (err)
		return err;
	err = disk_read(&m->reader, at->d, m->copy, offset, len, is_wanted_yet, s);
	if (err && err != -ECANCELED && err != -ETIMEDOUT) {
		snprintf(why, MIG_WHY, "disk %.100s cannot be read: %s", at->d->path,
			 strerror(-err));
		return -EIO;
	}
	return err;
}

/* ---- sections ---- */

static void begin_section(struct mig_disks *m, const struct mig_disk *at)
{
	m->out.len = 0;
	kvmb_tlv_begin(&m->out, KVMB_SEC_DISK, 0, KVMB_TLV_CRITICAL);
	kvmb_tlv_put(&m->out, MIG_DISK_CONTROLLER, at->controller);
	kvmb_tlv_put(&m->out, MIG_DISK_LUN, at->lun);
}

static int end_section(struct mig_disks *m, struct mig_stream *s, const struct mig_disks_pace *pace)
{
	int err;

	kvmb_tlv_end(&m->out);
	m->sent_ms = kvmb_now_ms();
	err = m->out.failed ? -ENOMEM : mig_send(s, m->out.buf, m->out.len);
	__atomic_fetch_add(&m->sent, m->out.len, __ATOMIC_RELAXED);
	return err || !pace ? err : pace->sent(pace->arg, s, m->out.len);
}

static int send_part(struct mig_disks *m, const struct mig_disk *at, struct mig_stream *s,
		     u64 offset, size_t from, size_t len, bool zero,
		     const struct mig_disks_pace *pace)
{
	begin_section(m, at);
	kvmb_tlv_put(&m->out, MIG_DISK_OFFSET, offset + from);
	if (zero)
		kvmb_tlv_put(&m->out, MIG_DISK_ZERO, len);
	else
		kvmb_tlv_put_bytes(&m->out, MIG_DISK_DATA, m->copy + from, len);
	return end_section(m, s, pace);
}

/* What was read, in parts that are all zero or all not. @again: zeroes are sent, too. */
static int send_copy(struct mig_disks *m, const struct mig_disk *at, struct mig_stream *s,
		     u64 offset, size_t len, bool again, const struct mig_disks_pace *pace)
{
	size_t from, to, n;
	bool zero, next;
	int err = 0;

	for (from = 0; from < len && !err; from = to) {
		n = KVMB_MIN(len - from, (size_t)KVMB_DISK_CHUNK);
		zero = kvmb_all_zero(m->copy + from, n);
		for (to = from + n; to < len; to += n) {
			n = KVMB_MIN(len - to, (size_t)KVMB_DISK_CHUNK);
			next = kvmb_all_zero(m->copy + to, n);
			if (next != zero)
				break;
		}
		if (!zero || again || kvmb_now_ms() - m->sent_ms > QUIET_MS)
			err = send_part(m, at, s, offset, from, to - from, zero, pace);
	}
	return err;
}

/* ---- rounds ---- */

static bool is_set(const struct mig_disk *at, u64 chunk)
{
	return at->bits[chunk / 64] >> chunk % 64 & 1;
}

static u64 offset_of(const struct mig_disk *at, u64 chunk)
{
	return KVMB_MIN(chunk * KVMB_DISK_CHUNK, kvmb_disk_bytes(at->d));
}

/* The chunks of at->bits, which is empty afterwards. @first: and never before. */
static int send_disk(struct mig_disks *m, struct mig_disk *at, struct mig_stream *s, bool first,
		     const struct mig_disks_pace *pace, char *why)
{
	u64 chunk, n, from, bytes;
	int err = 0;

	for (chunk = 0; chunk < at->chunks && !err; chunk += n) {
		n = at->bits[chunk / 64] ? 1 : 64 - chunk % 64;
		n = KVMB_MIN(n, at->chunks - chunk);
		if (is_set(at, chunk)) {
			while (n < MIG_CHUNK / KVMB_DISK_CHUNK && chunk + n < at->chunks &&
			       is_set(at, chunk + n))
				n++;
			from = offset_of(at, chunk);
			bytes = offset_of(at, chunk + n) - from;
			err = read_chunks(m, at, s, from, bytes, why);
			if (!err)
				err = send_copy(m, at, s, from, bytes, !first, pace);
		}
		if (first)
			__atomic_fetch_add(&m->done,
					   offset_of(at, chunk + n) - offset_of(at, chunk),
					   __ATOMIC_RELAXED);
	}
	memset(at->bits, 0, (at->chunks + 63) / 64 * sizeof(*at->bits));
	return err;
}

/* The log runs already, so what is written into a hole from here on comes later. */
static int want_all(struct mig_disk *at)
{
	u64 from, to, chunk, pos, end = kvmb_disk_bytes(at->d);
	int err;

	if (!kvmb_disk_is_raw(at->d)) {
		for (chunk = 0; chunk < at->chunks; chunk++)
			at->bits[chunk / 64] |= 1ull << chunk % 64;
		return 0;
	}
	for (pos = 0;; pos = to) {
		err = kvmb_next_data(at->d->fd, pos, end, &from, &to);
		if (err <= 0)
			return err;
		for (chunk = from / KVMB_DISK_CHUNK;
		     chunk < at->chunks && chunk * KVMB_DISK_CHUNK < to; chunk++)
			at->bits[chunk / 64] |= 1ull << chunk % 64;
	}
}

int mig_disks_first(struct mig_disks *m, struct mig_stream *s, const struct mig_disks_pace *pace,
		    char *why)
{
	int err = 0;
	u32 i;

	m->sent_ms = kvmb_now_ms();
	for (i = 0; i < m->num && !err; i++) {
		err = want_all(&m->disks[i]);
		if (err)
			snprintf(why, MIG_WHY, "disk %.100s cannot be read: %s",
				 m->disks[i].d->path, strerror(-err));
		else
			err = send_disk(m, &m->disks[i], s, true, pace, why);
	}
	return err;
}

u64 mig_disks_take(struct mig_disks *m)
{
	u64 w, n = 0;
	u32 i;

	for (i = 0; i < m->num; i++) {
		struct mig_disk *at = &m->disks[i];

		kvmb_disk_dirty_take(at->d, at->bits);
		for (w = 0; w < (at->chunks + 63) / 64; w++)
			n += (u64)__builtin_popcountll(at->bits[w]);
	}
	return n * KVMB_DISK_CHUNK;
}

int mig_disks_send(struct mig_disks *m, struct mig_stream *s, const struct mig_disks_pace *pace,
		   char *why)
{
	int err = 0;
	u32 i;

	for (i = 0; i < m->num && !err; i++)
		err = send_disk(m, &m->disks[i], s, false, pace, why);
	return err;
}

int mig_disks_last(struct mig_disks *m, struct mig_stream *s, char *why)
{
	int err;
	u32 i;

	mig_disks_take(m);
	err = mig_disks_send(m, s, NULL, why);
	for (i = 0; i < m->num && !err; i++) {
		begin_section(m, &m->disks[i]);
		kvmb_tlv_put(&m->out, MIG_DISK_ALL, kvmb_disk_bytes(m->disks[i].d));
		err = end_section(m, s, NULL);
	}
	return err;
}
