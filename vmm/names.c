// SPDX-License-Identifier: GPL-2.0-only
/* Opening what a configuration names. */
#include "vmm/names.h"

#include <string.h>

#include "lib/log.h"

int names_open(const struct vm_config *cfg, struct vm_names *out)
{
	char why[KVMB_DISK_WHY];
	u32 i;
	int err = 0;

	memset(out, 0, sizeof(*out));
	for (i = 0; i < cfg->num_disks && !err; i++) {
		const struct kvmb_disk_spec *spec = &cfg->disks[i].spec;

		if (!spec->path) /* an empty drive */
			continue;
		err = kvmb_disk_resolve(spec, &out->disks[i], why, sizeof(why));
		if (err)
			kvmb_err(cfg->name, "disk %s: %s", spec->path, why);
	}
	return err;
}

void names_close(struct vm_names *n)
{
	u32 i;

	for (i = 0; i < KVMB_MAX_DISKS; i++)
		kvmb_disk_files_close(&n->disks[i]);
}
