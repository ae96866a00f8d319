/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All devices of a VM come to rest, for a save, a migration and an upgrade: VMBus's providers
 * (host-vsp/bus/bus_state.h), and drives on IDE. Nobody but vCPUs changes guest memory then.
 */
#ifndef KVMB_VM_REST_H
#define KVMB_VM_REST_H

#include "vmm/vm.h"

/**
 * vm_rest() - Stand still
 * @vm:   paused
 * @done: called once on the main thread when all stand, unless vm_rest_end() comes first
 * @arg:  of @done
 *
 * How long it takes depends on the disks: what they have in hand is waited for. A request that is
 * held back (an I/O error) is in the state, and tried again where the VM goes on.
 *
 * Context: main thread; @done may be called before this returns, and may not destroy the VM.
 */
void vm_rest(struct vm *vm, void (*done)(void *arg), void *arg);

/** vm_rest_end() - Go on after vm_rest(), also before it is done. Main thread. */
void vm_rest_end(struct vm *vm);

#endif
