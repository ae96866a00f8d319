// SPDX-License-Identifier: GPL-2.0-only
/*
 * The storvsp protocol, and the life of a channel; its worker is storage_worker.c.
 *
 * DOC: Theory of operation
 *
 * Only descriptors, SRBs, parameter lists and the answers of commands without data transfer
 * are copied. A request remembers its private copy of the SRB, because the answer reuses it
 * (the sense overlays the CDB).
 *
 * When the guest's ring has no room for an answer, the answer waits in a list, no new
 * requests are taken, and pending_send_sz asks the guest for a signal: nothing that was
 * executed is ever dropped.
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

static enum stor_state get_state(const struct kvmb_storage *s)
{
	return (enum stor_state)__atomic_load_n(&s->state, __ATOMIC_ACQUIRE);
}

static void set_state(struct kvmb_storage *s, enum stor_state to)
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
	if (get_state(s) >= STOR_VERSIONED && s->version >= KVMB_STOR_V5_1)
		return sizeof(struct kvmb_wire_stor);
	return KVMB_STOR_SIZE_OLD;
}

void stor_fail(struct stor_chan *sc, const char *why, int err)
{
	if (sc->failed)
		return;
	sc->failed = true;
	kvmb_chan_fail(sc->ch, why, err);
}

/* ---- answers ---- */

static int put_answer(struct stor_chan *sc, const struct stor_req *r)
{
	int err = kvmb_ring_put(&sc->io->tx, KVMB_PKT_COMPLETION, 0, r->trans_id, NULL, 0, &r->packet,
				r->packet_len);

	if (!err)
		sc->io->stats.packets_out++;
	return err;
}

static void free_req(struct stor_chan *sc, struct stor_req *r)
{
	free(r->extents);
	free(r->bounce);
	sc->bounced -= r->bounce_len;
	r->extents = NULL;
	r->bounce = NULL;
	r->bounce_len = 0;
	r->state = REQ_FREE;
	r->next = sc->free;
	sc->free = r;
}

/* The request is finished: its unit may go now, whether or not the guest has the answer yet. */
void stor_answer(struct stor_chan *sc, struct stor_req *r)
{
	int err = -EAGAIN;

	if (r->lun < KVMB_STORAGE_MAX_LUNS)
		sc->busy[r->lun]--;
	r->lun = KVMB_STORAGE_MAX_LUNS;
	r->packet.operation = cpu_to_le32(KVMB_STOR_COMPLETE_IO);
	if (!sc->answers)
		err = put_answer(sc, r);
	if (err == -EAGAIN) {
		r->state = REQ_ANSWER;
		r->next = NULL;
		*sc->answers_tail = r;
		sc->answers_tail = &r->next;
		return;
	}
	free_req(sc, r);
	if (err)
		stor_fail(sc, "its ring's read index is wild", err);
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
			stor_fail(sc, "its ring's read index is wild", err);
			return;
		}
		sc->answers = r->next;
		free_req(sc, r);
		if (!sc->answers) {
			sc->answers_tail = &sc->answers;
			kvmb_ring_want(&sc->io->tx, 0);
		}
	}
}

/* Tell the guest to look at the bus; again later when there is no room. */
void stor_send_enumerate(struct stor_chan *sc)
{
	struct kvmb_wire_stor p = { .operation = cpu_to_le32(KVMB_STOR_ENUMERATE_BUS) };
	u32 len = least_size(sc->s);

	if (!__atomic_load_n(&sc->enumerate, __ATOMIC_ACQUIRE) || get_state(sc->s) != STOR_READY)
		return;
	if (kvmb_ring_put(&sc->io->tx, KVMB_PKT_INBAND, 0, 0, NULL, 0, &p, len)) {
		kvmb_ring_want(&sc->io->tx, len);
		return;
	}
	sc->io->stats.packets_out++;
	__atomic_store_n(&sc->enumerate, 0, __ATOMIC_RELAXED);
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
		srb_status == KVMB_SRB_INVALID_LUN ? KVMB_SCSI_STATUS_CHECK_CONDITION : 0, nt_status, 0);
	stor_answer(sc, r);
}

/* ---- EXECUTE_SRB ---- */

/* The data buffer of a request as iovecs. Return: bytes, or -EPROTO / -EFAULT. */
static int map_buffer(struct stor_chan *sc, const struct kvmb_pkt *pkt, struct stor_req *r)
{
	struct kvmb_gm *gm = kvmb_bus_vmm(kvmb_chan_bus(sc->ch))->gm;
	struct kvmb_gparange_iter it;
	struct kvmb_gparange range;
	u64 gfns[STOR_MAX_PAGES];
	u32 i;
	int n;

	r->num_iov = 0;
	if (pkt->type == KVMB_PKT_INBAND)
		return 0;
	if (kvmb_pkt_gpa_ranges(pkt, 1, &it) || kvmb_gparange_next(&it, &range))
		return -EPROTO;
	if (range.byte_count > KVMB_SCSI_MAX_TRANSFER || range.num_pages > STOR_MAX_PAGES)
		return -EPROTO;
	for (i = 0; i < range.num_pages; i++)
		gfns[i] = le64_to_cpu(range.pfns[i]);
	n = kvmb_gm_iov(gm, gfns, range.byte_offset, range.byte_count, r->iov, STOR_MAX_PAGES);
	if (n < 0)
		return n;
	r->num_iov = n;
	return (int)range.byte_count;
}

