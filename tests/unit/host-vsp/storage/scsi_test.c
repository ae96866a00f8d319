// SPDX-License-Identifier: GPL-2.0-only
/* The SCSI target by itself: commands in, decisions out. Expected values are the standards'. */
#include "host-vsp/storage/scsi.h"

#include "lib/util.h"
#include "tests/unit/test.h"

static struct kvmb_disk disk;
static struct kvmb_unit unit;
static struct kvmb_scsi_cmd cmd;
static u8 param[8192];

static int setup(void **state)
{
	(void)state;
	memset(&disk, 0, sizeof(disk));
	disk = (struct kvmb_disk){ .fd = -1, .blocks = 0x123456, .block = 512, .can_zero = true,
				   .serial = "SERIAL-1", .naa = 0x3123456789abcdefull };
	kvmb_unit_init(&unit, false, &disk);
	memset(param, 0, sizeof(param));
	return 0;
}

static int setup_dvd(void **state)
{
	(void)state;
	setup(state);
	disk.block = 2048;
	disk.blocks = 1000;
	disk.read_only = true;
	kvmb_unit_init(&unit, true, &disk);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kvmb_unit_fini(&unit);
	return 0;
}

#define CDB(...) ((const u8[16]){ __VA_ARGS__ })

/* @out: bytes of param[] given to the device; @in: bytes of room for its answer. Return: status. */
static u8 run(const u8 *cdb, u32 out, u32 in)
{
	u8 copy[16];

	memcpy(copy, cdb, 16);
	cmd.cdb = copy;
	cmd.cdb_len = 16;
	cmd.buffer = out ? out : in;
	cmd.to_device = out;
	cmd.from_device = in;
	cmd.param = param;
	cmd.param_len = KVMB_MIN(out, kvmb_scsi_param_len(copy));
	memset(cmd.data, 0xee, sizeof(cmd.data)); /* what stays 0xee was not written */
	kvmb_scsi_execute(&unit, &cmd);
	return cmd.status;
}

static void assert_sense(u8 key, u8 asc, u8 ascq)
{
	assert_int_equal(cmd.status, KVMB_SCSI_STATUS_CHECK_CONDITION);
	assert_int_equal(cmd.sense[0], 0x70);
	assert_int_equal(cmd.sense[7], 10);
	assert_int_equal(cmd.sense[2], key);
	assert_int_equal(cmd.sense[12], asc);
	assert_int_equal(cmd.sense[13], ascq);
	assert_int_equal(cmd.io, KVMB_IO_NONE);
	assert_int_equal(cmd.data_len, 0);
}

static u32 be32(const u8 *p)
{
	return (u32)p[0] << 24 | (u32)p[1] << 16 | (u32)p[2] << 8 | p[3];
}

static void put_be(u8 *p, u64 v, int bytes)
{
	while (bytes--)
		p[bytes] = (u8)v, v >>= 8;
}

static void vpd_pages_are_those_announced(void **state)
{
	u8 list[16], n, i;

	(void)state;
	assert_int_equal(run(CDB(0x12, 1, 0x00, 0, 255), 0, 255), 0);
	n = cmd.data[3];
	assert_int_equal(n, 6);
	assert_int_equal(cmd.data_len, 4 + n);
	memcpy(list, cmd.data + 4, n);
	assert_memory_equal(list, "\x00\x80\x83\xb0\xb1\xb2", 6);
	for (i = 0; i < n; i++) {
		assert_int_equal(run(CDB(0x12, 1, list[i], 0, 255), 0, 255), 0);
		assert_int_equal(cmd.data[1], list[i]);
		assert_int_equal(cmd.data_len, 4 + (cmd.data[2] << 8 | cmd.data[3]));
	}
	run(CDB(0x12, 1, 0x84, 0, 255), 0, 255);
	assert_sense(5, 0x24, 0);
	disk.can_zero = false; /* thick: no logical block provisioning page, no UNMAP */
	run(CDB(0x12, 1, 0xb2, 0, 255), 0, 255);
	assert_sense(5, 0x24, 0);
	run(CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 24), 24, 0);
	assert_sense(5, 0x20, 0);
}

