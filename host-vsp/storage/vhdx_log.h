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

/**
 * kvmb_vhdx_drop_empty_log() - Before an image is opened by a new storage daemon
 * @path: image file, that nobody else has open; its content is hostile
 *
 * A log that has an entry is left alone: the daemon replays it. So is whatever does not look
 * like a VHDX.
 *
 * Return: 1 when an empty log was dropped; 0 when there was nothing to do; -errno.
 * Context: blocks on file I/O.
 */
int kvmb_vhdx_drop_empty_log(const char *path);

#endif
