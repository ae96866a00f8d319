/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The pump: carries a stream between a socket of this host and a TLS connection.
 *
 * DOC: Theory of operation
 *
 * A VM's process gets one end of a socket pair: it has neither the keys nor the code that reads
 * what comes before somebody has proved who he is. A pump is at the other end, in `kvmbus migrate`
 * (a thread, cli/mig_link.h) or in a process of its own (cli/mig_serve.h).
 *
 * Each direction has one buffer, which is empty before more is read: who reads slowly is waited
 * for. The end of a direction is passed on when its buffer is empty: by close_notify, or by
 * shutdown(). Nobody at the plain end means that what arrives is dropped, and what was written
 * before is still sent, as by close() of a TCP socket. A connection that breaks, or a pump that is
 * killed, is a cut link.
 */
#ifndef KVMB_MIG_PUMP_H
#define KVMB_MIG_PUMP_H

#include <stdint.h>

#include "cli/mig_tls.h"

#ifndef MIG_PUMP_STUCK_MS	/* tests have less */
#define MIG_PUMP_STUCK_MS 10000 /* nobody is at the plain end, and the other side takes nothing */
#endif
#define MIG_PUMP_LINGER_MS 2000 /* the last words may be on their way */
#define MIG_PUMP_FIRST 4096

struct mig_pump {
	gnutls_session_t session; /* after mig_tls_greet(); borrowed, as all here */
	int tcp;		  /* its socket */
	int plain;		  /* the plain end, non-blocking */
	const void *first;	  /* first[first_len]: has come by TLS before; NULL = nothing */
	size_t first_len;	  /* at most MIG_PUMP_FIRST */
	uint64_t *wire;		  /* counts bytes given to TLS, and taken; atomic, may be NULL */
};

/**
 * mig_pump_run() - Carry bytes until both directions have ended
 * @why: why[MIG_TLS_WHY]: one phrase when TLS ended otherwise than by close_notify; else empty
 *
 * Return: 0; -EPROTO: with @why; -ENODATA: nothing has come by TLS. Context: a thread or process of
 * its own. SIGPIPE does not come.
 */
int mig_pump_run(const struct mig_pump *m, char *why);

#endif
