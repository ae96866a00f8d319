// SPDX-License-Identifier: GPL-2.0-only
/* A VM's dynamic memory: dynmem.h. */
#include "vmm/dynmem.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "host-vsp/memory/memory.h"
#include "lib/log.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/mem_hint.h"
#include "vmm/opt.h"
#include "vmm/services.h"

struct vm_dynmem {
	struct kvmb_memory memory;
};

static u64 pages_of(u64 bytes)
{
	return bytes / KVMB_PAGE_SIZE;
}

/* ---- as one of the VM's services ---- */

static int offer_memory(struct vm *vm)
{
	return kvmb_memory_offer(&vm->dynmem->memory, vm->bus);
}

static void revoke_memory(struct vm *vm)
{
	kvmb_memory_revoke(&vm->dynmem->memory);
}

static const char *memory_state(struct vm *vm)
{
	return kvmb_memory_state_name(&vm->dynmem->memory);
}

static bool memory_leaves(struct vm *vm)
{
	return vm->dynmem->memory.leaving;
}

static void memory_left(void *arg)
{
	services_left(arg, SERVICE_MEMORY);
}

static json_t *version_of(const struct kvmb_memory *m)
{
	return m->version ? json_sprintf("%u.%u", m->version >> 16, m->version & 0xffff) :
			    json_null();
}

static json_t *report_age(const struct kvmb_memory *m)
{
	return m->reports ? json_integer((json_int_t)(kvmb_now_ms() - m->report_ms)) : json_null();
}

static void describe_memory(struct vm *vm, json_t *o)
{
	const struct kvmb_memory *m = &vm->dynmem->memory;

	json_object_set_new(o, "version", version_of(m));
	json_object_set_new(o, "last_contact_ms", report_age(m));
}

static const struct service_hooks memory_hooks = { .offer = offer_memory,
						   .revoke = revoke_memory,
						   .state = memory_state,
						   .leaving = memory_leaves,
						   .describe = describe_memory };

/* ---- life ---- */

int dynmem_create(struct vm *vm)
{
	const struct machine_config *c = &vm->cfg.machine;
	struct machine *m = &vm->machine;
	const struct kvmb_memory_spec spec = {
		.loop = vm->loop,
		.gm = &m->gm,
		.who = vm->cfg.name,
		.ram = pages_of(c->memory),
		.hot_page = pages_of(m->hot.offset),
		.hot = pages_of(m->hot.size),
		.min = pages_of(c->memory_min),
		.max = pages_of(c->memory_max),
	};

	if (!c->memory_max)
		return 0;
	vm->dynmem = kvmb_xzalloc(sizeof(*vm->dynmem));
	if (kvmb_memory_create(&vm->dynmem->memory, &spec)) {
		kvmb_err(vm->cfg.name, "dynamic memory: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	m->gm.away = vm->dynmem->memory.away;
	vm->dynmem->memory.left = memory_left;
	vm->dynmem->memory.left_arg = vm;
	if (c->hibernation)
		kvmb_warn(vm->cfg.name, "dynamic memory: Linux does without it if it may hibernate "
					"(--hibernation on)");
	return services_add(vm, SERVICE_MEMORY, NULL, &memory_hooks);
}

void dynmem_destroy(struct vm *vm)
{
	if (!vm->dynmem)
		return;
	vm->machine.gm.away = NULL;
	kvmb_memory_destroy(&vm->dynmem->memory);
	free(vm->dynmem);
	vm->dynmem = NULL;
}

void dynmem_rebooted(struct vm *vm)
{
	if (vm->dynmem)
		kvmb_memory_reset(&vm->dynmem->memory);
}

/* ---- what is shown and set ---- */

static json_int_t in_bytes(u64 pages)
{
	return (json_int_t)(pages * KVMB_PAGE_SIZE);
}

/* Percent of what it has, as Hyper-V shows it: above 100 it wants more. */
static json_t *pressure_of(const struct kvmb_memory *m)
{
	u64 has = kvmb_memory_assigned(m);

	if (!m->reports || !has)
		return json_null();
	return json_integer((json_int_t)(kvmb_memory_demand(m) * 100 / has));
}

/* What the host has of it: all that was touched, and not given away since. */
static json_t *resident(const struct vm *vm)
{
	struct stat st;

	if (fstat(vm->machine.gm.memfd, &st))
		return json_null();
	return json_integer((json_int_t)st.st_blocks * 512);
}

static json_t *reported(const struct kvmb_memory *m, u64 pages)
{
	return m->reports ? json_integer(in_bytes(pages)) : json_null();
}

json_t *dynmem_info(const struct vm *vm)
{
	const struct kvmb_memory *m = vm->dynmem ? &vm->dynmem->memory : NULL;

	if (!m)
		return json_null();
	return json_pack("{s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, "
			 "s:I, s:o, s:I}",
			 "state", kvmb_memory_state_name(m), "version", version_of(m), "startup",
			 in_bytes(m->spec.ram), "min", in_bytes(m->spec.min), "max",
			 in_bytes(m->spec.max), "target", in_bytes(m->target), "assigned",
			 in_bytes(kvmb_memory_assigned(m)), "ballooned", in_bytes(m->ballooned),
			 "added", in_bytes(m->added), "demand", reported(m, kvmb_memory_demand(m)),
			 "pressure", pressure_of(m), "available", reported(m, m->available),
			 "committed", reported(m, m->committed), "report_age_ms", report_age(m),
			 "refusals", (json_int_t)m->refusals, "resident", resident(vm),
			 "reported_free", in_bytes(mem_hint_pages(&vm->machine)));
}

static bool has_dynmem(struct vm *vm, struct ctl_reply reply)
{
	if (vm->dynmem)
		return true;
	reply_refused(
		reply, "state",
		"the VM has no dynamic memory; start it with --memory SIZE,min=SIZE,max=SIZE");
	return false;
}

void dynmem_show(struct vm *vm, struct ctl_reply reply)
{
	if (has_dynmem(vm, reply))
		reply_result(reply, dynmem_info(vm));
}

void dynmem_set(struct vm *vm, u64 bytes, struct ctl_reply reply)
{
	char min[32], max[32];

	if (!has_dynmem(vm, reply))
		return;
	if (!kvmb_memory_set(&vm->dynmem->memory, pages_of(bytes))) {
		reply_result(reply, dynmem_info(vm));
		return;
	}
	reply_refused(reply, "usage", "the VM can have %s to %s",
		      opt_size_str(vm->cfg.machine.memory_min, min, sizeof(min)),
		      opt_size_str(vm->cfg.machine.memory_max, max, sizeof(max)));
}

/* ---- saving ---- */

void dynmem_save(const struct vm *vm, struct kvmb_tlv_out *o)
{
	if (!vm->dynmem)
		return;
	kvmb_tlv_begin(o, KVMB_SEC_MEM_SERVICE, 0, KVMB_TLV_CRITICAL);
	kvmb_memory_save(&vm->dynmem->memory, o);
	kvmb_tlv_end(o);
}

int dynmem_load(struct vm *vm, struct kvmb_tlv *t)
{
	if (vm->dynmem)
		return kvmb_memory_load(&vm->dynmem->memory, t);
	kvmb_tlv_refuse(t, 1, "the VM has no dynamic memory: --memory SIZE,min=SIZE,max=SIZE");
	return t->error->err;
}
