// SPDX-License-Identifier: GPL-2.0-only
/* A gen1 machine's flash chip: flash.h. */
#include "machine/boot/flash.h"

#include <stdlib.h>
#include <sys/ioctl.h>

#include "lib/log.h"
#include "lib/util.h"
#include "machine/boot/firmware.h"
#include "machine/dev/pci.h"
#include "machine/dev/pflash.h"
#include "machine/mem.h"

struct flash {
	struct firmware content;
	char path[4096]; /* of a new chip's content */
	struct flash_keeper keeper;
	struct machine *machine; /* NULL until it is built, as is chip */
	struct pflash *chip;
	u64 base; /* guest physical */
};

int flash_open(struct flash **out, const char *rom, char *why, size_t size)
{
	struct flash *f = kvmb_xzalloc(sizeof(*f));
	int err = 0;

	if (firmware_find_vars(rom, f->path, sizeof(f->path)))
		err = firmware_open(&f->content, f->path, PFLASH_BLOCK, why, size);
	if (err || !f->content.rom) {
		firmware_close(&f->content);
		free(f);
		f = NULL;
	}
	if (!err)
		*out = f;
	return err;
}

u8 *flash_content(struct flash *f, u32 *len)
{
	*len = f->content.len;
	return f->content.rom;
}

const char *flash_path(const struct flash *f)
{
	return f->path;
}

void flash_keep(struct flash *f, const struct flash_keeper *k)
{
	kvmb_assert(!f->chip);
	f->keeper = *k;
}

/* Writes leave the guest all the same: the mapping is for reads. */
static void show_content(void *arg, bool there)
{
	struct flash *f = arg;
	struct kvm_userspace_memory_region r = {
		.slot = MEM_SLOT_FLASH,
		.flags = there ? KVM_MEM_READONLY : 0,
		.guest_phys_addr = f->base,
		.memory_size = there ? f->content.len : 0,
		.userspace_addr = (u64)(uintptr_t)f->content.rom,
	};

	/* where it is not mapped, reads are served one by one */
	if (ioctl(f->machine->vm_fd, KVM_SET_USER_MEMORY_REGION, &r))
		kvmb_warn_ratelimited(f->machine->name, "flash at %#llx: %s",
				      (unsigned long long)f->base, strerror(errno));
}

void flash_build(struct flash *f, struct machine *m, u64 end)
{
	struct pflash_ops ops = { .show = show_content, .show_arg = f };

	if (!f)
		return;
	ops.changed = f->keeper.changed;
	ops.settled = f->keeper.settled;
	ops.keep_arg = f->keeper.arg;
	f->machine = m;
	f->base = end - f->content.len;
	f->chip = pflash_create(f->content.rom, f->content.len, &ops);
	pci_claim(m->pci, f->base, f->content.len, pflash_access, f->chip);
}

void flash_reset(struct flash *f)
{
	if (f)
		pflash_reset(f->chip);
}

struct pflash *flash_chip(struct flash *f)
{
	return f ? f->chip : NULL;
}

void flash_destroy(struct flash *f)
{
	if (!f)
		return;
	pflash_destroy(f->chip);
	firmware_close(&f->content);
	free(f);
}