static void report_luns(struct stor_chan *sc, const struct kvmb_wire_srb *srb, struct kvmb_scsi_cmd *cmd)
{
	bool present[KVMB_STORAGE_MAX_LUNS];
	u32 i;

	cmd->status = KVMB_SCSI_STATUS_GOOD;
	cmd->io = KVMB_IO_NONE;
	cmd->eject = false;
	cmd->data_len = 0;
	memset(cmd->data, 0, sizeof(cmd->data));
	for (i = 0; i < KVMB_STORAGE_MAX_LUNS; i++)
		present[i] = !srb->path && !srb->target && stor_lun(sc->s, i);
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
	if (cdb[0] == 0xa0)
		report_luns(sc, srb, cmd);
	else
		kvmb_scsi_execute(l ? &l->unit : NULL, cmd);
	if (cmd->data_len && !cmd->from_device)
		kvmb_scsi_sense(cmd, SENSE_ILLEGAL_REQUEST, 0x24, 0); /* the buffer is for the other way */
	if (cmd->eject) {
		__atomic_fetch_or(&sc->s->ejected, 1ull << r->lun, __ATOMIC_RELEASE);
		kvmb_loop_post(sc->s->loop, &sc->s->work);
	}
	if (cmd->status == KVMB_SCSI_STATUS_CONFLICT) {
		set_srb(r, KVMB_SRB_ERROR, KVMB_SCSI_STATUS_CONFLICT, KVMB_STOR_STATUS_ERROR, 0);
		stor_answer(sc, r);
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

static void execute_srb(struct stor_chan *sc, const struct kvmb_pkt *pkt, struct stor_req *r)
{
	struct kvmb_wire_srb *srb = &r->packet.u.srb;
	int buffer = map_buffer(sc, pkt, r);
	struct stor_lun *l = NULL;
	bool inquiry_like;

	stor_count(&sc->requests, 1);
	if (srb->cdb_length > KVMB_STOR_CDB_SIZE || !srb->cdb_length ||
	    srb->data_in > KVMB_SRB_DATA_NONE || buffer < 0 ||
	    le32_to_cpu(srb->transfer_length) != (u32)buffer) {
		sc->io->stats.errors++;
		stor_answer_status(sc, r, KVMB_SRB_INVALID_REQUEST, KVMB_STOR_STATUS_INVALID_REQUEST);
		return;
	}
	if (!srb->path && !srb->target)
		l = stor_lun(sc->s, srb->lun);
	/* REPORT LUNS and INQUIRY are answered for every address: docs/protocol.md#5.5, #5.6 */
	inquiry_like = srb->u.cdb[0] == 0x12 || srb->u.cdb[0] == 0xa0;
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

/* ---- initialisation ---- */

static u32 query_version(struct stor_chan *sc, const struct kvmb_wire_stor *p)
{
	static const u16 known[] = { KVMB_STOR_V2_0, KVMB_STOR_V4_2, KVMB_STOR_V5_1,
				     KVMB_STOR_V6_0, KVMB_STOR_V6_2 };
	u16 v = le16_to_cpu(p->u.version.major_minor);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		if (known[i] == v) {
			sc->s->version = v;
			set_state(sc->s, STOR_VERSIONED);
			return KVMB_STOR_STATUS_OK;
		}
	}
	return KVMB_STOR_STATUS_REVISION_MISMATCH;
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
	enum stor_state st = get_state(sc->s);
	u16 n;

	if (kvmb_chan_index(sc->ch))
		return KVMB_STOR_STATUS_INVALID_STATE; /* sub-channels have no init sequence */
	if (op == KVMB_STOR_BEGIN_INIT && st == STOR_CLOSED) {
		set_state(sc->s, STOR_BEGUN);
		return KVMB_STOR_STATUS_OK;
	}
	if (op == KVMB_STOR_QUERY_VERSION && st == STOR_BEGUN)
		return query_version(sc, p);
	if (op == KVMB_STOR_QUERY_PROPERTIES && st == STOR_VERSIONED) {
		fill_properties(sc, p);
		return KVMB_STOR_STATUS_OK;
	}
	if (op == KVMB_STOR_END_INIT && st == STOR_VERSIONED) {
		set_state(sc->s, STOR_READY);
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
	u32 op;

	r->trans_id = pkt->trans_id;
	r->packet_len = KVMB_MIN(pkt->payload_len, (u32)sizeof(r->packet));
	memset(&r->packet, 0, sizeof(r->packet));
	if ((pkt->type != KVMB_PKT_INBAND && pkt->type != KVMB_PKT_GPA_DIRECT) ||
	    pkt->payload_len < least_size(sc->s)) {
		free_req(sc, r);
		stor_fail(sc, "a packet is of the wrong type or too short", -EPROTO);
		return;
	}
	memcpy(&r->packet, pkt->payload, r->packet_len);
	op = le32_to_cpu(r->packet.operation);
	r->packet.flags = 0;

	switch (op) {
	case KVMB_STOR_EXECUTE_SRB:
		if (get_state(sc->s) == STOR_READY) {
			execute_srb(sc, pkt, r);
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
			free_req(sc, r); /* nobody waits for an answer */
			return;
		}
		r->packet.status = cpu_to_le32(initialise(sc, (enum kvmb_stor_op)op, &r->packet));
	}
	stor_answer(sc, r);
}

/* ---- the life of a channel ---- */

static int start_uring(struct stor_chan *sc)
{
	int none[KVMB_STORAGE_MAX_LUNS], err;

	err = io_uring_queue_init(64, &sc->uring, IORING_SETUP_CLAMP);
	if (err) {
		kvmb_err(kvmb_chan_name(sc->ch), "no io_uring: %s", strerror(-err));
		return err;
	}
	/* saves looking descriptors up; where the kernel refuses, plain ones do */
	memset(none, 0xff, sizeof(none));
	sc->slots_ok = !io_uring_register_files(&sc->uring, none, ARRAY_SIZE(none));
	return 0;
}

static int stor_open(struct kvmb_chan *ch)
{
	struct kvmb_storage *s = kvmb_chan_dev(ch);
	struct stor_chan *sc;
	char name[16];
	int err;

	if (kvmb_chan_index(ch) && get_state(s) != STOR_READY)
		return -EPROTO;
	sc = calloc(1, sizeof(*sc));
	if (!sc)
		return -ENOMEM;
	sc->s = s;
	sc->ch = ch;
	sc->io = kvmb_chan_io(ch);
	sc->answers_tail = &sc->answers;
	sc->wake_ns = STOR_NEVER;
	pthread_mutex_init(&sc->lock, NULL);
	err = kvmb_worker_init(&sc->worker);
	if (err)
		goto err_free;
	err = start_uring(sc);
	if (err)
		goto err_worker;
	sc->io->priv = sc;
	stor_chan_opened(sc);
	snprintf(name, sizeof(name), "%.8s/%u", s->name, kvmb_chan_index(ch));
	err = kvmb_worker_start(&sc->worker, name, stor_worker_run, sc);
	if (err)
		goto err_chan;
	return 0;

err_chan:
	stor_chan_closed(sc);
	io_uring_queue_exit(&sc->uring);
err_worker:
	kvmb_worker_fini(&sc->worker);
err_free:
	pthread_mutex_destroy(&sc->lock);
	free(sc);
	return err;
}

static void stor_close(struct kvmb_chan *ch)
{
	struct stor_chan *sc = kvmb_chan_io(ch)->priv;

	kvmb_worker_stop(&sc->worker);
}

static void stor_closed(struct kvmb_chan *ch)
{
	struct stor_chan *sc = kvmb_chan_io(ch)->priv;
	u32 i;

	kvmb_worker_join(&sc->worker);
	/* a disk's thread may just be kicking, and leaving the lock */
	pthread_mutex_lock(&sc->lock);
	pthread_mutex_unlock(&sc->lock);
	kvmb_worker_fini(&sc->worker);
	pthread_mutex_destroy(&sc->lock);
	stor_chan_closed(sc);
	io_uring_queue_exit(&sc->uring);
	for (i = 0; i < sc->allocated; i++) {
		free(sc->all[i]->extents);
		free(sc->all[i]->bounce);
		free(sc->all[i]);
	}
	if (!kvmb_chan_index(ch) && get_state(sc->s) != STOR_CLOSED)
		set_state(sc->s, STOR_CLOSED); /* a re-open starts the protocol afresh */
	free(sc);
}

static const struct kvmb_vsp_ops stor_ops = {
	.name = "scsi",
	.open = stor_open,
	.close = stor_close,
	.closed = stor_closed,
};

int kvmb_storage_offer(struct kvmb_storage *s, struct kvmb_bus *bus)
{
	/* stable across restarts, so that a hibernated guest finds its disks again */
	struct kvmb_offer offer = {
		.type = KVMB_SCSI_TYPE_GUID,
		.instance = KVMB_GUID(0x6b766d62, 0x5c51, (u16)s->index, 0x80, 0x01, 's', 'c', 's',
				      'i', 0, (u8)s->index),
		.flags = KVMB_OFFER_ENUMERATE,
		.name = s->name,
		.ops = &stor_ops,
		.dev = s,
	};

	s->bus = bus;
	return kvmb_bus_offer(bus, &offer, NULL);
}
