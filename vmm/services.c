// SPDX-License-Identifier: GPL-2.0-only
/* The services of a VM: services.h. */
#include "vmm/services.h"

#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "vmm/opt_ic.h"

struct service {
	struct vm *vm; /* NULL: the VM has none, services_add() */
	enum vm_service which;
	bool on; /* offered, as the administrator wants */
	struct kvmb_ic *ic;
	const struct service_hooks *hooks; /* never NULL */
	bool asked;			   /* @reply is due */
	struct ctl_reply reply;
	struct kvmb_timer limit; /* of @reply */
};

struct vm_services {
	struct service all[SERVICES];
};

static json_t *one_info(const struct service *s);

static int switch_on(struct service *s)
{
	int err = 0;

	if (!s->on)
		err = s->ic ? kvmb_ic_offer(s->ic, s->vm->bus) : s->hooks->offer(s->vm);
	s->on = !err;
	return err;
}

static void switch_off(struct service *s)
{
	if (s->on && s->ic)
		kvmb_ic_revoke(s->ic);
	else if (s->on)
		s->hooks->revoke(s->vm);
	s->on = false;
}

/* ---- who has asked for a change ---- */

static bool has_left(const struct service *s)
{
	if (s->ic)
		return !s->ic->leaving;
	return !s->hooks->leaving || !s->hooks->leaving(s->vm);
}

/* @class: NULL = it was made. */
static void answer_asker(struct service *s, const char *class, const char *why)
{
	if (!s->asked)
		return;
	s->asked = false;
	kvmb_timer_cancel(&s->limit);
	if (class)
		reply_refused(s->reply, class, "service %s: %s", service_name(s->which), why);
	else
		reply_result(s->reply, one_info(s));
}

static void service_left(void *arg)
{
	answer_asker(arg, NULL, NULL);
}

static void waited_enough(void *arg)
{
	struct service *s = arg;

	answer_asker(
		s, "timeout",
		s->on ? "the guest has not released the old one yet; it gets the new one then" :
			"it is off, but the guest has not released it yet");
}

/* What does not run releases nothing: that is to come. */
static void answer_when_left(struct service *s, struct ctl_reply reply)
{
	s->reply = reply;
	s->asked = true;
	if (has_left(s) || s->vm->state != VM_RUNNING)
		answer_asker(s, NULL, NULL);
	else
		kvmb_timer_set(&s->limit, SERVICES_PATIENCE_MS);
}

/* ---- the table ---- */

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
	kvmb_assert(!s->vm && (ic || (hooks && hooks->offer && hooks->revoke && hooks->state)));
	*s = (struct service){ .vm = vm, .which = which, .ic = ic, .hooks = hooks ? hooks : &none };
	kvmb_timer_init(&s->limit, vm->loop, waited_enough, s);
	if (ic) {
		ic->left = service_left;
		ic->left_arg = s;
	}
	if (ic && kvmb_ic_limit(ic, cfg->max)) {
		kvmb_err(vm->cfg.name, "--ic %s=on,max=%u.%u: its first version is %u.%u",
			 service_name(which), cfg->max >> 16, cfg->max & 0xffff,
			 ic->ops->versions[0] >> 16, ic->ops->versions[0] & 0xffff);
		return -EINVAL;
	}
	if (!ic && cfg->max) {
		kvmb_err(vm->cfg.name,
			 "--ic %s=on,max=%u.%u: it takes no max=", service_name(which),
			 cfg->max >> 16, cfg->max & 0xffff);
		return -EINVAL;
	}
	if (!cfg->off)
		err = switch_on(s);
	if (err)
		kvmb_err(vm->cfg.name, "service %s: %s", service_name(which), strerror(-err));
	return err;
}

void services_destroy(struct vm *vm)
{
	unsigned int i;

	for (i = 1; vm->services && i < SERVICES; i++)
		answer_asker(&vm->services->all[i], "failed", "the VM ends");
	free(vm->services);
	vm->services = NULL;
}

bool services_on(const struct vm *vm, enum vm_service which)
{
	return vm->services && vm->services->all[which].on;
}

static struct service *find_service(const struct vm *vm, enum vm_service which)
{
	struct service *s = vm->services ? &vm->services->all[which] : NULL;

	return s && s->vm ? s : NULL;
}

/* Is it taken away from the guest, if only for a moment? */
static bool switches_off(const struct service *s, const struct service_config *wish)
{
	return s->on && (wish->off || (wish->max && wish->max != s->ic->max));
}

void services_left(struct vm *vm, enum vm_service which)
{
	struct service *s = find_service(vm, which);

	if (s && has_left(s))
		answer_asker(s, NULL, NULL);
}

/* A limit that is not named stays as it was. */
static int change(struct service *s, const struct service_config *wish)
{
	if (wish->max && wish->max != s->ic->max) {
		switch_off(s); /* the guest negotiates anew */
		kvmb_ic_limit(s->ic, wish->max);
	}
	if (!wish->off)
		return switch_on(s);
	switch_off(s);
	return 0;
}