static void vpd_contents(void **state)
{
	(void)state;
	run(CDB(0x12, 1, 0x80, 0, 255), 0, 255);
	assert_memory_equal(cmd.data + 4, "SERIAL-1", 8);
	run(CDB(0x12, 1, 0x83, 0, 255), 0, 255);
	assert_memory_equal(cmd.data + 4, "\x01\x03\x00\x08\x31\x23\x45\x67\x89\xab\xcd\xef", 12);
	assert_memory_equal(cmd.data + 16, "\x02\x01\x00\x20Msft    Virtual Disk    SERIAL-1", 36);
	run(CDB(0x12, 1, 0xb0, 0, 255), 0, 255);
	assert_int_equal(be32(cmd.data + 8), 1024);	  /* 512 KiB at most */
	assert_int_equal(be32(cmd.data + 28), 8);	  /* unmap granularity: 4096 bytes */
	assert_int_equal(be32(cmd.data + 32) >> 31, 1);	  /* UGAVALID */
	run(CDB(0x12, 1, 0xb1, 0, 255), 0, 255);
	assert_int_equal(cmd.data[5], 1);		  /* SSD */
	run(CDB(0x12, 1, 0xb2, 0, 255), 0, 255);
	assert_int_equal(cmd.data[5] & 0xe0, 0xe0);	  /* LBPU, LBPWS, LBPWS10 */
	assert_int_equal(cmd.data[6] & 7, 2);		  /* thin */
	/* the answer is cut to the allocation length, its own length field is not */
	run(CDB(0x12, 1, 0xb0, 0, 8), 0, 255);
	assert_int_equal(cmd.data_len, 8);
	assert_int_equal(cmd.data[3], 60);
}

static void capacity_in_both_forms(void **state)
{
	(void)state;
	run(CDB(0x25), 0, 8);
	assert_int_equal(be32(cmd.data), 0x123455);
	assert_int_equal(be32(cmd.data + 4), 512);
	run(CDB(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32), 0, 32);
	assert_int_equal(be32(cmd.data + 4), 0x123455);
	assert_int_equal(cmd.data[13], 3);
	assert_int_equal(cmd.data[14] & 0xc0, 0xc0);
	disk.blocks = 1ull << 33; /* the short form says "ask the long one" */
	run(CDB(0x25), 0, 8);
	assert_int_equal(be32(cmd.data), 0xffffffff);
	disk.block = 4096;
	run(CDB(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32), 0, 32);
	assert_int_equal(cmd.data[13], 0);
	assert_int_equal(be32(cmd.data + 8), 4096);
	run(CDB(0x9e, 0x12), 0, 32); /* GET LBA STATUS: the opcode exists, this action does not */
	assert_sense(5, 0x24, 0);
}

static void write_cache_is_the_guests_to_switch(void **state)
{
	(void)state;
	run(CDB(0x1a, 8, 0x08, 0, 64), 0, 64);
	assert_int_equal(cmd.data[4 + 2], 4);
	run(CDB(0x1a, 8, 0x48, 0, 64), 0, 64); /* changeable: WCE alone */
	assert_int_equal(cmd.data[4 + 2], 4);
	run(CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1), 512, 0);
	assert_false(cmd.fua);
	memcpy(param, "\0\0\0\0\x08\x12", 6); /* header, caching page with WCE off */
	assert_int_equal(run(CDB(0x15, 0x10, 0, 0, 24), 24, 0), 0);
	assert_int_equal(cmd.io, KVMB_IO_FLUSH); /* what was cached goes first */
	run(CDB(0x1a, 8, 0x08, 0, 64), 0, 64);
	assert_int_equal(cmd.data[4 + 2], 0);
	run(CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1), 512, 0);
	assert_true(cmd.fua); /* write-through */
	run(CDB(0x1a, 8, 0x88, 0, 64), 0, 64); /* default values do not change */
	assert_int_equal(cmd.data[4 + 2], 4);
	param[6] = 4;
	assert_int_equal(run(CDB(0x55, 0x10, 0, 0, 0, 0, 0, 0, 24), 24, 0),
			 KVMB_SCSI_STATUS_CHECK_CONDITION);
	/* the 10-byte form has a longer header */
	memcpy(param, "\0\0\0\0\0\0\0\0\x08\x12\x04", 11);
	assert_int_equal(run(CDB(0x55, 0x10, 0, 0, 0, 0, 0, 0, 28), 28, 0), 0);
	run(CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1), 512, 0);
	assert_false(cmd.fua);
}

