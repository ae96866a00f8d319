// SPDX-License-Identifier: GPL-2.0-only
/* The sections of a VM, written: vm_sections.h. */
#include "vmm/vm_sections.h"

#include "host-vsp/bus/bus_state.h"
#include "host-vsp/net/net_state.h"
#include "host-vsp/storage/storage_state.h"
#include "ic-services/ic_state.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/machine_state.h"
#include "machine/mem_lazy.h"
#include "vmm/disks.h"
#include "vmm/dynmem.h"
#include "vmm/input.h"
#include "vmm/nics.h"
#include "vmm/nics_legacy.h"
#include "vmm/services.h"
#include "vmm/synth.h"
#include "vmm/vm_state.h"

const char *vm_cannot_move(const struct vm *vm)
{
	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED)
		return "it is being reset, or ends";
	if (vm->machine.testdev)
		return "it has test devices";
	if (disks_busy(vm))
		return "a disk is being opened, resized or closed; try again";
	if (mem_lazy_left(&vm->machine))
		return "its memory is still read from the file that it was saved in; try again";
	if (vm->post)
		return "its memory still comes from where it was; try again";
	return vm->changed;
}

int vm_sections_put(struct vm *vm, bool was_paused, struct kvmb_tlv_out *o)
{
	const struct kvmb_ic_services ics = { .heartbeat = &vm->heartbeat,
					      .shutdown = &vm->shutdown,
					      .timesync = &vm->timesync,
					      .kvp = &vm->kvp,
					      .vss = &vm->vss,
					      .fcopy = &vm->fcopy };
	u32 i;
	int err;

	vm_state_save(vm, was_paused, o);
	err = machine_save(&vm->machine, o);
	if (err)
		return err;
	for (i = 0; i < KVMB_STORAGE_MAX_CONTROLLERS; i++) {
		if (vm->scsi[i])
			kvmb_storage_save(vm->scsi[i], o);
	}
	nics_legacy_save(vm, o);
	for (i = 0; i < KVMB_MAX_NICS; i++) {
		if (nics_net(vm, i))
			kvmb_net_save(nics_net(vm, i), o);
	}
	services_save(vm, o);
	kvmb_bus_save(vm->bus, o);
	kvmb_ic_save(&ics, o);
	synth_save(vm, o);
	input_save(vm, o);
	dynmem_save(vm, o);
	kvmb_tlv_begin(o, KVMB_SEC_END, 0, 0);
	kvmb_tlv_end(o);
	if (o->failed)
		return -ENOMEM;
	return o->len > KVMB_TLV_MAX_SECTION ? -EFBIG : 0;
}
