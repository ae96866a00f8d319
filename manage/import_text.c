// SPDX-License-Identifier: GPL-2.0-only
/* What of a VM from elsewhere stands in its file: import_text.h. */
#include "manage/import_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util.h"
#include "manage/import.h"
#include "manage/vm_file.h"

struct text_out {
	FILE *f;
	struct import_vm *vm;
	char *bad; /* the first value that no file can hold */
};

static void put_key(struct text_out *o, const char *key, char *value)
{
	if (vm_file_put(o->f, key, value) && !o->bad)
		o->bad = value;
	else
		free(value);
}

/* A comma in a name is written twice. */
static char *double_commas(const char *name)
{
	char *out = kvmb_xzalloc(2 * strlen(name) + 1), *p = out;

	for (; *name; name++) {
		*p++ = *name;
		if (*name == ',')
			*p++ = ',';
	}
	return out;
}

static bool is_on_ide(const struct import_disk *d)
{
	return d->controller >= IMPORT_IDE;
}

/*
 * Firmware starts what is on IDE. Generation 2 has no IDE, and other hypervisors boot from SCSI:
 * the first disk goes where run puts one whose place nobody has named, and is on VMBus as well.
 */
static void free_boot_disk(struct import_vm *vm)
{
	struct import_disk *first = NULL;
	unsigned int i;

	for (i = 0; i < vm->num_disks; i++) {
		if (!vm->disks[i].dvd && is_on_ide(&vm->disks[i]))
			return;
		if (!vm->disks[i].dvd && !first)
			first = &vm->disks[i];
	}
	if (!first || first->controller < 0)
		return;
	import_lack(vm,
		    "the place of disk \"%s\", SCSI controller %d, location %d: firmware boots "
		    "from IDE, so it is there until the guest's driver takes it over",
		    first->source, first->controller, first->lun);
	first->controller = first->lun = -1;
}

static void put_disk(struct text_out *o, const struct import_disk *d)
{
	const char *file = d->target ? d->target : d->found;
	bool empty = !d->chain.num && !d->packed, dvd = d->dvd || empty;
	char *name = double_commas(empty ? "empty" : file ? file : "");
	char *plain = import_text("%s", name), place[48] = "";

	if (d->controller >= 0)
		snprintf(place, sizeof(place), ",controller=%d,lun=%d", d->controller, d->lun);
	if (!strcmp(plain, name))
		put_key(o, dvd ? "dvd" : "disk",
			import_text("%s%s%s%s", name, dvd ? "" : ",format=", dvd ? "" : d->format,
				    place));
	else if (!o->bad) /* it would be the name of another file */
		o->bad = strdup(name);
	free(plain);
	free(name);
}

static void put_nic(struct text_out *o, const struct import_nic *n)
{
	char *remark = n->network ? import_text("it was connected to: %s", n->network) : NULL;

	if (remark)
		vm_file_remark(o->f, remark);
	free(remark);
	put_key(o, "nic",
		import_text("%s%s%s%s", n->network ? "user" : "none", n->mac[0] ? ",mac=" : "",
			    n->mac, n->mac_spoof ? ",mac-spoof=on" : ""));
}

static void lack_networks(struct import_vm *vm)
{
	unsigned int i;

	for (i = 0; i < vm->num_nics; i++) {
		if (vm->nics[i].network)
			import_lack(vm,
				    "the network of adapter %u, \"%s\": it is of kind user; "
				    "nic= of the file has bridge=BR",
				    i + 1, vm->nics[i].network);
	}
}

static void put_machine(struct text_out *o)
{
	const struct import_vm *vm = o->vm;
	static const char *const services[] = { "heartbeat", "timesync", "shutdown" };
	size_t i;

	put_key(o, "name", strdup(vm->name));
	if (vm->uuid)
		put_key(o, "uuid", strdup(vm->uuid));
	if (vm->cpus)
		put_key(o, "cpus", import_text("%u", vm->cpus));
	else
		vm_file_remark(o->f, "cpus = 2");
	if (!vm->memory_mib)
		vm_file_remark(o->f, "memory = 2G");
	if (vm->memory_mib)
		put_key(o, "memory", import_text("%lluM", (unsigned long long)vm->memory_mib));
	if (vm->generation == 2)
		put_key(o, "firmware", import_text("uefi,vars=%s.vars", vm->name));
	else if (vm->generation == 1)
		put_key(o, "firmware", strdup("bios"));
	if (vm->boot[0])
		put_key(o, "boot", strdup(vm->boot));
	for (i = 0; i < ARRAY_SIZE(services); i++) {
		if (vm->ic_off[i])
			put_key(o, "ic", import_text("%s=off", services[i]));
	}
}

/* As `kvmbus run` takes it: not all zero. */
static bool is_uuid(const char *s)
{
	size_t i;

	for (i = 0; i < 36; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23 ? s[i] != '-' :
							      !isxdigit((unsigned char)s[i]))
			return false;
	}
	return !s[36] && strspn(s, "0-") < 36;
}

static void check_identity(struct import_vm *vm)
{
	char *p;

	if (vm->uuid && !is_uuid(vm->uuid)) {
		import_lack(vm, "its identifier \"%.60s\", which is none", vm->uuid);
		free(vm->uuid);
		vm->uuid = NULL;
	}
	for (p = vm->uuid; p && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (!vm->cpus && !vm->bare)
		import_lack(vm, "its number of processors, which nobody said: it is 1");
	if (!vm->memory_mib && !vm->bare)
		import_lack(vm, "its memory, which nobody said: it is 1 GiB");
}

static void put_remarks(FILE *f, const struct import_vm *vm)
{
	char *text = import_text("made from %s", vm->origin);
	unsigned int i;

	vm_file_remark(f, "A VM of kvmbus: kvmbus run --config THIS-FILE. Keys are its options.");
	vm_file_remark(f, text);
	free(text);
	for (i = 0; i < vm->num_lacks; i++) {
		text = import_text("not taken over: %s", vm->lacks[i]);
		vm_file_remark(f, text);
		free(text);
	}
}

int import_write_text(struct import_vm *vm, char *why, size_t size)
{
	struct text_out o = { .vm = vm };
	size_t len;
	unsigned int i;

	check_identity(vm);
	free_boot_disk(vm);
	lack_networks(vm);
	free(vm->text);
	vm->text = NULL;
	o.f = open_memstream(&vm->text, &len);
	kvmb_assert(o.f);
	put_remarks(o.f, vm);
	fputs("\n[vm]\n", o.f);
	put_machine(&o);
	for (i = 0; i < vm->num_disks; i++)
		put_disk(&o, &vm->disks[i]);
	for (i = 0; i < vm->num_nics; i++)
		put_nic(&o, &vm->nics[i]);
	kvmb_assert(!fclose(o.f));
	if (!o.bad)
		return 0;
	snprintf(why, size, "a VM's file cannot hold \"%s\"; --copy gives the disk another name",
		 o.bad);
	free(o.bad);
	return -EINVAL;
}
