// SPDX-License-Identifier: GPL-2.0-only
/* The sections of a VM, read: vm_sections.h. */
#include "vmm/vm_sections.h"

#include <stdio.h>

#include "host-vsp/bus/bus_state.h"
#include "host-vsp/net/net_state.h"
#include "host-vsp/storage/storage_state.h"
#include "ic-services/ic_state.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/machine_state.h"
#include "vmm/disks.h"
#include "vmm/dynmem.h"
#include "vmm/input.h"
#include "vmm/nics.h"
#include "vmm/nics_legacy.h"
#include "vmm/services.h"
#include "vmm/synth.h"
#include "vmm/vm_state.h"

struct loading {
	struct vm *vm;
	const u8 *sections; /* sections[len] */
	size_t len;
	struct kvmb_tlv_error error;
	bool paused;
	u32 num[KVMB_SEC_LEGACY + 1]; /* sections of this tag */
	u64 place;		      /* of the last section, place_of() */
};

static int no_such(struct kvmb_tlv *t, const char *what)
{
	snprintf(t->error->text, sizeof(t->error->text), "section %s %u: the VM has no such %s",
		 kvmb_tlv_section_name(t->tag), t->instance, what);
	return t->error->err = -EPROTO;
}

static int load_storage(struct loading *r, struct kvmb_tlv *t)
{
	/* one whose disks were all removed is in no option, and the guest has it */
	struct kvmb_storage *s = t->instance < KVMB_STORAGE_IDE ?
					 disks_controller(r->vm, t->instance) :
				 t->instance < KVMB_STORAGE_MAX_CONTROLLERS ?
					 r->vm->scsi[t->instance] : /* its drive's */
					 NULL;

	return s ? kvmb_storage_load(s, t) : no_such(t, "controller");
}

static int load_net(struct loading *r, struct kvmb_tlv *t)
{
	struct kvmb_net *n = t->instance < KVMB_MAX_NICS ? nics_net(r->vm, t->instance) : NULL;

	return n ? kvmb_net_load(n, t) : no_such(t, "NIC");
}

static int load_legacy(struct loading *r, struct kvmb_tlv *t)
{
	return nics_legacy_has(r->vm, t->instance) ? nics_legacy_load(r->vm, t) :
						     no_such(t, "legacy NIC");
}

static int load_ic(struct loading *r, struct kvmb_tlv *t)
{
	const struct kvmb_ic_services ics = { .heartbeat = &r->vm->heartbeat,
					      .shutdown = &r->vm->shutdown,
					      .timesync = &r->vm->timesync,
					      .kvp = &r->vm->kvp,
					      .vss = &r->vm->vss,
					      .fcopy = &r->vm->fcopy };

	return kvmb_ic_load(&ics, t);
}

static int unknown(struct kvmb_tlv *t)
{
	if (!(t->flags & KVMB_TLV_CRITICAL))
		return 0;
	snprintf(t->error->text, sizeof(t->error->text),
		 "section %u is unknown, and critical: it is of a newer kvmbus", t->tag);
	return t->error->err = -EOPNOTSUPP;
}

static bool is_machine(const struct kvmb_tlv *t)
{
	return t->tag == KVMB_SEC_MACHINE || t->tag == KVMB_SEC_VCPU;
}

static int load_section(struct loading *r, struct kvmb_tlv *t)
{
	switch (t->tag) {
	case KVMB_SEC_END:
		return 0;
	case KVMB_SEC_VM:
		return vm_state_load(r->vm, t, &r->paused);
	case KVMB_SEC_MACHINE:
	case KVMB_SEC_VCPU:
		return machine_load(&r->vm->machine, t);
	case KVMB_SEC_STORAGE:
		return load_storage(r, t);
	case KVMB_SEC_LEGACY:
		return load_legacy(r, t);
	case KVMB_SEC_NET:
		return load_net(r, t);
	case KVMB_SEC_BUS:
		return kvmb_bus_load(r->vm->bus, t);
	case KVMB_SEC_IC:
		return load_ic(r, t);
	case KVMB_SEC_SERVICES:
		return services_load(r->vm, t);
	case KVMB_SEC_SYNTH:
		return synth_load(r->vm, t);
	case KVMB_SEC_INPUT:
		return input_load(r->vm, t);
	case KVMB_SEC_MEM_SERVICE:
		return dynmem_load(r->vm, t);
	}
	return unknown(t);
}

