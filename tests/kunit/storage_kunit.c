// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvmb_storage against a scripted disk controller (docs/threat-model.md#G03). Wire facts:
 * vmbus-core/proto/storage.h.
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <scsi/scsi.h>
#include <scsi/scsi_cmnd.h>
#include <scsi/scsi_device.h>
#include <scsi/scsi_host.h>

#include "tests/kunit/kunit_case.h"
#include "tests/kunit/script_host.h"
#include "vmbus-core/proto/storage.h"

#define RELID 3
#define BLOCKS 256u

static const struct kvmb_guid scsi_type = KVMB_SCSI_TYPE_GUID;

/* The controller: one disk of BLOCKS blocks, each filled with its number */
static struct {
	u16 newest;		/* version that it takes */
	u32 mute_op;		/* enum kvmb_stor_op that has no answer, 0: none */
	/* before an answer goes out; false: it does not */
	bool (*twist)(struct kvmb_wire_stor *p, u64 *id, u32 *len, u32 op, const u8 *cdb);
	u32 copies;		/* of each answer; 0 is 1 */
	u32 requests[16];	/* by operation */
	u8 data[64 << 10];
} disk;

static u32 scsi_answer(const struct kvmb_pkt *pkt, struct kvmb_wire_srb *srb)
{
	u32 want = le32_to_cpu(srb->transfer_length), len = 0, lba, n, i;
	u8 cdb[KVMB_STOR_CDB_SIZE];

	memcpy(cdb, srb->u.cdb, sizeof(cdb));
	memset(srb->u.sense, 0, sizeof(srb->u.sense));
	memset(disk.data, 0, 256);
	srb->srb_status = KVMB_SRB_SUCCESS;
	srb->scsi_status = 0;
	if (srb->target || srb->lun || srb->path) {
		srb->srb_status = KVMB_SRB_INVALID_LUN;
		srb->transfer_length = 0;
		return 0;
	}
	switch (cdb[0]) {
	case TEST_UNIT_READY:
	case START_STOP:
		break;
	case INQUIRY:
		if (cdb[1] & 1)
			goto refuse;
		memcpy(disk.data, (const u8[]){ 0, 0, 5, 2, 31 }, 5);
		memcpy(disk.data + 8, "kvmbus  scripted disk   1   ", 28);
		len = 36;
		break;
	case REPORT_LUNS:
		disk.data[3] = 8;
		len = 16;
		break;
	case READ_CAPACITY:
		memcpy(disk.data, (const u8[]){ 0, 0, 0, BLOCKS - 1, 0, 0, 2, 0 }, 8);
		len = 8;
		break;
	case MODE_SENSE:
		disk.data[0] = 3;
		len = 4;
		break;
	case READ_10:
		lba = cdb[4] << 8 | cdb[5];
		n = cdb[7] << 8 | cdb[8];
		for (i = 0; i < n && i < sizeof(disk.data) / 512; i++)
			memset(disk.data + 512 * i, lba + i, 512);
		len = 512 * i;
		break;
	default:
refuse:
		srb->srb_status = KVMB_SRB_ERROR | KVMB_SRB_AUTOSENSE_VALID;
		srb->scsi_status = SAM_STAT_CHECK_CONDITION;
		srb->sense_length = 18;
		memcpy(srb->u.sense, (const u8[]){ 0x70, 0, ILLEGAL_REQUEST, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x20, 0 }, 14);
		srb->transfer_length = 0;
		return 0;
	}
	len = min(len, want);
	if (len)
		len = host_copy(pkt, disk.data, len, true);
	srb->transfer_length = cpu_to_le32(len);
	return len;
}