static void mode_select_refuses_what_cannot_be(void **state)
{
	static const struct { u8 sp_pf, list, page[26]; u8 asc; } cases[] = {
		{ 0x11, 24, { 0, 0, 0, 0, 8, 0x12, 4 }, 0x24 },		 /* SP */
		/* shorter than its header */
		{ 0x10, 3, { 0 }, 0x1a },
		/* a descriptor of 0-byte blocks */
		{ 0x10, 24, { 0, 0, 0, 8 }, 0x26 },
		/* descriptor beyond the list */
		{ 0x10, 24, { 0, 0, 0, 200 }, 0x26 },
		{ 0x10, 23, { 0, 0, 0, 0, 8, 0x12, 4 }, 0x1a },		 /* page beyond the list */
		{ 0x10, 24, { 0, 0, 0, 0, 8, 0x12, 5 }, 0x26 },		 /* RCD is not changeable */
		{ 0x10, 16, { 0, 0, 0, 0, 0x0a, 0x0a, 0, 0x20 }, 0x26 }, /* control page */
		{ 0x10, 16, { 0, 0, 0, 0, 0x3e, 0x0a }, 0x26 },		 /* no such page */
		/* all pages: none to write */
		{ 0x10, 60, { 0, 0, 0, 0, 0x3f, 0x36 }, 0x26 },
		{ 0x00, 24, { 0, 0, 0, 0, 8, 0x12, 4 }, 0x26 },		 /* PF off: vendor format */
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		memset(param, 0, sizeof(param));
		memcpy(param, cases[i].page, sizeof(cases[i].page));
		run(CDB(0x15, cases[i].sp_pf, 0, 0, cases[i].list), cases[i].list, 0);
		assert_sense(5, cases[i].asc, 0);
	}
	run(CDB(0x15, 0x10, 0, 0, 24), 12, 0); /* the guest's buffer is shorter than it says */
	assert_sense(5, 0x1a, 0);
	assert_int_equal(run(CDB(0x15, 0x10), 0, 0), 0); /* an empty list is no error */
}

static void mode_sense_errors(void **state)
{
	(void)state;
	run(CDB(0x1a, 8, 0xff, 0, 64), 0, 64); /* saved */
	assert_sense(5, 0x39, 0);
	run(CDB(0x1a, 8, 0x3e, 0, 64), 0, 64);
	assert_sense(5, 0x24, 0);
	run(CDB(0x1a, 8, 0x08, 1, 64), 0, 64); /* no subpages */
	assert_sense(5, 0x24, 0);
	assert_int_equal(run(CDB(0x5a, 0, 0x3f, 0xff, 0, 0, 0, 1, 0), 0, 256), 0);
	assert_int_equal(cmd.data[3], 0x10); /* DPOFUA, not write-protected */
	assert_int_equal(cmd.data[7], 8);
	assert_int_equal(be32(cmd.data + 8), 0x123456);
	disk.read_only = true;
	run(CDB(0x1a, 8, 0x3f, 0, 64), 0, 64);
	assert_int_equal(cmd.data[2], 0x90);
}

static void unmap_lists(void **state)
{
	static const u8 cdb[16] = { 0x42, 0, 0, 0, 0, 0, 0, 0, 8 + 2 * 16 };
	u8 big[16] = { 0x42 };

	(void)state;
	put_be(param, 2 * 16 + 6, 2);
	put_be(param + 2, 2 * 16, 2);
	put_be(param + 8, 100, 8);
	put_be(param + 16, 8, 4);
	put_be(param + 24, 0x123450, 8);
	put_be(param + 32, 6, 4);
	assert_int_equal(run(cdb, 40, 0), 0);
	assert_int_equal(cmd.io, KVMB_IO_ZERO);
	assert_int_equal(cmd.num_extents, 2);
	assert_int_equal(cmd.extents[0].lba, 100);
	assert_int_equal(cmd.extents[1].blocks, 6);
	put_be(param + 32, 7, 4); /* one beyond the end: nothing at all is done */
	run(cdb, 40, 0);
	assert_sense(5, 0x21, 0);
	put_be(param + 24, ~0ull, 8);
	run(cdb, 40, 0);
	assert_sense(5, 0x21, 0);
	put_be(param + 32, 0, 4); /* an empty descriptor is no error, and no work */
	put_be(param + 24, 5, 8);
	assert_int_equal(run(cdb, 40, 0), 0);
	assert_int_equal(cmd.num_extents, 1);
	run(cdb, 39, 0);
	assert_sense(5, 0x1a, 0);
	run(CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 7), 7, 0);
	assert_sense(5, 0x1a, 0);
	run(CDB(0x42, 1, 0, 0, 0, 0, 0, 0, 24), 24, 0); /* ANCHOR */
	assert_sense(5, 0x24, 0);
	assert_int_equal(run(CDB(0x42), 0, 0), 0);
	put_be(big + 7, 8 + 257 * 16, 2);
	put_be(param + 2, 257 * 16, 2);
	run(big, 8 + 257 * 16, 0);
	assert_sense(5, 0x26, 0);
}

