/* SPDX-License-Identifier: GPL-2.0-only */
/* Private to the scsi_*.c files: answers, the handlers of commands. */
#ifndef KVMB_SCSI_PRIV_H
#define KVMB_SCSI_PRIV_H

#include "host-vsp/storage/scsi.h"
#include "lib/be.h"
#include "lib/util.h"

static inline u32 clamp32(u64 v)
{
	return v > 0xffffffff ? 0xffffffff : (u32)v;
}

/* data[@len] is the answer; the guest gets as much as its allocation length allows. */
static inline void give(struct kvmb_scsi_cmd *cmd, u32 len, u32 alloc)
{
	kvmb_assert(len <= sizeof(cmd->data)); /* every answer comes through here */
	cmd->data_len = KVMB_MIN(KVMB_MIN(len, alloc), cmd->buffer);
}

static inline void illegal_field(struct kvmb_scsi_cmd *cmd)
{
	kvmb_scsi_sense(cmd, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD, 0);
}

static inline void illegal_param(struct kvmb_scsi_cmd *cmd)
{
	kvmb_scsi_sense(cmd, SENSE_ILLEGAL_REQUEST, ASC_INVALID_PARAM, 0);
}

static inline void param_too_short(struct kvmb_scsi_cmd *cmd)
{
	kvmb_scsi_sense(cmd, SENSE_ILLEGAL_REQUEST, ASC_PARAM_LIST_LENGTH, 0);
}

typedef void scsi_fn(struct kvmb_unit *u, struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd);

/* scsi_inquiry.c: identity and modes. Only in kvmb_scsi_inquiry() @u and @d may be NULL. */
scsi_fn kvmb_scsi_inquiry, kvmb_scsi_mode_sense, kvmb_scsi_mode_select;
/* scsi_block.c: commands on blocks */
scsi_fn kvmb_scsi_read_capacity_10, kvmb_scsi_service_action_in, kvmb_scsi_rw, kvmb_scsi_sync_cache,
	kvmb_scsi_verify, kvmb_scsi_unmap, kvmb_scsi_write_same;
/* scsi_reserve.c */
scsi_fn kvmb_scsi_reserve_in, kvmb_scsi_reserve_out;
/* scsi_dvd.c */
scsi_fn kvmb_scsi_read_toc, kvmb_scsi_get_configuration, kvmb_scsi_event_status,
	kvmb_scsi_disc_info, kvmb_scsi_track_info, kvmb_scsi_mechanism, kvmb_scsi_dvd_structure;
/* Mode page 2A of a DVD drive into p[]. Return: bytes. */
u32 kvmb_scsi_dvd_capabilities(const struct kvmb_unit *u, u8 *p, bool changeable);
/* Profile of the medium: KVMB_PROFILE_* of scsi_dvd.c; 0 = none. */
u32 kvmb_scsi_dvd_profile(const struct kvmb_disk *d);

#endif
