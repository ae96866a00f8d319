// SPDX-License-Identifier: GPL-2.0-only
/* VGA: the Bochs registers, which select modes with linear memory. */
#include "lib/util.h"
#include "machine/dev/screen.h"
#include "machine/dev/vga_priv.h"

#define FIRST_ID 0xb0c0u
#define LAST_ID 0xb0c5u
#define MAX_BPP 32u
#define VBE_ENABLE_BITS (VBE_ENABLED | VBE_GETCAPS | VBE_8BIT_DAC | VBE_LINEAR | VBE_NOCLEAR)

void vga_vbe_reset(struct vga_regs *r)
{
	memset(r->vbe, 0, sizeof(r->vbe));
	r->vbe_index = 0;
	r->vbe[VBE_ID] = LAST_ID;
	r->vbe[VBE_BPP] = 8;
	r->vbe[VBE_MEMORY_64K] = VGA_MEMORY >> 16;
}

static u32 line_bytes(u32 width, u32 bpp)
{
	return bpp == 4 ? width / 8 : width * ((bpp + 7) / 8);
}

u32 vga_vbe_line(const struct vga_regs *r)
{
	return line_bytes(r->vbe[VBE_VIRT_WIDTH], r->vbe[VBE_BPP]);
}

/* Lines that the memory has room for. */
static u32 vbe_lines(u32 line, u32 bpp)
{
	return line ? VGA_MEMORY / (bpp == 4 ? line * 4 : line) : 0;
}

static bool bpp_valid(u32 bpp)
{
	return bpp == 4 || bpp == 8 || bpp == 15 || bpp == 16 || bpp == 24 || bpp == 32;
}

bool vga_vbe_valid(const struct vga_regs *r)
{
	const u16 *vbe = r->vbe;

	return vbe[VBE_ID] >= FIRST_ID && vbe[VBE_ID] <= LAST_ID && vbe[VBE_XRES] &&
	       vbe[VBE_XRES] <= SCREEN_MAX_WIDTH && !(vbe[VBE_XRES] & 7) && vbe[VBE_YRES] &&
	       vbe[VBE_YRES] <= SCREEN_MAX_HEIGHT && bpp_valid(vbe[VBE_BPP]) &&
	       vbe[VBE_VIRT_WIDTH] >= vbe[VBE_XRES] &&
	       vbe_lines(vga_vbe_line(r), vbe[VBE_BPP]) >= vbe[VBE_YRES];
}

static void clear_picture(struct vga *v)
{
	const struct vga_regs *r = &v->regs;
	u32 line = vga_vbe_line(r) * (r->vbe[VBE_BPP] == 4 ? 4 : 1);

	memset(v->memory, 0, (size_t)line * r->vbe[VBE_YRES]);
}

static void enable_vbe(struct vga *v, u16 val)
{
	struct vga_regs *r = &v->regs;
	bool was = vga_is_vbe(r);

	if ((val ^ r->vbe[VBE_ENABLE]) & VBE_8BIT_DAC)
		vga_dac_width(r, val & VBE_8BIT_DAC);
	r->vbe[VBE_ENABLE] = val & VBE_ENABLE_BITS;
	if (!(val & VBE_ENABLED)) {
		r->vbe[VBE_BANK] = 0;
		return;
	}
	if (was)
		return;
	r->vbe[VBE_VIRT_WIDTH] = r->vbe[VBE_XRES];
	r->vbe[VBE_X_OFFSET] = r->vbe[VBE_Y_OFFSET] = 0;
	if (!vga_vbe_valid(r))
		r->vbe[VBE_ENABLE] &= (u16)~VBE_ENABLED;
	else if (!(val & VBE_NOCLEAR))
		clear_picture(v);
}

static void set_virtual_width(struct vga_regs *r, u16 val)
{
	u32 bpp = r->vbe[VBE_BPP];

	val &= 0xfff8;
	if (vga_is_vbe(r) && val >= r->vbe[VBE_XRES] &&
	    vbe_lines(line_bytes(val, bpp), bpp) >= r->vbe[VBE_YRES])
		r->vbe[VBE_VIRT_WIDTH] = val;
}

static bool geometry_valid(u32 index, u16 val)
{
	if (index == VBE_BPP)
		return bpp_valid(val);
	return val <= (index == VBE_XRES ? SCREEN_MAX_WIDTH : SCREEN_MAX_HEIGHT);
}

/* Resolution and depth: not while they are shown. */
static void set_geometry(struct vga_regs *r, u32 index, u16 val)
{
	if (vga_is_vbe(r))
		return;
	if (index == VBE_XRES)
		val &= 0xfff8;
	if (index == VBE_BPP && !val)
		val = 8;
	if (geometry_valid(index, val))
		r->vbe[index] = val;
}

/* Others cannot be written, or there are none. */
void vga_vbe_write(struct vga *v, u32 index, u16 val)
{
	struct vga_regs *r = &v->regs;

	switch (index) {
	case VBE_ID:
		if (val >= FIRST_ID && val <= LAST_ID)
			r->vbe[VBE_ID] = val;
		break;
	case VBE_XRES:
	case VBE_YRES:
	case VBE_BPP:
		set_geometry(r, index, val);
		break;
	case VBE_ENABLE:
		enable_vbe(v, val);
		break;
	case VBE_BANK:
		if (val < VGA_MEMORY >> 16)
			r->vbe[VBE_BANK] = val;
		break;
	case VBE_VIRT_WIDTH:
		set_virtual_width(r, val);
		break;
	case VBE_X_OFFSET:
	case VBE_Y_OFFSET:
		r->vbe[index] = val;
		break;
	}
}

u16 vga_vbe_read(const struct vga_regs *r, u32 index)
{
	bool limits = r->vbe[VBE_ENABLE] & VBE_GETCAPS;

	switch (index) {
	case VBE_XRES:
		return limits ? SCREEN_MAX_WIDTH : r->vbe[VBE_XRES];
	case VBE_YRES:
		return limits ? SCREEN_MAX_HEIGHT : r->vbe[VBE_YRES];
	case VBE_BPP:
		return limits ? MAX_BPP : r->vbe[VBE_BPP];
	case VBE_VIRT_HEIGHT:
		return (u16)KVMB_MIN(vbe_lines(vga_vbe_line(r), r->vbe[VBE_BPP]), 0xffffu);
	default:
		return index < VBE_REGS ? r->vbe[index] : 0;
	}
}
