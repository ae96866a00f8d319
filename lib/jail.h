/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Confinement for helper programs: they can open only the files that they are given.
 *
 * Landlock allows a program to read and execute programs and libraries, and to reopen the files
 * that it gets as descriptors through /proc/self/fd. It can open no other file, by whatever name
 * or symbolic link. A seccomp filter forbids new sockets and looking into other processes.
 * Neither needs a privilege, and both also bind what the program executes. Protection that the
 * host kernel lacks is left out, and logged once (Landlock: Linux 5.13; truncating: 6.2; TCP:
 * 6.7; ioctls of devices: 6.10; abstract sockets and signals: 6.12).
 *
 * Limits: a program that has been taken over can still use what it was given. It can make
 * sockets through an io_uring, which no seccomp filter sees.
 *
 * Source: Linux Documentation/userspace-api/landlock.rst, seccomp_filter.rst.
 */
#ifndef KVMB_JAIL_H
#define KVMB_JAIL_H

#include <stdbool.h>

/**
 * kvmb_jail_create() - Make a jail in which @program can run
 * @program: looked up in PATH if it has no slash. It and the libraries beside it (../lib of its
 *           directory) may be read and executed wherever they are. NULL = none
 *
 * Return: a descriptor for kvmb_jail_enter(), owned by the caller; -EOPNOTSUPP on a kernel without
 * Landlock, which is logged once per process; another -errno when the kernel has Landlock but no
 * jail could be made: then the program must not run. Context: any thread.
 */
int kvmb_jail_create(const char *program);

/**
 * kvmb_jail_create_empty() - Make a jail in which nothing can be opened and no TCP port be reached
 *
 * Return: as kvmb_jail_create(); nothing is logged. Context: any thread.
 */
int kvmb_jail_create_empty(void);

/**
 * kvmb_jail_find_program() - Where is a program?
 * @program: looked up in PATH if it has no slash
 * @path:    path[PATH_MAX], absolute, without symbolic links
 *
 * Return: false when there is none.
 */
bool kvmb_jail_find_program(const char *program, char *path);

/**
 * kvmb_jail_allow() - Allow opening a file that the program also gets as a descriptor
 * @jail:  of kvmb_jail_create(); negative: does nothing
 * @fd:    the file or device
 * @write: also writing and truncating
 *
 * Return: 0 or -errno.
 */
int kvmb_jail_allow(int jail, int fd, bool write);

/**
 * kvmb_jail_enter() - Confine the calling thread, irrevocably
 * @jail: of kvmb_jail_create(); negative: the seccomp filter only
 *
 * Context: also between fork() and exec() of a threaded process. Return: 0 or -errno.
 */
int kvmb_jail_enter(int jail);

#endif
