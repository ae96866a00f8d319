// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvmb_storage while something else happens: unbinding, unloading, CPUs, sleep, resets by hand, in
 * each step of the start and under answers that nobody waits for. docs/threat-model.md#G03.
 */
#include <linux/blk-mq.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/umh.h>

#include "guest-vsc/storage/storage_guest.h"
#include "tests/kunit/script_disk.h"

#define NAME "00000001-0000-0000-0000-000000000000" /* of the device: its instance GUID */
#define DRIVER "/sys/bus/kvmbus/drivers/kvmb_storage/"

/* ---- which CPU sends where ---- */

CASE(cpu_map_gives_each_cpu_its_channel)
{
	static const struct {
		u32 cpus;
		u64 open;
		u32 chan_cpu[4]; /* of channels 0 to 3 */
		u8 want[4];
	} table[] = {
		{ 1, 0x0, { 0 }, { 0 } }, /* none is open */
		{ 1, 0x1, { 0 }, { 0 } },
		{ 1, 0xf, { 0, 0, 0, 0 }, { 0 } }, /* more channels than CPUs */
		{ 2, 0x1, { 1 }, { 0, 0 } },
		{ 2, 0x3, { 0, 1 }, { 0, 1 } },
		{ 2, 0x3, { 1, 0 }, { 1, 0 } },
		{ 2, 0x3, { 1, 1 }, { 1, 0 } }, /* CPU 0 has none of its own */
		{ 2, 0xf, { 1, 0, 1, 0 }, { 1, 0 } },
		{ 4, 0x1, { 2 }, { 0, 0, 0, 0 } },
		{ 4, 0x3, { 2, 3 }, { 0, 1, 0, 1 } }, /* fewer channels: the rest is shared */
		{ 4, 0x3, { 0, 1 }, { 0, 1, 0, 1 } },
		{ 4, 0xf, { 1, 2, 3, 0 }, { 3, 0, 1, 2 } },
		{ 4, 0xd, { 1, 0, 3, 2 }, { 0, 0, 3, 2 } }, /* channel 1 is not open */
		{ 4, 0x6, { 9, 1, 2, 9 }, { 1, 1, 2, 2 } }, /* nor the primary */
		{ 4, 0x3, { 77, 1 }, { 0, 1, 0, 1 } }, /* a CPU that is not there */
		{ 4, 0xf, { 3, 3, 3, 0 }, { 3, 1, 2, 0 } }, /* what no CPU has is used first */
	};
	unsigned int chan_cpu[KVMB_STOR_MAX_CHANS];
	size_t i, cpu;
	u8 by_cpu[5];

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		memset(chan_cpu, 0, sizeof(chan_cpu));
		memcpy(chan_cpu, table[i].chan_cpu, sizeof(table[i].chan_cpu));
		memset(by_cpu, 0xee, sizeof(by_cpu));
		kvmb_stor_map_cpus(by_cpu, table[i].cpus, table[i].open, chan_cpu);
		for (cpu = 0; cpu < table[i].cpus; cpu++)
			CHECK_ROW(by_cpu[cpu], table[i].want[cpu], 10 * i + cpu);
		CHECK_ROW(by_cpu[table[i].cpus], 0xee, i);
	}
}

static struct kvmb_device *device_of(struct scsi_device *sdev)
{
	return to_kvmb_device(sdev->host->shost_gendev.parent);
}

static struct reader {
	struct completion over;
	struct scsi_device *sdev;
	int err;
	bool same;
} reader;

static int read_one(void *unused)
{
	reader.err = disk_read(reader.sdev, 3, &reader.same);
	complete(&reader.over);
	return 0;
}

static bool start_reader(struct scsi_device *sdev, int cpu)
{
	struct task_struct *t = kthread_create(read_one, NULL, "kvmb_reader");

	if (IS_ERR(t))
		return false;
	init_completion(&reader.over);
	reader.sdev = sdev;
	if (cpu >= 0)
		kthread_bind(t, cpu);
	wake_up_process(t);
	return true;
}

