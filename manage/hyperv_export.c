// SPDX-License-Identifier: GPL-2.0-only
/* The folder of a Hyper-V export: hyperv_export.h. */
#include "manage/hyperv_export.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lib/util.h"
#include "manage/folder.h"
#include "manage/hyperv_config.h"
#include "manage/import.h"
#include "manage/vmcx_tree.h"
#include "manage/xml_tree.h"

#define VMS "Virtual Machines/"
#define SNAPSHOTS "Snapshots/"

struct scan {
	const char *wanted;			    /* NULL = any */
	char path[PATH_MAX];			    /* of the description */
	char disks[IMPORT_MAX_DISKS][NAME_MAX + 1]; /* disks[num_disks] */
	unsigned int descriptions, num_disks, snapshots;
	bool saved, guest_state; /* there is memory of a VM; a .vmgs */
	bool children;		 /* there are disks that checkpoints left */
};

static bool ends_in(const char *name, const char *suffix)
{
	size_t n = strlen(name), s = strlen(suffix);

	return n > s && !strcasecmp(name + n - s, suffix);
}

static bool is_description(const char *name)
{
	return ends_in(name, ".vmcx") || ends_in(name, ".exp") ||
	       (ends_in(name, ".xml") && strcasecmp(name, "config.xml"));
}

static bool scan_file(void *arg, int at, const char *name, const char *path)
{
	struct scan *s = arg;

	(void)at;
	if (!strncasecmp(path, SNAPSHOTS, strlen(SNAPSHOTS)) || strcasestr(path, "/" SNAPSHOTS)) {
		s->snapshots += is_description(name);
	} else if (is_description(name) &&
		   (!strncasecmp(path, VMS, strlen(VMS)) || !strchr(path, '/')) &&
		   (!s->wanted || !strcasecmp(name, s->wanted))) {
		s->descriptions++;
		strcpy(s->path, path);
	}
	s->saved |= ends_in(name, ".vsv") || ends_in(name, ".bin");
	s->guest_state |= ends_in(name, ".vmgs");
	s->children |= ends_in(name, ".avhd") || ends_in(name, ".avhdx");
	if ((ends_in(name, ".vhd") || ends_in(name, ".vhdx")) && s->num_disks < IMPORT_MAX_DISKS)
		snprintf(s->disks[s->num_disks++], sizeof(s->disks[0]), "%s", name);
	return true;
}

static int read_tree(const char *name, const char *text, size_t len, struct tree *t, char *why,
		     size_t size)
{
	if (ends_in(name, ".vmcx"))
		return vmcx_tree_read((const unsigned char *)text, len, t, why, size);
	return xml_tree_read(text, len, t, why, size);
}

int hyperv_text_take(const char *name, const char *text, size_t len, struct import_vm *vm,
		     char *why, size_t size)
{
	struct tree t = { 0 };
	int err = read_tree(name, text, len, &t, why, size);

	if (!err)
		err = hyperv_config_take(&t, vm, why, size);
	tree_free(&t);
	return err;
}

static int compare_names(const void *a, const void *b)
{
	return strcasecmp(a, b);
}

/* What is known without its settings. Order and places are lost, so the names give the order. */
static void take_what_is_there(struct import_vm *vm, struct scan *s, const char *why)
{
	const char *base = probe_base_name(s->path);
	unsigned int i;

	import_lack(vm, "all its settings but disks: %s: %s", base, why);
	vm->uuid = import_text("%.*s", (int)strcspn(base, "."), base);
	vm->generation = s->guest_state ? 2 : 0;
	qsort(s->disks, s->num_disks, sizeof(s->disks[0]), compare_names);
	for (i = 0; i < s->num_disks; i++)
		import_add_disk(vm, s->disks[i], false);
}

static int read_description(int dir, struct scan *s, struct import_vm *vm, char *why, size_t size)
{
	const char *base = probe_base_name(s->path);
	char what[IMPORT_WHY], *text = NULL;
	int fd = folder_open(dir, s->path), err = fd < 0 ? fd : 0;
	size_t len = 0;

	if (!err)
		err = import_take_text(fd, &text, &len);
	if (err)
		snprintf(what, sizeof(what), "%s",
			 err == -EFBIG ? "it is too large" : strerror(-err));
	else
		err = hyperv_text_take(base, text, len, vm, what, sizeof(what));
	free(text);
	if (fd >= 0)
		close(fd);
	if (err && ends_in(base, ".vmcx") && s->children) {
		snprintf(why, size, "%s: %s; and only it says which of the checkpoints is now",
			 s->path, what);
	} else if (err && ends_in(base, ".vmcx")) {
		import_free(vm);
		take_what_is_there(vm, s, what);
		err = 0;
	} else if (err) {
		snprintf(why, size, "%s: %s", s->path, what);
	}
	return err;
}

int hyperv_export_read(int dir, const char *file, struct import_vm *vm, char *why, size_t size)
{
	struct scan *s = kvmb_xzalloc(sizeof(*s));
	int err;

	s->wanted = file;
	err = folder_walk(dir, scan_file, s);
	if (err)
		snprintf(why, size, "%s", err == -E2BIG ? "it has too many files" : strerror(-err));
	if (!err && !s->descriptions) {
		err = -ENOENT;
		snprintf(why, size,
			 "there is no description of a VM in it (GUID.xml, GUID.exp, "
			 "GUID.vmcx, or an .ovf)");
	} else if (!err && s->descriptions > 1) {
		err = -EINVAL;
		snprintf(why, size, "it has %u VMs; name the description of one of them",
			 s->descriptions);
	}
	if (!err)
		err = read_description(dir, s, vm, why, size);
	if (!err) {
		vm->origin = import_text("the Hyper-V export %s", s->path);
		if (s->snapshots)
			import_lack(vm, "%u checkpoints in its folder: the VM is as it is now",
				    s->snapshots);
		if (s->saved)
			import_lack(vm, "its saved memory: it begins at power-on");
	}
	free(s);
	return err;
}
