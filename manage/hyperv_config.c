// SPDX-License-Identifier: GPL-2.0-only
/* Settings of a VM of Hyper-V, as the tree has them: hyperv_config.h. */
#include "manage/hyperv_config.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/util.h"
#include "manage/import.h"
#include "manage/tree.h"

#define IDE "83f8638b-8dca-4152-9eda-2ca8b33039b4"
#define SCSI "d422512d-2bf2-4752-809d-7b82b5fcb1b4"
#define FLOPPY "8f0d2762-0b00-4e04-af4f-19010527cb93"
#define SERIAL_PORTS "8e3a359f-559a-4b6a-98a9-1690a6100ed7"
#define BIOS "ac6b8dc1-3257-4a70-b1b2-a9c9215659ad"
#define HEARTBEAT "84eaae65-2f2e-45f5-9bb5-0e857dc8eb47"
#define TIMESYNC "2497f4de-e9fa-4204-80e4-4b75c46419c0"
#define SHUTDOWN "9f8233ac-be49-4c79-8ee3-e7e1985b2077"
#define ETHERNET "2fc216b0-d2e2-4967-9b6d-b8a5c9ca2778"
#define MOST_PORTS 4

static const struct tree_node *device_node(const struct tree_node *top, const char *guid)
{
	char name[48];

	snprintf(name, sizeof(name), "_%.36s_", guid);
	return tree_child(top, name);
}

static const char *last_part(const char *text)
{
	const char *base = text ? probe_base_name(text) : NULL;

	return base ? base : "";
}

/* ---- disks ---- */

/* Return: the drive that is there; NULL: it is none, or has got a line. */
static struct import_disk *take_drive(struct import_vm *vm, const struct tree_node *drive,
				      const char *where)
{
	const char *type = tree_text(drive, "type"), *path = tree_text(drive, "pathname");

	if (!type || !strcasecmp(type, "NONE") || !*type)
		return NULL;
	if (!strcasecmp(type, "ISO"))
		return import_add_disk(vm, path && *path ? path : NULL, true);
	if (!strcasecmp(type, "VHD") && path && *path) {
		if (tree_true(drive, "iops_limit") || tree_true(drive, "iops_reservation"))
			import_lack(vm, "the I/O limits of disk \"%s\"; --disk has iops= and bps=",
				    last_part(path));
		return import_add_disk(vm, path, false);
	}
	import_lack(vm, "the drive at %s, of type %s%s%s", where, type, path && *path ? ", " : "",
		    path ? path : "");
	return NULL;
}

/* Names of drives and controllers end in their number. */
static bool number_of(const char *name, const char *prefix, unsigned int *out)
{
	size_t len = strlen(prefix);
	uint64_t v;

	if (strncasecmp(name, prefix, len) || !import_number(name + len, 255, &v))
		return false;
	*out = (unsigned int)v;
	return true;
}

static void take_ide(struct import_vm *vm, const struct tree_node *ide)
{
	const struct tree_node *c, *d;
	unsigned int controller, drive;
	char where[64];

	for (c = ide ? ide->first : NULL; c; c = c->next) {
		if (!number_of(c->name, "controller", &controller))
			continue;
		for (d = c->first; d; d = d->next) {
			if (!number_of(d->name, "drive", &drive))
				continue;
			snprintf(where, sizeof(where), "IDE controller %u, drive %u", controller,
				 drive);
			import_place_ide(take_drive(vm, d, where), controller, drive);
		}
	}
}

static void take_scsi(struct import_vm *vm, const struct tree_node *scsi, unsigned int index)
{
	const struct tree_node *c, *d;
	unsigned int controller, drive;
	char where[64];

	for (c = scsi ? scsi->first : NULL; c; c = c->next) {
		if (!number_of(c->name, "controller", &controller))
			continue;
		for (d = c->first; d; d = d->next) {
			if (!number_of(d->name, "drive", &drive))
				continue;
			snprintf(where, sizeof(where), "SCSI controller %u, location %u", index,
				 drive);
			import_place_scsi(vm, take_drive(vm, d, where), index, drive);
		}
	}
}

static void take_floppy(struct import_vm *vm, const struct tree_node *floppy)
{
	const char *path = tree_text(floppy, "controller0/drive0/pathname");

	if (path && *path)
		import_lack(vm, "the floppy disk \"%s\"", last_part(path));
}

/* ---- NICs ---- */

static void take_nic(struct import_vm *vm, const struct tree_node *n, const char *name)
{
	const char *network = tree_text(n, "Connection/AltSwitchName");
	struct import_nic *nic = import_add_nic(vm, tree_text(n, "MacAddress"));

	if (!nic)
		return;
	if (!network || !*network)
		network = tree_text(n, "SwitchName");
	if (network && *network && (!tree_child(n, "IsConnected") || tree_true(n, "IsConnected")))
		nic->network = import_text("%s", network);
	nic->mac_spoof = tree_true(n, "AllowMacSpoofing");
	if (name && strcasestr(name, "emulated"))
		import_legacy_nic(vm);
	if (tree_true(n, "Connection/VlanId") || tree_true(n, "VlanId"))
		import_lack(vm, "the VLAN of network adapter %u; --nic has vlan=", vm->num_nics);
}

