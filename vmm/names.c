// SPDX-License-Identifier: GPL-2.0-only
/* Opening what a configuration names. */
#include "vmm/names.h"

#include <string.h>

#include "lib/log.h"

static int open_disk(const struct vm_config *cfg, u32 i, struct kvmb_disk_files *out)
{
	const struct kvmb_disk_spec *spec = &cfg->disks[i].spec;
	char why[KVMB_DISK_WHY];
	int err = spec->path ? kvmb_disk_resolve(spec, out, why, sizeof(why)) : 0;

	if (err)
		kvmb_err(cfg->name, "disk %s: %s", spec->path, why);
	return err;
}

const char *nic_word(const struct nic_config *nc)
{
	return nc->ifname ? nc->ifname : nc->kind == NIC_USER ? "user" : "none";
}

int names_open_nic(const struct nic_config *nc, u32 cpus, struct kvmb_net_files *out, char *why)
{
	struct kvmb_net_want w = { .ifname = nc->ifname, .num_queues = nc->queues, .max = cpus,
				   .mtu = nc->mtu, .mac = nc->has_mac ? nc->mac : NULL };

	*out = (struct kvmb_net_files){ 0 };
	if (nc->kind == NIC_USER || nc->kind == NIC_NONE)
		return 0;
	w.kind = nc->kind == NIC_TAP	 ? KVMB_NET_TAP :
		 nc->kind == NIC_MACVTAP ? KVMB_NET_MACVTAP :
					   KVMB_NET_BRIDGE;
	return kvmb_net_tap_resolve(&w, out, why);
}

static int open_nic_of(const struct vm_config *cfg, u32 i, struct kvmb_net_files *out)
{
	char why[KVMB_NET_WHY];
	int err = names_open_nic(&cfg->nics[i], cfg->machine.cpus, out, why);

	if (err)
		kvmb_err(cfg->name, "nic %s: %s", nic_word(&cfg->nics[i]), why);
	return err;
}

int names_open(const struct vm_config *cfg, struct vm_names *out)
{
	u32 i;
	int err = 0;

	memset(out, 0, sizeof(*out));
	for (i = 0; i < cfg->num_disks && !err; i++)
		err = open_disk(cfg, i, &out->disks[i]);
	for (i = 0; i < cfg->num_nics && !err; i++)
		err = open_nic_of(cfg, i, &out->nics[i]);
	return err;
}

void names_close(struct vm_names *n)
{
	u32 i;

	for (i = 0; i < KVMB_MAX_DISKS; i++)
		kvmb_disk_files_close(&n->disks[i]);
	for (i = 0; i < KVMB_MAX_NICS; i++)
		kvmb_net_files_close(&n->nics[i]);
}
