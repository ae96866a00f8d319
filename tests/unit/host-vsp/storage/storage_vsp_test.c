// SPDX-License-Identifier: GPL-2.0-only
/* storvsp through the fake VMM: the init sequence, SCSI, data both ways, and liars. */
#include "host-vsp/storage/storage.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host-vsp/worker.h"
#include "tests/harness/fake_vmm.h"
#include "tests/unit/test.h"
#include "vmbus-core/proto/storage.h"

#define BLOCKS 2048u

static struct fake_vmm f;
static struct kvmb_storage *s;
static struct kvmb_wire_offer offer;
static struct fake_chan c;
static char path[] = "/tmp/kvmbus-disk-XXXXXX";
static u64 next_id;

static struct kvmb_disk *open_path(const char *file, bool read_only, int expect)
{
	struct kvmb_disk_spec spec = { .path = file, .read_only = read_only };
	char why[KVMB_DISK_WHY] = "";
	struct kvmb_disk *d = NULL;

	assert_int_equal(kvmb_disk_open(&spec, &d, why, sizeof(why)), expect);
	assert_int_equal(!d, expect != 0);
	assert_int_equal(!why[0], !expect); /* a failure says why */
	return d;
}

static void make_disk(bool read_only)
{
	int fd;

	strcpy(path, "/tmp/kvmbus-disk-XXXXXX");
	fd = mkstemp(path);
	assert_int_equal(ftruncate(fd, BLOCKS * 512), 0);
	close(fd);
	s = kvmb_storage_create(0, 3, f.loop, NULL, NULL);
	assert_int_equal(kvmb_storage_attach(s, open_path(path, read_only, 0), false, 0), 0);
}

static int setup(void **state)
{
	(void)state;
	fake_init(&f, KVMB_VERSION_NEWEST);
	make_disk(false);
	kvmb_storage_offer(s, f.bus);
	assert_int_equal(fake_connect(&f, KVMB_VERSION_NEWEST, &offer, 1), 1);
	assert_int_equal(fake_open(&f, &c, le32_to_cpu(offer.relid), 8), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_unmap(&c);
	fake_rest(&f);
	kvmb_storage_destroy(s);
	fake_fini(&f);
	unlink(path);
	return 0;
}

/* A packet that the host sends unasked: "look at the bus". */
static bool is_enumerate(const struct kvmb_pkt *pkt)
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

static int answer(struct kvmb_wire_stor *p, u64 id)
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

static u32 ask(enum kvmb_stor_op op, struct kvmb_wire_stor *p)
{
	p->operation = cpu_to_le32(op);
	assert_int_equal(fake_send(&f, &c, KVMB_PKT_INBAND, KVMB_PKT_FLAG_COMPLETE, ++next_id, NULL, 0, p,
				   sizeof(*p)), 0);
	assert_int_equal(answer(p, next_id), 0);
	return le32_to_cpu(p->status);
}

static void init(void)
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
static u64 send_srb(struct fake_chan *on, u8 lun, const u8 *cdb, u8 cdb_len, u8 dir, u64 gpa, u32 len)
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
	assert_int_equal(fake_send(&f, on, len ? KVMB_PKT_GPA_DIRECT : KVMB_PKT_INBAND, KVMB_PKT_FLAG_COMPLETE,
				   ++next_id, len ? hdr : NULL, len ? 16 + 8 * pages : 0, &p, sizeof(p)), 0);
	return next_id;
}

static u8 srb_lun(u8 lun, const u8 *cdb, u8 cdb_len, u8 dir, u64 gpa, u32 len, struct kvmb_wire_stor *p)
{
	u64 id = send_srb(&c, lun, cdb, cdb_len, dir, gpa, len);

	assert_int_equal(answer(p, id), 0);
	return p->u.srb.srb_status;
}

/* One SRB to unit 0 and its answer. Return: srb_status; *p = the answer. */
static u8 srb(const u8 *cdb, u8 cdb_len, u8 dir, u64 gpa, u32 len, struct kvmb_wire_stor *p)
{
	return srb_lun(0, cdb, cdb_len, dir, gpa, len, p);
}

