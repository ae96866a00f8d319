/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by bus/ alone: the bus, its channels, its page lists.
 *
 * Everything is bus-thread-only unless a comment says otherwise.
 */
#ifndef KVMB_BUS_PRIV_H
#define KVMB_BUS_PRIV_H

#include <pthread.h>

#include "host-vsp/bus/bus.h"
#include "lib/log.h"
#include "lib/util.h"

/*
 * The connection.
 *
 * DISCONNECTED: no guest. Operations: INITIATE_CONTACT -> CONNECTED.
 * CONNECTED: the version is agreed. Operations: REQUEST_OFFERS -> OFFERED.
 * OFFERED: the guest knows the relids. Caveats: a second REQUEST_OFFERS is refused.
 * DISCONNECTING: channels are closing; bus->after says what follows. Caveats: messages wait in
 *   the queue, and nothing is sent.
 */
enum kvmb_conn_state {
	KVMB_CONN_DISCONNECTED,
	KVMB_CONN_CONNECTED,
	KVMB_CONN_OFFERED,
	KVMB_CONN_DISCONNECTING,
	KVMB_CONN_NUM
};

enum kvmb_after_disconnect {
	KVMB_AFTER_NOTHING,
	KVMB_AFTER_UNLOAD,  /* answer UNLOAD_RESPONSE */
	KVMB_AFTER_CONTACT, /* process bus->contact */
	KVMB_AFTER_RESET,   /* call bus->reset_done */
};

/*
 * A channel.
 *
 * HIDDEN: not offered to this connection; no relid.
 * OFFERED: the guest may open it.
 * OPEN: the provider owns the rings.
 * CLOSING: the guest closed it, but the provider still uses the rings. Caveats: the ring's page
 *   list stays referenced, so its teardown is answered later; OPEN is refused.
 * REVOKING: will be rescinded when the provider is off the rings, because a guest frees its
 *   rings and buffers after a rescind without asking (docs/protocol.md#3.17).
 * REVOKED: rescinded, and the provider is off. Waits for RELID_RELEASED.
 * RELEASING: the guest released the relid before the provider was off the rings.
 */
enum kvmb_chan_state {
	KVMB_CHAN_HIDDEN,
	KVMB_CHAN_OFFERED,
	KVMB_CHAN_OPEN,
	KVMB_CHAN_CLOSING,
	KVMB_CHAN_REVOKING,
	KVMB_CHAN_REVOKED,
	KVMB_CHAN_RELEASING,
	KVMB_CHAN_NUM
};

struct kvmb_chan {
	struct kvmb_bus *bus;
	struct kvmb_chan *next; /* bus->chans, offer order */
	struct kvmb_offer offer;
	char name[48];		/* "vm1/net0" or "vm1/scsi0 ch2" */
	u16 index;		/* sub-channel index, 0 = primary */
	struct kvmb_chan *primary;
	enum kvmb_chan_state state;
	u32 relid;		/* 1..2047, 0 = none */
	u32 conn_id;		/* event connection */
	struct kvmb_gpadl *ring_gpadl;
	u32 down; /* first page of it that is host to guest */
	struct kvmb_gm_ring map_rx, map_tx;
	u32 maps;		/* of bus->ring_maps: what these two cost */
	struct kvmb_chan_io io;	/* the provider's from open() to kvmb_chan_closed() */
	int io_done;		/* atomic: kvmb_chan_closed() was called */
	int io_paused;		/* atomic: kvmb_chan_paused() was called */
	bool paused;		/* pause() was called, or it was opened so; resume() was not */
	int failed;		/* atomic: the guest broke the protocol */
	u16 subs_wanted;	/* by the provider, since the open; under bus->lock */
	bool going;		/* revoked: freed when the guest has released it */

	pthread_mutex_t target_lock; /* guards the next two against MODIFY during a signal */
	u32 target_vp;
	u32 __shared *int_page; /* versions below 2.4: the guest's interrupt page, else NULL */
};

