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

struct vm_dynmem {
	struct kvmb_memory memory;
};

static u64 pages_of(u64 bytes)
{
	return bytes / KVMB_PAGE_SIZE;
}

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
	return kvmb_memory_offer(&vm->dynmem->memory, vm->bus);
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
	char version[16];

	if (!m)
		return json_null();
	snprintf(version, sizeof(version), "%u.%u", m->version >> 16, m->version & 0xffff);
	return json_pack(
		"{s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, "
		"s:I, s:o, s:I}",
		"state", kvmb_memory_state_name(m), "version",
		m->version ? json_string(version) : json_null(), "startup", in_bytes(m->spec.ram),
		"min", in_bytes(m->spec.min), "max", in_bytes(m->spec.max), "target",
		in_bytes(m->target), "assigned", in_bytes(kvmb_memory_assigned(m)), "ballooned",
		in_bytes(m->ballooned), "added", in_bytes(m->added), "demand",
		reported(m, kvmb_memory_demand(m)), "pressure", pressure_of(m), "available",
		reported(m, m->available), "committed", reported(m, m->committed), "report_age_ms",
		m->reports ? json_integer((json_int_t)(kvmb_now_ms() - m->report_ms)) : json_null(),
		"refusals", (json_int_t)m->refusals, "resident", resident(vm), "reported_free",
		in_bytes(mem_hint_pages(&vm->machine)));
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
