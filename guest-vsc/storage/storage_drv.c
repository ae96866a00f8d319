// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvmb_storage: a SCSI host whose commands go over VMBus.
 *
 * DOC: Theory of operation
 *
 * Each CPU sends on the channel that interrupts it (storage_map.h). A command is one GPA-direct
 * packet: an SRB, and the pages of its data as one range. One range is enough because the block
 * layer splits requests at our page boundary. The transaction id holds the command's tag and how
 * often the tag was used, so a late, repeated or invented answer finds no command; it is counted.
 *
 * A command's pages stay with the host until the host answers, because it may write to them until
 * then. So a command has no time limit, and error handling begins only when its channel is broken
 * or gone. After the reset of the bus, answers no longer complete commands that error handling has
 * taken over. When the host rescinds the controller, its sub-channels are closed, and then all
 * commands at the host are completed with DID_NO_CONNECT.
 *
 * Sources: Linux 6.1 drivers/scsi/storvsc_drv.c; docs/protocol.md#5.
 */
#include <linux/blkdev.h>
#include <linux/blk-mq.h>
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <scsi/scsi_devinfo.h>
#include <scsi/scsi_eh.h>
#include <scsi/scsi_tcq.h>

#include "guest-vsc/compat/compat.h"
#include "guest-vsc/storage/storage_guest.h"

#define SRB_QUEUE_TAG_NONE 0xff
#define SRB_SIMPLE 0x20
#define SRB_FLAG_QUEUE 0x2u
#define SRB_FLAG_NO_DISCONNECT 0x8u
#define SRB_FLAG_IN 0x40u
#define SRB_FLAG_OUT 0x80u
#define PER_COMMAND 352u /* ring bytes that a usual command and its answer take */

static struct stor_dev *stor_of(struct Scsi_Host *host)
{
	return shost_priv(host);
}

/* ---- names of commands ---- */

/* Return: NULL: no such tag. @tag: as blk_mq_unique_tag(); may be the host's word */
static struct stor_slot *slot_of(struct stor_dev *sd, u32 tag)
{
	u32 queue = blk_mq_unique_tag_to_hwq(tag), n = blk_mq_unique_tag_to_tag(tag);

	if (queue >= sd->host->nr_hw_queues || n >= sd->host->can_queue)
		return NULL;
	return &sd->slots[queue * sd->host->can_queue + n];
}

static struct stor_slot *slot_of_cmd(struct stor_dev *sd, struct scsi_cmnd *cmd)
{
	return slot_of(sd, blk_mq_unique_tag(scsi_cmd_to_rq(cmd)));
}

/*
 * The command's name from here on: its tag, and how often that was used. Bit 63 stays clear: above
 * are steps (STOR_ID_STEP).
 */
static u64 give_to_host(struct stor_slot *slot, struct scsi_cmnd *cmd)
{
	u64 id;

	slot->uses++;
	id = (u64)(slot->uses & 0x7fffffff) << 32 | (blk_mq_unique_tag(scsi_cmd_to_rq(cmd)) + 1);
	WRITE_ONCE(slot->out, id); /* seen before the packet is: kvmb_send() takes a lock */
	return id;
}

/* Return: whether it was out, and is the caller's to complete */
static bool take_back(struct stor_dev *sd, struct scsi_cmnd *cmd)
{
	return xchg(&slot_of_cmd(sd, cmd)->out, 0) != 0;
}

/* Only what is out, and only once. */
static struct scsi_cmnd *take_command(struct stor_dev *sd, u64 id)
{
	u32 tag = (u32)id - 1;
	struct stor_slot *slot = (u32)id ? slot_of(sd, tag) : NULL;

	if (!slot || cmpxchg64(&slot->out, id, 0) != id)
		return NULL;
	return scsi_host_find_tag(sd->host, tag); /* it is out, so it is there */
}

/* ---- units that change ---- */

static u32 ide_drive(struct stor_dev *sd) /* the instance GUID names it: docs/protocol.md#5.9 */
{
	const u8 *b = sd->dev->chan->instance.b;

	return b[5] << 8 | b[4];
}

static u32 unit_of(struct stor_dev *sd, const struct scsi_device *sdev)
{
	if (sd->ide)
		return 0; /* there is one */
	return (sdev->channel * STOR_MAX_IDS + sdev->id) * 256 + min_t(u64, sdev->lun, 255);
}

