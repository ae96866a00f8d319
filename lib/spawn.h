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
 * It gets SIGTERM when the calling thread ends, and no blocked signals. A program that is
 * not there ends with status 127. Return: its process id, or -errno.
 */
pid_t kvmb_spawn(const char *const *argv, const int *keep, int num, int err_fd);

#endif
