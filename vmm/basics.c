// SPDX-License-Identifier: GPL-2.0-only
/* Heartbeat, shutdown and time sync of a VM: basics.h. */
#include "vmm/basics.h"

#include <string.h>

#include "lib/log.h"
#include "lib/util.h"
#include "vmm/services.h"

/* ---- heartbeat ---- */

static bool heartbeat_excused(void *arg)
{
	const struct vm *vm = arg;

	return vm->state != VM_RUNNING || vm->waits || vm->cut_off; /* vCPUs wait for memory */
}

static void heartbeat_changed(void *arg, enum kvmb_heartbeat_state from)
{
	struct vm *vm = arg;
	enum kvmb_heartbeat_state now = vm->heartbeat.state;

	if (vm->cfg.on_lost == ON_LOST_NONE)
		return;
	if (from == KVMB_HEARTBEAT_LOST && now == KVMB_HEARTBEAT_OK)
		kvmb_warn(vm->cfg.name, "heartbeat: the guest answers again");
	if (now != KVMB_HEARTBEAT_LOST)
		return;
	kvmb_warn(vm->cfg.name, "heartbeat lost: the guest has not answered for %u s%s",
		  vm->heartbeat.lost_ms / 1000,
		  vm->cfg.on_lost == ON_LOST_RESET ? "; resetting it (--on-heartbeat-lost)" : "");
	if (vm->cfg.on_lost == ON_LOST_RESET)
		vm_reset(vm);
}

/* Windows says it, Linux returns what it got. */
static json_t *applications(u32 state)
{
	return state == 1 ? json_string("healthy") :
	       state == 2 ? json_string("critical") :
			    json_null();
}

static void describe_heartbeat(struct vm *vm, json_t *o)
{
	const struct kvmb_heartbeat *h = &vm->heartbeat;

	json_object_update_new(o, json_pack("{s:s, s:I, s:I, s:I, s:o}", "status",
					    kvmb_heartbeat_status(h), "beats", (json_int_t)h->beats,
					    "losses", (json_int_t)h->losses, "lost_after_ms",
					    (json_int_t)h->lost_ms, "applications",
					    applications(h->app_state)));
}

/* ---- time sync ---- */

static void describe_timesync(struct vm *vm, json_t *o)
{
	const struct kvmb_timesync *t = &vm->timesync;
	json_t *age = json_null(), *answer = json_null(), *offset = json_null();

	if (t->sync_ms) {
		age = json_integer((json_int_t)(kvmb_now_ms() - t->sync_ms));
		answer = t->sync_due ? json_null() : json_integer((json_int_t)t->answer_ms);
	}
	if (t->has_offset)
		offset = json_integer((json_int_t)(t->offset_100ns / 10000));
	json_object_update_new(o, json_pack("{s:I, s:I, s:I, s:o, s:o, s:o}", "syncs",
					    (json_int_t)t->syncs, "samples", (json_int_t)t->samples,
					    "host_steps", (json_int_t)t->steps, "last_sync_ms", age,
					    "answer_ms", answer, "guest_offset_ms", offset));
}

/* ---- life ---- */

int basics_create(struct vm *vm, void (*answered)(void *vm, u32 status))
{
	static const struct service_hooks heartbeat = { .describe = describe_heartbeat };
	static const struct service_hooks timesync = { .describe = describe_timesync };
	int err;

	kvmb_shutdown_init(&vm->shutdown, answered, vm);
	kvmb_timesync_init(&vm->timesync, vm->loop, &vm->machine.vmm);
	kvmb_heartbeat_init(&vm->heartbeat, vm->loop);
	vm->heartbeat.arg = vm;
	vm->heartbeat.changed = heartbeat_changed;
	vm->heartbeat.excused = heartbeat_excused;
	if (vm->cfg.lost_after_s)
		vm->heartbeat.lost_ms = vm->cfg.lost_after_s * 1000;
	err = kvmb_timesync_watch(&vm->timesync);
	if (err)
		kvmb_warn(vm->cfg.name, "steps of the host's clock are not noticed: %s",
			  strerror(-err));
	err = services_add(vm, SERVICE_SHUTDOWN, &vm->shutdown.ic, NULL);
	if (!err)
		err = services_add(vm, SERVICE_TIMESYNC, &vm->timesync.ic, &timesync);
	if (!err)
		err = services_add(vm, SERVICE_HEARTBEAT, &vm->heartbeat.ic, &heartbeat);
	return err;
}

void basics_destroy(struct vm *vm)
{
	kvmb_timesync_unwatch(&vm->timesync);
}
