/* SPDX-License-Identifier: GPL-2.0-only */
/* What all disks that are files have in common. For disk*.c. */
#ifndef KVMB_DISK_FILE_H
#define KVMB_DISK_FILE_H

#include <sys/stat.h>

#include "backend/block/disk.h"

/**
 * kvmb_disk_lock() - Lock the first @len bytes, 0 = all
 * @read_only: others may read, too
 * Return: 0; -EBUSY: somebody else has it; another -errno.
 */
int kvmb_disk_lock(int fd, bool read_only, off_t len);

/**
 * kvmb_disk_unlock() - Give the lock up
 *
 * Closing alone would not: who sent us the descriptor may have it still, and an io_uring that had
 * it registered may let go of it later.
 */
void kvmb_disk_unlock(int fd);

/** kvmb_disk_not_a_file() - Why neither a file nor a block device: a phrase. */
const char *kvmb_disk_not_a_file(const struct stat *st);

/**
 * kvmb_disk_not_opened() - Why a file could not be opened
 * @err: errno of it
 * Return: -@err, with a phrase in why[size].
 */
int kvmb_disk_not_opened(int err, bool read_only, char *why, size_t size);

/** kvmb_disk_is_uri() - Does @path name an NBD server? */
bool kvmb_disk_is_uri(const char *path);

/** kvmb_disk_spec_format() - As kvmb_disk_format_of(), unless the user gave one. */
const char *kvmb_disk_spec_format(const struct kvmb_disk_spec *spec);

/** kvmb_disk_spec_check() - Do the options fit each other? Return: 0, or -EINVAL with @why. */
int kvmb_disk_spec_check(const struct kvmb_disk_spec *spec, char *why, size_t size);

struct kvmb_qsd_conf;

/** kvmb_disk_daemon_conf() - What the storage daemon of a disk is started with; all borrowed. */
void kvmb_disk_daemon_conf(const struct kvmb_disk_spec *spec, const struct kvmb_disk_files *files,
			   struct kvmb_qsd_conf *conf);

/**
 * kvmb_disk_identify() - Serial number and designator, the same for the same file each time
 * @st: of the file, NULL: its path stands for it
 */
void kvmb_disk_identify(struct kvmb_disk *d, const struct kvmb_disk_spec *spec,
			const struct stat *st);

#endif