#define CDB(...) ((const u8[16]){ __VA_ARGS__ })

static void assert_sense(const struct kvmb_wire_stor *p, u8 key, u8 asc)
{
	assert_int_equal(p->u.srb.srb_status, KVMB_SRB_ERROR | KVMB_SRB_AUTOSENSE_VALID);
	assert_int_equal(p->u.srb.scsi_status, 2);
	assert_int_equal(p->u.srb.u.sense[2], key);
	assert_int_equal(p->u.srb.u.sense[12], asc);
	assert_int_equal(le32_to_cpu(p->u.srb.transfer_length), 0);
}

static void init_sequence_in_order_only(void **state)
{
	static const enum kvmb_stor_op early[] = { KVMB_STOR_END_INIT, KVMB_STOR_QUERY_PROPERTIES,
						   KVMB_STOR_QUERY_VERSION, KVMB_STOR_CREATE_SUB_CHANNELS,
						   KVMB_STOR_EXECUTE_SRB, KVMB_STOR_FCHBA_DATA };
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
	assert_int_equal(srb(CDB(0x2a, 0, 0, 0, 0, 8, 0, 0, 128), 10, KVMB_SRB_DATA_OUT, gpa, 65536, &a), 1);
	assert_int_equal(le32_to_cpu(a.u.srb.transfer_length), 65536);
	fd = open(path, O_RDONLY);
	assert_int_equal(pread(fd, disk, sizeof(disk), 8 * 512), sizeof(disk));
	assert_memory_equal(disk, p, sizeof(disk));
	close(fd);
	memset(p, 0, 65536);
	assert_int_equal(srb(CDB(0x88, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 128), 16, KVMB_SRB_DATA_IN, gpa,
			     65536, &a), 1);
	assert_memory_equal(disk, p, sizeof(disk));
	assert_int_equal(srb(CDB(0x35), 10, KVMB_SRB_DATA_NONE, 0, 0, &a), 1);
	assert_int_equal(srb(CDB(0x2a, 8, 0, 0, 0, 8, 0, 0, 1), 10, KVMB_SRB_DATA_OUT, gpa, 512, &a), 1);
	kvmb_storage_unit_stats(s, 0, &st);
	assert_int_equal(st.flushes, 1);
	assert_int_equal(st.ops[KVMB_KIND_READ], 1);
	assert_int_equal(st.ops[KVMB_KIND_WRITE], 2);
	assert_int_equal(st.bytes[KVMB_KIND_WRITE], 65536 + 512);
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
	assert_int_equal(srb(CDB(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32), 16, KVMB_SRB_DATA_IN, gpa, 32,
			     &a), 1);
	assert_int_equal(p[6] << 8 | p[7], BLOCKS - 1);
	assert_int_equal(p[13], 3);
	assert_int_equal(srb(CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0), 12, KVMB_SRB_DATA_IN, gpa, 256, &a), 1);
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
	struct kvmb_scsi_probe { u8 cdb; u8 status; } probe[] = { { 0x12, 1 }, { 0x00, KVMB_SRB_INVALID_LUN } };
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
	srb(CDB(0x28, 0, 0, 0, 8, 0, 0, 0, 1), 10, KVMB_SRB_DATA_IN, gpa, 512, &a); /* one past the end */
	assert_sense(&a, 5, 0x21);
	srb(CDB(0x88, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 2), 16, KVMB_SRB_DATA_IN, gpa, 1024, &a);
	assert_sense(&a, 5, 0x21);
	srb(CDB(0x88, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255), 16, KVMB_SRB_DATA_IN, gpa, 512, &a);
	assert_sense(&a, 5, 0x21);
	srb(CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 2), 10, KVMB_SRB_DATA_IN, gpa, 512, &a); /* buffer too small */
	assert_sense(&a, 5, 0x24);
	srb(CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 10, KVMB_SRB_DATA_OUT, gpa, 512, &a); /* wrong way */
	assert_sense(&a, 5, 0x24);
	srb(CDB(0x12, 0, 0, 0, 36), 6, KVMB_SRB_DATA_OUT, gpa, 36, &a);
	assert_sense(&a, 5, 0x24);
	srb(CDB(0xee), 6, KVMB_SRB_DATA_NONE, 0, 0, &a);
	assert_sense(&a, 5, 0x20);
	srb(CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 0), 10, KVMB_SRB_DATA_NONE, 0, 0, &a); /* nothing: fine */
	assert_int_equal(a.u.srb.srb_status, 1);
}