static void on_packet(struct host_chan *c, const struct kvmb_pkt *pkt, void *ctx)
{
	struct kvmb_wire_stor p = { 0 };
	u32 op, len = min_t(u32, pkt->payload_len, sizeof(p)), i;
	u64 id = pkt->trans_id;
	u8 cdb[KVMB_STOR_CDB_SIZE];

	memcpy(&p, pkt->payload, len);
	op = le32_to_cpu(p.operation);
	disk.requests[op & 15]++;
	if (op == disk.mute_op)
		return;
	memcpy(cdb, p.u.srb.u.cdb, sizeof(cdb));
	p.operation = cpu_to_le32(KVMB_STOR_COMPLETE_IO);
	p.status = 0;
	switch (op) {
	case KVMB_STOR_QUERY_VERSION:
		if (le16_to_cpu(p.u.version.major_minor) > disk.newest)
			p.status = cpu_to_le32(KVMB_STOR_STATUS_REVISION_MISMATCH);
		break;
	case KVMB_STOR_QUERY_PROPERTIES:
		memset(&p.u, 0, sizeof(p.u));
		p.u.properties.max_transfer = cpu_to_le32(128 << 10);
		break;
	case KVMB_STOR_EXECUTE_SRB:
		scsi_answer(pkt, &p.u.srb);
		break;
	}
	if (disk.twist && !disk.twist(&p, &id, &len, op, cdb))
		return;
	for (i = 0; i < max(disk.copies, 1u); i++)
		host_put(c, KVMB_PKT_COMPLETION, 0, id, NULL, 0, &p, len);
}

/* ---- helpers ---- */

static struct Scsi_Host *find_host(void)
{
	struct Scsi_Host *host;
	unsigned int i;

	for (i = 0; i < 4096; i++) {
		host = scsi_host_lookup(i);
		if (!host)
			continue;
		if (!strcmp(host->hostt->proc_name, "kvmb_storage"))
			return host;
		scsi_host_put(host);
	}
	return NULL;
}

static struct scsi_device *find_disk(void)
{
	struct Scsi_Host *host = find_host();
	struct scsi_device *sdev;

	if (!host)
		return NULL;
	sdev = scsi_device_lookup(host, 0, 0, 0);
	scsi_host_put(host);
	return sdev;
}

static void plug_in(void)
{
	host_chan_of(RELID)->on_packet = on_packet;
	host_offer(RELID, &scsi_type, 1, 0);
	/* the probe scans while it is probed, and waits for the host, which has a workqueue of its own */
	host_settle();
}

static int storage_init(struct kunit *test)
{
	memset(&disk, 0, sizeof(disk));
	disk.newest = KVMB_STOR_V6_2;
	host_reset();
	return 0;
}

static void storage_exit(struct kunit *test)
{
	disk.mute_op = 0;
	disk.twist = NULL;
	disk.copies = 0;
	host_reset();
}

/* Return: as scsi_execute_req(); *same: whether the data is that of the block */
static int read_block(struct scsi_device *sdev, u8 lba, bool *same)
{
	const u8 cdb[10] = { READ_10, 0, 0, 0, 0, lba, 0, 0, 1, 0 };
	u8 *buf = kzalloc(512, GFP_KERNEL);
	struct scsi_sense_hdr sshdr;
	int err = -ENOMEM;

	if (buf) {
		err = scsi_execute_req(sdev, cdb, DMA_FROM_DEVICE, buf, 512, &sshdr, 2 * HZ, 0, NULL);
		*same = buf[0] == lba && buf[511] == lba;
	}
	kfree(buf);
	return err;
}

/* ---- start ---- */

CASE(a_disk_appears_and_is_read)
{
	struct scsi_device *sdev;
	bool same;
	u32 lba;

	plug_in();
	sdev = find_disk();
	NEED(sdev);
	for (lba = 1; lba < 200; lba++) {
		CHECK_EQ(read_block(sdev, lba, &same), 0);
		CHECK(same);
	}
	scsi_device_put(sdev);
	host_rescind(RELID);
	host_settle();
	CHECK(!find_host());
}

CASE(every_version_of_the_protocol_is_spoken)
{
	static const u16 versions[] = { KVMB_STOR_V2_0, KVMB_STOR_V4_2, KVMB_STOR_V5_1, KVMB_STOR_V6_0, KVMB_STOR_V6_2 };
	struct scsi_device *sdev;
	bool same;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(versions); i++) {
		disk.newest = versions[i];
		plug_in();
		sdev = find_disk();
		NEED(sdev);
		CHECK_ROW(read_block(sdev, 7, &same), 0, i);
		CHECK(same);
		scsi_device_put(sdev);
		host_reset();
	}
	disk.newest = 0x0100;
	plug_in();
	CHECK(!find_host());
}

