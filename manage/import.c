// SPDX-License-Identifier: GPL-2.0-only
/* What a VM from elsewhere has: import.h. */
#include "manage/import.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/io.h"
#include "lib/util.h"

#define MAX_CPUS 64u
#define MAX_SCSI 4u
#define MAX_LUNS 64u
#define LEGACY_NICS 4u /* as vmm/config.h has it */

static char *plain_vtext(const char *fmt, va_list ap)
{
	char *text = NULL, *p;

	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	kvmb_assert(text);
	for (p = text; *p; p++) {
		if (iscntrl((unsigned char)*p))
			*p = '?';
		else if ((unsigned char)p[0] == 0xc2 && (p[1] & 0xe0) == 0x80)
			p[0] = p[1] = '?'; /* U+0080 to U+009F: commands, too */
	}
	return text;
}

char *import_text(const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = plain_vtext(fmt, ap);
	va_end(ap);
	return text;
}

char *import_path(const char *dir, const char *name)
{
	char *path = NULL;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		path = NULL;
	kvmb_assert(path);
	return path;
}

void import_lack(struct import_vm *vm, const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	text = plain_vtext(fmt, ap);
	va_end(ap);
	if (vm->num_lacks == IMPORT_MAX_LACKS - 1) {
		free(text);
		text = import_text("more than can be listed here");
	}
	if (vm->num_lacks < IMPORT_MAX_LACKS)
		vm->lacks[vm->num_lacks++] = text;
	else
		free(text);
}

struct import_disk *import_add_disk(struct import_vm *vm, const char *source, bool dvd)
{
	struct import_disk *d;

	if (vm->num_disks == IMPORT_MAX_DISKS) {
		import_lack(vm, "disk \"%s\": a VM has %u disks at most here", source ? source : "",
			    IMPORT_MAX_DISKS);
		return NULL;
	}
	d = &vm->disks[vm->num_disks++];
	*d = (struct import_disk){ .dvd = dvd, .controller = -1, .lun = -1 };
	d->source = source ? import_text("%s", source) : NULL;
	return d;
}

/* Twelve hexadecimal digits, whatever is between them. */
static bool take_mac(struct import_nic *n, const char *text)
{
	char digits[13] = "";
	size_t i, num = 0;

	for (i = 0; text[i]; i++) {
		if (isxdigit((unsigned char)text[i]) && num < 12)
			digits[num++] = (char)tolower((unsigned char)text[i]);
		else if (!strchr("-:. ", text[i]))
			return false;
	}
	if (num != 12 || strspn(digits, "0") == 12)
		return num == 12;
	if (strchr("13579bdf", digits[1])) /* a group */
		return false;
	snprintf(n->mac, sizeof(n->mac), "%.2s:%.2s:%.2s:%.2s:%.2s:%.2s", digits, digits + 2,
		 digits + 4, digits + 6, digits + 8, digits + 10);
	return true;
}

struct import_nic *import_add_nic(struct import_vm *vm, const char *mac)
{
	struct import_nic *n;

	if (vm->num_nics == IMPORT_MAX_NICS) {
		import_lack(vm, "a network adapter: a VM has %u at most here", IMPORT_MAX_NICS);
		return NULL;
	}
	n = &vm->nics[vm->num_nics++];
	*n = (struct import_nic){ 0 };
	if (mac && *mac && !take_mac(n, mac))
		import_lack(vm, "the address \"%.40s\" of a network adapter, which is none", mac);
	return n;
}

void import_legacy_nic(struct import_vm *vm)
{
	if (vm->num_nics > LEGACY_NICS)
		import_lack(vm, "the legacy network adapter %u: it is a synthetic one here",
			    vm->num_nics);
}

bool import_number(const char *text, uint64_t most, uint64_t *out)
{
	char *end;
	unsigned long long v;

	if (!text)
		return false;
	text += strspn(text, " \t\r\n");
	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	v = strtoull(text, &end, 10);
	end += strspn(end, " \t\r\n");
	if (*end || errno || v > most)
		return false;
	*out = v;
	return true;
}

void import_set_cpus(struct import_vm *vm, const char *text)
{
	uint64_t v;

	if (!text)
		return;
	if (!import_number(text, UINT32_MAX, &v) || !v) {
		import_lack(vm, "the number of processors, \"%.40s\"", text);
		return;
	}
	vm->cpus = (uint32_t)KVMB_MIN(v, MAX_CPUS);
	if (v > MAX_CPUS)
		import_lack(vm, "%llu processors: %u at most here", (unsigned long long)v,
			    MAX_CPUS);
}

int import_take_text(int fd, char **text, size_t *len)
{
	struct stat st;
	int err;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > IMPORT_TEXT)
		return -EFBIG;
	*len = (size_t)st.st_size;
	*text = malloc(*len + 1);
	if (!*text)
		return -ENOMEM;
	(*text)[*len] = 0;
	err = kvmb_pread_all(fd, *text, *len, 0);
	if (err) {
		free(*text);
		*text = NULL;
	}
	return err;
}

void import_place_ide(struct import_disk *d, unsigned int controller, unsigned int drive)
{
	if (!d || controller > 1 || drive > 1)
		return;
	d->controller = (int)(IMPORT_IDE + 2 * controller + drive);
	d->lun = 0;
}

void import_place_scsi(struct import_vm *vm, struct import_disk *d, unsigned int controller,
		       unsigned int lun)
{
	if (!d)
		return;
	if (controller >= MAX_SCSI || lun >= MAX_LUNS) {
		import_lack(vm, "the place of disk \"%s\", SCSI controller %u, location %u",
			    d->source ? d->source : "", controller, lun);
		return;
	}
	d->controller = (int)controller;
	d->lun = (int)lun;
}

void import_free(struct import_vm *vm)
{
	unsigned int i;

	for (i = 0; i < vm->num_disks; i++) {
		probe_chain_close(&vm->disks[i].chain);
		free(vm->disks[i].source);
		free(vm->disks[i].found);
		free(vm->disks[i].target);
	}
	for (i = 0; i < vm->num_nics; i++)
		free(vm->nics[i].network);
	for (i = 0; i < vm->num_lacks; i++)
		free(vm->lacks[i]);
	free(vm->name);
	free(vm->uuid);
	free(vm->origin);
	free(vm->archive);
	free(vm->file);
	free(vm->text);
	*vm = (struct import_vm){ 0 };
}
