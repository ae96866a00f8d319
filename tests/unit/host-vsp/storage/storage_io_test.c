// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests at disks that fail, hold them, or move too little; buffers of ours, limits, latencies.
 */
#include "backend/block/disk_dirty.h"
#include "backend/block/disk_point.h"
#include "tests/harness/dirty.h"
#include "tests/harness/storage_guest.h"

static u32 stops;
static int stop_err;

static void on_stopped(void *arg, struct kvmb_storage *storage, unsigned int lun, int err)
{
	(void)arg;
	assert_ptr_equal(storage, s);
	assert_int_equal(lun, 3);
	stops++;
	stop_err = err;
}

static const struct kvmb_storage_events stop_events = { .stopped = on_stopped };

/* The disk is full: nothing is answered until somebody makes room and says go on. */
static void an_error_holds_the_request_until_a_retry(void **state)
{
	u64 gpa = fake_alloc(&f, 1) << 12, id, until = kvmb_now_ms() + PATIENCE_MS;
	struct kvmb_disk *full = slow_disk(KVMB_ON_ERROR_DEFAULT);
	struct kvmb_wire_stor a;
	u8 buf[256] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;

	(void)state;
	fake_rest(&f);
	kvmb_storage_destroy(s);
	fake_fini(&f);
	fake_init(&f, KVMB_VERSION_NEWEST);
	s = kvmb_storage_create(0, 3, rings, f.loop, &stop_events, NULL);
	kvmb_storage_attach(s, full, false, 3);
	kvmb_storage_offer(s, f.bus);
	fake_connect(&f, KVMB_VERSION_NEWEST, &offer, 1);
	fake_unmap(&c);
	fake_open(&f, &c, le32_to_cpu(offer.relid), 8);
	init();
	__atomic_store_n(&slow.at_once, true, __ATOMIC_RELEASE);
	__atomic_store_n(&slow.fail, -ENOSPC, __ATOMIC_RELEASE);
	stops = 0;
	id = send_srb(&c, 3, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_OUT, gpa, 4096);
	while (!stops && kvmb_now_ms() < until)
		kvmb_loop_once(f.loop, 1);
	assert_int_equal(stops, 1);
	assert_int_equal(stop_err, -ENOSPC);
	assert_int_equal(kvmb_ring_peek(&c.rx, buf, sizeof(buf), &pkt), -EAGAIN);
	__atomic_store_n(&slow.fail, 0, __ATOMIC_RELEASE);
	kvmb_storage_retry(s);
	assert_int_equal(answer(&a, id), 0);
	assert_int_equal(a.u.srb.srb_status, 1);
	assert_int_equal(slow.retries, 1);
	/* what is not about space is the guest's to know, by default */
	__atomic_store_n(&slow.fail, -EIO, __ATOMIC_RELEASE);
	srb_lun(3, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_OUT, gpa, 4096, &a);
	assert_sense(&a, 3, 0x0c);
	srb_lun(3, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_IN, gpa, 4096, &a);
	assert_sense(&a, 3, 0x11);
	assert_int_equal(stops, 1);
	/* a flush is only tried again by whoever still has what it is to write */
	__atomic_store_n(&slow.fail, -ENOSPC, __ATOMIC_RELEASE);
	id = send_srb(&c, 3, CDB(0x35), 10, KVMB_SRB_DATA_NONE, 0, 0);
	while (stops < 2 && kvmb_now_ms() < until)
		kvmb_loop_once(f.loop, 1);
	__atomic_store_n(&slow.fail, 0, __ATOMIC_RELEASE);
	kvmb_disk_owe(full, -ENOSPC);
	kvmb_storage_retry(s);
	assert_int_equal(answer(&a, id), 0);
	assert_sense(&a, 7, 0x27);
	assert_int_equal(stops, 2);
}

