// SPDX-License-Identifier: GPL-2.0-only
/*
 * VGA: the window at 0xa0000. Four planes at once are a word, plane p is its byte p: the latches,
 * the data and the masks are such words.
 *
 * Sources: FreeVGA, "Graphics Registers", "Accessing the VGA Display Memory".
 */
#include "machine/dev/vga_priv.h"

#define CHAIN4 0x08u	 /* sequencer register 4 */
#define SEQUENTIAL 0x04u /* the same: no odd/even addressing by writes */

/* A byte for each of four planes. */
static u32 in_all(u8 byte)
{
	return byte * 0x01010101u;
}

/* All bits of the planes whose bit is set. */
static u32 of_planes(u32 bits)
{
	return (bits & 1) * 0xffu | (bits >> 1 & 1) * 0xff00u | (bits >> 2 & 1) * 0xff0000u |
	       (bits >> 3 & 1) * 0xff000000u;
}

/* Where in the window's 128 KiB the memory is: false: not at @at. */
static bool in_window(const struct vga_regs *r, u32 at, u32 *offset)
{
	static const struct {
		u32 from, size;
	} maps[4] = { { 0, 0x20000 }, { 0, 0x10000 }, { 0x10000, 0x8000 }, { 0x18000, 0x8000 } };
	u32 map = r->gfx[6] >> 2 & 3;

	*offset = at - maps[map].from;
	return r->misc & 2 && at >= maps[map].from && *offset < maps[map].size;
}

/* The four planes at an offset: of the 64 KiB that VGA has, or of a bank. */
static u32 plane_index(const struct vga_regs *r, u32 offset)
{
	if (!vga_is_vbe(r))
		return offset & 0xffff;
	return (offset + ((u32)r->vbe[VBE_BANK] << 16)) & (VGA_MEMORY / 4 - 1);
}

static u32 load_planes(const struct vga *v, u32 index)
{
	u32 word;

	memcpy(&word, v->memory + index * 4, 4);
	return word;
}

static void store_planes(struct vga *v, u32 index, u32 word)
{
	memcpy(v->memory + index * 4, &word, 4);
}

static u8 rotated(const struct vga_regs *r, u8 val)
{
	u32 n = r->gfx[3] & 7;

	return (u8)(val >> n | val << (8 - n));
}

static u32 logic(const struct vga_regs *r, u32 word)
{
	switch (r->gfx[3] >> 3 & 3) {
	case 1:
		return word & r->latch;
	case 2:
		return word | r->latch;
	case 3:
		return word ^ r->latch;
	}
	return word;
}

/* What a write of @val makes of the four planes, by write mode. */
static u32 written_word(const struct vga_regs *r, u8 val)
{
	u32 set = of_planes(r->gfx[0]), enable = of_planes(r->gfx[1]);
	u32 bits = in_all(r->gfx[8]), word;

	switch (r->gfx[5] & 3) {
	case 0:
		word = (in_all(rotated(r, val)) & ~enable) | (set & enable);
		break;
	case 1:
		return r->latch;
	case 2:
		word = of_planes(val);
		break;
	default:
		bits &= in_all(rotated(r, val));
		word = set;
	}
	return (logic(r, word) & bits) | (r->latch & ~bits);
}

/* In linear modes the window shows a bank as it is. */
static u8 *linear_byte(const struct vga *v, u32 offset)
{
	const struct vga_regs *r = &v->regs;

	if (!vga_is_vbe(r) || r->vbe[VBE_BPP] == 4)
		return NULL;
	return v->memory + ((offset + ((u32)r->vbe[VBE_BANK] << 16)) & (VGA_MEMORY - 1));
}

static void write_byte(struct vga *v, u32 offset, u8 val)
{
	const struct vga_regs *r = &v->regs;
	u32 planes = r->seq[2], index, mask;
	u8 *linear = linear_byte(v, offset);

	if (linear) {
		*linear = val;
		return;
	}
	if (r->seq[4] & CHAIN4) {
		planes &= 1u << (offset & 3);
		offset &= ~3u;
	} else if (!(r->seq[4] & SEQUENTIAL)) {
		planes &= offset & 1 ? 0xa : 0x5;
		offset &= ~1u;
	}
	index = plane_index(r, offset);
	mask = of_planes(planes);
	store_planes(v, index, (load_planes(v, index) & ~mask) | (written_word(r, val) & mask));
}

/* Read mode 1: which of the eight pixels have the colour that is looked for. */
static u8 compared(const struct vga_regs *r)
{
	u32 differ = (r->latch ^ of_planes(r->gfx[2])) & of_planes(r->gfx[7]);

	differ |= differ >> 16;
	differ |= differ >> 8;
	return (u8)(differ ^ 0xff);
}

static u8 read_byte(struct vga *v, u32 offset)
{
	struct vga_regs *r = &v->regs;
	u32 plane = r->gfx[4] & 3;
	u8 *linear = linear_byte(v, offset);

	if (linear)
		return *linear;
	if (r->seq[4] & CHAIN4) {
		plane = offset & 3;
		offset &= ~3u;
	} else if (r->gfx[5] & 0x10) {
		plane = (plane & 2) | (offset & 1);
		offset &= ~1u;
	}
	r->latch = load_planes(v, plane_index(r, offset));
	return r->gfx[5] & 8 ? compared(r) : (u8)(r->latch >> plane * 8);
}

void vga_window(void *dev, u32 offset, u32 size, bool write, u64 *val)
{
	struct vga *v = dev;
	u32 i, at;

	pthread_mutex_lock(&v->lock);
	for (i = 0; i < size; i++) {
		if (!in_window(&v->regs, offset + i, &at))
			continue; /* all-ones */
		if (write)
			write_byte(v, at, (u8)(*val >> i * 8));
		else
			*val = (*val & ~(0xffull << i * 8)) | (u64)read_byte(v, at) << i * 8;
	}
	pthread_mutex_unlock(&v->lock);
}
