/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Iovecs over guest memory: copies and slices. kvmb_gm_iov() has made and checked the list.
 * The guest may change the bytes behind it at any time, so read each only once.
 */
#ifndef KVMB_IOV_H
#define KVMB_IOV_H

#include <sys/uio.h>

#include "vmbus-core/env.h"

/**
 * kvmb_iov_read() - Make a private copy of bytes @off .. @off + @len
 * @iov: iov[num]
 * @num: entries
 * @off: bytes into the list
 * @buf: buf[len]; not written beyond the end of the list
 * @len: bytes
 */
void kvmb_iov_read(const struct iovec *iov, int num, u64 off, void *buf, u32 len);

/** kvmb_iov_write() - Write @len bytes to the front of the list. */
void kvmb_iov_write(const struct iovec *iov, int num, const void *buf, u32 len);

/** kvmb_iov_equal() - Does the front of the list hold the @len bytes of @buf? */
bool kvmb_iov_equal(const struct iovec *iov, int num, const void *buf, u32 len);

/**
 * kvmb_iov_slice() - The bytes @off .. @off + @len of a list, as another list
 * @iov: iov[num]
 * @num: entries
 * @off: bytes into the list
 * @len: bytes
 * @out: out[num], result
 *
 * Return: the number of entries in @out.
 */
int kvmb_iov_slice(const struct iovec *iov, int num, u64 off, u32 len, struct iovec *out);

#endif
