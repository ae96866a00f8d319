// SPDX-License-Identifier: GPL-2.0-only
/* Opening what a configuration names. */
#include "vmm/names.h"

#include <string.h>

#include "host-vsp/net/net.h"
#include "lib/log.h"
#include "lib/rundir.h"
#include "lib/util.h"
#include "lib/zstd_lib.h"
#include "vmm/disk_copies.h"
#include "vmm/handed.h"

static int *find_handed(const struct vm_config *cfg, u32 i)
{
	const struct disk_config *dc = &cfg->disks[i];
	u32 n, ide = 0;

	for (n = 0; n < i; n++)
		ide += cfg->disks[n].ide;
	if (dc->ide)
		return ide < HANDED_IDE_DISKS ? &cfg->handed->disks[KVMB_MAX_DISKS + ide] : NULL;
	/* a keeper's options say the place of each */
	if (dc->controller < 0 || dc->controller >= (int)KVMB_STORAGE_MAX_CONTROLLERS ||
	    dc->lun < 0 || dc->lun >= (int)KVMB_STORAGE_MAX_LUNS)
		return NULL;
	return &cfg->handed->disks[dc->controller * (int)KVMB_STORAGE_MAX_LUNS + dc->lun];
}

/* What is handed over is looked at with the rights of who starts this process. */
static int adopt_disk(const struct vm_config *cfg, u32 i, struct kvmb_disk_files *out, char *why)
{
	int *fd = find_handed(cfg, i), err = -ENOENT;

	if (fd && *fd)
		err = kvmb_disk_adopt(&cfg->disks[i].spec, *fd, out, why, KVMB_DISK_WHY);
	else
		snprintf(why, KVMB_DISK_WHY, "it was not handed over");
	if (!err)
		*fd = 0;
	return err;
}

/* One whose content comes along has no file so far. */
static int resolve_disk(const struct vm_config *cfg, u32 i, const struct kvmb_disk_spec *spec,
			struct kvmb_disk_files *out, char *why)
{
	int err = spec->copied ?
			  disk_copies_create(cfg->copies, &cfg->disks[i], why, KVMB_DISK_WHY) :
			  0;

	return err ? err : kvmb_disk_resolve(spec, out, why, KVMB_DISK_WHY);
}

static int open_disk(const struct vm_config *cfg, u32 i, struct kvmb_disk_files *out)
{
	struct kvmb_disk_spec spec = cfg->disks[i].spec;
	char why[KVMB_DISK_WHY];
	int err;

	spec.run_dir = kvmb_rundir();
	if (!spec.path)
		err = 0;
	else if (cfg->handed)
		err = adopt_disk(cfg, i, out, why);
	else
		err = resolve_disk(cfg, i, &spec, out, why);
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

static struct kvmb_net_want nic_want(const struct nic_config *nc, u32 cpus)
{
	return (struct kvmb_net_want){
		.kind = nc->kind == NIC_TAP	? KVMB_NET_TAP :
			nc->kind == NIC_MACVTAP ? KVMB_NET_MACVTAP :
						  KVMB_NET_BRIDGE,
		.ifname = nc->ifname,
		.num_queues = nc->queues,
		.max = cpus,
		.mtu = nc->mtu,
		.mac = nc->has_mac ? nc->mac : NULL,
	};
}

int names_open_nic(const struct nic_config *nc, u32 cpus, struct kvmb_net_files *out, char *why)
{
	struct kvmb_net_want w = nic_want(nc, cpus);

	*out = (struct kvmb_net_files){ 0 };
	if (nc->kind == NIC_NONE)
		return 0;
	if (nc->kind == NIC_USER)
		return register_passt(nc, out, why);
	return kvmb_net_tap_resolve(&w, out, why);
}

static int adopt_nic(const struct vm_config *cfg, u32 i, struct kvmb_net_files *out, char *why)
{
	const struct nic_config *nc = &cfg->nics[i];
	u32 index = KVMB_MIN((u32)nc->index, KVMB_MAX_NICS - 1); /* -1: not of this VM's keeper */
	struct kvmb_net_files *handed = &cfg->handed->nics[index];
	struct kvmb_net_want w = nic_want(nc, cfg->machine.cpus);
	int err;

	*out = (struct kvmb_net_files){ 0 };
	if (nc->kind == NIC_NONE)
		return 0;
	if (nc->kind == NIC_USER) {
		snprintf(why, KVMB_NET_WHY, "its connections cannot be handed over yet");
		return -EOPNOTSUPP;
	}
	err = kvmb_net_tap_adopt(&w, handed->fd, handed->num, out, why);
	if (!err)
		*handed = (struct kvmb_net_files){ 0 };
	return err;
}

static int open_nic_of(const struct vm_config *cfg, u32 i, struct kvmb_net_files *out)
{
	char why[KVMB_NET_WHY];
	int err = cfg->handed ? adopt_nic(cfg, i, out, why) :
				names_open_nic(&cfg->nics[i], cfg->machine.cpus, out, why);

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
	char why[200];
	u32 i;

	for (i = 0; i < cfg->num_disks; i++)
		load |= cfg->disks[i].spec.path && kvmb_disk_needs_keeper(&cfg->disks[i].spec);
	kvmb_disk_seal(load);
	kvmb_zstd_load(why, sizeof(why)); /* a save that wants it says that it is missing */
}

void names_close(struct vm_names *n)
{
	u32 i;

	for (i = 0; i < KVMB_MAX_DISKS; i++)
		kvmb_disk_files_close(&n->disks[i]);
	for (i = 0; i < KVMB_MAX_NICS; i++)
		kvmb_net_files_close(&n->nics[i]);
}
