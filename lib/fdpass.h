/* SPDX-License-Identifier: GPL-2.0-only */
/* Messages with file descriptors over Unix sockets (SCM_RIGHTS). */
#ifndef KVMB_FDPASS_H
#define KVMB_FDPASS_H

#include <stddef.h>
#include <sys/types.h>

#define KVMB_FDPASS_MAX 64

/**
 * kvmb_send_fds() - Send one message with descriptors
 * @sock: connected
 * @buf:  buf[len], at least one byte
 * @fds:  fds[num], num <= KVMB_FDPASS_MAX; the caller keeps its own
 *
 * Return: bytes sent, or -errno; never SIGPIPE.
 */
ssize_t kvmb_send_fds(int sock, const void *buf, size_t len, const int *fds, int num);

/**
 * kvmb_recv_fds() - Receive a message with the descriptors that came with it
 * @sock:  connected
 * @buf:   buf[size]
 * @fds:   fds[*num], close-on-exec and owned by the caller; may be NULL when @num is
 * @num:   in: room; out: how many came. NULL = none are wanted, and those that come are closed
 * @flags: of recvmsg(): MSG_DONTWAIT or 0
 *
 * Return: bytes, 0 at the end, or -errno; -EMSGSIZE when the message or its descriptors did not
 * fit: then no descriptor stays open. Trust: the sender may send any number of descriptors.
 */
ssize_t kvmb_recv_fds(int sock, void *buf, size_t size, int *fds, int *num, int flags);

#endif