static void write_same_forms(void **state)
{
	(void)state;
	/* zeroes give space back whether or not UNMAP is set; another pattern is written */
	assert_int_equal(run(CDB(0x93, 8, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 1, 0), 512, 0), 0);
	assert_int_equal(cmd.io, KVMB_IO_ZERO);
	assert_int_equal(cmd.extents[0].lba, 9);
	assert_int_equal(cmd.extents[0].blocks, 256);
	param[511] = 1;
	assert_int_equal(run(CDB(0x41, 0, 0, 0, 0, 9, 0, 1, 0), 512, 0), 0);
	assert_int_equal(cmd.io, KVMB_IO_SAME);
	assert_int_equal(cmd.offset, 9 * 512);
	assert_int_equal(cmd.length, 256 * 512);
	assert_int_equal(run(CDB(0x93, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 1, 0), 0, 0), 0); /* NDOB */
	assert_int_equal(cmd.io, KVMB_IO_ZERO);
	run(CDB(0x93, 0, 0, 0, 0, 0, 0, 0, 0, 9), 512, 0); /* "0 = to the end": WSNZ says no */
	assert_sense(5, 0x24, 0);
	run(CDB(0x93, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1), 511, 0); /* no whole block given */
	assert_sense(5, 0x24, 0);
	run(CDB(0x93, 0x10, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1), 512, 0); /* ANCHOR */
	assert_sense(5, 0x24, 0);
	run(CDB(0x93, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 0x56, 0, 0, 0, 1), 512, 0);
	assert_sense(5, 0x21, 0);
	/* a pattern beyond VPD B0's limit */
	run(CDB(0x93, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1), 512, 0);
	assert_sense(5, 0x24, 0);
	disk.can_zero = false;
	run(CDB(0x93, 8, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 1, 0), 512, 0);
	assert_sense(5, 0x24, 0);
}

static void verify_compares_only_when_asked(void **state)
{
	(void)state;
	assert_int_equal(run(CDB(0x2f, 0, 0, 0, 0, 5, 0, 0, 8), 0, 0), 0);
	assert_int_equal(cmd.io, KVMB_IO_NONE);
	assert_int_equal(run(CDB(0x2f, 2, 0, 0, 0, 5, 0, 0, 8), 4096, 0), 0);
	assert_int_equal(cmd.io, KVMB_IO_VERIFY);
	assert_int_equal(cmd.length, 4096);
	run(CDB(0x8f, 2, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 9), 4096, 0);
	assert_sense(5, 0x24, 0);
	run(CDB(0xaf, 6, 0, 0, 0, 5, 0, 0, 0, 1), 512, 0); /* BYTCHK 3 */
	assert_sense(5, 0x24, 0);
}