static void lies_about_buffers_are_refused(void **state)
{
	struct kvmb_unit_stats st;
	u64 gpa = fake_alloc(&f, 4) << 12;
	struct kvmb_wire_stor a;
	struct { struct kvmb_wire_gpa_direct g; struct kvmb_wire_gparange r; __le64 pfn; } h = {
		{ 0, cpu_to_le32(1) }, { cpu_to_le32(512), 0 }, cpu_to_le64(gpa >> 12) };
	static const struct { u32 count, offset, ranges, transfer; u64 gfn; u8 cdb_len, dir; } lies[] = {
		{ 512, 0, 1, 1024, 0, 10, 1 },	  { 512, 0, 1, 0, 0, 10, 1 },	     { 0, 0, 1, 0, 0, 10, 1 },
		{ 512, 4096, 1, 512, 0, 10, 1 },  { 4096, 4000, 1, 4096, 0, 10, 1 }, { 512, 0, 0, 512, 0, 10, 1 },
		{ 512, 0, 1000, 512, 0, 10, 1 },  { 512, 0, 2, 512, 0, 10, 1 },	     { 0xffffffff, 0, 1, 512, 0, 10, 1 },
		{ 512, 0, 1, 512, 1ull << 40, 10, 1 }, { 512, 0, 1, 512, ~0ull, 10, 1 }, { 512, 0, 1, 512, 0, 17, 1 },
		{ 512, 0, 1, 512, 0, 255, 1 },	  { 512, 0, 1, 512, 0, 10, 3 },
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
	assert_int_equal(srb(CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_IN, (c.first_gfn + 6) << 12,
			     4096, &a), 1);
}

static void a_malformed_packet_stops_the_channel_not_the_bus(void **state)
{
	u8 junk[16] = { 0 };
	struct kvmb_wire_stor a;

	(void)state;
	init();
	fake_send(&f, &c, KVMB_PKT_INBAND, 1, 1, NULL, 0, junk, sizeof(junk));
	assert_int_equal(answer(&a, 1), -EAGAIN);
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
	assert_int_equal(fake_recv(&f, &c, buf, sizeof(buf), &pkt), -EAGAIN);
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

/* ---- a disk that does what the test wants ---- */

static struct slow {
	pthread_mutex_t lock;
	struct kvmb_disk_req *held[64]; /* submitted, not yet answered */
	u32 num, retries;
	int fail;			/* answer at once with this */
	bool at_once;
} slow = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void slow_submit(struct kvmb_disk *d, struct kvmb_disk_req *r)
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

static void slow_cancel(struct kvmb_disk *d, struct kvmb_disk_req *r)
{
	u32 i;

	(void)d;
	pthread_mutex_lock(&slow.lock);
	for (i = 0; i < slow.num && slow.held[i] != r; i++)
		;
	if (i < slow.num) {
		slow.held[i] = slow.held[--slow.num];
		r->result = -ECANCELED;
		r->done(r);
	}
	pthread_mutex_unlock(&slow.lock);
}

static void slow_retry(struct kvmb_disk *d)
{
	(void)d;
	slow.retries++;
}

static void slow_close(struct kvmb_disk *d)
{
	(void)d;
	assert_int_equal(slow.num, 0); /* nobody may let go of a disk that has requests */
}

static const struct kvmb_disk_ops slow_ops = { .submit = slow_submit, .cancel = slow_cancel,
					       .retry = slow_retry, .close = slow_close };

static struct kvmb_disk *slow_disk(enum kvmb_disk_on_error on_error)
{
	struct kvmb_disk *d = calloc(1, sizeof(*d));

	d->fd = d->lock_fd = -1;
	d->ops = &slow_ops;
	d->block = 512;
	d->blocks = 4096;
	d->on_error = on_error;
	strcpy(d->path, "slow");
	strcpy(d->serial, "slow");
	slow.num = slow.retries = 0;
	__atomic_store_n(&slow.fail, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&slow.at_once, false, __ATOMIC_RELEASE);
	return d;
}

static void wait_held(u32 n)
{
	u64 until = kvmb_now_ms() + 2000;
	u32 have;

	do {
		pthread_mutex_lock(&slow.lock);
		have = slow.num;
		pthread_mutex_unlock(&slow.lock);
		kvmb_loop_once(f.loop, 1);
	} while (have < n && kvmb_now_ms() < until);
	assert_int_equal(have, n);
}

static void finish_held(int result)
{
	pthread_mutex_lock(&slow.lock);
	while (slow.num) {
		slow.held[--slow.num]->result = result;
		slow.held[slow.num]->done(slow.held[slow.num]);
	}
	pthread_mutex_unlock(&slow.lock);
}

static u32 gone;
static struct kvmb_disk *gone_disk;

static void on_gone(void *arg, struct kvmb_disk *d)
{
	(void)arg;
	gone++;
	gone_disk = d;
}

static void wait_gone(void)
{
	u64 until = kvmb_now_ms() + 2000;

	while (!gone && kvmb_now_ms() < until)
		kvmb_loop_once(f.loop, 1);
	assert_int_equal(gone, 1);
	gone = 0;
}

static void a_disk_comes_and_is_seen(void **state)
{
	u64 gpa = fake_alloc(&f, 1) << 12;
	struct kvmb_wire_stor a;
	u8 *p = fake_ptr(&f, gpa);
	struct kvmb_disk *d;

	(void)state;
	init();
	enumerates = 0;
	assert_int_equal(srb_lun(3, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a), KVMB_SRB_INVALID_LUN);
	d = slow_disk(0);
	assert_int_equal(kvmb_storage_attach(s, d, false, 0), -EEXIST);
	assert_int_equal(kvmb_storage_attach(s, d, false, 64), -ENOSPC);
	assert_int_equal(kvmb_storage_attach(s, d, false, 3), 0);
	/* the unit that was there has an attention, the new one is simply there */
	srb(CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a);
	assert_sense(&a, 6, 0x3f);
	assert_int_equal(srb_lun(3, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a), 1);
	assert_int_equal(srb(CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0), 12, KVMB_SRB_DATA_IN, gpa, 256, &a), 1);
	assert_int_equal(p[3], 16);
	assert_int_equal(enumerates, 1);
}

/* A guest that looks as soon as it is told: whatever it was told of is to be seen. */
static bool watching, told_too_early;
static u32 told;

void __real_kvmb_worker_kick(struct kvmb_worker *w);
void __wrap_kvmb_worker_kick(struct kvmb_worker *w);
void __wrap_kvmb_worker_kick(struct kvmb_worker *w)
{
	struct kvmb_unit_info i;

	if (watching) {
		told++;
		told_too_early |= !kvmb_storage_unit(s, 3, &i);
	}
	__real_kvmb_worker_kick(w);
}

static void a_new_disk_is_there_before_the_guest_is_told(void **state)
{
	(void)state;
	init();
	told = 0;
	told_too_early = false;
	watching = true;
	assert_int_equal(kvmb_storage_attach(s, slow_disk(0), false, 3), 0);
	watching = false;
	assert_true(told);
	assert_false(told_too_early);
}

static void a_disk_goes_with_io_in_flight(void **state)
{
	u64 gpa = fake_alloc(&f, 4) << 12, id[3];
	struct kvmb_wire_stor a;
	int i;

	(void)state;
	kvmb_storage_attach(s, slow_disk(0), false, 3);
	init();
	for (i = 0; i < 3; i++)
		id[i] = send_srb(&c, 3, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_IN, gpa, 4096);
	wait_held(3);
	assert_int_equal(kvmb_storage_detach(s, 3, on_gone, NULL), 0);
	assert_int_equal(kvmb_storage_detach(s, 3, on_gone, NULL), -ENOENT);
	wait_gone();
	assert_ptr_not_equal(gone_disk, NULL);
	kvmb_disk_close(gone_disk);
	/* each answered, once: the unit is not there any more */
	for (i = 0; i < 3; i++) {
		u8 buf[256] __attribute__((aligned(8)));
		struct kvmb_pkt pkt;
		int k;

		do
			assert_int_equal(fake_recv(&f, &c, buf, sizeof(buf), &pkt), 0);
		while (is_enumerate(&pkt));
		for (k = 0; k < 3 && id[k] != pkt.trans_id; k++)
			;
		assert_true(k < 3);
		id[k] = 0;
		memcpy(&a, pkt.payload, sizeof(a));
		assert_int_equal(a.u.srb.srb_status, KVMB_SRB_INVALID_LUN);
	}
	assert_int_equal(srb_lun(3, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a), KVMB_SRB_INVALID_LUN);
	/* and the place is free for another */
	assert_int_equal(kvmb_storage_attach(s, slow_disk(0), false, 3), 0);
	assert_int_equal(srb_lun(3, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a), 1);
}

static void open_sub_channel(struct fake_chan *sub)
{
	struct kvmb_wire_stor p = { 0 };
	const struct kvmb_wire_offer *o;

	p.u.sub_channels = cpu_to_le16(1);
	assert_int_equal(ask(KVMB_STOR_CREATE_SUB_CHANNELS, &p), 0);
	o = fake_wait(&f, KVMB_MSG_OFFER);
	assert_non_null(o);
	assert_int_equal(fake_open(&f, sub, le32_to_cpu(o->relid), 8), 0);
}

static void a_reset_waits_for_all_channels(void **state)
{
	struct kvmb_wire_stor p = { .operation = cpu_to_le32(KVMB_STOR_RESET_BUS) }, a;
	u8 buf[256] __attribute__((aligned(8)));
	u64 gpa = fake_alloc(&f, 4) << 12, here, there, reset;
	struct fake_chan sub;
	struct kvmb_pkt pkt;

	(void)state;
	kvmb_storage_attach(s, slow_disk(0), false, 3);
	init();
	open_sub_channel(&sub);
	here = send_srb(&c, 3, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_IN, gpa, 4096);
	there = send_srb(&sub, 3, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_IN, gpa + 4096, 4096);
	wait_held(2);
	reset = ++next_id;
	fake_send(&f, &c, KVMB_PKT_INBAND, KVMB_PKT_FLAG_COMPLETE, reset, NULL, 0, &p, sizeof(p));
	/* the two are aborted, each on its own channel, and then the reset is answered */
	assert_int_equal(answer(&a, here), 0);
	assert_sense(&a, 0x0b, 0);
	assert_int_equal(fake_recv(&f, &sub, buf, sizeof(buf), &pkt), 0);
	assert_int_equal(pkt.trans_id, there);
	assert_int_equal(answer(&a, reset), 0);
	assert_int_equal(a.status, 0);
	srb_lun(3, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a);
	assert_sense(&a, 6, 0x29);
	assert_int_equal(srb_lun(3, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a), 1);
	fake_unmap(&sub);
}

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
	u64 gpa = fake_alloc(&f, 1) << 12, id, until = kvmb_now_ms() + 2000;
	struct kvmb_wire_stor a;
	u8 buf[256] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;

	(void)state;
	fake_rest(&f);
	kvmb_storage_destroy(s);
	fake_fini(&f);
	fake_init(&f, KVMB_VERSION_NEWEST);
	s = kvmb_storage_create(0, 3, f.loop, &stop_events, NULL);
	kvmb_storage_attach(s, slow_disk(KVMB_ON_ERROR_DEFAULT), false, 3);
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
		send_srb(&c, 3, CDB(0x2f, 0x02, 0, 0, 0, 0, 0, 2, 0), 10, KVMB_SRB_DATA_OUT, gpa, 256 * 1024);
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
	srb(CDB(0x28, 0, 0, 0, 0, 96, 0, 0, 8), 10, KVMB_SRB_DATA_IN, gpa, 4096, &a); /* half of it is gone */
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
	assert_int_equal(srb(CDB(0x93, 0, 0, 0, 0, 0, 0, 0, 3, 0xe8, 0, 0, 1, 44), 16, KVMB_SRB_DATA_OUT, gpa, 512,
			     &a), 1);
	fd = open(path, O_RDONLY);
	for (i = 1000; i < 1300; i++) {
		assert_int_equal(pread(fd, disk, 512, i * 512), 512);
		assert_memory_equal(disk, p, 512);
	}
	pread(fd, disk, 512, 1300 * 512);
	assert_int_equal(disk[0] | disk[511], 0);
	for (i = 1; i < 128; i++)
		memcpy(p + i * 512, p, 512);
	assert_int_equal(srb(CDB(0x2f, 2, 0, 0, 3, 0xe8, 0, 0, 128), 10, KVMB_SRB_DATA_OUT, gpa, 65536, &a), 1);
	p[60000] ^= 1;
	srb(CDB(0x2f, 2, 0, 0, 3, 0xe8, 0, 0, 128), 10, KVMB_SRB_DATA_OUT, gpa, 65536, &a);
	assert_sense(&a, 0x0e, 0x1d);
	/* UNMAP of two ranges: they read as zeroes, what lies between stays */
	memset(p, 0, 40);
	p[1] = 38;
	p[3] = 32;
	p[14] = 0x03, p[15] = 0xe8, p[19] = 8; /* 1000, 8 blocks */
	p[30] = 0x04, p[31] = 0x00, p[35] = 16; /* 1024, 16 blocks */
	assert_int_equal(srb(CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 40), 10, KVMB_SRB_DATA_OUT, gpa, 40, &a), 1);
	pread(fd, disk, 8192, 1000 * 512);
	for (i = 0; i < 8 * 512; i++)
		assert_int_equal(disk[i], 0);
	assert_int_not_equal(disk[8 * 512], 0);
	pread(fd, disk, 8192, 1024 * 512);
	assert_int_equal(disk[0] | disk[8191], 0);
	close(fd);
}

