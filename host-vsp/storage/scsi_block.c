// SPDX-License-Identifier: GPL-2.0-only
/*
 * SCSI commands on blocks: capacity, read, write, flush, verify, unmap, write same.
 *
 * Every length is checked against the medium, the guest's buffer and the direction that the
 * guest gave, before any data moves. A mismatch is an error, never a short success.
 *
 * Sources: SBC-3.
 */
#include "host-vsp/storage/scsi_priv.h"
#include "lib/sparse.h"

void kvmb_scsi_read_capacity_10(struct kvmb_unit *u, struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	(void)u;
	put_be32(cmd->data, clamp32(kvmb_disk_blocks(d) - 1));
	put_be32(cmd->data + 4, d->block);
	give(cmd, 8, 8);
}

static u8 log2_of(u32 v)
{
	return (u8)__builtin_ctz(v);
}

void kvmb_scsi_service_action_in(struct kvmb_unit *u, struct kvmb_disk *d,
				 struct kvmb_scsi_cmd *cmd)
{
	(void)u;
	put_be64(cmd->data, kvmb_disk_blocks(d) - 1);
	put_be32(cmd->data + 8, d->block);
	/* logical blocks a physical one, as a power of two */
	cmd->data[13] = log2_of(4096 / d->block);
	cmd->data[14] = d->can_zero && !d->read_only ? 0xc0 : 0; /* LBPME, LBPRZ */
	give(cmd, 32, get_be32(cmd->cdb + 10));
}

/* Range of a block command checked against the disk. Return: false with sense set. */
static bool check_range(const struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd, u64 lba, u64 blocks)
{
	u64 all = kvmb_disk_blocks(d);

	if (lba > all || blocks > all - lba) {
		kvmb_scsi_sense(cmd, SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE, 0);
		return false;
	}
	return true;
}

/* Start and length of the 6, 10, 12 and 16 byte forms, and their flags byte. */
static void decode(const u8 *c, u64 *lba, u64 *blocks, u8 *flags)
{
	*flags = c[1];
	switch (c[0] >> 5) {
	case 0: /* no flags; 0 means 256 blocks */
		*lba = get_be32(c) & 0x1fffff;
		*blocks = c[4] ? c[4] : 256;
		*flags = 0;
		break;
	case 1:
	case 2:
		*lba = get_be32(c + 2);
		*blocks = get_be16(c + 7);
		break;
	case 5:
		*lba = get_be32(c + 2);
		*blocks = get_be32(c + 6);
		break;
	default:
		*lba = get_be64(c + 2);
		*blocks = get_be32(c + 10);
	}
}

/* Does the guest rely on what was answered being on stable storage? It sees no write cache. */
static bool write_through(struct kvmb_unit *u)
{
	return !__atomic_load_n(&u->wce, __ATOMIC_RELAXED);
}

void kvmb_scsi_rw(struct kvmb_unit *u, struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	bool write = cmd->cdb[0] & 2;
	u64 lba, blocks;
	u8 flags;

	decode(cmd->cdb, &lba, &blocks, &flags);
	if (flags & 0xe0) { /* protection information: we have none */
		illegal_field(cmd);
		return;
	}
	if (!check_range(d, cmd, lba, blocks))
		return;
	if (!blocks)
		return; /* nothing to move is no error */
	if (blocks * d->block > cmd->buffer || (write ? cmd->from_device : cmd->to_device)) {
		illegal_field(cmd); /* the buffer disagrees with the command */
		return;
	}
	cmd->io = write ? KVMB_IO_WRITE : KVMB_IO_READ;
	cmd->fua = write && (flags & 0x08 || write_through(u));
	cmd->offset = lba * d->block;
	cmd->length = blocks * d->block;
}

void kvmb_scsi_sync_cache(struct kvmb_unit *u, struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	u64 lba, blocks;
	u8 flags;

	(void)u;
	decode(cmd->cdb, &lba, &blocks, &flags);
	if (check_range(d, cmd, lba, blocks) && !d->read_only)
		cmd->io = KVMB_IO_FLUSH;
}

void kvmb_scsi_verify(struct kvmb_unit *u, struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	u8 flags, bytchk;
	u64 lba, blocks;

	(void)u;
	decode(cmd->cdb, &lba, &blocks, &flags);
	bytchk = flags >> 1 & 3;
	if (flags & 0xe0 || bytchk > 1) { /* protection; "all blocks equal one" */
		illegal_field(cmd);
		return;
	}
	if (!check_range(d, cmd, lba, blocks) || !bytchk || !blocks)
		return; /* without data to compare there is nothing that could differ */
	if (blocks * d->block > cmd->buffer || cmd->from_device) {
		illegal_field(cmd);
		return;
	}
	cmd->io = KVMB_IO_VERIFY;
	cmd->offset = lba * d->block;
	cmd->length = blocks * d->block;
}

void kvmb_scsi_unmap(struct kvmb_unit *u, struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	u32 list = get_be16(cmd->cdb + 7), descs, i;
	const u8 *p = cmd->param;
	struct kvmb_extent *e;

	if (cmd->cdb[1] & 1) { /* ANCHOR */
		illegal_field(cmd);
		return;
	}
	if (!list)
		return;
	if (list < 8 || cmd->param_len < list) {
		param_too_short(cmd);
		return;
	}
	descs = get_be16(p + 2);
	/* SBC-3: a descriptor that is not there in full is left out */
	descs = KVMB_MIN(descs, list - 8) / 16;
	if (descs > KVMB_SCSI_MAX_EXTENTS) {
		illegal_param(cmd);
		return;
	}
	cmd->num_extents = 0;
	for (i = 0; i < descs; i++) {
		e = &cmd->extents[cmd->num_extents];
		e->lba = get_be64(p + 8 + 16 * i);
		e->blocks = get_be32(p + 8 + 16 * i + 8);
		if (!check_range(d, cmd, e->lba, e->blocks))
			return;
		cmd->num_extents += e->blocks != 0;
	}
	if (!cmd->num_extents)
		return;
	cmd->io = KVMB_IO_ZERO;
	cmd->fua = write_through(u);
}

void kvmb_scsi_write_same(struct kvmb_unit *u, struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	bool no_data, zero, unmap = cmd->cdb[1] & 8;
	u64 lba, blocks;
	u8 flags;

	decode(cmd->cdb, &lba, &blocks, &flags);
	no_data = cmd->cdb[0] == KVMB_SCSI_WRITE_SAME_16 && flags & 1; /* NDOB */
	/* protection, anchor, and the obsolete "put the address into the data" bits */
	if (flags & 0xe0 || flags & 0x16 || (flags & 1 && !no_data) || (unmap && !d->can_zero)) {
		illegal_field(cmd);
		return;
	}
	if (!blocks) { /* VPD B0 says WSNZ */
		illegal_field(cmd);
		return;
	}
	if (!check_range(d, cmd, lba, blocks))
		return;
	if (!no_data && cmd->param_len < d->block) {
		illegal_field(cmd);
		return;
	}
	cmd->fua = write_through(u);
	zero = no_data || kvmb_all_zero(cmd->param, d->block);
	if (zero && d->can_zero) {
		cmd->io = KVMB_IO_ZERO;
		cmd->num_extents = 1;
		cmd->extents[0] = (struct kvmb_extent){ lba, blocks };
		return;
	}
	if (blocks * d->block > KVMB_SCSI_MAX_SAME) {
		illegal_field(cmd); /* more than VPD B0 allows */
		return;
	}
	cmd->io = KVMB_IO_SAME;
	cmd->offset = lba * d->block;
	cmd->length = blocks * d->block;
}