/* ---- devices ---- */

/* Taken elsewhere, nothing to have, or what each machine of ours has as well. */
static const char *const known_devices[] = {
	IDE,
	SCSI,
	FLOPPY,
	SERIAL_PORTS,
	BIOS,
	ETHERNET,
	HEARTBEAT,
	TIMESYNC,
	SHUTDOWN,
	"58f75a6d-d949-4320-99e1-a2a2576d581c", /* synthetic mouse */
	"197f74e3-b84b-46de-8ae6-82f1cd181cdc", /* synthetic keyboard */
	"f3cf6965-e8d3-44a9-9b7d-a04245ea7525", /* synthetic video */
	"d41a1872-3740-41ce-a1ee-4522ab82f991", /* VMBus */
	"84535fad-4d98-4a6a-bdcd-21d5720dc430", /* PCI bus */
	"4d42d9f7-6531-4f6c-9e46-1f0477876104", /* ISA bus */
	"db8b9818-b4bb-4725-b99d-b4612716b6b4", /* power management */
	"72682fc4-040a-430a-be0b-224574b953fe", /* I/O APIC */
	"9edd1639-9bca-40dc-b3a2-07c828da60b5", /* PIC */
	"a28e4d02-3323-4148-9569-565930a5cb39", /* PIT */
	"e51b7ef6-4a7f-4780-aaae-d4b291aacd2e", /* clock */
	"655bc5c5-a784-46b7-81bc-e26328f7eb0e", /* controller of PS/2 */
	"e3c82929-edb4-475e-85a4-29aaa2a30c2d", /* dynamic memory: a setting of memory */
};

static void lack_device(struct import_vm *vm, const char *guid, const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known_devices); i++) {
		if (!strcasecmp(guid, known_devices[i]))
			return;
	}
	import_lack(vm, "the device \"%s\"", *name ? name : guid);
}

static bool in_manifest(const struct tree_node *manifest, const char *instance)
{
	const struct tree_node *v;
	const char *text;

	for (v = manifest ? manifest->first : NULL; v; v = v->next) {
		text = tree_text(v, "instance");
		if (text && !strcasecmp(text, instance))
			return true;
	}
	return false;
}

static void take_manifest(struct import_vm *vm, const struct tree_node *top)
{
	const struct tree_node *manifest = tree_child(top, "manifest"), *v, *n;
	const char *device, *instance, *name;
	unsigned int scsi = 0;

	for (v = manifest ? manifest->first : NULL; v; v = v->next) {
		device = tree_text(v, "device");
		instance = tree_text(v, "instance");
		name = tree_text(v, "name");
		if (!device || !instance)
			continue;
		n = device_node(top, instance);
		if (tree_child(n, "MacAddress"))
			take_nic(vm, n, name);
		else if (!strcasecmp(device, SCSI))
			take_scsi(vm, n, scsi++);
		else
			lack_device(vm, device, name ? name : "");
	}
	/* an older host lists fewer: what has an address or a controller is one all the same */
	for (n = top->first; n; n = n->next) {
		char guid[37];

		if (n->name[0] != '_' || strlen(n->name) != 38)
			continue;
		snprintf(guid, sizeof(guid), "%.36s", n->name + 1);
		if (in_manifest(manifest, guid))
			continue;
		if (tree_child(n, "MacAddress"))
			take_nic(vm, n, NULL);
		else if (tree_child(n, "ChannelInstanceGuid") && tree_child(n, "controller0"))
			take_scsi(vm, n, scsi++);
	}
}

static void take_services(struct import_vm *vm, const struct tree_node *top)
{
	static const char *const guids[] = { HEARTBEAT, TIMESYNC, SHUTDOWN };
	const struct tree_node *n;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(guids); i++) {
		n = device_node(top, guids[i]);
		vm->ic_off[i] = tree_child(n, "Enabled") && !tree_true(n, "Enabled");
	}
}

static void take_ports(struct import_vm *vm, const struct tree_node *ports)
{
	const char *text;
	char path[32];
	int i;

	for (i = 0; i < MOST_PORTS; i++) {
		snprintf(path, sizeof(path), "port%d/connection", i);
		text = tree_text(ports, path);
		if (text && *text)
			import_lack(vm, "the connection of COM%d to \"%s\"; run has --serial",
				    i + 1, text);
	}
}

/* ---- processors, memory, firmware ---- */

static void take_processors(struct import_vm *vm, const struct tree_node *p)
{
	static const struct {
		const char *path, *usual, *what;
	} limits[] = {
		{ "limit", "100000", "the limit of the processors" },
		{ "reservation", "0", "the reserve of the processors" },
		{ "weight", "100", "the weight of the processors" },
	};
	const char *text;
	size_t i;

	import_set_cpus(vm, tree_text(p, "count"));
	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		text = tree_text(p, limits[i].path);
		if (text && *text && strcmp(text, limits[i].usual))
			import_lack(vm, "%s (%s)", limits[i].what, text);
	}
	if (tree_true(p, "limit_cpuid") || tree_true(p, "features/limit"))
		import_lack(vm, "the compatible processor; run has --cpu");
}

