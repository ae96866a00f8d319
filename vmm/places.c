// SPDX-License-Identifier: GPL-2.0-only
/* Where disks and NICs come to be: places.h. */
#include "vmm/places.h"

#include <string.h>

/* 00:15:5D is Hyper-V's; the rest from the VM's name, so that a VM keeps its address */
static void default_mac(const char *name, u32 index, u8 *mac)
{
	u32 h = 0x811c9dc5;
	const char *p;

	for (p = name; *p; p++)
		h = (h ^ (u8)*p) * 0x01000193;
	h += index;
	mac[0] = 0x00;
	mac[1] = 0x15;
	mac[2] = 0x5d;
	mac[3] = (u8)(h >> 16);
	mac[4] = (u8)(h >> 8);
	mac[5] = (u8)h;
}

void places_nic_mac(const char *name, u32 index, const struct nic_config *nc,
		    const struct kvmb_net_files *files, u8 mac[6])
{
	if (nc->has_mac)
		memcpy(mac, nc->mac, 6);
	else if (nc->kind == NIC_MACVTAP && files->has_mac)
		memcpy(mac, files->mac, 6);
	else
		default_mac(name, index, mac);
}

/* One that asks for a place that is taken is refused later, with a message. */
static void settle_disks(struct vm_config *cfg)
{
	u64 taken[KVMB_STORAGE_MAX_CONTROLLERS] = { 0 };
	u32 i, c, lun;

	for (i = 0; i < cfg->num_disks; i++) {
		struct disk_config *dc = &cfg->disks[i];

		c = dc->controller < 0 ? 0 : (u32)dc->controller;
		for (lun = 0; lun < KVMB_STORAGE_MAX_LUNS && taken[c] >> lun & 1; lun++)
			;
		if (dc->lun < 0 && lun < KVMB_STORAGE_MAX_LUNS)
			dc->lun = (int)lun;
		dc->controller = (int)c;
		if (dc->lun >= 0)
			taken[c] |= 1ull << dc->lun;
	}
}

/* Of a VM that comes from elsewhere, where legacy NICs were unknown if no option tells of them. */
static void settle_model(const struct vm_config *cfg, struct nic_config *nc)
{
	bool elsewhere = cfg->state || cfg->incoming || cfg->handed;

	if (nc->model == NIC_UNSAID)
		nc->model = elsewhere ? NIC_SYNTHETIC : NIC_AUTO;
	if (nc->model == NIC_AUTO && (!cfg->machine.gen1 || nc->index >= (int)LEGACY_NICS))
		nc->model = NIC_SYNTHETIC;
}

static void settle_nics(struct vm_config *cfg, const struct vm_names *names)
{
	u32 taken = 0, i, index;

	for (i = 0; i < cfg->num_nics; i++) {
		struct nic_config *nc = &cfg->nics[i];

		for (index = 0; index < KVMB_MAX_NICS && taken >> index & 1; index++)
			;
		if (nc->index < 0 && index < KVMB_MAX_NICS)
			nc->index = (int)index;
		settle_model(cfg, nc);
		if (nc->index < 0)
			continue;
		taken |= 1u << nc->index;
		places_nic_mac(cfg->name, (u32)nc->index, nc, &names->nics[i], nc->mac);
		nc->has_mac = true;
	}
}

static_assert(KVMB_STORAGE_MAX_LUNS <= 64 && KVMB_MAX_NICS <= 32, "a bit for each place");

void places_settle(struct vm_config *cfg, const struct vm_names *names)
{
	settle_disks(cfg);
	settle_nics(cfg, names);
}
