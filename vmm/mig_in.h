/* SPDX-License-Identifier: GPL-2.0-only */
/* A VM that comes from another process or host: the target's side of vmm/mig_stream.h. */
#ifndef KVMB_MIG_IN_H
#define KVMB_MIG_IN_H

struct vm_loader;

/**
 * mig_in_loader: memory and state from the configuration's stream
 *
 * load() takes all of it (no memory if that was handed over: vmm/upgrade_in.h), commit() the locks
 * on the images, at the source's word. After a failure or abort(), of which one line was logged and
 * the source was told, the VM can only be ended. Trust: the stream is hostile.
 */
extern const struct vm_loader mig_in_loader;

#endif
