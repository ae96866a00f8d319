// SPDX-License-Identifier: GPL-2.0-only
/* Can a VM go on here? machine_match.h. */
#include "machine/machine_match.h"

#include <inttypes.h>
#include <stdlib.h>

#include "lib/util.h"
#include "machine/cpuid.h"
#include "machine/gen1.h"
#include "machine/vcpu.h"

/* Base and size of each region. Return: numbers in @list. */
static size_t list_regions(const struct machine *m, u64 list[2 * KVMB_GM_MAX_REGIONS])
{
	unsigned int i;

	for (i = 0; i < m->gm.num_regions; i++) {
		list[2 * i] = m->gm.regions[i].base;
		list[2 * i + 1] = m->gm.regions[i].size;
	}
	return 2 * m->gm.num_regions;
}

void machine_match_put(const struct machine *m, struct kvmb_tlv_out *o)
{
	u64 regions[2 * KVMB_GM_MAX_REGIONS];

	kvmb_tlv_put(o, MACHINE_MATCH_CPUS, m->cfg.cpus);
	kvmb_tlv_put_list(o, MACHINE_MATCH_REGIONS, regions, list_regions(m, regions));
	kvmb_tlv_put(o, MACHINE_MATCH_TSC_KHZ, m->tsc.khz);
	if (!m->gen1)
		return;
	kvmb_tlv_group(o, MACHINE_MATCH_GEN1);
	gen1_match_put(m->gen1, o);
	kvmb_tlv_group_end(o);
	kvmb_tlv_critical(o);
}

static void check_gen1(const struct machine *m, struct kvmb_tlv *t)
{
	struct kvmb_tlv group;
	size_t pos = 0;
	bool was = kvmb_tlv_has(t, MACHINE_MATCH_GEN1);

	if (was != (m->gen1 != NULL))
		kvmb_tlv_refuse(t, MACHINE_MATCH_GEN1,
				was ? "it began in firmware: start it without --kernel" :
				      "it began in a kernel: start it with --kernel");
	else if (was && kvmb_tlv_each(t, MACHINE_MATCH_GEN1, &pos, &group))
		gen1_match_check(m->gen1, &group);
}

void machine_match_check(const struct machine *m, struct kvmb_tlv *t)
{
	u64 regions[2 * KVMB_GM_MAX_REGIONS], *list;
	size_t num, len = list_regions(m, regions);
	char why[130];
	u32 khz;

	if (kvmb_tlv_get(t, MACHINE_MATCH_CPUS, KVMB_MAX_CPUS) != m->cfg.cpus)
		kvmb_tlv_refuse(t, MACHINE_MATCH_CPUS, "it had another number of CPUs");
	list = kvmb_tlv_get_list(t, MACHINE_MATCH_REGIONS, ARRAY_SIZE(regions), &num);
	if (num != len || (num && memcmp(list, regions, num * sizeof(*list))))
		kvmb_tlv_refuse(t, MACHINE_MATCH_REGIONS, "its memory was laid out otherwise");
	free(list);
	check_gen1(m, t);
	khz = (u32)kvmb_tlv_get(t, MACHINE_MATCH_TSC_KHZ, UINT32_MAX);
	if (!guest_tsc_fits(&m->tsc, khz)) {
		snprintf(why, sizeof(why),
			 "its time stamp counter ran at %" PRIu32 " kHz, this host's at %" PRIu32
			 ", and this CPU cannot scale it",
			 khz, m->tsc.host_khz);
		kvmb_tlv_refuse(t, MACHINE_MATCH_TSC_KHZ, why);
	}
}

/* ---- CPUID ---- */

void machine_match_put_cpuid(const struct vcpu *v, struct kvmb_tlv_out *o, unsigned int field)
{
	kvmb_tlv_put_bytes(o, field, v->cpuid->entries,
			   v->cpuid->nent * sizeof(v->cpuid->entries[0]));
}

struct kvm_cpuid2 *machine_match_take_cpuid(const struct vcpu *v, struct kvmb_tlv *t,
					    unsigned int field)
{
	struct kvm_cpuid2 *c;
	char why[160];
	size_t len;
	const u8 *p = kvmb_tlv_get_bytes(t, field, &len);
	u32 num = (u32)(len / sizeof(c->entries[0]));

	if (!p)
		return NULL;
	if (len % sizeof(c->entries[0]) || num > CPUID_MAX_LEAVES) {
		kvmb_tlv_refuse(t, field, "this is no list of leaves");
		return NULL;
	}
	c = kvmb_xzalloc(sizeof(*c) + len);
	c->nent = num;
	memcpy(c->entries, p, len);
	if (!cpuid_check_kept(v, c->entries, num, why, sizeof(why)))
		return c;
	kvmb_tlv_refuse(t, field, why);
	free(c);
	return NULL;
}

/* ---- section host ---- */

void machine_match_save(const struct machine *m, struct kvmb_tlv_out *o)
{
	kvmb_tlv_begin(o, KVMB_SEC_HOST, 0, KVMB_TLV_CRITICAL);
	machine_match_put(m, o);
	machine_match_put_cpuid(&m->vcpus[0], o, MACHINE_MATCH_CPUID);
	kvmb_tlv_end(o);
}

int machine_match_load(const struct machine *m, struct kvmb_tlv *t)
{
	machine_match_check(m, t);
	free(machine_match_take_cpuid(&m->vcpus[0], t, MACHINE_MATCH_CPUID));
	return kvmb_tlv_done(t);
}
