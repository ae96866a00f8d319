// SPDX-License-Identifier: GPL-2.0-only
/*
 * The graphics card by its registers, as a VGA BIOS and drivers set it up. Tables of modes: IBM,
 * Personal System/2 Hardware Interface Technical Reference, "Video Subsystem".
 */
#include "machine/dev/vga.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/dev/pci.h"
#include "machine/dev/screen.h"
#include "machine/machine.h"
#include "tests/unit/test.h"

#define ROM "\x55\xaa\x02rom"

static struct machine machine;
static struct pci_bus *bus;
static struct vga *v;
static u64 mapped_at;
static u8 *memory; /* the card's, once it is mapped */
static struct screen_image image;

void irq_set_line(struct machine *m, u32 line, int level);
void irq_set_line(struct machine *m, u32 line, int level)
{
	(void)m, (void)line, (void)level;
	fail();
}

static void map(void *arg, u64 gpa, void *hva, u64 size)
{
	assert_ptr_equal(arg, &machine);
	assert_int_equal(size, VGA_MEMORY);
	mapped_at = gpa;
	memory = hva;
}

static struct vga *make(enum vga_kind kind)
{
	struct vga_ops ops = { .map = map, .arg = &machine };
	struct vga *made;

	memset(&machine, 0, sizeof(machine));
	bus = pci_create(&machine);
	assert_int_equal(vga_create(&made, &machine.pio, bus, &ops, kind, ROM, sizeof(ROM)), 0);
	mapped_at = PCI_NOWHERE;
	return made;
}

static int setup(void **state)
{
	(void)state;
	v = make(VGA_QEMU);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(image.pixels);
	image.pixels = NULL;
	vga_destroy(v);
	pci_destroy(bus);
	return 0;
}

/* ---- accesses ---- */

static void out(u16 port, u32 size, u32 val)
{
	iobus_access(&machine.pio, port, size, true, &val);
}

static u32 in(u16 port, u32 size)
{
	u32 val = 0;

	iobus_access(&machine.pio, port, size, false, &val);
	return val;
}

static void config(u32 reg, u32 val)
{
	out(0xcf8, 4, 0x80000000u | VGA_SLOT << 11 | reg);
	out(0xcfc, 4, val);
}

static u32 get_config(u32 reg)
{
	out(0xcf8, 4, 0x80000000u | VGA_SLOT << 11 | reg);
	return in(0xcfc, 4);
}

static void store(u64 addr, u32 size, u64 val)
{
	pci_memory(bus, addr, size, true, &val);
}

static u64 load(u64 addr, u32 size)
{
	u64 val = 0;

	pci_memory(bus, addr, size, false, &val);
	return val;
}

static void seq(u8 index, u8 val)
{
	out(0x3c4, 2, (u32)val << 8 | index);
}

static void gfx(u8 index, u8 val)
{
	out(0x3ce, 2, (u32)val << 8 | index);
}

static void crtc(u8 index, u8 val)
{
	out(0x3d4, 2, (u32)val << 8 | index);
}

static void attr(u8 index, u8 val)
{
	in(0x3da, 1);
	out(0x3c0, 1, index);
	out(0x3c0, 1, val);
	out(0x3c0, 1, 0x20);
}

static void colour(u8 index, u8 r, u8 g, u8 b)
{
	out(0x3c8, 1, index);
	out(0x3c9, 1, r);
	out(0x3c9, 1, g);
	out(0x3c9, 1, b);
}

static void vbe(u16 index, u16 val)
{
	out(0x1ce, 2, index);
	out(0x1cf, 2, val);
}

static u16 get_vbe(u16 index)
{
	out(0x1ce, 2, index);
	return (u16)in(0x1cf, 2);
}

/* ---- modes ---- */

struct mode {
	u8 misc, seq[5], crtc[25], gfx[9], attr_mode, planes;
};

static const struct mode text80 = {
	/* 3 */
	0x67,
	{ 3, 0x00, 0x03, 0, 0x02 },
	{ 0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0,
	  0,	0,    0,    0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff },
	{ 0, 0, 0, 0, 0, 0x10, 0x0e, 0x0f, 0xff },
	0x0c,
	0x0f,
};

static const struct mode planar640 = {
	/* 12h */
	0xe3,
	{ 3, 0x01, 0x0f, 0, 0x06 },
	{ 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0,    0,	 0,
	  0,	0,    0,    0xea, 0x8c, 0xdf, 0x28, 0x00, 0xe7, 0x04, 0xe3, 0xff },
	{ 0, 0, 0, 0, 0, 0x00, 0x05, 0x0f, 0xff },
	0x01,
	0x0f,
};

static const struct mode planar320 = {
	/* 0Dh */
	0x63,
	{ 3, 0x09, 0x0f, 0, 0x06 },
	{ 0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc0, 0,    0,	 0,
	  0,	0,    0,    0x9c, 0x8e, 0x8f, 0x14, 0x00, 0x96, 0xb9, 0xe3, 0xff },
	{ 0, 0, 0, 0, 0, 0x00, 0x05, 0x0f, 0xff },
	0x01,
	0x0f,
};

static const struct mode cga4 = {
	/* 4 */
	0x63,
	{ 3, 0x09, 0x03, 0, 0x02 },
	{ 0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0,    0,	 0,
	  0,	0,    0,    0x9c, 0x8e, 0x8f, 0x14, 0x00, 0x96, 0xb9, 0xa2, 0xff },
	{ 0, 0, 0, 0, 0, 0x30, 0x0f, 0x0f, 0xff },
	0x01,
	0x03,
};

