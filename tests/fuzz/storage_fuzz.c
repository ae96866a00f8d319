// SPDX-License-Identifier: GPL-2.0-only
/*
 * storvsp: packets of any shape through the fake VMM, and SCSI commands by themselves.
 * Odd inputs go straight to the SCSI layer, which is quick; even ones through a channel.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host-vsp/storage/storage.h"
#include "host-vsp/storage/scsi.h"
#include "host-vsp/storage/storage_ring.h"
#include "lib/util.h"
#include "tests/fuzz/fuzz_bus.h"
#include "tests/harness/open_named.h"
#include "vmbus-core/proto/storage.h"

static struct fake_vmm f;
static struct kvmb_storage *s;
static struct kvmb_wire_offer offer;
static struct fake_chan c;
static bool up;

static void send_stor(u32 op, u16 version)
{
	struct kvmb_wire_stor p = { .operation = cpu_to_le32(op) };

	p.u.version.major_minor = cpu_to_le16(version);
	fake_send(&f, &c, KVMB_PKT_INBAND, 1, 1, NULL, 0, &p, sizeof(p));
}

static void bring_up(void)
{
	struct kvmb_disk_spec spec = { 0 };
	char path[64], why[KVMB_DISK_WHY];
	struct kvmb_disk *d;
	int fd;

	if (!s) {
		fuzz_quiet();
		fd = memfd_create("disk", 0);
		if (ftruncate(fd, 1 << 20))
			abort();
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		spec.path = path;
		if (open_named(&spec, &d, why, sizeof(why)))
			abort();
		fake_init(&f, KVMB_VERSION_NEWEST);
		s = kvmb_storage_create(0, 3, kvmb_rings_create(4, false), f.loop, NULL, NULL);
		kvmb_storage_attach(s, d, false, 0);
		kvmb_storage_attach(s, NULL, true, 1);
		kvmb_storage_offer(s, f.bus);
		fake_connect(&f, KVMB_VERSION_NEWEST, &offer, 1);
	}
	f.next_gfn = 1000;
	f.next_gpadl = 0xe1e10;
	if (fake_open(&f, &c, le32_to_cpu(offer.relid), 8))
		abort();
	send_stor(KVMB_STOR_BEGIN_INIT, 0);
	send_stor(KVMB_STOR_QUERY_VERSION, KVMB_STOR_V6_2);
	send_stor(KVMB_STOR_END_INIT, 0);
	up = true;
}

/* What the I/O layer relies on. */
static void check_decision(const struct kvmb_scsi_cmd *cmd, const struct kvmb_disk *d)
{
	u64 end = d->blocks * d->block;
	u32 i;

	if (cmd->data_len > cmd->buffer || cmd->data_len > sizeof(cmd->data))
		abort();
	if (cmd->status != KVMB_SCSI_STATUS_GOOD && (cmd->io != KVMB_IO_NONE || cmd->data_len))
		abort();
	switch (cmd->io) {
	case KVMB_IO_READ:
	case KVMB_IO_WRITE:
	case KVMB_IO_VERIFY:
		if (cmd->length > cmd->buffer)
			abort();
		/* fall through */
	case KVMB_IO_SAME:
		if (!cmd->length || cmd->length % d->block || cmd->offset + cmd->length > end)
			abort();
		break;
	case KVMB_IO_ZERO:
		for (i = 0; i < cmd->num_extents; i++) {
			if (!cmd->extents[i].blocks ||
			    cmd->extents[i].lba + cmd->extents[i].blocks > d->blocks)
				abort();
		}
		if (!cmd->num_extents || cmd->num_extents > KVMB_SCSI_MAX_EXTENTS)
			abort();
		break;
	default:
		break;
	}
	if (d->read_only &&
	    (cmd->io == KVMB_IO_WRITE || cmd->io == KVMB_IO_ZERO || cmd->io == KVMB_IO_SAME))
		abort();
}

