/* SPDX-License-Identifier: GPL-2.0-only */
/* The content of disks that comes with a VM: the target's side of vmm/mig_disks.h. */
#ifndef KVMB_MIG_DISKS_IN_H
#define KVMB_MIG_DISKS_IN_H

#include "vmm/vm.h"

struct kvmb_tlv;

struct mig_disks_in {				/* zeroed to begin with; mig_disks_in_fini() */
	u8 *buf;				/* buf[MIG_CHUNK], aligned */
	u64 unflushed;				/* bytes */
	u64 said[KVMB_STORAGE_MAX_CONTROLLERS]; /* bit: LUN of a disk that is complete */
};

/**
 * mig_disks_in_take() - Carry out one section DISK
 * @t:   its error is set where the source has said nonsense
 * @why: why[MIG_WHY], set when a disk fails
 *
 * What was written is flushed now and then, so that little is left to be when the guest stands.
 *
 * Return: 0 or -errno. Context: before the VM runs; may wait for disks. Trust: hostile. Only disks
 * whose files this process has made for that are written to.
 */
int mig_disks_in_take(struct mig_disks_in *in, struct vm *vm, struct kvmb_tlv *t, char *why);

/**
 * mig_disks_in_finish() - The source has sent all: flush
 *
 * Return: 0; -EPROTO: it has not, of a disk; -errno. Context: as above.
 */
int mig_disks_in_finish(struct mig_disks_in *in, struct vm *vm, char *why);

/** mig_disks_in_settle() - The VM is here: its disks are disks like others. Main thread. */
void mig_disks_in_settle(struct vm *vm);

/** mig_disks_in_fini() - Free it. */
void mig_disks_in_fini(struct mig_disks_in *in);

#endif
