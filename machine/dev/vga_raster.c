// SPDX-License-Identifier: GPL-2.0-only
/*
 * VGA: pixels of text, of 16 and 4 and 2 and 256 colours, as the CRTC and the attribute controller
 * make them, scan line by scan line.
 *
 * The CRTC counts: a counter goes up with each character clock, and from one row to the next by
 * twice the offset register. What it counts becomes an address of the planes by shifts (byte, word,
 * double word mode), and scan lines of a row may replace its bits 13 and 14, as CGA and Hercules
 * had it.
 *
 * Sources are in vga.h.
 */
#include "lib/util.h"
#include "machine/dev/screen.h"
#include "machine/dev/vga_priv.h"

#define MAX_CHARS 257u /* of a scan line, and one more because it may be shifted */

struct raster {
	const struct vga_regs *r;
	const u8 *planes;
	u32 palette[16];
	u32 num;	   /* characters of a line, with the one more */
	u32 dots;	   /* of a character: 8 or 9 */
	u32 repeat;	   /* pixels of a dot: 1 or 2 */
	u32 counter, scan; /* where this line is */
	u32 *at;	   /* next pixel of line[] */
	u32 line[MAX_CHARS * 9 * 2];
};

static u32 num_chars(const struct vga_regs *r)
{
	return r->crtc[1] + 1u;
}

static u32 dots_of(const struct vga_regs *r)
{
	return !(r->gfx[6] & 1) && !(r->seq[1] & 1) ? 9 : 8;
}

static u32 repeat_of(const struct vga_regs *r)
{
	return r->seq[1] & 8 ? 2 : 1;
}

void vga_raster_size(const struct vga_regs *r, u32 *width, u32 *height)
{
	const u8 *c = r->crtc;

	*width = KVMB_MIN(num_chars(r) * dots_of(r) * repeat_of(r), SCREEN_MAX_WIDTH);
	*height = (c[0x12] | (c[7] & 2u) << 7 | (c[7] & 0x40u) << 3) + 1;
}

u32 vga_raster_address(const struct vga_regs *r, u32 counter, u32 scan)
{
	const u8 *c = r->crtc;
	u32 a = counter & 0xffff;

	if (c[0x14] & 0x40)
		a = a << 2 | (a >> 12 & 3);
	else if (!(c[0x17] & 0x40))
		a = a << 1 | (c[0x17] & 0x20 ? a >> 15 : a >> 13 & 1);
	if (!(c[0x17] & 1))
		a = (a & ~0x2000u) | (scan & 1) << 13;
	if (!(c[0x17] & 2))
		a = (a & ~0x4000u) | (scan >> 1 & 1) << 14;
	return a & 0xffff;
}

/* The four bytes at character @i of the line. */
static const u8 *planes_at(const struct raster *s, u32 i)
{
	return s->planes + vga_raster_address(s->r, s->counter + i, s->scan) * 4;
}

static void put_dot(struct raster *s, u32 rgb)
{
	*s->at++ = rgb;
	if (s->repeat == 2)
		*s->at++ = rgb;
}

/* ---- text ---- */

/* Where a font is in plane 2, of its three bits. */
static u32 font_base(u32 low, u32 high)
{
	return low << 14 | high << 13;
}

static u8 glyph_bits(const struct raster *s, u8 ch, u8 attr)
{
	u8 map = s->r->seq[3];
	u32 base = font_base(map & 3, map >> 4 & 1);

	if (attr & 8)
		base = font_base(map >> 2 & 3, map >> 5 & 1);
	return s->planes[((base + ch * 32u + s->scan) & 0xffff) * 4 + 2];
}

static bool at_cursor(const struct raster *s, u32 i)
{
	const u8 *c = s->r->crtc;

	return !(c[0x0a] & 0x20) && ((s->counter + i) & 0xffff) == (u32)(c[0x0e] << 8 | c[0x0f]) &&
	       s->scan >= (c[0x0a] & 0x1fu) && s->scan <= (c[0x0b] & 0x1fu);
}

static void put_char(struct raster *s, u32 i)
{
	const u8 *p = planes_at(s, i);
	u8 ch = p[0], attr = p[1], mode = s->r->attr[0x10];
	u32 fore = s->palette[attr & 15], back = s->palette[attr >> 4 & (mode & 8 ? 7 : 15)], n;
	u32 bits = (u32)glyph_bits(s, ch, attr) << 1;

	if (mode & 4 && ch >= 0xc0 && ch <= 0xdf) /* lines reach the next character */
		bits |= bits >> 1 & 1;
	if (at_cursor(s, i) || (s->scan == (s->r->crtc[0x14] & 0x1fu) && (attr & 7) == 1))
		bits = 0x1ff;
	for (n = 0; n < s->dots; n++)
		put_dot(s, bits >> (8 - n) & 1 ? fore : back);
}

