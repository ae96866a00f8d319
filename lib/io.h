/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading and writing a part of a file, all of it. */
#ifndef KVMB_IO_H
#define KVMB_IO_H

#include <stddef.h>
#include <stdint.h>

/** kvmb_pread_all() - Read buf[len] at @at. Return: 0; -ENODATA: the file ends before; -errno. */
int kvmb_pread_all(int fd, void *buf, size_t len, uint64_t at);

/** kvmb_pwrite_all() - Write buf[len] at @at. Return: 0 or -errno, and a part may be written. */
int kvmb_pwrite_all(int fd, const void *buf, size_t len, uint64_t at);

#endif
