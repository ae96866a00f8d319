/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Iovecs over guest memory: copies and slices. Lengths have been checked by who made the
 * list (kvmb_gm_iov()); what lies behind may change at any time, so read once.
 */
#ifndef KVMB_IOV_H
#define KVMB_IOV_H

#include <sys/uio.h>

#include "vmbus-core/env.h"

/**
 * kvmb_iov_read() - Private copy of bytes @off .. @off + @len
 * @iov: iov[num]
 * @buf: room for @len bytes; untouched beyond the end of the list
 */
void kvmb_iov_read(const struct iovec *iov, int num, u64 off, void *buf, u32 len);

/** kvmb_iov_write() - Write @len bytes to the front of the list. */
void kvmb_iov_write(const struct iovec *iov, int num, const void *buf, u32 len);

/** kvmb_iov_equal() - Does the front of the list hold the @len bytes of @buf? */
bool kvmb_iov_equal(const struct iovec *iov, int num, const void *buf, u32 len);

/**
 * kvmb_iov_slice() - The part @off .. @off + @len of a list, as a list
 * @out: room for @num iovecs
 * Return: iovecs in @out.
 */
int kvmb_iov_slice(const struct iovec *iov, int num, u64 off, u32 len, struct iovec *out);

#endif
