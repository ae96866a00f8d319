/* SPDX-License-Identifier: GPL-2.0-only */
/* Unix sockets to listen on. */
#ifndef KVMB_SOCK_H
#define KVMB_SOCK_H

#include <stddef.h>

/**
 * kvmb_listen_unix() - A socket of mode 0600 at a path, not blocking
 * @why: why[size], on failure one phrase for the user
 *
 * One that a crash has left there is replaced, one that answers is not.
 *
 * Return: a descriptor, or -1.
 */
int kvmb_listen_unix(const char *path, char *why, size_t size);

#endif
