/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A helper program that can open nothing by name but what it was made for.
 *
 * Landlock lets it read and execute programs and libraries, and open again, through
 * /proc/self/fd, the files that are given to it; no others, by no name, also none that a
 * symbolic link leads to. A seccomp filter takes new sockets and looks into other processes away. Neither needs a
 * privilege; both stay for what it executes. What the kernel lacks is left out and said once
 * (Landlock: Linux 5.13; truncating: 6.2; TCP: 6.7; ioctls of devices: 6.10; abstract sockets and
 * signals: 6.12).
 *
 * Limits: a program that has been taken over can still use what it was given, and reach
 * sockets through an io_uring, which no filter sees.
 *
 * Source: Linux Documentation/userspace-api/landlock.rst, seccomp_filter.rst.
 */
#ifndef KVMB_JAIL_H
#define KVMB_JAIL_H

#include <stdbool.h>

/**
 * kvmb_jail_create() - A jail in which @program can run
 * @program: looked up in PATH if it has no slash; it and the libraries beside it (../lib of its
 *           directory) may be read and executed wherever they are. NULL is fine
 *
 * Return: a descriptor, owned by the caller, for kvmb_spawn_in(); -EOPNOTSUPP where there is no Landlock,
 * which has then been logged, once a process; another -errno when there is, but no room for a jail: who
 * would be confined must not run then. Context: any thread.
 */
int kvmb_jail_create(const char *program);

/**
 * kvmb_jail_allow() - Let it open a file that it also gets as a descriptor
 * @jail:  of kvmb_jail_create(); negative: does nothing
 * @fd:    the file or device
 * @write: it may also be written to and truncated
 *
 * Return: 0 or -errno.
 */
int kvmb_jail_allow(int jail, int fd, bool write);

/**
 * kvmb_jail_enter() - Confine the calling thread for good, also without Landlock (@jail < 0)
 * Context: also between fork() and exec() of a threaded process. Return: 0 or -errno.
 */
int kvmb_jail_enter(int jail);

#endif
