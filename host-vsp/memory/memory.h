/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dynamic memory: the guest gives pages away, gets them back, and gets more than it began with.
 *
 * DOC: Theory of operation
 *
 * One channel, served on the bus thread (host-vsp/loop_chan.h). When version and capabilities are
 * agreed, the provider drives what the guest has towards a target, one question at a time, because
 * Linux reads one packet an interrupt and remembers one question:
 *
 *   too much  BALLOON: the guest names pages that it does not use any more
 *   too little, and some are away  UNBALLOON: we name pages that it may use again
 *   too little, and none is away   ADD: the next part of the hot region is memory from now on
 *
 * All memory that the guest may ever have is in the file of RAM and in KVM's slots from the
 * beginning: [0, ram) is what firmware or boot loader tell, the hot region comes behind it. What is
 * not touched costs nothing. So the most that a guest can take is its maximum, and a guest that
 * uses pages which it gave away, or was not given yet, gets them: it shortens its host's other use
 * by no more than its maximum. It cannot have less than it says either: a target is a wish.
 *
 * Pages that are away have a bit in kvmb_gm.away, and are dropped from the file
 * (memory_drop.h). They are zero when the guest touches them again. Who has pages of it in hand (a
 * ring's mapping, a disk's request) goes on with what was there, or with zeroes: a guest that gives
 * away a page that it has lent us harms itself.
 *
 * Before pages are given back, their bits are clear and they are noted as changed, so that a
 * migration that has sent something else there sends them again (vmm/mig_memory.c).
 *
 * A guest that closes the channel may run another driver or kernel next, which takes for its own
 * what the last one gave away: nothing is away any more, and nothing that still waits is dropped.
 * What was added stays until the VM is reset.
 *
 * A question that the guest does not answer is not asked again, and nothing else is; it is logged
 * once. An answer to no question, pages that are no RAM, that are away already, or more than were
 * asked for, cost the guest its channel.
 */
#ifndef KVMB_MEMORY_H
#define KVMB_MEMORY_H

#include "host-vsp/bus/bus.h"
#include "host-vsp/loop_chan.h"

#define KVMB_MEMORY_ASK_MAX ((1ull << 30) / KVMB_PAGE_SIZE) /* pages in one question */
#define KVMB_MEMORY_SETTLE_MS 50000u  /* after a start, unless the guest reports before: #10.9 */
#define KVMB_MEMORY_RETRY_MS 30000ull /* after a guest that gave or took nothing; then twice ... */
#define KVMB_MEMORY_LATE_MS 30000u    /* of an answer */

enum kvmb_memory_state {
	KVMB_MEMORY_CLOSED,	 /* no guest driver */
	KVMB_MEMORY_NEGOTIATING, /* the guest's word: a version */
	KVMB_MEMORY_AGREED,	 /* the guest's word: its capabilities */
	KVMB_MEMORY_READY,
	KVMB_MEMORY_BALLOONING,	  /* it was asked for pages; the answer may have several parts */
	KVMB_MEMORY_UNBALLOONING, /* it was given pages back */
	KVMB_MEMORY_ADDING,	  /* it was told of more */
	KVMB_MEMORY_FAILED,	  /* it broke the protocol; until it closes the channel */
	KVMB_MEMORY_NUM_STATES
};

struct memory_drop;

struct kvmb_memory_spec {
	struct kvmb_loop *loop;
	const struct kvmb_gm *gm; /* may get its regions later, before a channel opens */
	const char *who;	  /* for the log */
	u64 ram;		  /* pages of the file that the guest begins with, from 0 on */
	u64 hot_page;		  /* of the file: the first of the hot region */
	u64 hot;		  /* pages of it, which is within one region; 0 = none */
	u64 min, max;		  /* pages: bounds of the target */
};

