/* SPDX-License-Identifier: GPL-2.0-only */
/* The VM's NICs: those that it starts with, and those that are added, removed or changed later. */
#ifndef KVMB_NICS_H
#define KVMB_NICS_H

#include <jansson.h>

#include "backend/net/backend.h"
#include "vmm/reply.h"
#include "vmm/vm.h"

/**
 * nics_create() - Open and offer the NICs of the configuration
 *
 * Return: 0, or -errno with one line logged. Context: main thread, before the VM runs.
 */
int nics_create(struct vm *vm);

/** nics_destroy() - Free them. Context: main thread, after the bus. */
void nics_destroy(struct vm *vm);

/** nics_net() - The NIC of this index, for its state. Return: NULL = there is none. */
struct kvmb_net *nics_net(const struct vm *vm, u32 index);

/**
 * nics_named() - The NIC of this name
 * @name:  "net0" or "0", or its MAC address
 * @reply: gets the refusal if there is none
 *
 * Return: NULL = there is none, and @reply was answered. Main thread.
 */
struct kvmb_net *nics_named(struct vm *vm, const char *name, struct ctl_reply reply);

/** nics_announce() - The VM may have been elsewhere: tell the networks. Main thread. */
void nics_announce(struct vm *vm);

/** nics_guest_stands() - The VM is paused, or goes on. Main thread. */
void nics_guest_stands(struct vm *vm, bool stands);

/** nics_list() - The VM's NICs, for info and list. Return: a new reference. Main thread. */
json_t *nics_list(struct vm *vm);

/** nics_stats() - Their counters, for stats. Return: a new reference. Main thread. */
json_t *nics_stats(struct vm *vm);

/*
 * Changes, on the main thread. @nic names a NIC: "net0" or "0", or its MAC address. The answer
 * comes exactly once, perhaps before the function returns.
 */

/**
 * nics_add() - Add a NIC; for kind user answered when passt is ready
 * @spec:  as for opt_nic()
 * @files: what its names stand for, hostile; taken over if it is used
 */
void nics_add(struct vm *vm, const char *spec, struct kvmb_net_files *files,
	      struct ctl_reply reply);

/** nics_remove() - Remove a NIC; answered when the guest has released it. */
void nics_remove(struct vm *vm, const char *nic, struct ctl_reply reply);

/** nics_link() - Set the link up or down. */
void nics_link(struct vm *vm, const char *nic, bool up, struct ctl_reply reply);

/**
 * nics_mtu() - Set the largest MTU; the guest sees it when it next starts the NIC
 *
 * The host's interface has got it from the client.
 */
void nics_mtu(struct vm *vm, const char *nic, u32 mtu, struct ctl_reply reply);

#endif
