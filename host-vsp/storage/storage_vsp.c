// SPDX-License-Identifier: GPL-2.0-only
/*
 * The storvsp protocol over one worker and one io_uring per channel.
 *
 * DOC: Theory of operation
 *
 * A worker owns its channel's rings and an io_uring. The guest's signal (an eventfd)
 * and the stop request are multishot polls in that same io_uring, so the worker sleeps
 * in exactly one place and one system call both submits and waits. A turn of the loop
 * reaps completions, drains the ring into new requests, publishes answers with at most
 * one signal, and submits; it sleeps only when a whole turn did nothing.
 *
 * Data moves between the image and guest pages by iovec; only descriptors, SRBs and the
 * answers of non-I/O commands are copied. A request remembers its private copy of the
 * SRB, because the answer reuses it (the sense overlays the CDB).
 *
 * When the guest's ring has no room for an answer, the answer waits in a list, no new
 * requests are taken, and pending_send_sz asks the guest for a signal: nothing that was
 * executed is ever dropped.
 *
 * Sources: Linux 6.12 drivers/scsi/storvsc_drv.c; protocol notes 5.
 */
#include "host-vsp/storage/storage.h"

#include <liburing.h>
#include <poll.h>
#include <sys/stat.h>

#include "host-vsp/iov.h"
#include "host-vsp/storage/storage_priv.h"
#include "host-vsp/worker.h"
#include "lib/log.h"
#include "lib/util.h"
#include "vmbus-core/proto/storage.h"

#define MAX_TRANSFER (512u * 1024u)
#define MAX_PAGES (MAX_TRANSFER / KVMB_PAGE_SIZE + 1)
#define MAX_REQUESTS 256u /* in flight per channel; the ring holds the rest back */
#define SCRATCH_SIZE 2048u /* descriptor, 129 frames, 64 bytes of payload: 1136 */

enum stor_state { /* of a controller, primary channel's worker only */
	STOR_CLOSED,	 /* expects BEGIN_INITIALIZATION */
	STOR_BEGUN,	 /* expects QUERY_PROTOCOL_VERSION, repeated until one fits */
	STOR_VERSIONED,	 /* expects QUERY_PROPERTIES, then END_INITIALIZATION */
	STOR_READY,
	STOR_NUM
};

static const u8 stor_moves[STOR_NUM] = {
	[STOR_CLOSED] = 1 << STOR_BEGUN,
	[STOR_BEGUN] = 1 << STOR_VERSIONED | 1 << STOR_CLOSED,
	[STOR_VERSIONED] = 1 << STOR_READY | 1 << STOR_CLOSED,
	[STOR_READY] = 1 << STOR_CLOSED,
};

struct kvmb_storage {
	unsigned int index;
	u16 max_channels;
	char name[16];
	struct kvmb_disk *luns[KVMB_STORAGE_MAX_LUNS]; /* immutable once offered */
	int state;	   /* enum stor_state; atomic: sub-channel workers read it */
	u32 version;	   /* negotiated, valid from STOR_VERSIONED; read as state */
	u64 requests, io_submits;
};

struct stor_req {
	struct stor_req *next;	  /* free list or list of waiting answers */
	u64 trans_id;
	u32 packet_len;		  /* bytes of the request, and so of the answer: 48 .. 64 */
	struct kvmb_wire_stor packet; /* private copy of the request, becomes the answer */
	struct kvmb_disk *disk;
	enum kvmb_scsi_io io;
	bool fua;
	u64 offset;
	u32 length, done;	  /* bytes */
	struct iovec iov[MAX_PAGES], *cur; /* what is left of it */
	int num_iov;
};

struct stor_chan {
	struct kvmb_storage *s;
	struct kvmb_chan *ch;
	struct kvmb_chan_io *io;
	struct kvmb_worker worker;
	struct io_uring uring;
	struct stor_req *free;
	struct stor_req *answers, **answers_tail; /* executed, no room in the guest's ring yet */
	u32 allocated, inflight;
	bool stopping, failed;
	struct stor_req *reset; /* a RESET that waits for inflight == 0, NULL = none */
	u8 scratch[SCRATCH_SIZE] __attribute__((aligned(8)));
};