static const struct mode cga2 = {
	/* 6 */
	0x63,
	{ 3, 0x01, 0x01, 0, 0x06 },
	{ 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0,    0,	 0,
	  0,	0,    0,    0x9c, 0x8e, 0x8f, 0x28, 0x00, 0x96, 0xb9, 0xc2, 0xff },
	{ 0, 0, 0, 0, 0, 0x00, 0x0d, 0x0f, 0xff },
	0x01,
	0x01,
};

static const struct mode bytes320 = {
	/* 13h */
	0x63,
	{ 3, 0x01, 0x0f, 0, 0x0e },
	{ 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0,    0,	 0,
	  0,	0,    0,    0x9c, 0x8e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff },
	{ 0, 0, 0, 0, 0, 0x40, 0x05, 0x0f, 0xff },
	0x41,
	0x0f,
};

/* As a BIOS does it; palette register i shows DAC colour i, which is i * 4 in red. */
static void set_mode(const struct mode *m)
{
	u8 i;

	out(0x3c2, 1, m->misc);
	for (i = 0; i < 5; i++)
		seq(i, m->seq[i]);
	crtc(0x11, 0);
	for (i = 0; i < 25; i++)
		crtc(i, m->crtc[i]);
	for (i = 0; i < 9; i++)
		gfx(i, m->gfx[i]);
	for (i = 0; i < 16; i++)
		attr(i, i);
	attr(0x10, m->attr_mode);
	attr(0x12, m->planes);
	attr(0x13, m == &text80 ? 8 : 0);
	for (i = 0; i < 64; i++)
		colour(i, i, 0, 0);
}

/* What DAC colour i is on the screen. */
static u32 red(u32 i)
{
	return (i << 2 | i >> 4) << 16;
}

static void look(u32 width, u32 height)
{
	free(image.pixels);
	image.pixels = NULL;
	assert_int_equal(vga_screen(v, &image), 0);
	assert_int_equal(image.width, width);
	assert_int_equal(image.height, height);
}

static u32 pixel(u32 x, u32 y)
{
	return image.pixels[y * image.width + x];
}

/* A font of one pattern for each character: as a BIOS loads it, through plane 2. */
static void load_font(u32 at, u8 ch, const u8 *rows, u32 num)
{
	u32 i;

	seq(2, 4);
	seq(4, 7);
	gfx(4, 2);
	gfx(5, 0);
	gfx(6, 4);
	for (i = 0; i < num; i++)
		store(0xa0000 + at + ch * 32u + i, 1, rows[i]);
	seq(2, 3);
	seq(4, 3);
	gfx(4, 0);
	gfx(5, 0x10);
	gfx(6, 0x0e);
}

static void say(u32 row, u32 column, u8 at, const char *text)
{
	for (; *text; text++, column++)
		store(0xb8000 + (row * 80 + column) * 2, 2, (u32)at << 8 | (u8)*text);
}

/* ---- tests ---- */

static void vga_is_found_on_the_bus(void **state)
{
	(void)state;
	assert_int_equal(get_config(0), 0x11111234);
	assert_int_equal(get_config(8), 0x03000002);
	assert_int_equal(get_config(0x10), 8); /* prefetchable */
	config(0x10, 0xffffffff);
	assert_int_equal(get_config(0x10), 0xff000008);
	config(0x18, 0xffffffff);
	assert_int_equal(get_config(0x18), 0xfffff000);
	config(0x30, 0xfffffffe);
	assert_int_equal(get_config(0x30), 0xffff0000);
	assert_int_equal(get_config(0x3c), 0); /* no interrupt */
}

static void vga_memory_is_mapped_where_the_guest_says(void **state)
{
	(void)state;
	config(0x10, 0xfd000000);
	assert_int_equal(mapped_at, PCI_NOWHERE);
	config(4, 2);
	assert_int_equal(mapped_at, 0xfd000000);
	config(0x10, 0xe0000000);
	assert_int_equal(mapped_at, 0xe0000000);
	config(4, 0);
	assert_int_equal(mapped_at, PCI_NOWHERE);
}

static void vga_rom_is_read(void **state)
{
	(void)state;
	config(0x30, 0xfeb00001);
	config(4, 2);
	assert_int_equal(load(0xfeb00000, 2), 0xaa55);
	store(0xfeb00000, 2, 0);
	assert_int_equal(load(0xfeb00000, 8), 0x6d6f7202aa55ull);
	assert_int_equal(load(0xfeb0fffe, 4), 0xffff0000); /* its end */
}

/* As SeaVGABIOS's: its PCI data at 64, and a sum that is 0. */
static void make_rom(u8 *rom, u32 id)
{
	u8 sum = 0;
	u32 i;

	memset(rom, 0x5a, 1024);
	memcpy(rom, "\x55\xaa\x02\xe9", 4);
	memcpy(rom + 24, "\x40\0", 2);
	memcpy(rom + 64, "PCIR", 4);
	memcpy(rom + 68, &id, 4);
	for (i = 0; i < 1024; i++)
		sum = (u8)(sum + rom[i]);
	rom[6] = (u8)(rom[6] - sum);
}

static u32 rom_id(void)
{
	u8 sum = 0;
	u32 i;

	config(0x30, 0xfeb00001);
	config(4, 2);
	for (i = 0; i < 1024; i++)
		sum = (u8)(sum + load(0xfeb00000 + i, 1));
	assert_int_equal(sum, 0);
	return (u32)load(0xfeb00000 + 68, 4);
}

