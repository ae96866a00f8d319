/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest's storvsc in a box, for the tests of storage/: it starts, sends SRBs and gets answers;
 * and a disk that obeys.
 */
#ifndef KVMB_STORAGE_GUEST_H
#define KVMB_STORAGE_GUEST_H

#include "host-vsp/storage/storage.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host-vsp/storage/storage_ring.h"
#include "host-vsp/worker.h"
#include "tests/harness/fake_vmm.h"
#include "tests/harness/open_named.h"
#include "tests/unit/test.h"
#include "vmbus-core/proto/storage.h"

#define BLOCKS 2048u

static struct fake_vmm f;
static struct kvmb_rings *rings;
static struct kvmb_storage *s;
static struct kvmb_wire_offer offer;
static struct fake_chan c;
static char path[] = "/tmp/kvmbus-disk-XXXXXX";
static u64 next_id;

static inline struct kvmb_disk *open_path(const char *file, bool read_only, int expect)
{
	struct kvmb_disk_spec spec = { .path = file, .read_only = read_only };
	char why[KVMB_DISK_WHY] = "";
	struct kvmb_disk *d = NULL;

	assert_int_equal(open_named(&spec, &d, why, sizeof(why)), expect);
	assert_int_equal(!d, expect != 0);
	assert_int_equal(!why[0], !expect); /* a failure says why */
	return d;
}

static inline void make_disk(bool read_only)
{
	int fd;

	strcpy(path, "/tmp/kvmbus-disk-XXXXXX");
	fd = mkstemp(path);
	assert_int_equal(ftruncate(fd, BLOCKS * 512), 0);
	close(fd);
	rings = kvmb_rings_create(4, false);
	s = kvmb_storage_create(0, 3, rings, f.loop, NULL, NULL);
	assert_int_equal(kvmb_storage_attach(s, open_path(path, read_only, 0), false, 0), 0);
}

static inline int setup(void **state)
{
	(void)state;
	fake_init(&f, KVMB_VERSION_NEWEST);
	make_disk(false);
	kvmb_storage_offer(s, f.bus);
	assert_int_equal(fake_connect(&f, KVMB_VERSION_NEWEST, &offer, 1), 1);
	assert_int_equal(fake_open(&f, &c, le32_to_cpu(offer.relid), 8), 0);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	fake_unmap(&c);
	fake_rest(&f);
	kvmb_storage_destroy(s);
	kvmb_rings_destroy(rings);
	fake_fini(&f);
	unlink(path);
	return 0;
}

/* A packet that the host sends unasked: "look at the bus". */
static inline bool is_enumerate(const struct kvmb_pkt *pkt)
{
	struct kvmb_wire_stor p;

	if (pkt->type != KVMB_PKT_INBAND)
		return false;
	assert_int_equal(pkt->trans_id, 0);
	memcpy(&p, pkt->payload, sizeof(p));
	assert_int_equal(le32_to_cpu(p.operation), KVMB_STOR_ENUMERATE_BUS);
	return true;
}

static u32 enumerates;

static inline int answer(struct kvmb_wire_stor *p, u64 id)
{
	u8 buf[256] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;
	int err = fake_recv(&f, &c, buf, sizeof(buf), &pkt);

	while (!err && is_enumerate(&pkt)) {
		enumerates++;
		err = fake_recv(&f, &c, buf, sizeof(buf), &pkt);
	}
	if (err)
		return err;
	assert_int_equal(pkt.type, KVMB_PKT_COMPLETION);
	assert_int_equal(pkt.trans_id, id);
	assert_int_equal(pkt.payload_len, 64);
	memcpy(p, pkt.payload, sizeof(*p));
	assert_int_equal(le32_to_cpu(p->operation), KVMB_STOR_COMPLETE_IO);
	return 0;
}

static inline u32 ask(enum kvmb_stor_op op, struct kvmb_wire_stor *p)
{
	p->operation = cpu_to_le32(op);
	assert_int_equal(fake_send(&f, &c, KVMB_PKT_INBAND, KVMB_PKT_FLAG_COMPLETE, ++next_id, NULL,
				   0, p, sizeof(*p)),
			 0);
	assert_int_equal(answer(p, next_id), 0);
	return le32_to_cpu(p->status);
}

