/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Handing a VM over to another process of this host, perhaps of a newer kvmbus, in place: the side
 * of who has it.
 *
 * DOC: Theory of operation
 *
 * The other process (cli/cmd_upgrade.c, vmm/upgrade_in.h) has a socket to us. A thread sends the
 * descriptors of memory, raw disks and taps; the locks on the disks go with them. The other side
 * builds such a VM around them, which changes nothing, and says READY; section HOST, and FITS, as
 * in a migration (vmm/mig_stream.h). Now vCPUs and bus stand, what the serial port has put out is
 * written, and a second thread sends the sections. The other side loads them without writing to
 * guest memory, a disk or a tap's settings, and says LOADED. We say GO.
 *
 * It says RUNNING in the last moment before it writes to anything, and runs only if that could be
 * sent. We listen for it; when we do not want to wait any longer we shut the socket down. The
 * kernel decides which comes first: either RUNNING is in the socket, and this process ends without
 * touching anything; or it never will be, and the VM goes on here as if nothing had happened. So
 * the VM is in exactly one process, and no lock is ever free.
 *
 * LIVE -> STOPPING -> LAST -> DECIDING -> this process ends, or the VM goes on. From DECIDING on
 * nothing may touch guest memory (vm_hold()): an end of the VM, too, closes its channels.
 */
#ifndef KVMB_UPGRADE_OUT_H
#define KVMB_UPGRADE_OUT_H

#include "vmm/vm.h"

/**
 * upgrade_out_begin() - Hand the VM over
 * @vm:   running or paused
 * @peer: stream socket to the other process, which is of this host; taken over
 * @why:  why[size], on failure one phrase
 *
 * Return: 0: it has begun, and what becomes of it is said to the other process; else -errno, and
 * @peer is closed. Context: main thread. Trust: who asks is the VM's owner, or says so.
 */
int upgrade_out_begin(struct vm *vm, int peer, char *why, size_t size);

/** upgrade_out_info() - How far it is. Return: a new reference; JSON null: none is under way. */
json_t *upgrade_out_info(const struct vm *vm);

/** upgrade_out_destroy() - The VM ends: give it up. Main thread. */
void upgrade_out_destroy(struct vm *vm);

#endif
