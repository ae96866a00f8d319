// SPDX-License-Identifier: GPL-2.0-only
/* What firmware boots from: boot_order.h. */
#include "vmm/boot_order.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/util.h"

static const char *const words[BOOT_KINDS] = { "disk", "cdrom", "net" };

static int word_at(const char *s)
{
	int i;

	for (i = 0; i < BOOT_KINDS && strcmp(words[i], s); i++)
		;
	return i;
}

static bool has(const struct boot_order *o, int from)
{
	u32 i;

	for (i = 0; i < o->num; i++) {
		if ((int)o->from[i] == from)
			return true;
	}
	return false;
}

int boot_order_parse(char *s, struct boot_order *out, const char **word)
{
	struct boot_order o = { 0 };
	char *at = s;
	int from;

	while ((*word = strsep(&at, ","))) {
		from = word_at(*word);
		if (!strcmp(*word, "menu") && !o.menu)
			o.menu = true;
		else if (from < BOOT_KINDS && !has(&o, from))
			o.from[o.num++] = (enum boot_from)from;
		else
			return -EINVAL;
	}
	*out = o;
	return 0;
}

static void put_drives(FILE *f, const struct vm_config *cfg, bool dvd)
{
	u32 drive, i;

	for (drive = 0; drive < KVMB_STORAGE_MAX_CONTROLLERS - KVMB_STORAGE_IDE; drive++) {
		for (i = 0; i < cfg->num_disks; i++) {
			if (cfg->disks[i].controller == (int)(KVMB_STORAGE_IDE + drive) &&
			    cfg->disks[i].spec.dvd == dvd)
				fprintf(f, "/pci@i0cf8/ide@1,1/drive@%x/disk@%x\n", drive / 2,
					drive % 2);
		}
	}
}

static void put_nics(FILE *f, const struct vm_config *cfg)
{
	int index;
	u32 i;

	for (index = 0; index < (int)LEGACY_NICS; index++) {
		for (i = 0; i < cfg->num_nics; i++) {
			if (cfg->nics[i].index == index && nic_is_legacy(&cfg->nics[i]))
				fprintf(f, "/pci@i0cf8/ethernet@%x\n",
					LEGACY_NIC_SLOT + (u32)index);
		}
	}
}

static void put_kind(FILE *f, const struct vm_config *cfg, enum boot_from from)
{
	if (from == BOOT_NET)
		put_nics(f, cfg);
	else
		put_drives(f, cfg, from == BOOT_CDROM);
}

char *boot_order_list(const struct vm_config *cfg)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	int from;
	u32 i;

	kvmb_assert(f);
	for (i = 0; i < cfg->boot.num; i++)
		put_kind(f, cfg, cfg->boot.from[i]);
	for (from = 0; from < BOOT_KINDS; from++) {
		if (!has(&cfg->boot, from))
			put_kind(f, cfg, (enum boot_from)from);
	}
	kvmb_assert(!fclose(f));
	return text;
}
