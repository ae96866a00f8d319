/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VHDX whose writer died at one certain moment, made writable again.
 *
 * QEMU's driver (7.2, block/vhdx-log.c:vhdx_log_write()) announces a log in the image's
 * header and then writes its first entry. Killed in between, it leaves a log without an entry: on
 * the next opening there is nothing to replay, so the announcement stays, and every write that
 * needs a new block fails from then on with "Operation not supported". Nothing was changed under
 * that log, so the announcement may go. This is all of the format that we touch.
 *
 * Source: [MS-VHDX] 2.2.2 (headers), 2.3 (log); observed: QEMU 7.2, killed.sh vhdx.
 */
#ifndef KVMB_VHDX_LOG_H
#define KVMB_VHDX_LOG_H

#include "vmbus-core/env.h"

/**
 * kvmb_vhdx_drop_empty_log() - Before an image is opened by a new storage daemon
 * @fd:   image file, writable, that nobody else writes to; its content is hostile
 * @work: bytes that were added up for it, at most the log's length; NULL is fine
 *
 * A log that has an entry is left alone: the daemon replays it. So is whatever does not look
 * like a VHDX, or claims entries that cannot all be there.
 *
 * Return: 1 when an empty log was dropped; 0 when there was nothing to do; -errno.
 * Context: blocks on file I/O.
 */
int kvmb_vhdx_drop_empty_log(int fd, u64 *work);

/** kvmb_vhdx_checksum() - Of a header, entry or region table of @len bytes, 8 or more: its field at 4 as zero. */
u32 kvmb_vhdx_checksum(const u8 *p, size_t len);

#endif
