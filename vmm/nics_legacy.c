// SPDX-License-Identifier: GPL-2.0-only
/* Legacy NICs of a VM: nics_legacy.h. */
#include "vmm/nics_legacy.h"

#include <stdlib.h>

#include "host-vsp/net/net_state.h"
#include "lib/log.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/boot/boot.h"
#include "machine/dev/pci.h"
#include "machine/gen1.h"
#include "vmm/legacy_nic.h"

#define LOOK_MS 5u /* at threads that are to stand */

static_assert(LEGACY_NIC_SLOT + LEGACY_NICS - 1 <= ACPI_PCI_SLOTS, "each has an interrupt");

struct vm_legacy {
	struct kvmb_net *net;	/* NULL: there is none of this index */
	struct nic_config nc;	/* only numbers and the address are used */
	struct legacy_nic *nic; /* NULL: not connected */
};

struct vm_legacies { /* main thread */
	struct vm *vm;
	struct vm_legacy at[LEGACY_NICS];
	bool rest;
	/* of a reset, or of the end; NULL: none */
	void (*next)(struct vm *vm, void (*done)(void *vm));
	void (*done)(void *vm);
	struct kvmb_timer look;
};

#define for_each_legacy(vm, l)                                   \
	for ((l) = (vm)->legacy ? (vm)->legacy->at : NULL;       \
	     (l) && (l) < (vm)->legacy->at + LEGACY_NICS; (l)++) \
		if ((l)->nic)

/* ---- the twin of a synthetic NIC: host-vsp/net/net.h ---- */

static void twin_use(void *arg)
{
	legacy_nic_use(arg);
}

static void twin_let_go(void *arg)
{
	legacy_nic_let_go(arg);
}

static void twin_announce(void *arg, const void *frame, size_t len)
{
	legacy_nic_announce(arg, frame, len);
}

static const struct kvmb_net_twin twin = { .use = twin_use,
					   .let_go = twin_let_go,
					   .announce = twin_announce };

static void backend_ended(void *arg)
{
	kvmb_net_twin_lost(arg);
}

/* ---- a reset, and the end ---- */

/* One that waits for memory has its device's lock, so nobody touches that before. */
static void look_whether_all_stand(void *arg)
{
	struct vm_legacies *all = arg;
	struct vm *vm = all->vm;
	void (*next)(struct vm * vm, void (*done)(void *vm)) = all->next;
	struct vm_legacy *l;

	for_each_legacy(vm, l) {
		if (!legacy_nic_stands(l->nic)) {
			kvmb_timer_set(&all->look, LOOK_MS);
			return;
		}
	}
	for_each_legacy(vm, l) {
		legacy_nic_reset(l->nic);
		if (vm->state != VM_ENDED)
			legacy_nic_resume(l->nic);
	}
	all->next = NULL;
	next(vm, all->done);
}

void nics_legacy_settle(struct vm *vm, void (*next)(struct vm *vm, void (*done)(void *vm)),
			void (*done)(void *vm))
{
	struct vm_legacy *l;
	bool asked;

	if (!vm->legacy) {
		next(vm, done);
		return;
	}
	asked = vm->legacy->next;
	vm->legacy->next = next;
	vm->legacy->done = done;
	for_each_legacy(vm, l) {
		if (!asked)
			legacy_nic_ask(l->nic);
	}
	if (!asked)
		look_whether_all_stand(vm->legacy);
}

/* ---- life ---- */

void nics_legacy_add(struct vm *vm, u32 index, const struct nic_config *nc, struct kvmb_net *net)
{
	kvmb_assert(index < LEGACY_NICS);
	if (!vm->legacy) {
		vm->legacy = kvmb_xzalloc(sizeof(*vm->legacy));
		vm->legacy->vm = vm;
		kvmb_timer_init(&vm->legacy->look, vm->loop, look_whether_all_stand, vm->legacy);
	}
	vm->legacy->at[index] = (struct vm_legacy){ .net = net, .nc = *nc };
}

bool nics_legacy_has(const struct vm *vm, u32 index)
{
	return vm->legacy && index < LEGACY_NICS && vm->legacy->at[index].net;
}

/* What boots from the network tries all NICs, whichever has its ROM. */
static bool is_first(const struct vm *vm, u32 index)
{
	while (index-- && !vm->legacy->at[index].net)
		;
	return index == ~0u;
}

static int connect_legacy(struct vm *vm, u32 index, struct vm_legacy *l)
{
	struct legacy_nic_spec spec = {
		.slot = (u8)(LEGACY_NIC_SLOT + index),
		.index = (u8)index,
		.mac_spoof = l->nc.mac_spoof,
		.vlan = l->nc.vlan,
		.rate = l->nc.rate,
		.backend = kvmb_net_shared_backend(l->net),
		.lost = backend_ended,
		.arg = l->net,
		.pci = vm->machine.pci,
		.gm = &vm->machine.gm,
	};

	memcpy(spec.mac, l->nc.mac, sizeof(spec.mac));
	if (is_first(vm, index))
		spec.rom = gen1_netboot_rom(vm->machine.gen1, &spec.rom_len);
	l->nic = legacy_nic_create(&spec);
	kvmb_net_set_twin(l->net, &twin, l->nic);
	if (vm->legacy->rest)
		legacy_nic_pause(l->nic);
	return legacy_nic_start(l->nic);
}

