// SPDX-License-Identifier: GPL-2.0-only
/* The disk controller of script_disk.h. Wire facts: docs/protocol.md#5. */
#include <linux/async.h>
#include <linux/delay.h>
#include <linux/kthread.h>

#include "tests/kunit/script_disk.h"

#define BLOCKS 256u

static const struct kvmb_guid scsi_type = KVMB_SCSI_TYPE_GUID;

struct script_disk disk;
struct held_answer disk_held;

static u32 scsi_answer(const struct kvmb_pkt *pkt, struct kvmb_wire_srb *srb)
{
	u32 want = le32_to_cpu(srb->transfer_length), len = 0, lba, n, i;
	static const u8 sense[14] = { 0x70, 0, ILLEGAL_REQUEST, [7] = 10, [12] = 0x20 };
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
		memcpy(srb->u.sense, sense, sizeof(sense));
		srb->transfer_length = 0;
		return 0;
	}
	len = min(len, want);
	if (len)
		len = host_copy(pkt, disk.data, len, true);
	srb->transfer_length = cpu_to_le32(len);
	return len;
}

static void be_slow(u32 op)
{
	if (op != disk.slow_op)
		return;
	disk.slow_op = 0;
	complete(&disk.slow);
	msleep(300);
}

static void offer_subs(u16 num);

static void on_packet(struct host_chan *c, const struct kvmb_pkt *pkt, void *ctx)
{
	struct kvmb_wire_stor p = { 0 };
	u32 op, len = min_t(u32, pkt->payload_len, sizeof(p)), i;
	u64 id = pkt->trans_id;
	u8 cdb[KVMB_STOR_CDB_SIZE];
	u16 subs = 0;

	memcpy(&p, pkt->payload, len);
	op = le32_to_cpu(p.operation);
	memcpy(cdb, p.u.srb.u.cdb, sizeof(cdb));
	if (disk_is_read(cdb, op)) {
		disk.came_by = c->relid;
		disk.read_id = id;
	}
	if (op == KVMB_STOR_EXECUTE_SRB)
		disk.cdbs[cdb[0]]++;
	disk.requests[op & 15]++;
	if (op == disk.mute_op)
		return;
	be_slow(op);
	p.operation = cpu_to_le32(KVMB_STOR_COMPLETE_IO);
	p.status = 0;
	switch (op) {
	case KVMB_STOR_QUERY_VERSION:
		if (le16_to_cpu(p.u.version.major_minor) > disk.newest)
			p.status = cpu_to_le32(KVMB_STOR_STATUS_REVISION_MISMATCH);
		break;
	case KVMB_STOR_QUERY_PROPERTIES:
		memset(&p.u, 0, sizeof(p.u));
		p.u.properties.max_transfer = cpu_to_le32(disk.max_transfer);
		p.u.properties.max_sub_channels = cpu_to_le16(disk.subs);
		p.u.properties.flags = cpu_to_le32(disk.subs ? KVMB_STOR_MULTI_CHANNEL : 0);
		break;
	case KVMB_STOR_CREATE_SUB_CHANNELS:
		subs = le16_to_cpu(p.u.sub_channels);
		break;
	case KVMB_STOR_EXECUTE_SRB:
		scsi_answer(pkt, &p.u.srb);
		break;
	}
	if (disk.twist && !disk.twist(&p, &id, &len, op, cdb))
		return;
	for (i = 0; i < max(disk.copies, 1u); i++)
		host_put(c, KVMB_PKT_COMPLETION, 0, id, NULL, 0, &p, len);
	offer_subs(subs);
}

static void offer_subs(u16 num)
{
	u16 i;

	for (i = 1; i <= min3(num, disk.subs, (u16)MAX_SUBS); i++) {
		host_chan_of(RELID + i)->on_packet = on_packet;
		host_offer(RELID + i, &scsi_type, 1, i);
	}
}

/* ---- the guest's disk ---- */

struct Scsi_Host *disk_host(void)
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

