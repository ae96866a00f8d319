// SPDX-License-Identifier: GPL-2.0-only
/*
 * The storvsp protocol: what a packet of the guest says, and what is done about it.
 *
 * DOC: Theory of operation
 *
 * Only descriptors, SRBs, parameter lists and the answers of commands without data transfer
 * are copied. A request remembers its private copy of the SRB, because the answer reuses it
 * (the sense overlays the CDB). Answers are storage_answer.c, I/O is storage_io.c.
 *
 * Sources: Linux 6.12 drivers/scsi/storvsc_drv.c; docs/protocol.md#5.
 */
#include "backend/iov.h"
#include "host-vsp/storage/storage_priv.h"
#include "lib/log.h"
#include "lib/util.h"

static const u8 stor_moves[STOR_NUM] = {
	[STOR_CLOSED] = 1 << STOR_BEGUN,
	[STOR_BEGUN] = 1 << STOR_VERSIONED | 1 << STOR_CLOSED,
	[STOR_VERSIONED] = 1 << STOR_READY | 1 << STOR_CLOSED,
	[STOR_READY] = 1 << STOR_CLOSED,
};

void stor_set_state(struct kvmb_storage *s, enum stor_state to)
{
	kvmb_assert(stor_moves[s->state] & (1 << to));
	__atomic_store_n(&s->state, (int)to, __ATOMIC_RELEASE);
}

/*
 * Least size of a request. Before a version is agreed 6.x kernels send 64 bytes and 5.10
 * sends 48 (observed: Debian 5.10.262); the answer is as long as the request.
 */
static u32 least_size(const struct kvmb_storage *s)
{
	if (stor_state(s) >= STOR_VERSIONED && s->version >= KVMB_STOR_V5_1)
		return sizeof(struct kvmb_wire_stor);
	return KVMB_STOR_SIZE_OLD;
}

/* ---- news ---- */

/* Tell the guest to look at the bus; again later when there is no room. */
void stor_send_enumerate(struct stor_chan *sc)
{
	struct kvmb_wire_stor p = { .operation = cpu_to_le32(KVMB_STOR_ENUMERATE_BUS) };
	u32 len = least_size(sc->s);

	if (!__atomic_load_n(&sc->enumerate, __ATOMIC_ACQUIRE) || stor_state(sc->s) != STOR_READY)
		return;
	if (kvmb_ring_put(&sc->io->tx, KVMB_PKT_INBAND, 0, 0, NULL, 0, &p, len)) {
		kvmb_ring_want(&sc->io->tx, len);
		return;
	}
	sc->io->stats.packets_out++;
	__atomic_store_n(&sc->enumerate, 0, __ATOMIC_RELAXED);
}

/* ---- EXECUTE_SRB ---- */

/* The data buffer of a request, as the guest names it. Return: 0 or -EPROTO. */
static int note_buffer(const struct kvmb_pkt *pkt, struct stor_req *r)
{
	struct kvmb_gparange_iter it;
	struct kvmb_gparange range;
	u32 i;

	r->byte_count = 0;
	if (pkt->type == KVMB_PKT_INBAND)
		return 0;
	if (kvmb_pkt_gpa_ranges(pkt, 1, &it) || kvmb_gparange_next(&it, &range))
		return -EPROTO;
	if (range.byte_count > KVMB_SCSI_MAX_TRANSFER || range.num_pages > STOR_MAX_PAGES)
		return -EPROTO;
	for (i = 0; i < range.num_pages; i++)
		r->gfns[i] = le64_to_cpu(range.pfns[i]);
	r->num_gfns = range.num_pages;
	r->byte_offset = range.byte_offset;
	r->byte_count = range.byte_count;
	return 0;
}

/* The same as iovecs. Return: bytes, or -EFAULT. */
static int map_buffer(struct stor_chan *sc, struct stor_req *r)
{
	struct kvmb_gm *gm = kvmb_bus_vmm(kvmb_chan_bus(sc->ch))->gm;
	int n;

	r->num_iov = 0;
	if (!r->byte_count)
		return 0;
	n = kvmb_gm_iov(gm, r->gfns, r->byte_offset, r->byte_count, r->iov, STOR_MAX_PAGES);
	if (n < 0)
		return n;
	r->num_iov = n;
	return (int)r->byte_count;
}

/* An IDE drive is at its controller and its place, but a guest may not say so. */
static bool our_address(const struct kvmb_storage *s, const struct kvmb_wire_srb *srb)
{
	return s->index >= KVMB_STORAGE_IDE || (!srb->path && !srb->target);
}

static void report_luns(struct stor_chan *sc, const struct kvmb_wire_srb *srb,
			struct kvmb_scsi_cmd *cmd)
{
	bool present[KVMB_STORAGE_MAX_LUNS];
	u32 i;