int nics_legacy_connect(struct vm *vm)
{
	const struct vm_config *c = &vm->cfg;
	int err = 0;
	u32 i;

	if (!vm->legacy)
		return 0;
	vm->legacy->rest = c->state || c->incoming || c->handed;
	for (i = 0; i < LEGACY_NICS && !err; i++) {
		if (vm->legacy->at[i].net)
			err = connect_legacy(vm, i, &vm->legacy->at[i]);
	}
	if (err)
		kvmb_err(c->name, "legacy NIC %u: no thread: %s", i - 1, strerror(-err));
	return err;
}

void nics_legacy_rest(struct vm *vm)
{
	struct vm_legacy *l;

	if (!vm->legacy || vm->legacy->rest)
		return;
	vm->legacy->rest = true;
	for_each_legacy(vm, l)
		legacy_nic_pause(l->nic);
}

/* Of a VM that has ended none goes: its memory and its network may be another process's. */
void nics_legacy_go_on(struct vm *vm)
{
	struct vm_legacy *l;

	if (!vm->legacy || !vm->legacy->rest || vm->state == VM_ENDED)
		return;
	vm->legacy->rest = false;
	for_each_legacy(vm, l)
		legacy_nic_resume(l->nic);
}

void nics_legacy_end(struct vm *vm)
{
	struct vm_legacy *l;

	for_each_legacy(vm, l) {
		kvmb_net_set_twin(l->net, NULL, NULL);
		legacy_nic_destroy(l->nic);
	}
	if (vm->legacy)
		kvmb_timer_cancel(&vm->legacy->look);
	free(vm->legacy);
	vm->legacy = NULL;
}

/* ---- what is asked of one ---- */

static struct legacy_nic *nic_at(const struct vm *vm, u32 index)
{
	return nics_legacy_has(vm, index) ? vm->legacy->at[index].nic : NULL;
}

void nics_legacy_link(struct vm *vm, u32 index, bool up)
{
	if (nic_at(vm, index))
		legacy_nic_set_link(nic_at(vm, index), up);
}

json_t *nics_legacy_stats(const struct vm *vm, u32 index)
{
	struct legacy_nic_stats s;

	if (!nic_at(vm, index))
		return NULL;
	legacy_nic_get_stats(nic_at(vm, index), &s);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "tx_frames",
			 (json_int_t)s.tx_frames, "tx_bytes", (json_int_t)s.tx_bytes, "rx_frames",
			 (json_int_t)s.rx_frames, "rx_bytes", (json_int_t)s.rx_bytes, "tx_dropped",
			 (json_int_t)s.tx_dropped, "tx_spoofed", (json_int_t)s.tx_spoofed,
			 "rx_missed", (json_int_t)s.rx_missed, "rx_dropped",
			 (json_int_t)s.rx_dropped);
}

/* ---- saved VMs ---- */

/* Fields of a section LEGACY. Numbers are never used again. */
enum {
	LEGACY_LIVE = 1, /* 1: it has the network, not its synthetic twin */
	LEGACY_NIC = 2,	 /* group: legacy_nic.c */
};

void nics_legacy_save(struct vm *vm, struct kvmb_tlv_out *o)
{
	struct kvmb_net_info i;
	struct vm_legacy *l;

	for_each_legacy(vm, l) {
		kvmb_net_get_info(l->net, &i);
		kvmb_tlv_begin(o, KVMB_SEC_LEGACY, i.index, KVMB_TLV_CRITICAL);
		kvmb_tlv_put(o, LEGACY_LIVE, i.emulated);
		kvmb_tlv_group(o, LEGACY_NIC);
		legacy_nic_save(l->nic, o);
		kvmb_tlv_group_end(o);
		kvmb_tlv_end(o);
	}
}

int nics_legacy_load(struct vm *vm, struct kvmb_tlv *t)
{
	struct legacy_nic *nic = nic_at(vm, t->instance);
	struct kvmb_net_info i;
	struct kvmb_tlv group;
	size_t pos = 0;
	bool live;
	int err;

	kvmb_assert(nic);
	live = kvmb_tlv_get(t, LEGACY_LIVE, 1);
	kvmb_net_get_info(vm->legacy->at[t->instance].net, &i);
	if (!live && !i.offered)
		kvmb_tlv_refuse(t, LEGACY_LIVE, "here it is no synthetic NIC");
	if (!kvmb_tlv_each(t, LEGACY_NIC, &pos, &group))
		kvmb_tlv_refuse(t, LEGACY_NIC, "it is missing");
	err = kvmb_tlv_done(t);
	if (!err && !live)
		kvmb_net_load_owner(vm->legacy->at[t->instance].net);
	return err ? err : legacy_nic_load(nic, &group);
}

void nics_legacy_loaded(struct vm *vm)
{
	struct vm_legacy *l;

	for_each_legacy(vm, l)
		legacy_nic_loaded(l->nic);
}