/* Return: number of the channel that a read from @cpu came by; 0: it failed */
static u32 read_from(struct scsi_device *sdev, int cpu)
{
	if (!start_reader(sdev, cpu) || !wait_for_completion_timeout(&reader.over, 10 * HZ))
		return 0;
	return reader.err || !reader.same ? 0 : disk.came_by;
}

CASE(command_goes_by_the_channel_of_its_cpu)
{
	struct kvmb_chan *primary, *sub;
	struct scsi_device *sdev;
	unsigned int cpu;
	int turn;

	NEED(num_online_cpus() == 2);
	disk.subs = 1;
	disk_plug_in();
	sdev = disk_find();
	NEED(sdev);
	host_settle();
	NEED(host_chan_of(RELID + 1)->open);
	primary = device_of(sdev)->chan;
	sub = list_first_entry(&primary->subs, struct kvmb_chan, sub_entry);
	NEED(primary->cpu != sub->cpu);
	for (turn = 0; turn < 3; turn++) {
		for (cpu = 0; cpu < 2; cpu++)
			CHECK_ROW(read_from(sdev, cpu), cpu == primary->cpu ? RELID : RELID + 1,
				  10 * turn + cpu);
		swap(primary->cpu, sub->cpu); /* as when somebody writes to sysfs */
		for (cpu = 0; cpu < 2; cpu++)
			read_from(sdev, cpu); /* each sees it with its next answer */
	}
	scsi_device_put(sdev);
}

/* ---- answers that nobody waits for ---- */

CASE(late_answer_of_an_earlier_use_completes_nothing)
{
	struct kvmb_wire_stor p = { .operation = cpu_to_le32(KVMB_STOR_COMPLETE_IO) };
	struct scsi_device *sdev;
	u64 first;
	bool same;
	int i;

	disk_plug_in();
	sdev = disk_find();
	NEED(sdev);
	CHECK_EQ(disk_read(sdev, 3, &same), 0);
	first = disk.read_id;
	for (i = 0; i < 50; i++) {
		CHECK_EQ(disk_read(sdev, 3, &same), 0);
		CHECK(disk.read_id != first);
	}
	disk_hold_next_read();
	NEED(start_reader(sdev, -1));
	for (i = 0; i < 5000 && !READ_ONCE(disk_held.id); i++)
		msleep(1);
	NEED(disk_held.id);
	p.u.srb.srb_status = KVMB_SRB_SUCCESS;
	for (i = 0; i < 50; i++) /* of each use before */
		host_put(host_chan_of(RELID), KVMB_PKT_COMPLETION, 0,
			 disk_held.id - ((u64)(i + 1) << 32), NULL, 0, &p, sizeof(p));
	host_settle();
	msleep(100);
	CHECK(!completion_done(&reader.over));
	disk_give_held();
	CHECK(wait_for_completion_timeout(&reader.over, 10 * HZ));
	CHECK_EQ(reader.err, 0);
	scsi_device_put(sdev);
}

static int shell(const char *what)
{
	char *argv[] = { "/bin/sh", "-c", (char *)what, NULL };
	char *envp[] = { "PATH=/bin", NULL };

	return call_usermodehelper(argv[0], argv, envp, UMH_WAIT_PROC);
}

static int unbind(void)
{
	return shell("echo " NAME " >" DRIVER "unbind");
}

static int bind(void)
{
	return shell("echo " NAME " >" DRIVER "bind");
}

CASE(answers_while_the_controller_goes_complete_nothing)
{
	struct task_struct *t;
	int i;

	for (i = 0; i < 5; i++) { /* to after there are tags to look an id up in */
		disk_plug_in();
		t = kthread_run(disk_flood, NULL, "kvmb_flood");
		NEED(!IS_ERR(t));
		CHECK_EQ(unbind(), 0);
		kthread_stop(t);
		CHECK(!disk_host());
		host_reset();
	}
}

