/* SPDX-License-Identifier: GPL-2.0-only */
/* Unix sockets to listen on. */
#ifndef KVMB_SOCK_H
#define KVMB_SOCK_H

#include <stddef.h>
#include <sys/types.h>
#include <sys/un.h>

struct kvmb_listener {
	int fd; /* -1 = none */
	int spare_fd; /* open, for nothing but to be closed when a client finds no other descriptor free */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	dev_t dev; /* what we made at @path; another may have replaced it since */
	ino_t ino;
};

/**
 * kvmb_listen_unix() - A socket of mode 0600 at a path, not blocking
 * @l:    filled on success; l->fd = -1 on failure
 * @path: of a file; an empty one or a leading @ would name an abstract socket, which everybody may
 *        connect to, and is refused
 * @why:  why[size], on failure one phrase for the user
 *
 * One that a crash has left there is replaced, one that answers is not. Of several processes that
 * try at the same time one succeeds: a lock file beside @path, gone again on return, serialises them.
 *
 * Return: 0, or -1. Context: waits up to KVMB_SOCK_LOCK_MS for another process in here.
 */
int kvmb_listen_unix(struct kvmb_listener *l, const char *path, char *why, size_t size);

/**
 * kvmb_accept_unix() - Take the next client
 * @flags: SOCK_NONBLOCK or 0; SOCK_CLOEXEC is always set
 *
 * When this process has no descriptors left, the client is hung up on: it would be there again at once
 * otherwise, and whoever watches l->fd would do nothing else any more.
 *
 * Return: a descriptor; -1 when there is no client, or no descriptor for it.
 */
int kvmb_accept_unix(struct kvmb_listener *l, int flags);

#define KVMB_SOCK_LOCK_MS 3000

/** kvmb_unlisten_unix() - Close, and remove the path if it is still ours; nothing when l->fd is -1. */
void kvmb_unlisten_unix(struct kvmb_listener *l);

#endif
