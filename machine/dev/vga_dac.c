// SPDX-License-Identifier: GPL-2.0-only
/* VGA: the 256 colours of the DAC. */
#include "machine/dev/vga_priv.h"

void vga_dac_write(struct vga_regs *r, u8 val)
{
	r->dac_new[r->dac_part] = r->vbe[VBE_ENABLE] & VBE_8BIT_DAC ? val : val & 0x3f;
	if (++r->dac_part < 3)
		return;
	memcpy(r->dac + r->dac_write * 3, r->dac_new, 3);
	r->dac_part = 0;
	r->dac_write++;
}

u8 vga_dac_read(struct vga_regs *r)
{
	u8 val = r->dac[r->dac_read * 3 + r->dac_part];

	if (++r->dac_part == 3) {
		r->dac_part = 0;
		r->dac_read++;
	}
	return val;
}

/* The colours stay what they are, as near as bits go. */
void vga_dac_width(struct vga_regs *r, bool eight)
{
	u32 i;

	for (i = 0; i < sizeof(r->dac); i++)
		r->dac[i] = (u8)(eight ? r->dac[i] << 2 | r->dac[i] >> 4 : r->dac[i] >> 2);
	for (i = 0; i < sizeof(r->dac_new); i++)
		r->dac_new[i] = (u8)(eight ? r->dac_new[i] << 2 : r->dac_new[i] >> 2);
}

u32 vga_dac_colour(const struct vga_regs *r, u8 index)
{
	const u8 *c = r->dac + (index & r->pel_mask) * 3;
	u32 rgb = (u32)c[0] << 16 | (u32)c[1] << 8 | c[2];

	if (r->vbe[VBE_ENABLE] & VBE_8BIT_DAC)
		return rgb;
	return rgb << 2 | (rgb >> 4 & 0x030303);
}
