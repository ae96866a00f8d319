/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Private to storage_*.c: controllers, units, channels, requests.
 *
 * DOC: Who may touch what
 *
 * The bus thread owns the controller: it attaches and detaches units, and opens and closes
 * channels. Each channel's worker owns its requests and its io_uring. A worker reads luns[] (an
 * atomic pointer) when it takes a request, and counts the request in busy[] until it is
 * answered.
 *
 * Where the host has no io_uring, what would go into the ring goes to threads of the disk
 * (disk_pool.h), so those requests are REQ_DISK, and the worker sleeps in ppoll().
 *
 * Removing a unit is a quiesce. The bus thread publishes the set of units and a new generation,
 * and kicks every worker. A worker that sees the generation takes no new requests; answers the
 * requests that it only holds (delayed, held back after an error, waiting at the disk's thread);
 * waits until busy[] says that it has no request for those units; and acknowledges the
 * generation. When all workers have acknowledged, the bus thread continues. A bus reset by the
 * guest is a quiesce of all units. One quiesce runs at a time; others queue.
 *
 * "Answered" means that the request can have no further effect. A quiesce relies on this, and so
 * does a guest whose reset is answered: an old write must not overwrite a newer one. Therefore
 * requests that the kernel has are waited for, never cancelled. A disk with operations promises
 * the same: after cancel() of a write that its server has seen, done() comes only when the
 * server has answered or can no longer do the write. A request of several pieces stops between
 * two of them.
 *
 * A pause (vsp.h) is told by a generation, too, one per channel. A worker that sees it takes no
 * packet and begins nothing that waits. When the kernel and disks have nothing of it any more, and
 * no reset or quiesce is under way, it publishes and stands: from then on it touches no guest
 * memory. A quiesce, a stop and kicks are served all the same; what they answer waits as if the
 * guest's ring were full.
 */
#ifndef KVMB_STORAGE_PRIV_H
#define KVMB_STORAGE_PRIV_H

#include <liburing.h>

#include "host-vsp/storage/scsi.h"
#include "host-vsp/storage/storage.h"
#include "host-vsp/tuner.h"
#include "host-vsp/worker.h"
#include "vmbus-core/pkt.h"
#include "vmbus-core/proto/storage.h"

#define STOR_MAX_PAGES (KVMB_SCSI_MAX_TRANSFER / KVMB_PAGE_SIZE + 1)
#define STOR_MAX_REQUESTS 256u /* in flight per channel; more stay in the ring */
#define STOR_BOUNCE_MAX (4u << 20) /* bytes of bounce buffers per channel; likewise */
#define STOR_SCRATCH 2048u     /* descriptor, 129 frames, 64 bytes of payload: 1136 */
#define STOR_RETRY_NS 10000000ull /* pause after the kernel or malloc() has refused */
#define STOR_NEVER (~0ull)
#define STOR_LOOK_MS 2000u     /* a disk in use gets a command within this time */

static_assert(KVMB_STORAGE_MAX_LUNS == KVMB_SCSI_MAX_LUNS, "REPORT LUNS says of all");
static_assert(KVMB_STORAGE_MAX_LUNS <= 64, "masks of units are u64");
static_assert(KVMB_STOR_CDB_SIZE <= KVMB_SCSI_CDB_MAX,
	      "a command block of the wire fits one of ours");
static_assert(KVMB_SCSI_SENSE_LEN <= KVMB_STOR_SENSE_SIZE, "our sense fits the wire's");
static_assert(offsetof(struct kvmb_wire_stor, u.srb.u.sense) + KVMB_STOR_SENSE_SIZE <=
		      KVMB_STOR_SIZE_OLD,
	      "also where the guest is old");
static_assert(sizeof(struct kvmb_wire_pkt) + sizeof(struct kvmb_wire_gpa_direct) +
	      sizeof(struct kvmb_wire_gparange) + STOR_MAX_PAGES * sizeof(u64) +
	      sizeof(struct kvmb_wire_stor) <= STOR_SCRATCH, "the longest request");
static_assert(STOR_MAX_PAGES <= 1024, "IOV_MAX of Linux");
static_assert(KVMB_SCSI_MAX_TRANSFER <= INT32_MAX, "a result of I/O is an int");

enum stor_state { /* of a controller; written by the primary channel's worker */
	STOR_CLOSED,	/* expects BEGIN_INITIALIZATION */
	STOR_BEGUN,	/* expects QUERY_PROTOCOL_VERSION, repeated until one fits */
	STOR_VERSIONED, /* expects QUERY_PROPERTIES, then END_INITIALIZATION */
	STOR_READY,
	STOR_NUM
};

struct stor_lun {
	struct kvmb_unit unit;	       /* unit.disk is owned */
	struct kvmb_unit_stats totals; /* of channels that are closed; bus thread */
};

struct stor_quiesce { /* bus thread */
	struct stor_quiesce *next;
	u64 luns;	/* bit n: unit n */
	struct stor_lun *gone; /* freed at the end, NULL = stays */
	struct kvmb_disk *disk; /* handed to done() */
	kvmb_storage_done *done;
	void *arg;
	struct stor_chan *reset; /* a channel that waits to answer its RESET, NULL = none */
};

struct kvmb_storage {
	unsigned int index;
	u16 max_channels;
	char name[16];
	const struct kvmb_storage_twin *twin; /* NULL: nobody else has its disk */
	void *twin_arg;
	bool taken; /* atomic: the twin has let go of the disk; bus thread sets it */
	struct kvmb_loop *loop;
	struct kvmb_bus *bus;
	const struct kvmb_storage_events *ev;
	void *ev_arg;

	struct stor_lun *luns[KVMB_STORAGE_MAX_LUNS]; /* atomic pointers */
	int state;	/* atomic, enum stor_state */
	u32 version;	/* negotiated, valid from STOR_VERSIONED; read as state */
	struct kvmb_rings *rings;	      /* borrowed; NULL = there are none */
	u64 requests, io_submits, inline_ios; /* of closed channels; bus thread */

	/* bus thread */
	struct stor_chan *chans;	  /* open ones */
	struct stor_quiesce *q_head, **q_tail; /* the head is under way */
	bool q_active;
	struct kvmb_work work;		  /* something of the next lines, or an acknowledgement */
	struct kvmb_timer look;		  /* has nobody met the news of a capacity? */

	/* from the bus thread to workers */
	u64 q_luns;	/* set before q_gen */
	u32 q_gen;	/* atomic */
	u32 retry_gen;	/* atomic: do again what is held back */
	u32 limit_gen;	/* atomic: reckon again how long what is delayed must wait */

	/* from workers to the bus thread; atomics */
	u64 stopped;	/* bit n: unit n holds failed requests back */
	int stopped_err;
	u64 ejected;	/* bit n: the guest ejected unit n */
};

enum stor_req_state {
	REQ_FREE,    /* on chan->free */
	REQ_TAKEN,   /* the worker has it in its hands, or on chan->ready */
	REQ_URING,   /* the kernel has it */
	REQ_DISK,    /* the disk's thread has it */
	REQ_DELAYED, /* over the limit: on chan->delayed until due_ns */
	REQ_HELD,    /* failed, waits for a retry: on chan->held */
	REQ_ANSWER,  /* finished, no room in the guest's ring: on chan->answers */
	REQ_NUM_STATES
};

struct stor_req { /* its worker's; only dreq goes to another thread */
	struct stor_req *next;	  /* of the list that its state names */
	enum stor_req_state state; /* stor_req_to() */
	struct stor_chan *sc;
	u64 trans_id;
	u32 packet_len;		  /* bytes of the request, and so of the answer: 48 .. 64 */
	struct kvmb_wire_stor packet; /* private copy of the request, becomes the answer */
	u32 byte_count, byte_offset;  /* the guest's buffer, as it was sent; 0 bytes: none */
	u32 num_gfns;
	u64 gfns[STOR_MAX_PAGES];
	u32 lun;
	struct kvmb_disk *disk;
	enum kvmb_io io;
	bool fua;
	bool owed;		  /* kvmb_disk_take_owed() gave its error */
	u64 offset, length, done; /* bytes */
	u64 started_ns, due_ns;
	/* of the limit that it waits for; given back when dropped */
	struct kvmb_throttle_cost cost;
	u32 num_extents, extent;  /* ZERO: what there is, which one is next */
	struct kvmb_extent *extents; /* malloc()ed, NULL otherwise */
	u8 *bounce;		  /* VERIFY, SAME, unaligned O_DIRECT: malloc()ed, NULL otherwise */
	size_t bounce_len;	  /* counted in sc->bounced */
	struct iovec iov[STOR_MAX_PAGES], *cur; /* the guest's buffer; what is left of it */
	struct iovec one;	  /* of bounce */
	int num_iov;
	int num_guest;		  /* of iov[]: what the command moves, whatever cur stands at */
	struct kvmb_disk_req dreq;
};

struct stor_chan {
	struct kvmb_storage *s;
	struct stor_chan *next;	  /* bus thread */
	struct kvmb_chan *ch;
	struct kvmb_chan_io *io;
	struct kvmb_worker worker;
	struct io_uring uring;
	bool uring_ok; /* there is one; else threads and ppoll(): storage_chan.c */
	struct kvmb_tuner tuner;
	struct stor_req *all[STOR_MAX_REQUESTS]; /* all[allocated] */
	u32 allocated;
	struct stor_req *free;
	struct stor_req *ready;	  /* reads and others of this turn, to be issued together */
	u32 num_ready;
	struct stor_req *answers, **answers_tail;
	struct stor_req *delayed, *held;
	u32 inflight;		  /* REQ_URING and REQ_DISK */
	size_t bounced;		  /* bytes of all requests' own buffers */
	u32 busy[KVMB_STORAGE_MAX_LUNS]; /* requests of a unit from TAKEN to answered */
	struct kvmb_disk *slots[KVMB_STORAGE_MAX_LUNS]; /* whose fd is registered in the ring */
	bool slots_ok;
	bool stopping, failed;
	bool gated;		  /* the twin has the disk yet: no packet is taken */
	bool starved;		  /* no memory for a request: none is taken until wake_ns */
	u64 heard;		  /* bit STOR_UD_*: without a ring, what ppoll() has reported */
	u64 armed;		  /* bit STOR_UD_*: polls that the kernel has */
	u64 to_arm;		  /* bit STOR_UD_*: polls that the kernel did not take */
	u64 one_shot;		  /* likewise: polls that end with one event, before Linux 5.13 */
	u64 wake_ns;		  /* when something that waits for a time is due; STOR_NEVER */
	u64 now;		  /* ns, of this turn; 0 = not taken yet */
	u64 slow_until;		  /* no writes on the spot before this */
	u32 taken;		  /* requests since the last sleep */
	struct stor_req *reset;	  /* a RESET that waits for the others, NULL = none */
	int reset_state;	  /* atomic, enum stor_reset */
	u32 q_seen;		  /* generation being worked on */
	u32 q_acked;		  /* atomic */
	u32 retry_seen, limit_seen;
	u32 pause_gen; /* atomic, from the bus thread: odd = stand still */
	u32 pause_seen;
	bool pausing;		  /* pause_seen is odd */
	bool standing;		  /* and it was acknowledged: no guest memory is touched */
	/* from load() to the first resume the bus thread's: storage_state.c */
	struct stor_req *loaded;
	bool loaded_failed;
	int enumerate;		  /* atomic: tell the guest to look at the bus */

	pthread_mutex_t lock;	  /* guards the next: answers of disks' threads */
	struct kvmb_disk_req *done_list; /* atomic; read without the lock to see if there is any */

	u64 requests, io_submits, inline_ios; /* atomic stores; read by the bus thread */
	/* atomic pointers, made when needed */
	struct kvmb_unit_stats *counts[KVMB_STORAGE_MAX_LUNS];
	struct kvmb_scsi_cmd cmd;
	u8 param[KVMB_SCSI_PARAM_MAX];
	u8 scratch[STOR_SCRATCH] __attribute__((aligned(8)));
};

enum stor_reset { STOR_RESET_NONE, STOR_RESET_WANTED, STOR_RESET_RUNNING, STOR_RESET_DONE };

#define STOR_UD_SIGNAL 1 /* user_data of the polls; requests use their address */
#define STOR_UD_KICK 2
#define STOR_UD_REMOVE 4 /* or one of these: it is taken back */

/* One writer, many readers: no locked instruction needed. */
static inline void stor_count(u64 *counter, u64 n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static inline enum stor_state stor_state(const struct kvmb_storage *s)
{
	return (enum stor_state)__atomic_load_n(&s->state, __ATOMIC_ACQUIRE);
}

static inline struct stor_lun *stor_lun(const struct kvmb_storage *s, u32 lun)
{
	return lun < KVMB_STORAGE_MAX_LUNS ? __atomic_load_n(&s->luns[lun], __ATOMIC_ACQUIRE) :
					     NULL;
}

static inline u64 stor_now(struct stor_chan *sc)
{
	if (!sc->now)
		sc->now = kvmb_mono_ns();
	return sc->now;
}

/* Is the unit of a request to be let go of, or its channel? No new work of it then. */
static inline bool stor_leaving(const struct stor_chan *sc, u32 lun)
{
	return sc->stopping || (sc->q_seen != sc->q_acked && sc->s->q_luns >> lun & 1);
}

/* storage_io.c */
void stor_begin_io(struct stor_chan *sc, struct stor_req *r, const struct kvmb_scsi_cmd *cmd);
void stor_issue_ready(struct stor_chan *sc);
void stor_uring_done(struct stor_chan *sc, struct stor_req *r, int res);
void stor_disks_done(struct stor_chan *sc);
void stor_issue(struct stor_chan *sc, struct stor_req *r);
void stor_issue_due(struct stor_chan *sc, struct stor_req *r); /* after a delay */
void stor_cancel_at_disks(struct stor_chan *sc, u64 luns);
void stor_forget_slots(struct stor_chan *sc, u64 luns);
struct io_uring_sqe *stor_sqe(struct stor_chan *sc); /* NULL: the kernel takes nothing now */

/* storage_wait.c; what has waited is handed to @issue */
typedef void stor_issue_fn(struct stor_chan *sc, struct stor_req *r);
/* a turn of the worker at this time, at the latest */
void stor_wake_at(struct stor_chan *sc, u64 ns);
void stor_delay(struct stor_chan *sc, struct stor_req *r, u64 ns); /* issue it in @ns */
void stor_hold(struct stor_chan *sc, struct stor_req *r, int err); /* until somebody says go on */
void stor_run_delayed(struct stor_chan *sc, stor_issue_fn *issue);
void stor_retry_held(struct stor_chan *sc, stor_issue_fn *issue);
void stor_charge_again(struct stor_chan *sc, stor_issue_fn *issue); /* limits have changed */
void stor_drop_waiting(struct stor_chan *sc, u64 luns);

/* storage_answer.c */
void stor_req_to(struct stor_req *r, enum stor_req_state to); /* the one writer of r->state */
struct stor_req *stor_new_req(struct stor_chan *sc);	      /* FREE; NULL without memory */
void stor_free_req(struct stor_chan *sc, struct stor_req *r);
void stor_fail(struct stor_chan *sc, const char *why, int err);
void stor_queue_answer(struct stor_chan *sc, struct stor_req *r); /* behind the others */
void stor_flush_answers(struct stor_chan *sc);
void stor_answer(struct stor_chan *sc, struct stor_req *r);
void stor_answer_good(struct stor_chan *sc, struct stor_req *r, u64 moved);
void stor_answer_sense(struct stor_chan *sc, struct stor_req *r, const u8 *sense);
void stor_answer_status(struct stor_chan *sc, struct stor_req *r, u8 srb_status, u32 nt_status);
void stor_answer_conflict(struct stor_chan *sc, struct stor_req *r); /* with a reservation */
/* A request that somebody took the ground from under: its unit went, or a reset came. */
void stor_answer_gone(struct stor_chan *sc, struct stor_req *r);

/* storage_vsp.c */
void stor_set_state(struct kvmb_storage *s, enum stor_state to);
void stor_handle_packet(struct stor_chan *sc, const struct kvmb_pkt *pkt, struct stor_req *r);
/* A request that is known from its packet and gfns[], and in the state TAKEN. */
void stor_execute_again(struct stor_chan *sc, struct stor_req *r);
/* At once where a saved controller was. Return: false: no such version. */
bool stor_load_state(struct kvmb_storage *s, enum stor_state state, u16 version);
void stor_send_enumerate(struct stor_chan *sc);

/* storage_worker.c */
void stor_worker_run(void *sc);

/* storage_state.c */
void stor_save_chan(struct kvmb_chan *ch, struct kvmb_tlv_out *o);
int stor_load_chan(struct kvmb_chan *ch, struct kvmb_tlv *t);
void stor_adopt_loaded(struct stor_chan *sc);
void stor_drop_loaded(struct stor_chan *sc); /* nobody will adopt it */

/* storage_lun.c */
bool stor_quiesce_served(const struct kvmb_storage *s); /* by all workers, or there is none */
void stor_chan_opened(struct stor_chan *sc);
void stor_chan_closed(struct stor_chan *sc);
struct kvmb_unit_stats *stor_counts(struct stor_chan *sc, u32 lun);
void stor_note_latency(struct kvmb_unit_stats *c, enum kvmb_io_kind k, u64 ns);
void stor_work(void *arg);

#endif
