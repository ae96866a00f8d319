/* SPDX-License-Identifier: GPL-2.0-only */
/* libzstd, loaded when a migration wants it: no other command pays for it, and no VM has it. */
#ifndef KVMB_ZSTD_LIB_H
#define KVMB_ZSTD_LIB_H

#include <stddef.h>
#include <zstd.h>

/* The functions that we call; each has ZSTD_ before its name. */
/* clang-format off */
#define KVMB_ZSTD_CALLS(F) \
	F(isError) F(createCCtx) F(freeCCtx) F(compressCCtx) F(createDCtx) F(freeDCtx) \
	F(decompressDCtx)
/* clang-format on */

struct kvmb_zstd {
#define KVMB_ZSTD_FIELD(name) typeof(ZSTD_##name) *name;
	KVMB_ZSTD_CALLS(KVMB_ZSTD_FIELD)
#undef KVMB_ZSTD_FIELD
};

extern struct kvmb_zstd zstd; /* filled once, by zstd_lib_load() */

/**
 * zstd_lib_load() - Load libzstd, unless that was done before
 * @why: why[size], on failure: what is missing and what to install
 *
 * Return: 0 or -ENOENT. Context: before there are other threads.
 */
int zstd_lib_load(char *why, size_t size);

#endif