static void vga_bios_has_the_name_of_the_card(void **state)
{
	u8 rom[1024], before[1024];
	u32 i;

	teardown(state);
	v = make(VGA_HYPERV);
	assert_int_equal(get_config(0), 0x53531414);
	assert_int_equal(get_config(8), 0x03000002);
	for (i = 0; i < 2; i++) {
		make_rom(rom, i ? 0x53531414 : 0x11111234);
		vga_set_rom(v, rom, sizeof(rom));
		assert_int_equal(rom_id(), 0x53531414);
	}
	make_rom(rom, 0x00b81013); /* somebody else's stays */
	vga_set_rom(v, rom, sizeof(rom));
	assert_int_equal(rom_id(), 0x00b81013);
	make_rom(before, 0x11111234);
	for (i = 0; i < sizeof(rom); i += 61) { /* whatever is broken in it */
		memcpy(rom, before, sizeof(rom));
		rom[i] ^= 0xff;
		vga_set_rom(v, rom, sizeof(rom));
		rom[24] = (u8)(i * 4), rom[25] = (u8)(i >> 3);
		vga_set_rom(v, rom, i);
	}
	teardown(state);
	setup(state);
	make_rom(rom, 0x11111234);
	vga_set_rom(v, rom, sizeof(rom));
	assert_int_equal(rom_id(), 0x11111234);
}

static void vga_memory_is_found_where_it_is_mapped(void **state)
{
	(void)state;
	assert_null(vga_memory_at(v, 0xfd000000, 1));
	config(0x10, 0xfd000000);
	config(4, 2);
	assert_ptr_equal(vga_memory_at(v, 0xfd000000, VGA_MEMORY), memory);
	assert_ptr_equal(vga_memory_at(v, 0xfd001000, VGA_MEMORY - 4096), (u8 *)memory + 4096);
	assert_null(vga_memory_at(v, 0xfd001000, VGA_MEMORY));
	assert_null(vga_memory_at(v, 0xfcfff000, 8192));
	assert_null(vga_memory_at(v, 0xfe000000, 1));
	assert_null(vga_memory_at(v, 0xfd000000, ~0ull));
	assert_null(vga_memory_at(v, ~0ull, 1));
	config(0x10, 0xe0000000);
	assert_null(vga_memory_at(v, 0xfd000000, 1));
	config(4, 0);
	assert_null(vga_memory_at(v, 0xe0000000, 1));
}

static void vga_registers_are_read_back(void **state)
{
	(void)state;
	out(0x3c2, 1, 0x67);
	assert_int_equal(in(0x3cc, 1), 0x67);
	seq(2, 0xff);
	assert_int_equal(in(0x3c4, 2), 0x0f02); /* index, and what there is of the register */
	gfx(8, 0xa5);
	assert_int_equal(in(0x3cf, 1), 0xa5);
	attr(0x14, 0xff);
	in(0x3da, 1);
	out(0x3c0, 1, 0x14);
	assert_int_equal(in(0x3c1, 1), 0x0f);
	crtc(0x0e, 0x12);
	out(0x3d4, 1, 0x0e);
	assert_int_equal(in(0x3d5, 1), 0x12);
	assert_int_equal(in(0x3b5, 1), 0xff); /* that is where monochrome cards have it */
	out(0x3c2, 1, 0x66);
	assert_int_equal(in(0x3b5, 1), 0x12);
	assert_int_equal(in(0x3d5, 1), 0xff);
}

static void vga_crtc_is_locked(void **state)
{
	(void)state;
	out(0x3c2, 1, 1);
	crtc(7, 0x1f);
	crtc(0x11, 0x80);
	crtc(0, 0x55);
	crtc(7, 0);
	out(0x3d4, 1, 0);
	assert_int_equal(in(0x3d5, 1), 0);
	out(0x3d4, 1, 7);
	assert_int_equal(in(0x3d5, 1), 0x0f);
}

static void vga_dac_counts_up(void **state)
{
	(void)state;
	out(0x3c8, 1, 255);
	out(0x3c9, 1, 0xff); /* of 6 bits */
	out(0x3c9, 1, 2);
	out(0x3c9, 1, 3);
	out(0x3c9, 1, 4);
	out(0x3c9, 1, 5);
	out(0x3c9, 1, 6);
	assert_int_equal(in(0x3c7, 1), 0);
	assert_int_equal(in(0x3c8, 1), 1);
	out(0x3c7, 1, 255);
	assert_int_equal(in(0x3c7, 1), 3);
	assert_int_equal(in(0x3c9, 1), 0x3f);
	assert_int_equal(in(0x3c9, 1), 2);
	assert_int_equal(in(0x3c9, 1), 3);
	assert_int_equal(in(0x3c9, 1), 4);
}

static void vga_waiting_for_retrace_ends(void **state)
{
	u32 i, turn;

	(void)state;
	out(0x3c2, 1, 1);
	for (turn = 0; turn < 4; turn++) {
		for (i = 0; i < 8 && !(in(0x3da, 1) & 8); i++)
			;
		assert_in_range(i, 0, 7);
		for (i = 0; i < 8 && in(0x3da, 1) & 8; i++)
			;
		assert_in_range(i, 0, 7);
		for (i = 0; i < 8 && !(in(0x3da, 1) & 1); i++)
			;
		assert_in_range(i, 0, 7);
	}
}

