/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The services of a VM that an administrator switches on and off: a table.
 *
 * DOC: Theory of operation
 *
 * Who makes a service puts it here, once, when the VM is built: an integration service by its
 * kvmb_ic, another one (dynamic memory, sockets) by functions. From then on the table offers and
 * revokes it: at once, if the VM's options want it, and at run time by the control socket
 * (vmm/services_set.h). Info and a saved state have all that are in the table.
 *
 * Disks, NICs, screen and keyboard are not here: they are added and removed, not switched.
 */
#ifndef KVMB_SERVICES_H
#define KVMB_SERVICES_H

#include <jansson.h>

#include "vmm/vm.h"

struct service_hooks { /* const; each may be NULL, but for the first three of what is no IC */
	/* of a service that is no IC. Offer it. Return: 0 or -errno */
	int (*offer)(struct vm *vm);
	/* ... and take it away; not called twice */
	void (*revoke)(struct vm *vm);
	/* ... and where it stands: "ready", "no guest driver", ... */
	const char *(*state)(struct vm *vm);
	/* what info says of it beyond the common fields: put it into @o */
	void (*describe)(struct vm *vm, json_t *o);
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

/** services_on() - Is it in the table, and switched on? */
bool services_on(const struct vm *vm, enum vm_service which);

/** services_info() - All of them, an object by name: docs/json.md. Main thread. */
json_t *services_info(struct vm *vm);

#endif
