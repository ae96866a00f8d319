/* SPDX-License-Identifier: GPL-2.0-only */
/* For tests of a VM without dynamic memory. */
#ifndef KVMB_NO_DYNMEM_H
#define KVMB_NO_DYNMEM_H

#include "lib/util.h"
#include "vmm/dynmem.h"

void dynmem_save(const struct vm *vm, struct kvmb_tlv_out *o)
{
	(void)o;
	kvmb_assert(!vm->dynmem);
}

int dynmem_load(struct vm *vm, struct kvmb_tlv *t)
{
	(void)vm, (void)t;
	kvmb_assert(false);
	return 0;
}

#endif
