/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The services of a VM that an administrator switches on and off: a table.
 *
 * DOC: Theory of operation
 *
 * Who makes a service puts it here, once, when the VM is built: an integration service by its
 * kvmb_ic, another one (dynamic memory, sockets) by functions. From then on the table offers and
 * revokes it: at once, if the VM's options want it, and at run time by the control socket
 * (services_set()). Info and a saved state have all that are in the table.
 *
 * What is off has been rescinded. The guest gives its channel back some time later, and gets
 * another offer only then (docs/protocol.md#7.9); the bus sees to that, so here a service is on or
 * off at once. Who has asked for the change is answered when the guest is through with it, or after
 * SERVICES_PATIENCE_MS.
 *
 * Disks, NICs, screen and keyboard are not here: they are added and removed, not switched.
 */
#ifndef KVMB_SERVICES_H
#define KVMB_SERVICES_H

#include <jansson.h>

#include "vmm/reply.h"
#include "vmm/vm.h"

struct kvmb_tlv;
struct kvmb_tlv_out;

#ifndef SERVICES_PATIENCE_MS
#define SERVICES_PATIENCE_MS 10000u
#endif

struct service_hooks { /* const; each may be NULL, but for the first three of what is no IC */
	/* of a service that is no IC. Offer it. Return: 0 or -errno */
	int (*offer)(struct vm *vm);
	/* ... and take it away; not called twice */
	void (*revoke)(struct vm *vm);
	/* ... and where it stands: "ready", "no guest driver", ... */
	const char *(*state)(struct vm *vm);
	/* ... and has the guest not released what was taken away? Then services_left() is due */
	bool (*leaving)(struct vm *vm);
	/* what info says of it beyond the common fields: put it into @o */
	void (*describe)(struct vm *vm, json_t *o);
	/* why it cannot be switched off just now, one phrase; NULL: it can */
	const char *(*keep)(const struct vm *vm);
};

/**
 * services_add() - Put a service into the table, and offer it if the VM's options want it
 * @which: not there yet
 * @ic:    initialised, not offered; borrowed. NULL: it is no IC
 * @hooks: borrowed; NULL = none
 *
 * Return: 0; -errno, logged: the options ask for versions that there are not, or it cannot be
 * offered. Context: main thread, as a step of vm_build(), when there is a bus.
 */
int services_add(struct vm *vm, enum vm_service which, struct kvmb_ic *ic,
		 const struct service_hooks *hooks);

/** services_destroy() - Forget the table; the bus is destroyed. */
void services_destroy(struct vm *vm);

/** services_left() - The guest has released a service that is no IC. Main thread. */
void services_left(struct vm *vm, enum vm_service which);

/** services_on() - Is it in the table, and switched on? */
bool services_on(const struct vm *vm, enum vm_service which);

/** services_info() - All of them, an object by name: docs/json.md. Main thread. */
json_t *services_info(struct vm *vm);

/**
 * services_set() - Switch a service on or off
 * @spec:  "NAME=on|off[,max=V]", as for opt_ic(); hostile
 * @reply: what services_info() says of it, or why not
 *
 * It is offered anew if its newest version changes. Context: main thread.
 */
void services_set(struct vm *vm, const char *spec, struct ctl_reply reply);

/** services_save() - Section SERVICES; before that of the bus. */
void services_save(const struct vm *vm, struct kvmb_tlv_out *o);

/**
 * services_load() - Section SERVICES: switch them as they were
 * @t: before the bus's, and its bus is not loaded
 *
 * Return: 0; -errno, and @t's error says why. Trust: hostile.
 */
int services_load(struct vm *vm, struct kvmb_tlv *t);

#endif
