/* SPDX-License-Identifier: GPL-2.0-only */
/* Text of integration services: UTF-16LE on the wire, UTF-8 here. */
#ifndef KVMB_ICTEXT_H
#define KVMB_ICTEXT_H

#include "vmbus-core/env.h"

/**
 * kvmb_ictext_get() - Read a string of the peer, up to its first 0 or its end
 * @in:   private copy, in[len], any alignment; an odd byte at the end is ignored
 * @len:  bytes
 * @out:  out[size], UTF-8 that ends with a 0; half of a pair becomes U+FFFD
 * @size: bytes, > 0
 *
 * Return: bytes in @out without the 0; -ENOSPC: @out has what fits. Context: any. Trust: @in is
 * hostile.
 */
int kvmb_ictext_get(const void *in, u32 len, char *out, u32 size);

/**
 * kvmb_ictext_put() - Write a string, and a 0 behind it
 * @in:   in[len], UTF-8; a 0 in it is no end
 * @len:  bytes
 * @out:  out[size], any alignment
 * @size: bytes
 *
 * Return: bytes written, with the 0; -EILSEQ: @in is not UTF-8; -ENOSPC. @out is not to be used
 * then. Context: any.
 */
int kvmb_ictext_put(const char *in, u32 len, void *out, u32 size);

#endif