/* user_data of the polls; requests use their address */
#define UD_SIGNAL 1
#define UD_STOP 2

static enum stor_state get_state(const struct kvmb_storage *s)
{
	return (enum stor_state)__atomic_load_n(&s->state, __ATOMIC_ACQUIRE);
}

static void set_state(struct kvmb_storage *s, enum stor_state to)
{
	kvmb_assert(stor_moves[s->state] & (1 << to));
	__atomic_store_n(&s->state, to, __ATOMIC_RELEASE);
}

static void count(u64 *counter, u64 n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
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

static void fail(struct stor_chan *sc, const char *why, int err)
{
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
	r->next = sc->free;
	sc->free = r;
}

static void answer(struct stor_chan *sc, struct stor_req *r)
{
	int err = -EAGAIN;

	r->packet.operation = cpu_to_le32(KVMB_STOR_COMPLETE_IO);
	if (!sc->answers)
		err = put_answer(sc, r);
	if (!err) {
		free_req(sc, r);
	} else if (err == -EAGAIN) {
		r->next = NULL;
		*sc->answers_tail = r;
		sc->answers_tail = &r->next;
	} else {
		free_req(sc, r);
		if (!sc->failed)
			fail(sc, "its ring's read index is wild", err);
	}
}

static void flush_answers(struct stor_chan *sc)
{
	struct stor_req *r;

	while ((r = sc->answers) && !sc->failed) {
		if (put_answer(sc, r)) {
			if (!kvmb_ring_want(&sc->io->tx, r->packet_len))
				return; /* the guest signals when it has read that much */
			continue;
		}
		sc->answers = r->next;
		free_req(sc, r);
		if (!sc->answers) {
			sc->answers_tail = &sc->answers;
			kvmb_ring_want(&sc->io->tx, 0);
		}
	}
}

static void set_srb(struct stor_req *r, u8 srb_status, u8 scsi_status, u32 status, u32 done)
{
	struct kvmb_wire_srb *srb = &r->packet.u.srb;

	srb->srb_status = srb_status;
	srb->scsi_status = scsi_status;
	srb->transfer_length = cpu_to_le32(done);
	r->packet.status = cpu_to_le32(status);
}

static void answer_sense(struct stor_chan *sc, struct stor_req *r, const u8 *sense)
{
	struct kvmb_wire_srb *srb = &r->packet.u.srb;
	u8 room = srb->sense_length;
	u8 n = (u8)KVMB_MIN((u32)room, KVMB_SCSI_SENSE_LEN);

	memset(srb->u.sense, 0, sizeof(srb->u.sense));
	memcpy(srb->u.sense, sense, n);
	srb->sense_length = n;
	set_srb(r, KVMB_SRB_ERROR | KVMB_SRB_AUTOSENSE_VALID, KVMB_SCSI_STATUS_CHECK_CONDITION,
		KVMB_STOR_STATUS_ERROR, 0);
	answer(sc, r);
}

/* ---- I/O ---- */

static void io_error(struct stor_chan *sc, struct stor_req *r, int err)
{
	struct kvmb_scsi_cmd cmd;

	count(&r->disk->errors, 1);
	kvmb_warn_ratelimited(kvmb_chan_name(sc->ch), "%s of %s at %llu failed: %s",
			      r->io == KVMB_IO_READ ? "read" :
			      r->io == KVMB_IO_WRITE ? "write" : "flush", r->disk->path,
			      (unsigned long long)(r->offset + r->done), strerror(-err));
	if (r->io == KVMB_IO_READ)
		kvmb_scsi_sense(&cmd, 0x03, 0x11, 0x00); /* unrecovered read error */
	else if (err == -ENOSPC)
		kvmb_scsi_sense(&cmd, 0x07, 0x27, 0x07); /* space allocation failed */
	else
		kvmb_scsi_sense(&cmd, 0x03, 0x0c, 0x00); /* write error */
	answer_sense(sc, r, cmd.sense);
}

static struct io_uring_sqe *get_sqe(struct stor_chan *sc)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&sc->uring);

	if (!sqe) { /* the submission queue is full: hand it over and go on */
		io_uring_submit(&sc->uring);
		count(&sc->s->io_submits, 1);
		sqe = io_uring_get_sqe(&sc->uring);
	}
	kvmb_assert(sqe);
	return sqe;
}