/* Every command of the table that writes, as the target itself lists them. */
static void read_only_refuses_every_writing_command(void **state)
{
	static const u8 harmless[] = { 0x00, 0x03, 0x08, 0x12, 0x15, 0x1a, 0x1b, 0x1e,
				       0x25, 0x28, 0x2b, 0x2f, 0x35, 0x55, 0x5a, 0x5e,
				       0x88, 0x8f, 0x91, 0x9e, 0xa0, 0xa3, 0xa8, 0xaf };
	u8 list[2048], cdb[16];
	u32 n, i;

	(void)state;
	assert_int_equal(run(CDB(0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 8, 0), 0, 2048), 0);
	n = be32(cmd.data);
	assert_int_equal(cmd.data_len, n + 4);
	memcpy(list, cmd.data + 4, n);
	disk.read_only = true;
	for (i = 0; i < n; i += 8) {
		if (memchr(harmless, list[i], sizeof(harmless)))
			continue;
		memset(cdb, 0, sizeof(cdb));
		cdb[0] = list[i];
		cdb[1] = list[i + 3];
		memset(cdb + 6, 0, 10);
		cdb[8] = cdb[13] = 1;
		run(cdb, 512, 0);
		assert_sense(7, 0x27, 0);
	}
	assert_true(i > 40 * 8);
	assert_int_equal(run(CDB(0x35), 0, 0), 0); /* nothing to flush is no error */
	assert_int_equal(cmd.io, KVMB_IO_NONE);
}

static void opcodes_one_by_one(void **state)
{
	(void)state;
	assert_int_equal(run(CDB(0xa3, 0x0c, 1, 0x28, 0, 0, 0, 0, 1, 0), 0, 256), 0);
	assert_int_equal(cmd.data[1] & 7, 3);
	assert_int_equal(cmd.data[3], 10);
	assert_int_equal(cmd.data[4], 0x28);
	run(CDB(0xa3, 0x0c, 1, 0xee, 0, 0, 0, 0, 1, 0), 0, 256);
	assert_int_equal(cmd.data[1] & 7, 1); /* not supported */
	run(CDB(0xa3, 0x0c, 2, 0x9e, 0, 0x10, 0, 0, 1, 0), 0, 256);
	assert_int_equal(cmd.data[1] & 7, 3);
	run(CDB(0xa3, 0x0c, 1, 0x9e, 0, 0x10, 0, 0, 1, 0), 0, 256); /* it has service actions */
	assert_sense(5, 0x24, 0);
	run(CDB(0xa3, 0x0c, 2, 0x28, 0, 0, 0, 0, 1, 0), 0, 256); /* it has none */
	assert_sense(5, 0x24, 0);
	run(CDB(0xa3, 0x0c, 7, 0x28, 0, 0, 0, 0, 1, 0), 0, 256);
	assert_sense(5, 0x24, 0);
	run(CDB(0xa3, 0x0d), 0, 256);
	assert_sense(5, 0x24, 0);
	run(CDB(0xc1), 0, 256);
	assert_sense(5, 0x20, 0);
}

static void attentions_are_told_once_in_order_and_not_to_inquiry(void **state)
{
	(void)state;
	kvmb_unit_attention(&unit, KVMB_UA_LUNS);
	kvmb_unit_attention(&unit, KVMB_UA_CAPACITY);
	kvmb_unit_attention(&unit, KVMB_UA_CAPACITY);
	assert_int_equal(run(CDB(0x12, 0, 0, 0, 36), 0, 36), 0);
	assert_int_equal(run(CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 1), 0, 256), 0);
	run(CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 0, 512);
	assert_sense(6, 0x2a, 0x09);
	/* REQUEST SENSE hands the next one over */
	assert_int_equal(run(CDB(0x03, 0, 0, 0, 18), 0, 18), 0);
	assert_int_equal(cmd.data[2], 6);
	assert_int_equal(cmd.data[12], 0x3f);
	assert_int_equal(cmd.data[13], 0x0e);
	assert_int_equal(run(CDB(0x00), 0, 0), 0);
	run(CDB(0x03, 0, 0, 0, 18), 0, 18);
	assert_int_equal(cmd.data[2], 0);
}

static u8 pr_out(u8 action, u8 type, u64 key, u64 sa_key)
{
	memset(param, 0, 24);
	put_be(param, key, 8);
	put_be(param + 8, sa_key, 8);
	return run(CDB(0x5f, action, type, 0, 0, 0, 0, 0, 24), 24, 0);
}

static u32 pr_in(u8 action)
{
	assert_int_equal(run(CDB(0x5e, action, 0, 0, 0, 0, 0, 1, 0), 0, 256), 0);
	return be32(cmd.data + 4);
}