/*
 * Whether the bus stands still: bus_state.h.
 *
 * NONE: it runs. Operations: kvmb_bus_pause() -> ASKED.
 * ASKED: providers finish. Caveats: no message of the guest is taken.
 * DONE: all stand. Caveats: and no message is sent to the guest.
 * From both, kvmb_bus_resume() -> NONE.
 */
enum kvmb_pause_state { KVMB_PAUSE_NONE, KVMB_PAUSE_ASKED, KVMB_PAUSE_DONE };

enum kvmb_gpadl_state {
	KVMB_GPADL_ASSEMBLING, /* bodies are missing */
	KVMB_GPADL_CREATED,
	KVMB_GPADL_TEARING,    /* teardown asked, references left */
};

struct kvmb_gpadl { /* all under bus->lock */
	struct kvmb_gpadl *next;
	u32 id;
	u32 relid;
	enum kvmb_gpadl_state state;
	u32 num_pages; /* promised by the header */
	u32 filled;
	u32 refs;
	u64 gfns[];    /* gfns[num_pages], each checked to be RAM */
};

#define KVMB_GPADL_BUCKETS 256u
#define KVMB_GPADL_MAX_COUNT 8192u
#define KVMB_GPADL_MAX_TOTAL_PAGES (1280u << 8) /* 1280 MiB: docs/protocol.md#3.14 */
/*
 * Both directions of one channel; Linux asks for 1024 at most (docs/protocol.md#4.9). Each page
 * without a neighbour costs two mmap() calls on the bus thread: 10 ms for 1024 of them, ten times
 * that on a loaded machine.
 */
#define KVMB_RING_MAX_PAGES 1024u
#define KVMB_RING_MAX_MAPS 32768u /* of all rings together: half of what a process has by default */
#define KVMB_RX_QUEUE 64u			/* messages from the guest */
#define KVMB_RX_BUDGET 64u			/* of them a turn of the loop */
#define KVMB_TX_SOFT_LIMIT 64u			/* no more input is processed above it */

struct kvmb_in_msg {
	u32 conn_id;
	u32 len;
	u8 buf[HV_MESSAGE_PAYLOAD_MAX] __attribute__((aligned(8)));
};

struct kvmb_out_msg {
	struct kvmb_out_msg *next;
	u32 len;
	u8 buf[] __attribute__((aligned(8)));
};

struct kvmb_bus {
	struct kvmb_bus_config cfg;
	enum kvmb_conn_state state;
	enum kvmb_after_disconnect after;
	struct kvmb_wire_initiate_contact contact; /* for KVMB_AFTER_CONTACT */
	void (*reset_done)(void *arg);
	void *reset_arg;
	bool reset_pending;
	enum kvmb_pause_state pause;
	void (*pause_done)(void *arg);
	void *pause_arg;
	bool loading;  /* nobody has been signalled yet: kvmb_bus_resume() does */
	u32 version;   /* negotiated, 0 = none */
	u32 target_vp; /* of control messages */
	u32 __shared *int_page; /* versions below 5.0: 4096 bytes, else NULL */
	gpa_t int_gpa;		/* of int_page */
	struct kvmb_chan *chans;
	struct kvmb_bus_sockets sockets;
	u8 relids[KVMB_MAX_RELID / 8 + 1]; /* bitmap of those in use */
	u32 ring_maps;	/* mappings of all rings, at most KVMB_RING_MAX_MAPS */
	struct kvmb_bus_stats stats;

	int old_event_fd; /* 0.13: the one event connection, -1 = none */
	struct kvmb_watch *old_event_watch;

	struct kvmb_out_msg *tx_head, **tx_tail;
	u32 tx_len;

	struct kvmb_work rx_work, tx_work, chan_work;
	pthread_mutex_t lock; /* guards rx queue, page lists, subs_wanted */
	u32 rx_head, rx_len;
	struct kvmb_in_msg rx[KVMB_RX_QUEUE];
	u64 rx_busy;
	struct kvmb_gpadl *gpadls[KVMB_GPADL_BUCKETS];
	u32 gpadl_count;
	u64 gpadl_pages;
};

/* bus.c */
void kvmb_bus_send(struct kvmb_bus *bus, enum kvmb_msg type, void *msg, u32 len);
void kvmb_bus_refuse(struct kvmb_bus *bus, const char *what, const char *why);
void kvmb_bus_progress(struct kvmb_bus *bus); /* a channel may have come to rest */

