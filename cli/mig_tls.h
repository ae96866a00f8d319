/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TLS of a migration: keys and certificates, and connections with both sides' certificates checked.
 *
 * DOC: Theory of operation
 *
 * A directory holds the files that QEMU and libvirt know: ca-cert.pem, ca-crl.pem (may be missing),
 * and client-cert.pem, client-key.pem on the side that connects, server-cert.pem, server-key.pem on
 * the side that waits. TLS 1.3 only. Each side wants a certificate of that CA, for its purpose; who
 * connects also wants that it is for the host that the user named. So the CA decides who may move
 * VMs, and it must be one for that.
 */
#ifndef KVMB_MIG_TLS_H
#define KVMB_MIG_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/tls_lib.h"

#define MIG_TLS_WHY 300

struct mig_tls { /* of this side; mig_tls_fini(). Must not move while it has connections */
	bool server;
	gnutls_certificate_credentials_t keys;
	gnutls_typed_vdata_st want[2]; /* want[num_want]: of the other side's certificate */
	unsigned int num_want;
	char host[256]; /* client: who the other side must be */
};

/**
 * mig_tls_init() - Read keys and certificates
 * @dir:    directory of them
 * @server: this side waits
 * @why:    why[MIG_TLS_WHY], on failure one phrase for the user
 *
 * A key that others can read is refused. Loads GnuTLS.
 * Return: 0 or -EINVAL. Context: before there are other threads.
 */
int mig_tls_init(struct mig_tls *t, const char *dir, bool server, char *why);

/** mig_tls_expect() - Client: who the other side must be, a name or an IP address. */
void mig_tls_expect(struct mig_tls *t, const char *host);

/** mig_tls_fini() - Free it; zeroed is fine. No connection is left. */
void mig_tls_fini(struct mig_tls *t);

/**
 * mig_tls_open() - Begin a connection
 * @fd: non-blocking socket; borrowed
 *
 * Return: its session, for mig_tls_greet(), ended by mig_tls_close(); NULL: no memory.
 */
gnutls_session_t mig_tls_open(struct mig_tls *t, int fd);

/** mig_tls_close() - Free a session, without good-bye; NULL is fine. */
void mig_tls_close(gnutls_session_t s);

/**
 * mig_tls_greet() - Go on with the handshake
 * @why: why[MIG_TLS_WHY], on failure one phrase
 *
 * Return: 0: it is done, the other side's certificate is good; -EAGAIN: call it again when the
 * socket is ready for mig_tls_events(); -EPROTO: with @why.
 */
int mig_tls_greet(gnutls_session_t s, char *why);

/** mig_tls_greet_for() - mig_tls_greet() until it is done, or that time has passed: -EPROTO. */
int mig_tls_greet_for(gnutls_session_t s, int fd, int ms, char *why);

/** mig_tls_events() - What a session that goes on later waits for: POLLIN or POLLOUT. */
short mig_tls_events(gnutls_session_t s);

/** mig_tls_why() - One phrase for an error of GnuTLS. @why: why[MIG_TLS_WHY]. */
void mig_tls_why(gnutls_session_t s, int err, char *why);

#endif
