// SPDX-License-Identifier: GPL-2.0-only
/*
 * VGA: a picture of the screen, and its text.
 *
 * Source of the characters: IBM code page 437 as Unicode lists it, "cp437_DOSLatinUS to Unicode
 * table"; those below 0x20 as "IBM Graphics" has them.
 */
#include "machine/dev/screen.h"

#include <stdlib.h>

#include "lib/pixels.h"
#include "lib/util.h"
#include "machine/dev/vga_priv.h"

/* ---- linear modes ---- */

struct linear { /* of a card, its memory still changes */
	const struct vga_regs *r;
	const u8 *memory;
	u32 palette[16];
	u32 bpp, bytes; /* of a pixel */
};

static u32 rgb_of_555(u32 c)
{
	u32 r = c >> 10 & 31, g = c >> 5 & 31, b = c & 31;

	return (r << 3 | r >> 2) << 16 | (g << 3 | g >> 2) << 8 | (b << 3 | b >> 2);
}

/* Pixels of p[n * bytes], one function for each depth: a screen has millions. */
static void pixels_of_8(const struct linear *l, const u8 *p, u32 *out, u32 n)
{
	u32 i;

	for (i = 0; i < n; i++)
		out[i] = vga_dac_colour(l->r, p[i]);
}

static void pixels_of_16(const struct linear *l, const u8 *p, u32 *out, u32 n)
{
	u32 high = l->r->big_endian ? 0 : 1, i;

	for (i = 0; i < n; i++, p += 2) {
		u32 word = (u32)p[high] << 8 | p[!high];

		out[i] = l->bpp == 15 ? rgb_of_555(word) : kvmb_rgb_of_565(word);
	}
}

static void pixels_of_24(const struct linear *l, const u8 *p, u32 *out, u32 n)
{
	u32 i;

	(void)l;
	for (i = 0; i < n; i++, p += 3)
		out[i] = (u32)p[2] << 16 | (u32)p[1] << 8 | p[0];
}

static void pixels_of_32(const struct linear *l, const u8 *p, u32 *out, u32 n)
{
	u32 i;

	memcpy(out, p, n * 4u);
	for (i = 0; i < n; i++)
		out[i] = (l->r->big_endian ? be32toh(out[i]) : le32toh(out[i])) & 0xffffff;
}

/* @at: of the line in memory. What is behind its end is black. */
static void linear_line(const struct linear *l, u64 at, u32 *out, u32 width)
{
	static void (*const by_bytes[5])(const struct linear *, const u8 *, u32 *, u32) = {
		NULL, pixels_of_8, pixels_of_16, pixels_of_24, pixels_of_32,
	};

	at += (u64)l->r->vbe[VBE_X_OFFSET] * l->bytes;
	if (at < VGA_MEMORY)
		by_bytes[l->bytes](l, l->memory + at, out,
				   (u32)KVMB_MIN(width, (VGA_MEMORY - at) / l->bytes));
}

/* The same of 16 colours: @at is of the planes. */
static void planar_line(const struct linear *l, u64 at, u32 *out, u32 width)
{
	u32 x;

	for (x = 0; x < width; x++) {
		u32 dot = l->r->vbe[VBE_X_OFFSET] + x;
		u64 byte = at + dot / 8;
		const u8 *p = l->memory + byte * 4;

		if (byte * 4 + 4 > VGA_MEMORY)
			break;
		out[x] = l->palette[vga_planar_pixel(p, dot % 8)];
	}
}

static void draw_linear(const struct vga_regs *r, const u8 *memory, const struct screen_image *out)
{
	struct linear l = { .r = r, .memory = memory, .bpp = r->vbe[VBE_BPP] };
	u32 y;

	l.bytes = (l.bpp + 7) / 8;
	vga_palette(r, l.palette);
	for (y = 0; y < out->height; y++) {
		u64 at = (u64)vga_vbe_line(r) * (r->vbe[VBE_Y_OFFSET] + y);
		u32 *line = out->pixels + (size_t)y * out->width;

		if (l.bpp == 4)
			planar_line(&l, at, line, out->width);
		else
			linear_line(&l, at, line, out->width);
	}
}

/* ---- pictures ---- */

