// SPDX-License-Identifier: GPL-2.0-only
/* Reading OVF: ovf.h. */
#include "manage/ovf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/util.h"
#include "manage/import.h"
#include "manage/tree.h"
#include "manage/xml_tree.h"

#define MOST_ITEMS 1000u /* each is looked for among all */

enum resource { /* of CIM_ResourceAllocationSettingData */
		RES_CPU = 3,
		RES_MEMORY = 4,
		RES_IDE = 5,
		RES_SCSI = 6,
		RES_ETHERNET = 10,
		RES_CD = 15,
		RES_DVD = 16,
		RES_DISK = 17,
		RES_STORAGE = 20, /* SATA, NVMe */
};

struct ovf {
	struct import_vm *vm;
	const struct tree_node *envelope, *hardware;
	char *why;
	size_t size;
	bool failed;
};

static void refuse_ovf(struct ovf *o, const char *what, const char *name)
{
	if (!o->failed)
		snprintf(o->why, o->size, "%s \"%.100s\"", what, name);
	o->failed = true;
}

static unsigned int resource_of(const struct tree_node *item)
{
	uint64_t v;

	return import_number(tree_text(item, "ResourceType"), 100, &v) ? (unsigned int)v : 0;
}

static bool is_item(const struct tree_node *n)
{
	return !strcasecmp(n->name, "Item") || !strcasecmp(n->name, "StorageItem") ||
	       !strcasecmp(n->name, "EthernetPortItem");
}

static const struct tree_node *item_by_id(const struct ovf *o, const char *id)
{
	const struct tree_node *n;
	const char *have;

	for (n = id ? o->hardware->first : NULL; n; n = n->next) {
		have = is_item(n) ? tree_text(n, "InstanceID") : NULL;
		if (have && !strcmp(have, id))
			return n;
	}
	return NULL;
}

/* "byte * 2^20", or as in old ones "MegaBytes". Return: power of two, -1: it makes no sense. */
static int shift_of(const char *units)
{
	static const char *const names[] = { "kilo", "mega", "giga", "tera" };
	const char *power = units ? strstr(units, "2^") : NULL;
	uint64_t v;
	int i;

	if (!units || !*units)
		return 20;
	if (power)
		return import_number(power + 2, 50, &v) ? (int)v : -1;
	for (i = 0; i < 4; i++) {
		if (!strncasecmp(units, names[i], 4))
			return 10 * (i + 1);
	}
	return !strcasecmp(units, "byte") || !strcasecmp(units, "bytes") ? 0 : -1;
}

static void take_ovf_memory(struct ovf *o, const struct tree_node *item)
{
	int shift = shift_of(tree_text(item, "AllocationUnits"));
	const char *text = tree_text(item, "VirtualQuantity");
	uint64_t v;

	if (shift < 0 || !import_number(text, 1ull << 43, &v) || v > (1ull << 43 >> shift) ||
	    !(v << shift >> 20))
		import_lack(o->vm, "the size of memory, \"%.40s\"", text ? text : "");
	else
		o->vm->memory_mib = v << shift >> 20;
}

/* ---- disks ---- */

static const struct tree_node *by_attribute(const struct tree_node *in, const char *name,
					    const char *attribute, const char *value)
{
	const struct tree_node *n = tree_child(in, name);

	while (n && strcmp(tree_attribute(n, attribute), value))
		n = tree_next(n);
	return n;
}

/* The name of a file of ours, or NULL: there is none, or it is refused. */
static const char *file_name(struct ovf *o, const char *id)
{
	const struct tree_node *f =
		by_attribute(tree_child(o->envelope, "References"), "File", "id", id);
	const char *href = tree_attribute(f, "href"), *coding = tree_attribute(f, "compression");

	if (!f)
		refuse_ovf(o, "it has no file", id);
	else if (strchr(href, '/') || strchr(href, '\\') || !probe_base_name(href))
		refuse_ovf(o, "a file of it is elsewhere:", href);
	else if (*coding && strcasecmp(coding, "identity"))
		refuse_ovf(o, "a compressed file must be unpacked first:", href);
	else if (*tree_attribute(f, "chunkSize"))
		refuse_ovf(o, "a file in chunks must be put together first:", href);
	return o->failed ? NULL : href;
}