static void vga_shows_text(void **state)
{
	static const u8 cross[16] = { 0x81, 0x42, 0x24, 0x18 };
	u32 x;
	char *text;

	(void)state;
	set_mode(&text80);
	load_font(0, 'x', cross, 16);
	load_font(0, 0xc4, cross, 16); /* a line: its ninth dot is the eighth */
	crtc(0x0a, 0x20);	       /* no cursor */
	say(0, 0, 0x1e, "x\xc4");
	say(1, 2, 0x07, "hello  ");
	say(24, 78, 0x07, "x\x81");
	look(720, 400);
	for (x = 0; x < 9; x++) {
		assert_int_equal(pixel(x, 0), x == 0 || x == 7 ? red(14) : red(1));
		assert_int_equal(pixel(9 + x, 0), x == 0 || x == 7 || x == 8 ? red(14) : red(1));
		assert_int_equal(pixel(x, 1), x == 1 || x == 6 ? red(14) : red(1));
		assert_int_equal(pixel(78 * 9 + x, 384), x == 0 || x == 7 ? red(7) : 0);
	}
	text = vga_text(v);
	assert_memory_equal(text, "x\xe2\x94\x80\n  hello\n\n", 14);
	assert_memory_equal(text + 13 + 21, "\n   ", 4); /* row 23 is empty, the last begins */
	assert_string_equal(text + 13 + 22 + 78, "x\xc3\xbc\n");
	free(text);
	seq(1, 1); /* 8 dots */
	look(640, 400);
	assert_int_equal(pixel(8, 0), red(14));
}

static void vga_shows_cursor_and_attributes(void **state)
{
	static const u8 half[8] = { 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0 };

	(void)state;
	set_mode(&text80);
	crtc(9, 0x47); /* 50 rows of 8 lines */
	load_font(0, 'a', half, 8);
	load_font(0x4000, 'a', half, 4);
	crtc(0x0a, 6);
	crtc(0x0b, 7);
	crtc(0x0e, 0);
	crtc(0x0f, 81); /* row 1, column 1 */
	say(1, 0, 0x9c, "aa");
	look(720, 400);
	assert_int_equal(pixel(0, 8), red(12));
	assert_int_equal(pixel(8, 8), red(1)); /* bit 7 blinks: is no colour */
	assert_int_equal(pixel(8, 14), red(1));
	assert_int_equal(pixel(17, 13), red(1));
	assert_int_equal(pixel(17, 14), red(12)); /* all dots of the cursor */
	attr(0x10, 4);				  /* bit 7 is intensity */
	seq(3, 0x04);				  /* bit 3 selects the font at 0x4000 */
	look(720, 400);
	assert_int_equal(pixel(8, 8), red(9));
	assert_int_equal(pixel(0, 11), red(12));
	assert_int_equal(pixel(0, 12), red(9));
	crtc(0x0c, 0);
	crtc(0x0d, 80); /* scrolled by a row */
	look(720, 400);
	assert_int_equal(pixel(0, 0), red(12));
	seq(1, 0x20);
	look(720, 400);
	assert_int_equal(pixel(0, 0), 0);
}

static void vga_splits_the_screen(void **state)
{
	static const u8 full[16] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
				     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	(void)state;
	set_mode(&text80);
	load_font(0, '#', full, 16);
	crtc(0x0a, 0x20);
	say(0, 0, 0x02, "#");
	say(10, 0, 0x04, "#");
	crtc(0x0c, 800 >> 8);
	crtc(0x0d, 800 & 0xff); /* from row 10 on */
	crtc(9, 0x0f);
	crtc(7, 0x0f);
	crtc(0x18, 200 - 1);
	look(720, 400);
	assert_int_equal(pixel(0, 15), red(4));
	assert_int_equal(pixel(0, 16), 0);
	assert_int_equal(pixel(0, 199), 0);
	assert_int_equal(pixel(0, 200), red(2));
}

/* Bytes of the four planes at an offset, by read mode 0. */
static u32 four(u32 offset)
{
	u32 word = 0, p;

	gfx(5, 0);
	for (p = 0; p < 4; p++) {
		gfx(4, (u8)p);
		word |= (u32)load(0xa0000 + offset, 1) << p * 8;
	}
	return word;
}

static void put_four(u32 offset, u32 word)
{
	u32 p;

	gfx(5, 0);
	gfx(3, 0);
	gfx(1, 0);
	gfx(8, 0xff);
	for (p = 0; p < 4; p++) {
		seq(2, (u8)(1 << p));
		store(0xa0000 + offset, 1, word >> p * 8 & 0xff);
	}
	seq(2, 0x0f);
}

/* What a write of @val makes of planes 0xf0, 0x0f, 0xcc, 0x33, bit by bit by the manual. */
static void vga_write_modes(void **state)
{
	static const struct {
		u8 write_mode, set, enable, rotate, bits, planes, val;
		u32 expected; /* plane 3 first */
	} rows[] = {
		{ 0, 0, 0, 0, 0xff, 0xf, 0x5a, 0x5a5a5a5a },
		{ 0, 0, 0, 0, 0x0f, 0xf, 0x5a, 0x3aca0afa },	 /* bit mask */
		{ 0, 0, 0, 4, 0xff, 0x1, 0x12, 0x33cc0f21 },	 /* rotated, one plane */
		{ 0, 0x5, 0xf, 0, 0xff, 0xf, 0x5a, 0x00ff00ff }, /* set/reset */
		{ 0, 0x5, 0x3, 0, 0x81, 0xf, 0x00, 0x324c0ef1 },
		{ 0, 0, 0, 0x08, 0xff, 0xf, 0x3c, 0x300c0c30 },	    /* and */
		{ 0, 0, 0, 0x10, 0xff, 0xf, 0x3c, 0x3ffc3ffc },	    /* or */
		{ 0, 0, 0, 0x18, 0xff, 0xf, 0x3c, 0x0ff033cc },	    /* xor */
		{ 1, 0xf, 0xf, 0x18, 0x00, 0x6, 0x99, 0x00cc0f00 }, /* of another address */
		{ 2, 0, 0, 0, 0xff, 0xf, 0x05, 0x00ff00ff },
		{ 2, 0, 0, 0, 0x0f, 0xf, 0x0a, 0x3fc00ff0 },
		{ 2, 0, 0, 0x18, 0xff, 0xf, 0x0f, 0xcc33f00f },
		{ 3, 0x3, 0, 0, 0xff, 0xf, 0x0f, 0x30c00fff },
		{ 3, 0x3, 0, 4, 0x3c, 0xf, 0x0f, 0x03cc3ff0 }, /* rotated and masked: 0x30 */
	};
	size_t i;

	(void)state;
	set_mode(&planar640);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		u32 to = rows[i].write_mode == 1 ? 1 : 0;

		put_four(1, 0);
		put_four(0, 0x33cc0ff0);
		load(0xa0000, 1); /* latches */
		gfx(0, rows[i].set);
		gfx(1, rows[i].enable);
		gfx(3, rows[i].rotate);
		gfx(5, rows[i].write_mode);
		gfx(8, rows[i].bits);
		seq(2, rows[i].planes);
		store(0xa0000 + to, 1, rows[i].val);
		CHECK_ROW(four(to), rows[i].expected, i);
	}
}