static void an_error_is_reported_when_asked_to(void **state)
{
	u64 gpa = fake_alloc(&f, 1) << 12;
	struct kvmb_unit_stats st;
	struct kvmb_wire_stor a;

	(void)state;
	kvmb_storage_attach(s, slow_disk(KVMB_ON_ERROR_REPORT), false, 3);
	init();
	__atomic_store_n(&slow.at_once, true, __ATOMIC_RELEASE);
	__atomic_store_n(&slow.fail, -ENOSPC, __ATOMIC_RELEASE);
	srb_lun(3, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_OUT, gpa, 4096, &a);
	assert_sense(&a, 7, 0x27);
	assert_int_equal(a.u.srb.u.sense[13], 7); /* space allocation failed write protect */
	kvmb_storage_unit_stats(s, 3, &st);
	assert_int_equal(st.errors, 1);
}

/* A buffer of ours for each, and no end of them: the guest's ring holds the rest back. */
static void requests_that_need_buffers_of_ours_wait_for_each_other(void **state)
{
	u64 gpa = fake_alloc(&f, 64) << 12;
	u8 buf[256] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;
	u32 i, got = 0;

	(void)state;
	kvmb_storage_attach(s, slow_disk(0), false, 3);
	init();
	for (i = 0; i < 24; i++) { /* VERIFY of 256 KiB with data: 4 MiB are 16 of them */
		send_srb(&c, 3, CDB(0x2f, 0x02, 0, 0, 0, 0, 0, 2, 0), 10, KVMB_SRB_DATA_OUT, gpa,
			 256 * 1024);
		if (i == 15)
			wait_held(16);
	}
	usleep(50000);
	wait_held(16);
	finish_held(0);
	wait_held(8);
	finish_held(0);
	while (got < 24 && !fake_recv(&f, &c, buf, sizeof(buf), &pkt))
		got += pkt.type == KVMB_PKT_COMPLETION;
	assert_int_equal(got, 24);
}

static void a_channel_closes_with_requests_at_the_disk(void **state)
{
	u64 gpa = fake_alloc(&f, 1) << 12;

	(void)state;
	kvmb_storage_attach(s, slow_disk(0), false, 3);
	init();
	send_srb(&c, 3, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_IN, gpa, 4096);
	wait_held(1);
	fake_close(&f, &c); /* asserts that the ring's pages came back */
	assert_int_equal(slow.num, 0);
	assert_int_equal(fake_open(&f, &c, le32_to_cpu(offer.relid), 8), 0);
	init();
}

static void a_request_that_moved_too_little_is_no_success(void **state)
{
	u64 gpa = fake_alloc(&f, 1) << 12;
	struct kvmb_wire_stor a;

	(void)state;
	init();
	assert_int_equal(truncate(path, 512 * 100), 0); /* behind our back */
	/* half of it is gone */
	srb(CDB(0x28, 0, 0, 0, 0, 96, 0, 0, 8), 10, KVMB_SRB_DATA_IN, gpa, 4096, &a);
	assert_sense(&a, 3, 0x11);
}

static void verify_write_same_and_unmap_do_it(void **state)
{
	u64 gpa = fake_alloc(&f, 20) << 12;
	u8 *p = fake_ptr(&f, gpa), disk[8192];
	struct kvmb_wire_stor a;
	int fd, i;

	(void)state;
	init();
	for (i = 0; i < 512; i++)
		p[i] = (u8)(i ^ 0x5a);
	/* 300 blocks of it from block 1000: more than one chunk of writing */
	assert_int_equal(srb(CDB(0x93, 0, 0, 0, 0, 0, 0, 0, 3, 0xe8, 0, 0, 1, 44), 16,
			     KVMB_SRB_DATA_OUT, gpa, 512, &a),
			 1);
	fd = open(path, O_RDONLY);
	for (i = 1000; i < 1300; i++) {
		assert_int_equal(pread(fd, disk, 512, i * 512), 512);
		assert_memory_equal(disk, p, 512);
	}
	pread(fd, disk, 512, 1300 * 512);
	assert_int_equal(disk[0] | disk[511], 0);
	for (i = 1; i < 128; i++)
		memcpy(p + i * 512, p, 512);
	assert_int_equal(srb(CDB(0x2f, 2, 0, 0, 3, 0xe8, 0, 0, 128), 10, KVMB_SRB_DATA_OUT, gpa,
			     65536, &a),
			 1);
	p[60000] ^= 1;
	srb(CDB(0x2f, 2, 0, 0, 3, 0xe8, 0, 0, 128), 10, KVMB_SRB_DATA_OUT, gpa, 65536, &a);
	assert_sense(&a, 0x0e, 0x1d);
	/* UNMAP of two ranges: they read as zeroes, what lies between stays */
	memset(p, 0, 40);
	p[1] = 38;
	p[3] = 32;
	p[14] = 0x03, p[15] = 0xe8, p[19] = 8; /* 1000, 8 blocks */
	p[30] = 0x04, p[31] = 0x00, p[35] = 16; /* 1024, 16 blocks */
	assert_int_equal(
		srb(CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 40), 10, KVMB_SRB_DATA_OUT, gpa, 40, &a), 1);
	pread(fd, disk, 8192, 1000 * 512);
	for (i = 0; i < 8 * 512; i++)
		assert_int_equal(disk[i], 0);
	assert_int_not_equal(disk[8 * 512], 0);
	pread(fd, disk, 8192, 1024 * 512);
	assert_int_equal(disk[0] | disk[8191], 0);
	close(fd);
}