static const char *disk_file(struct ovf *o, const char *id)
{
	const struct tree_node *section = tree_child(o->envelope, "DiskSection"),
			       *d = by_attribute(section, "Disk", "diskId", id);
	const char *file = tree_attribute(d, "fileRef");

	if (!d)
		refuse_ovf(o, "it has no disk", id);
	else if (*tree_attribute(d, "parentRef"))
		refuse_ovf(o, "it is made of several files:", id);
	else if (!*file)
		import_lack(o->vm, "the empty disk \"%s\" of %s %s", id,
			    tree_attribute(d, "capacity"),
			    *tree_attribute(d, "capacityAllocationUnits") ?
				    tree_attribute(d, "capacityAllocationUnits") :
				    "bytes");
	return *file && !o->failed ? file_name(o, file) : NULL;
}

/* "ovf:/disk/ID" or "ovf:/file/ID"; older ones have no scheme. */
static const char *resource_file(struct ovf *o, const struct tree_node *item)
{
	const char *text = tree_text(item, "HostResource");

	if (!text)
		return NULL;
	if (!strncasecmp(text, "ovf:", 4))
		text += 4;
	if (!strncasecmp(text, "/disk/", 6))
		return disk_file(o, text + 6);
	return !strncasecmp(text, "/file/", 6) ? file_name(o, text + 6) : NULL;
}

static unsigned int controller_index(const struct ovf *o, const struct tree_node *controller)
{
	const struct tree_node *n;
	unsigned int i = 0;

	for (n = o->hardware->first; n && n != controller; n = n->next)
		i += is_item(n) && resource_of(n) == resource_of(controller);
	return i;
}

static void place_ovf_disk(struct ovf *o, struct import_disk *d, const struct tree_node *item)
{
	const struct tree_node *c = item_by_id(o, tree_text(item, "Parent"));
	uint64_t address = 0, number;

	if (!d || !c)
		return;
	import_number(tree_text(item, "AddressOnParent"), 255, &address);
	if (resource_of(c) == RES_SCSI) {
		import_place_scsi(o->vm, d, controller_index(o, c), (unsigned int)address);
	} else if (resource_of(c) == RES_IDE) {
		if (!import_number(tree_text(c, "Address"), 1, &number))
			number = controller_index(o, c);
		import_place_ide(d, (unsigned int)number, (unsigned int)address);
	} else {
		import_lack(o->vm, "the controller of disk \"%s\": %s", d->source ? d->source : "",
			    tree_text(c, "ElementName") ? tree_text(c, "ElementName") : "unknown");
	}
}

static void take_ovf_disk(struct ovf *o, const struct tree_node *item, bool dvd)
{
	const char *file = resource_file(o, item);

	if (!o->failed && (file || dvd))
		place_ovf_disk(o, import_add_disk(o->vm, file, dvd), item);
}

/* ---- the rest ---- */

static void take_ovf_nic(struct ovf *o, const struct tree_node *item)
{
	struct import_nic *nic = import_add_nic(o->vm, tree_text(item, "Address"));
	const char *network = tree_text(item, "Connection"),
		   *type = tree_text(item, "ResourceSubType");

	if (nic && network && *network)
		nic->network = import_text("%s", network);
	if (nic && type && *type)
		import_lack(o->vm, "the kind of network adapter %u, %s: it is Hyper-V's here",
			    o->vm->num_nics, type);
}