struct scsi_device *disk_find(void)
{
	struct Scsi_Host *host = disk_host();
	struct scsi_device *sdev;

	if (!host)
		return NULL;
	sdev = scsi_device_lookup(host, 0, 0, 0);
	scsi_host_put(host);
	return sdev;
}

/* The driver scans on a workqueue of its own, under the host's scan_mutex. */
static void wait_for_scan(void)
{
	struct Scsi_Host *host;
	struct scsi_device *sdev = NULL;
	int i;

	for (i = 0; i < 500 && !sdev && (host = disk_host()); i++) {
		sdev = disk_find();
		if (sdev) {
			mutex_lock(&host->scan_mutex);
			mutex_unlock(&host->scan_mutex);
			async_synchronize_full(); /* and sd, which attaches by itself */
			scsi_device_put(sdev);
		} else {
			msleep(20);
		}
		scsi_host_put(host);
	}
}

void disk_offer(void)
{
	host_chan_of(RELID)->on_packet = on_packet;
	host_offer(RELID, &scsi_type, 1, 0);
}

void disk_plug_in(void)
{
	disk_offer();
	host_settle();
	wait_for_scan();
}

int disk_read(struct scsi_device *sdev, u8 lba, bool *same)
{
	const u8 cdb[10] = { READ_10, 0, 0, 0, 0, lba, 0, 0, 1, 0 };
	u8 *buf = kzalloc(512, GFP_KERNEL);
	struct scsi_sense_hdr sshdr;
	int err = -ENOMEM;

	if (buf) {
		err = scsi_execute_req(sdev, cdb, DMA_FROM_DEVICE, buf, 512, &sshdr, 2 * HZ, 0,
				       NULL);
		*same = buf[0] == lba && buf[511] == lba;
	}
	kfree(buf);
	return err;
}

bool disk_is_read(const u8 *cdb, u32 op)
{
	return op == KVMB_STOR_EXECUTE_SRB && cdb[0] == READ_10;
}

bool disk_wait(const u32 *word, u32 least)
{
	int i;

	for (i = 0; i < 5000 && READ_ONCE(*word) < least; i++)
		msleep(1);
	return READ_ONCE(*word) >= least;
}

/* ---- what tests do ---- */

static bool hold_read(struct kvmb_wire_stor *p, u64 *id, u32 *len, u32 op, const u8 *cdb)
{
	if (!disk_is_read(cdb, op) || disk_held.id)
		return true;
	disk_held.p = *p;
	disk_held.len = *len;
	WRITE_ONCE(disk_held.id, *id);
	return false;
}

void disk_hold_next_read(void)
{
	memset(&disk_held, 0, sizeof(disk_held));
	disk.twist = hold_read;
}

void disk_give_held(void)
{
	host_put(host_chan_of(RELID), KVMB_PKT_COMPLETION, 0, disk_held.id, NULL, 0, &disk_held.p,
		 disk_held.len);
}

int disk_flood(void *unused)
{
	struct kvmb_wire_stor p = { .operation = cpu_to_le32(KVMB_STOR_COMPLETE_IO) };
	u32 n = 0;

	while (!kthread_should_stop()) {
		if (host_put(host_chan_of(RELID), KVMB_PKT_COMPLETION, 0, 1 + n++ % 8, NULL, 0, &p,
			     sizeof(p)))
			cond_resched();
		if (n % 256 == 0) /* others have a word with the host, too */
			usleep_range(100, 200);
	}
	return 0;
}

int disk_rescind_soon(void *unused)
{
	msleep(200);
	host_rescind(RELID);
	return 0;
}

int disk_init(struct kunit *test)
{
	memset(&disk, 0, sizeof(disk));
	disk.newest = KVMB_STOR_V6_2;
	disk.max_transfer = 128 << 10;
	init_completion(&disk.slow);
	host_reset();
	return 0;
}

void disk_exit(struct kunit *test)
{
	disk.mute_op = 0;
	disk.slow_op = 0;
	disk.twist = NULL;
	disk.copies = 0;
	host_reset();
}
