/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Directories for the sockets of named VMs.
 *
 * A VM puts its sockets into one of these directories. Commands search all of them, because
 * another session of the same user, or root's systemd, may have started the VM:
 *
 *   $XDG_RUNTIME_DIR/kvmbus   when the variable is an absolute path
 *   /run/user/UID/kvmbus      when systemd-logind has made /run/user/UID
 *   /run/kvmbus               root's, and the last resort
 */
#ifndef KVMB_RUNDIR_H
#define KVMB_RUNDIR_H

#include <limits.h>
#include <stddef.h>

#define KVMB_RUNDIR_MAX 3

struct kvmb_rundirs {
	char dir[KVMB_RUNDIR_MAX][PATH_MAX]; /* dir[num], absolute, no duplicates; may not exist */
	int num;
};

/**
 * kvmb_rundir_list() - Directories to search for sockets of VMs, in the order above
 * @d: filled
 * Context: any.
 */
void kvmb_rundir_list(struct kvmb_rundirs *d);

/**
 * kvmb_rundir() - Directory for the sockets of this process's VM
 *
 * The first of the list. Root uses /run/user/0 only if XDG_RUNTIME_DIR names it, because a
 * service of root outlives a login of root.
 *
 * Return: a static string, decided by the first call. Context: the first call on the main thread.
 */
const char *kvmb_rundir(void);

/**
 * kvmb_rundir_make() - Make kvmb_rundir(), mode 0755, if it is not there
 * @why: why[size], on failure one phrase for the user, with a remedy
 * Return: 0, or -errno when it cannot be made or written to.
 */
int kvmb_rundir_make(char *why, size_t size);

/**
 * kvmb_rundir_socket() - Path of a VM's control socket in a directory
 * @dir:  one of kvmb_rundir_list()
 * @name: of the VM
 * @path: path[size]
 * Return: 0, -ENAMETOOLONG.
 */
int kvmb_rundir_socket(const char *dir, const char *name, char *path, size_t size);

/**
 * kvmb_rundir_beside() - Path of another socket of a VM
 * @control: of its control socket
 * @ending:  ".vsock": in the place of an ending .sock, else behind it
 * @path:    path[size]
 * Return: 0, -ENAMETOOLONG.
 */
int kvmb_rundir_beside(const char *control, const char *ending, char *path, size_t size);

#endif