static void take_item(struct ovf *o, const struct tree_node *item)
{
	const char *name = tree_text(item, "ElementName"), *kind = tree_text(item, "ResourceType");

	if (!name || !*name)
		name = tree_text(item, "Description");
	switch (resource_of(item)) {
	case RES_CPU:
		import_set_cpus(o->vm, tree_text(item, "VirtualQuantity"));
		break;
	case RES_MEMORY:
		take_ovf_memory(o, item);
		break;
	case RES_SCSI:
		if (tree_text(item, "ResourceSubType"))
			import_lack(o->vm, "the kind of SCSI controller, %s: it is Hyper-V's here",
				    tree_text(item, "ResourceSubType"));
		break;
	case RES_IDE:
	case RES_STORAGE: /* its disks say so */
		break;
	case RES_ETHERNET:
		take_ovf_nic(o, item);
		break;
	case RES_CD:
	case RES_DVD:
		take_ovf_disk(o, item, true);
		break;
	case RES_DISK:
		take_ovf_disk(o, item, false);
		break;
	default:
		import_lack(o->vm, "the device \"%s\"", name && *name ? name : kind ? kind : "?");
	}
}

/* Of VMware: a Config in the hardware; of VirtualBox: its whole machine beside it. */
static void find_firmware(struct ovf *o, const struct tree_node *system)
{
	const struct tree_node *n;

	for (n = tree_walk(system, NULL); n; n = tree_walk(system, n)) {
		if (!strcasecmp(n->name, "Config") &&
		    !strcasecmp(tree_attribute(n, "key"), "firmware"))
			o->vm->generation = strcasecmp(tree_attribute(n, "value"), "efi") ? 1 : 2;
		else if (!strcasecmp(n->name, "Firmware") && *tree_attribute(n, "type"))
			o->vm->generation = strncasecmp(tree_attribute(n, "type"), "EFI", 3) ? 1 :
											       2;
		else if (!strcasecmp(n->name, "Config") &&
			 strcasestr(tree_attribute(n, "key"), "secureBoot") &&
			 !strcasecmp(tree_attribute(n, "value"), "true"))
			import_lack(o->vm, "Secure Boot");
	}
}

static void lack_sections(struct ovf *o, const struct tree_node *system)
{
	static const char *const known[] = { "Info", "Name", "OperatingSystemSection",
					     "VirtualHardwareSection", "Machine" };
	const struct tree_node *n;
	size_t i;

	for (n = system->first; n; n = n->next) {
		for (i = 0; i < ARRAY_SIZE(known) && strcasecmp(n->name, known[i]); i++)
			;
		if (i == ARRAY_SIZE(known))
			import_lack(o->vm, "its %s", n->name);
	}
}

static void take_system_of(struct ovf *o, const struct tree_node *system)
{
	const char *name = tree_text(system, "Name");
	const struct tree_node *n;
	unsigned int num = 0;

	if (!name || !*name)
		name = tree_attribute(system, "id");
	if (*name)
		o->vm->name = import_text("%s", name);
	for (n = o->hardware->first; n && !o->failed; n = n->next) {
		if (is_item(n) && ++num > MOST_ITEMS)
			refuse_ovf(o, "it has too many devices:", name);
		else if (is_item(n))
			take_item(o, n);
	}
	find_firmware(o, system);
	lack_sections(o, system);
}

static int take_envelope(struct ovf *o)
{
	const struct tree_node *system = tree_child(o->envelope, "VirtualSystem");

	o->hardware = tree_child(system, "VirtualHardwareSection");
	if (!system && tree_child(o->envelope, "VirtualSystemCollection"))
		snprintf(o->why, o->size, "it has several VMs, and one at a time is imported");
	else if (!o->hardware)
		snprintf(o->why, o->size, "it describes no VM");
	else
		take_system_of(o, system);
	return o->failed || !o->hardware ? -EINVAL : 0;
}

int ovf_take(const char *text, size_t len, struct import_vm *vm, char *why, size_t size)
{
	struct ovf o = { .vm = vm, .why = why, .size = size };
	struct tree t;
	int err = xml_tree_read(text, len, &t, why, size);

	if (!err) {
		o.envelope = t.root;
		err = take_envelope(&o);
	}
	tree_free(&t);
	return err;
}