/*
 * The connection that a saved guest has. Return: NULL, or why there cannot be such a one.
 */
const char *kvmb_bus_load_conn(struct kvmb_bus *bus, enum kvmb_conn_state state, u32 version,
			       gpa_t int_gpa);
void kvmb_bus_queue(struct kvmb_bus *bus, const void *msg, u32 len); /* an answer, unsent */
void kvmb_bus_old_events(struct kvmb_bus *bus); /* look for signals of a 0.13 guest */

/* bus_pause.c */
void kvmb_bus_pause_progress(struct kvmb_bus *bus); /* a provider may stand by now */

/* chan.c */
struct kvmb_chan *kvmb_chan_by_relid(struct kvmb_bus *bus, u32 relid);
void kvmb_chan_send_offer(struct kvmb_chan *ch);
void kvmb_chan_on_close(struct kvmb_bus *bus, u32 relid);
void kvmb_chan_on_released(struct kvmb_bus *bus, u32 relid);
void kvmb_chan_on_modify(struct kvmb_bus *bus, const struct kvmb_wire_modify *m);
void kvmb_chan_begin_close_all(struct kvmb_bus *bus);
bool kvmb_chan_all_at_rest(struct kvmb_bus *bus);
void kvmb_chan_hide_all(struct kvmb_bus *bus);
void kvmb_chan_work(void *arg);
void kvmb_chan_free(struct kvmb_chan *ch);
void kvmb_chan_set_state(struct kvmb_chan *ch, enum kvmb_chan_state to);
/*
 * Has the guest not released an older channel of the same device? It would take a second offer for
 * one of the old device, and forget it: docs/protocol.md#7.9. remove_chan() offers it then.
 */
bool kvmb_chan_must_wait(const struct kvmb_chan *ch);
/* Behind all others, hidden; @primary is NULL if @index is 0. */
struct kvmb_chan *kvmb_chan_add(struct kvmb_bus *bus, const struct kvmb_offer *offer,
				struct kvmb_chan *primary, u16 index);
bool kvmb_chan_take_relid(struct kvmb_chan *ch, u32 relid); /* false: it is in use */
const char *kvmb_chan_state_name(enum kvmb_chan_state s);

/* chan_open.c */
void kvmb_chan_on_open(struct kvmb_bus *bus, const struct kvmb_wire_open *m);
/* Of an offered channel; its relid in @m does not count. Return: NULL, or why not. */
const char *kvmb_chan_open_as(struct kvmb_chan *ch, const struct kvmb_wire_open *m);
void kvmb_chan_release_rings(struct kvmb_chan *ch);

/* bus_dirty.c */
/* Bytes @from to @to of the tx ring's data were written; it may wrap. Who owns its rings. */
void kvmb_chan_dirty_data(struct kvmb_chan *ch, u32 from, u32 to);
void kvmb_chan_dirty_ctrl(struct kvmb_chan *ch); /* if it has rings */

/* gpadl.c */
void kvmb_gpadl_on_header(struct kvmb_bus *bus, const void *buf, u32 len);
void kvmb_gpadl_on_body(struct kvmb_bus *bus, const void *buf, u32 len);
void kvmb_gpadl_on_teardown(struct kvmb_bus *bus, const struct kvmb_wire_gpadl_teardown *m);
void kvmb_gpadl_finish_teardowns(struct kvmb_bus *bus);
void kvmb_gpadl_drop_relid(struct kvmb_bus *bus, u32 relid); /* half-made lists of a channel */
void kvmb_gpadl_drop_all(struct kvmb_bus *bus);
/* A saved list, of gfns[filled]; complete if that is @pages. Return: NULL, or why not. */
const char *kvmb_gpadl_load(struct kvmb_bus *bus, u32 id, u32 relid, u32 pages, const u64 *gfns,
			    u32 filled);
/* It was to be torn down. Those who used it have their references again, or it goes. */
void kvmb_gpadl_load_teardown(struct kvmb_bus *bus, u32 id);

#endif