/*
 * Storage of 4096-byte blocks takes no piece that begins or ends within one, also if the sum of
 * them is right.
 */
static void direct_io_gets_what_its_storage_takes(void **state)
{
	struct kvmb_disk *d = slow_disk(0);
	u64 gpa = fake_alloc(&f, 2) << 12, id, at;
	struct kvmb_wire_stor a;
	struct iovec v;

	(void)state;
	d->direct = true;
	d->direct_unit = 4096;
	kvmb_storage_attach(s, d, false, 3);
	init();
	for (at = gpa; at <= gpa + 512; at += 512) {
		memset(fake_ptr(&f, at), 0x5a, 4096);
		id = send_srb(&c, 3, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_OUT, at,
			      4096);
		wait_held(1);
		assert_int_equal(slow.held[0]->num_iov, 1);
		v = slow.held[0]->iov[0];
		assert_int_equal(v.iov_len, 4096);
		assert_int_equal((uintptr_t)v.iov_base % 4096, 0);
		assert_memory_equal(v.iov_base, fake_ptr(&f, at), 4096);
		*(u8 *)fake_ptr(&f, at) = 1;
		/* what fits is not copied */
		assert_int_equal(*(u8 *)v.iov_base, at == gpa ? 1 : 0x5a);
		finish_held(0);
		assert_int_equal(answer(&a, id), 0);
	}
}

/* A disk with operations of its own is told what must be on stable storage: zeroes too. */
static void zeroes_without_a_write_cache_carry_fua(void **state)
{
	struct kvmb_disk *d = slow_disk(0);
	struct kvmb_wire_stor a;
	u64 id;

	(void)state;
	d->can_zero = true;
	d->cache = KVMB_CACHE_WRITETHROUGH;
	kvmb_storage_attach(s, d, false, 3);
	init();
	id = send_srb(&c, 3, CDB(0x93, 1, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 64), 16,
		      KVMB_SRB_DATA_NONE, 0, 0);
	wait_held(1);
	assert_int_equal(slow.held[0]->io, KVMB_IO_ZERO);
	assert_true(slow.held[0]->fua);
	finish_held(0);
	assert_int_equal(answer(&a, id), 0); /* and with that it is done */
	assert_int_equal(a.u.srb.srb_status, 1);
}

static void a_slow_disk_does_not_keep_others_waiting(void **state)
{
	u64 gpa = fake_alloc(&f, 4) << 12, id;
	struct kvmb_wire_stor a;

	(void)state;
	kvmb_storage_attach(s, slow_disk(0), false, 3);
	init();
	id = send_srb(&c, 3, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_IN, gpa, 4096);
	wait_held(1);
	srb(CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a); /* "LUNs changed" */
	assert_sense(&a, 6, 0x3f);
	assert_int_equal(srb(CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_IN, gpa + 4096,
			     4096, &a),
			 1);
	finish_held(0);
	assert_int_equal(answer(&a, id), 0);
	assert_int_equal(a.u.srb.srb_status, 1);
}

