/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sockets between guest and host (AF_VSOCK in the guest, Unix sockets on the host).
 *
 * DOC: Theory of operation
 *
 * A connection is a channel of its own. Both ways begin with an offer, which the guest opens:
 *
 * - The host connects: a client of ours writes "CONNECT PORT\n". We offer a channel whose type is
 *   that port of the guest. If somebody listens there the guest opens it, and the client reads
 *   "OK N\n", N being the port that the host has in this connection. If nobody does, the guest says
 *   nothing: after OFFER_MS the offer is rescinded and the client hung up on.
 * - The guest connects: its message names its own port and the host's. dial() asks for a Unix
 *   socket of that port, and only when that is connected the channel is offered, so that a guest's
 *   connect() does not succeed before anybody has it. If there is none the guest is told so, which
 *   Linux ignores: it gives up after its own 2 s.
 *
 * The bus thread makes connections, and sees to their time limits and their end. The data of all of
 * them is moved by one thread (hvsock_worker.c), which begins with the first connection. Data is
 * not kept anywhere on its way: what the host's socket does not take stays in the guest's ring, and
 * what the guest's ring has no room for stays in the host's socket. So a reader who does not read
 * stalls his own connection and nothing else.
 *
 * Each way has an end of its own: a packet of size 0 becomes shutdown(SHUT_WR), the end of the
 * host's stream such a packet. When both ways have ended, or the host's side has hung up and all
 * that it had said is in the ring, the offer is rescinded; a guest waits for that.
 *
 * A guest that breaks the protocol loses that connection. One that is reset, is saved, moves or
 * goes away loses all of them (vsp.h, transient), and may make new ones.
 *
 * Limits: KVMB_HVSOCK_MAX connections, those counted whose channel the guest has not released.
 */
#ifndef KVMB_HVSOCK_H
#define KVMB_HVSOCK_H

#include "host-vsp/bus/bus.h"

#define KVMB_HVSOCK_MAX 512u

struct kvmb_hvsock;

struct kvmb_hvsock_config {
	struct kvmb_bus *bus;
	const char *who; /* log prefix; outlives the sockets */
	/*
	 * Connect to the host's socket of @port; kvmb_hvsock_dialled() brings the answer, in the
	 * order of the questions, and not before this returns. Return: 0; -errno: it is refused.
	 * @port is chosen by the guest, at most KVMB_HVSOCK_MAX_LISTEN.
	 */
	int (*dial)(void *arg, u32 port);
	void *arg;
};

/** kvmb_hvsock_create() - Serve sockets on a bus. Return: NULL: no descriptors are left. */
struct kvmb_hvsock *kvmb_hvsock_create(const struct kvmb_hvsock_config *cfg);

/**
 * kvmb_hvsock_destroy() - Hang up on everybody
 *
 * The bus is at rest for good, or destroyed. Its loop is not. NULL is fine.
 */
void kvmb_hvsock_destroy(struct kvmb_hvsock *h);

/**
 * kvmb_hvsock_take() - A client of the host
 * @fd: a stream socket, non-blocking; owned by @h from now on, and closed at once if there are too
 *      many. What it says is hostile
 *
 * Context: bus thread, as all here.
 */
void kvmb_hvsock_take(struct kvmb_hvsock *h, int fd);

/**
 * kvmb_hvsock_dialled() - The answer to the oldest dial() that has none
 * @err: 0 or -errno
 * @fd:  connected, non-blocking; owned by @h from now on. -1 with an error
 *
 * Return: false: none was open, and @fd is closed.
 */
bool kvmb_hvsock_dialled(struct kvmb_hvsock *h, int err, int fd);

struct kvmb_hvsock_info {
	u32 port;      /* of who listens */
	u32 peer_port; /* of who connects; 0 = not known yet */
	bool from_host;
	const char *state;
	u64 to_guest, to_host; /* bytes */
};

/** kvmb_hvsock_for_each() - Visit the connections, oldest first; not those that have ended. */
void kvmb_hvsock_for_each(struct kvmb_hvsock *h,
			  void (*fn)(void *arg, const struct kvmb_hvsock_info *i), void *arg);

#endif