static struct scsi_device *unit_get(struct stor_dev *sd, u32 unit)
{
	if (sd->ide)
		return scsi_device_lookup(sd->host, 0, ide_drive(sd), 0);
	return scsi_device_lookup(sd->host, unit / 256 / STOR_MAX_IDS, unit / 256 % STOR_MAX_IDS,
				  unit % 256);
}

/* However often the host says so, one look at a unit is to come, and it costs no memory. */
static void unit_work(struct work_struct *work)
{
	struct stor_dev *sd = container_of(work, struct stor_dev, unit_work);
	struct scsi_device *sdev;
	bool gone;
	u32 unit;

	for (unit = 0; unit < STOR_UNITS; unit++) {
		gone = test_and_clear_bit(unit, sd->units_gone);
		if (!test_and_clear_bit(unit, sd->units_changed) && !gone)
			continue;
		sdev = unit_get(sd, unit);
		if (!sdev)
			continue;
		if (gone)
			scsi_remove_device(sdev);
		else
			kvmb_rescan_sdev(sdev);
		scsi_device_put(sdev);
	}
}

static void unit_changed(struct scsi_device *sdev, bool gone)
{
	struct stor_dev *sd = stor_of(sdev->host);
	u32 unit = unit_of(sd, sdev);

	set_bit(unit, gone ? sd->units_gone : sd->units_changed);
	queue_work(sd->wq, &sd->unit_work);
}

/*
 * The first look, too: the bus's workqueue does not wait for a host that does not answer INQUIRY.
 */
static void scan_work(struct work_struct *work)
{
	struct stor_dev *sd = container_of(work, struct stor_dev, scan_work);
	struct scsi_device *sdev;
	struct scsi_sense_hdr sshdr;

	/* the absent answer with an invalid LUN, and are removed for that; then look for others */
	shost_for_each_device(sdev, sd->host)
		scsi_test_unit_ready(sdev, 5 * HZ, 1, &sshdr);
	if (sd->ide)
		scsi_add_device(sd->host, 0, ide_drive(sd), 0);
	else
		scsi_scan_host(sd->host);
}

void kvmb_stor_rescan(struct stor_dev *sd)
{
	if (smp_load_acquire(&sd->live))
		queue_work(sd->wq, &sd->scan_work);
}

/* ---- answers ---- */

static void set_result(struct scsi_cmnd *cmd, const struct kvmb_wire_srb *srb)
{
	u8 status = srb->srb_status & 0x3f;
	u32 len = scsi_bufflen(cmd), moved = le32_to_cpu(srb->transfer_length);
	struct scsi_sense_hdr sshdr;

	cmd->result = srb->scsi_status;
	if (srb->srb_status & KVMB_SRB_AUTOSENSE_VALID) {
		u32 n = min_t(u32, srb->sense_length, KVMB_STOR_SENSE_SIZE);

		memcpy(cmd->sense_buffer, srb->u.sense, n);
		if (n >= 8 && scsi_normalize_sense(cmd->sense_buffer, n, &sshdr) &&
		    sshdr.sense_key == UNIT_ATTENTION && sshdr.asc == 0x2a && sshdr.ascq == 0x09) {
			unit_changed(cmd->device, false); /* CAPACITY DATA HAS CHANGED */
			cmd->result = DID_REQUEUE << 16;
		}
	}
	switch (status) {
	case KVMB_SRB_SUCCESS:
	case KVMB_SRB_DATA_OVERRUN:
		break;
	case KVMB_SRB_INVALID_LUN:
		cmd->result = DID_NO_CONNECT << 16;
		unit_changed(cmd->device, true);
		moved = 0;
		break;
	default:
		moved = 0;
		/* with sense the upper layers know what to do */
		if (!(srb->srb_status & KVMB_SRB_AUTOSENSE_VALID) && !srb->scsi_status)
			cmd->result = DID_ERROR << 16;
	}
	scsi_set_resid(cmd, len - min(len, moved));
}

void kvmb_stor_completed(struct stor_dev *sd, u64 id, const struct kvmb_wire_stor *answer)
{
	/* before it is live nothing is out */
	struct scsi_cmnd *cmd = smp_load_acquire(&sd->live) ? take_command(sd, id) : NULL;

	if (!cmd || le32_to_cpu(answer->operation) != KVMB_STOR_COMPLETE_IO) {
		sd->bad_answers++;
		if (!cmd) {
			pr_warn_ratelimited(
				"kvmbus: an answer to no request from the disk controller\n");
			return;
		}
		cmd->result = DID_ERROR << 16;
	} else {
		set_result(cmd, &answer->u.srb);
	}
	scsi_done(cmd);
}