/* ---- an answer that is quicker than the sender ---- */

static struct {
	struct stor_dev *sd;
	struct scsi_device *sdev;
	u64 id;
	u32 asked, answered, ended;
} early;

/* In queue_command(), which is not through with a command that found no room */
static void no_room(void *ctx, u32 relid)
{
	u32 num = early.sd->host->nr_hw_queues * early.sd->host->can_queue, i;

	if (early.asked)
		return;
	for (i = 0; i < num && !early.id; i++)
		early.id = READ_ONCE(early.sd->slots[i].out);
	WRITE_ONCE(early.asked, 1);
	for (i = 0; i < 5000000 && !READ_ONCE(early.answered); i++)
		udelay(1);
}

static enum rq_end_io_ret ended(struct request *rq, blk_status_t error)
{
	WRITE_ONCE(early.ended, early.ended + 1);
	return RQ_END_IO_FREE; /* so the sender, when it goes on, has no request any more */
}

static int send_one(void *unused)
{
	struct request *rq = scsi_alloc_request(early.sdev->request_queue, REQ_OP_DRV_IN, 0);

	if (IS_ERR(rq))
		return 0;
	((struct scsi_cmnd *)blk_mq_rq_to_pdu(rq))->cmd_len = 6; /* TEST UNIT READY */
	rq->timeout = 10 * HZ;
	rq->end_io = ended;
	blk_execute_rq_nowait(rq, false);
	return 0;
}

CASE(answer_to_a_command_that_finds_no_room_completes_it_once)
{
	struct kvmb_wire_stor p = { .operation = cpu_to_le32(KVMB_STOR_COMPLETE_IO) };
	struct host_chan *c = host_chan_of(RELID);
	struct task_struct *t;
	unsigned long flags;
	struct kvmb_chan *ch;
	bool same;
	u32 full;
	int i;

	disk_plug_in();
	memset(&early, 0, sizeof(early));
	early.sdev = disk_find();
	NEED(early.sdev);
	early.sd = shost_priv(early.sdev->host);
	ch = early.sd->dev->chan;
	host_settle();
	/* the host says that it has read next to nothing of a full ring, as it may */
	spin_lock_irqsave(&ch->tx_lock, flags);
	full = (ch->tx.index + 8) % ch->tx.size;
	ch->tx.peer = full;
	WRITE_ONCE(c->rx.ctrl->read_index, cpu_to_le32(full));
	spin_unlock_irqrestore(&ch->tx_lock, flags);
	set_cpus_allowed_ptr(current, cpumask_of(0));
	host_watch_full(no_room);
	t = kthread_create(send_one, NULL, "kvmb_sender");
	NEED(!IS_ERR(t));
	kthread_bind(t, 1);
	wake_up_process(t);
	CHECK(disk_wait(&early.asked, 1));
	CHECK(early.id);
	p.u.srb.srb_status = KVMB_SRB_SUCCESS;
	/* its interrupt, and so the tasklet, is on this CPU */
	host_put(c, KVMB_PKT_COMPLETION, 0, early.id, NULL, 0, &p, sizeof(p));
	CHECK(disk_wait(&early.ended, 1));
	msleep(50); /* its request is freed after that */
	WRITE_ONCE(c->rx.ctrl->read_index, cpu_to_le32(c->rx.index));
	WRITE_ONCE(early.answered, 1);
	host_watch_full(NULL); /* waits for the sender */
	set_cpus_allowed_ptr(current, cpu_possible_mask);
	for (i = 1; i < 50; i++) {
		CHECK_EQ(disk_read(early.sdev, i, &same), 0);
		CHECK(same);
	}
	CHECK_EQ(early.ended, 1);
	scsi_device_put(early.sdev);
}

/* ---- a rescind of the primary comes before those of its sub-channels ---- */

