// SPDX-License-Identifier: GPL-2.0-only
/* storvsp through the fake VMM: the init sequence, SCSI, data both ways, and liars. */
#include "tests/harness/storage_guest.h"

static void init_sequence_in_order_only(void **state)
{
	static const enum kvmb_stor_op early[] = {
		KVMB_STOR_END_INIT,	 KVMB_STOR_QUERY_PROPERTIES,
		KVMB_STOR_QUERY_VERSION, KVMB_STOR_CREATE_SUB_CHANNELS,
		KVMB_STOR_EXECUTE_SRB,	 KVMB_STOR_FCHBA_DATA
	};
	struct kvmb_wire_stor p = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(early); i++)
		assert_int_equal(ask(early[i], &p), KVMB_STOR_STATUS_INVALID_STATE);
	assert_int_equal(ask(KVMB_STOR_BEGIN_INIT, &p), 0);
	assert_int_equal(ask(KVMB_STOR_BEGIN_INIT, &p), KVMB_STOR_STATUS_INVALID_STATE);
	p.u.version.major_minor = cpu_to_le16(0x0700);
	assert_int_equal(ask(KVMB_STOR_QUERY_VERSION, &p), KVMB_STOR_STATUS_REVISION_MISMATCH);
	p.u.version.major_minor = cpu_to_le16(KVMB_STOR_V5_1);
	assert_int_equal(ask(KVMB_STOR_QUERY_VERSION, &p), 0);
	assert_int_equal(ask(KVMB_STOR_END_INIT, &p), 0);
	p.u.sub_channels = cpu_to_le16(4); /* one more than allowed */
	assert_int_equal(ask(KVMB_STOR_CREATE_SUB_CHANNELS, &p), KVMB_STOR_STATUS_INVALID_REQUEST);
	p.u.sub_channels = cpu_to_le16(2);
	assert_int_equal(ask(KVMB_STOR_CREATE_SUB_CHANNELS, &p), 0);
	assert_non_null(fake_wait(&f, KVMB_MSG_OFFER));
	assert_non_null(fake_wait(&f, KVMB_MSG_OFFER));
}

static void old_guests_speak_48_bytes(void **state)
{
	static const u16 versions[] = { KVMB_STOR_V6_2, KVMB_STOR_V4_2 };
	struct kvmb_wire_stor p = { .operation = cpu_to_le32(KVMB_STOR_BEGIN_INIT) };
	u8 buf[256] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;
	u32 i;

	(void)state;
	for (i = 0; i < 2; i++) { /* begin with 48 bytes as 5.10 does, then agree on new or old */
		p.operation = cpu_to_le32(KVMB_STOR_BEGIN_INIT);
		fake_send(&f, &c, KVMB_PKT_INBAND, 1, 7, NULL, 0, &p, 48);
		assert_int_equal(fake_recv(&f, &c, buf, sizeof(buf), &pkt), 0);
		assert_int_equal(pkt.payload_len, 48);
		p.operation = cpu_to_le32(KVMB_STOR_QUERY_VERSION);
		p.u.version.major_minor = cpu_to_le16(versions[i]);
		fake_send(&f, &c, KVMB_PKT_INBAND, 1, 8, NULL, 0, &p, 48);
		assert_int_equal(fake_recv(&f, &c, buf, sizeof(buf), &pkt), 0);
		assert_int_equal(pkt.payload_len, 48);
		p.operation = cpu_to_le32(KVMB_STOR_END_INIT);
		fake_send(&f, &c, KVMB_PKT_INBAND, 1, 9, NULL, 0, &p, i ? 48 : 64);
		assert_int_equal(fake_recv(&f, &c, buf, sizeof(buf), &pkt), 0);
		assert_int_equal(pkt.payload_len, i ? 48 : 64);
		fake_close(&f, &c);
		assert_int_equal(fake_open(&f, &c, le32_to_cpu(offer.relid), 8), 0);
	}
}

