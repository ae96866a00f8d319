// SPDX-License-Identifier: GPL-2.0-only
/* The options of a VM, and their changes: note.h. */
#include "vmm/note.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util.h"
#include "vmm/opt.h"

enum kind { OTHER, DISK, DVD, NIC };

static const char *const prefixes[] = { [DISK] = "--disk=", [DVD] = "--dvd=", [NIC] = "--nic=" };

static enum kind kind_of(const char *word, const char **spec)
{
	enum kind k;

	for (k = DISK; k <= NIC; k++) {
		*spec = word + strlen(prefixes[k]);
		if (!strncmp(word, prefixes[k], strlen(prefixes[k])))
			return k;
	}
	return OTHER;
}

static char *join(enum kind k, const char *spec)
{
	char *word = kvmb_xzalloc(strlen(prefixes[k]) + strlen(spec) + 1);

	strcat(strcpy(word, prefixes[k]), spec);
	return word;
}

/* @spec with an option; takes @spec. */
static char *with_option(char *spec, const char *key, const char *value)
{
	char *out = opt_with(spec, key, value);

	free(spec);
	return out;
}

static char *with_number(char *spec, const char *key, u64 value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return with_option(spec, key, text);
}

static char *with_place(const char *spec, u32 controller, u32 lun)
{
	return with_number(with_number(strdup(spec), "controller", controller), "lun", lun);
}

/* Machines without firmware are as they were: an older kvmbus can restore them. */
static char *with_model(char *spec, const struct vm_config *cfg, enum nic_model model)
{
	static const char *const words[] = {
		[NIC_AUTO] = "auto", [NIC_LEGACY] = "legacy", [NIC_SYNTHETIC] = "synthetic"
	};

	return cfg->machine.gen1 && words[model] ? with_option(spec, "model", words[model]) : spec;
}

static char *with_index(const char *spec, u32 index, const u8 *m)
{
	char mac[18];

	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
		 m[5]);
	return with_number(opt_with(spec, "mac", mac), "index", index);
}

/* ---- finding ---- */

static bool disk_place(const char *spec, bool dvd, struct disk_config *dc)
{
	char why[KVMB_DISK_WHY], *copy = strdup(spec);
	bool ok = copy && !opt_disk(copy, dvd, dc, why, sizeof(why));

	free(copy); /* of @dc only numbers are used */
	return ok;
}

static bool nic_place(const char *spec, struct nic_config *nc)
{
	char why[256], *copy = strdup(spec);
	bool ok = copy && !opt_nic(copy, nc, why, sizeof(why));

	free(copy);
	return ok;
}

/* Return: its word, -1 = none. */
static int find_disk_word(const struct vm_state_config *c, u32 controller, u32 lun, enum kind *k)
{
	struct disk_config dc;
	const char *spec;
	int i;

	for (i = 1; i < c->num_args; i++) {
		*k = kind_of(c->args[i], &spec);
		if ((*k == DISK || *k == DVD) && disk_place(spec, *k == DVD, &dc) &&
		    dc.controller == (int)controller && dc.lun == (int)lun)
			return i;
	}
	return -1;
}

static int find_nic_word(const struct vm_state_config *c, u32 index)
{
	struct nic_config nc;
	const char *spec;
	int i;

	for (i = 1; i < c->num_args; i++) {
		if (kind_of(c->args[i], &spec) == NIC && nic_place(spec, &nc) &&
		    nc.index == (int)index)
			return i;
	}
	return -1;
}

/* ---- words ---- */

/* Takes @word. */
static void append(struct vm_state_config *c, char *word)
{
	c->args = realloc(c->args, ((size_t)c->num_args + 2) * sizeof(*c->args));
	kvmb_assert(c->args);
	c->args[c->num_args++] = word;
	c->args[c->num_args] = NULL;
}

static void replace(struct vm_state_config *c, int i, enum kind k, char *spec)
{
	free(c->args[i]);
	c->args[i] = join(k, spec);
	free(spec);
}

static int take_out(struct vm_state_config *c, int i)
{
	if (i < 0)
		return -ENOENT;
	free(c->args[i]);
	memmove(c->args + i, c->args + i + 1, (size_t)(c->num_args - i) * sizeof(*c->args));
	c->num_args--;
	return 0;
}