/* The take has @num pages from @gfn on, and of the ring what the answer may be on. */
static void noted_from(u64 gfn, u32 num)
{
	u64 i, ring = c.first_gfn + c.down;

	dirty_take();
	for (i = 0; i < DIRTY_PAGES; i++) {
		if (i > ring && i < c.first_gfn + c.pages)
			continue;
		CHECK_ROW(dirty_has(i), i >= gfn && i < gfn + num, i);
	}
}

/* Once as a raw disk reads, once as any other. */
static void what_is_read_is_noted(void **state)
{
	u64 gfn = fake_alloc(&f, 8), gpa = gfn << 12;
	struct kvmb_wire_stor a;
	u8 data[16 * 512];
	int fd = open(path, O_WRONLY), i;

	(void)state;
	memset(data, 0x5a, sizeof(data));
	assert_int_equal(pwrite(fd, data, sizeof(data), 0), sizeof(data));
	close(fd);
	kvmb_storage_attach(s, slow_disk(KVMB_ON_ERROR_REPORT), false, 3);
	init();
	__atomic_store_n(&slow.at_once, true, __ATOMIC_RELEASE);
	dirty_begin(&f);
	for (i = 0; i < 2; i++) {
		u8 lun = (u8)(3 * i);

		while (srb_lun(lun, CDB(0), 6, 0, 0, 0, &a) != 1)
			; /* its attentions */
		/* 8 KiB that begin in the middle of a page */
		srb_lun(lun, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 16), 10, KVMB_SRB_DATA_IN, gpa + 2048,
			8192, &a);
		assert_int_equal(a.u.srb.srb_status, 1);
		noted_from(gfn, 3);
		/* less than the buffer */
		srb_lun(lun, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 10, KVMB_SRB_DATA_IN, gpa, 8192,
			&a);
		noted_from(gfn, 1);
		srb_lun(lun, CDB(0x12, 0, 0, 0, 36), 6, KVMB_SRB_DATA_IN, gpa + 4096, 36, &a);
		noted_from(gfn + 1, 1);
		/* what only reads memory */
		srb_lun(lun, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_OUT, gpa, 4096,
			&a);
		assert_int_equal(a.u.srb.srb_status, 1);
		noted_from(0, 0);
	}
	srb(CDB(0x2f, 2, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_OUT, gpa, 4096, &a);
	noted_from(0, 0);
	/* a read that fails has perhaps read a part */
	__atomic_store_n(&slow.fail, -EIO, __ATOMIC_RELEASE);
	srb_lun(3, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_IN, gpa, 4096, &a);
	assert_sense(&a, 3, 0x11);
	noted_from(gfn, 1);
	dirty_end();
}

/* ---- writes, for who copies the disk ---- */

static u64 written(struct kvmb_disk *d)
{
	u64 bits[1] = { 0 };

	kvmb_disk_dirty_take(d, bits);
	return bits[0];
}

static struct kvmb_disk *disk_at(u8 lun)
{
	struct kvmb_unit_info i;

	assert_true(kvmb_storage_unit(s, lun, &i));
	return i.disk;
}