/* A run of commands on one unit: reservations, modes and attentions carry over. */
static void scsi_only(const u8 *in, size_t len)
{
	struct kvmb_disk d = { .blocks = 2048,
			       .block = 512,
			       .serial = "0123",
			       .read_only = in[0] & 2,
			       .can_zero = in[0] & 32 };
	static struct kvmb_scsi_cmd cmd;
	struct kvmb_unit u;
	bool dvd = in[0] & 64;
	u8 cdb[16];
	u32 i;

	if (dvd)
		d.block = 2048;
	d.read_only |= dvd;
	kvmb_unit_init(&u, dvd, dvd && in[0] & 128 ? NULL : &d);
	for (in++, len--; len >= 4; in += i, len -= i) {
		u8 how = in[0];

		i = (u32)KVMB_MIN(len, (size_t)20);
		memset(cdb, 0, sizeof(cdb));
		memcpy(cdb, in + 4, i - 4);
		cmd.cdb = cdb;
		cmd.cdb_len = 16;
		cmd.buffer = in[1] * 512u + in[2];
		cmd.to_device = how & 4;
		cmd.from_device = !cmd.to_device && how & 8;
		cmd.param = in + i; /* the next command's bytes: wild enough */
		cmd.param_len = (u32)KVMB_MIN(len - i, (size_t)kvmb_scsi_param_len(cdb));
		cmd.param_len = cmd.to_device ? KVMB_MIN(cmd.param_len, cmd.buffer) : 0;
		if (how & 128)
			kvmb_unit_attention(&u, (enum kvmb_ua)(in[3] % KVMB_UA_NUM));
		kvmb_scsi_execute(how & 16 ? NULL : &u, &cmd);
		check_decision(&cmd, &d);
	}
	kvmb_unit_fini(&u);
}

/* Wait until the worker has taken everything, or has given the channel up. */
static void settle(void)
{
	u8 buf[256] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;
	int i, quiet = 0;

	for (i = 0; i < 2000 && quiet < 3; i++) {
		if (!kvmb_ring_peek(&c.rx, buf, sizeof(buf), &pkt)) {
			kvmb_ring_skip(&c.rx, &pkt);
			if (kvmb_ring_release(&c.rx) > 0)
				fake_signal(&f, &c);
			quiet = 0;
		} else if (!kvmb_ring_used(&c.tx, true)) {
			quiet++;
		} else {
			usleep(20);
			quiet = i > 200 ? 3 : 0;
		}
	}
}

int LLVMFuzzerTestOneInput(const u8 *in, size_t left);
int LLVMFuzzerTestOneInput(const u8 *in, size_t left)
{
	struct { struct kvmb_wire_gpa_direct g; struct kvmb_wire_gparange r; __le64 pfn[4]; } h;
	struct kvmb_wire_stor p;
	u32 n, i;

	if (left < 8)
		return 0;
	if (in[0] & 1) {
		scsi_only(in, left);
		return 0;
	}
	if (!up)
		bring_up();
	while (left >= 8) {
		u8 op = in[0], lie = in[1];

		memset(&p, 0, sizeof(p));
		memset(&h, 0, sizeof(h));
		p.operation = cpu_to_le32(op & 2 ? KVMB_STOR_EXECUTE_SRB : (u32)in[2] % 16);
		n = (u32)(left - 8 < 60 ? left - 8 : 60);
		memcpy((u8 *)&p + 4, in + 8, n);
		in += 8 + n;
		left -= 8 + n;
		if (lie & 1) {
			p.u.srb.path = p.u.srb.target = 0;
			p.u.srb.lun %= 3;
			p.u.srb.cdb_length %= 17;
			p.u.srb.data_in %= 3;
		}
		h.g.range_count = cpu_to_le32(lie & 2 ? in[-1] : 1);
		i = lie & 4 ? (u32)op << 9 : le32_to_cpu(p.u.srb.transfer_length) % 16384;
		h.r.byte_count = cpu_to_le32(i);
		if (lie & 1)
			p.u.srb.transfer_length = cpu_to_le32(i);
		h.r.byte_offset = cpu_to_le32(lie & 8 ? 4096 : 0);
		for (i = 0; i < 4; i++)
			h.pfn[i] = cpu_to_le64(lie & 16 ? ~0ull << (op % 50) : 3000 + i);
		if (fake_send(&f, &c, op & 4 ? KVMB_PKT_INBAND : KVMB_PKT_GPA_DIRECT, op >> 3 & 1,
			      op, op & 4 ? NULL : &h, op & 4 ? 0 : sizeof(h), &p,
			      op & 16 ? sizeof(p) : 48 + lie % 17))
			break;
	}
	if (in[-1] == 0x77) /* a wild index at the end */
		*(u32 *)c.map_tx.ctrl = in[-2] << 8 | 3;
	settle();
	/* a fresh channel for the next input, whatever became of this one */
	fake_close(&f, &c);
	f.next_msg = f.num_msgs;
	up = false;
	return 0;
}
