/* SPDX-License-Identifier: GPL-2.0-only */
/* A VM that another process of this host hands over: the other side of vmm/upgrade_out.h. */
#ifndef KVMB_UPGRADE_IN_H
#define KVMB_UPGRADE_IN_H

struct vm;
struct vm_loader;

/**
 * upgrade_in_loader: state from the configuration's stream, around memory that was handed over
 *
 * Neither load() nor commit() writes to guest memory. After a failure, of which one line was logged
 * and the other process was told, this one must end without touching the VM's parts. Trust: the
 * other process is hostile.
 */
extern const struct vm_loader upgrade_in_loader;

/** upgrade_in_settle() - It runs: take its names over, say what it cost. Main thread. */
void upgrade_in_settle(struct vm *vm);

#endif