static inline void init(void)
{
	struct kvmb_wire_stor p = { 0 };

	assert_int_equal(ask(KVMB_STOR_BEGIN_INIT, &p), 0);
	memset(&p, 0, sizeof(p));
	p.u.version.major_minor = cpu_to_le16(KVMB_STOR_V6_2);
	assert_int_equal(ask(KVMB_STOR_QUERY_VERSION, &p), 0);
	assert_int_equal(ask(KVMB_STOR_QUERY_PROPERTIES, &p), 0);
	assert_int_equal(le32_to_cpu(p.u.properties.max_transfer), 512 * 1024);
	assert_int_equal(le16_to_cpu(p.u.properties.max_sub_channels), 3);
	assert_int_equal(ask(KVMB_STOR_END_INIT, &p), 0);
}

/* Send one SRB with @len bytes at @gpa to @lun on channel @on. Return: its transaction id. */
static inline u64 send_srb(struct fake_chan *on, u8 lun, const u8 *cdb, u8 cdb_len, u8 dir, u64 gpa,
			   u32 len)
{
	u32 pages = ((gpa & 4095) + len + 4095) / 4096, i;
	u8 hdr[16 + 8 * 200] __attribute__((aligned(8)));
	struct kvmb_wire_gpa_direct g = { .range_count = cpu_to_le32(1) };
	struct kvmb_wire_gparange r = { cpu_to_le32(len), cpu_to_le32((u32)(gpa & 4095)) };
	struct kvmb_wire_stor p = { .operation = cpu_to_le32(KVMB_STOR_EXECUTE_SRB) };
	__le64 pfn;

	p.u.srb.length = cpu_to_le16(52);
	p.u.srb.lun = lun;
	p.u.srb.cdb_length = cdb_len;
	p.u.srb.sense_length = 20;
	p.u.srb.data_in = dir;
	p.u.srb.transfer_length = cpu_to_le32(len);
	memcpy(p.u.srb.u.cdb, cdb, KVMB_STOR_CDB_SIZE);
	memcpy(hdr, &g, sizeof(g));
	memcpy(hdr + 8, &r, sizeof(r));
	for (i = 0; i < pages; i++) {
		pfn = cpu_to_le64((gpa >> 12) + i);
		memcpy(hdr + 16 + 8 * i, &pfn, 8);
	}
	assert_int_equal(fake_send(&f, on, len ? KVMB_PKT_GPA_DIRECT : KVMB_PKT_INBAND,
				   KVMB_PKT_FLAG_COMPLETE, ++next_id, len ? hdr : NULL,
				   len ? 16 + 8 * pages : 0, &p, sizeof(p)),
			 0);
	return next_id;
}

static inline u8 srb_lun(u8 lun, const u8 *cdb, u8 cdb_len, u8 dir, u64 gpa, u32 len,
			 struct kvmb_wire_stor *p)
{
	u64 id = send_srb(&c, lun, cdb, cdb_len, dir, gpa, len);

	assert_int_equal(answer(p, id), 0);
	return p->u.srb.srb_status;
}

/* One SRB to unit 0 and its answer. Return: srb_status; *p = the answer. */
static inline u8 srb(const u8 *cdb, u8 cdb_len, u8 dir, u64 gpa, u32 len, struct kvmb_wire_stor *p)
{
	return srb_lun(0, cdb, cdb_len, dir, gpa, len, p);
}

#define CDB(...) ((const u8[16]){ __VA_ARGS__ })

static inline void assert_sense(const struct kvmb_wire_stor *p, u8 key, u8 asc)
{
	assert_int_equal(p->u.srb.srb_status, KVMB_SRB_ERROR | KVMB_SRB_AUTOSENSE_VALID);
	assert_int_equal(p->u.srb.scsi_status, 2);
	assert_int_equal(p->u.srb.u.sense[2], key);
	assert_int_equal(p->u.srb.u.sense[12], asc);
	assert_int_equal(le32_to_cpu(p->u.srb.transfer_length), 0);
}

/* ---- a disk that does what the test wants ---- */