static void writes_and_reads_back(void **state)
{
	u64 gpa = (fake_alloc(&f, 20) << 12) + 512; /* in the middle of a page */
	u8 *p = fake_ptr(&f, gpa), disk[65536];
	struct kvmb_unit_stats st;
	struct kvmb_wire_stor a;
	int fd, i;

	(void)state;
	init();
	for (i = 0; i < 65536; i++)
		p[i] = (u8)(i * 7 + i / 256);
	assert_int_equal(
		srb(CDB(0x2a, 0, 0, 0, 0, 8, 0, 0, 128), 10, KVMB_SRB_DATA_OUT, gpa, 65536, &a), 1);
	assert_int_equal(le32_to_cpu(a.u.srb.transfer_length), 65536);
	fd = open(path, O_RDONLY);
	assert_int_equal(pread(fd, disk, sizeof(disk), 8 * 512), sizeof(disk));
	assert_memory_equal(disk, p, sizeof(disk));
	close(fd);
	memset(p, 0, 65536);
	assert_int_equal(srb(CDB(0x88, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 128), 16,
			     KVMB_SRB_DATA_IN, gpa, 65536, &a),
			 1);
	assert_memory_equal(disk, p, sizeof(disk));
	assert_int_equal(srb(CDB(0x35), 10, KVMB_SRB_DATA_NONE, 0, 0, &a), 1);
	assert_int_equal(
		srb(CDB(0x2a, 8, 0, 0, 0, 8, 0, 0, 1), 10, KVMB_SRB_DATA_OUT, gpa, 512, &a), 1);
	kvmb_storage_unit_stats(s, 0, &st);
	assert_int_equal(st.flushes, 1);
	assert_int_equal(st.ops[KVMB_KIND_READ], 1);
	assert_int_equal(st.ops[KVMB_KIND_WRITE], 2);
	assert_int_equal(st.bytes[KVMB_KIND_WRITE], 65536 + 512);
}

/* A save whose flush has failed leaves a VM that goes on; the kernel tells no error twice. */
static void flush_that_failed_before_is_told_once(void **state)
{
	struct kvmb_unit_info i;
	struct kvmb_wire_stor a;

	(void)state;
	init();
	assert_true(kvmb_storage_unit(s, 0, &i));
	kvmb_disk_owe(i.disk, -EIO);
	assert_int_equal(srb(CDB(0x35), 10, KVMB_SRB_DATA_NONE, 0, 0, &a),
			 KVMB_SRB_ERROR | KVMB_SRB_AUTOSENSE_VALID);
	assert_int_equal(srb(CDB(0x35), 10, KVMB_SRB_DATA_NONE, 0, 0, &a), 1);
	/* nor is that flush tried again: it would succeed, and say what is not true */
	i.disk->on_error = KVMB_ON_ERROR_STOP;
	kvmb_disk_owe(i.disk, -ENOSPC);
	assert_int_equal(srb(CDB(0x35), 10, KVMB_SRB_DATA_NONE, 0, 0, &a),
			 KVMB_SRB_ERROR | KVMB_SRB_AUTOSENSE_VALID);
	assert_int_equal(srb(CDB(0x35), 10, KVMB_SRB_DATA_NONE, 0, 0, &a), 1);
}

static void answers_of_a_disk_a_stock_guest_asks(void **state)
{
	u64 gpa = fake_alloc(&f, 1) << 12;
	u8 *p = fake_ptr(&f, gpa);
	struct kvmb_wire_stor a;

	(void)state;
	init();
	assert_int_equal(srb(CDB(0x12, 0, 0, 0, 36), 6, KVMB_SRB_DATA_IN, gpa, 36, &a), 1);
	assert_memory_equal(p + 8, "Msft    Virtual Disk    ", 24);
	assert_int_equal(p[0], 0);
	assert_int_equal(le32_to_cpu(a.u.srb.transfer_length), 36);
	assert_int_equal(srb(CDB(0x12, 1, 0x83, 0, 255), 6, KVMB_SRB_DATA_IN, gpa, 255, &a), 1);
	assert_int_equal(p[5], 3);
	assert_int_equal(p[8] >> 4, 3);
	assert_int_equal(srb(CDB(0x12, 1, 0xb9, 0, 255), 6, KVMB_SRB_DATA_IN, gpa, 255, &a),
			 KVMB_SRB_ERROR | KVMB_SRB_AUTOSENSE_VALID);
	assert_sense(&a, 5, 0x24);
	assert_int_equal(srb(CDB(0x25), 10, KVMB_SRB_DATA_IN, gpa, 8, &a), 1);
	assert_int_equal(p[2] << 8 | p[3], BLOCKS - 1);
	assert_int_equal(srb(CDB(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32), 16,
			     KVMB_SRB_DATA_IN, gpa, 32, &a),
			 1);
	assert_int_equal(p[6] << 8 | p[7], BLOCKS - 1);
	assert_int_equal(p[13], 3);
	assert_int_equal(
		srb(CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0), 12, KVMB_SRB_DATA_IN, gpa, 256, &a), 1);
	assert_int_equal(p[3], 8); /* one LUN */
	assert_int_equal(srb(CDB(0x1a, 8, 8, 0, 64), 6, KVMB_SRB_DATA_IN, gpa, 64, &a), 1);
	assert_int_equal(p[4 + 2] & 4, 4); /* write cache on */
	assert_int_equal(srb(CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a), 1);
}