struct kvmb_memory { /* embed it; bus thread, but for the words of away */
	struct kvmb_memory_spec spec;
	struct kvmb_loop_chan chan;
	struct kvmb_timer timer;
	struct memory_drop *drop;
	struct kvmb_chan *primary; /* of the offer; NULL while there is none */
	u32 leaving;		   /* offers that were revoked and the guest has not released */
	void (*left)(void *arg);   /* the last of them is released; NULL: none */
	void *left_arg;
	u64 *away; /* away[(pages of the file + 63) / 64]: for kvmb_gm.away */

	enum kvmb_memory_state state; /* memory_move() */
	u32 version;		      /* agreed; 0 = none */
	u64 caps;		      /* of the guest */
	bool fresh;		      /* opened while the bus was paused, and nothing was loaded */
	bool pausing, closing;	      /* until nothing is dropped any more */
	bool redrop;		      /* loaded: drop what is away when the bus goes on */
	bool stale;		      /* the hot region may have what a guest of before had */
	bool informed;		      /* INFO was sent */
	bool settled;		      /* questions may be asked */
	bool late;		      /* an answer is late, which was logged */
	bool full;		      /* the guest takes no more new memory */

	u64 target;    /* pages */
	u64 ballooned; /* bits in away */
	u64 lowest;    /* no bit below this page */
	u64 added;     /* pages of the hot region that the guest took */
	u64 next;      /* pages of the hot region that it was told of, and gaps */
	u64 asked;     /* BALLOONING, ADDING: pages that may still come */
	u64 got;       /* pages that came of it */

	u64 ready_ms, since_ms; /* since when; since when it owes an answer */
	u64 retry_ms;		/* when something may be asked again */

	u64 available, committed; /* pages, as the guest reported last */
	u64 reports, report_ms;	  /* how often, and when last */
	u64 refusals, in_a_row;	  /* questions that brought nothing; since one did */
};

/** kvmb_memory_create() - Prepare it; @m->away is due in kvmb_gm.away. Return: 0 or -ENOMEM. */
int kvmb_memory_create(struct kvmb_memory *m, const struct kvmb_memory_spec *spec);

/** kvmb_memory_destroy() - Its channel is closed. Fine if it was not created, and zeroed. */
void kvmb_memory_destroy(struct kvmb_memory *m);

/** kvmb_memory_offer() - Offer it on @bus, unless it is. Return: as kvmb_bus_offer(). */
int kvmb_memory_offer(struct kvmb_memory *m, struct kvmb_bus *bus);

/**
 * kvmb_memory_revoke() - Take the device away, if it is offered
 *
 * As when the guest closes its channel: nothing is away any more, what was added stays. left() is
 * called when the guest has released it. Context: bus thread.
 */
void kvmb_memory_revoke(struct kvmb_memory *m);

/**
 * kvmb_memory_set() - What the guest is to have
 * @pages: within the bounds
 *
 * It happens when and as far as the guest can. Return: 0; -ERANGE. Context: bus thread.
 */
int kvmb_memory_set(struct kvmb_memory *m, u64 pages);

/**
 * kvmb_memory_reset() - The guest begins anew with spec.ram; its channel is closed
 *
 * What was added is dropped when a driver comes. Context: bus thread.
 */
void kvmb_memory_reset(struct kvmb_memory *m);

/** kvmb_memory_assigned() - Pages that the guest has. */
u64 kvmb_memory_assigned(const struct kvmb_memory *m);

/** kvmb_memory_demand() - Pages that it wants to have, as it reports; 0 = it has not reported. */
u64 kvmb_memory_demand(const struct kvmb_memory *m);

/** kvmb_memory_state_name() - "no guest driver", "ready", "ballooning", ...: docs/json.md. */
const char *kvmb_memory_state_name(const struct kvmb_memory *m);

/** kvmb_memory_save() - Into the open section. The bus stands. */
void kvmb_memory_save(const struct kvmb_memory *m, struct kvmb_tlv_out *o);

/**
 * kvmb_memory_load() - What that wrote, hostile
 *
 * After the bus is loaded and before it goes on. Return: 0; -errno, and @t->error says why.
 */
int kvmb_memory_load(struct kvmb_memory *m, struct kvmb_tlv *t);

#endif