CASE(command_of_a_sub_channel_is_kept_until_that_is_closed)
{
	struct scsi_device *sdev;
	struct kvmb_chan *sub;

	NEED(num_online_cpus() == 2);
	disk.subs = 1;
	disk_plug_in();
	sdev = disk_find();
	NEED(sdev);
	host_settle();
	NEED(host_chan_of(RELID + 1)->open);
	sub = list_first_entry(&device_of(sdev)->chan->subs, struct kvmb_chan, sub_entry);
	disk_hold_next_read();
	NEED(start_reader(sdev, sub->cpu));
	NEED(disk_wait((u32 *)&disk_held.id, 1));
	CHECK_EQ(disk.came_by, RELID + 1);
	host_script.hold = BIT(KVMB_MSG_GPADL_TEARDOWN);
	host_rescind(RELID);
	CHECK(host_await_held()); /* of the sub-channel's rings */
	msleep(100);
	CHECK(!completion_done(&reader.over)); /* the host may still write to its buffer */
	host_go_on();
	CHECK(wait_for_completion_timeout(&reader.over, 20 * HZ));
	CHECK_EQ(host_byte(reader.err), DID_NO_CONNECT);
	scsi_device_put(sdev);
	host_settle();
	CHECK(!disk_host());
}

/* ---- units that change ---- */

static u32 changes, looks;
static bool hold_disk; /* an INQUIRY of the disk; else of what the scan tries beside it */

static bool hold_back(const struct kvmb_wire_stor *p, u64 id, u32 len)
{
	disk_held.p = *p;
	disk_held.len = len;
	WRITE_ONCE(disk_held.id, id);
	return false;
}

static bool twist_changed(struct kvmb_wire_stor *p, u64 *id, u32 *len, u32 op, const u8 *cdb)
{
	static const u8 sense[14] = { 0x70, 0, UNIT_ATTENTION, [7] = 10, [12] = 0x2a, 9 };
	struct kvmb_wire_srb *srb = &p->u.srb;

	if (op == KVMB_STOR_EXECUTE_SRB && cdb[0] == INQUIRY) {
		bool of_disk = !srb->path && !srb->target && !srb->lun;

		if (of_disk == hold_disk && !disk_held.id)
			return hold_back(p, *id, *len);
		looks += of_disk;
	}
	if (!disk_is_read(cdb, op) || !changes)
		return true;
	changes--;
	srb->srb_status = KVMB_SRB_ERROR | KVMB_SRB_AUTOSENSE_VALID;
	srb->scsi_status = SAM_STAT_CHECK_CONDITION;
	srb->sense_length = 18;
	srb->transfer_length = 0;
	memset(srb->u.sense, 0, sizeof(srb->u.sense));
	memcpy(srb->u.sense, sense, sizeof(sense));
	return true;
}

static void twist_with(u32 num, bool of_disk)
{
	memset(&disk_held, 0, sizeof(disk_held));
	hold_disk = of_disk;
	changes = num;
	disk.twist = twist_changed;
}

static bool something_is_held(void)
{
	int i;

	for (i = 0; i < 5000 && !READ_ONCE(disk_held.id); i++)
		msleep(1);
	return READ_ONCE(disk_held.id);
}

static void ask_to_look(void)
{
	struct kvmb_wire_stor p = { .operation = cpu_to_le32(KVMB_STOR_ENUMERATE_BUS) };

	host_put(host_chan_of(RELID), KVMB_PKT_INBAND, 0, 0, NULL, 0, &p, sizeof(p));
}

CASE(unit_that_changes_all_the_time_is_looked_at_once)
{
	struct scsi_device *sdev;
	bool same;

	disk_plug_in();
	sdev = disk_find();
	NEED(sdev);
	twist_with(0, false);
	ask_to_look(); /* what comes meanwhile waits behind this */
	NEED(something_is_held());
	changes = 100;
	looks = 0;
	CHECK_EQ(disk_read(sdev, 3, &same), 0); /* sent again after each attention */
	CHECK_EQ(changes, 0);
	CHECK_EQ(looks, 0);
	disk_give_held();
	CHECK(disk_wait(&looks, 1));
	msleep(1000);
	CHECK(looks < 10); /* a look asks for a few pages */
	CHECK_EQ(disk_read(sdev, 3, &same), 0);
	scsi_device_put(sdev);
}

