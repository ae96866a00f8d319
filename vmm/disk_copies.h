/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Disks of a VM that moves whose content comes along: section COPY, and the target's files.
 *
 * DOC: Theory of operation
 *
 * Where both hosts share no storage, `kvmbus migrate --copy-storage` says so to the target before
 * anything else: which disks, and how large. The target's launcher makes their files, with the
 * rights of who started it, before the VM's process gives its own up. A file that is there already
 * is never used, however empty: nothing is overwritten. The keeper removes what was made when the
 * VM does not come (lib/keeper.h), until the target has heard GO and says that they are to stay.
 *
 * Each writable disk that is a file is copied. Read-only disks, media and NBD servers are not:
 * both sides must reach them by the same names, as without --copy-storage. Devices and overlays
 * are refused: what is on the other side nobody here could make.
 *
 * The content comes in sections DISK: vmm/mig_disks.h.
 */
#ifndef KVMB_DISK_COPIES_H
#define KVMB_DISK_COPIES_H

#include "vmm/config.h"

struct kvmb_tlv;
struct kvmb_tlv_out;

struct disk_copy {
	u32 controller, lun;
	u64 bytes; /* that the guest sees */
	u64 used;  /* that its file takes on the source's file system */
};

struct disk_copies {
	u32 num;
	struct disk_copy disks[KVMB_MAX_DISKS]; /* disks[num] */
};

/** disk_copies_put() - Section COPY */
void disk_copies_put(const struct disk_copies *c, struct kvmb_tlv_out *o);

/** disk_copies_get() - Section COPY. Return: 0; -EPROTO: @t->error. Trust: hostile. */
int disk_copies_get(struct kvmb_tlv *t, struct disk_copies *c);

/**
 * disk_copies_mark() - Say of each disk of a configuration that is copied that it is
 * @why: why[size], on failure one phrase
 *
 * Return: 0; -EINVAL: one to be copied is not a writable file of its own in @cfg.
 */
int disk_copies_mark(const struct disk_copies *c, struct vm_config *cfg, char *why, size_t size);

/**
 * disk_copies_can() - Can this disk be copied?
 * @dc:  of the source's configuration
 * @why: why[size], on failure one phrase
 *
 * Return: 1; 0: it need not be; -EINVAL: it would have to be, and cannot.
 */
int disk_copies_can(const struct disk_config *dc, char *why, size_t size);

/**
 * disk_copies_create() - Make the file of a disk that is copied
 * @c:   with it
 * @dc:  marked
 * @why: why[size], on failure one phrase; no file is left then
 *
 * The keeper removes it at the end of this process: kvmb_keeper_stay().
 *
 * Return: 0 or -errno. Context: launcher, with a keeper, before the first thread.
 */
int disk_copies_create(const struct disk_copies *c, const struct disk_config *dc, char *why,
		       size_t size);

#endif
