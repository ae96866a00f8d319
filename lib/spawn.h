/* SPDX-License-Identifier: GPL-2.0-only */
/* Helper programs: they inherit few descriptors and end with this process. */
#ifndef KVMB_SPAWN_H
#define KVMB_SPAWN_H

#include <sys/types.h>

/**
 * kvmb_spawn() - Start a program
 * @argv:     argv[0] is looked up in PATH; ends with NULL
 * @keep:     keep[num], descriptors that the program gets under the same numbers
 * @err_fd:   its standard error, -1 = /dev/null; standard input and output are /dev/null
 *
 * The program gets SIGTERM when this process ends, even if the calling thread has ended before.
 * No signals are blocked in it. If the program does not exist, the child exits with status 127.
 *
 * Return: its process id, or -errno. Context: any thread; waits for a fork.
 */
pid_t kvmb_spawn(const char *const *argv, const int *keep, int num, int err_fd);

/**
 * kvmb_spawn_in() - kvmb_spawn(), confined
 * @jail: of kvmb_jail_create(). -EOPNOTSUPP: everything that works without Landlock is still done;
 *        another -errno is returned, and nothing is started
 *
 * If the program cannot be confined as @jail says, the child exits with status 126.
 */
pid_t kvmb_spawn_in(int jail, const char *const *argv, const int *keep, int num, int err_fd);

/**
 * kvmb_spawn_kill() - Kill a program and reap it, within a time limit
 * @pid: of kvmb_spawn(), not reaped yet
 * @ms:  longest wait
 *
 * The kernel cannot end a process that waits for a device or server which does not answer. A
 * thread then waits for it and reaps it when it ends.
 *
 * Return: 0; -ETIMEDOUT when it is left behind, with the files it has open. Context: any thread
 * that guests do not wait for.
 */
int kvmb_spawn_kill(pid_t pid, unsigned int ms);

#endif
