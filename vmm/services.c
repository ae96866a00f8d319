// SPDX-License-Identifier: GPL-2.0-only
/* The services of a VM: services.h. */
#include "vmm/services.h"

#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/util.h"
#include "vmm/opt_ic.h"

struct service {
	bool there; /* services_add() */
	bool on;    /* offered, as the administrator wants */
	struct kvmb_ic *ic;
	const struct service_hooks *hooks; /* never NULL if @there */
};

struct vm_services {
	struct service all[SERVICES];
};

static int switch_on(struct vm *vm, struct service *s)
{
	int err = s->ic ? kvmb_ic_offer(s->ic, vm->bus) : s->hooks->offer(vm);

	s->on = !err;
	return err;
}

int services_add(struct vm *vm, enum vm_service which, struct kvmb_ic *ic,
		 const struct service_hooks *hooks)
{
	static const struct service_hooks none;
	const struct service_config *cfg = &vm->cfg.services[which];
	struct service *s;
	int err = 0;

	if (!vm->services)
		vm->services = kvmb_xzalloc(sizeof(*vm->services));
	s = &vm->services->all[which];
	kvmb_assert(!s->there && (ic || (hooks && hooks->offer && hooks->revoke && hooks->state)));
	*s = (struct service){ .there = true, .ic = ic, .hooks = hooks ? hooks : &none };
	if (ic && kvmb_ic_limit(ic, cfg->max)) {
		kvmb_err(vm->cfg.name, "--ic %s=on,max=%u.%u: its first version is %u.%u",
			 service_name(which), cfg->max >> 16, cfg->max & 0xffff,
			 ic->ops->versions[0] >> 16, ic->ops->versions[0] & 0xffff);
		return -EINVAL;
	}
	if (!cfg->off)
		err = switch_on(vm, s);
	if (err)
		kvmb_err(vm->cfg.name, "service %s: %s", service_name(which), strerror(-err));
	return err;
}

void services_destroy(struct vm *vm)
{
	free(vm->services);
	vm->services = NULL;
}

bool services_on(const struct vm *vm, enum vm_service which)
{
	return vm->services && vm->services->all[which].on;
}

/* ---- info ---- */

static json_t *version_json(u32 v)
{
	return v ? json_sprintf("%u.%u", v >> 16, v & 0xffff) : json_null();
}

static json_t *one_info(struct vm *vm, const struct service *s)
{
	const struct kvmb_ic *ic = s->ic;
	json_t *o = json_pack("{s:b, s:s}", "enabled", s->on, "state",
			      ic ? kvmb_ic_state_name(ic) : s->hooks->state(vm));

	if (ic) {
		json_object_set_new(o, "version",
				    version_json(ic->state == KVMB_IC_READY ? ic->message : 0));
		json_object_set_new(o, "max_version", version_json(ic->max));
		json_object_set_new(o, "last_contact_ms",
				    ic->contact_ms ? json_integer((json_int_t)(kvmb_now_ms() -
									       ic->contact_ms)) :
						     json_null());
	}
	if (s->hooks->describe)
		s->hooks->describe(vm, o);
	return o;
}

json_t *services_info(struct vm *vm)
{
	json_t *all = json_object();
	unsigned int i;

	for (i = 1; vm->services && i < SERVICES; i++) {
		if (vm->services->all[i].there)
			json_object_set_new(all, service_name((enum vm_service)i),
					    one_info(vm, &vm->services->all[i]));
	}
	return all;
}
