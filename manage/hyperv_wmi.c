// SPDX-License-Identifier: GPL-2.0-only
/*
 * An export of 2008 R2: instances of WMI classes of root\virtualization. A disk is three instances:
 * a controller, a drive on it, an image in that, each with the name of the one before in Parent.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/util.h"
#include "manage/hyperv_config.h"
#include "manage/import.h"
#include "manage/tree.h"

#define MOST_INSTANCES 1000u /* each is looked for among all */
#define SNAPSHOT "5"	     /* a SettingType of Msvm_VirtualSystemSettingData */

static const struct tree_node *next_instance(const struct tree *t, const struct tree_node *n)
{
	do {
		n = n || !t->root || strcasecmp(t->root->name, "INSTANCE") ? tree_walk(t->root, n) :
									     t->root;
	} while (n && strcasecmp(n->name, "INSTANCE"));
	return n;
}

static bool is_class(const struct tree_node *n, const char *name)
{
	return !strcasecmp(tree_attribute(n, "CLASSNAME"), name);
}

/* A value, or the first of an array. Return: NULL: there is none. */
static const char *wmi_value(const struct tree_node *instance, const char *name)
{
	const struct tree_node *p, *v;

	for (p = instance->first; p; p = p->next) {
		if (strncasecmp(p->name, "PROPERTY", 8) ||
		    strcasecmp(tree_attribute(p, "NAME"), name))
			continue;
		v = tree_child(p, "VALUE.ARRAY");
		return tree_text(v ? v : p, "VALUE");
	}
	return NULL;
}

static bool is_kind(const struct tree_node *n, const char *kind)
{
	const char *text = wmi_value(n, "ResourceSubType");

	return text && !strcasecmp(text, kind);
}

/* Which instance a reference names: ...InstanceID="Microsoft:GUID\\GUID\\0". */
static const struct tree_node *find_referenced(const struct tree *t, const char *ref)
{
	const char *from = ref ? strcasestr(ref, "InstanceID=\"") : NULL, *have;
	const struct tree_node *n;
	char id[512];
	size_t len = 0;

	if (!from)
		return NULL;
	for (from += 12; *from && *from != '"' && len < sizeof(id) - 1; from++) {
		if (from[0] == '\\' && from[1] == '\\')
			from++;
		id[len++] = *from;
	}
	id[len] = 0;
	for (n = next_instance(t, NULL); n; n = next_instance(t, n)) {
		have = wmi_value(n, "InstanceID");
		if (have && !strcasecmp(have, id))
			return n;
	}
	return NULL;
}

static unsigned int scsi_index(const struct tree *t, const struct tree_node *controller)
{
	const struct tree_node *n;
	unsigned int i = 0;

	for (n = next_instance(t, NULL); n && n != controller; n = next_instance(t, n))
		i += is_kind(n, "Microsoft Synthetic SCSI Controller");
	return i;
}

static void place_drive(struct import_vm *vm, const struct tree *t, struct import_disk *d,
			const struct tree_node *drive)
{
	const struct tree_node *c = drive ? find_referenced(t, wmi_value(drive, "Parent")) : NULL;
	uint64_t address, number;

	if (!d || !c || !import_number(wmi_value(drive, "Address"), 255, &address))
		return;
	if (is_kind(c, "Microsoft Synthetic SCSI Controller"))
		import_place_scsi(vm, d, scsi_index(t, c), (unsigned int)address);
	else if (import_number(wmi_value(c, "Address"), 1, &number))
		import_place_ide(d, (unsigned int)number, (unsigned int)address);
}

static void take_image(struct import_vm *vm, const struct tree *t, const struct tree_node *n,
		       bool dvd)
{
	const char *path = wmi_value(n, "Connection");
	struct import_disk *d = path && *path ? import_add_disk(vm, path, dvd) : NULL;

	place_drive(vm, t, d, find_referenced(t, wmi_value(n, "Parent")));
}

/* A drive in which there is no image. */
static void take_dvd_drive(struct import_vm *vm, const struct tree *t,
			   const struct tree_node *drive)
{
	const struct tree_node *n;

	for (n = next_instance(t, NULL); n; n = next_instance(t, n)) {
		const char *path = wmi_value(n, "Connection");

		if (is_kind(n, "Microsoft Virtual CD/DVD Disk") && path && *path &&
		    find_referenced(t, wmi_value(n, "Parent")) == drive)
			return;
	}
	place_drive(vm, t, import_add_disk(vm, NULL, true), drive);
}

static void take_port(struct import_vm *vm, const struct tree_node *n, bool emulated)
{
	struct import_nic *nic = import_add_nic(vm, wmi_value(n, "Address"));
	const char *to = wmi_value(n, "Connection");

	if (nic && to && *to)
		nic->network = import_text("%s", "a switch of its host");
	if (nic && emulated)
		import_legacy_nic(vm);
}