/* ---- commands ---- */

static u32 fill_pages(struct scsi_cmnd *cmd, struct stor_cmd *c)
{
	struct scatterlist *sg;
	u32 n = 0, off, left;
	u64 pfn;
	int i;

	scsi_for_each_sg(cmd, sg, scsi_sg_count(cmd), i) {
		off = sg->offset & (KVMB_PAGE_SIZE - 1);
		if (!i)
			c->gpa.range.byte_offset = cpu_to_le32(off);
		pfn = page_to_pfn(sg_page(sg)) + (sg->offset >> KVMB_PAGE_SHIFT);
		for (left = off + sg->length; left && n < STOR_MAX_PAGES;
		     left -= min(left, KVMB_PAGE_SIZE))
			c->gpa.pfns[n++] = cpu_to_le64(pfn++);
	}
	c->gpa.direct.reserved = 0;
	c->gpa.direct.range_count = cpu_to_le32(1);
	c->gpa.range.byte_count = cpu_to_le32(scsi_bufflen(cmd));
	return n;
}

static bool usable(struct kvmb_chan *ch)
{
	return !kvmb_chan_gone(ch) && !READ_ONCE(ch->dead);
}

/* Caller is in an RCU section. Return: NULL: closed */
static struct kvmb_chan *open_chan(struct stor_dev *sd, unsigned int index)
{
	struct stor_chan *sc = rcu_dereference(sd->chans[index]);

	return sc ? sc->ch : NULL;
}

/* For the submitting CPU: storage_map.h. The primary where that channel is not open, or broken */
static struct kvmb_chan *chan_for(struct stor_dev *sd, struct scsi_cmnd *cmd, struct stor_cmd *c)
{
	unsigned int index = READ_ONCE(sd->by_cpu[blk_mq_rq_cpu(scsi_cmd_to_rq(cmd))]);
	struct kvmb_chan *ch = open_chan(sd, index);

	if (!ch || !usable(ch)) {
		index = 0;
		ch = sd->dev->chan;
	}
	c->chan = index;
	return ch;
}

/* Return: 0: nothing of the command may be touched any more; -errno: it is still the caller's */
static int send_command(struct stor_dev *sd, struct scsi_cmnd *cmd, struct stor_cmd *c, u32 pages)
{
	struct stor_slot *slot = slot_of_cmd(sd, cmd);
	u64 id = give_to_host(slot, cmd);
	int err;

	rcu_read_lock(); /* a channel that closes stays until we are through */
	err = kvmb_send(chan_for(sd, cmd, c), pages ? KVMB_PKT_GPA_DIRECT : KVMB_PKT_INBAND,
			KVMB_PKT_FLAG_COMPLETE, id, pages ? &c->gpa : NULL,
			pages ? sizeof(c->gpa.direct) + sizeof(c->gpa.range) + pages * 8 : 0,
			&c->pkt, sd->packet_size);
	/*
	 * It did not go out, but a rescind or a host that lies may have completed it meanwhile.
	 * Then its request is free, or another command: only the slot tells, and only by this id.
	 */
	if (err && cmpxchg64(&slot->out, id, 0) != id)
		err = 0;
	rcu_read_unlock();
	return err;
}

static void fill_srb(struct stor_dev *sd, struct scsi_cmnd *cmd, struct kvmb_wire_srb *srb)
{
	u32 flags = SRB_FLAG_NO_DISCONNECT | SRB_FLAG_QUEUE;

	srb->length = cpu_to_le16(sd->packet_size - offsetof(struct kvmb_wire_stor, u));
	srb->port = sd->host->host_no;
	srb->path = cmd->device->channel;
	srb->target = cmd->device->id;
	srb->lun = cmd->device->lun;
	srb->cdb_length = cmd->cmd_len;
	srb->sense_length = sd->packet_size == KVMB_STOR_SIZE_OLD ? 18 : KVMB_STOR_SENSE_SIZE;
	srb->transfer_length = cpu_to_le32(scsi_bufflen(cmd));
	memcpy(srb->u.cdb, cmd->cmnd, cmd->cmd_len);
	srb->queue_tag = SRB_QUEUE_TAG_NONE;
	srb->queue_action = SRB_SIMPLE;
	srb->timeout_s = cpu_to_le32(60);
	switch (cmd->sc_data_direction) {
	case DMA_TO_DEVICE:
		srb->data_in = KVMB_SRB_DATA_OUT;
		flags |= SRB_FLAG_OUT;
		break;
	case DMA_FROM_DEVICE:
		srb->data_in = KVMB_SRB_DATA_IN;
		flags |= SRB_FLAG_IN;
		break;
	default:
		srb->data_in = KVMB_SRB_DATA_NONE;
	}
	srb->flags = cpu_to_le32(flags);
}

