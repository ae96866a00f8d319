// SPDX-License-Identifier: GPL-2.0-only
/*
 * PERSISTENT RESERVE IN and OUT.
 *
 * A unit has one initiator, its guest, so a reservation never excludes anybody. But cluster
 * software and its validation tools must run, so registering, reserving, preempting and
 * reporting work as the standard says. Nothing survives the end of the VM: PTPL is not offered.
 *
 * Sources: SPC-4, PERSISTENT RESERVE IN and OUT; tables of service actions and types.
 */
#include "host-vsp/storage/scsi_priv.h"

enum { IN_KEYS, IN_RESERVATION, IN_CAPABILITIES, IN_FULL };
enum { OUT_REGISTER, OUT_RESERVE, OUT_RELEASE, OUT_CLEAR, OUT_PREEMPT, OUT_PREEMPT_ABORT,
       OUT_REGISTER_IGNORE };

static bool type_known(u8 type)
{
	return type == 1 || type == 3 || (type >= 5 && type <= 8);
}

/* All registrants types: every registrant holds the reservation, and it has no key of its own. */
static bool all_registrants(u8 type)
{
	return type == 7 || type == 8;
}

bool kvmb_reservation_valid(const struct kvmb_reservation *pr)
{
	if (pr->registered && !pr->key)
		return false;
	return !pr->held || (pr->registered && type_known(pr->type));
}

void kvmb_scsi_reserve_in(struct kvmb_unit *u, struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	u32 alloc = get_be16(cmd->cdb + 7), len = 8;
	struct kvmb_reservation *pr = &u->pr;
	u8 *p = cmd->data;

	(void)d;
	pthread_mutex_lock(&u->lock);
	put_be32(p, pr->generation);
	switch (cmd->cdb[1] & 0x1f) {
	case IN_KEYS:
		if (pr->registered) {
			put_be64(p + 8, pr->key);
			len += 8;
		}
		put_be32(p + 4, len - 8);
		break;
	case IN_RESERVATION:
		if (pr->held) {
			put_be64(p + 8, all_registrants(pr->type) ? 0 : pr->key);
			p[21] = pr->type; /* scope: logical unit */
			len += 16;
		}
		put_be32(p + 4, len - 8);
		break;
	case IN_CAPABILITIES:
		memset(p, 0, 8);
		put_be16(p, 8);
		p[3] = 0x80; /* TMV: the type mask counts */
		p[4] = 0xea; /* types 1, 3, 5, 6, 7 */
		p[5] = 0x01; /* type 8 */
		break;
	case IN_FULL:
		if (pr->registered) {
			put_be64(p + 8, pr->key);
			p[20] = pr->held;	 /* R_HOLDER */
			p[21] = pr->held ? pr->type : 0;
			put_be16(p + 26, 1);	 /* relative target port */
			/* the TransportID: parallel SCSI, address 0, port 1 */
			put_be32(p + 28, 24);
			p[32] = 0x01;
			put_be16(p + 38, 1);
			len += 24 + 24;
		}
		put_be32(p + 4, len - 8);
		break;
	}
	pthread_mutex_unlock(&u->lock);
	give(cmd, len, alloc);
}

static void conflict(struct kvmb_scsi_cmd *cmd)
{
	cmd->status = KVMB_SCSI_STATUS_CONFLICT;
}

static void do_register(struct kvmb_reservation *pr, u64 key, bool check, u64 old,
			struct kvmb_scsi_cmd *cmd)
{
	if (check && old != (pr->registered ? pr->key : 0)) {
		conflict(cmd);
		return;
	}
	pr->registered = key != 0;
	pr->key = key;
	if (!key)
		pr->held = false; /* the holder's registration goes, so does its reservation */
	pr->generation++;
}

static void do_reserve(struct kvmb_reservation *pr, u64 key, u8 type, struct kvmb_scsi_cmd *cmd)
{
	if (!pr->registered || pr->key != key || (pr->held && pr->type != type)) {
		conflict(cmd);
		return;
	}
	pr->held = true;
	pr->type = type;
}

static void do_release(struct kvmb_reservation *pr, u64 key, u8 type, struct kvmb_scsi_cmd *cmd)
{
	if (!pr->registered || pr->key != key) {
		conflict(cmd);
		return;
	}
	if (!pr->held)
		return;
	if (pr->type != type) { /* INVALID RELEASE OF PERSISTENT RESERVATION */
		kvmb_scsi_sense(cmd, SENSE_ILLEGAL_REQUEST, ASC_INVALID_PARAM, 0x04);
		return;
	}
	pr->held = false;
}

/* The only registration there can be to preempt is the guest's own. */
static void do_preempt(struct kvmb_reservation *pr, u64 key, u64 victim, u8 type,
		       struct kvmb_scsi_cmd *cmd)
{
	bool own = victim == pr->key || (pr->held && all_registrants(pr->type) && !victim);

	if (!pr->registered || pr->key != key || (!own && !(pr->held && !victim))) {
		conflict(cmd);
		return;
	}
	if (!own) { /* SPC-4: a zero key names nobody unless all registrants hold it */
		illegal_param(cmd);
		return;
	}
	if (pr->held)
		pr->type = type;
	pr->generation++;
}

void kvmb_scsi_reserve_out(struct kvmb_unit *u, struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	u8 action = cmd->cdb[1] & 0x1f, scope = cmd->cdb[2] >> 4, type = cmd->cdb[2] & 0xf;
	struct kvmb_reservation *pr = &u->pr;
	const u8 *p = cmd->param;
	u64 key, action_key;

	(void)d;
	if (get_be32(cmd->cdb + 5) != 24 || cmd->param_len < 24) {
		param_too_short(cmd);
		return;
	}
	if (action == OUT_RESERVE || action == OUT_RELEASE || action == OUT_PREEMPT ||
	    action == OUT_PREEMPT_ABORT) {
		if (scope || !type_known(type)) {
			illegal_field(cmd);
			return;
		}
	}
	if (p[20]) { /* SPEC_I_PT, ALL_TG_PT, APTPL: not offered */
		illegal_param(cmd);
		return;
	}
	key = get_be64(p);
	action_key = get_be64(p + 8);
	pthread_mutex_lock(&u->lock);
	switch (action) {
	case OUT_REGISTER:
	case OUT_REGISTER_IGNORE:
		do_register(pr, action_key, action == OUT_REGISTER, key, cmd);
		break;
	case OUT_RESERVE:
		do_reserve(pr, key, type, cmd);
		break;
	case OUT_RELEASE:
		do_release(pr, key, type, cmd);
		break;
	case OUT_CLEAR:
		if (!pr->registered || pr->key != key) {
			conflict(cmd);
			break;
		}
		pr->registered = pr->held = false;
		pr->generation++;
		break;
	case OUT_PREEMPT:
	case OUT_PREEMPT_ABORT:
		do_preempt(pr, key, action_key, type, cmd);
		break;
	}
	pthread_mutex_unlock(&u->lock);
}
