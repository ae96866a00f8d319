/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Confining the process of a VM.
 *
 * DOC: Theory of operation
 *
 * `kvmbus run` opens everything that has a name: images, interfaces, /dev/kvm, its sockets. Then,
 * before the first thread exists, it gives up the right to open anything else, and only then it
 * reads what a guest, a server or an image says. Each protection stands for itself, so that a bug
 * in one of them, or a host that lacks it, does not open the rest:
 *
 * - a mount namespace whose root is empty, and its own network, IPC and host name;
 * - Landlock without any rule: no path may be opened, no TCP port be connected to;
 * - root becomes a user of the VM's own, which owns no file, or the one that --user names;
 * - no capabilities, and no way to get new ones (no_new_privs);
 * - not dumpable: processes of the same user can neither trace it nor read its memory, and a crash
 *   leaves no core file, which would hold the guest's memory;
 * - seccomp filters by thread class, installed later, by each thread.
 *
 * A process without privileges gets its namespaces from a user namespace of its own. Where the
 * host forbids these, they are left out and the caller says so.
 *
 * Source: user_namespaces(7), pivot_root(2), Linux Documentation/userspace-api/landlock.rst.
 */
#ifndef KVMB_CONFINE_H
#define KVMB_CONFINE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What this host does not have, as bits. */
enum confine_lack {
	CONFINE_NO_NAMESPACES = 1 << 0, /* users may not make namespaces */
	CONFINE_NO_ROOT = 1 << 1,	/* an empty root could not be mounted */
	CONFINE_NO_LANDLOCK = 1 << 2,
	CONFINE_NO_SECCOMP = 1 << 3, /* of policy_install() */
	/* root of a container, which has no other users or may not become one */
	CONFINE_NO_USER = 1 << 4,
	/* io_urings that do no more than disks need: --sandbox strict has none then */
	CONFINE_NO_RING_LIMITS = 1 << 5,
};

/* Base of the users that VMs of root run as; nobody else's on any usual system. */
#define CONFINE_UID_BASE 0x70000000u

/**
 * confine_process() - Give up everything that is reached by a name
 * @user: of a VM that root starts: CONFINE_UID_BASE + process id is the default, and left out where
 *        it cannot be; another one must be; (uid_t)-1 when not root
 * @group: the same of groups
 * @lacks: enum confine_lack, more bits of it are set
 * @why:  why[size], on failure one phrase for the user
 * @size: bytes
 *
 * Return: 0, or -errno when the process is half confined and must end. Context: no other thread
 * exists.
 */
int confine_process(uid_t user, gid_t group, unsigned int *lacks, char *why, size_t size);

/** confine_lack_name() - "namespaces", ... of one bit: docs/json.md. NULL = no such bit. */
const char *confine_lack_name(unsigned int bit);

#endif