static KVMB_QC_T queue_command(struct Scsi_Host *host, struct scsi_cmnd *cmd)
{
	struct stor_dev *sd = stor_of(host);
	struct stor_cmd *c = scsi_cmd_priv(cmd);
	u32 pages = 0;
	int err;

	if (cmd->cmd_len > KVMB_STOR_CDB_SIZE) {
		cmd->result = DID_ERROR << 16;
		goto done;
	}
	memset(&c->pkt, 0, sizeof(c->pkt)); /* nothing of the guest's goes out unmeant */
	c->pkt.operation = cpu_to_le32(KVMB_STOR_EXECUTE_SRB);
	c->pkt.flags = cpu_to_le32(1);
	fill_srb(sd, cmd, &c->pkt.u.srb);
	if (scsi_bufflen(cmd))
		pages = fill_pages(cmd, c);
	err = send_command(sd, cmd, c, pages);
	if (!err)
		return 0;
	if (err == -EAGAIN)
		return SCSI_MLQUEUE_DEVICE_BUSY;
	cmd->result = DID_NO_CONNECT << 16;
done:
	scsi_done(cmd);
	return 0;
}

/*
 * A command that takes long is no error: storage may stall for as long as it likes, and until it
 * answers the host may write to the command's pages. So a command's time is prolonged for as long
 * as its channel can answer.
 */
static KVMB_EH_T timed_out(struct scsi_cmnd *cmd)
{
	struct stor_dev *sd = stor_of(cmd->device->host);
	struct stor_cmd *c = scsi_cmd_priv(cmd);
	struct kvmb_chan *ch;
	bool answers;

	rcu_read_lock();
	ch = open_chan(sd, c->chan);
	answers = ch && usable(ch) && usable(sd->dev->chan);
	rcu_read_unlock();
	return answers ? KVMB_EH_WAIT : KVMB_EH_HANDLE;
}

/*
 * The host did not let go of a channel whose commands wait in error handling. They are not given
 * back before it takes the controller away, or before we have slept, which ends the connection.
 */
static void wait_for_end(struct stor_dev *sd)
{
	shost_printk(KERN_ERR, sd->host,
		     "the host does not let go of this controller; its commands wait\n");
	while (!kvmb_chan_gone(sd->dev->chan) && !rcu_access_pointer(sd->chans[0]))
		msleep(250);
}

/* What error handling has taken over it gives back or sends again; no late answer completes it. */
KVMB_BUSY_ITER(forget)
{
	if (test_bit(SCMD_STATE_COMPLETE, &cmd->state))
		take_back(stor_of(cmd->device->host), cmd);
	return true;
}

static int reset_bus(struct stor_dev *sd)
{
	int err;

	do { /* the host answers what is out before it answers this, however long that takes */
		memset(&sd->step, 0, sizeof(sd->step));
		err = kvmb_stor_step(sd, KVMB_STOR_RESET_BUS);
	} while (err == -ETIMEDOUT && !READ_ONCE(sd->leaving));
	return err;
}

/*
 * Error handling calls it, and then has all commands. A reset by hand (SG_SCSI_RESET) comes at any
 * time until the last user of a disk is gone, also after remove; what it finds out keeps waiting
 * for its answer.
 */
static int reset_handler(struct scsi_cmnd *cmd)
{
	struct stor_dev *sd = stor_of(cmd->device->host);
	bool eh = current == sd->host->ehandler;
	int err, stopped = 0;

	mutex_lock(&sd->step_lock);
	err = sd->removed ? -ENODEV : reset_bus(sd);
	if (eh && err)
		stopped = kvmb_stor_stop(sd); /* closed, the host is off our pages */
	mutex_unlock(&sd->step_lock);
	if (stopped && !kvmb_chan_gone(sd->dev->chan))
		wait_for_end(sd);
	if (eh)
		scsi_host_busy_iter(sd->host, forget, NULL);
	return err ? FAILED : SUCCESS;
}