static void screen_size(const struct vga_regs *r, struct screen_image *out)
{
	vga_raster_size(r, &out->width, &out->height);
	if (vga_is_vbe(r)) {
		out->width = r->vbe[VBE_XRES];
		out->height = r->vbe[VBE_YRES];
	} else if (vga_is_blank(r) && (out->width < 320 || out->height < 200)) {
		out->width = 640; /* as a monitor that has no signal yet */
		out->height = 400;
	}
}

/* Registers, and the planes unless a linear mode has the memory. */
static u8 *copy_card(struct vga *v, struct vga_regs *r)
{
	u8 *planes = malloc(VGA_PLANES);

	pthread_mutex_lock(&v->lock);
	*r = v->regs;
	if (planes && !vga_is_vbe(r))
		memcpy(planes, v->memory, VGA_PLANES);
	pthread_mutex_unlock(&v->lock);
	return planes;
}

int vga_screen(struct vga *v, struct screen_image *out)
{
	struct screen_image image;
	struct vga_regs r;
	u8 *planes = copy_card(v, &r);

	screen_size(&r, &image);
	image.pixels = planes ? calloc((size_t)image.width * image.height, 4) : NULL;
	if (!image.pixels) {
		free(planes);
		return -ENOMEM;
	}
	if (vga_is_blank(&r))
		; /* black */
	else if (vga_is_vbe(&r))
		draw_linear(&r, v->memory, &image);
	else
		vga_raster(&r, planes, &image);
	free(planes);
	*out = image;
	return 0;
}

/* ---- has it changed? ---- */

/* Without those that say how memory is reached, or move when the guest looks at them. */
static u64 hash_regs(const struct vga_regs *r)
{
	struct vga_regs seen;
	u8 padded[(sizeof(seen) + 7) / 8 * 8] = { 0 };

	memcpy(&seen, r, sizeof(seen));
	seen.seq_index = seen.crtc_index = seen.gfx_index = seen.attr_data = 0;
	seen.attr_index &= 0x20;
	seen.dac_read = seen.dac_write = seen.dac_part = seen.dac_state = seen.phase = 0;
	memset(seen.dac_new, 0, sizeof(seen.dac_new));
	seen.vbe_index = seen.vbe[VBE_BANK] = 0;
	seen.latch = 0;
	memcpy(padded, &seen, sizeof(seen));
	return kvmb_pixels_hash(0, padded, sizeof(padded));
}

/* The lines of a linear mode, or of 16 colours, in whole words. */
static u64 hash_lines(const struct vga *v, const struct vga_regs *r, u64 h)
{
	const u32 bpp = r->vbe[VBE_BPP], planes = bpp == 4 ? 4 : 1;
	const u64 width = r->vbe[VBE_XRES] + (u64)r->vbe[VBE_X_OFFSET];
	u32 y;

	for (y = 0; y < r->vbe[VBE_YRES]; y++) {
		u64 at = (u64)vga_vbe_line(r) * (r->vbe[VBE_Y_OFFSET] + y) * planes;
		u64 end = at + (bpp == 4 ? (width + 7) / 8 * 4 : width * ((bpp + 7) / 8));

		at &= ~7ull;
		end = KVMB_MIN((end + 7) & ~7ull, (u64)VGA_MEMORY);
		if (at < end)
			h = kvmb_pixels_hash(h, v->memory + at, end - at);
	}
	return h;
}

u64 vga_serial(struct vga *v)
{
	struct vga_regs r;
	u64 h;

	pthread_mutex_lock(&v->lock);
	memcpy(&r, &v->regs, sizeof(r)); /* with the holes */
	h = hash_regs(&r);
	if (!vga_is_vbe(&r) && !vga_is_blank(&r))
		h = kvmb_pixels_hash(h, v->memory, VGA_PLANES);
	pthread_mutex_unlock(&v->lock);
	return vga_is_vbe(&r) && !vga_is_blank(&r) ? hash_lines(v, &r, h) : h;
}

/* ---- text ---- */

static const u16 unicode_low[32] = {
	0x0020, 0x263a, 0x263b, 0x2665, 0x2666, 0x2663, 0x2660, 0x2022, 0x25d8, 0x25cb, 0x25d9,
	0x2642, 0x2640, 0x266a, 0x266b, 0x263c, 0x25ba, 0x25c4, 0x2195, 0x203c, 0x00b6, 0x00a7,
	0x25ac, 0x21a8, 0x2191, 0x2193, 0x2192, 0x2190, 0x221f, 0x2194, 0x25b2, 0x25bc,
};