static void reservations(void **state)
{
	enum { REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_ABORT, IGNORE };

	(void)state;
	assert_int_equal(pr_in(0), 0); /* no keys */
	/* not registered */
	assert_int_equal(pr_out(RESERVE, 1, 0x1111, 0), KVMB_SCSI_STATUS_CONFLICT);
	/* no such old key */
	assert_int_equal(pr_out(REGISTER, 0, 0x9999, 0x1111), KVMB_SCSI_STATUS_CONFLICT);
	assert_int_equal(pr_out(REGISTER, 0, 0, 0x1111), 0);
	assert_int_equal(pr_in(0), 8);
	assert_int_equal(be32(cmd.data), 1); /* generation */
	assert_int_equal(be32(cmd.data + 12), 0x1111);
	assert_int_equal(pr_in(1), 0); /* no reservation */
	assert_int_equal(pr_out(RESERVE, 1, 0x2222, 0), KVMB_SCSI_STATUS_CONFLICT);
	assert_int_equal(pr_out(RESERVE, 5, 0x1111, 0), 0); /* write exclusive, registrants only */
	assert_int_equal(pr_out(RESERVE, 5, 0x1111, 0), 0); /* again by the holder: good */
	/* another type */
	assert_int_equal(pr_out(RESERVE, 1, 0x1111, 0), KVMB_SCSI_STATUS_CONFLICT);
	assert_int_equal(pr_in(1), 16);
	assert_int_equal(be32(cmd.data + 12), 0x1111);
	assert_int_equal(cmd.data[21], 5);
	assert_int_equal(pr_in(3), 48); /* full status: one descriptor with a TransportID */
	assert_int_equal(cmd.data[20], 1);
	pr_out(RELEASE, 1, 0x1111, 0);
	assert_sense(5, 0x26, 0x04);
	assert_int_equal(pr_out(PREEMPT, 3, 0x1111, 0x1111), 0); /* of oneself: changes the type */
	assert_int_equal(pr_in(1), 16);
	assert_int_equal(cmd.data[21], 3);
	assert_int_equal(pr_out(PREEMPT, 3, 0x1111, 0x5555), KVMB_SCSI_STATUS_CONFLICT);
	assert_int_equal(pr_out(RELEASE, 3, 0x1111, 0), 0);
	assert_int_equal(pr_in(1), 0);
	assert_int_equal(pr_out(RELEASE, 3, 0x1111, 0), 0); /* nothing held: good */
	assert_int_equal(pr_out(RESERVE, 7, 0x1111, 0), 0); /* all registrants */
	pr_in(1);
	assert_int_equal(be32(cmd.data + 12), 0);
	assert_int_equal(pr_out(CLEAR, 0, 0x1111, 0), 0);
	assert_int_equal(pr_in(0), 0);
	assert_int_equal(pr_out(IGNORE, 0, 0xdead, 0x3333), 0);
	assert_int_equal(pr_out(RESERVE, 1, 0x3333, 0), 0);
	/* unregistered: the reservation goes too */
	assert_int_equal(pr_out(REGISTER, 0, 0x3333, 0), 0);
	assert_int_equal(pr_in(1), 0);
	pr_out(RESERVE, 2, 0x3333, 0); /* obsolete type */
	assert_sense(5, 0x24, 0);
	pr_out(RESERVE, 0x11, 0x3333, 0); /* obsolete scope */
	assert_sense(5, 0x24, 0);
	run(CDB(0x5f, REGISTER, 0, 0, 0, 0, 0, 0, 23), 23, 0);
	assert_sense(5, 0x1a, 0);
	memset(param, 0, 24);
	param[20] = 1; /* APTPL */
	run(CDB(0x5f, REGISTER, 0, 0, 0, 0, 0, 0, 24), 24, 0);
	assert_sense(5, 0x26, 0);
	pr_in(2);
	assert_int_equal(cmd.data[1], 8);
	assert_int_equal(cmd.data[3] & 1, 0); /* not persistent through power loss */
	run(CDB(0x5e, 9), 0, 256);
	assert_sense(5, 0x24, 0);
}

