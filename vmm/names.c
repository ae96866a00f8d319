// SPDX-License-Identifier: GPL-2.0-only
/* Opening what a configuration names. */
#include "vmm/names.h"

#include <string.h>

#include "host-vsp/net/net.h"
#include "lib/log.h"
#include "lib/rundir.h"
#include "lib/util.h"

static int open_disk(const struct vm_config *cfg, u32 i, struct kvmb_disk_files *out)
{
	struct kvmb_disk_spec spec = cfg->disks[i].spec;
	char why[KVMB_DISK_WHY];
	int err;

	spec.run_dir = kvmb_rundir();
	err = spec.path ? kvmb_disk_resolve(&spec, out, why, sizeof(why)) : 0;
	if (err)
		kvmb_err(cfg->name, "disk %s: %s", spec.path, why);
	return err;
}

u32 nic_passt_mtu(const struct nic_config *nc)
{
	return nc->mtu ? nc->mtu : KVMB_NET_MTU_DEFAULT;
}

static int register_passt(const struct nic_config *nc, struct kvmb_net_files *out, char *why)
{
	struct kvmb_passt_spec spec = { .forwards = nc->forwards,
					.num_forwards = nc->num_forwards,
					.mtu = nic_passt_mtu(nc) };
	int channel = kvmb_net_passt_recipe(&spec, why);

	if (channel > 0)
		out->channel = channel;
	return KVMB_MIN(channel, 0);
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
	if (nc->kind == NIC_NONE)
		return 0;
	if (nc->kind == NIC_USER)
		return register_passt(nc, out, why);
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

void names_seal(const struct vm_config *cfg)
{
	bool load = cfg->hotplug_images;
	u32 i;

	for (i = 0; i < cfg->num_disks; i++)
		load |= cfg->disks[i].spec.path && kvmb_disk_needs_keeper(&cfg->disks[i].spec);
	kvmb_disk_seal(load);
}

void names_close(struct vm_names *n)
{
	u32 i;

	for (i = 0; i < KVMB_MAX_DISKS; i++)
		kvmb_disk_files_close(&n->disks[i]);
	for (i = 0; i < KVMB_MAX_NICS; i++)
		kvmb_net_files_close(&n->nics[i]);
}