/* 64 KiB are 128 blocks. Both kinds of disk; the raw one does a write at once or by its ring. */
static void what_is_written_is_noted(void **state)
{
	static const u8 unmap[24] = { 0, 22, 0, 16, 0, 0, 0, 0, /* from block 640, 200 of them */
				      0, 0,  0, 0,  0, 0, 2, 0x80, 0, 0, 0, 200 };
	u64 gfn = fake_alloc(&f, 64), gpa = gfn << 12;
	struct kvmb_disk *d, *slow_one = slow_disk(KVMB_ON_ERROR_REPORT);
	struct kvmb_wire_stor a;
	u8 lun;

	(void)state;
	assert_int_equal(kvmb_dirty_log_prepare(), 0);
	kvmb_storage_attach(s, slow_one, false, 3);
	slow_one->can_zero = true;
	init();
	__atomic_store_n(&slow.at_once, true, __ATOMIC_RELEASE);
	for (lun = 0; lun <= 3; lun += 3) {
		d = disk_at(lun);
		while (srb_lun(lun, CDB(0), 6, 0, 0, 0, &a) != 1)
			; /* its attentions */
		srb_lun(lun, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_OUT, gpa, 4096,
			&a);
		assert_int_equal(kvmb_disk_dirty_begin(d), 0);
		srb_lun(lun, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_IN, gpa, 4096,
			&a);
		srb_lun(lun, CDB(0x35), 10, 0, 0, 0, &a); /* flush */
		assert_int_equal(written(d), 0);
		/* 256 KiB from the middle of chunk 1 on, with and without FUA */
		srb_lun(lun, CDB(0x2a, 0, 0, 0, 0, 192, 0, 2, 0), 10, KVMB_SRB_DATA_OUT, gpa,
			262144, &a);
		assert_int_equal(a.u.srb.srb_status, 1);
		assert_int_equal(written(d), 0x3e);
		srb_lun(lun, CDB(0x2a, 8, 0, 0, 2, 0, 0, 0, 1), 10, KVMB_SRB_DATA_OUT, gpa, 512,
			&a);
		assert_int_equal(a.u.srb.srb_status, 1);
		assert_int_equal(written(d), 1 << 4);
		/* WRITE SAME of 300 blocks: pieces of 64 KiB; then of zeroes */
		memset(fake_ptr(&f, gpa), 5, 512);
		srb_lun(lun, CDB(0x41, 0, 0, 0, 1, 0, 0, 1, 44), 10, KVMB_SRB_DATA_OUT, gpa, 512,
			&a);
		assert_int_equal(a.u.srb.srb_status, 1);
		assert_int_equal(written(d), 0x1c);
		memset(fake_ptr(&f, gpa), 0, 512);
		srb_lun(lun, CDB(0x41, 0, 0, 0, 0, 0, 0, 0, 129), 10, KVMB_SRB_DATA_OUT, gpa, 512,
			&a);
		assert_int_equal(a.u.srb.srb_status, 1);
		assert_int_equal(written(d), 3);
		memcpy(fake_ptr(&f, gpa), unmap, sizeof(unmap));
		srb_lun(lun, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 24), 10, KVMB_SRB_DATA_OUT, gpa, 24,
			&a);
		assert_int_equal(a.u.srb.srb_status, 1);
		assert_int_equal(written(d), 0x60);
	}
	/* one that failed has perhaps written a part */
	__atomic_store_n(&slow.fail, -EIO, __ATOMIC_RELEASE);
	srb_lun(3, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_OUT, gpa, 4096, &a);
	assert_sense(&a, 3, 0x0c);
	assert_int_equal(written(slow_one), 1);
}

/*
 * It was submitted before anybody copied, and ends after its chunk was read; and another is
 * under way while the log is taken.
 */
static void write_that_ends_after_it_was_read_is_seen_again(void **state)
{
	u64 gpa = fake_alloc(&f, 1) << 12, id;
	struct kvmb_disk *d = slow_disk(0);
	struct kvmb_wire_stor a;

	(void)state;
	assert_int_equal(kvmb_dirty_log_prepare(), 0);
	kvmb_storage_attach(s, d, false, 3);
	init();
	id = send_srb(&c, 3, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_OUT, gpa, 4096);
	wait_held(1);
	assert_int_equal(kvmb_disk_dirty_begin(d), 0);
	written(d); /* whatever it says, the chunk is read now */
	finish_held(0);
	assert_int_equal(answer(&a, id), 0);
	assert_int_equal(written(d), 1);
	id = send_srb(&c, 3, CDB(0x2a, 0, 0, 0, 0, 128, 0, 0, 8), 10, KVMB_SRB_DATA_OUT, gpa, 4096);
	wait_held(1);
	written(d);
	finish_held(0);
	assert_int_equal(answer(&a, id), 0);
	assert_int_equal(written(d), 2);
}

/* ---- a disk that is copied as it was at one moment ---- */