	cmd->status = KVMB_SCSI_STATUS_GOOD;
	cmd->io = KVMB_IO_NONE;
	cmd->eject = false;
	cmd->data_len = 0;
	memset(cmd->data, 0, sizeof(cmd->data));
	for (i = 0; i < KVMB_STORAGE_MAX_LUNS; i++)
		present[i] = our_address(sc->s, srb) && stor_lun(sc->s, i);
	kvmb_scsi_report_luns(cmd, present);
}

static void run_scsi(struct stor_chan *sc, struct stor_req *r, struct stor_lun *l, u32 buffer)
{
	struct kvmb_wire_srb *srb = &r->packet.u.srb;
	struct kvmb_scsi_cmd *cmd = &sc->cmd;
	u8 cdb[KVMB_SCSI_CDB_MAX] = { 0 };

	memcpy(cdb, srb->u.cdb, srb->cdb_length);
	cmd->cdb = cdb;
	cmd->cdb_len = srb->cdb_length;
	cmd->buffer = buffer;
	cmd->to_device = srb->data_in == KVMB_SRB_DATA_OUT;
	cmd->from_device = srb->data_in == KVMB_SRB_DATA_IN;
	cmd->param = sc->param;
	cmd->param_len = cmd->to_device ? KVMB_MIN(kvmb_scsi_param_len(cdb), buffer) : 0;
	if (cmd->param_len)
		kvmb_iov_read(r->iov, r->num_iov, 0, sc->param, cmd->param_len);
	if (cdb[0] == KVMB_SCSI_REPORT_LUNS)
		report_luns(sc, srb, cmd);
	else
		kvmb_scsi_execute(l ? &l->unit : NULL, cmd);
	if (cmd->data_len && !cmd->from_device)
		/* the buffer is for the other way */
		kvmb_scsi_sense(cmd, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD, 0);
	if (cmd->eject) {
		__atomic_fetch_or(&sc->s->ejected, 1ull << r->lun, __ATOMIC_RELEASE);
		kvmb_loop_post(sc->s->loop, &sc->s->work);
	}
	if (cmd->status == KVMB_SCSI_STATUS_CONFLICT) {
		stor_answer_conflict(sc, r);
	} else if (cmd->status != KVMB_SCSI_STATUS_GOOD) {
		stor_answer_sense(sc, r, cmd->sense);
	} else if (cmd->io != KVMB_IO_NONE) {
		stor_begin_io(sc, r, cmd);
	} else {
		kvmb_assert(cmd->data_len <= buffer);
		kvmb_iov_write(r->iov, r->num_iov, cmd->data, cmd->data_len);
		stor_answer_good(sc, r, cmd->data_len);
	}
}

/* @buffer: its bytes, or -errno */
static void execute_srb(struct stor_chan *sc, struct stor_req *r, int buffer)
{
	struct kvmb_wire_srb *srb = &r->packet.u.srb;
	struct stor_lun *l = NULL;
	bool inquiry_like;

	stor_count(&sc->requests, 1);
	if (srb->cdb_length > KVMB_STOR_CDB_SIZE || !srb->cdb_length ||
	    srb->data_in > KVMB_SRB_DATA_NONE || buffer < 0 ||
	    le32_to_cpu(srb->transfer_length) != (u32)buffer) {
		sc->io->stats.errors++;
		stor_answer_status(sc, r, KVMB_SRB_INVALID_REQUEST,
				   KVMB_STOR_STATUS_INVALID_REQUEST);
		return;
	}
	if (our_address(sc->s, srb))
		l = stor_lun(sc->s, srb->lun);
	/* REPORT LUNS and INQUIRY are answered for every address: docs/protocol.md#5.5, #5.6 */
	inquiry_like = srb->u.cdb[0] == KVMB_SCSI_INQUIRY ||
		       srb->u.cdb[0] == KVMB_SCSI_REPORT_LUNS;
	if (!l && !inquiry_like) {
		stor_answer_status(sc, r, KVMB_SRB_INVALID_LUN, KVMB_STOR_STATUS_INVALID_LUN);
		return;
	}
	if (l) {
		r->lun = srb->lun;
		sc->busy[r->lun]++;
	}
	run_scsi(sc, r, l, (u32)buffer);
}

void stor_execute_again(struct stor_chan *sc, struct stor_req *r)
{
	execute_srb(sc, r, map_buffer(sc, r));
}

/* ---- initialisation ---- */

static bool version_known(u16 v)
{
	static const u16 known[] = { KVMB_STOR_V2_0, KVMB_STOR_V4_2, KVMB_STOR_V5_1,
				     KVMB_STOR_V6_0, KVMB_STOR_V6_2 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		if (known[i] == v)
			return true;
	}
	return false;
}

static u32 query_version(struct stor_chan *sc, const struct kvmb_wire_stor *p)
{
	u16 v = le16_to_cpu(p->u.version.major_minor);

	if (!version_known(v))
		return KVMB_STOR_STATUS_REVISION_MISMATCH;
	sc->s->version = v;
	stor_set_state(sc->s, STOR_VERSIONED);
	return KVMB_STOR_STATUS_OK;
}

