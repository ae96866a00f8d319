/* SPDX-License-Identifier: GPL-2.0-only */
/* Helper programs: started with few descriptors, ended with us. */
#ifndef KVMB_SPAWN_H
#define KVMB_SPAWN_H

#include <sys/types.h>

/**
 * kvmb_spawn() - Start a program
 * @argv:     argv[0] is looked up in PATH; ends with NULL
 * @keep:     keep[num], descriptors that the program gets under the same numbers
 * @err_fd:   its standard error, -1 = /dev/null; standard input and output are /dev/null
 *
 * It gets SIGTERM when this process ends, whatever becomes of the calling thread, and no blocked
 * signals. A program that is not there ends with status 127.
 * Return: its process id, or -errno. Context: any thread; waits for a fork.
 */
pid_t kvmb_spawn(const char *const *argv, const int *keep, int num, int err_fd);

/**
 * kvmb_spawn_in() - kvmb_spawn(), confined
 * @jail: of kvmb_jail_create(); -EOPNOTSUPP: what needs no Landlock is done all the same; another -errno is
 *        returned, and nothing started
 *
 * A program that cannot be confined as @jail says ends with status 126.
 */
pid_t kvmb_spawn_in(int jail, const char *const *argv, const int *keep, int num, int err_fd);

/**
 * kvmb_spawn_kill() - SIGKILL, and reap it, but do not wait without end
 * @pid: of kvmb_spawn(), not reaped yet
 * @ms:  longest wait
 *
 * The kernel cannot end a process that waits for a device or server that does not answer. Such a one is
 * left to a thread that reaps it when it ends.
 *
 * Return: 0; -ETIMEDOUT when it is left behind, with what it had open. Context: any thread but one
 * that guests wait for.
 */
int kvmb_spawn_kill(pid_t pid, unsigned int ms);

#endif