static void submit(struct stor_chan *sc, struct stor_req *r)
{
	struct io_uring_sqe *sqe = get_sqe(sc);
	u64 at = r->offset + r->done;

	if (r->io == KVMB_IO_READ) {
		io_uring_prep_readv(sqe, r->disk->fd, r->cur, (unsigned int)r->num_iov, at);
	} else if (r->io == KVMB_IO_WRITE) {
		io_uring_prep_writev(sqe, r->disk->fd, r->cur, (unsigned int)r->num_iov, at);
		if (r->fua)
			sqe->rw_flags = RWF_DSYNC;
	} else {
		io_uring_prep_fsync(sqe, r->disk->fd, IORING_FSYNC_DATASYNC);
	}
	io_uring_sqe_set_data(sqe, r);
	sc->inflight++;
}

/* Drop @bytes from the front of what is left. */
static void consume_iov(struct stor_req *r, u32 bytes)
{
	while (bytes) {
		u32 n = (u32)KVMB_MIN((size_t)bytes, r->cur->iov_len);

		r->cur->iov_base = (u8 *)r->cur->iov_base + n;
		r->cur->iov_len -= n;
		bytes -= n;
		if (!r->cur->iov_len) {
			r->cur++;
			r->num_iov--;
		}
	}
}

static void io_done(struct stor_chan *sc, struct stor_req *r, int res)
{
	sc->inflight--;
	if (res == -EINTR || res == -EAGAIN) {
		submit(sc, r);
		return;
	}
	if (res < 0 || (!res && r->io != KVMB_IO_FLUSH)) {
		io_error(sc, r, res ? res : -EIO); /* 0: the file became shorter */
		return;
	}
	if (r->io == KVMB_IO_FLUSH) {
		count(&r->disk->flushes, 1);
	} else {
		r->done += (u32)res;
		if (r->done < r->length) {
			consume_iov(r, (u32)res);
			submit(sc, r);
			return;
		}
		count(r->io == KVMB_IO_READ ? &r->disk->reads : &r->disk->writes, 1);
		count(r->io == KVMB_IO_READ ? &r->disk->read_bytes : &r->disk->write_bytes, r->done);
	}
	set_srb(r, KVMB_SRB_SUCCESS, KVMB_SCSI_STATUS_GOOD, KVMB_STOR_STATUS_OK, r->done);
	answer(sc, r);
}

/* ---- EXECUTE_SRB ---- */

/* The data buffer of a request as iovecs. Return: bytes, or -EPROTO / -EFAULT. */
static int map_buffer(struct stor_chan *sc, const struct kvmb_pkt *pkt, struct stor_req *r)
{
	struct kvmb_gm *gm = kvmb_bus_vmm(kvmb_chan_bus(sc->ch))->gm;
	struct kvmb_gparange_iter it;
	struct kvmb_gparange range;
	u64 gfns[MAX_PAGES];
	u32 i;
	int n;

	r->num_iov = 0;
	if (pkt->type == KVMB_PKT_INBAND)
		return 0;
	if (kvmb_pkt_gpa_ranges(pkt, 1, &it) || kvmb_gparange_next(&it, &range))
		return -EPROTO;
	if (range.byte_count > MAX_TRANSFER || range.num_pages > MAX_PAGES)
		return -EPROTO;
	for (i = 0; i < range.num_pages; i++)
		gfns[i] = le64_to_cpu(range.pfns[i]);
	n = kvmb_gm_iov(gm, gfns, range.byte_offset, range.byte_count, r->iov, MAX_PAGES);
	if (n < 0)
		return n;
	r->num_iov = n;
	return (int)range.byte_count;
}