static void a_medium_is_changed(void **state)
{
	u64 gpa = fake_alloc(&f, 1) << 12;
	struct kvmb_disk *d = slow_disk(0);
	struct kvmb_wire_stor a;

	(void)state;
	d->block = 2048;
	kvmb_storage_attach(s, NULL, true, 3);
	init();
	srb_lun(3, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a);
	assert_sense(&a, 2, 0x3a);
	assert_int_equal(kvmb_storage_set_medium(s, 0, d, on_gone, NULL), -ENOENT); /* a disk, no drive */
	assert_int_equal(kvmb_storage_set_medium(s, 3, d, on_gone, NULL), 0);
	wait_gone();
	assert_null(gone_disk);
	srb_lun(3, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a);
	assert_sense(&a, 6, 0x28);
	send_srb(&c, 3, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 2), 10, KVMB_SRB_DATA_IN, gpa, 4096);
	wait_held(1);
	assert_int_equal(kvmb_storage_set_medium(s, 3, NULL, on_gone, NULL), 0);
	wait_gone();
	assert_ptr_equal(gone_disk, d);
	assert_int_equal(answer(&a, next_id), 0); /* aborted; the next command says why */
	assert_sense(&a, 0x0b, 0);
	kvmb_disk_close(d);
	srb_lun(3, CDB(0x25), 10, KVMB_SRB_DATA_IN, gpa, 8, &a);
	assert_sense(&a, 2, 0x3a);
}

