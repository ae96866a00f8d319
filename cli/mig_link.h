/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The stream to the other side, as the VM's process gets it: a connection; or, with --tls,
 * --streams or --compress, one end of a socket pair, which a pump connects with TLS
 * (cli/mig_pump.h) or with records on several connections (cli/mig_bundle.h).
 *
 * DOC: Theory of operation
 *
 * On the source the pump is a thread of `kvmbus migrate`, which stays until the VM has moved. Its
 * first connection carries a greeting, whose answer has a number that nobody can guess: further
 * connections prove by it that they belong to the first. cli/mig_serve.h is the other side.
 */
#ifndef KVMB_MIG_LINK_H
#define KVMB_MIG_LINK_H

#include <pthread.h>

#include "cli/mig_address.h"
#include "cli/mig_lane.h"
#include "cli/mig_record.h"

#ifndef MIG_LINK_GREET_MS /* tests have less */
#define MIG_LINK_GREET_MS 10000
#endif
#ifndef MIG_LINK_ANSWER_MS	 /* tests have less */
#define MIG_LINK_ANSWER_MS 60000 /* somebody else may be heard first */
#endif

struct mig_link { /* of who connects; mig_link_end() */
	const struct mig_address *address;
	struct mig_tls tls;
	unsigned int streams; /* connections, 1 to MIG_LANES */
	bool packs;	      /* by zstd */
	int fd;		      /* the stream; -1 = none */
	/* of the pump */
	struct mig_lane lanes[MIG_LANES]; /* lanes[num] */
	unsigned int num;
	int plain;
	pthread_t thread;
	bool pumps;	       /* the thread was begun */
	uint64_t wire;	       /* bytes that it sent and received; atomic */
	char why[MIG_TLS_WHY]; /* its result, when it has ended */
};

/**
 * mig_link_prepare() - Load what it needs, and read the keys, with --tls
 * @a:	     borrowed
 * @streams: 1 to MIG_LANES
 * @packs:   by zstd
 *
 * Return: EXIT_OK; EXIT_FAILED with one line printed. Context: with the rights of who types.
 */
int mig_link_prepare(struct mig_link *l, const struct mig_address *a, unsigned int streams,
		     bool packs);

/** mig_link_connect() - Connect. Return: EXIT_OK with l->fd; EXIT_FAILED with one line printed. */
int mig_link_connect(struct mig_link *l);

/** mig_link_wire_bytes() - What the pump has sent and received, before TLS. -1: there is none. */
int64_t mig_link_wire_bytes(const struct mig_link *l);

/**
 * mig_link_end() - End it, when what was written is sent
 *
 * Twice is fine, and without mig_link_connect(). Afterwards l->why says why the link broke, if it
 * did.
 */
void mig_link_end(struct mig_link *l);

#endif
