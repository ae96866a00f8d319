/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Repairs a VHDX whose writer was killed at one particular moment.
 *
 * QEMU's driver (7.2, block/vhdx-log.c:vhdx_log_write()) announces a log in the image's header and
 * then writes the first entry. If it is killed in between, the log has no entry. The next opening
 * finds nothing to replay, so the announcement stays, and from then on every write that needs a
 * new block fails with "Operation not supported". No change was made under that log, so removing
 * the announcement is safe. We touch nothing else of the format.
 *
 * Source: [MS-VHDX] 2.2.2 (headers), 2.3 (log); observed: QEMU 7.2, killed.sh vhdx.
 */
#ifndef KVMB_VHDX_LOG_H
#define KVMB_VHDX_LOG_H

#include "vmbus-core/env.h"

/**
 * kvmb_vhdx_drop_empty_log() - Remove the announcement of a log without entries
 * @fd:   image file, writable, not in use by a storage daemon; its content is hostile
 * @work: set to the number of bytes that were checksummed, at most the log's length; NULL is fine
 *
 * A log with an entry is left alone, because the daemon replays it. So is a file that does not
 * look like a VHDX, or claims more entries than it can have.
 *
 * Return: 1 when an empty log was dropped; 0 when there was nothing to do; -errno.
 * Context: blocks on file I/O.
 */
int kvmb_vhdx_drop_empty_log(int fd, u64 *work);

/** kvmb_vhdx_checksum() - Checksum of a structure of @len >= 8 bytes, its field at 4 taken as 0. */
u32 kvmb_vhdx_checksum(const u8 *p, size_t len);

#endif
