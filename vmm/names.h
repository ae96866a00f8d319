/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the names in a configuration stand for, opened before the VM is built.
 *
 * After names_open() nothing of a VM's disks and NICs is opened by name: not while it is built, and
 * not while it runs. A change of a running VM brings its descriptors along (vmm/handover.h).
 */
#ifndef KVMB_NAMES_H
#define KVMB_NAMES_H

#include "backend/net/backend.h"
#include "vmm/config.h"

struct vm_names { /* owned; each is taken over by the part that uses it */
	struct kvmb_disk_files disks[KVMB_MAX_DISKS]; /* disks[cfg->num_disks] */
	struct kvmb_net_files nics[KVMB_MAX_NICS];    /* nics[cfg->num_nics] */
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

/**
 * names_open_nic() - Open what one NIC names, also for a command that adds it
 * @nc:   the NIC
 * @cpus: of the VM
 * @out:  filled on success
 * @why:  why[KVMB_NET_WHY], on failure one phrase for the user
 *
 * Return: 0 or -errno. Context: as names_open().
 */
int names_open_nic(const struct nic_config *nc, u32 cpus, struct kvmb_net_files *out, char *why);

/** nic_passt_mtu() - What passt announces to the guest of a NIC of kind user. */
u32 nic_passt_mtu(const struct nic_config *nc);

/** nic_word() - A NIC of the configuration in a message. */
const char *nic_word(const struct nic_config *nc);

/**
 * names_seal() - The process gives up its files: load what is needed of libraries
 * @cfg: the configuration
 *
 * Context: after names_open(), before the first thread.
 */
void names_seal(const struct vm_config *cfg);

/** names_close() - Close what nobody took. */
void names_close(struct vm_names *n);

#endif
