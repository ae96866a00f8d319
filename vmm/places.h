/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Places and addresses of disks and NICs whose options do not say them.
 *
 * A guest knows a disk by controller and LUN and a NIC by its index and address, so a VM that is
 * made anew from options must find the same. The launcher settles them before the VM is built, and
 * keeps them with the options (vmm/note.h).
 */
#ifndef KVMB_PLACES_H
#define KVMB_PLACES_H

#include "vmm/config.h"
#include "vmm/names.h"

/**
 * places_settle() - Give each disk and NIC its place, and each NIC its address and model
 * @cfg:   what an option says stays; what finds no free place stays without one
 * @names: of @cfg, opened
 */
void places_settle(struct vm_config *cfg, const struct vm_names *names);

/**
 * places_nic_mac() - Address of a NIC whose options do not say it
 * @name:  of the VM
 * @index: of the NIC
 * @nc:    its options
 * @files: that belong to it: a macvtap has an address of its own
 * @mac:   set
 */
void places_nic_mac(const char *name, u32 index, const struct nic_config *nc,
		    const struct kvmb_net_files *files, u8 mac[6]);

#endif
