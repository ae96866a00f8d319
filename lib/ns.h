/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a process does in namespaces of its own: the VM's (vmm/confine.h) and a helper's
 * (lib/jail.h).
 *
 * Source: user_namespaces(7), pivot_root(2), switch_root(8).
 */
#ifndef KVMB_NS_H
#define KVMB_NS_H

#include <sys/types.h>

/**
 * kvmb_ns_map_ids() - In a new user namespace, be who we were outside
 * @uid: before the namespace was made
 * @gid: likewise
 *
 * Files that are open, or given, then belong to the same user as before.
 *
 * Return: 0, or the first -errno; each map is tried. Context: the process is dumpable, or its files
 * in /proc belong to root.
 */
int kvmb_ns_map_ids(uid_t uid, gid_t gid);

/**
 * kvmb_ns_take_root() - Make the mount at the current directory the root
 *
 * The old root goes with its last reference. An initramfs cannot go: it is covered, and leaving
 * the new root would need a capability.
 *
 * Return: 0, or -errno: between two roots there may be no way back. Context: a mount namespace of
 * its own, whose mounts are private.
 */
int kvmb_ns_take_root(void);

#endif
