// SPDX-License-Identifier: GPL-2.0-only
/* A gen1 machine's flash chip: flash.h. */
#include "machine/boot/flash.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "lib/log.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/boot/firmware.h"
#include "machine/dev/pci.h"
#include "machine/dev/pflash.h"
#include "machine/mem.h"

#define WINDOW (MEM_HIGH_BASE - (8u << 20)) /* firmware and flash are in it */

struct flash {
	struct firmware content;
	char path[4096]; /* of a new chip's content */
	struct flash_keeper keeper;
	struct machine *machine; /* NULL until it is built */
	struct pflash *chip;	 /* NULL: there is none, or it is not built */
	u64 base;		 /* guest physical */
	bool mapped;
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
	else
		f->mapped = there;
}

/* The window reaches over the ROM, to which writes do nothing. */
static void flash_access(void *dev, u32 offset, u32 size, bool write, u64 *val)
{
	struct flash *f = dev;
	u64 at = WINDOW + offset;

	if (f->chip && at >= f->base && at - f->base < f->content.len)
		pflash_access(f->chip, (u32)(at - f->base), size, write, val);
}

static void make_chip(struct flash *f, u64 end)
{
	const struct pflash_ops ops = { .show = show_content,
					.changed = f->keeper.changed,
					.settled = f->keeper.settled,
					.show_arg = f,
					.keep_arg = f->keeper.arg };

	f->base = end - f->content.len;
	f->chip = pflash_create(f->content.rom, f->content.len, &ops);
}

struct flash *flash_build(struct flash *f, struct machine *m, u64 end)
{
	if (!f)
		f = kvmb_xzalloc(sizeof(*f));
	f->machine = m;
	if (f->content.rom)
		make_chip(f, end);
	pci_claim(m->pci, WINDOW, MEM_HIGH_BASE - WINDOW, flash_access, f);
	return f;
}

void flash_reset(struct flash *f)
{
	if (f->chip)
		pflash_reset(f->chip);
}

/* ---- saved VMs ---- */

bool flash_has_chip(const struct flash *f)
{
	return f->chip;
}

void flash_save(struct flash *f, struct kvmb_tlv_out *o)
{
	if (f->chip)
		pflash_save(f->chip, o);
}

static void take_chip_away(struct flash *f)
{
	if (f->mapped)
		show_content(f, false);
	pflash_destroy(f->chip);
	f->chip = NULL;
}

/* As new memory has it, which nobody keeps. */
static int replace_content(struct flash *f, u32 len)
{
	u8 *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -ENOMEM;
	firmware_close(&f->content);
	f->content.rom = p;
	f->content.len = len;
	return 0;
}

static int refuse(struct kvmb_tlv_error *e, int err, const char *why)
{
	if (!e->err)
		snprintf(e->text, sizeof(e->text), "flash: %s", why);
	e->err = e->err ? e->err : err;
	return e->err;
}

int flash_load(struct flash *f, u64 end, struct kvmb_tlv *group, struct kvmb_tlv_error *error)
{
	u32 len = group ? pflash_saved_len(group) : 0;
	int err = error->err;

	if (!err && f->keeper.changed && len != f->content.len)
		err = refuse(error, -EPROTO, "the file of its variables has another size");
	if (!err && group && !len)
		err = refuse(error, -EPROTO, "it has no size that there is");
	if (err)
		return err;
	take_chip_away(f);
	if (!group)
		return 0;
	if (len != f->content.len)
		err = replace_content(f, len);
	if (err)
		return refuse(error, err, strerror(-err));
	make_chip(f, end);
	return pflash_load(f->chip, group);
}

void flash_loaded(struct flash *f)
{
	if (f->chip)
		pflash_loaded(f->chip);
}

void flash_destroy(struct flash *f)
{
	if (!f)
		return;
	pflash_destroy(f->chip);
	firmware_close(&f->content);
	free(f);
}