static void run_scsi(struct stor_chan *sc, struct stor_req *r, struct kvmb_disk *d, u32 buffer)
{
	struct kvmb_wire_srb *srb = &r->packet.u.srb;
	struct kvmb_scsi_cmd cmd;
	u8 cdb[KVMB_STOR_CDB_SIZE] = { 0 };
	bool present[KVMB_STORAGE_MAX_LUNS] = { false };
	u32 i;

	memcpy(cdb, srb->u.cdb, srb->cdb_length);
	cmd.cdb = cdb;
	cmd.cdb_len = srb->cdb_length;
	cmd.buffer = buffer;
	cmd.to_device = srb->data_in == KVMB_SRB_DATA_OUT;
	cmd.from_device = srb->data_in == KVMB_SRB_DATA_IN;
	if (cdb[0] == 0xa0) {
		cmd.status = KVMB_SCSI_STATUS_GOOD;
		cmd.io = KVMB_IO_NONE;
		cmd.data_len = 0;
		memset(cmd.data, 0, sizeof(cmd.data));
		for (i = 0; i < KVMB_STORAGE_MAX_LUNS; i++)
			present[i] = !srb->path && !srb->target && sc->s->luns[i];
		kvmb_scsi_report_luns(&cmd, present);
	} else {
		kvmb_scsi_execute(d, &cmd);
	}
	if (cmd.data_len && !cmd.from_device)
		kvmb_scsi_sense(&cmd, 0x05, 0x24, 0x00); /* the guest's buffer is for the other way */
	if (cmd.status != KVMB_SCSI_STATUS_GOOD) {
		answer_sense(sc, r, cmd.sense);
		return;
	}
	if (cmd.io != KVMB_IO_NONE) {
		r->disk = d;
		r->io = cmd.io;
		r->fua = cmd.fua;
		r->offset = cmd.offset;
		r->length = cmd.length;
		r->done = 0;
		r->cur = r->iov;
		if (cmd.io != KVMB_IO_FLUSH && cmd.length < buffer) { /* trim the tail */
			u32 left = cmd.length;

			for (i = 0; left; i++) {
				r->iov[i].iov_len = KVMB_MIN(r->iov[i].iov_len, left);
				left -= (u32)r->iov[i].iov_len;
			}
			r->num_iov = (int)i;
		}
		submit(sc, r);
		return;
	}
	kvmb_iov_write(r->iov, r->num_iov, cmd.data, cmd.data_len);
	set_srb(r, KVMB_SRB_SUCCESS, KVMB_SCSI_STATUS_GOOD, KVMB_STOR_STATUS_OK, cmd.data_len);
	answer(sc, r);
}

