/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Programs that read what strangers wrote, for a command: qemu-img in a jail (lib/jail.h).
 *
 * The program gets descriptors and no names, an empty environment, and limits of memory. It ends
 * with the process that started it. A VM's helpers are not started here but by its keeper.
 */
#ifndef KVMB_CONFINED_H
#define KVMB_CONFINED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CONFINED_FILES 10 /* number of the first file in the program: /proc/self/fd/10 */
#define CONFINED_MOST 12  /* files */
#define CONFINED_OUT 65536u

struct confined_file {
	int fd; /* the caller's */
	bool write;
};

struct confined {
	pid_t pid;	/* 0 = it has ended */
	int out, err;	/* ends of its pipes */
	char said[256]; /* the last line on its standard error, printable */
	size_t said_len;
};

/**
 * confined_start() - Start a program
 * @c:     filled on success; confined_end()
 * @argv:  argv[0] is looked up in PATH; the last one NULL
 * @files: files[num], num <= CONFINED_MOST
 * @why:   why[size], on failure one phrase
 *
 * Return: 0; -ENOENT: there is no such program; -EPERM: this host has nothing to confine it with;
 * -errno. Context: a process without threads; waits until the program has begun.
 */
int confined_start(struct confined *c, const char *const *argv, const struct confined_file *files,
		   unsigned int num, char *why, size_t size);

/**
 * confined_read() - Read what the program says on standard output
 * @buf:        buf[size]
 * @timeout_ms: to wait for it
 *
 * Return: bytes; 0 when it has closed it; -EAGAIN: nothing within the time; -errno.
 */
ssize_t confined_read(struct confined *c, void *buf, size_t size, int timeout_ms);

/**
 * confined_end() - Wait for its end
 * @kill_it: do not wait for it to end itself
 *
 * Return: its exit status; -EINTR if a signal ended it.
 */
int confined_end(struct confined *c, bool kill_it);

/**
 * confined_ask() - Start a program and take all that it says
 * @out: out[CONFINED_OUT], ends with a 0
 * @why: why[size], on failure what it said on standard error
 *
 * Return: 0; -EIO: it failed, or took longer than a minute, or said more; as confined_start().
 */
int confined_ask(const char *const *argv, const struct confined_file *files, unsigned int num,
		 char *out, char *why, size_t size);

#endif