/* ---- resets by hand ---- */

static int reset_by_hand(void *sdev)
{
	static struct scsi_cmnd cmd; /* as SG_SCSI_RESET makes one: of no request */

	cmd.device = sdev;
	reader.err = cmd.device->host->hostt->eh_host_reset_handler(&cmd);
	complete(&reader.over);
	return 0;
}

CASE(reset_by_hand_after_remove_fails)
{
	struct scsi_device *sdev;

	disk_plug_in();
	sdev = disk_find();
	NEED(sdev);
	CHECK_EQ(unbind(), 0);
	init_completion(&reader.over);
	reset_by_hand(sdev);
	CHECK_EQ(reader.err, FAILED);
	CHECK_EQ(disk.requests[KVMB_STOR_RESET_BUS], 0);
	scsi_device_put(sdev);
}

CASE(reset_by_hand_that_has_no_answer_lets_remove_go_on)
{
	struct scsi_device *sdev;

	disk_plug_in();
	sdev = disk_find();
	NEED(sdev);
	disk.mute_op = KVMB_STOR_RESET_BUS;
	init_completion(&reader.over);
	kthread_run(reset_by_hand, sdev, "kvmb_reset");
	NEED(disk_wait(&disk.requests[KVMB_STOR_RESET_BUS], 1));
	CHECK_EQ(unbind(), 0);
	CHECK(wait_for_completion_timeout(&reader.over, 20 * HZ));
	CHECK_EQ(reader.err, FAILED);
	scsi_device_put(sdev);
}

static u64 reset_ids[4];
static u32 resets;

static bool twist_resets(struct kvmb_wire_stor *p, u64 *id, u32 *len, u32 op, const u8 *cdb)
{
	if (op != KVMB_STOR_RESET_BUS)
		return true;
	if (resets < ARRAY_SIZE(reset_ids))
		reset_ids[resets] = *id;
	if (++resets == 2) /* the first is answered now, the second never */
		host_put(host_chan_of(RELID), KVMB_PKT_COMPLETION, 0, reset_ids[0], NULL, 0, p,
			 *len);
	return resets > 2;
}

CASE(late_answer_to_a_reset_answers_no_other)
{
	struct scsi_device *sdev;
	bool same;

	disk_plug_in();
	sdev = disk_find();
	NEED(sdev);
	resets = 0;
	disk.twist = twist_resets;
	init_completion(&reader.over);
	reset_by_hand(sdev);
	CHECK_EQ(reader.err, SUCCESS);
	CHECK_EQ(resets, 3);
	CHECK(reset_ids[0] != reset_ids[1] && reset_ids[1] != reset_ids[2]);
	CHECK_EQ(disk_read(sdev, 3, &same), 0);
	CHECK(same);
	scsi_device_put(sdev);
}

/* ---- sleep ---- */

static struct kvmb_driver *driver_of(struct kvmb_device *dev)
{
	return container_of(dev->dev.driver, struct kvmb_driver, driver);
}

static struct completion asleep;

static int fall_asleep(void *dev)
{
	driver_of(dev)->suspend(dev);
	complete(&asleep);
	return 0;
}

CASE(look_at_the_bus_is_not_lost_in_sleep)
{
	struct scsi_device *sdev;
	struct kvmb_device *dev;
	bool same;
	u32 asked;

	disk_plug_in();
	sdev = disk_find();
	NEED(sdev);
	dev = device_of(sdev);
	twist_with(1, true);
	NEED(start_reader(sdev, -1));
	NEED(something_is_held()); /* a look at the disk is under way */
	ask_to_look(); /* and one at the bus waits behind it */
	msleep(100);
	init_completion(&asleep);
	kthread_run(fall_asleep, dev, "kvmb_sleep");
	msleep(100);
	disk_give_held();
	NEED(wait_for_completion_timeout(&asleep, 20 * HZ));
	asked = disk.cdbs[TEST_UNIT_READY];
	CHECK_EQ(driver_of(dev)->resume(dev), 0);
	CHECK(disk_wait(&disk.cdbs[TEST_UNIT_READY], asked + 1));
	CHECK(wait_for_completion_timeout(&reader.over, 20 * HZ));
	CHECK_EQ(disk_read(sdev, 3, &same), 0);
	scsi_device_put(sdev);
}