/*
 * Where a section stands, 0 = anywhere. The rooms count on the order, and on what an earlier one
 * has loaded; so each section is there once, and behind those that it needs.
 */
static u64 place_of(const struct kvmb_tlv *t)
{
	static const u8 places[] = {
		[KVMB_SEC_VM] = 1,	 [KVMB_SEC_MACHINE] = 2, [KVMB_SEC_VCPU] = 3,
		[KVMB_SEC_STORAGE] = 4,	 [KVMB_SEC_LEGACY] = 5,	 [KVMB_SEC_NET] = 6,
		[KVMB_SEC_SERVICES] = 7, [KVMB_SEC_BUS] = 8,	 [KVMB_SEC_IC] = 9,
		[KVMB_SEC_SYNTH] = 10,	 [KVMB_SEC_INPUT] = 11,	 [KVMB_SEC_MEM_SERVICE] = 12,
		[KVMB_SEC_END] = 13,
	};

	if (t->tag >= ARRAY_SIZE(places) || !places[t->tag])
		return 0;
	return (u64)places[t->tag] << 32 | t->instance;
}

static int note_section(struct loading *r, struct kvmb_tlv *t)
{
	u64 place = place_of(t);

	if (r->num[KVMB_SEC_END] || (place && place <= r->place)) {
		snprintf(r->error.text, sizeof(r->error.text),
			 "section %s %u: it is there twice, or behind one that needs it",
			 kvmb_tlv_section_name(t->tag), t->instance);
		return r->error.err = -EPROTO;
	}
	if (place)
		r->place = place;
	if (t->tag < ARRAY_SIZE(r->num))
		r->num[t->tag]++;
	return 0;
}

/* Each device has its section; those of CPUs are counted by machine_load_done(). */
static int missing(struct loading *r)
{
	u32 want[ARRAY_SIZE(r->num)] = { [KVMB_SEC_VM] = 1,
					 [KVMB_SEC_MACHINE] = 1,
					 [KVMB_SEC_BUS] = 1,
					 [KVMB_SEC_IC] = 3,
					 [KVMB_SEC_END] = 1 };
	u32 i;

	for (i = 0; i < KVMB_STORAGE_MAX_CONTROLLERS; i++)
		want[KVMB_SEC_STORAGE] += r->vm->scsi[i] != NULL;
	for (i = 0; i < KVMB_MAX_NICS; i++) {
		want[KVMB_SEC_NET] += nics_net(r->vm, i) != NULL;
		want[KVMB_SEC_LEGACY] += nics_legacy_has(r->vm, i);
	}
	for (i = 0; i < ARRAY_SIZE(want); i++) {
		if (r->num[i] >= want[i])
			continue;
		snprintf(r->error.text, sizeof(r->error.text), "a section %s is missing",
			 kvmb_tlv_section_name(i));
		return r->error.err = -EPROTO;
	}
	return 0;
}

/* @machine: sections of the machine, or all others. */
static int load_sections(struct loading *r, bool machine)
{
	struct kvmb_tlv t;
	size_t pos = 0;
	int err;

	while (!(err = kvmb_tlv_next(r->sections, r->len, &pos, &t, &r->error))) {
		if (machine) /* the first time */
			err = note_section(r, &t);
		if (!err && is_machine(&t) == machine)
			err = load_section(r, &t);
		if (err)
			return err;
	}
	return err == -ENODATA ? 0 : err;
}

/* The machine first: who loads the bus may raise events on a vCPU. */
static int load_all(struct loading *r)
{
	int err = load_sections(r, true);

	if (!err)
		err = missing(r);
	if (!err)
		err = machine_load_done(&r->vm->machine, &r->error);
	if (err)
		return err;
	kvmb_bus_begin_load(r->vm->bus);
	err = load_sections(r, false);
	if (!err)
		nics_legacy_loaded(r->vm);
	return err;
}

int vm_sections_load(struct vm *vm, const void *sections, size_t len, char *why, size_t size)
{
	struct loading r = { .vm = vm, .sections = sections, .len = len };
	int err = load_all(&r);

	if (err)
		snprintf(why, size, "%s", r.error.text);
	else
		vm_restored(vm, r.paused);
	return err;
}