static u32 twist_op, twist_row;
static bool twist_start(struct kvmb_wire_stor *p, u64 *id, u32 *len, u32 op, const u8 *cdb)
{
	if (op != twist_op)
		return true;
	switch (twist_row) {
	case 0:
		p->status = cpu_to_le32(KVMB_STOR_STATUS_ERROR);
		break;
	case 1:
		p->operation = cpu_to_le32(KVMB_STOR_EXECUTE_SRB);
		break;
	case 2:
		memset(&p->u, 0, sizeof(p->u));
		break;
	case 3:
		memset(&p->u, 0xff, sizeof(p->u));
		break;
	case 4: /* a second answer that says otherwise, at once */
		host_put(host_chan_of(RELID), KVMB_PKT_COMPLETION, 0, *id, NULL, 0, p, *len);
		memset(p, 0xff, sizeof(*p));
		break;
	}
	return true;
}

CASE(a_start_that_is_lied_to_ends_well_or_not_at_all)
{
	/* rows: an error, no completion, zeroes, ones, two answers; true: a disk comes all the same */
	static const struct { u32 op; bool comes[5]; } table[] = {
		{ KVMB_STOR_BEGIN_INIT, { false, false, true, true, true } },
		{ KVMB_STOR_QUERY_VERSION, { false, false, true, true, true } },
		{ KVMB_STOR_QUERY_PROPERTIES, { false, false, false, true, true } }, /* no byte a transfer is none */
		{ KVMB_STOR_END_INIT, { false, false, true, true, true } },
	};
	struct Scsi_Host *host;
	size_t i, row;

	disk.twist = twist_start;
	for (i = 0; i < ARRAY_SIZE(table); i++) {
		for (row = 0; row < 5; row++) {
			twist_op = table[i].op;
			twist_row = row;
			plug_in();
			host = find_host();
			if (row < 4)
				CHECK_ROW(!!host, table[i].comes[row], 10 * i + row);
			if (host) {
				CHECK(host->max_sectors > 0);
				CHECK(host->nr_hw_queues <= 64);
				scsi_host_put(host);
			}
			host_reset();
		}
	}
}

CASE(a_silent_start_is_given_up)
{
	unsigned long begin = jiffies;

	disk.mute_op = KVMB_STOR_QUERY_PROPERTIES;
	plug_in();
	CHECK(!find_host());
	CHECK(jiffies - begin < 30 * HZ); /* STOR_TIMEOUT_S is 2 here */
}

/* ---- answers that lie ---- */

static bool only_reads(const u8 *cdb, u32 op)
{
	return op == KVMB_STOR_EXECUTE_SRB && cdb[0] == READ_10;
}

static bool twist_ids(struct kvmb_wire_stor *p, u64 *id, u32 *len, u32 op, const u8 *cdb)
{
	static const u64 other[] = { 0, 1, ~0ull, 0x7fffffffull, 0x100000000ull };
	struct host_chan *c = host_chan_of(RELID);
	size_t i;

	if (only_reads(cdb, op)) {
		for (i = 0; i < ARRAY_SIZE(other); i++)
			host_put(c, KVMB_PKT_COMPLETION, 0, other[i], NULL, 0, p, *len);
		for (i = 0; i < 64; i++) /* each bit of the right one wrong */
			host_put(c, KVMB_PKT_COMPLETION, 0, *id ^ 1ull << i, NULL, 0, p, *len);
		host_put(c, KVMB_PKT_INBAND, 0, *id, NULL, 0, p, *len); /* no completion */
	}
	return true;
}

