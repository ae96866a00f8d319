/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The pump for records: carries a stream between a socket of this host and several connections.
 *
 * DOC: Theory of operation
 *
 * Who connects sends by all lanes, packed if that was agreed; who waits answers by the first, and
 * packs nothing: his words are few, and must not wait. A thread a lane takes what is there from the
 * plain end, as soon as there is something, makes a record of it, and sends it on its own lane. So
 * a lane that is slow gets less to do. At the other end a thread a lane receives and unpacks one
 * record, and then waits until it is its turn to write. So no more than one record a lane waits for
 * others; all of them waiting, and none of them next, is a lie.
 *
 * Each lane ends with an END, which says how many records there were. A lane that ends without one
 * is a cut link. Ends are passed on as in cli/mig_pump.h, with its times; only who hears by the
 * first lane what the other side last said, after another lane broke, waits MIG_PUMP_LINGER_MS.
 *
 * OPEN -> ENDING (out: the plain end has ended, lanes say so) -> OVER. Caveats: whoever sets OVER
 * stops that direction's threads; a thread that is stopped touches nothing but its own buffers.
 */
#ifndef KVMB_MIG_BUNDLE_H
#define KVMB_MIG_BUNDLE_H

#include "cli/mig_lane.h"
#include "cli/mig_record.h"

struct mig_bundle {
	struct mig_lane *lanes; /* lanes[num], borrowed */
	unsigned int num;	/* 1 to MIG_LANES */
	bool spreads;		/* this side has connected, and sends by all of them */
	bool packs;		/* what that side sends is packed; zstd is loaded */
	int plain;		/* the plain end, non-blocking; borrowed */
	uint64_t *wire;		/* counts bytes given to lanes, and taken; atomic, may be NULL */
};

/**
 * mig_bundle_run() - Carry bytes until both directions have ended
 * @why: why[MIG_TLS_WHY]: one phrase when the link was cut; else empty
 *
 * Return: 0; -EPROTO: with @why; -ENODATA: nothing has come. Context: makes threads, and joins
 * them. SIGPIPE does not come. Trust: whoever is at the other end of the lanes lies.
 */
int mig_bundle_run(const struct mig_bundle *b, char *why);

#endif
