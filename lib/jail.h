/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Confinement for helper programs that read what strangers wrote: a storage daemon.
 *
 * DOC: Theory of operation
 *
 * A program in the jail reaches the descriptors that it is given, the programs and libraries of
 * the host (to start at all), and nothing else. Several protections stand for themselves; what
 * the host lacks is left out, and named:
 *
 * - Namespaces: its own mounts, processes, network, IPC objects and host name; a process without
 *   privileges gets them from a user namespace. Other processes have no name in there: nothing
 *   can be killed, traced or connected to, not even through an io_uring, which no filter sees.
 * - A root that holds /usr, /lib*, /etc/ld.so.cache, /dev/null and the program's own
 *   /proc/self/fd, read-only. Through the last one it opens its files again, as QEMU does.
 * - Landlock: of all files it may open those, and write only what it was given for writing.
 * - No capabilities; root keeps CAP_DAC_OVERRIDE, to open the files of others that it was given.
 * - seccomp: no new sockets, no signals to and no looking into other processes, no mounts, no
 *   namespaces. After the program itself, nothing can be executed: its first execve() waits for
 *   who started it (kvmb_jail_let_execute()), and any other fails because nobody answers.
 *
 * Limits: a program that has been taken over can use what it was given. Where namespaces are
 * missing it can make sockets through an io_uring.
 *
 * Needs: Landlock, Linux 5.13 (truncating: 6.2; TCP: 6.7; ioctls of devices: 6.10; abstract
 * sockets and signals: 6.12); the root, 5.12; execve() once, 5.5; users' namespaces, a setting.
 *
 * Source: Linux Documentation/userspace-api/landlock.rst, seccomp_filter.rst;
 * user_namespaces(7), pivot_root(2), seccomp_unotify(2).
 */
#ifndef KVMB_JAIL_H
#define KVMB_JAIL_H

#include <stdbool.h>
#include <stddef.h>

enum kvmb_jail_lack { /* what is left out, as bits */
		      KVMB_JAIL_NO_NAMESPACES = 1 << 0,
		      KVMB_JAIL_NO_ROOT = 1 << 1,
		      KVMB_JAIL_NO_LANDLOCK = 1 << 2,
		      KVMB_JAIL_NO_EXEC_ONCE =
			      1 << 3, /* it may execute other programs that it can read */
		      KVMB_JAIL_NO_SECCOMP = 1 << 4,
};

/** kvmb_jail_lack_name() - "namespaces", ... of bit number @bit; NULL = there is no such bit. */
const char *kvmb_jail_lack_name(unsigned int bit);

/**
 * kvmb_jail_opens_files() - May a program in this jail open other files of its user?
 * @lacks: enum kvmb_jail_lack
 */
bool kvmb_jail_opens_files(unsigned int lacks);

/* ---- Landlock rules, made by who starts the program ---- */

/**
 * kvmb_jail_create() - Make Landlock rules with which @program can run
 * @program: looked up in PATH if it has no slash. It and the libraries beside it (../lib of its
 *           directory) may be read and executed wherever they are. NULL = none
 *
 * Return: a descriptor for kvmb_jail_enter(), owned by the caller; -EOPNOTSUPP on a kernel without
 * Landlock; another -errno when the kernel has Landlock but no jail could be made: then the
 * program must not run. Context: any thread.
 */
int kvmb_jail_create(const char *program);

/**
 * kvmb_jail_create_empty() - Make a jail in which nothing can be opened and no TCP port be reached
 *
 * Return: as kvmb_jail_create(). Context: any thread.
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
 * kvmb_jail_lib_dir() - Where a program has its libraries, if not where all have
 * @program: absolute. /opt/x/bin/program has them in /opt/x/lib, or lib64, or below
 * @i:       0, 1 ...
 * @dir:     dir[size], may not exist
 * @size:    bytes
 *
 * Return: false when there is no such directory of number @i.
 */
bool kvmb_jail_lib_dir(const char *program, unsigned int i, char *dir, size_t size);

/**
 * kvmb_jail_allow() - Allow opening a file that the program also gets as a descriptor
 * @jail:  of kvmb_jail_create(); negative: does nothing
 * @fd:    the file or device
 * @write: also writing and truncating
 *
 * Return: 0 or -errno.
 */
int kvmb_jail_allow(int jail, int fd, bool write);

/* ---- of a process without threads ---- */

/**
 * kvmb_jail_fork() - fork() into new namespaces, as far as this host lets us
 * @lacks: KVMB_JAIL_NO_NAMESPACES is added when there are none; in both processes
 *
 * Return: as fork(), -1 with errno. Context: a process without threads, which SIGKILL may not
 * reach through its parent's death alone: the child sets PR_SET_PDEATHSIG itself.
 */
int kvmb_jail_fork(unsigned int *lacks);

/**
 * kvmb_jail_enter_root() - Leave the host's files, in a child of kvmb_jail_fork()
 * @program: absolute path of what will be executed
 * @lacks:   KVMB_JAIL_NO_ROOT is added when it could not be done: nothing has changed then
 */
void kvmb_jail_enter_root(const char *program, unsigned int *lacks);

/**
 * kvmb_jail_enter() - Give up all the rest, irrevocably; execute the program after that
 * @jail:     of kvmb_jail_create(); negative: there is no Landlock
 * @listener: NULL: it may execute what it wants. Else a descriptor for kvmb_jail_let_execute(),
 *            which another process must hold before this one can execute; -1 with
 *            KVMB_JAIL_NO_EXEC_ONCE
 * @lacks:    what is missing is added
 *
 * Return: 0, or -errno when it could not be confined although this host has what is needed.
 */
int kvmb_jail_enter(int jail, int *listener, unsigned int *lacks);

/**
 * kvmb_jail_let_execute() - Let the first execve() through; closing @listener forbids all others
 * @listener: of kvmb_jail_enter(), readable. Return: 0 or -errno.
 */
int kvmb_jail_let_execute(int listener);

#endif