CASE(answers_to_no_request_complete_nothing)
{
	struct scsi_device *sdev;
	bool same;
	int i;

	plug_in();
	sdev = find_disk();
	NEED(sdev);
	disk.twist = twist_ids;
	for (i = 1; i < 20; i++) {
		CHECK_EQ(read_block(sdev, i, &same), 0);
		CHECK(same);
	}
	disk.twist = NULL;
	disk.copies = 3; /* each answer three times */
	for (i = 1; i < 20; i++) {
		CHECK_EQ(read_block(sdev, i, &same), 0);
		CHECK(same);
	}
	scsi_device_put(sdev);
}

static u32 short_len;
static bool twist_short(struct kvmb_wire_stor *p, u64 *id, u32 *len, u32 op, const u8 *cdb)
{
	if (only_reads(cdb, op))
		host_put(host_chan_of(RELID), KVMB_PKT_COMPLETION, 0, *id, NULL, 0, p, short_len);
	return true;
}

CASE(answers_that_are_too_short_are_none)
{
	struct scsi_device *sdev;
	bool same;

	plug_in();
	sdev = find_disk();
	NEED(sdev);
	disk.twist = twist_short;
	for (short_len = 0; short_len < sizeof(struct kvmb_wire_stor) - 8; short_len += 8) {
		CHECK_EQ(read_block(sdev, 9, &same), 0);
		CHECK(same);
	}
	scsi_device_put(sdev);
}

static u8 lie_srb, lie_scsi, lie_sense;
static u32 lie_moved;
static bool twist_status(struct kvmb_wire_stor *p, u64 *id, u32 *len, u32 op, const u8 *cdb)
{
	if (only_reads(cdb, op)) {
		p->u.srb.srb_status = lie_srb;
		p->u.srb.scsi_status = lie_scsi;
		p->u.srb.sense_length = lie_sense;
		p->u.srb.transfer_length = cpu_to_le32(lie_moved);
		memset(p->u.srb.u.sense, 0x70, sizeof(p->u.srb.u.sense));
	}
	return true;
}

CASE(every_status_ends_the_command)
{
	struct scsi_device *sdev;
	bool same;
	u32 i;

	plug_in();
	sdev = find_disk();
	NEED(sdev);
	disk.twist = twist_status;
	for (i = 0; i < 256; i++) {
		if ((i & 0x3f) == KVMB_SRB_INVALID_LUN)
			continue; /* takes the disk away, as it should */
		lie_srb = i;
		lie_scsi = i & 1 ? SAM_STAT_GOOD : 0xfe;
		lie_sense = 255; /* of 20 */
		lie_moved = 0xffffffff; /* of 512 */
		read_block(sdev, 3, &same);
	}
	lie_srb = KVMB_SRB_SUCCESS;
	lie_scsi = SAM_STAT_GOOD;
	CHECK_EQ(read_block(sdev, 3, &same), 0);
	CHECK(same);
	scsi_device_put(sdev);
}

CASE(a_disk_that_is_said_to_be_gone_goes)
{
	struct scsi_device *sdev;
	unsigned long end = jiffies + 10 * HZ;
	bool same;

	plug_in();
	sdev = find_disk();
	NEED(sdev);
	disk.twist = twist_status;
	lie_srb = KVMB_SRB_INVALID_LUN;
	lie_scsi = 0;
	CHECK(read_block(sdev, 3, &same) != 0);
	scsi_device_put(sdev);
	while ((sdev = find_disk()) && time_before(jiffies, end)) {
		scsi_device_put(sdev);
		msleep(20);
	}
	CHECK(!sdev);
}

CASE(unasked_packets_are_counted_and_no_more)
{
	static u8 junk[4096];
	struct scsi_device *sdev;
	struct kvmb_wire_stor p = { .operation = cpu_to_le32(KVMB_STOR_ENUMERATE_BUS) };
	bool same;
	u32 i;

	plug_in();
	sdev = find_disk();
	NEED(sdev);
	memset(junk, 0xa5, sizeof(junk));
	for (i = 0; i < 500; i++) {
		host_put(host_chan_of(RELID), i % 12, 0, i & 1 ? 0 : i, NULL, 0, junk, i % 200);
		if (i % 50 == 0)
			host_put(host_chan_of(RELID), KVMB_PKT_INBAND, 0, 0, NULL, 0, &p, sizeof(p));
	}
	CHECK_EQ(read_block(sdev, 3, &same), 0);
	/* longer than any answer: the channel stops, the command is ended by its time and the host's removal */
	host_put(host_chan_of(RELID), KVMB_PKT_COMPLETION, 0, 1, NULL, 0, junk, sizeof(junk));
	scsi_device_put(sdev);
}