KVMB_BUSY_ITER(give_back)
{
	if (take_back(stor_of(cmd->device->host), cmd)) {
		cmd->result = DID_NO_CONNECT << 16;
		scsi_done(cmd);
	}
	return true;
}

/* Without it the SCSI layer clears the private part, over a kilobyte, for each command. */
static int init_cmd_priv(struct Scsi_Host *host, struct scsi_cmnd *cmd)
{
	return 0;
}

static int configure(KVMB_SDEV_CONFIGURE_ARGS)
{
	blk_queue_rq_timeout(sdev->request_queue, STOR_TIMEOUT_S * HZ);
	sdev->no_report_opcodes = 1;
	sdev->sdev_bflags |= BLIST_REPORTLUN2 | BLIST_TRY_VPD_PAGES;
	return 0;
}

static struct scsi_host_template stor_template = {
	.module = THIS_MODULE,
	.name = "kvmb_storage",
	.proc_name = "kvmb_storage",
	.queuecommand = queue_command,
	.eh_timed_out = timed_out,
	.eh_host_reset_handler = reset_handler,
	.init_cmd_priv = init_cmd_priv,
	.skip_settle_delay = 1, /* a reset that is answered is over */
	KVMB_SDEV_CONFIGURE = configure,
	.cmd_size = sizeof(struct stor_cmd),
	.this_id = -1,
	.cmd_per_lun = 2048,
	.virt_boundary_mask = KVMB_PAGE_SIZE - 1,
	.track_queue_depth = 1,
	.change_queue_depth = scsi_change_queue_depth,
};

/* ---- devices ---- */

static void shape_host(struct stor_dev *sd)
{
	struct Scsi_Host *host = sd->host;
	u32 ring = (STOR_RING_PAGES - 1) * KVMB_PAGE_SIZE;

	host->nr_hw_queues = 1 + sd->max_subs;
	host->can_queue = ring / PER_COMMAND;
	host->max_channel = sd->ide ? 0 : STOR_MAX_CHANNEL;
	host->max_id = sd->ide ? 1 : STOR_MAX_IDS;
	host->max_lun = sd->ide ? 64 : STOR_MAX_LUNS;
	host->max_cmd_len = KVMB_STOR_CDB_SIZE;
	host->max_sectors = sd->max_transfer >> 9;
	host->sg_tablesize = sd->max_transfer / KVMB_PAGE_SIZE + 1;
}

static int start(struct stor_dev *sd)
{
	int err;

	mutex_lock(&sd->step_lock);
	err = kvmb_stor_start(sd);
	mutex_unlock(&sd->step_lock);
	return err;
}

static void stop(struct stor_dev *sd, bool for_good)
{
	mutex_lock(&sd->step_lock);
	kvmb_stor_stop(sd);
	sd->removed = for_good;
	mutex_unlock(&sd->step_lock);
}

static void stor_free(struct stor_dev *sd)
{
	if (sd->wq)
		destroy_workqueue(sd->wq);
	kvfree(sd->slots);
	kvfree(sd->by_cpu);
	scsi_host_put(sd->host);
}

static struct stor_dev *stor_alloc(struct kvmb_device *dev)
{
	static const struct kvmb_guid ide = KVMB_IDE_TYPE_GUID;
	struct Scsi_Host *host = scsi_host_alloc(&stor_template, sizeof(struct stor_dev));
	struct stor_dev *sd;

	if (!host)
		return NULL;
	sd = stor_of(host);
	sd->host = host;
	sd->dev = dev;
	sd->ide = kvmb_guid_equal(&dev->chan->type, &ide);
	mutex_init(&sd->step_lock);
	spin_lock_init(&sd->map_lock);
	spin_lock_init(&sd->answer_lock);
	INIT_WORK(&sd->scan_work, scan_work);
	INIT_WORK(&sd->unit_work, unit_work);
	sd->by_cpu = kvzalloc(nr_cpu_ids, GFP_KERNEL);
	sd->wq = alloc_ordered_workqueue("kvmbus_scsi%u", WQ_FREEZABLE, host->host_no);
	if (sd->wq && sd->by_cpu)
		return sd;
	stor_free(sd);
	return NULL;
}