static void absent_lun_is_told_by_inquiry_data(void **state)
{
	u64 gpa = fake_alloc(&f, 1) << 12;
	struct kvmb_wire_stor a = { 0 };
	u8 *p = fake_ptr(&f, gpa);
	struct kvmb_scsi_probe {
		u8 cdb;
		u8 status;
	} probe[] = { { 0x12, 1 }, { 0x00, KVMB_SRB_INVALID_LUN } };
	struct { struct kvmb_wire_gpa_direct g; struct kvmb_wire_gparange r; __le64 pfn; } h = {
		{ 0, cpu_to_le32(1) }, { cpu_to_le32(36), 0 }, cpu_to_le64(gpa >> 12) };
	size_t i;

	(void)state;
	init();
	for (i = 0; i < ARRAY_SIZE(probe); i++) {
		memset(&a, 0, sizeof(a));
		a.operation = cpu_to_le32(KVMB_STOR_EXECUTE_SRB);
		a.u.srb.cdb_length = 6;
		a.u.srb.lun = 5;
		a.u.srb.data_in = 1;
		a.u.srb.transfer_length = cpu_to_le32(36);
		a.u.srb.u.cdb[0] = probe[i].cdb;
		a.u.srb.u.cdb[4] = 36;
		fake_send(&f, &c, KVMB_PKT_GPA_DIRECT, 1, ++next_id, &h, sizeof(h), &a, sizeof(a));
		assert_int_equal(answer(&a, next_id), 0);
		assert_int_equal(a.u.srb.srb_status, probe[i].status);
	}
	assert_int_equal(p[0], 0x7f);
}

static void commands_that_cannot_be_done_get_sense(void **state)
{
	u64 gpa = fake_alloc(&f, 4) << 12;
	struct kvmb_wire_stor a;

	(void)state;
	init();
	/* one past the end */
	srb(CDB(0x28, 0, 0, 0, 8, 0, 0, 0, 1), 10, KVMB_SRB_DATA_IN, gpa, 512, &a);
	assert_sense(&a, 5, 0x21);
	srb(CDB(0x88, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 2), 16, KVMB_SRB_DATA_IN,
	    gpa, 1024, &a);
	assert_sense(&a, 5, 0x21);
	srb(CDB(0x88, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255), 16, KVMB_SRB_DATA_IN, gpa,
	    512, &a);
	assert_sense(&a, 5, 0x21);
	/* buffer too small */
	srb(CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 2), 10, KVMB_SRB_DATA_IN, gpa, 512, &a);
	assert_sense(&a, 5, 0x24);
	srb(CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 10, KVMB_SRB_DATA_OUT, gpa, 512, &a); /* wrong way */
	assert_sense(&a, 5, 0x24);
	srb(CDB(0x12, 0, 0, 0, 36), 6, KVMB_SRB_DATA_OUT, gpa, 36, &a);
	assert_sense(&a, 5, 0x24);
	srb(CDB(0xee), 6, KVMB_SRB_DATA_NONE, 0, 0, &a);
	assert_sense(&a, 5, 0x20);
	/* nothing: fine */
	srb(CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 0), 10, KVMB_SRB_DATA_NONE, 0, 0, &a);
	assert_int_equal(a.u.srb.srb_status, 1);
}