/* ---- silence and rescind ---- */

static struct { struct kvmb_wire_stor p; u64 id; u32 len; } held; /* an answer that the host keeps for later */
static bool hold_read(struct kvmb_wire_stor *p, u64 *id, u32 *len, u32 op, const u8 *cdb)
{
	if (!only_reads(cdb, op) || held.id)
		return true;
	held.p = *p;
	held.len = *len;
	held.id = *id;
	return false;
}

static int answer_late(void *arg)
{
	msleep(8000); /* the command's own limit is 2 s, STOR_TIMEOUT_S is 1 */
	host_put(host_chan_of(RELID), KVMB_PKT_COMPLETION, 0, held.id, NULL, 0, &held.p, held.len);
	return 0;
}

CASE(slow_command_keeps_its_buffer)
{
	struct scsi_device *sdev;
	bool same;

	plug_in();
	sdev = find_disk();
	NEED(sdev);
	memset(&held, 0, sizeof(held));
	disk.twist = hold_read;
	kthread_run(answer_late, NULL, "kvmb_late");
	/* given back earlier, the host's write would have hit memory of somebody else */
	CHECK_EQ(read_block(sdev, 3, &same), 0);
	CHECK(same);
	CHECK_EQ(disk.requests[KVMB_STOR_RESET_BUS], 0);
	CHECK_EQ(read_block(sdev, 4, &same), 0);
	CHECK(same);
	CHECK_EQ(sdev->sdev_state, SDEV_RUNNING);
	scsi_device_put(sdev);
}

static struct { struct completion over; struct scsi_device *sdev; int err; bool same; } reader;

static int read_one(void *arg)
{
	reader.err = read_block(reader.sdev, 3, &reader.same);
	complete(&reader.over);
	return 0;
}

CASE(answer_on_its_way_during_a_reset_by_hand_counts)
{
	static struct scsi_cmnd by_hand; /* as SG_SCSI_RESET makes one: of no request */
	struct scsi_device *sdev;
	bool same;
	int i;

	plug_in();
	sdev = find_disk();
	NEED(sdev);
	memset(&held, 0, sizeof(held));
	disk.twist = hold_read;
	init_completion(&reader.over);
	reader.sdev = sdev;
	kthread_run(read_one, NULL, "kvmb_reader");
	for (i = 0; i < 5000 && !READ_ONCE(held.id); i++)
		msleep(1);
	NEED(held.id);
	msleep(20);
	by_hand.device = sdev;
	CHECK_EQ(sdev->host->hostt->eh_host_reset_handler(&by_hand), SUCCESS);
	/* the answer stood in another channel's ring */
	host_put(host_chan_of(RELID), KVMB_PKT_COMPLETION, 0, held.id, NULL, 0, &held.p, held.len);
	CHECK(wait_for_completion_timeout(&reader.over, 10 * HZ));
	CHECK_EQ(reader.err, 0);
	CHECK(reader.same);
	CHECK_EQ(read_block(sdev, 4, &same), 0);
	scsi_device_put(sdev);
}

static int flood_thread(void *arg)
{
	struct kvmb_wire_stor p = { .operation = cpu_to_le32(KVMB_STOR_COMPLETE_IO) };
	u32 n = 0;

	while (!kthread_should_stop()) {
		if (host_put(host_chan_of(RELID), KVMB_PKT_COMPLETION, 0, 1 + n++ % 8, NULL, 0, &p, sizeof(p)))
			cond_resched();
	}
	return 0;
}

