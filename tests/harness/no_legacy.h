/* SPDX-License-Identifier: GPL-2.0-only */
/* For tests of a VM without legacy NICs. */
#ifndef KVMB_NO_LEGACY_H
#define KVMB_NO_LEGACY_H

#include "lib/util.h"
#include "vmm/nics_legacy.h"

bool nics_legacy_has(const struct vm *vm, u32 index)
{
	(void)vm, (void)index;
	return false;
}

void nics_legacy_rest(struct vm *vm)
{
	kvmb_assert(!vm->legacy);
}

void nics_legacy_go_on(struct vm *vm)
{
	kvmb_assert(!vm->legacy);
}

void nics_legacy_save(struct vm *vm, struct kvmb_tlv_out *o)
{
	(void)o;
	kvmb_assert(!vm->legacy);
}

int nics_legacy_load(struct vm *vm, struct kvmb_tlv *t)
{
	(void)vm, (void)t;
	kvmb_assert(false);
	return 0;
}

void nics_legacy_loaded(struct vm *vm)
{
	kvmb_assert(!vm->legacy);
}

#endif