static void lies_about_buffers_are_refused(void **state)
{
	struct kvmb_unit_stats st;
	u64 gpa = fake_alloc(&f, 4) << 12;
	struct kvmb_wire_stor a;
	struct { struct kvmb_wire_gpa_direct g; struct kvmb_wire_gparange r; __le64 pfn; } h = {
		{ 0, cpu_to_le32(1) }, { cpu_to_le32(512), 0 }, cpu_to_le64(gpa >> 12) };
	static const struct {
		u32 count, offset, ranges, transfer;
		u64 gfn;
		u8 cdb_len, dir;
	} lies[] = {
		{ 512, 0, 1, 1024, 0, 10, 1 },
		{ 512, 0, 1, 0, 0, 10, 1 },
		{ 0, 0, 1, 0, 0, 10, 1 },
		{ 512, 4096, 1, 512, 0, 10, 1 },
		{ 4096, 4000, 1, 4096, 0, 10, 1 },
		{ 512, 0, 0, 512, 0, 10, 1 },
		{ 512, 0, 1000, 512, 0, 10, 1 },
		{ 512, 0, 2, 512, 0, 10, 1 },
		{ 0xffffffff, 0, 1, 512, 0, 10, 1 },
		{ 512, 0, 1, 512, 1ull << 40, 10, 1 },
		{ 512, 0, 1, 512, ~0ull, 10, 1 },
		{ 512, 0, 1, 512, 0, 17, 1 },
		{ 512, 0, 1, 512, 0, 255, 1 },
		{ 512, 0, 1, 512, 0, 10, 3 },
	};
	size_t i;

	(void)state;
	init();
	for (i = 0; i < ARRAY_SIZE(lies); i++) {
		memset(&a, 0, sizeof(a));
		a.operation = cpu_to_le32(KVMB_STOR_EXECUTE_SRB);
		a.u.srb.cdb_length = lies[i].cdb_len;
		a.u.srb.data_in = lies[i].dir;
		a.u.srb.transfer_length = cpu_to_le32(lies[i].transfer);
		a.u.srb.u.cdb[0] = 0x28;
		a.u.srb.u.cdb[8] = 1;
		h.g.range_count = cpu_to_le32(lies[i].ranges);
		h.r.byte_count = cpu_to_le32(lies[i].count);
		h.r.byte_offset = cpu_to_le32(lies[i].offset);
		h.pfn = cpu_to_le64(lies[i].gfn ? lies[i].gfn : gpa >> 12);
		fake_send(&f, &c, KVMB_PKT_GPA_DIRECT, 1, ++next_id, &h, sizeof(h), &a, sizeof(a));
		assert_int_equal(answer(&a, next_id), 0);
		assert_int_equal(a.u.srb.srb_status, KVMB_SRB_INVALID_REQUEST);
	}
	kvmb_storage_unit_stats(s, 0, &st);
	assert_int_equal(st.ops[KVMB_KIND_READ], 0);
}

static void read_only_disk_refuses_every_write(void **state)
{
	static const u8 ops[] = { 0x0a, 0x2a, 0xaa, 0x8a };
	u8 cdb[16] = { 0 };
	struct kvmb_wire_stor a;
	u64 gpa;
	size_t i;

	(void)state;
	teardown(state);
	fake_init(&f, KVMB_VERSION_NEWEST);
	make_disk(true);
	kvmb_storage_offer(s, f.bus);
	fake_connect(&f, KVMB_VERSION_NEWEST, &offer, 1);
	fake_open(&f, &c, le32_to_cpu(offer.relid), 8);
	init();
	gpa = fake_alloc(&f, 1) << 12;
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		memset(cdb, 0, sizeof(cdb));
		cdb[0] = ops[i];
		cdb[4] = ops[i] == 0x0a;
		cdb[8] = ops[i] == 0x2a;
		cdb[9] = ops[i] == 0xaa;
		cdb[13] = ops[i] == 0x8a;
		srb(cdb, 16, KVMB_SRB_DATA_OUT, gpa, 512, &a);
		assert_sense(&a, 7, 0x27);
	}
}

static void ring_memory_as_buffer_hurts_only_the_guest(void **state)
{
	struct kvmb_wire_stor a;

	(void)state;
	init();
	/* the disk is read into the guest's own half of the ring: data area of guest to host */
	assert_int_equal(srb(CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_IN,
			     (c.first_gfn + 6) << 12, 4096, &a),
			 1);
}