CASE(transfers_fit_the_host_after_sleep)
{
	static const struct { u32 host, sectors; } table[] = {
		{ 64 << 10, 128 }, { 32 << 10, 64 }, { 128 << 10, 64 },
	};
	struct scsi_device *sdev;
	struct kvmb_device *dev;
	bool same;
	size_t i;

	disk_plug_in();
	sdev = disk_find();
	NEED(sdev);
	dev = device_of(sdev);
	CHECK_EQ(queue_max_hw_sectors(sdev->request_queue), 256);
	for (i = 0; i < ARRAY_SIZE(table); i++) {
		CHECK_EQ(driver_of(dev)->suspend(dev), 0);
		disk.max_transfer = table[i].host;
		CHECK_EQ(driver_of(dev)->resume(dev), 0);
		CHECK_ROW(queue_max_hw_sectors(sdev->request_queue), table[i].sectors, i);
		CHECK(queue_max_sectors(sdev->request_queue) <= table[i].sectors);
		CHECK_EQ(disk_read(sdev, 3, &same), 0);
	}
	scsi_device_put(sdev);
}

/* ---- in each step of the start ---- */

/* Operations, and what is none: a channel that opens */
#define OPENS_PRIMARY 100u
#define OPENS_SUB 101u
static const u32 steps[] = { OPENS_PRIMARY, KVMB_STOR_BEGIN_INIT, KVMB_STOR_QUERY_VERSION,
			     KVMB_STOR_QUERY_PROPERTIES, KVMB_STOR_END_INIT,
			     KVMB_STOR_CREATE_SUB_CHANNELS, OPENS_SUB, KVMB_STOR_EXECUTE_SRB };
static u32 slow_open; /* relid of the channel that opens slowly */

static void opened(struct host_chan *c)
{
	if (c->relid != slow_open)
		return;
	complete(&disk.slow);
	msleep(300);
}

static struct {
	int (*act)(void);
	int err;
	struct completion over;
} other;

static int do_other(void *unused)
{
	other.err = -ETIME;
	if (wait_for_completion_timeout(&disk.slow, 20 * HZ)) {
		msleep(50); /* not before the guest waits for the answer */
		other.err = other.act();
	}
	complete(&other.over);
	return 0;
}

/* Plug in; @act runs while the host takes its time for @step */
static bool while_it_does(u32 step, int (*act)(void))
{
	disk.subs = 1;
	disk.slow_op = step < OPENS_PRIMARY ? step : 0;
	slow_open = step == OPENS_PRIMARY ? RELID : step == OPENS_SUB ? RELID + 1 : 0;
	host_script.opened = opened;
	reinit_completion(&disk.slow);
	init_completion(&other.over);
	other.act = act;
	kthread_run(do_other, NULL, "kvmb_other");
	disk_plug_in();
	if (!wait_for_completion_timeout(&other.over, 60 * HZ))
		return false;
	slow_open = 0;
	disk.slow_op = 0;
	host_settle();
	return !other.err;
}

static bool disk_works(void)
{
	struct scsi_device *sdev;
	bool same = false;
	int err = -1, i;

	for (i = 0; i < 500 && !(sdev = disk_find()); i++)
		msleep(20);
	if (sdev) {
		err = disk_read(sdev, 3, &same);
		scsi_device_put(sdev);
	}
	return !err && same;
}

static int rescind(void)
{
	host_rescind(RELID);
	return 0;
}

