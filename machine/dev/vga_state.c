// SPDX-License-Identifier: GPL-2.0-only
/* VGA: its state in saved VMs. Memory is there as runs of pages that are not all zero. */
#include "lib/tlv_memory.h"
#include "lib/util.h"
#include "machine/dev/vga_priv.h"

/* Fields of the card. Numbers are never used again. */
enum {
	VGA_MISC = 1,
	VGA_FEATURE = 2,
	VGA_ENABLE = 3,
	VGA_SEQ_INDEX = 4,
	VGA_CRTC_INDEX = 5,
	VGA_GFX_INDEX = 6,
	VGA_ATTR_INDEX = 7,
	VGA_ATTR_DATA = 8,
	VGA_PEL_MASK = 9,
	VGA_DAC_READ = 10,
	VGA_DAC_WRITE = 11,
	VGA_DAC_PART = 12,
	VGA_DAC_STATE = 13,
	VGA_PHASE = 14,
	VGA_BIG_ENDIAN = 15,
	VGA_VBE_INDEX = 16,
	VGA_LATCH = 17,
	VGA_SEQ = 18,
	VGA_CRTC = 19,
	VGA_GFX = 20,
	VGA_ATTR = 21,
	VGA_DAC_NEW = 22,
	VGA_DAC = 23,
	VGA_VBE = 24, /* list of VBE_REGS */
	VGA_RUN = 25, /* groups */
};

#define OFFSET(name) offsetof(struct vga_regs, name)
static const struct {
	u8 field;
	u16 offset;
	u8 max;
} byte_registers[] = {
	{ VGA_MISC, OFFSET(misc), 0xff },
	{ VGA_FEATURE, OFFSET(feature), 0xff },
	{ VGA_ENABLE, OFFSET(enable), 1 },
	{ VGA_SEQ_INDEX, OFFSET(seq_index), 7 },
	{ VGA_CRTC_INDEX, OFFSET(crtc_index), 0xff },
	{ VGA_GFX_INDEX, OFFSET(gfx_index), 0xf },
	{ VGA_ATTR_INDEX, OFFSET(attr_index), 0x3f },
	{ VGA_ATTR_DATA, OFFSET(attr_data), 1 },
	{ VGA_PEL_MASK, OFFSET(pel_mask), 0xff },
	{ VGA_DAC_READ, OFFSET(dac_read), 0xff },
	{ VGA_DAC_WRITE, OFFSET(dac_write), 0xff },
	{ VGA_DAC_PART, OFFSET(dac_part), 2 },
	{ VGA_DAC_STATE, OFFSET(dac_state), 3 },
	{ VGA_PHASE, OFFSET(phase), 0xff },
	{ VGA_BIG_ENDIAN, OFFSET(big_endian), 1 },
};

static const struct {
	u8 field;
	u16 offset, len;
} byte_arrays[] = {
	{ VGA_SEQ, OFFSET(seq), VGA_SEQS },  { VGA_CRTC, OFFSET(crtc), VGA_CRTCS },
	{ VGA_GFX, OFFSET(gfx), VGA_GFXS },  { VGA_ATTR, OFFSET(attr), VGA_ATTRS },
	{ VGA_DAC_NEW, OFFSET(dac_new), 3 }, { VGA_DAC, OFFSET(dac), 768 },
};

/* ---- saving ---- */

static void save_registers(const struct vga_regs *r, struct kvmb_tlv_out *o)
{
	u64 vbe[VBE_REGS];
	u32 i;

	for (i = 0; i < ARRAY_SIZE(byte_registers); i++)
		kvmb_tlv_put(o, byte_registers[i].field, ((const u8 *)r)[byte_registers[i].offset]);
	for (i = 0; i < ARRAY_SIZE(byte_arrays); i++)
		kvmb_tlv_put_bytes(o, byte_arrays[i].field, (const u8 *)r + byte_arrays[i].offset,
				   byte_arrays[i].len);
	for (i = 0; i < VBE_REGS; i++)
		vbe[i] = r->vbe[i];
	kvmb_tlv_put_list(o, VGA_VBE, vbe, VBE_REGS);
	kvmb_tlv_put(o, VGA_VBE_INDEX, r->vbe_index);
	kvmb_tlv_put(o, VGA_LATCH, r->latch);
}

void vga_save(struct vga *v, struct kvmb_tlv_out *o)
{
	pthread_mutex_lock(&v->lock);
	save_registers(&v->regs, o);
	kvmb_tlv_put_memory(o, VGA_RUN, v->fd, v->memory, VGA_MEMORY);
	pthread_mutex_unlock(&v->lock);
}

/* ---- loading ---- */

static void load_vbe(struct vga_regs *r, struct kvmb_tlv *group)
{
	size_t num, i;
	u64 *vbe = kvmb_tlv_get_list(group, VGA_VBE, VBE_REGS, &num);
	bool fits = num == VBE_REGS;

	for (i = 0; i < num; i++) {
		fits = fits && vbe[i] <= 0xffff;
		r->vbe[i] = (u16)vbe[i];
	}
	free(vbe);
	if (!fits || (vga_is_vbe(r) && !vga_vbe_valid(r)) || r->vbe[VBE_BANK] >= VGA_MEMORY >> 16 ||
	    r->vbe[VBE_MEMORY_64K] != VGA_MEMORY >> 16)
		kvmb_tlv_refuse(group, VGA_VBE, "no guest can set that");
}

static void load_registers(struct vga_regs *r, struct kvmb_tlv *group)
{
	u32 i;

	memset(r, 0, sizeof(*r));
	for (i = 0; i < ARRAY_SIZE(byte_registers); i++)
		((u8 *)r)[byte_registers[i].offset] =
			(u8)kvmb_tlv_get(group, byte_registers[i].field, byte_registers[i].max);
	for (i = 0; i < ARRAY_SIZE(byte_arrays); i++)
		kvmb_tlv_copy(group, byte_arrays[i].field, (u8 *)r + byte_arrays[i].offset,
			      byte_arrays[i].len);
	load_vbe(r, group);
	r->vbe_index = (u16)kvmb_tlv_get(group, VGA_VBE_INDEX, 0xffff);
	r->latch = (u32)kvmb_tlv_get(group, VGA_LATCH, 0xffffffff);
}

int vga_load(struct vga *v, struct kvmb_tlv *group)
{
	struct vga_regs r;
	int err;

	load_registers(&r, group);
	kvmb_tlv_get_memory(group, VGA_RUN, NULL, VGA_MEMORY);
	err = kvmb_tlv_done(group);
	if (err)
		return err;
	pthread_mutex_lock(&v->lock);
	v->regs = r;
	kvmb_tlv_get_memory(group, VGA_RUN, v->memory, VGA_MEMORY);
	pthread_mutex_unlock(&v->lock);
	return 0;
}
