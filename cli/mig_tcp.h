/* SPDX-License-Identifier: GPL-2.0-only */
/* TCP for migrations: who connects, and who is at the other end of a loopback connection. */
#ifndef KVMB_MIG_TCP_H
#define KVMB_MIG_TCP_H

#include <stdbool.h>
#include <sys/types.h>

struct addrinfo;
struct sockaddr;

#define MIG_TCP_PORT "6600"
#define MIG_TCP_MAX 8 /* addresses of a name that are listened on */

/** mig_tcp_is_loopback() - Can only processes of this host have this address? */
bool mig_tcp_is_loopback(const struct sockaddr *a);

/**
 * mig_tcp_connect() - Connect to the first address that answers
 * @found: of getaddrinfo()
 * @ms:    that each may take
 *
 * Return: a non-blocking socket, or the last one's -errno. Context: waits.
 */
int mig_tcp_connect(const struct addrinfo *found, int ms);

/**
 * mig_tcp_listen() - Listen on all of them
 * @found: of getaddrinfo() for a listener; those of a kind that this host does not have are left
 *         out
 * @fds:   fds[MIG_TCP_MAX], non-blocking
 *
 * Return: how many, at least 1; or -errno: then there are none.
 */
int mig_tcp_listen(const struct addrinfo *found, int *fds);

/** mig_tcp_tune() - Words go out at once, and a host that is gone is noticed in a minute. */
void mig_tcp_tune(int fd);

/**
 * mig_tcp_peer() - Whose process is at the other end?
 * @fd:  connected by TCP
 * @uid: set on success, to its socket's owner
 * @ms:  that it may take to accept the connection; until then it is nobody's
 *
 * Return: 0; -EOPNOTSUPP: it is no loopback connection, so nobody can tell; -ENOENT: there is no
 * such socket (any more); -errno. Trust: the kernel tells; what is closed already is not taken for
 * root's.
 */
int mig_tcp_peer(int fd, uid_t *uid, int ms);

#endif
