/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the names in a configuration stand for, opened before the VM is built.
 *
 * After names_open() nothing of a VM's disks and NICs is opened by name: not while it is built, and
 * not while it runs. A change of a running VM brings its descriptors along (vmm/handover.h).
 */
#ifndef KVMB_NAMES_H
#define KVMB_NAMES_H

#include "vmm/config.h"

struct vm_names { /* owned; each is taken over by the part that uses it */
	struct kvmb_disk_files disks[KVMB_MAX_DISKS]; /* disks[cfg->num_disks] */
};

/**
 * names_open() - Open everything that the disks and NICs of a configuration name
 * @cfg: the configuration
 * @out: filled; to be closed with names_close(), also after a failure
 *
 * Return: 0, or -errno with one line logged. Context: with the rights of who starts the VM; may
 * block on file I/O.
 */
int names_open(const struct vm_config *cfg, struct vm_names *out);

/** names_close() - Close what nobody took. */
void names_close(struct vm_names *n);

#endif
