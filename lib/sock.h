/* SPDX-License-Identifier: GPL-2.0-only */
/* Listening Unix sockets: private, exclusive, and robust when descriptors run out. */
#ifndef KVMB_SOCK_H
#define KVMB_SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/un.h>

struct kvmb_listener {
	int fd; /* -1 = none */
	int spare_fd; /* reserve: closed to accept and hang up on a client when none is free */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	dev_t dev; /* identity of the socket that we made; @path may have been replaced since */
	ino_t ino;
	bool kept; /* somebody else removes @path: it may be out of our reach by then */
	char later[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* name to come; "" = none */
};

/**
 * kvmb_listen_unix() - Make a non-blocking socket of mode 0600 at a path
 * @l:    filled on success; l->fd = -1 on failure
 * @path: of a file. An empty path, or one with a leading at sign, is refused: it would name an
 *        abstract socket, which everybody may connect to
 * @why:  why[size], on failure one phrase for the user
 *
 * A stale socket that a crash left behind is replaced; a socket that answers is not. If several
 * processes try at the same time, one succeeds: a temporary lock file beside @path serialises
 * them.
 *
 * Return: 0, or -1. Context: waits up to KVMB_SOCK_LOCK_MS for another process in here.
 */
int kvmb_listen_unix(struct kvmb_listener *l, const char *path, char *why, size_t size);

/** kvmb_listen_unix_as() - kvmb_listen_unix() for SOCK_STREAM or SOCK_SEQPACKET. */
int kvmb_listen_unix_as(struct kvmb_listener *l, int type, const char *path, char *why,
			size_t size);

#define KVMB_SOCK_NEW ".new" /* behind a name to come */

/**
 * kvmb_listen_unix_later() - Make a socket that will have a name which another socket has
 * @path: the name to come. Until kvmb_rename_unix() it is that with KVMB_SOCK_NEW behind it, and
 *        getpeername() tells its clients so for ever
 *
 * Return: as kvmb_listen_unix_as(), with l->later set.
 */
int kvmb_listen_unix_later(struct kvmb_listener *l, int type, const char *path, char *why,
			   size_t size);

/**
 * kvmb_rename_unix() - A socket takes its name, in one step, from whoever has it
 * @from: of kvmb_listen_unix_later()
 * @to:   its name to come
 * @dev:  of the socket, like @ino
 *
 * Return: 0; -ENOENT: the path @from is not that socket; -EBUSY; another -errno.
 * Context: as kvmb_listen_unix().
 */
int kvmb_rename_unix(const char *from, const char *to, dev_t dev, ino_t ino);

/**
 * kvmb_remove_unix() - Remove the path of a socket that another process made
 * @dev: of the socket, like @ino; somebody holds it open, so that the number is not used again
 *
 * Return: 0; -ENOENT: the path is not that socket any more; -EBUSY or another -errno.
 * Context: as kvmb_listen_unix().
 */
int kvmb_remove_unix(const char *path, dev_t dev, ino_t ino);

/**
 * kvmb_accept_unix() - Accept the next client
 * @flags: SOCK_NONBLOCK or 0; SOCK_CLOEXEC is always set
 *
 * If this process has no descriptors left, the client's connection is closed. Otherwise it would
 * stay pending, and the thread that watches l->fd would spin.
 *
 * Return: a descriptor; -1 when there is no client, or no descriptor for it.
 */
int kvmb_accept_unix(struct kvmb_listener *l, int flags);

#define KVMB_SOCK_LOCK_MS 3000

/**
 * kvmb_unlisten_unix() - Close, and remove the path if it is still ours; nothing when l->fd is -1.
 */
void kvmb_unlisten_unix(struct kvmb_listener *l);

#endif
