// SPDX-License-Identifier: GPL-2.0-only
/* Standing still: vm_rest.h. First the input, then the drives, then legacy NICs, then the bus. */
#include "vmm/vm_rest.h"

#include "host-vsp/bus/bus_state.h"
#include "lib/util.h"
#include "vmm/disks_ide.h"
#include "vmm/input.h"
#include "vmm/nics_legacy.h"

static void drives_stand(void *arg)
{
	struct vm *vm = arg;

	nics_legacy_rest(vm);
	vm->rest.bus = vm->state != VM_ENDED; /* else its channels close as ever */
	if (vm->rest.bus)
		kvmb_bus_pause(vm->bus, vm->rest.done, vm->rest.arg);
	else
		vm->rest.done(vm->rest.arg);
}

void vm_rest(struct vm *vm, void (*done)(void *arg), void *arg)
{
	kvmb_assert(!vm->rest.bus);
	vm->rest.done = done;
	vm->rest.arg = arg;
	input_let_go(vm);
	disks_ide_rest(vm, drives_stand, vm);
}

void vm_rest_end(struct vm *vm)
{
	bool bus = vm->rest.bus;

	vm->rest.bus = false;
	if (bus)
		kvmb_bus_resume(vm->bus);
	nics_legacy_go_on(vm);
	disks_ide_go_on(vm);
}
