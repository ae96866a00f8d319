/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libnbd, loaded when the first disk needs it.
 *
 * Linked in the usual way, libnbd would bring another 17 libraries (GnuTLS, libxml2, ICU and
 * their dependencies) into every VM. A VM with raw disks never calls them. They made up 5 of the
 * VMM's 7 MB of private memory, and a fifth of the instructions that we execute before the guest
 * reaches /init (docs/performance.md).
 */
#ifndef KVMB_NBD_LIB_H
#define KVMB_NBD_LIB_H

#include <libnbd.h>
#include <stdbool.h>
#include <stddef.h>

/* The functions of libnbd that we call; `libnbd.create()` is nbd_create(3). */
/* clang-format off */
#define KVMB_LIBNBD_CALLS(F) \
	F(create) F(close) F(get_error) F(get_errno) \
	F(set_export_name) F(set_uri_allow_local_file) F(aio_connect_socket) F(aio_connect_uri) \
	F(get_size) F(get_block_size) F(is_read_only) F(can_fua) F(can_flush) F(can_zero) \
	F(aio_get_fd) F(aio_get_direction) F(aio_notify_read) F(aio_notify_write) \
	F(aio_is_ready) F(aio_is_dead) F(aio_is_closed) F(aio_disconnect) \
	F(aio_pread) F(aio_pwrite) F(aio_zero) F(aio_flush) \
	F(add_meta_context) F(can_meta_context) F(aio_block_status) F(poll)
/* clang-format on */

struct kvmb_libnbd {
#define KVMB_LIBNBD_FIELD(name) typeof(nbd_##name) *name;
	KVMB_LIBNBD_CALLS(KVMB_LIBNBD_FIELD)
#undef KVMB_LIBNBD_FIELD
};

extern struct kvmb_libnbd libnbd; /* filled once, by kvmb_libnbd_load() */

/**
 * kvmb_libnbd_load() - Load libnbd, unless that was done before
 * @why:  why[size], on failure: what is missing and what to install
 * @size: bytes
 *
 * Context: any thread, before it calls libnbd or starts a thread that does. Reads files.
 * Return: 0; -ENOENT.
 */
int kvmb_libnbd_load(char *why, size_t size);

/**
 * kvmb_libnbd_seal() - Load it no more: the process gives up its files
 * @load: load it now, for a process that never gives it a URI (nbd_noxml.h)
 *
 * Context: before there are other threads.
 */
void kvmb_libnbd_seal(bool load);

/** kvmb_libnbd_is_sealed() - Has the process given up its files? Any thread. */
bool kvmb_libnbd_is_sealed(void);

#endif