/* from 0x7f on */
static const u16 unicode_high[129] = {
	0x2302, 0x00c7, 0x00fc, 0x00e9, 0x00e2, 0x00e4, 0x00e0, 0x00e5, 0x00e7, 0x00ea, 0x00eb,
	0x00e8, 0x00ef, 0x00ee, 0x00ec, 0x00c4, 0x00c5, 0x00c9, 0x00e6, 0x00c6, 0x00f4, 0x00f6,
	0x00f2, 0x00fb, 0x00f9, 0x00ff, 0x00d6, 0x00dc, 0x00a2, 0x00a3, 0x00a5, 0x20a7, 0x0192,
	0x00e1, 0x00ed, 0x00f3, 0x00fa, 0x00f1, 0x00d1, 0x00aa, 0x00ba, 0x00bf, 0x2310, 0x00ac,
	0x00bd, 0x00bc, 0x00a1, 0x00ab, 0x00bb, 0x2591, 0x2592, 0x2593, 0x2502, 0x2524, 0x2561,
	0x2562, 0x2556, 0x2555, 0x2563, 0x2551, 0x2557, 0x255d, 0x255c, 0x255b, 0x2510, 0x2514,
	0x2534, 0x252c, 0x251c, 0x2500, 0x253c, 0x255e, 0x255f, 0x255a, 0x2554, 0x2569, 0x2566,
	0x2560, 0x2550, 0x256c, 0x2567, 0x2568, 0x2564, 0x2565, 0x2559, 0x2558, 0x2552, 0x2553,
	0x256b, 0x256a, 0x2518, 0x250c, 0x2588, 0x2584, 0x258c, 0x2590, 0x2580, 0x03b1, 0x00df,
	0x0393, 0x03c0, 0x03a3, 0x03c3, 0x00b5, 0x03c4, 0x03a6, 0x0398, 0x03a9, 0x03b4, 0x221e,
	0x03c6, 0x03b5, 0x2229, 0x2261, 0x00b1, 0x2265, 0x2264, 0x2320, 0x2321, 0x00f7, 0x2248,
	0x00b0, 0x2219, 0x00b7, 0x221a, 0x207f, 0x00b2, 0x25a0, 0x0020,
};

/* At most three bytes. */
static char *put_utf8(char *at, u8 ch)
{
	u32 c = ch < 0x20 ? unicode_low[ch] : ch < 0x7f ? ch : unicode_high[ch - 0x7f];

	if (c < 0x80) {
		*at++ = (char)c;
		return at;
	}
	if (c < 0x800) {
		*at++ = (char)(0xc0 | c >> 6);
	} else {
		*at++ = (char)(0xe0 | c >> 12);
		*at++ = (char)(0x80 | (c >> 6 & 0x3f));
	}
	*at++ = (char)(0x80 | (c & 0x3f));
	return at;
}

static char *put_row(char *at, const struct vga_regs *r, const u8 *planes, u32 counter)
{
	char *start = at;
	u32 i;

	for (i = 0; i <= r->crtc[1]; i++)
		at = put_utf8(at, planes[vga_raster_address(r, counter + i, 0) * 4]);
	while (at > start && at[-1] == ' ')
		at--;
	*at++ = '\n';
	return at;
}

char *vga_text(struct vga *v)
{
	struct vga_regs r;
	u8 *planes = copy_card(v, &r);
	char *text = NULL, *at;
	u32 rows, row, width, height, start = (u32)(r.crtc[0x0c] << 8 | r.crtc[0x0d]);

	vga_raster_size(&r, &width, &height);
	rows = height / (((r.crtc[9] & 0x1fu) + 1) << (r.crtc[9] >> 7));
	if (planes && vga_is_text(&r))
		text = malloc((size_t)rows * ((r.crtc[1] + 1u) * 3 + 1) + 1);
	at = text;
	for (row = 0; text && row < rows; row++)
		at = put_row(at, &r, planes, start + row * r.crtc[0x13] * 2);
	if (text)
		*at = 0;
	free(planes);
	return text;
}
