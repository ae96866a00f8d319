// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvmb_storage while something else happens: unbinding, unloading, CPUs, sleep, resets by hand, in each step of the start and
 * under answers that nobody waits for. docs/threat-model.md#G03.
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/umh.h>

#include "tests/kunit/script_disk.h"

#define NAME "00000001-0000-0000-0000-000000000000" /* of the device: its instance GUID */
#define DRIVER "/sys/bus/kvmbus/drivers/kvmb_storage/"

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

static struct kunit_case life_cases[] = {
	KUNIT_CASE(late_answer_of_an_earlier_use_completes_nothing),
	KUNIT_CASE(answers_while_the_controller_goes_complete_nothing),
	{}
};

struct kunit_suite kvmb_storage_life_suite = {
	.name = "kvmb_storage_life", .test_cases = life_cases, .init = disk_init, .exit = disk_exit,
};