CASE(rescind_in_each_step_of_the_start)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		CHECK_ROW(while_it_does(steps[i], rescind), true, i);
		CHECK_ROW(!disk_host(), true, i);
		host_reset();
	}
}

CASE(unbind_in_each_step_of_the_start)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		CHECK_ROW(while_it_does(steps[i], unbind), true, i);
		CHECK_ROW(!disk_host(), true, i);
		CHECK_ROW(bind(), 0, i);
		CHECK_ROW(disk_works(), true, i);
		host_reset();
	}
}

static int unload(void)
{
	/* a scan holds the module for as long as it lasts */
	return shell("n=0; until rmmod kvmb_storage || [ $n = 100 ]; do "
		     "n=$((n + 1)); sleep 0.1; done; [ $n != 100 ]");
}

CASE(rmmod_in_each_step_of_the_start)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		CHECK_ROW(while_it_does(steps[i], unload), true, i);
		CHECK_ROW(!disk_host(), true, i);
		NEED(!shell("insmod /mods/kvmb_storage.ko"));
		CHECK_ROW(disk_works(), true, i);
		host_reset();
	}
}

static int cpu_off(void)
{
	return remove_cpu(1);
}

CASE(cpu_goes_in_each_step_of_the_start)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		CHECK_ROW(while_it_does(steps[i], cpu_off), true, i);
		CHECK_ROW(disk_works(), true, i);
		CHECK_ROW(add_cpu(1), 0, i);
		CHECK_ROW(disk_works(), true, i);
		host_reset();
	}
}

static int rescue(void *unused)
{
	msleep(5000);
	host_take_back(RELID);
	complete(&other.over);
	return 0;
}

CASE(silent_disk_does_not_hold_up_other_devices)
{
	struct Scsi_Host *host;

	disk.mute_op = KVMB_STOR_EXECUTE_SRB;
	init_completion(&other.over);
	kthread_run(rescue, NULL, "kvmb_rescue");
	disk_offer();
	host_settle(); /* the bus has nothing to do any more */
	CHECK(disk_wait(&disk.requests[KVMB_STOR_EXECUTE_SRB], 1));
	host = disk_host();
	CHECK(host);
	if (host)
		scsi_host_put(host);
	wait_for_completion(&other.over);
	host_settle();
	CHECK(!disk_host());
}

static struct kunit_case life_cases[] = {
	KUNIT_CASE(cpu_map_gives_each_cpu_its_channel),
	KUNIT_CASE(command_goes_by_the_channel_of_its_cpu),
	KUNIT_CASE(late_answer_of_an_earlier_use_completes_nothing),
	KUNIT_CASE(answers_while_the_controller_goes_complete_nothing),
	KUNIT_CASE(answer_to_a_command_that_finds_no_room_completes_it_once),
	KUNIT_CASE(command_of_a_sub_channel_is_kept_until_that_is_closed),
	KUNIT_CASE(unit_that_changes_all_the_time_is_looked_at_once),
	KUNIT_CASE(reset_by_hand_after_remove_fails),
	KUNIT_CASE(reset_by_hand_that_has_no_answer_lets_remove_go_on),
	KUNIT_CASE(late_answer_to_a_reset_answers_no_other),
	KUNIT_CASE(look_at_the_bus_is_not_lost_in_sleep),
	KUNIT_CASE(transfers_fit_the_host_after_sleep),
	KUNIT_CASE(rescind_in_each_step_of_the_start),
	KUNIT_CASE(unbind_in_each_step_of_the_start),
	KUNIT_CASE(rmmod_in_each_step_of_the_start),
	KUNIT_CASE(cpu_goes_in_each_step_of_the_start),
	KUNIT_CASE(silent_disk_does_not_hold_up_other_devices),
	{}
};

struct kunit_suite kvmb_storage_life_suite = {
	.name = "kvmb_storage_life", .test_cases = life_cases, .init = disk_init, .exit = disk_exit,
};