static void vga_read_mode_1_compares_colours(void **state)
{
	(void)state;
	set_mode(&planar640);
	put_four(0, 0x33cc0ff0);
	gfx(5, 8);
	gfx(2, 0x5); /* planes 0 and 2 are 1, 1 and 3 are 0 */
	gfx(7, 0xf);
	assert_int_equal(load(0xa0000, 1), 0xc0); /* f0 & ~0f & cc & ~33 */
	gfx(7, 0x4);
	assert_int_equal(load(0xa0000, 1), 0xcc);
	gfx(7, 0);
	assert_int_equal(load(0xa0000, 1), 0xff);
}

static void vga_window_has_four_places(void **state)
{
	(void)state;
	set_mode(&planar640);
	gfx(6, 0x01); /* 128 KiB; plane has 64 */
	store(0xa0000, 4, 0x04030201);
	assert_int_equal(load(0xb0000, 4), 0x04030201);
	gfx(6, 0x05);
	assert_int_equal(load(0xa0000, 4), 0x04030201);
	assert_int_equal(load(0xb0000, 4), 0xffffffff);
	gfx(6, 0x09);
	assert_int_equal(load(0xb0000, 4), 0x04030201);
	assert_int_equal(load(0xa0000, 4), 0xffffffff);
	assert_int_equal(load(0xb8000, 4), 0xffffffff);
	gfx(6, 0x0d);
	assert_int_equal(load(0xb8000, 4), 0x04030201);
	assert_int_equal(load(0xb0000, 4), 0xffffffff);
	assert_int_equal(load(0xb7ffe, 4), 0x0201ffff); /* half of it */
	out(0x3c2, 1, 0xe1);				/* memory is off */
	assert_int_equal(load(0xb8000, 4), 0xffffffff);
}

static void vga_shows_16_colours(void **state)
{
	(void)state;
	set_mode(&planar640);
	seq(2, 0x8);
	store(0xa0000 + 80 * 479 + 79, 1, 0x01);
	seq(2, 0x5);
	store(0xa0000 + 80, 1, 0x80);
	look(640, 480);
	assert_int_equal(pixel(639, 479), red(8));
	assert_int_equal(pixel(638, 479), 0);
	assert_int_equal(pixel(0, 1), red(5));
	attr(0x12, 0x4); /* other planes are off */
	look(640, 480);
	assert_int_equal(pixel(0, 1), red(4));
	attr(0x12, 0xf);
	attr(0x13, 3); /* three dots to the left */
	seq(2, 0xf);
	store(0xa0000, 2, 0x8010);
	look(640, 480);
	assert_int_equal(pixel(0, 0), red(15));
	assert_int_equal(pixel(5, 0), red(15));
	assert_int_equal(pixel(0, 1), 0);
	attr(0x14, 2); /* DAC colours 0x20 on, and with 0x80 of 0x10 also bits 4 and 5 */
	attr(0x10, 0x81);
	look(640, 480);
	assert_int_equal(pixel(0, 0), red(0x2f));
}

static void vga_shows_doubled_lines_and_dots(void **state)
{
	(void)state;
	set_mode(&planar320);
	seq(2, 0x2);
	store(0xa0000 + 40, 1, 0x40);
	look(640, 400);
	assert_int_equal(pixel(1, 2), 0);
	assert_int_equal(pixel(2, 2), red(2));
	assert_int_equal(pixel(3, 3), red(2));
	assert_int_equal(pixel(4, 3), 0);
	assert_int_equal(pixel(2, 1), 0);
	assert_int_equal(pixel(2, 4), 0);
}

static void vga_shows_cga_modes(void **state)
{
	(void)state;
	set_mode(&cga4);
	store(0xb8000, 2, 0x02e4);	   /* 3 2 1 0, 0 0 0 2 */
	store(0xb8000 + 0x2000, 1, 0x40);  /* odd lines */
	store(0xb8000 + 80 + 79, 1, 0x03); /* the end of line 2 */
	look(640, 400);
	assert_int_equal(pixel(0, 0), red(3));
	assert_int_equal(pixel(3, 1), red(2));
	assert_int_equal(pixel(4, 0), red(1));
	assert_int_equal(pixel(6, 0), 0);
	assert_int_equal(pixel(14, 0), red(2));
	assert_int_equal(pixel(0, 2), red(1));
	assert_int_equal(pixel(639, 5), red(3));
	set_mode(&cga2);
	store(0xb8000, 2, 0x0180);
	store(0xb8000 + 0x2000, 1, 0x20);
	look(640, 400);
	assert_int_equal(pixel(0, 1), red(1));
	assert_int_equal(pixel(1, 1), 0);
	assert_int_equal(pixel(15, 0), red(1));
	assert_int_equal(pixel(2, 2), red(1));
	assert_int_equal(pixel(2, 4), 0);
}