static int stor_probe(struct kvmb_device *dev)
{
	struct stor_dev *sd = stor_alloc(dev);
	int err;

	if (!sd)
		return -ENOMEM;
	dev_set_drvdata(&dev->dev, sd);
	err = start(sd);
	if (err) {
		dev_err(&dev->dev, "the disk controller does not start: %d\n", err);
		goto err_free;
	}
	shape_host(sd);
	sd->slots = kvcalloc(sd->host->nr_hw_queues * sd->host->can_queue, sizeof(*sd->slots),
			     GFP_KERNEL);
	err = sd->slots ? scsi_add_host(sd->host, &dev->dev) : -ENOMEM;
	if (err)
		goto err_stop;
	smp_store_release(&sd->live, true);
	queue_work(sd->wq, &sd->scan_work);
	return 0;
err_stop:
	stop(sd, true);
err_free:
	stor_free(sd);
	return err;
}

static void stor_remove(struct kvmb_device *dev)
{
	struct stor_dev *sd = dev_get_drvdata(&dev->dev);
	struct Scsi_Host *host = sd->host;

	WRITE_ONCE(sd->leaving, true);
	if (kvmb_chan_gone(dev->chan)) { /* nobody will answer what is out */
		/*
		 * sub-channels are rescinded one by one, perhaps later: until they are closed, the
		 * host may write for their commands, and others would still be sent on them
		 */
		kvmb_chan_limit(dev->chan, KVMB_WAIT_S);
		stop(sd, true);
		kvmb_chan_limit(dev->chan, 0);
		scsi_host_busy_iter(host, give_back, NULL);
	}
	cancel_work_sync(&sd->scan_work);
	scsi_remove_host(host);
	stop(sd, true); /* nothing is queued any more, and a reset by hand finds nothing to do */
	stor_free(sd);
}

/*
 * Disks sleep before their controller: nothing is out. What was to be looked at is looked at
 * afterwards, when tasks run again; and all else too, since the host may be another.
 */
static int stor_suspend(struct kvmb_device *dev)
{
	struct stor_dev *sd = dev_get_drvdata(&dev->dev);

	cancel_work_sync(&sd->scan_work);
	cancel_work_sync(&sd->unit_work);
	WRITE_ONCE(sd->leaving, true);
	stop(sd, false);
	WRITE_ONCE(sd->leaving, false);
	return 0;
}

/* Queues of the disks take no more than this host does. They never take more than before. */
static void limit_transfer(struct stor_dev *sd)
{
	unsigned int sectors = sd->max_transfer >> 9;
	struct scsi_device *sdev;

	if (sectors >= sd->host->max_sectors)
		return;
	sd->host->max_sectors = sectors;
	shost_for_each_device(sdev, sd->host)
		kvmb_limit_queue(sdev->request_queue, sectors);
}

static int stor_resume(struct kvmb_device *dev)
{
	struct stor_dev *sd = dev_get_drvdata(&dev->dev);
	int err = start(sd);

	if (!err)
		limit_transfer(sd);
	queue_work(sd->wq, &sd->unit_work);
	queue_work(sd->wq, &sd->scan_work);
	return err;
}

static const struct kvmb_guid stor_types[] = { KVMB_SCSI_TYPE_GUID, KVMB_IDE_TYPE_GUID };

static struct kvmb_driver stor_driver = {
	.name = "kvmb_storage",
	.types = stor_types,
	.num_types = ARRAY_SIZE(stor_types),
	.probe = stor_probe,
	.remove = stor_remove,
	.suspend = stor_suspend,
	.resume = stor_resume,
};

static int __init stor_init(void)
{
	return kvmb_driver_register(&stor_driver, THIS_MODULE);
}

static void __exit stor_exit(void)
{
	kvmb_driver_unregister(&stor_driver);
}

module_init(stor_init);
module_exit(stor_exit);
/* the type GUIDs of proto/storage.h in wire order */
MODULE_ALIAS("kvmbus:d96361baa104294db60572e2ffb1dc7f"); /* SCSI */
MODULE_ALIAS("kvmbus:32264132cb86a2449b5c50d1417354f5"); /* IDE accelerator */
MODULE_DESCRIPTION("kvmbus: synthetic SCSI disks of a guest");
MODULE_LICENSE("GPL");
