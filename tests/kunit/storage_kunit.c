// SPDX-License-Identifier: GPL-2.0-only
/* kvmb_storage against a disk controller that a test scripts: docs/threat-model.md#G03. */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/module.h>

#include "tests/kunit/script_disk.h"

/* ---- start ---- */

CASE(a_disk_appears_and_is_read)
{
	struct scsi_device *sdev;
	bool same;
	u32 lba;

	disk_plug_in();
	sdev = disk_find();
	NEED(sdev);
	for (lba = 1; lba < 200; lba++) {
		CHECK_EQ(disk_read(sdev, lba, &same), 0);
		CHECK(same);
	}
	scsi_device_put(sdev);
	host_rescind(RELID);
	host_settle();
	CHECK(!disk_host());
}

CASE(every_version_of_the_protocol_is_spoken)
{
	static const u16 versions[] = { KVMB_STOR_V2_0, KVMB_STOR_V4_2, KVMB_STOR_V5_1,
					KVMB_STOR_V6_0, KVMB_STOR_V6_2 };
	struct scsi_device *sdev;
	bool same;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(versions); i++) {
		disk.newest = versions[i];
		disk_plug_in();
		sdev = disk_find();
		NEED(sdev);
		CHECK_ROW(disk_read(sdev, 7, &same), 0, i);
		CHECK(same);
		scsi_device_put(sdev);
		host_reset();
	}
	disk.newest = 0x0100;
	disk_plug_in();
	CHECK(!disk_host());
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
	/* an error, no completion, zeroes, ones, two answers; true: a disk comes all the same */
	static const struct { u32 op; bool comes[5]; } table[] = {
		{ KVMB_STOR_BEGIN_INIT, { false, false, true, true, true } },
		{ KVMB_STOR_QUERY_VERSION, { false, false, true, true, true } },
		{ KVMB_STOR_QUERY_PROPERTIES, { false, false, false, true, true } }, /* 0 bytes */
		{ KVMB_STOR_END_INIT, { false, false, true, true, true } },
	};
	struct Scsi_Host *host;
	size_t i, row;

	disk.twist = twist_start;
	for (i = 0; i < ARRAY_SIZE(table); i++) {
		for (row = 0; row < 5; row++) {
			twist_op = table[i].op;
			twist_row = row;
			disk_plug_in();
			host = disk_host();
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
	disk_plug_in();
	CHECK(!disk_host());
	CHECK(jiffies - begin < 30 * HZ); /* STOR_TIMEOUT_S is 2 here */
}

/* ---- answers that lie ---- */

static bool twist_ids(struct kvmb_wire_stor *p, u64 *id, u32 *len, u32 op, const u8 *cdb)
{
	static const u64 other[] = { 0, 1, ~0ull, 0x7fffffffull, 0x100000000ull };
	struct host_chan *c = host_chan_of(RELID);
	size_t i;

	if (disk_is_read(cdb, op)) {
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

	disk_plug_in();
	sdev = disk_find();
	NEED(sdev);
	disk.twist = twist_ids;
	for (i = 1; i < 20; i++) {
		CHECK_EQ(disk_read(sdev, i, &same), 0);
		CHECK(same);
	}
	disk.twist = NULL;
	disk.copies = 3; /* each answer three times */
	for (i = 1; i < 20; i++) {
		CHECK_EQ(disk_read(sdev, i, &same), 0);
		CHECK(same);
	}
	scsi_device_put(sdev);
}

static u32 short_len;
static bool twist_short(struct kvmb_wire_stor *p, u64 *id, u32 *len, u32 op, const u8 *cdb)
{
	if (disk_is_read(cdb, op))
		host_put(host_chan_of(RELID), KVMB_PKT_COMPLETION, 0, *id, NULL, 0, p, short_len);
	return true;
}

CASE(answers_that_are_too_short_are_none)
{
	struct scsi_device *sdev;
	bool same;

	disk_plug_in();
	sdev = disk_find();
	NEED(sdev);
	disk.twist = twist_short;
	for (short_len = 0; short_len < sizeof(struct kvmb_wire_stor) - 8; short_len += 8) {
		CHECK_EQ(disk_read(sdev, 9, &same), 0);
		CHECK(same);
	}
	scsi_device_put(sdev);
}

static u8 lie_srb, lie_scsi, lie_sense;
static u32 lie_moved;
static bool twist_status(struct kvmb_wire_stor *p, u64 *id, u32 *len, u32 op, const u8 *cdb)
{
	if (disk_is_read(cdb, op)) {
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

	disk_plug_in();
	sdev = disk_find();
	NEED(sdev);
	disk.twist = twist_status;
	for (i = 0; i < 256; i++) {
		if ((i & 0x3f) == KVMB_SRB_INVALID_LUN)
			continue; /* takes the disk away, as it should */
		lie_srb = i;
		lie_scsi = i & 1 ? SAM_STAT_GOOD : 0xfe;
		lie_sense = 255; /* of 20 */
		lie_moved = 0xffffffff; /* of 512 */
		disk_read(sdev, 3, &same);
	}
	lie_srb = KVMB_SRB_SUCCESS;
	lie_scsi = SAM_STAT_GOOD;
	CHECK_EQ(disk_read(sdev, 3, &same), 0);
	CHECK(same);
	scsi_device_put(sdev);
}

CASE(a_disk_that_is_said_to_be_gone_goes)
{
	struct scsi_device *sdev;
	unsigned long end = jiffies + 10 * HZ;
	bool same;

	disk_plug_in();
	sdev = disk_find();
	NEED(sdev);
	disk.twist = twist_status;
	lie_srb = KVMB_SRB_INVALID_LUN;
	lie_scsi = 0;
	CHECK(disk_read(sdev, 3, &same) != 0);
	scsi_device_put(sdev);
	while ((sdev = disk_find()) && time_before(jiffies, end)) {
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

	disk_plug_in();
	sdev = disk_find();
	NEED(sdev);
	memset(junk, 0xa5, sizeof(junk));
	for (i = 0; i < 500; i++) {
		host_put(host_chan_of(RELID), i % 12, 0, i & 1 ? 0 : i, NULL, 0, junk, i % 200);
		if (i % 50 == 0)
			host_put(host_chan_of(RELID), KVMB_PKT_INBAND, 0, 0, NULL, 0, &p,
				 sizeof(p));
	}
	CHECK_EQ(disk_read(sdev, 3, &same), 0);
	/* longer than any answer: the channel stops */
	host_put(host_chan_of(RELID), KVMB_PKT_COMPLETION, 0, 1, NULL, 0, junk, sizeof(junk));
	scsi_device_put(sdev);
}

/* ---- silence and rescind ---- */

static int answer_late(void *arg)
{
	msleep(8000); /* the command's own limit is 2 s, STOR_TIMEOUT_S is 1 */
	disk_give_held();
	return 0;
}

CASE(slow_command_keeps_its_buffer)
{
	struct scsi_device *sdev;
	bool same;

	disk_plug_in();
	sdev = disk_find();
	NEED(sdev);
	disk_hold_next_read();
	kthread_run(answer_late, NULL, "kvmb_late");
	/* given back earlier, the host's write would have hit memory of somebody else */
	CHECK_EQ(disk_read(sdev, 3, &same), 0);
	CHECK(same);
	CHECK_EQ(disk.requests[KVMB_STOR_RESET_BUS], 0);
	CHECK_EQ(disk_read(sdev, 4, &same), 0);
	CHECK(same);
	CHECK_EQ(sdev->sdev_state, SDEV_RUNNING);
	scsi_device_put(sdev);
}

static struct { struct completion over; struct scsi_device *sdev; int err; bool same; } reader;

static int read_one(void *arg)
{
	reader.err = disk_read(reader.sdev, 3, &reader.same);
	complete(&reader.over);
	return 0;
}

CASE(answer_on_its_way_during_a_reset_by_hand_counts)
{
	static struct scsi_cmnd by_hand; /* as SG_SCSI_RESET makes one: of no request */
	struct scsi_device *sdev;
	bool same;
	int i;

	disk_plug_in();
	sdev = disk_find();
	NEED(sdev);
	disk_hold_next_read();
	init_completion(&reader.over);
	reader.sdev = sdev;
	kthread_run(read_one, NULL, "kvmb_reader");
	for (i = 0; i < 5000 && !READ_ONCE(disk_held.id); i++)
		msleep(1);
	NEED(disk_held.id);
	msleep(20);
	by_hand.device = sdev;
	CHECK_EQ(sdev->host->hostt->eh_host_reset_handler(&by_hand), SUCCESS);
	/* the answer stood in another channel's ring */
	disk_give_held();
	CHECK(wait_for_completion_timeout(&reader.over, 10 * HZ));
	CHECK_EQ(reader.err, 0);
	CHECK(reader.same);
	CHECK_EQ(disk_read(sdev, 4, &same), 0);
	scsi_device_put(sdev);
}

CASE(answers_during_the_start_complete_nothing)
{
	struct scsi_device *sdev;
	struct task_struct *t;
	bool same;
	int i;

	for (i = 0; i < 5; i++) { /* from before there are tags to look an id up in */
		t = kthread_run(disk_flood, NULL, "kvmb_flood");
		NEED(!IS_ERR(t));
		disk_plug_in();
		sdev = disk_find();
		kthread_stop(t);
		NEED(sdev);
		CHECK_EQ(disk_read(sdev, 3, &same), 0);
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

	disk_plug_in();
	sdev = disk_find();
	NEED(sdev);
	t = kthread_run(disk_flood, NULL, "kvmb_flood");
	NEED(!IS_ERR(t));
	for (i = 0; i < 50; i++) {
		CHECK_EQ(disk_read(sdev, i, &same), 0);
		CHECK(same);
	}
	kthread_stop(t);
	CHECK_EQ(disk_read(sdev, 3, &same), 0);
	scsi_device_put(sdev);
}

CASE(a_rescind_gives_back_what_is_out)
{
	struct scsi_device *sdev;
	bool same;

	disk_plug_in();
	sdev = disk_find();
	NEED(sdev);
	disk.mute_op = KVMB_STOR_EXECUTE_SRB;
	kthread_run(disk_rescind_soon, NULL, "kvmb_rescind");
	CHECK_EQ(host_byte(disk_read(sdev, 3, &same)), DID_NO_CONNECT); /* not DID_TIME_OUT */
	scsi_device_put(sdev);
	host_settle();
	CHECK(!disk_host());
}

CASE(a_rescind_in_each_step_of_the_start_ends_it)
{
	static const u32 ops[] = { KVMB_STOR_BEGIN_INIT, KVMB_STOR_QUERY_VERSION,
				   KVMB_STOR_QUERY_PROPERTIES, KVMB_STOR_END_INIT,
				   KVMB_STOR_EXECUTE_SRB };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		disk.mute_op = ops[i];
		kthread_run(disk_rescind_soon, NULL, "kvmb_rescind");
		disk_plug_in();
		msleep(300);
		host_settle();
		CHECK(!disk_host());
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
	.name = "kvmb_storage", .test_cases = storage_cases, .init = disk_init, .exit = disk_exit,
};
kunit_test_suites(&storage_suite, &kvmb_storage_life_suite);

MODULE_DESCRIPTION("kvmbus: KUnit suite of kvmb_storage");
MODULE_LICENSE("GPL");
