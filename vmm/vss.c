// SPDX-License-Identifier: GPL-2.0-only
/* The backup service of a VM: vss.h. */
#include "vmm/vss.h"

#include "vmm/services.h"

/* A guest that has lost its channel while it is frozen is thawed by nobody. */
static const char *keep_vss(const struct vm *vm)
{
	if (vm->vss.ic.state != KVMB_IC_READY || vm->vss.state < KVMB_VSS_FREEZING)
		return NULL;
	return "the guest is frozen for a backup, or has not thawed yet; try again";
}

static void describe_vss(struct vm *vm, json_t *o)
{
	const struct kvmb_vss *v = &vm->vss;

	json_object_update_new(o, json_pack("{s:s, s:I}", "status", kvmb_vss_state_name(v),
					    "freezes", (json_int_t)v->freezes));
}

int vss_create(struct vm *vm)
{
	static const struct service_hooks hooks = { .describe = describe_vss, .keep = keep_vss };

	kvmb_vss_init(&vm->vss, vm->loop);
	if (vm->cfg.vmbus_max < KVMB_VERSION_WIN8_1)
		return 0;
	return services_add(vm, SERVICE_VSS, &vm->vss.ic, &hooks);
}