void services_set(struct vm *vm, const char *spec, struct ctl_reply reply)
{
	struct service_config wish;
	enum vm_service which;
	struct service *s;
	const char *why_not;
	char why[200];
	int err;

	if (opt_ic(spec, &which, &wish, why, sizeof(why))) {
		reply_refused(reply, "usage", "%s", why);
		return;
	}
	s = find_service(vm, which);
	if (!s) {
		reply_refused(reply, "failed", "the VM has no service %s", service_name(which));
		return;
	}
	if (wish.max && (!s->ic || s->ic->ops->versions[0] > wish.max)) {
		reply_refused(reply, "usage", "service %s has no version as old as %u.%u",
			      service_name(which), wish.max >> 16, wish.max & 0xffff);
		return;
	}
	why_not = switches_off(s, &wish) && s->hooks->keep ? s->hooks->keep(vm) : NULL;
	if (why_not) {
		reply_refused(reply, "state", "service %s: %s", service_name(which), why_not);
		return;
	}
	answer_asker(s, "state", "another command has switched it meanwhile");
	err = change(s, &wish);
	if (err) {
		reply_refused(reply, "failed", "service %s: %s", service_name(which),
			      strerror(-err));
		return;
	}
	kvmb_info(vm->cfg.name, "service %s is switched %s", service_name(which),
		  s->on ? "on" : "off");
	answer_when_left(s, reply);
}

/* ---- info ---- */

static json_t *version_json(u32 v)
{
	return v ? json_sprintf("%u.%u", v >> 16, v & 0xffff) : json_null();
}

static json_t *one_info(const struct service *s)
{
	const struct kvmb_ic *ic = s->ic;
	json_t *o = json_pack("{s:b, s:s}", "enabled", s->on, "state",
			      ic ? kvmb_ic_state_name(ic) : s->hooks->state(s->vm));

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
		s->hooks->describe(s->vm, o);
	return o;
}

json_t *services_info(struct vm *vm)
{
	json_t *all = json_object();
	const struct service *s;
	unsigned int i;

	for (i = 1; i < SERVICES; i++) {
		s = find_service(vm, (enum vm_service)i);
		if (s)
			json_object_set_new(all, service_name(s->which), one_info(s));
	}
	return all;
}

/* ---- saving; numbers are never used again: docs/migration.md ---- */

enum {
	F_SERVICE = 1, /* group, one a service */
};

enum {
	F_WHICH = 1, /* enum vm_service */
	F_ON = 2,
	F_MAX = 3, /* version of messages at most, 0 = all */
};

void services_save(const struct vm *vm, struct kvmb_tlv_out *o)
{
	const struct service *s;
	unsigned int i;

	kvmb_tlv_begin(o, KVMB_SEC_SERVICES, 0, 0);
	for (i = 1; i < SERVICES; i++) {
		s = find_service(vm, (enum vm_service)i);
		if (!s)
			continue;
		kvmb_tlv_group(o, F_SERVICE);
		kvmb_tlv_put(o, F_WHICH, i);
		kvmb_tlv_put(o, F_ON, s->on);
		kvmb_tlv_put(o, F_MAX, s->ic ? s->ic->max : 0);
		kvmb_tlv_group_end(o);
	}
	kvmb_tlv_end(o);
}

/* One that this kvmbus, or this VM, does not have is passed over: then its channel is missed. */
static void load_service(struct vm *vm, struct kvmb_tlv *g, u32 *seen)
{
	unsigned int which = (unsigned int)kvmb_tlv_get(g, F_WHICH, UINT8_MAX);
	bool on = kvmb_tlv_get(g, F_ON, 1);
	u32 max = (u32)kvmb_tlv_get(g, F_MAX, UINT32_MAX);
	struct service *s = which && which < SERVICES ? find_service(vm, which) : NULL;

	if (kvmb_tlv_done(g) || !s)
		return;
	if (*seen & 1u << which) /* each change makes a channel, which goes when the loop runs */
		kvmb_tlv_refuse(g, F_WHICH, "it is there twice");
	else if (s->ic && kvmb_ic_limit(s->ic, max))
		kvmb_tlv_refuse(g, F_MAX, "there is no version as old as that");
	else if (!on)
		switch_off(s);
	else if (switch_on(s))
		kvmb_tlv_refuse(g, F_ON, "it cannot be offered");
	*seen |= 1u << which;
}

int services_load(struct vm *vm, struct kvmb_tlv *t)
{
	struct kvmb_tlv g;
	size_t pos = 0;
	u32 seen = 0;

	while (kvmb_tlv_each(t, F_SERVICE, &pos, &g))
		load_service(vm, &g, &seen);
	return kvmb_tlv_done(t);
}