CASE(answers_during_the_start_complete_nothing)
{
	struct scsi_device *sdev;
	struct task_struct *t;
	bool same;
	int i;

	for (i = 0; i < 5; i++) { /* from before there are tags to look an id up in */
		host_chan_of(RELID)->on_packet = on_packet;
		t = kthread_run(flood_thread, NULL, "kvmb_flood");
		NEED(!IS_ERR(t));
		plug_in();
		sdev = find_disk();
		kthread_stop(t);
		NEED(sdev);
		CHECK_EQ(read_block(sdev, 3, &same), 0);
		CHECK(same);
		scsi_device_put(sdev);
		host_reset();
	}
}

CASE(flood_of_answers_does_not_stop_the_disk)
{
	struct scsi_device *sdev;
	struct task_struct *t;
	bool same;
	int i;

	plug_in();
	sdev = find_disk();
	NEED(sdev);
	t = kthread_run(flood_thread, NULL, "kvmb_flood");
	NEED(!IS_ERR(t));
	for (i = 0; i < 50; i++) {
		CHECK_EQ(read_block(sdev, i, &same), 0);
		CHECK(same);
	}
	kthread_stop(t);
	CHECK_EQ(read_block(sdev, 3, &same), 0);
	scsi_device_put(sdev);
}

static int rescind_soon(void *arg)
{
	msleep(200);
	host_rescind(RELID);
	return 0;
}

CASE(a_rescind_gives_back_what_is_out)
{
	struct scsi_device *sdev;
	bool same;

	plug_in();
	sdev = find_disk();
	NEED(sdev);
	disk.mute_op = KVMB_STOR_EXECUTE_SRB;
	kthread_run(rescind_soon, NULL, "kvmb_rescind");
	CHECK_EQ(host_byte(read_block(sdev, 3, &same)), DID_NO_CONNECT); /* not DID_TIME_OUT */
	scsi_device_put(sdev);
	host_settle();
	CHECK(!find_host());
}

CASE(a_rescind_in_each_step_of_the_start_ends_it)
{
	static const u32 ops[] = { KVMB_STOR_BEGIN_INIT, KVMB_STOR_QUERY_VERSION, KVMB_STOR_QUERY_PROPERTIES,
				   KVMB_STOR_END_INIT, KVMB_STOR_EXECUTE_SRB };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		disk.mute_op = ops[i];
		kthread_run(rescind_soon, NULL, "kvmb_rescind");
		plug_in();
		msleep(300);
		host_settle();
		CHECK(!find_host());
		disk.mute_op = 0;
		host_reset();
	}
}

static struct kunit_case storage_cases[] = {
	KUNIT_CASE(a_disk_appears_and_is_read),
	KUNIT_CASE(every_version_of_the_protocol_is_spoken),
	KUNIT_CASE(a_start_that_is_lied_to_ends_well_or_not_at_all),
	KUNIT_CASE(a_silent_start_is_given_up),
	KUNIT_CASE(answers_to_no_request_complete_nothing),
	KUNIT_CASE(answers_that_are_too_short_are_none),
	KUNIT_CASE(every_status_ends_the_command),
	KUNIT_CASE(a_disk_that_is_said_to_be_gone_goes),
	KUNIT_CASE(unasked_packets_are_counted_and_no_more),
	KUNIT_CASE(slow_command_keeps_its_buffer),
	KUNIT_CASE(answer_on_its_way_during_a_reset_by_hand_counts),
	KUNIT_CASE(answers_during_the_start_complete_nothing),
	KUNIT_CASE(flood_of_answers_does_not_stop_the_disk),
	KUNIT_CASE(a_rescind_gives_back_what_is_out),
	KUNIT_CASE(a_rescind_in_each_step_of_the_start_ends_it),
	{}
};

static struct kunit_suite storage_suite = {
	.name = "kvmb_storage", .test_cases = storage_cases, .init = storage_init, .exit = storage_exit,
};
kunit_test_suite(storage_suite);

MODULE_DESCRIPTION("kvmbus: KUnit suite of kvmb_storage");
MODULE_LICENSE("GPL");