static void execute_srb(struct stor_chan *sc, const struct kvmb_pkt *pkt, struct stor_req *r)
{
	struct kvmb_wire_srb *srb = &r->packet.u.srb;
	int buffer = map_buffer(sc, pkt, r);
	struct kvmb_disk *d = NULL;
	bool inquiry_like;

	count(&sc->s->requests, 1);
	if (srb->cdb_length > KVMB_STOR_CDB_SIZE || srb->data_in > KVMB_SRB_DATA_NONE ||
	    buffer < 0 || le32_to_cpu(srb->transfer_length) != (u32)buffer) {
		sc->io->stats.errors++;
		set_srb(r, KVMB_SRB_INVALID_REQUEST, 0, KVMB_STOR_STATUS_INVALID_REQUEST, 0);
		answer(sc, r);
		return;
	}
	if (!srb->path && !srb->target && srb->lun < KVMB_STORAGE_MAX_LUNS)
		d = sc->s->luns[srb->lun];
	/* REPORT LUNS and INQUIRY are answered for every address: notes 5.3, 5.4 */
	inquiry_like = srb->u.cdb[0] == 0x12 || srb->u.cdb[0] == 0xa0;
	if (!d && !inquiry_like) {
		set_srb(r, KVMB_SRB_INVALID_LUN, KVMB_SCSI_STATUS_CHECK_CONDITION,
			KVMB_STOR_STATUS_INVALID_LUN, 0);
		answer(sc, r);
		return;
	}
	run_scsi(sc, r, d, (u32)buffer);
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
	p->u.properties.max_transfer = cpu_to_le32(MAX_TRANSFER);
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

static void handle_packet(struct stor_chan *sc, const struct kvmb_pkt *pkt, struct stor_req *r)
{
	u32 op;

	r->trans_id = pkt->trans_id;
	r->packet_len = KVMB_MIN(pkt->payload_len, (u32)sizeof(r->packet));
	memset(&r->packet, 0, sizeof(r->packet));
	if ((pkt->type != KVMB_PKT_INBAND && pkt->type != KVMB_PKT_GPA_DIRECT) ||
	    pkt->payload_len < least_size(sc->s)) {
		free_req(sc, r);
		fail(sc, "a packet is of the wrong type or too short", -EPROTO);
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
		/* answered when all that came before on this channel is done */
		if (!sc->reset) {
			r->packet.status = 0;
			sc->reset = r;
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
	answer(sc, r);
}

/* ---- the worker ---- */

static struct stor_req *take_req(struct stor_chan *sc)
{
	struct stor_req *r = sc->free;

	if (r) {
		sc->free = r->next;
		return r;
	}
	if (sc->allocated == MAX_REQUESTS)
		return NULL;
	r = malloc(sizeof(*r));
	if (r)
		sc->allocated++;
	return r;
}

static bool accepting(const struct stor_chan *sc)
{
	return !sc->stopping && !sc->failed && !sc->answers && !sc->reset &&
	       (sc->free || sc->allocated < MAX_REQUESTS);
}

static bool drain(struct stor_chan *sc)
{
	struct kvmb_pkt pkt;
	struct stor_req *r;
	bool any = false;
	int err;

	while (accepting(sc)) {
		err = kvmb_ring_peek(&sc->io->rx, sc->scratch, sizeof(sc->scratch), &pkt);
		if (err) {
			if (err != -EAGAIN)
				fail(sc, "its ring is corrupt", err);
			break;
		}
		r = take_req(sc);
		if (!r)
			break;
		any = true;
		sc->io->stats.packets_in++;
		handle_packet(sc, &pkt, r);
		kvmb_ring_skip(&sc->io->rx, &pkt);
	}
	return any;
}

static void arm_poll(struct stor_chan *sc, int fd, u64 tag)
{
	struct io_uring_sqe *sqe = get_sqe(sc);

	io_uring_prep_poll_multishot(sqe, fd, POLLIN);
	io_uring_sqe_set_data64(sqe, tag);
}

static bool reap(struct stor_chan *sc)
{
	struct io_uring_cqe *cqe;
	unsigned int head, n = 0;

	io_uring_for_each_cqe(&sc->uring, head, cqe) {
		n++;
		if (cqe->user_data == UD_SIGNAL) {
			sc->io->stats.wakes++;
			if (!(cqe->flags & IORING_CQE_F_MORE) && !sc->stopping)
				arm_poll(sc, sc->io->signal_fd, UD_SIGNAL);
		} else if (cqe->user_data == UD_STOP) {
			sc->stopping = true;
		} else {
			io_done(sc, io_uring_cqe_get_data(cqe), cqe->res);
		}
	}
	io_uring_cq_advance(&sc->uring, n);
	return n > 0;
}

static void finish_reset(struct stor_chan *sc)
{
	struct stor_req *r = sc->reset;

	if (!r || sc->inflight)
		return;
	sc->reset = NULL;
	answer(sc, r);
}

/* Give space back, show answers; at most one signal each way. */
static void publish(struct stor_chan *sc)
{
	int want;

	if (sc->failed)
		return;
	flush_answers(sc);
	want = kvmb_ring_release(&sc->io->rx);
	if (want > 0)
		kvmb_chan_signal(sc->ch);
	if (want < 0 || kvmb_chan_flush(sc->ch))
		fail(sc, "a ring index is wild", -EPROTO);
}

static void run(void *arg)
{
	struct stor_chan *sc = arg;
	bool progress;

	arm_poll(sc, sc->io->signal_fd, UD_SIGNAL);
	arm_poll(sc, sc->worker.stop_fd, UD_STOP);
	kvmb_ring_mask(&sc->io->rx);
	while (!sc->stopping || sc->inflight) {
		progress = reap(sc);
		finish_reset(sc);
		progress |= drain(sc);
		publish(sc);
		if (io_uring_sq_ready(&sc->uring)) {
			io_uring_submit(&sc->uring);
			count(&sc->s->io_submits, 1);
			continue;
		}
		if (progress)
			continue;
		/* nothing to do: ask for signals, look once more, sleep */
		if (accepting(sc) && kvmb_ring_unmask(&sc->io->rx)) {
			kvmb_ring_mask(&sc->io->rx);
			continue;
		}
		io_uring_submit_and_wait(&sc->uring, 1);
		count(&sc->s->io_submits, 1);
		if (accepting(sc))
			kvmb_ring_mask(&sc->io->rx);
	}
	kvmb_chan_closed(sc->ch);
}

static int stor_open(struct kvmb_chan *ch)
{
	struct kvmb_storage *s = kvmb_chan_dev(ch);
	struct stor_chan *sc;
	char name[16];
	int err;

	if (kvmb_chan_index(ch) && get_state(s) != STOR_READY)
		return -EPROTO;
	sc = kvmb_xzalloc(sizeof(*sc));
	sc->s = s;
	sc->ch = ch;
	sc->io = kvmb_chan_io(ch);
	sc->answers_tail = &sc->answers;
	err = io_uring_queue_init(64, &sc->uring, IORING_SETUP_CLAMP);
	if (err) {
		kvmb_err(kvmb_chan_name(ch), "no io_uring: %s", strerror(-err));
		goto err_free;
	}
	sc->io->priv = sc;
	snprintf(name, sizeof(name), "%.8s/%u", s->name, kvmb_chan_index(ch));
	err = kvmb_worker_start(&sc->worker, name, run, sc);
	if (err)
		goto err_uring;
	return 0;

err_uring:
	io_uring_queue_exit(&sc->uring);
err_free:
	free(sc);
	return err;
}

static void stor_close(struct kvmb_chan *ch)
{
	struct stor_chan *sc = kvmb_chan_io(ch)->priv;

	kvmb_worker_stop(&sc->worker);
}

static void free_list(struct stor_req *r)
{
	struct stor_req *next;

	for (; r; r = next) {
		next = r->next;
		free(r);
	}
}

static void stor_closed(struct kvmb_chan *ch)
{
	struct stor_chan *sc = kvmb_chan_io(ch)->priv;

	kvmb_worker_join(&sc->worker);
	io_uring_queue_exit(&sc->uring);
	free_list(sc->free);
	free_list(sc->answers);
	free(sc->reset);
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

/* ---- the controller ---- */

struct kvmb_storage *kvmb_storage_create(unsigned int index, u16 max_channels)
{
	struct kvmb_storage *s = kvmb_xzalloc(sizeof(*s));

	kvmb_assert(index < KVMB_STORAGE_MAX_CONTROLLERS);
	s->index = index;
	s->max_channels = max_channels;
	snprintf(s->name, sizeof(s->name), "scsi%u", index);
	return s;
}

int kvmb_storage_attach(struct kvmb_storage *s, struct kvmb_disk *d, unsigned int lun)
{
	if (lun >= KVMB_STORAGE_MAX_LUNS)
		return -ENOSPC;
	if (s->luns[lun])
		return -EEXIST;
	s->luns[lun] = d;
	return 0;
}

struct kvmb_disk *kvmb_storage_disk(struct kvmb_storage *s, unsigned int lun)
{
	return lun < KVMB_STORAGE_MAX_LUNS ? s->luns[lun] : NULL;
}

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

	return kvmb_bus_offer(bus, &offer, NULL);
}

void kvmb_storage_get_stats(struct kvmb_storage *s, struct kvmb_storage_stats *st)
{
	st->requests = __atomic_load_n(&s->requests, __ATOMIC_RELAXED);
	st->io_submits = __atomic_load_n(&s->io_submits, __ATOMIC_RELAXED);
}

void kvmb_storage_destroy(struct kvmb_storage *s)
{
	unsigned int i;

	if (!s)
		return;
	for (i = 0; i < KVMB_STORAGE_MAX_LUNS; i++)
		kvmb_disk_close(s->luns[i]);
	free(s);
}
