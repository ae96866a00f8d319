/* SPDX-License-Identifier: GPL-2.0-only */
/* A disk by its name, as the launcher and the process of a VM open it together. */
#ifndef KVMB_OPEN_NAMED_H
#define KVMB_OPEN_NAMED_H

#include "backend/block/disk.h"

static inline int open_named(const struct kvmb_disk_spec *spec, struct kvmb_disk **d, char *why,
			     size_t size)
{
	struct kvmb_disk_files files;
	int err = kvmb_disk_resolve(spec, &files, why, size);

	return err ? err : kvmb_disk_open(spec, &files, d, why, size);
}

#endif
