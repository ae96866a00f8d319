/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the VGA card share. */
#ifndef KVMB_VGA_PRIV_H
#define KVMB_VGA_PRIV_H

#include <pthread.h>

#include "machine/dev/pci.h"
#include "machine/dev/vga.h"

struct screen_image;

#define VGA_PLANES (256u << 10) /* bytes that the four planes of VGA have together */

enum { VGA_SEQS = 5, VGA_CRTCS = 25, VGA_GFXS = 9, VGA_ATTRS = 21 };

/* Bochs registers */
enum {
	VBE_ID,
	VBE_XRES,
	VBE_YRES,
	VBE_BPP,
	VBE_ENABLE,
	VBE_BANK,
	VBE_VIRT_WIDTH, /* pixels */
	VBE_VIRT_HEIGHT,
	VBE_X_OFFSET,
	VBE_Y_OFFSET,
	VBE_MEMORY_64K,
	VBE_REGS,
};

#define VBE_ENABLED 0x01u
#define VBE_GETCAPS 0x02u
#define VBE_8BIT_DAC 0x20u
#define VBE_LINEAR 0x40u
#define VBE_NOCLEAR 0x80u

struct vga_regs { /* as the guest wrote them, without bits that no card has */
	u8 misc, feature, enable;
	u8 seq_index, crtc_index, gfx_index, attr_index; /* attr: with bit 5, "show a picture" */
	u8 attr_data;					 /* the next write to 0x3c0 is data */
	u8 seq[VGA_SEQS], crtc[VGA_CRTCS], gfx[VGA_GFXS], attr[VGA_ATTRS];
	u8 pel_mask;
	u8 dac_read, dac_write; /* which colour is read or written next */
	u8 dac_part;		/* 0..2: which byte of it */
	u8 dac_state;		/* 0 = writing, 3 = reading */
	u8 dac_new[3];		/* of a colour of which not all is written */
	u8 dac[768];		/* red, green, blue: of 6 or of 8 bits */
	u8 phase;		/* of the picture; moves with each read of the status */
	u8 big_endian;		/* pixels of the linear modes */
	u16 vbe_index;
	u16 vbe[VBE_REGS];
	u32 latch; /* byte p: of plane p */
};

struct vga {
	struct pci_func func;
	struct vga_ops ops;
	int fd;	    /* of the memory */
	u8 *memory; /* memory[VGA_MEMORY]; shared with the guest */
	u64 base;   /* atomic: where BAR 0 shows it, PCI_NOWHERE */
	u8 *rom;    /* rom[VGA_ROM_SIZE]; immutable */
	pthread_mutex_t lock;
	struct vga_regs regs; /* lock */
};

/* ---- vga_dac.c; lock held ---- */

/** vga_dac_write() - The next byte of a colour. */
void vga_dac_write(struct vga_regs *r, u8 val);
/** vga_dac_read() - Return: the next byte of a colour. */
u8 vga_dac_read(struct vga_regs *r);
/** vga_dac_width() - Colours have bytes of 8 bits from now on, not of 6, or the other way. */
void vga_dac_width(struct vga_regs *r, bool eight);
/** vga_dac_colour() - Return: red << 16 | green << 8 | blue. */
u32 vga_dac_colour(const struct vga_regs *r, u8 index);

/* ---- vga_vbe.c: Bochs registers; lock held ---- */

/** vga_vbe_reset() - Power-on state. */
void vga_vbe_reset(struct vga_regs *r);
/** vga_vbe_write() - Any value to any register. */
void vga_vbe_write(struct vga *v, u32 index, u16 val);
/** vga_vbe_read() - Return: 0 of a register that there is not. */
u16 vga_vbe_read(const struct vga_regs *r, u32 index);
/** vga_vbe_valid() - Can they be enabled as they are? */
bool vga_vbe_valid(const struct vga_regs *r);
/** vga_vbe_line() - Return: bytes from one line to the next, with 4 bits of a pixel: of a plane. */
u32 vga_vbe_line(const struct vga_regs *r);

/* ---- vga_mem.c ---- */

/** vga_window() - Access to the window at 0xa0000, for pci_claim(). */
void vga_window(void *dev, u32 offset, u32 size, bool write, u64 *val);

/* ---- vga_raster.c: VGA modes ---- */

/** vga_raster_size() - The size of the picture in pixels, inside of the limits of screen.h. */
void vga_raster_size(const struct vga_regs *r, u32 *width, u32 *height);
/** vga_raster() - Draw it: @out is of that size, planes[VGA_PLANES]. */
void vga_raster(const struct vga_regs *r, const u8 *planes, const struct screen_image *out);
/** vga_raster_address() - Return: offset in the planes, below 64 KiB; @scan: line of its row. */
u32 vga_raster_address(const struct vga_regs *r, u32 counter, u32 scan);
/** vga_palette() - The attribute controller's 16 colours. */
void vga_palette(const struct vga_regs *r, u32 palette[16]);

/* Of pixels whose bits are in four planes: number @n from the left of p[4]. */
static inline u32 vga_planar_pixel(const u8 *p, u32 n)
{
	u32 bit = 7 - n;

	return (p[0] >> bit & 1) | (p[1] >> bit & 1) << 1 | (p[2] >> bit & 1) << 2 |
	       (p[3] >> bit & 1) << 3;
}

static inline bool vga_is_vbe(const struct vga_regs *r)
{
	return r->vbe[VBE_ENABLE] & VBE_ENABLED;
}

static inline bool vga_is_text(const struct vga_regs *r)
{
	return !vga_is_vbe(r) && !(r->gfx[6] & 1);
}

static inline bool vga_is_blank(const struct vga_regs *r)
{
	return !(r->attr_index & 0x20) || r->seq[1] & 0x20;
}

#endif