static void vga_shows_256_colours(void **state)
{
	(void)state;
	set_mode(&bytes320);
	colour(200, 0, 63, 1);
	store(0xa0000 + 320, 4, 0x3f0fc801);
	assert_int_equal(load(0xa0000 + 320, 4), 0x3f0fc801);
	look(640, 400);
	assert_int_equal(pixel(0, 2), red(1));
	assert_int_equal(pixel(1, 3), red(1));
	assert_int_equal(pixel(2, 2), 0x00ff04);
	assert_int_equal(pixel(4, 2), red(15));
	assert_int_equal(pixel(7, 3), red(63));
	assert_int_equal(pixel(0, 1), 0);
	assert_int_equal(pixel(0, 4), 0);
	out(0x3c6, 1, 0x0f);
	look(640, 400);
	assert_int_equal(pixel(2, 2), red(8));
}

/* The same without chain 4: planes are pixels 0 to 3 of each four, lines are bytes in them. */
static void vga_shows_mode_x(void **state)
{
	(void)state;
	set_mode(&bytes320);
	seq(4, 6);
	crtc(0x14, 0);
	crtc(0x17, 0xe3);
	seq(2, 0x4);
	store(0xa0000 + 80 * 199, 1, 7);
	crtc(0x0c, 0);
	look(640, 400);
	assert_int_equal(pixel(4, 398), red(7));
	assert_int_equal(pixel(5, 399), red(7));
	assert_int_equal(pixel(3, 398), 0);
	assert_int_equal(pixel(6, 398), 0);
}

/* ---- Bochs registers ---- */

static void enable(u16 width, u16 height, u16 bpp)
{
	vbe(4, 0);
	vbe(3, bpp);
	vbe(1, width);
	vbe(2, height);
	vbe(4, 0x41);
	in(0x3da, 1);
	out(0x3c0, 1, 0x20);
}

static void map_memory(void)
{
	config(0x10, 0xfd000000);
	config(0x18, 0xfebf0000);
	config(4, 2);
	assert_non_null(memory);
}

static void vbe_is_found(void **state)
{
	(void)state;
	vbe(0, 0xb0c0);
	assert_int_equal(get_vbe(0), 0xb0c0);
	vbe(0, 0xb0c5);
	assert_int_equal(get_vbe(0), 0xb0c5);
	vbe(0, 0xb0c6);
	assert_int_equal(get_vbe(0), 0xb0c5);
	assert_int_equal(get_vbe(10), 256);
	out(0x1ce, 2, 10);
	assert_int_equal(in(0x1d0, 2), 256); /* where others than x86 have the data */
	vbe(4, 2);
	assert_int_equal(get_vbe(1), 2560);
	assert_int_equal(get_vbe(2), 1600);
	assert_int_equal(get_vbe(3), 32);
	vbe(4, 0);
	assert_int_equal(get_vbe(1), 0);
}

static void vbe_shows_all_depths(void **state)
{
	static const struct {
		u16 bpp;
		u32 bytes, value, rgb;
	} rows[] = {
		{ 15, 2, 0x7c00, 0xff0000 },   { 15, 2, 0x03f0, 0x00ff84 },
		{ 16, 2, 0xf800, 0xff0000 },   { 16, 2, 0x0420, 0x008600 },
		{ 24, 3, 0x123456, 0x123456 }, { 32, 4, 0xff123456, 0x123456 },
		{ 8, 1, 9, 0x240000 },
	};
	size_t i;

	(void)state;
	map_memory();
	colour(9, 9, 0, 0);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		u32 at = (1024 * 767 + 1023) * rows[i].bytes;

		enable(1024, 768, rows[i].bpp);
		assert_int_equal(get_vbe(4) & 1, 1);
		memcpy(memory + at, &rows[i].value, rows[i].bytes);
		look(1024, 768);
		CHECK_ROW(pixel(1023, 767), rows[i].rgb, i);
		CHECK_ROW(pixel(1022, 767), 0, i);
	}
}

/* ---- vga_serial() ---- */

static void vga_serial_tells_what_is_shown(void **state)
{
	u64 before;
	u32 i;

	(void)state;
	set_mode(&text80);
	before = vga_serial(v);
	for (i = 0; i < 5; i++)
		in(0x3da, 1); /* a guest that waits for the retrace */
	load(0xb8000, 1);
	out(0x3c4, 1, 3);
	assert_true(vga_serial(v) == before);
	say(3, 3, 7, "x");
	assert_true(vga_serial(v) != before);
	before = vga_serial(v);
	crtc(0x0f, 99); /* the cursor */
	assert_true(vga_serial(v) != before);
	before = vga_serial(v);
	colour(7, 1, 2, 3);
	assert_true(vga_serial(v) != before);
}

static void vga_serial_sees_what_the_guest_has_mapped(void **state)
{
	static const u32 depths[] = { 8, 15, 16, 24, 32 };
	u64 before;
	size_t i;

	(void)state;
	map_memory();
	for (i = 0; i < ARRAY_SIZE(depths); i++) {
		u32 bytes = (depths[i] + 7) / 8, at = (1024 * 767 + 1023) * bytes;

		enable(1024, 768, (u16)depths[i]);
		before = vga_serial(v);
		memory[at + 1024 * 1024] ^= 1; /* below the screen */
		CHECK_ROW(vga_serial(v) == before, 1, i);
		memory[at] ^= 1;
		CHECK_ROW(vga_serial(v) == before, 0, i);
		memory[at] ^= 1;
		CHECK_ROW(vga_serial(v) == before, 1, i);
		memory[0] ^= 0x80;
		memory[4] ^= 0x80; /* the same bit twice */
		CHECK_ROW(vga_serial(v) == before, 0, i);
	}
	enable(800, 600, 4);
	before = vga_serial(v);
	memory[(100 * 599 + 99) * 4 + 3] ^= 1;
	assert_true(vga_serial(v) != before);
}