static struct slow {
	pthread_mutex_t lock;
	struct kvmb_disk_req *held[64]; /* submitted, not yet answered */
	u32 num, retries, cancels;
	int fail;			/* answer at once with this */
	bool at_once;
	bool deaf;			/* a cancel does nothing: the server has it already */
} slow = { .lock = PTHREAD_MUTEX_INITIALIZER };

static inline void slow_submit(struct kvmb_disk *d, struct kvmb_disk_req *r)
{
	(void)d;
	pthread_mutex_lock(&slow.lock);
	if (__atomic_load_n(&slow.at_once, __ATOMIC_ACQUIRE)) {
		r->result = __atomic_load_n(&slow.fail, __ATOMIC_ACQUIRE);
		r->done(r);
	} else {
		slow.held[slow.num++] = r;
	}
	pthread_mutex_unlock(&slow.lock);
}

static inline void slow_cancel(struct kvmb_disk *d, struct kvmb_disk_req *r)
{
	u32 i;

	(void)d;
	pthread_mutex_lock(&slow.lock);
	slow.cancels++;
	for (i = 0; i < slow.num && slow.held[i] != r; i++)
		;
	if (i < slow.num && !slow.deaf) {
		slow.held[i] = slow.held[--slow.num];
		r->result = -ECANCELED;
		r->done(r);
	}
	pthread_mutex_unlock(&slow.lock);
}

static inline void slow_retry(struct kvmb_disk *d)
{
	(void)d;
	slow.retries++;
}

static inline void slow_close(struct kvmb_disk *d)
{
	(void)d;
	assert_int_equal(slow.num, 0); /* nobody may let go of a disk that has requests */
}

static const struct kvmb_disk_ops slow_ops = { .submit = slow_submit, .cancel = slow_cancel,
					       .retry = slow_retry, .close = slow_close };

static inline struct kvmb_disk *slow_disk(enum kvmb_disk_on_error on_error)
{
	struct kvmb_disk *d = calloc(1, sizeof(*d));

	d->fd = d->lock_fd = -1;
	d->ops = &slow_ops;
	d->block = 512;
	d->blocks = 4096;
	d->on_error = on_error;
	strcpy(d->path, "slow");
	strcpy(d->serial, "slow");
	slow.num = slow.retries = slow.cancels = 0;
	slow.deaf = false;
	__atomic_store_n(&slow.fail, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&slow.at_once, false, __ATOMIC_RELEASE);
	return d;
}

static inline void wait_held(u32 n)
{
	u64 until = kvmb_now_ms() + PATIENCE_MS;
	u32 have;

	do {
		pthread_mutex_lock(&slow.lock);
		have = slow.num;
		pthread_mutex_unlock(&slow.lock);
		kvmb_loop_once(f.loop, 1);
	} while (have < n && kvmb_now_ms() < until);
	assert_int_equal(have, n);
}

static inline void wait_cancels(u32 n)
{
	u64 until = kvmb_now_ms() + PATIENCE_MS;
	u32 have;

	do {
		pthread_mutex_lock(&slow.lock);
		have = slow.cancels;
		pthread_mutex_unlock(&slow.lock);
		kvmb_loop_once(f.loop, 1);
	} while (have < n && kvmb_now_ms() < until);
	assert_int_equal(have, n);
}

/* The last @n that are held. */
static inline void finish_some(u32 n, int result)
{
	pthread_mutex_lock(&slow.lock);
	while (slow.num && n--) {
		slow.held[--slow.num]->result = result;
		slow.held[slow.num]->done(slow.held[slow.num]);
	}
	pthread_mutex_unlock(&slow.lock);
}

static inline void finish_held(int result)
{
	finish_some(UINT32_MAX, result);
}

static u32 gone;
static struct kvmb_disk *gone_disk;

static inline void on_gone(void *arg, struct kvmb_disk *d)
{
	(void)arg;
	gone++;
	gone_disk = d;
}

static inline void wait_gone(void)
{
	u64 until = kvmb_now_ms() + PATIENCE_MS;

	while (!gone && kvmb_now_ms() < until)
		kvmb_loop_once(f.loop, 1);
	assert_int_equal(gone, 1);
	gone = 0;
}

#endif
