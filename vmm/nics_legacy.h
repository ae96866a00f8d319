/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Legacy NICs of a gen1 machine: the emulated twins of synthetic NICs.
 *
 * DOC: Theory of operation
 *
 * The NICs 0 to 3 of a machine with firmware are PCI devices, too, each in the slot of its index,
 * so that a saved VM finds them where they were. Whose the network is of the two, and how it
 * changes hands, is the synthetic NIC's business (host-vsp/net/net.h); a NIC of model=legacy has
 * the same object, which is not offered to the guest. Here the device is made, and connected.
 *
 * The threads of all legacy NICs stand while the VM is saved, or loaded. A reset of the VM has them
 * stand and resets the devices when vCPUs stand: from then on none of them touches memory until a
 * driver starts it again, though its thread goes on.
 */
#ifndef KVMB_NICS_LEGACY_H
#define KVMB_NICS_LEGACY_H

#include <jansson.h>

#include "host-vsp/net/net.h"
#include "vmm/vm.h"

struct kvmb_tlv;
struct kvmb_tlv_out;

/**
 * nics_legacy_add() - Remember a NIC that gets a legacy twin from nics_legacy_connect()
 * @vm:    not built yet
 * @index: below LEGACY_NICS, of the NIC
 * @nc:    of the NIC, with its address
 * @net:   borrowed, outlives the VM's machine
 *
 * Context: main thread, as all here.
 */
void nics_legacy_add(struct vm *vm, u32 index, const struct nic_config *nc, struct kvmb_net *net);

/**
 * nics_legacy_connect() - The machine is built: put the devices on its bus, start their threads
 *
 * Those of a VM that comes from elsewhere stand until nics_legacy_go_on().
 * Return: 0, or -errno with one line logged.
 */
int nics_legacy_connect(struct vm *vm);

/** nics_legacy_has() - Has the NIC of this index a legacy twin? */
bool nics_legacy_has(const struct vm *vm, u32 index);

/**
 * nics_legacy_settle() - Power-on state of all; vCPUs stand and channels are closed
 * @next: called with @vm and @done on the main thread, now or later: nothing waits here, for a
 *        thread may have to until memory comes. Asked again before that, only the last is called
 * @done: of @next
 *
 * Those of a VM that has ended stand from then on.
 */
void nics_legacy_settle(struct vm *vm, void (*next)(struct vm *vm, void (*done)(void *vm)),
			void (*done)(void *vm));

/** nics_legacy_rest() - Have all threads stand: for saving. It waits for their turns. */
void nics_legacy_rest(struct vm *vm);

/** nics_legacy_go_on() - Undo it, if it was done; or the VM was loaded, and goes on. */
void nics_legacy_go_on(struct vm *vm);

/** nics_legacy_link() - As kvmb_net_set_link(), of the twin; without one nothing happens. */
void nics_legacy_link(struct vm *vm, u32 index, bool up);

/** nics_legacy_stats() - Counters of the twin. Return: a new reference; NULL: there is none. */
json_t *nics_legacy_stats(const struct vm *vm, u32 index);

/** nics_legacy_save() - Sections of all; threads stand. */
void nics_legacy_save(struct vm *vm, struct kvmb_tlv_out *o);

/**
 * nics_legacy_load() - A section; before the section of the synthetic NIC
 *
 * Return: 0; -errno with one line in @t->error. Trust: hostile.
 */
int nics_legacy_load(struct vm *vm, struct kvmb_tlv *t);

/** nics_legacy_loaded() - All is loaded: devices raise their lines. */
void nics_legacy_loaded(struct vm *vm);

/** nics_legacy_end() - Destroy them, before machine and synthetic NICs; no vCPU runs. */
void nics_legacy_end(struct vm *vm);

#endif