static void vbe_has_a_virtual_width_and_offsets(void **state)
{
	(void)state;
	map_memory();
	enable(640, 480, 32);
	assert_int_equal(get_vbe(6), 640);
	vbe(6, 1024);
	assert_int_equal(get_vbe(6), 1024);
	assert_int_equal(get_vbe(7), (16 << 20) / 4096);
	vbe(6, 632); /* less than is shown */
	assert_int_equal(get_vbe(6), 1024);
	vbe(6, 0xfff8); /* more than there is memory */
	assert_int_equal(get_vbe(6), 1024);
	vbe(8, 3);
	vbe(9, 5);
	((u32 *)memory)[1024 * 6 + 4] = 0xabcdef;
	look(640, 480);
	assert_int_equal(pixel(1, 1), 0xabcdef);
	vbe(9, 0xffff); /* behind its end */
	look(640, 480);
	assert_int_equal(pixel(1, 1), 0);
	vbe(1, 800); /* not while it is shown */
	assert_int_equal(get_vbe(1), 640);
}

static void vbe_clears_unless_told_not_to(void **state)
{
	(void)state;
	map_memory();
	enable(640, 480, 8);
	memory[0] = memory[640 * 480] = 1;
	enable(640, 480, 8);
	assert_int_equal(memory[0], 0);
	assert_int_equal(memory[640 * 480], 1);
	memory[0] = 1;
	vbe(4, 0);
	vbe(4, 0xc1);
	assert_int_equal(memory[0], 1);
}

static void vbe_refuses_what_does_not_fit(void **state)
{
	(void)state;
	vbe(4, 1);
	assert_int_equal(get_vbe(4) & 1, 0); /* of no size */
	vbe(1, 2568);
	assert_int_equal(get_vbe(1), 0);
	vbe(2, 1601);
	assert_int_equal(get_vbe(2), 0);
	vbe(3, 12);
	assert_int_equal(get_vbe(3), 8);
	enable(2560, 1600, 32);
	assert_int_equal(get_vbe(4) & 1, 1);
	look(2560, 1600);
	vbe(11, 7);
	vbe(0xffff, 7);
	assert_int_equal(get_vbe(0xffff), 0);
}

static void vbe_banks_show_in_the_window(void **state)
{
	(void)state;
	map_memory();
	enable(1024, 768, 8);
	out(0x3c2, 1, 3);
	gfx(6, 5);
	seq(4, 0x0e);
	vbe(5, 255);
	assert_int_equal(get_vbe(5), 255);
	store(0xaffff, 1, 0x77);
	assert_int_equal(memory[VGA_MEMORY - 1], 0x77);
	assert_int_equal(load(0xaffff, 1), 0x77);
	vbe(5, 256);
	assert_int_equal(get_vbe(5), 255);
	vbe(5, 1);
	store(0xa0000, 4, 0x04030201);
	assert_memory_equal(memory + 65536, "\1\2\3\4", 4);
}

/* 800x600 in 16 colours, mode 102h of VESA */
static void vbe_shows_16_colours(void **state)
{
	(void)state;
	set_mode(&planar640);
	enable(800, 600, 4);
	seq(2, 0x9);
	store(0xa0000 + 100 * 599 + 99, 1, 0x01);
	look(800, 600);
	assert_int_equal(pixel(799, 599), red(9));
	assert_int_equal(pixel(798, 599), 0);
}

static void vbe_has_a_dac_of_8_bits(void **state)
{
	(void)state;
	map_memory();
	enable(640, 480, 8);
	colour(1, 63, 32, 0);
	vbe(4, 0xe1);
	out(0x3c7, 1, 1);
	assert_int_equal(in(0x3c9, 1), 0xff); /* as bright as before */
	colour(2, 0x81, 0x42, 0x24);
	memory[0] = 1;
	memory[1] = 2;
	look(640, 480);
	assert_int_equal(pixel(0, 0), 0xff8200);
	assert_int_equal(pixel(1, 0), 0x814224);
}

/* bochs_hw_init(), bochs_hw_setmode() */
static void vbe_by_bar_2_as_linux_does(void **state)
{
	(void)state;
	map_memory();
	assert_int_equal(load(0xfebf0500, 2), 0xb0c5);
	assert_int_equal(load(0xfebf0514, 2), 256);
	assert_int_equal(load(0xfebf0000, 8), 0); /* no EDID */
	assert_int_equal(load(0xfebf0600, 4), 8);
	store(0xfebf0604, 4, 0x1e1e1e1e);
	store(0xfebf0402, 1, 1);
	load(0xfebf041a, 1);
	store(0xfebf0400, 1, 0x20);
	store(0xfebf0508, 2, 0);
	store(0xfebf0506, 2, 32);
	store(0xfebf0502, 2, 1024);
	store(0xfebf0504, 2, 768);
	store(0xfebf0508, 2, 0x41);
	((u32 *)memory)[1] = 0x00123456;
	look(1024, 768);
	assert_int_equal(pixel(1, 0), 0x123456);
	store(0xfebf0604, 4, 0xbebebebe);
	assert_int_equal(load(0xfebf0604, 4), 0xbebebebe);
	look(1024, 768);
	assert_int_equal(pixel(1, 0), 0x341200);
	store(0xfebf040e, 2, 0x5508); /* index and data */
	assert_int_equal(load(0xfebf040f, 1), 0x55);
	load(0xfebf0ffc, 8);
	store(0xfebf0ffc, 8, ~0ull);
	store(0xa0000, 4, 0); /* index and data of every port, in any width */
	store(0xfebf041e, 8, ~0ull);
}