static struct kvmb_disk_bell bell = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false };

/* It is under way, and has not reached the disk: nobody has said that the old content is saved. */
static void waits_for_its_chunks(struct kvmb_disk *d, u64 id, u64 first, u64 num)
{
	u64 until = kvmb_now_ms() + PATIENCE_MS, chunk, n, left = num;
	u8 buf[256] __attribute__((aligned(8)));
	struct kvmb_wire_stor a;
	struct kvmb_pkt pkt;

	while (left) { /* a piece of it, or all, is wanted */
		while (!kvmb_disk_point_wanted(d, 64, &chunk, &n)) {
			assert_true(kvmb_now_ms() < until);
			kvmb_loop_once(f.loop, 1);
		}
		assert_int_equal(written(d), 0);
		assert_int_equal(kvmb_ring_peek(&c.rx, buf, sizeof(buf), &pkt), -EAGAIN);
		assert_true(chunk >= first && chunk + n <= first + num);
		left -= n;
		if (!left)
			assert_int_equal(written(d), 0);
		kvmb_disk_point_saved(d, chunk, n);
	}
	assert_int_equal(answer(&a, id), 0);
	assert_int_equal(a.u.srb.srb_status, 1);
	assert_int_not_equal(written(d), 0);
	kvmb_disk_point_end(d);
	assert_int_equal(kvmb_disk_point_begin(d, NULL, &bell), 0);
}

static void what_is_not_saved_is_not_overwritten(void **state)
{
	static const u8 unmap[24] = { 0, 22, 0, 16, 0, 0, 0, 0, /* from block 640, 200 of them */
				      0, 0,  0, 0,  0, 0, 2, 0x80, 0, 0, 0, 200 };
	u64 gpa = fake_alloc(&f, 64) << 12, id;
	struct kvmb_disk *d, *slow_one = slow_disk(KVMB_ON_ERROR_REPORT);
	struct kvmb_wire_stor a;
	u8 lun;

	(void)state;
	assert_int_equal(kvmb_dirty_log_prepare(), 0);
	kvmb_storage_attach(s, slow_one, false, 3);
	slow_one->can_zero = true;
	init();
	__atomic_store_n(&slow.at_once, true, __ATOMIC_RELEASE);
	for (lun = 0; lun <= 3; lun += 3) {
		d = disk_at(lun);
		while (srb_lun(lun, CDB(0), 6, 0, 0, 0, &a) != 1)
			; /* its attentions */
		assert_int_equal(kvmb_disk_dirty_begin(d), 0);
		assert_int_equal(kvmb_disk_point_begin(d, NULL, &bell), 0);
		/* who reads waits for nobody */
		srb_lun(lun, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_IN, gpa, 4096,
			&a);
		assert_int_equal(a.u.srb.srb_status, 1);
		srb_lun(lun, CDB(0x35), 10, 0, 0, 0, &a); /* flush */
		assert_int_equal(a.u.srb.srb_status, 1);
		/* 256 KiB from the middle of chunk 1 on; with FUA */
		id = send_srb(&c, lun, CDB(0x2a, 0, 0, 0, 0, 192, 0, 2, 0), 10, KVMB_SRB_DATA_OUT,
			      gpa, 262144);
		waits_for_its_chunks(d, id, 1, 5);
		id = send_srb(&c, lun, CDB(0x2a, 8, 0, 0, 2, 0, 0, 0, 1), 10, KVMB_SRB_DATA_OUT,
			      gpa, 512);
		waits_for_its_chunks(d, id, 4, 1);
		memset(fake_ptr(&f, gpa), 5, 512);
		id = send_srb(&c, lun, CDB(0x41, 0, 0, 0, 1, 0, 0, 1, 44), 10, KVMB_SRB_DATA_OUT,
			      gpa, 512);
		waits_for_its_chunks(d, id, 2, 3);
		memcpy(fake_ptr(&f, gpa), unmap, sizeof(unmap));
		id = send_srb(&c, lun, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 24), 10, KVMB_SRB_DATA_OUT,
			      gpa, 24);
		waits_for_its_chunks(d, id, 5, 2);
	}
	/* a channel that closes drops who waits */
	send_srb(&c, 3, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_OUT, gpa, 4096);
	kvmb_loop_once(f.loop, 10);
}

