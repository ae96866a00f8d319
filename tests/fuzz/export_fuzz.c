// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptions of VMs of any bytes: Hyper-V's XML and WMI's instances, .vmcx, OVF, OVA, and a child
 * VHD with its parent. The first byte says which. A VM that comes of it is within its limits, and
 * its file can be read.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/util.h"
#include "manage/copier.h"
#include "manage/hyperv_export.h"
#include "manage/import.h"
#include "manage/import_text.h"
#include "manage/ovf.h"
#include "manage/probe.h"
#include "manage/vhd.h"
#include "manage/vm_file.h"

static char why[2000];

static bool go_on(void *arg, const char *what, uint64_t done, uint64_t total)
{
	(void)arg;
	(void)what;
	kvmb_assert(done <= total);
	return true;
}

static int file_of(const unsigned char *in, size_t len)
{
	int fd = memfd_create("in", MFD_CLOEXEC);

	kvmb_assert(write(fd, in, len) == (ssize_t)len);
	return fd;
}

static void check_vm(struct import_vm *vm)
{
	struct vm_file f = { 0 };
	unsigned int i;

	kvmb_assert(vm->num_disks <= IMPORT_MAX_DISKS && vm->num_nics <= IMPORT_MAX_NICS &&
		    vm->num_lacks <= IMPORT_MAX_LACKS && vm->cpus <= 64);
	for (i = 0; i < vm->num_disks; i++) {
		kvmb_assert(vm->disks[i].controller >= -1 && vm->disks[i].controller < 8);
		vm->disks[i].format = "raw";
		vm->disks[i].packed = vm->disks[i].source;
		vm->disks[i].target = import_text("disk%u", i);
	}
	free(vm->name);
	vm->name = import_text("vm");
	free(vm->origin);
	vm->origin = import_text("nowhere");
	if (!import_write_text(vm, why, sizeof(why)))
		kvmb_assert(!vm_file_parse("f", vm->text, strlen(vm->text), &f, why, sizeof(why)));
	vm_file_free(&f);
}

static void try_archive(const unsigned char *in, size_t len)
{
	int fd = file_of(in, len), to = memfd_create("out", MFD_CLOEXEC);
	char *text;
	size_t n;

	ova_is(fd);
	if (!ova_find_ovf(fd, &text, &n, why, sizeof(why)))
		free(text);
	/* one that says that it is large is what ftruncate() is for, and no more */
	ova_unpack(fd, "d", to, go_on, NULL, why, sizeof(why));
	close(fd);
	close(to);
}

static void try_vhd(const unsigned char *in, size_t len)
{
	static unsigned char buf[65536];
	struct probe_chain c = { .num = 1 + (len > 4000) };
	struct copier_slot slot = { .buf = buf };
	struct copier_source *s;
	char name[100];

	c.at[0].fd = file_of(in, c.num == 2 ? len / 2 : len);
	if (c.num == 2)
		c.at[1].fd = file_of(in + len / 2, len - len / 2);
	vhd_parent_of(c.at[0].fd, name, sizeof(name));
	s = copy_vhd_open(&c, why, sizeof(why));
	if (s) {
		slot.len = (uint32_t)KVMB_MIN(sizeof(buf), s->bytes);
		s->ops->begin(s, &slot);
		slot.at = s->bytes - slot.len;
		s->ops->begin(s, &slot);
		s->ops->close(s);
	}
	probe_chain_close(&c);
}

int LLVMFuzzerTestOneInput(const unsigned char *in, size_t len);
int LLVMFuzzerTestOneInput(const unsigned char *in, size_t len)
{
	static const char *const names[] = { "x.xml", "x.vmcx" };
	struct import_vm *vm;
	int err = -1;

	if (!len)
		return 0;
	vm = kvmb_xzalloc(sizeof(*vm));
	why[0] = 0;
	switch (in[0] % 5) {
	case 0:
	case 1:
		err = hyperv_text_take(names[in[0] % 5], (const char *)in + 1, len - 1, vm, why,
				       sizeof(why));
		break;
	case 2:
		err = ovf_take((const char *)in + 1, len - 1, vm, why, sizeof(why));
		break;
	case 3:
		try_archive(in + 1, len - 1);
		break;
	case 4:
		try_vhd(in + 1, len - 1);
		break;
	}
	if (!err)
		check_vm(vm);
	import_free(vm);
	free(vm);
	return 0;
}