static void a_larger_disk_is_told(void **state)
{
	u64 gpa = fake_alloc(&f, 1) << 12;
	u8 *p = fake_ptr(&f, gpa);
	struct kvmb_wire_stor a;
	struct kvmb_unit_info i;
	char why[KVMB_DISK_WHY];

	(void)state;
	init();
	assert_true(kvmb_storage_unit(s, 0, &i));
	assert_int_equal(kvmb_disk_resize(i.disk, 4096 * 512 + 1, why, sizeof(why)), -EINVAL);
	assert_int_equal(kvmb_disk_resize(i.disk, 1024 * 512, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "destroy"));
	assert_int_equal(kvmb_disk_resize(i.disk, 4096 * 512, why, sizeof(why)), 0);
	kvmb_storage_capacity_changed(s, 0);
	srb(CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 10, KVMB_SRB_DATA_IN, gpa, 512, &a);
	assert_sense(&a, 6, 0x2a);
	srb(CDB(0x25), 10, KVMB_SRB_DATA_IN, gpa, 8, &a);
	assert_int_equal(p[2] << 8 | p[3], 4095);
	assert_int_equal(srb(CDB(0x2a, 0, 0, 0, 0x0f, 0xff, 0, 0, 1), 10, KVMB_SRB_DATA_OUT, gpa, 512, &a), 1);
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
	assert_int_equal(srb(CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_IN, gpa + 4096, 4096, &a), 1);
	finish_held(0);
	assert_int_equal(answer(&a, id), 0);
	assert_int_equal(a.u.srb.srb_status, 1);
}