static void vga_resets(void **state)
{
	(void)state;
	map_memory();
	set_mode(&text80);
	enable(640, 480, 32);
	memory[5] = 1;
	vga_reset(v);
	assert_int_equal(get_vbe(4), 0);
	assert_int_equal(in(0x3cc, 1), 0);
	assert_int_equal(memory[5], 1);
	look(640, 400); /* black */
}

/* ---- saved VMs ---- */

static struct kvmb_tlv_error error;

static int load_from(struct vga *to, struct kvmb_tlv_out *o, struct kvmb_tlv *section)
{
	size_t pos = 0;

	memset(&error, 0, sizeof(error));
	assert_int_equal(kvmb_tlv_next(o->buf, o->len, &pos, section, &error), 0);
	return vga_load(to, section);
}

static void save_to(struct kvmb_tlv_out *o)
{
	memset(o, 0, sizeof(*o));
	kvmb_tlv_begin(o, KVMB_SEC_MACHINE, 0, 0);
	vga_save(v, o);
	kvmb_tlv_end(o);
}

static void vga_is_saved_and_loaded(void **state)
{
	struct vga *old = v;
	struct pci_bus *old_bus;
	struct kvmb_tlv_out o, again;
	struct kvmb_tlv section;
	char *text;

	(void)state;
	map_memory();
	set_mode(&text80);
	say(3, 0, 7, "saved");
	memory[VGA_MEMORY - 1] = 0x99;
	memory[5 << 20] = 0x98;
	out(0x3c8, 1, 4);
	out(0x3c9, 1, 0x15); /* in the middle of a colour */
	save_to(&o);
	assert_in_range(o.len, 3 * 4096, 300 << 10); /* the rest is zero */
	old_bus = bus;
	v = make(VGA_QEMU);
	assert_int_equal(load_from(v, &o, &section), 0);
	map_memory();
	assert_int_equal(memory[VGA_MEMORY - 1], 0x99);
	assert_int_equal(memory[5 << 20], 0x98);
	save_to(&again);
	assert_int_equal(again.len, o.len);
	assert_memory_equal(again.buf, o.buf, o.len);
	text = vga_text(v);
	assert_memory_equal(text, "\n\n\nsaved\n", 9);
	free(text);
	kvmb_tlv_out_fini(&o);
	kvmb_tlv_out_fini(&again);
	vga_destroy(old);
	pci_destroy(old_bus);
}

static void vga_refuses_wrong_state(void **state)
{
	struct kvmb_tlv_out o;
	struct kvmb_tlv section;
	u64 vbe_list[11] = { 0xb0c5, 2568, 480, 32, 1, 0, 2568, 0, 0, 0, 256 };

	(void)state;
	save_to(&o);
	kvmb_tlv_out_fini(&o);
	memset(&o, 0, sizeof(o));
	kvmb_tlv_begin(&o, KVMB_SEC_MACHINE, 0, 0);
	kvmb_tlv_put_list(&o, 24, vbe_list, 11); /* found before the real one */
	vga_save(v, &o);
	kvmb_tlv_end(&o);
	assert_int_equal(load_from(v, &o, &section), -EPROTO);
	kvmb_tlv_out_fini(&o);
	memset(&o, 0, sizeof(o));
	kvmb_tlv_begin(&o, KVMB_SEC_MACHINE, 0, 0);
	vga_save(v, &o);
	kvmb_tlv_group(&o, 25);
	kvmb_tlv_put(&o, 1, VGA_MEMORY - 1);
	kvmb_tlv_put_bytes(&o, 2, "xx", 2);
	kvmb_tlv_group_end(&o);
	kvmb_tlv_end(&o);
	assert_int_equal(load_from(v, &o, &section), -EPROTO);
	kvmb_tlv_out_fini(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(vga_is_found_on_the_bus),
		T(vga_memory_is_mapped_where_the_guest_says),
		T(vga_rom_is_read),
		T(vga_bios_has_the_name_of_the_card),
		T(vga_memory_is_found_where_it_is_mapped),
		T(vga_registers_are_read_back),
		T(vga_crtc_is_locked),
		T(vga_dac_counts_up),
		T(vga_waiting_for_retrace_ends),
		T(vga_shows_text),
		T(vga_shows_cursor_and_attributes),
		T(vga_splits_the_screen),
		T(vga_write_modes),
		T(vga_read_mode_1_compares_colours),
		T(vga_window_has_four_places),
		T(vga_shows_16_colours),
		T(vga_shows_doubled_lines_and_dots),
		T(vga_shows_cga_modes),
		T(vga_shows_256_colours),
		T(vga_shows_mode_x),
		T(vbe_is_found),
		T(vbe_shows_all_depths),
		T(vbe_has_a_virtual_width_and_offsets),
		T(vbe_clears_unless_told_not_to),
		T(vbe_refuses_what_does_not_fit),
		T(vbe_banks_show_in_the_window),
		T(vbe_shows_16_colours),
		T(vbe_has_a_dac_of_8_bits),
		T(vbe_by_bar_2_as_linux_does),
		T(vga_serial_tells_what_is_shown),
		T(vga_serial_sees_what_the_guest_has_mapped),
		T(vga_resets),
		T(vga_is_saved_and_loaded),
		T(vga_refuses_wrong_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