static void reads_and_writes_in_every_form(void **state)
{
	static const struct { u8 cdb[16]; u64 offset, length; bool write; } cases[] = {
		{ { 0x08, 0x01, 0x02, 0x03, 4 }, 0x10203 * 512, 4 * 512, false },
		{ { 0x0a, 0, 0, 1, 0 }, 512, 256 * 512, true }, /* 0 means 256 */
		{ { 0x28, 0, 0, 0x10, 0x20, 0x30, 0, 0, 2 }, 0x102030 * 512, 1024, false },
		{ { 0x2a, 0, 0, 0, 0, 1, 0, 0, 2 }, 512, 1024, true },
		{ { 0xa8, 0, 0, 0, 0, 2, 0, 0, 0, 3 }, 1024, 1536, false },
		{ { 0xaa, 0, 0, 0, 0, 2, 0, 0, 0, 3 }, 1024, 1536, true },
		{ { 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1 }, 7 * 512, 512, false },
		{ { 0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1 }, 7 * 512, 512, true },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		u32 n = (u32)cases[i].length;

		assert_int_equal(run(cases[i].cdb, cases[i].write ? n : 0, cases[i].write ? 0 : n),
				 0);
		assert_int_equal(cmd.io, cases[i].write ? KVMB_IO_WRITE : KVMB_IO_READ);
		assert_int_equal(cmd.offset, cases[i].offset);
		assert_int_equal(cmd.length, n);
		assert_ptr_equal(cmd.disk, &disk);
		/* a buffer that is one byte short, or meant for the other way */
		run(cases[i].cdb, cases[i].write ? n - 1 : 0, cases[i].write ? 0 : n - 1);
		assert_sense(5, 0x24, 0);
		run(cases[i].cdb, cases[i].write ? 0 : n, cases[i].write ? n : 0);
		assert_sense(5, 0x24, 0);
	}
	run(CDB(0x28, 0x20, 0, 0, 0, 0, 0, 0, 1), 0, 512); /* RDPROTECT */
	assert_sense(5, 0x24, 0);
	run(CDB(0x2a, 0x08, 0, 0, 0, 0, 0, 0, 1), 512, 0);
	assert_true(cmd.fua);
}

static void disk_cannot_be_ejected(void **state)
{
	(void)state;
	assert_int_equal(run(CDB(0x1b, 0, 0, 0, 1), 0, 0), 0);
	assert_int_equal(run(CDB(0x1b, 0, 0, 0, 0), 0, 0), 0);
	run(CDB(0x1b, 0, 0, 0, 2), 0, 0);
	assert_sense(5, 0x24, 0);
	run(CDB(0x43), 0, 64); /* a drive's commands are not a disk's */
	assert_sense(5, 0x20, 0);
}

static void dvd_says_what_it_is(void **state)
{
	(void)state;
	run(CDB(0x12, 0, 0, 0, 36), 0, 36);
	assert_int_equal(cmd.data[0], 5);
	assert_int_equal(cmd.data[1], 0x80);
	run(CDB(0x25), 0, 8);
	assert_int_equal(be32(cmd.data), 999);
	assert_int_equal(be32(cmd.data + 4), 2048);
	run(CDB(0x43, 0, 0, 0, 0, 0, 0, 0, 64), 0, 64); /* TOC: track 1 and the lead-out */
	assert_int_equal(cmd.data_len, 20);
	assert_memory_equal(cmd.data, "\0\x12\1\1\0\x14\1\0\0\0\0\0\0\x14\xaa\0\0\0\x03\xe8", 20);
	run(CDB(0x43, 2, 0, 0, 0, 0, 0xaa, 0, 64), 0, 64); /* in MSF: 1000 + 150 frames = 0:15:25 */
	assert_memory_equal(cmd.data + 8, "\0\0\x0f\x19", 4);
	run(CDB(0x43, 0, 0, 0, 0, 0, 2, 0, 64), 0, 64);
	assert_sense(5, 0x24, 0);
	run(CDB(0x46, 0, 0, 0, 0, 0, 0, 1, 0), 0, 256); /* configuration: a CD by its size */
	assert_int_equal(cmd.data[7], 8);
	disk.blocks = 2000000;
	run(CDB(0x46, 0, 0, 0, 0, 0, 0, 1, 0), 0, 256);
	assert_int_equal(cmd.data[7], 0x10);
	run(CDB(0x46, 2, 0, 0x1f, 0, 0, 0, 1, 0), 0, 256); /* one feature */
	assert_int_equal(cmd.data_len, 16);
	assert_int_equal(cmd.data[9], 0x1f);
	assert_int_equal(cmd.data[10] & 1, 1); /* current */
	run(CDB(0x51, 0, 0, 0, 0, 0, 0, 0, 34), 0, 34);
	assert_int_equal(cmd.data[2], 0x0e);
	run(CDB(0xad, 0, 0, 0, 0, 0, 0, 0, 8, 4), 0, 2052);
	assert_int_equal(cmd.data_len, 2052);
	assert_int_equal(be32(cmd.data + 12), 0x30000 + 1999999);
	run(CDB(0x5a, 8, 0x2a, 0, 0, 0, 0, 0, 64), 0, 64);
	assert_int_equal(cmd.data[8], 0x2a);
	assert_int_equal(cmd.data[8 + 6] >> 5, 1); /* tray */
	assert_int_equal(run(CDB(0x28, 0, 0, 0, 0, 1, 0, 0, 1), 0, 2048), 0);
	assert_int_equal(cmd.offset, 2048);
	run(CDB(0x2a, 0, 0, 0, 0, 1, 0, 0, 1), 2048, 0);
	assert_sense(5, 0x20, 0); /* a DVD-ROM drive has no WRITE */
}

