// SPDX-License-Identifier: GPL-2.0-only
/* The log of changed pages: KVM's, slot by slot, and ours. Theory: mem_log.h. */
#include "machine/mem_log.h"

#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "lib/dirty_log.h"
#include "lib/log.h"
#include "lib/util.h"
#include "machine/gen1.h"
#include "machine/hyperv.h"
#include "machine/machine.h"

#define WORD 64u	      /* pages in a word */
#define PIECE (16384u / WORD) /* words that are protected at once: 64 MiB */
static_assert(KVMB_PAGE_SHIFT == KVMB_DIRTY_SHIFT, "both logs have the same pages");

static u64 words_of(const struct kvmb_gm_region *r)
{
	return (r->size / KVMB_PAGE_SIZE + WORD - 1) / WORD;
}

static u64 first_word(const struct kvmb_gm_region *r)
{
	return r->file_offset / KVMB_PAGE_SIZE / WORD;
}

u64 machine_log_pages(const struct machine *m)
{
	const struct kvmb_gm_region *last = &m->gm.regions[m->gm.num_regions - 1];

	return (first_word(last) + words_of(last)) * WORD;
}

void machine_log_prepare(struct machine *m)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 };
	int has = ioctl(m->vm_fd, KVM_CHECK_EXTENSION, (unsigned long)cap.cap);

	if (has > 0) {
		cap.args[0] = (u64)has &
			      (KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET);
		if (!ioctl(m->vm_fd, KVM_ENABLE_CAP, &cap))
			m->log.features = cap.args[0];
	}
	kvmb_dirty_log_prepare(); /* where that fails, so does machine_log_begin() */
}

static int set_slot(struct machine *m, u32 slot, u32 flags)
{
	const struct kvmb_gm_region *r = &m->gm.regions[slot];
	struct kvm_userspace_memory_region k = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = r->base,
		.memory_size = r->size,
		.userspace_addr = (u64)(uintptr_t)r->hva,
	};

	return ioctl(m->vm_fd, KVM_SET_USER_MEMORY_REGION, &k) ? -errno : 0;
}

static u64 *make_slot_bits(const struct machine *m)
{
	u64 most = 0;
	u32 i;

	for (i = 0; i < m->gm.num_regions; i++) {
		/* RAM is whole megabytes (machine_config.h), and so is all but VGA's hole */
		kvmb_assert(!(m->gm.regions[i].file_offset % (KVMB_PAGE_SIZE * WORD)));
		most = KVMB_MAX(most, words_of(&m->gm.regions[i]));
	}
	return calloc(most, sizeof(u64));
}

int machine_log_begin(struct machine *m)
{
	u32 i;
	int err;

	kvmb_assert(!m->log.on);
	m->log.slot = make_slot_bits(m);
	if (!m->log.slot)
		return -ENOMEM;
	err = kvmb_dirty_log_begin(m->gm.regions[0].hva, machine_log_pages(m) * KVMB_PAGE_SIZE);
	m->log.on = m->log.fresh = true;
	for (i = 0; !err && i < m->gm.num_regions; i++)
		err = set_slot(m, i, KVM_MEM_LOG_DIRTY_PAGES);
	if (err)
		machine_log_end(m);
	return err;
}

/* Forget words [@at, @at + @num) of what m->log.slot has, and protect these pages. */
static int clear_piece(struct machine *m, u32 slot, u64 at, u64 num)
{
	u64 pages = m->gm.regions[slot].size / KVMB_PAGE_SIZE - at * WORD; /* to its end */
	struct kvm_clear_dirty_log c = { .slot = slot,
					 .first_page = at * WORD,
					 .num_pages = (u32)KVMB_MIN(num * WORD, pages),
					 .dirty_bitmap = m->log.slot + at };
	u64 i;

	for (i = 0; i < num && !m->log.slot[at + i]; i++)
		;
	if (i == num)
		return 0;
	return ioctl(m->vm_fd, KVM_CLEAR_DIRTY_LOG, &c) ? -errno : 0;
}

static int take_slot(struct machine *m, u32 slot, u64 *bits)
{
	struct kvm_dirty_log get = { .slot = slot, .dirty_bitmap = m->log.slot };
	u64 words = words_of(&m->gm.regions[slot]), i;
	int err = 0;

	if (ioctl(m->vm_fd, KVM_GET_DIRTY_LOG, &get))
		return -errno;
	for (i = 0; i < words; i++)
		bits[i] |= m->log.slot[i];
	for (i = 0; m->log.features && !err && i < words; i += PIECE)
		err = clear_piece(m, slot, i, KVMB_MIN(words - i, (u64)PIECE));
	return err;
}

int machine_log_take(struct machine *m, u64 *bits)
{
	u64 pages = machine_log_pages(m);
	int err = 0;
	u32 i;

	kvmb_assert(m->log.on);
	for (i = 0; !err && i < m->gm.num_regions; i++)
		err = take_slot(m, i, bits + first_word(&m->gm.regions[i]));
	kvmb_dirty_log_take(bits, 0, pages);
	if (!err && m->log.fresh) {
		memset(bits, 0xff, pages / 8);
		m->log.fresh = false;
	}
	return err;
}

void machine_log_end(struct machine *m)
{
	u32 i;
	int err;

	for (i = 0; m->log.on && i < m->gm.num_regions; i++) {
		err = set_slot(m, i, 0);
		if (err)
			kvmb_warn(m->name, "KVM goes on logging changes of memory: %s",
				  strerror(-err));
	}
	kvmb_dirty_log_end();
	free(m->log.slot);
	m->log.slot = NULL;
	m->log.on = false;
}

void machine_dirty(struct machine *m)
{
	u32 i;

	for (i = 0; i < m->cfg.cpus; i++)
		hyperv_dirty(&m->vcpus[i]);
	if (m->gen1)
		gen1_dirty(m->gen1);
}