static void take_memory(struct import_vm *vm, const struct tree_node *bank)
{
	const char *text = tree_text(bank, "size"), *low, *high;
	uint64_t mib;

	if (text && import_number(text, 8ull << 20, &mib) && mib)
		vm->memory_mib = mib;
	else if (text)
		import_lack(vm, "the size of memory, \"%.40s\"", text);
	if (!tree_true(bank, "dynamic_memory_enabled"))
		return;
	low = tree_text(bank, "reservation");
	high = tree_text(bank, "limit");
	import_lack(vm, "dynamic memory (%s to %s MiB): it is what it starts with", low ? low : "?",
		    high ? high : "?");
}

void hyperv_boot_add(struct import_vm *vm, const char *device)
{
	size_t n = strlen(vm->boot);

	if (!strstr(vm->boot, device))
		snprintf(vm->boot + n, sizeof(vm->boot) - n, "%s%s", n ? "," : "", device);
}

static void take_boot(struct import_vm *vm, const struct tree_node *boot)
{
	const char *text;
	char name[16];
	int i;

	for (i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "device%d", i);
		text = tree_text(boot, name);
		if (text && !strcasecmp(text, "HardDrive"))
			hyperv_boot_add(vm, "disk");
		else if (text && !strcasecmp(text, "Optical"))
			hyperv_boot_add(vm, "cdrom");
		else if (text && !strcasecmp(text, "Network"))
			hyperv_boot_add(vm, "net");
	}
}

static void take_bios(struct import_vm *vm, const struct tree_node *bios)
{
	take_boot(vm, tree_child(bios, "boot"));
	if (tree_true(bios, "secure_boot_enabled"))
		import_lack(vm, "Secure Boot");
	if (tree_true(bios, "num_lock"))
		import_lack(vm, "Num Lock at power-on");
}

/* ---- all ---- */

static void lack_action(struct import_vm *vm, const char *what, const char *action,
			const char *const *names, size_t num)
{
	uint64_t v;

	if (action && import_number(action, num - 1, &v) && names[v])
		import_lack(vm, "what happens when the host %s: %s", what, names[v]);
}

void hyperv_lack_actions(struct import_vm *vm, const char *start, const char *stop)
{
	static const char *const at_start[] = { NULL, "the VM starts if it was running",
						"the VM starts" };
	static const char *const at_stop[] = { "the VM is turned off", "the VM is saved",
					       "the guest is shut down" };

	lack_action(vm, "starts", start, at_start, ARRAY_SIZE(at_start));
	lack_action(vm, "stops", stop, at_stop, ARRAY_SIZE(at_stop));
}

static void take_properties(struct import_vm *vm, const struct tree_node *p)
{
	const char *name = tree_text(p, "name"), *id = tree_text(p, "global_id"),
		   *notes = tree_text(p, "notes");
	uint64_t v;

	if (name && *name)
		vm->name = import_text("%s", name);
	if (id && *id)
		vm->uuid = import_text("%s", id);
	if (notes && *notes)
		import_lack(vm, "its notes: %.300s", notes);
	/* before 2012 R2 there was one kind, and nobody said */
	vm->generation = import_number(tree_text(p, "subtype"), 1, &v) ? (int)v + 1 : 1;
}

static void take_globals(struct import_vm *vm, const struct tree_node *g)
{
	const char *num = tree_text(g, "snapshots/list/size");
	uint64_t v;

	if (import_number(num, UINT32_MAX, &v) && v)
		import_lack(vm, "%llu checkpoints: the VM is as it is now", (unsigned long long)v);
	hyperv_lack_actions(vm, tree_text(g, "power/host_startup/action"),
			    tree_text(g, "power/host_shutdown/action"));
}

int hyperv_config_take(const struct tree *t, struct import_vm *vm, char *why, size_t size)
{
	const struct tree_node *top = t->root, *settings;

	if (top && strcasecmp(top->name, "configuration"))
		return hyperv_wmi_take(t, vm, why, size);
	settings = tree_child(top, "settings");
	if (!settings || !tree_child(top, "properties")) {
		snprintf(why, size, "it has no settings of a VM");
		return -EINVAL;
	}
	take_properties(vm, tree_child(top, "properties"));
	take_processors(vm, tree_child(settings, "processors"));
	take_memory(vm, tree_child(tree_child(settings, "memory"), "bank"));
	take_ide(vm, device_node(top, IDE));
	take_floppy(vm, device_node(top, FLOPPY));
	take_manifest(vm, top);
	take_services(vm, top);
	take_ports(vm, device_node(top, SERIAL_PORTS));
	take_bios(vm, device_node(top, BIOS));
	take_globals(vm, tree_child(top, "global_settings"));
	return 0;
}
