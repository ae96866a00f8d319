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
#include "host-vsp/storage/storage_priv.h"
#include "tests/fuzz/fuzz_bus.h"
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
	char path[64], why[128];
	struct kvmb_disk *d;
	int fd;

	if (!s) {
		fuzz_quiet();
		fd = memfd_create("disk", 0);
		if (ftruncate(fd, 1 << 20))
			abort();
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (kvmb_disk_open(path, false, &d, why, sizeof(why)))
			abort();
		s = kvmb_storage_create(0, 3);
		kvmb_storage_attach(s, d, 0);
		fake_init(&f, KVMB_VERSION_NEWEST);
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

static void scsi_only(const u8 *in, size_t len)
{
	struct kvmb_disk d = { .blocks = 2048, .serial = "0123", .read_only = in[0] & 2 };
	struct kvmb_scsi_cmd cmd = { 0 };
	u8 cdb[16] = { 0 };
	u32 i;

	memcpy(cdb, in + 4, len - 4 < 16 ? len - 4 : 16);
	cmd.cdb = cdb;
	cmd.cdb_len = 16;
	cmd.buffer = in[1] * 512u + in[2];
	cmd.to_device = in[0] & 4;
	cmd.from_device = !cmd.to_device && in[0] & 8;
	kvmb_scsi_execute(in[0] & 16 ? NULL : &d, &cmd);
	if (cmd.data_len > cmd.buffer || cmd.data_len > sizeof(cmd.data))
		abort();
	if (cmd.io == KVMB_IO_READ || cmd.io == KVMB_IO_WRITE) {
		if (cmd.length > cmd.buffer || cmd.offset + cmd.length > d.blocks * 512 || !cmd.length)
			abort();
		if (cmd.io == KVMB_IO_WRITE && d.read_only)
			abort();
	}
	for (i = 0; i < 64; i++)
		cmd.data[i] = 0;
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
			p.u.srb.path = p.u.srb.target = p.u.srb.lun = 0;
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
		if (fake_send(&f, &c, op & 4 ? KVMB_PKT_INBAND : KVMB_PKT_GPA_DIRECT, op >> 3 & 1, op, op & 4 ? NULL : &h,
			      op & 4 ? 0 : sizeof(h), &p, op & 16 ? sizeof(p) : 48 + lie % 17))
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