static void a_malformed_packet_stops_the_channel_not_the_bus(void **state)
{
	u8 junk[16] = { 0 }, buf[256] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;

	(void)state;
	init();
	fake_send(&f, &c, KVMB_PKT_INBAND, 1, 1, NULL, 0, junk, sizeof(junk));
	assert_int_equal(fake_recv_within(&f, &c, buf, sizeof(buf), &pkt, 500), -EAGAIN);
	fake_close(&f, &c); /* and can be closed and opened afresh */
	assert_int_equal(fake_open(&f, &c, le32_to_cpu(offer.relid), 8), 0);
	init();
}

static void many_requests_while_the_guest_does_not_read(void **state)
{
	struct kvmb_wire_stor p, a;
	u32 sent = 0, got = 0;
	u8 buf[256] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;

	(void)state;
	init();
	memset(&p, 0, sizeof(p));
	p.operation = cpu_to_le32(KVMB_STOR_EXECUTE_SRB);
	p.u.srb.cdb_length = 6;
	p.u.srb.data_in = 2;
	while (sent < 2000) { /* far more than the answers' ring takes */
		if (!kvmb_ring_put(&c.tx, KVMB_PKT_INBAND, 1, ++next_id, NULL, 0, &p, sizeof(p))) {
			sent++;
			if (kvmb_ring_publish(&c.tx) > 0)
				fake_signal(&f, &c);
			continue;
		}
		next_id--;
		while (!kvmb_ring_peek(&c.rx, buf, sizeof(buf), &pkt)) {
			got++;
			kvmb_ring_skip(&c.rx, &pkt);
			if (kvmb_ring_release(&c.rx) > 0)
				fake_signal(&f, &c);
		}
	}
	while (got < sent && !fake_recv(&f, &c, buf, sizeof(buf), &pkt))
		got++;
	assert_int_equal(got, sent); /* each answered exactly once */
	assert_int_equal(fake_recv_within(&f, &c, buf, sizeof(buf), &pkt, 200), -EAGAIN);
	memcpy(&a, buf, sizeof(a));
}

static void a_wild_read_index_while_answers_wait_stops_the_channel(void **state)
{
	struct kvmb_wire_stor p = { .operation = cpu_to_le32(KVMB_STOR_EXECUTE_SRB) };
	u32 idle = 0;

	(void)state;
	init();
	p.u.srb.cdb_length = 6;
	p.u.srb.data_in = 2;
	while (idle < 100) { /* until the host takes no more, since its answers find no room */
		if (kvmb_ring_put(&c.tx, KVMB_PKT_INBAND, 1, ++next_id, NULL, 0, &p, sizeof(p))) {
			idle++;
			usleep(1000);
			continue;
		}
		idle = 0;
		kvmb_ring_publish(&c.tx);
		fake_signal(&f, &c);
	}
	WRITE_ONCE(c.rx.ctrl->read_index, cpu_to_le32(0xfffffff8));
	fake_signal(&f, &c);
	fake_close(&f, &c); /* the worker has not lost itself */
	assert_int_equal(fake_open(&f, &c, le32_to_cpu(offer.relid), 8), 0);
	init();
}

static void reset_is_answered_after_what_came_before(void **state)
{
	struct kvmb_wire_stor p = { 0 };

	(void)state;
	init();
	assert_int_equal(ask(KVMB_STOR_RESET_BUS, &p), 0);
	assert_int_equal(ask(KVMB_STOR_RESET_LUN, &p), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(init_sequence_in_order_only),
		T(old_guests_speak_48_bytes),
		T(writes_and_reads_back),
		T(flush_that_failed_before_is_told_once),
		T(answers_of_a_disk_a_stock_guest_asks),
		T(absent_lun_is_told_by_inquiry_data),
		T(commands_that_cannot_be_done_get_sense),
		T(lies_about_buffers_are_refused),
		T(read_only_disk_refuses_every_write),
		T(ring_memory_as_buffer_hurts_only_the_guest),
		T(a_malformed_packet_stops_the_channel_not_the_bus),
		T(many_requests_while_the_guest_does_not_read),
		T(a_wild_read_index_while_answers_wait_stops_the_channel),
		T(reset_is_answered_after_what_came_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
