// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end of a storage request: its answer, and what becomes of it.
 *
 * DOC: Theory of operation
 *
 * When the guest's ring has no room for an answer, the answer waits in a list, no new
 * requests are taken, and pending_send_sz asks the guest for a signal: nothing that was
 * executed is ever dropped. An answer waits likewise while the channel stands still.
 *
 * Everything else of a channel may end a request, so this file calls nobody of them.
 */
#include "host-vsp/storage/storage_priv.h"

#include "lib/util.h"

void stor_fail(struct stor_chan *sc, const char *why, int err)
{
	if (sc->failed)
		return;
	sc->failed = true;
	kvmb_chan_fail(sc->ch, why, err);
}

/* ---- requests ---- */

static const u8 req_moves[REQ_NUM_STATES] = {
	[REQ_FREE] = 1 << REQ_TAKEN,
	[REQ_TAKEN] = 1 << REQ_FREE | 1 << REQ_URING | 1 << REQ_DISK | 1 << REQ_DELAYED |
		      1 << REQ_HELD | 1 << REQ_ANSWER,
	[REQ_URING] = 1 << REQ_TAKEN,
	[REQ_DISK] = 1 << REQ_TAKEN,
	[REQ_DELAYED] = 1 << REQ_TAKEN,
	[REQ_HELD] = 1 << REQ_TAKEN,
	[REQ_ANSWER] = 1 << REQ_FREE,
};

void stor_req_to(struct stor_req *r, enum stor_req_state to)
{
	kvmb_assert(req_moves[r->state] & (1 << to));
	r->state = to;
}

static int put_answer(struct stor_chan *sc, const struct stor_req *r)
{
	int err = kvmb_ring_put(&sc->io->tx, KVMB_PKT_COMPLETION, 0, r->trans_id, NULL, 0,
				&r->packet, r->packet_len);

	if (!err)
		sc->io->stats.packets_out++;
	return err;
}

struct stor_req *stor_new_req(struct stor_chan *sc)
{
	struct stor_req *r = malloc(sizeof(*r));

	if (!r)
		return NULL;
	r->sc = sc;
	r->state = REQ_FREE;
	r->lun = KVMB_STORAGE_MAX_LUNS;
	r->extents = NULL;
	r->bounce = NULL;
	r->bounce_len = 0;
	return r;
}

void stor_free_req(struct stor_chan *sc, struct stor_req *r)
{
	free(r->extents);
	free(r->bounce);
	sc->bounced -= r->bounce_len;
	r->extents = NULL;
	r->bounce = NULL;
	r->bounce_len = 0;
	stor_req_to(r, REQ_FREE);
	r->next = sc->free;
	sc->free = r;
}

void stor_queue_answer(struct stor_chan *sc, struct stor_req *r)
{
	r->next = NULL;
	*sc->answers_tail = r;
	sc->answers_tail = &r->next;
}

/* The request is finished: its unit may go now, whether or not the guest has the answer yet. */
void stor_answer(struct stor_chan *sc, struct stor_req *r)
{
	int err = -EAGAIN;

	if (r->lun < KVMB_STORAGE_MAX_LUNS)
		sc->busy[r->lun]--;
	r->lun = KVMB_STORAGE_MAX_LUNS;
	r->packet.operation = cpu_to_le32(KVMB_STOR_COMPLETE_IO);
	if (!sc->answers && !sc->standing)
		err = put_answer(sc, r);
	if (err == -EAGAIN) {
		stor_req_to(r, REQ_ANSWER);
		stor_queue_answer(sc, r);
		return;
	}
	stor_free_req(sc, r);
	if (err)
		stor_fail(sc, "its ring's read index is out of range", err);
}

void stor_flush_answers(struct stor_chan *sc)
{
	struct stor_req *r;
	int err;

	while ((r = sc->answers)) {
		do {
			err = put_answer(sc, r);
		} while (err == -EAGAIN && kvmb_ring_want(&sc->io->tx, r->packet_len));
		if (err == -EAGAIN)
			return; /* the guest signals when it has read that much */
		if (err) {
			stor_fail(sc, "its ring's read index is out of range", err);
			return;
		}
		sc->answers = r->next;
		stor_free_req(sc, r);
		if (!sc->answers) {
			sc->answers_tail = &sc->answers;
			kvmb_ring_want(&sc->io->tx, 0);
		}
	}
}

static void set_srb(struct stor_req *r, u8 srb_status, u8 scsi_status, u32 status, u32 moved)
{
	struct kvmb_wire_srb *srb = &r->packet.u.srb;

	srb->srb_status = srb_status;
	srb->scsi_status = scsi_status;
	srb->transfer_length = cpu_to_le32(moved);
	r->packet.status = cpu_to_le32(status);
}

void stor_answer_good(struct stor_chan *sc, struct stor_req *r, u64 moved)
{
	set_srb(r, KVMB_SRB_SUCCESS, KVMB_SCSI_STATUS_GOOD, KVMB_STOR_STATUS_OK, (u32)moved);
	stor_answer(sc, r);
}

void stor_answer_sense(struct stor_chan *sc, struct stor_req *r, const u8 *sense)
{
	struct kvmb_wire_srb *srb = &r->packet.u.srb;
	u8 room = srb->sense_length;
	u8 n = (u8)KVMB_MIN((u32)room, KVMB_SCSI_SENSE_LEN);

	memset(srb->u.sense, 0, sizeof(srb->u.sense));
	memcpy(srb->u.sense, sense, n);
	srb->sense_length = n;
	set_srb(r, KVMB_SRB_ERROR | KVMB_SRB_AUTOSENSE_VALID, KVMB_SCSI_STATUS_CHECK_CONDITION,
		KVMB_STOR_STATUS_ERROR, 0);
	stor_answer(sc, r);
}

/* Not the SCSI layer's answer: the protocol's. */
void stor_answer_status(struct stor_chan *sc, struct stor_req *r, u8 srb_status, u32 nt_status)
{
	set_srb(r, srb_status,
		srb_status == KVMB_SRB_INVALID_LUN ? KVMB_SCSI_STATUS_CHECK_CONDITION : 0,
		nt_status, 0);
	stor_answer(sc, r);
}

void stor_answer_conflict(struct stor_chan *sc, struct stor_req *r)
{
	set_srb(r, KVMB_SRB_ERROR, KVMB_SCSI_STATUS_CONFLICT, KVMB_STOR_STATUS_ERROR, 0);
	stor_answer(sc, r);
}

void stor_answer_gone(struct stor_chan *sc, struct stor_req *r)
{
	struct kvmb_scsi_cmd *cmd = &sc->cmd;

	if (!stor_lun(sc->s, r->lun)) {
		stor_answer_status(sc, r, KVMB_SRB_INVALID_LUN, KVMB_STOR_STATUS_INVALID_LUN);
		return;
	}
	kvmb_scsi_sense(cmd, SENSE_ABORTED, 0, 0);
	stor_answer_sense(sc, r, cmd->sense);
}
