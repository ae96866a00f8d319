// SPDX-License-Identifier: GPL-2.0-only
/* Heartbeat, shutdown and time sync of a VM: basics.h. */
#include "vmm/basics.h"

#include "lib/util.h"
#include "vmm/services.h"

static void describe_heartbeat(struct vm *vm, json_t *o)
{
	json_object_set_new(o, "status", json_string(kvmb_heartbeat_status(&vm->heartbeat)));
	json_object_set_new(o, "beats", json_integer((json_int_t)vm->heartbeat.beats));
}

static void describe_timesync(struct vm *vm, json_t *o)
{
	json_object_set_new(o, "syncs", json_integer((json_int_t)vm->timesync.syncs));
	json_object_set_new(o, "samples", json_integer((json_int_t)vm->timesync.samples));
}

int basics_create(struct vm *vm, void (*answered)(void *vm, u32 status))
{
	static const struct service_hooks heartbeat = { .describe = describe_heartbeat };
	static const struct service_hooks timesync = { .describe = describe_timesync };
	int err;

	kvmb_shutdown_init(&vm->shutdown, answered, vm);
	kvmb_timesync_init(&vm->timesync, vm->loop, &vm->machine.vmm);
	kvmb_heartbeat_init(&vm->heartbeat, vm->loop);
	err = services_add(vm, SERVICE_SHUTDOWN, &vm->shutdown.ic, NULL);
	if (!err)
		err = services_add(vm, SERVICE_TIMESYNC, &vm->timesync.ic, &timesync);
	if (!err)
		err = services_add(vm, SERVICE_HEARTBEAT, &vm->heartbeat.ic, &heartbeat);
	return err;
}
