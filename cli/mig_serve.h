/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The pump of who waits for a VM: a process of its own.
 *
 * DOC: Theory of operation
 *
 * It is forked before its parent becomes the VM, which gets one end of a socket pair, and neither
 * keys nor what unpacks. It ends with the connections, or with who waits for it.
 *
 * With --tls it reads the keys, opens the door, gives up all rights, and lets everybody who
 * connects prove who he is: each within MIG_LINK_GREET_MS, many at a time, so that who is slow
 * keeps nobody waiting. What the first one says shows whether he sends a plain stream or records.
 *
 * Without TLS the parent takes the connection, and forks a pump when its greeting is that of a
 * bundle. That one lets in whoever connects, is root or the same user (cli/mig_address.h), and has
 * the number of the answer to the first; and gives up all rights before it reads a record.
 */
#ifndef KVMB_MIG_SERVE_H
#define KVMB_MIG_SERVE_H

#include "cli/mig_address.h"

#define MIG_LINK_GUESTS 32 /* who prove at a time who they are; one more, and the oldest goes */

/**
 * mig_serve_tls() - Begin a pump that waits for a connection
 * @a: with TLS
 *
 * What goes wrong there it prints itself, and hangs up.
 * Return: the stream, silent until somebody has proved who he is; -1 with one line printed.
 * Context: a process without threads.
 */
int mig_serve_tls(const struct mig_address *a);

/**
 * mig_serve_bundle() - Begin a pump for one who has sent MIG_BUNDLE_GREETING
 * @door: further connections come by it; stays the caller's, who takes none meanwhile
 * @fd:   his connection; taken over
 *
 * Return, Context: as mig_serve_tls(). Silent until all connections are there, which takes
 * MIG_SERVE_MS at most.
 */
int mig_serve_bundle(const struct mig_door *door, int fd);
#define MIG_SERVE_MS (2 * MIG_LINK_GREET_MS)

#endif