/* ---- graphics ---- */

/* Four planes, a bit of each is a pixel. */
static void put_planar(struct raster *s, u32 i)
{
	const u8 *p = planes_at(s, i);
	u32 n;

	for (n = 0; n < 8; n++)
		put_dot(s, s->palette[vga_planar_pixel(p, n)]);
}

/* CGA's four colours: two bits are a pixel, planes 0 and 2 first, 1 and 3 then. */
static void put_pairs(struct raster *s, u32 i)
{
	const u8 *p = planes_at(s, i);
	u32 n;

	for (n = 0; n < 8; n++) {
		u32 shift = 6 - n % 4 * 2, low = p[n / 4] >> shift & 3;

		put_dot(s, s->palette[low | (p[2 + n / 4] >> shift & 3u) << 2]);
	}
}

/* 256 colours: a byte is a pixel of two dots. */
static void put_bytes(struct raster *s, u32 i)
{
	const u8 *p = planes_at(s, i);
	u32 n;

	for (n = 0; n < 8; n++)
		put_dot(s, vga_dac_colour(s->r, p[n / 2]));
}

/* ---- lines ---- */

static void draw_line(struct raster *s)
{
	const struct vga_regs *r = s->r;
	void (*put)(struct raster *, u32) = put_planar;
	u32 i;

	if (!(r->gfx[6] & 1))
		put = put_char;
	else if (r->gfx[5] & 0x40)
		put = put_bytes;
	else if (r->gfx[5] & 0x20)
		put = put_pairs;
	s->at = s->line;
	for (i = 0; i < s->num; i++)
		put(s, i);
}

/* Pixels that a line is shifted to the left. */
static u32 panned(const struct raster *s, bool split)
{
	u32 pan = s->r->attr[0x13];

	if (pan >= 8 || (split && s->r->attr[0x10] & 0x20)) /* 8 is the 0 of 9 dots */
		return 0;
	return (s->dots == 9 ? pan + 1 : pan) * s->repeat;
}

void vga_palette(const struct vga_regs *r, u32 palette[16])
{
	u32 i, c;

	for (i = 0; i < 16; i++) {
		c = r->attr[i & r->attr[0x12] & 15];
		if (r->attr[0x10] & 0x80)
			c = (c & 15) | (r->attr[0x14] & 3u) << 4;
		palette[i] = vga_dac_colour(r, (u8)(c | (r->attr[0x14] & 0xcu) << 4));
	}
}

/* Behind this line the picture starts again, at address 0. */
static u32 split_after(const u8 *c)
{
	return c[0x18] | (c[7] & 0x10u) << 4 | (c[9] & 0x40u) << 3;
}

static void next_line(struct raster *s, u32 *row)
{
	const u8 *c = s->r->crtc;

	if (s->scan == (c[9] & 0x1fu)) {
		*row += c[0x13] * 2u;
		s->scan = 0;
	} else {
		s->scan = (s->scan + 1) & 0x1f;
	}
}

static void draw_lines(struct raster *s, const struct screen_image *out)
{
	const u8 *c = s->r->crtc;
	u32 row = (u32)(c[0x0c] << 8 | c[0x0d]), pan = c[8] >> 5 & 3u, y;
	bool twice = c[9] & 0x80, split = false, again = false;

	s->scan = c[8] & 0x1f;
	for (y = 0; y < out->height; y++) {
		s->counter = row + pan;
		if (!again)
			draw_line(s);
		memcpy(out->pixels + (size_t)y * out->width, s->line + panned(s, split),
		       out->width * 4);
		again = twice && !again;
		if (y == split_after(c)) {
			row = s->scan = 0;
			split = true;
			again = false;
			pan = s->r->attr[0x10] & 0x20 ? 0 : pan;
		} else if (!again) {
			next_line(s, &row);
		}
	}
}

void vga_raster(const struct vga_regs *r, const u8 *planes, const struct screen_image *out)
{
	struct raster s = { .r = r, .planes = planes };

	s.num = num_chars(r) + 1;
	s.dots = dots_of(r);
	s.repeat = repeat_of(r);
	vga_palette(r, s.palette);
	draw_lines(&s, out);
}