/* What finds no place is refused when the VM is built. */
static char *settled(const struct vm_config *cfg, const char *word, u32 *disks, u32 *nics)
{
	const struct disk_config *dc;
	const struct nic_config *nc;
	char *spec = NULL, *out;
	const char *typed;
	enum kind k = kind_of(word, &typed);

	if (k == NIC && *nics < cfg->num_nics) {
		nc = &cfg->nics[(*nics)++];
		if (nc->index >= 0)
			spec = with_model(with_index(typed, (u32)nc->index, nc->mac), cfg,
					  nc->model);
	} else if ((k == DISK || k == DVD) && *disks < cfg->num_disks) {
		dc = &cfg->disks[(*disks)++];
		spec = dc->lun < 0 ? NULL : with_place(typed, (u32)dc->controller, (u32)dc->lun);
	}
	out = spec ? join(k, spec) : strdup(word);
	free(spec);
	return out;
}

void note_create(const struct vm_config *cfg, struct vm_state_config *c)
{
	u32 disks = 0, nics = 0, i;

	*c = (struct vm_state_config){ .dir = strdup(cfg->dir) };
	append(c, strdup("run"));
	for (i = 0; i < cfg->num_args; i++)
		append(c, settled(cfg, cfg->args[i], &disks, &nics));
}

/* ---- changes ---- */

int note_add_disk(struct vm_state_config *c, const char *spec, bool dvd, u32 controller, u32 lun)
{
	struct disk_config dc;
	enum kind k;
	char *full;

	if (!disk_place(spec, dvd, &dc) || find_disk_word(c, controller, lun, &k) >= 0 ||
	    (dc.controller < 0 ? 0 : dc.controller) != (int)controller ||
	    (dc.lun >= 0 && dc.lun != (int)lun))
		return -EEXIST;
	full = with_place(spec, controller, lun);
	append(c, join(dvd ? DVD : DISK, full));
	free(full);
	return 0;
}

int note_remove_disk(struct vm_state_config *c, u32 controller, u32 lun)
{
	enum kind k;

	return take_out(c, find_disk_word(c, controller, lun, &k));
}

int note_set_medium(struct vm_state_config *c, u32 controller, u32 lun, const char *spec)
{
	enum kind k;
	int i = find_disk_word(c, controller, lun, &k);

	if (i < 0 || k != DVD)
		return -ENOENT;
	replace(c, i, k, with_place(spec ? spec : "empty", controller, lun));
	return 0;
}

static char *with_limit(char *spec, const char *key, s64 value)
{
	if (value > 0)
		return with_number(spec, key, (u64)value);
	return value < 0 ? spec : with_option(spec, key, NULL);
}

int note_limit_disk(struct vm_state_config *c, u32 controller, u32 lun, s64 iops, s64 bps)
{
	const char *spec;
	enum kind k;
	int i = find_disk_word(c, controller, lun, &k);

	if (i < 0)
		return -ENOENT;
	kind_of(c->args[i], &spec);
	replace(c, i, k, with_limit(with_limit(strdup(spec), "iops", iops), "bps", bps));
	return 0;
}

int note_add_nic(struct vm_state_config *c, const char *spec, u32 index, const u8 mac[6])
{
	struct nic_config nc;
	char *full;

	if (!nic_place(spec, &nc) || find_nic_word(c, index) >= 0 ||
	    (nc.index >= 0 && nc.index != (int)index))
		return -EEXIST;
	full = with_index(spec, index, mac);
	if (nc.model != NIC_UNSAID) /* without it, it is synthetic, too */
		full = with_option(full, "model", "synthetic");
	append(c, join(NIC, full));
	free(full);
	return 0;
}

int note_remove_nic(struct vm_state_config *c, u32 index)
{
	return take_out(c, find_nic_word(c, index));
}

bool note_has_passt(const struct vm_state_config *c)
{
	struct nic_config nc;
	const char *spec;
	int i;

	for (i = 1; i < c->num_args; i++) {
		if (kind_of(c->args[i], &spec) == NIC && nic_place(spec, &nc) &&
		    nc.kind == NIC_USER)
			return true;
	}
	return false;
}

const char *note_name(const struct vm_state_config *c)
{
	int i;

	for (i = 1; i < c->num_args; i++) {
		if (!strncmp(c->args[i], "--name=", 7))
			return c->args[i] + 7;
	}
	return NULL;
}