/* What has a place of its own here, or is a part of what has. */
static bool is_known(const struct tree_node *n)
{
	static const char *const kinds[] = {
		"Microsoft Emulated IDE Controller", "Microsoft Synthetic SCSI Controller",
		"Microsoft Synthetic Disk Drive",    "Microsoft Processor",
		"Microsoft Virtual Machine Memory",  "Microsoft Emulated Diskette Controller",
		"Microsoft Emulated Diskette Drive", "Microsoft Synthetic Diskette Drive",
		"Microsoft Serial Controller",	     "Microsoft Synthetic Mouse",
		"Microsoft Synthetic Keyboard",	     "Microsoft Synthetic Display Controller",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (is_kind(n, kinds[i]))
			return true;
	}
	return false;
}

static void take_resource(struct import_vm *vm, const struct tree *t, const struct tree_node *n)
{
	const char *kind = wmi_value(n, "ResourceSubType"), *to = wmi_value(n, "Connection");

	if (!kind || !*kind || is_known(n))
		return;
	if (is_kind(n, "Microsoft Virtual Hard Disk"))
		take_image(vm, t, n, false);
	else if (is_kind(n, "Microsoft Virtual CD/DVD Disk"))
		take_image(vm, t, n, true);
	else if (is_kind(n, "Microsoft Synthetic DVD Drive"))
		take_dvd_drive(vm, t, n);
	else if (is_kind(n, "Microsoft Synthetic Ethernet Port"))
		take_port(vm, n, false);
	else if (is_kind(n, "Microsoft Emulated Ethernet Port"))
		take_port(vm, n, true);
	else if (!is_kind(n, "Microsoft Serial Port") &&
		 !is_kind(n, "Microsoft Virtual Floppy Disk"))
		import_lack(vm, "the device \"%s\"", kind);
	else if (to && *to)
		import_lack(vm, "the connection of a %s to \"%s\"", kind, to);
}

static void take_order(struct import_vm *vm, const struct tree_node *n)
{
	static const char *const devices[] = { NULL, "cdrom", "disk", "net" };
	const struct tree_node *p, *v;
	uint64_t kind;

	for (p = n->first; p; p = p->next) {
		if (strcasecmp(tree_attribute(p, "NAME"), "BootOrder"))
			continue;
		v = tree_child(tree_child(p, "VALUE.ARRAY"), "VALUE");
		for (; v; v = tree_next(v)) {
			if (import_number(v->text, 3, &kind) && devices[kind])
				hyperv_boot_add(vm, devices[kind]);
		}
	}
}

static bool take_system(struct import_vm *vm, const struct tree_node *n)
{
	const char *name = wmi_value(n, "ElementName"), *id = wmi_value(n, "SystemName"),
		   *type = wmi_value(n, "SettingType"), *notes = wmi_value(n, "Notes");

	if (type && !strcmp(type, SNAPSHOT))
		return false;
	if (name && *name && !vm->name)
		vm->name = import_text("%s", name);
	if (id && *id && !vm->uuid)
		vm->uuid = import_text("%s", id);
	if (notes && *notes)
		import_lack(vm, "its notes: %.300s", notes);
	take_order(vm, n);
	hyperv_lack_actions(vm, wmi_value(n, "AutomaticStartupAction"),
			    wmi_value(n, "AutomaticShutdownAction"));
	return true;
}

static void take_memory_setting(struct import_vm *vm, const struct tree_node *n)
{
	const char *dynamic = wmi_value(n, "DynamicMemoryEnabled");
	uint64_t mib;

	if (import_number(wmi_value(n, "VirtualQuantity"), 8ull << 20, &mib))
		vm->memory_mib = mib;
	if (dynamic && !strcasecmp(dynamic, "true"))
		import_lack(vm, "dynamic memory: it is what it starts with");
}

int hyperv_wmi_take(const struct tree *t, struct import_vm *vm, char *why, size_t size)
{
	const struct tree_node *n;
	unsigned int num = 0;
	bool found = false;

	for (n = next_instance(t, NULL); n; n = next_instance(t, n)) {
		if (++num <= MOST_INSTANCES)
			continue;
		snprintf(why, size, "it has more than %u devices", MOST_INSTANCES);
		return -EINVAL;
	}
	for (n = next_instance(t, NULL); n; n = next_instance(t, n)) {
		if (is_class(n, "Msvm_VirtualSystemSettingData") ||
		    is_class(n, "Msvm_VirtualSystemGlobalSettingData"))
			found |= take_system(vm, n);
		else if (is_class(n, "Msvm_ProcessorSettingData"))
			import_set_cpus(vm, wmi_value(n, "VirtualQuantity"));
		else if (is_class(n, "Msvm_MemorySettingData"))
			take_memory_setting(vm, n);
		else
			take_resource(vm, t, n);
	}
	vm->generation = 1; /* it had no other */
	if (found)
		return 0;
	snprintf(why, size, "it has no settings of a VM");
	return -EINVAL;
}