static u8 moment[BLOCKS * 512];

static void *copy_slowly(void *arg)
{
	struct kvmb_disk *d = arg;
	u64 chunk = 0, at, num, n;

	while ((chunk = kvmb_disk_point_next(d, chunk, 2, &num)) < kvmb_disk_chunks(d)) {
		at = chunk;
		n = num;
		kvmb_disk_point_wanted(d, 2, &at, &n);
		pread(d->fd, moment + at * KVMB_DISK_CHUNK, n * KVMB_DISK_CHUNK,
		      (off_t)(at * KVMB_DISK_CHUNK));
		usleep(1000);
		kvmb_disk_point_saved(d, at, n);
	}
	return NULL;
}

/* A guest that writes all over its disk, by its channel, and a copier: nothing new is copied. */
static void a_copy_under_load_is_of_the_moment(void **state)
{
	static u8 before[sizeof(moment)];
	u64 gpa = fake_alloc(&f, 16) << 12;
	unsigned int seed = 1;
	struct kvmb_wire_stor a;
	struct kvmb_disk *d;
	pthread_t copier;
	u32 i, lba;

	(void)state;
	init();
	d = disk_at(0);
	while (srb_lun(0, CDB(0), 6, 0, 0, 0, &a) != 1)
		; /* its attentions */
	for (i = 0; i < sizeof(before); i++)
		before[i] = (u8)rand_r(&seed);
	assert_int_equal(pwrite(d->fd, before, sizeof(before), 0), sizeof(before));
	memset(fake_ptr(&f, gpa), 0xee, 65536);
	assert_int_equal(kvmb_disk_point_begin(d, NULL, &bell), 0);
	assert_int_equal(pthread_create(&copier, NULL, copy_slowly, d), 0);
	for (i = 0; i < 300; i++) {
		lba = (u32)rand_r(&seed) % (BLOCKS - 16);
		srb_lun(0, CDB(0x2a, i & 8, 0, 0, (u8)(lba >> 8), (u8)lba, 0, 0, 16), 10,
			KVMB_SRB_DATA_OUT, gpa, 8192, &a);
		assert_int_equal(a.u.srb.srb_status, 1);
	}
	pthread_join(copier, NULL);
	kvmb_disk_point_end(d);
	assert_false(kvmb_disk_point_broken(d));
	assert_memory_equal(moment, before, sizeof(before));
	assert_int_equal(pread(d->fd, before, sizeof(before), 0), sizeof(before));
	assert_memory_not_equal(moment, before, sizeof(before));
}

static void percentiles_are_within_a_quarter(void **state)
{
	u64 h[KVMB_LATENCY_BUCKETS] = { 0 };

	(void)state;
	assert_int_equal(kvmb_latency_us(h, 500), 0);
	h[0] = 90; /* below 1 us */
	h[40] = 10;
	assert_int_equal(kvmb_latency_us(h, 500), 1);
	/* bucket 40: log 11, quarter 0: 2048 .. 2559 us */
	assert_int_equal(kvmb_latency_us(h, 990), 2560);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_error_holds_the_request_until_a_retry),
		T(an_error_is_reported_when_asked_to),
		T(requests_that_need_buffers_of_ours_wait_for_each_other),
		T(a_channel_closes_with_requests_at_the_disk),
		T(a_request_that_moved_too_little_is_no_success),
		T(verify_write_same_and_unmap_do_it),
		T(direct_io_gets_what_its_storage_takes),
		T(zeroes_without_a_write_cache_carry_fua),
		T(a_slow_disk_does_not_keep_others_waiting),
		T(what_is_read_is_noted),
		T(what_is_written_is_noted),
		T(write_that_ends_after_it_was_read_is_seen_again),
		T(what_is_not_saved_is_not_overwritten),
		T(a_copy_under_load_is_of_the_moment),
		T(percentiles_are_within_a_quarter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