static void dvd_without_medium(void **state)
{
	static const u8 need[] = { 0x00, 0x25, 0x28, 0x43, 0x51, 0x52 };
	u8 cdb[16] = { 0 };
	size_t i;

	(void)state;
	__atomic_store_n(&unit.disk, NULL, __ATOMIC_RELEASE);
	for (i = 0; i < sizeof(need); i++) {
		cdb[0] = need[i];
		run(cdb, 0, 64);
		assert_sense(2, 0x3a, 1);
	}
	assert_int_equal(run(CDB(0x12, 0, 0, 0, 36), 0, 36), 0);
	assert_int_equal(run(CDB(0x12, 1, 0x83, 0, 255), 0, 255), 0);
	assert_int_equal(run(CDB(0x46, 0, 0, 0, 0, 0, 0, 1, 0), 0, 256), 0);
	assert_int_equal(cmd.data[7], 0);
	assert_int_equal(run(CDB(0x5a, 8, 0x3f, 0, 0, 0, 0, 0, 64), 0, 64), 0);
	run(CDB(0x03, 0, 0, 0, 18), 0, 18);
	assert_int_equal(cmd.data[2], 2);
	assert_int_equal(cmd.data[12], 0x3a);
}

static void dvd_tray_and_lock(void **state)
{
	(void)state;
	assert_int_equal(run(CDB(0x1e, 0, 0, 0, 1), 0, 0), 0);
	run(CDB(0x1b, 0, 0, 0, 2), 0, 0);
	assert_sense(5, 0x53, 0x02);
	assert_false(cmd.eject);
	assert_int_equal(run(CDB(0x1e), 0, 0), 0);
	assert_int_equal(run(CDB(0x1b, 0, 0, 0, 2), 0, 0), 0);
	assert_true(cmd.eject);
	unit.media_event = KVMB_MEDIA_REMOVED;
	run(CDB(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8), 0, 8);
	assert_int_equal(cmd.data[4], 3);
	assert_int_equal(cmd.data[5] & 1, 1); /* tray open */
	run(CDB(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8), 0, 8);
	assert_int_equal(cmd.data[4], 0); /* an event is told once */
	run(CDB(0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8), 0, 8);
	assert_sense(5, 0x24, 0);
}

#define D(name) cmocka_unit_test_setup_teardown(name, setup_dvd, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(vpd_pages_are_those_announced),
		T(vpd_contents),
		T(capacity_in_both_forms),
		T(write_cache_is_the_guests_to_switch),
		T(mode_select_refuses_what_cannot_be),
		T(mode_sense_errors),
		T(unmap_lists),
		T(write_same_forms),
		T(verify_compares_only_when_asked),
		T(read_only_refuses_every_writing_command),
		T(opcodes_one_by_one),
		T(attentions_are_told_once_in_order_and_not_to_inquiry),
		T(reservations),
		T(reads_and_writes_in_every_form),
		T(disk_cannot_be_ejected),
		D(dvd_says_what_it_is),
		D(dvd_without_medium),
		D(dvd_tray_and_lock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
