/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a NIC's frames go: tap, passt, nowhere, or a test's double. */
#ifndef KVMB_NET_BACKEND_H
#define KVMB_NET_BACKEND_H

#include <sys/types.h>
#include <sys/uio.h>

struct kvmb_net_backend;

struct kvmb_net_backend_ops {
	const char *kind; /* "user", "tap", "none" */
	/*
	 * One whole frame out. Return: 0; 1 when it was taken but is not all out yet: call
	 * flush() when fd is writable; -EAGAIN when the backend is full and nothing was taken;
	 * another -errno when it is gone or refuses the frame.
	 */
	int (*send)(struct kvmb_net_backend *b, const struct iovec *iov, int num, size_t len);
	/* Push out what is left of a frame. Return: 0 when nothing is left, -EAGAIN, -EPIPE. */
	int (*flush)(struct kvmb_net_backend *b);
	/*
	 * One whole frame in. Return: bytes; -EAGAIN when there is none; -EMSGSIZE when it did
	 * not fit and was dropped; -EPIPE when the backend is gone.
	 */
	ssize_t (*recv)(struct kvmb_net_backend *b, const struct iovec *iov, int num);
	void (*destroy)(struct kvmb_net_backend *b);
};

struct kvmb_net_backend { /* embed it; used by one thread at a time */
	const struct kvmb_net_backend_ops *ops;
	int fd; /* readable when a frame waits; -1 = never */
};

/**
 * kvmb_net_tap_open() - Attach to an existing tap interface
 * @ifname:   its name
 * @why:      on failure, one phrase for the user
 * @why_size: room in @why
 * Return: the backend, NULL on failure.
 */
struct kvmb_net_backend *kvmb_net_tap_open(const char *ifname, char *why, size_t why_size);

/** kvmb_net_passt_open() - Start passt, unprivileged user-mode networking; else as above. */
struct kvmb_net_backend *kvmb_net_passt_open(char *why, size_t why_size);

/** kvmb_net_none_open() - A cable that leads nowhere. Never NULL. */
struct kvmb_net_backend *kvmb_net_none_open(void);

/** kvmb_net_stream_open() - Frames over a connected stream socket, passt's framing; owns @fd. */
struct kvmb_net_backend *kvmb_net_stream_open(int fd);

#endif
