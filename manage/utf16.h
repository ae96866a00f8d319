/* SPDX-License-Identifier: GPL-2.0-only */
/* UTF-16 of files from Windows as UTF-8. */
#ifndef KVMB_UTF16_H
#define KVMB_UTF16_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/**
 * utf16_text() - Convert up to the first 0
 * @in:   in[len], any alignment; an odd byte at the end is ignored
 * @big:  big-endian
 * @out:  out[size], ends with a 0
 *
 * Return: bytes in @out; -EINVAL: a half of a pair, a control character; -ENOSPC. Trust: hostile.
 */
ssize_t utf16_text(const unsigned char *in, size_t len, bool big, char *out, size_t size);

#endif
