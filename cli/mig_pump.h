/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The pump: carries a stream between a socket of this host and a TLS connection.
 *
 * DOC: Theory of operation
 *
 * A VM's process gets one end of a socket pair: it has neither the keys nor the code that reads
 * what comes before somebody has proved who he is. A pump is at the other end, in `kvmbus migrate`
 * (a thread) or in a process of its own (cli/mig_link.h).
 *
 * Each direction has one buffer, which is empty before more is read: who reads slowly is waited
 * for. The end of a direction is passed on when its buffer is empty: by close_notify, or by
 * shutdown(). Nobody at the plain end means that what arrives is dropped, and what was written
 * before is still sent, as by close() of a TCP socket. A connection that breaks, or a pump that is
 * killed, is a cut link.
 */
#ifndef KVMB_MIG_PUMP_H
#define KVMB_MIG_PUMP_H

#include "cli/mig_tls.h"

#ifndef MIG_PUMP_STUCK_MS	/* tests have less */
#define MIG_PUMP_STUCK_MS 10000 /* nobody is at the plain end, and the other side takes nothing */
#endif
#define MIG_PUMP_LINGER_MS 2000 /* the last words may be on their way */

/**
 * mig_pump_run() - Carry bytes until both directions have ended
 * @s:     after mig_tls_greet(); stays the caller's
 * @tcp:   its socket; borrowed
 * @plain: the plain end, non-blocking; borrowed
 * @why:   why[MIG_TLS_WHY]: one phrase when TLS ended otherwise than by close_notify; else empty
 *
 * Return: 0; -EPROTO: with @why; -ENODATA: nothing has come by TLS. Context: a thread or process of
 * its own. SIGPIPE does not come.
 */
int mig_pump_run(gnutls_session_t s, int tcp, int plain, char *why);

#endif