bool stor_load_state(struct kvmb_storage *s, enum stor_state state, u16 version)
{
	if (state >= STOR_VERSIONED && !version_known(version))
		return false;
	s->version = version;
	__atomic_store_n(&s->state, (int)state, __ATOMIC_RELEASE);
	return true;
}

static void fill_properties(struct stor_chan *sc, struct kvmb_wire_stor *p)
{
	bool multi = sc->s->max_channels && kvmb_bus_version(kvmb_chan_bus(sc->ch)) >=
						    KVMB_VERSION_WIN8;

	memset(&p->u, 0, sizeof(p->u));
	p->u.properties.max_transfer = cpu_to_le32(KVMB_SCSI_MAX_TRANSFER);
	if (multi) {
		p->u.properties.max_sub_channels = cpu_to_le16(sc->s->max_channels);
		p->u.properties.flags = cpu_to_le32(KVMB_STOR_MULTI_CHANNEL);
	}
}

/* One init-sequence request. Return: NTSTATUS for the answer. */
static u32 initialise(struct stor_chan *sc, enum kvmb_stor_op op, struct kvmb_wire_stor *p)
{
	enum stor_state st = stor_state(sc->s);
	u16 n;

	if (kvmb_chan_index(sc->ch))
		return KVMB_STOR_STATUS_INVALID_STATE; /* sub-channels have no init sequence */
	if (op == KVMB_STOR_BEGIN_INIT && st == STOR_CLOSED) {
		stor_set_state(sc->s, STOR_BEGUN);
		return KVMB_STOR_STATUS_OK;
	}
	if (op == KVMB_STOR_QUERY_VERSION && st == STOR_BEGUN)
		return query_version(sc, p);
	if (op == KVMB_STOR_QUERY_PROPERTIES && st == STOR_VERSIONED) {
		fill_properties(sc, p);
		return KVMB_STOR_STATUS_OK;
	}
	if (op == KVMB_STOR_END_INIT && st == STOR_VERSIONED) {
		stor_set_state(sc->s, STOR_READY);
		return KVMB_STOR_STATUS_OK;
	}
	if (op == KVMB_STOR_CREATE_SUB_CHANNELS && st == STOR_READY) {
		n = le16_to_cpu(p->u.sub_channels);
		if (!n || n > sc->s->max_channels)
			return KVMB_STOR_STATUS_INVALID_REQUEST;
		kvmb_chan_offer_subs(sc->ch, n);
		return KVMB_STOR_STATUS_OK;
	}
	return KVMB_STOR_STATUS_INVALID_STATE;
}

void stor_handle_packet(struct stor_chan *sc, const struct kvmb_pkt *pkt, struct stor_req *r)
{
	int err;
	u32 op;

	r->trans_id = pkt->trans_id;
	r->packet_len = KVMB_MIN(pkt->payload_len, (u32)sizeof(r->packet));
	memset(&r->packet, 0, sizeof(r->packet));
	if ((pkt->type != KVMB_PKT_INBAND && pkt->type != KVMB_PKT_GPA_DIRECT) ||
	    pkt->payload_len < least_size(sc->s)) {
		stor_free_req(sc, r);
		stor_fail(sc, "a packet is of the wrong type or too short", -EPROTO);
		return;
	}
	memcpy(&r->packet, pkt->payload, r->packet_len);
	op = le32_to_cpu(r->packet.operation);
	r->packet.flags = 0;

	switch (op) {
	case KVMB_STOR_EXECUTE_SRB:
		if (stor_state(sc->s) == STOR_READY) {
			err = note_buffer(pkt, r);
			execute_srb(sc, r, err ? err : map_buffer(sc, r));
			return;
		}
		r->packet.status = cpu_to_le32(KVMB_STOR_STATUS_INVALID_STATE);
		break;
	case KVMB_STOR_RESET_BUS:
	case KVMB_STOR_RESET_ADAPTER:
	case KVMB_STOR_RESET_LUN:
		/* answered when everything on every channel is done: storage_lun.c */
		if (!sc->reset) {
			r->packet.status = 0;
			sc->reset = r;
			__atomic_store_n(&sc->reset_state, STOR_RESET_WANTED, __ATOMIC_RELEASE);
			kvmb_loop_post(sc->s->loop, &sc->s->work);
			return;
		}
		r->packet.status = cpu_to_le32(KVMB_STOR_STATUS_INVALID_STATE);
		break;
	default:
		if (!(pkt->flags & KVMB_PKT_FLAG_COMPLETE)) {
			stor_free_req(sc, r); /* nobody waits for an answer */
			return;
		}
		r->packet.status = cpu_to_le32(initialise(sc, (enum kvmb_stor_op)op, &r->packet));
	}
	stor_answer(sc, r);
}
