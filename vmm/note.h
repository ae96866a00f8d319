/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The options of a VM as its keeper has them, and how they follow the VM's changes.
 *
 * DOC: Theory of operation
 *
 * A saved or migrated VM is made anew from options. They are not taken from the VM's process, which
 * its guest may have taken over: the launcher writes them into a file of its keeper (lib/keeper.h),
 * and a command that changes the VM's disks or NICs writes them anew. Each option is a word,
 * "--disk=FILE,controller=0,lun=1". Places and addresses are always said, because a list of which
 * something was removed says them no more.
 *
 * A command announces its change to the keeper, asks the VM, and when that has done it, changes the
 * words (cli/client_note.h). What it writes is what the user typed; of the VM's answer it takes
 * the place of a disk or NIC, a number that is checked.
 *
 * Not here, because they are in the VM's state: the link of a NIC, the MTU that its guest may set,
 * the size of a disk, a medium that the guest has ejected.
 */
#ifndef KVMB_NOTE_H
#define KVMB_NOTE_H

#include "vmm/config.h"
#include "vmm/vm_state.h"

/**
 * note_create() - The words of a VM that is started
 * @cfg: after places_settle(); its args are words "--NAME=VALUE" or "--NAME"
 * @c:   filled; vm_state_free_config()
 */
void note_create(const struct vm_config *cfg, struct vm_state_config *c);

/**
 * note_add_disk() - A disk or drive was added
 * @spec: as for opt_disk(), with absolute names
 *
 * Return: 0; -EEXIST: the place is taken, or @spec wants another.
 */
int note_add_disk(struct vm_state_config *c, const char *spec, bool dvd, u32 controller, u32 lun);

/** note_remove_disk() - It was removed. Return: 0, -ENOENT. */
int note_remove_disk(struct vm_state_config *c, u32 controller, u32 lun);

/**
 * note_set_medium() - A drive has another medium
 * @spec: as for note_add_disk(); NULL: it is empty
 *
 * Return: 0; -ENOENT: there is no drive, which a disk is not.
 */
int note_set_medium(struct vm_state_config *c, u32 controller, u32 lun, const char *spec);

/**
 * note_limit_disk() - It has other limits
 * @iops: requests a second, 0 = none, below 0 = as before
 * @bps:  bytes a second, likewise
 *
 * Return: 0, -ENOENT.
 */
int note_limit_disk(struct vm_state_config *c, u32 controller, u32 lun, s64 iops, s64 bps);

/**
 * note_add_nic() - A NIC was added
 * @spec: as for opt_nic()
 * @mac:  its address
 *
 * Return: as note_add_disk().
 */
int note_add_nic(struct vm_state_config *c, const char *spec, u32 index, const u8 mac[6]);

/** note_remove_nic() - It was removed. Return: 0, -ENOENT. */
int note_remove_nic(struct vm_state_config *c, u32 index);

/** note_has_passt() - Has it a NIC of kind user? */
bool note_has_passt(const struct vm_state_config *c);

/** note_name() - The VM's name. Return: borrowed from @c; NULL = there is none. */
const char *note_name(const struct vm_state_config *c);

#endif
