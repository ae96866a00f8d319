/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A lane: one connection of a migration, with TLS or without.
 *
 * One thread may send and another receive: a TLS session is used by one at a time, under the lane's
 * lock, which nobody holds while he waits.
 */
#ifndef KVMB_MIG_LANE_H
#define KVMB_MIG_LANE_H

#include <pthread.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/mig_tls.h"

struct mig_lane {
	int fd;			  /* non-blocking; -1 = there is none */
	gnutls_session_t session; /* after mig_tls_greet(); NULL = no TLS */
	pthread_mutex_t lock;	  /* of @session */
};

/** mig_lane_init() - A lane that owns @fd and @session. mig_lane_fini(). */
void mig_lane_init(struct mig_lane *l, int fd, gnutls_session_t session);

/** mig_lane_fini() - Close it; one without a descriptor is fine. */
void mig_lane_fini(struct mig_lane *l);

/**
 * mig_lane_send() - Send what can be sent without waiting
 * @len: more than 0
 * @why: why[MIG_TLS_WHY], on -EPIPE one phrase
 *
 * Return: how much, more than 0; -EAGAIN: again with the same bytes, when it takes some; -EPIPE.
 */
ssize_t mig_lane_send(struct mig_lane *l, const void *bytes, size_t len, char *why);

/** mig_lane_recv() - Receive what is there. Return: 0: its end; else as mig_lane_send(). */
ssize_t mig_lane_recv(struct mig_lane *l, void *bytes, size_t len, char *why);

/* How long to wait */
struct mig_lane_wait {
	uint64_t until; /* kvmb_now_ms(); 0 = for ever */
	int stop;	/* readable: no longer; -1 = none */
};

/**
 * mig_lane_send_all() - Send bytes[len]
 * @why: why[MIG_TLS_WHY], on failure one phrase
 *
 * Return: 0; -EPIPE; -ETIMEDOUT; -ECANCELED: @w->stop.
 */
int mig_lane_send_all(struct mig_lane *l, const void *bytes, size_t len,
		      const struct mig_lane_wait *w, char *why);

/** mig_lane_recv_all() - Receive exactly bytes[len]. Return: as mig_lane_send_all(). */
int mig_lane_recv_all(struct mig_lane *l, void *bytes, size_t len, const struct mig_lane_wait *w,
		      char *why);

/** mig_lane_wait() - Wait for POLLIN or POLLOUT. Return: 0: try again; as mig_lane_send_all(). */
int mig_lane_wait(int fd, short events, const struct mig_lane_wait *w);

#endif
