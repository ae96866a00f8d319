// SPDX-License-Identifier: GPL-2.0-only
/* PCI: the bus's state in saved VMs. Routes, and where BARs are decoded, follow from registers. */
#include <stdlib.h>

#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/dev/pci.h"
#include "machine/dev/pci_priv.h"

/* Fields of the bus and of a function. Numbers are never used again. */
enum {
	BUS_ADDRESS = 1, /* of port 0xcf8 */
	BUS_FUNC = 2,	 /* a group each */
};

enum {
	FUNC_PLACE = 1,	 /* slot << 3 | number */
	FUNC_ID = 2,	 /* device << 16 | vendor: must be the same */
	FUNC_BARS = 3,	 /* list: size of each, | 1 << 32 of ports: must be the same */
	FUNC_CONFIG = 4, /* 256 bytes as the guest reads them */
};

#define NUM_BARS (PCI_ROM + 1)

static u32 place_of(const struct pci_func *f)
{
	return (u32)f->slot << 3 | f->number;
}

static void list_bars(const struct pci_func *f, u64 list[NUM_BARS])
{
	u32 i;

	for (i = 0; i < NUM_BARS; i++)
		list[i] = f->bars[i].size | (u64)(f->bars[i].size && f->bars[i].io) << 32;
}

static u32 listed_id(const struct pci_func *f)
{
	u32 id = pci_id(f);

	return f->other_id ? KVMB_MIN(id, f->other_id) : id;
}

u32 pci_list(const struct pci_bus *b, u64 *list)
{
	u32 i;

	for (i = 0; i < b->num; i++)
		list[i] = (u64)place_of(b->funcs[i]) << 32 | listed_id(b->funcs[i]);
	return b->num;
}

/* ---- saving ---- */

static void save_func(const struct pci_func *f, struct kvmb_tlv_out *o)
{
	u64 bars[NUM_BARS];

	list_bars(f, bars);
	kvmb_tlv_group(o, BUS_FUNC);
	kvmb_tlv_put(o, FUNC_PLACE, place_of(f));
	kvmb_tlv_put(o, FUNC_ID, pci_id(f));
	kvmb_tlv_put_list(o, FUNC_BARS, bars, NUM_BARS);
	kvmb_tlv_put_bytes(o, FUNC_CONFIG, f->config, sizeof(f->config));
	kvmb_tlv_group_end(o);
}

void pci_save(struct pci_bus *b, struct kvmb_tlv_out *o)
{
	u32 i;

	kvmb_tlv_put(o, BUS_ADDRESS, __atomic_load_n(&b->address, __ATOMIC_RELAXED));
	pthread_rwlock_rdlock(&b->lock);
	for (i = 0; i < b->num; i++)
		save_func(b->funcs[i], o);
	pthread_rwlock_unlock(&b->lock);
}

/* ---- loading ---- */

struct loaded { /* of the function with the same index */
	bool there;
	u32 id;
	u8 config[256];
};

static u32 find_place(const struct pci_bus *b, u32 place)
{
	u32 i;

	for (i = 0; i < b->num && place_of(b->funcs[i]) != place; i++)
		;
	return i;
}

/* Return: NULL, or why the guest would not find what it knows. */
static const char *compare_func(const struct pci_func *f, struct kvmb_tlv *g, u32 *id)
{
	u64 bars[NUM_BARS], *list;
	bool same;
	size_t num;

	*id = (u32)kvmb_tlv_get(g, FUNC_ID, UINT32_MAX);

	list_bars(f, bars);
	list = kvmb_tlv_get_list(g, FUNC_BARS, NUM_BARS, &num);
	same = num == NUM_BARS && !memcmp(list, bars, sizeof(bars));
	free(list);
	if (*id != pci_id(f) && (!f->other_id || *id != f->other_id))
		return "another device is there";
	return same ? NULL : "its registers or its ROM have another size";
}

static void load_func(const struct pci_bus *b, struct loaded *all, struct kvmb_tlv *g)
{
	u32 place = (u32)kvmb_tlv_get(g, FUNC_PLACE, 255), i = find_place(b, place);
	const char *why;
	char text[80];

	if (g->error->err)
		return;
	if (i == b->num)
		why = "this machine does not have it";
	else
		why = all[i].there ? "it comes twice" : compare_func(b->funcs[i], g, &all[i].id);
	if (why && !g->error->err) {
		snprintf(text, sizeof(text), "PCI device %02x.%x: %s", place >> 3, place & 7, why);
		kvmb_tlv_refuse(g, FUNC_PLACE, text);
	}
	if (g->error->err)
		return;
	all[i].there = true;
	kvmb_tlv_copy(g, FUNC_CONFIG, all[i].config, sizeof(all[i].config));
}

static void need_all(const struct pci_bus *b, const struct loaded *all, struct kvmb_tlv *group)
{
	char text[80];
	u32 i;

	for (i = 0; i < b->num && !group->error->err; i++) {
		if (all[i].there)
			continue;
		snprintf(text, sizeof(text), "PCI device %02x.%x: the saved VM did not have it",
			 b->funcs[i]->slot, b->funcs[i]->number);
		kvmb_tlv_refuse(group, BUS_FUNC, text);
	}
}

static void take_func(struct pci_func *f, const struct loaded *l)
{
	if (pci_id(f) != l->id) {
		f->other_id = pci_id(f);
		pci_put16(f, 0, (u16)l->id);
		pci_put16(f, 2, (u16)(l->id >> 16));
	}
	pci_take_config(f, l->config);
}

int pci_load(struct pci_bus *b, struct kvmb_tlv *group)
{
	struct loaded all[PCI_FUNCS] = { 0 };
	u32 address = (u32)kvmb_tlv_get(group, BUS_ADDRESS, 0x80fffffc), i;
	struct kvmb_tlv g;
	size_t pos = 0;

	while (kvmb_tlv_each(group, BUS_FUNC, &pos, &g)) {
		load_func(b, all, &g);
		if (kvmb_tlv_done(&g))
			break;
	}
	need_all(b, all, group);
	if (kvmb_tlv_done(group))
		return group->error->err;
	__atomic_store_n(&b->address, address & 0x80fffffc, __ATOMIC_RELAXED);
	pthread_rwlock_wrlock(&b->lock);
	for (i = 0; i < b->num; i++)
		take_func(b->funcs[i], &all[i]);
	pthread_rwlock_unlock(&b->lock);
	return 0;
}