static void limits_space_requests_out(void **state)
{
	struct kvmb_throttle t = { .iops = 100 };
	u64 now = 1000000000000ull, wait = 0;
	int i;

	(void)state;
	for (i = 0; i < 11; i++) /* a tenth of a second's worth, and the one that is due now */
		assert_int_equal(kvmb_throttle_take(&t, 4096, now), 0);
	for (i = 1; i <= 100; i++) {
		wait = kvmb_throttle_take(&t, 4096, now);
		assert_int_equal(wait, i * 10000000ull); /* 10 ms apart */
	}
	assert_int_equal(kvmb_throttle_take(&t, 0, now + 2000000000ull), 0); /* it empties with time */
	t = (struct kvmb_throttle){ .bps = 1 << 20 };
	assert_int_equal(kvmb_throttle_take(&t, 1 << 20, now), 0); /* one large request at once, */
	assert_int_equal(kvmb_throttle_take(&t, 512, now), 900000000ull); /* but it is paid for */
	assert_int_equal(kvmb_throttle_take(&t, 0, now), 0); /* a flush moves nothing */
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

static void a_locked_image_is_refused(void **state)
{
	(void)state;
	open_path(path, false, -EBUSY);
	open_path(path, true, -EBUSY);
	open_path("/nonexistent", false, -ENOENT);
	open_path("/tmp", true, -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(init_sequence_in_order_only), T(old_guests_speak_48_bytes), T(writes_and_reads_back), T(answers_of_a_disk_a_stock_guest_asks),
		T(absent_lun_is_told_by_inquiry_data), T(commands_that_cannot_be_done_get_sense),
		T(lies_about_buffers_are_refused), T(read_only_disk_refuses_every_write),
		T(ring_memory_as_buffer_hurts_only_the_guest), T(a_malformed_packet_stops_the_channel_not_the_bus),
		T(many_requests_while_the_guest_does_not_read),
		T(a_wild_read_index_while_answers_wait_stops_the_channel), T(reset_is_answered_after_what_came_before),
		T(a_locked_image_is_refused), T(a_disk_comes_and_is_seen),
		T(a_new_disk_is_there_before_the_guest_is_told), T(a_disk_goes_with_io_in_flight),
		T(a_reset_waits_for_all_channels), T(an_error_holds_the_request_until_a_retry),
		T(an_error_is_reported_when_asked_to), T(requests_that_need_buffers_of_ours_wait_for_each_other),
		T(a_channel_closes_with_requests_at_the_disk),
		T(a_request_that_moved_too_little_is_no_success), T(verify_write_same_and_unmap_do_it),
		T(a_medium_is_changed), T(a_larger_disk_is_told), T(a_slow_disk_does_not_keep_others_waiting),
		T(limits_space_requests_out), T(percentiles_are_within_a_quarter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
