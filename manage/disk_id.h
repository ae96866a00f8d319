/* SPDX-License-Identifier: GPL-2.0-only */
/* What tells one disk from another: its numbers, and the identity that its partition table has. */
#ifndef KVMB_DISK_ID_H
#define KVMB_DISK_ID_H

#include <stddef.h>

/**
 * disk_id_local() - Of an open file or block device of this host
 * @fd:   readable
 * @path: as the user named it
 * @id:   id[size], printable
 */
void disk_id_local(int fd, const char *path, char *id, size_t size);

/** disk_id_add_table() - Append to @id what a disk's first 1024 bytes say. Trust: any bytes. */
void disk_id_add_table(char *id, size_t size, const unsigned char *head);

/** disk_id_plain() - Make text printable ASCII without quotes, in place. */
void disk_id_plain(char *text);

#endif
