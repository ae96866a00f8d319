// SPDX-License-Identifier: GPL-2.0-only
/*
 * The graphics card: any access to its ports, its BARs and its window, and to the memory that is
 * mapped; pictures of whatever that is. What is saved is loaded and is the same; what is changed
 * before is loaded or refused, and shown.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/dev/pci.h"
#include "machine/dev/screen.h"
#include "machine/dev/vga.h"
#include "machine/machine.h"
#include "tests/fuzz/fuzz_change.h"

#define PICTURES 1u /* of one input: they take long */

static struct machine machine;
static struct pci_bus *bus;
static struct vga *v;
static u8 *memory; /* where the guest sees it */
static u32 pictures;

void irq_set_line(struct machine *m, u32 line, int level);
void irq_set_line(struct machine *m, u32 line, int level)
{
	(void)m, (void)line, (void)level;
	abort(); /* it has no interrupt */
}

static void map(void *arg, u64 gpa, void *hva, u64 size)
{
	(void)arg;
	if (size != VGA_MEMORY)
		abort();
	memory = gpa == PCI_NOWHERE ? NULL : hva;
}

static void make(void)
{
	struct vga_ops ops = { .map = map };

	memset(&machine, 0, sizeof(machine));
	memory = NULL;
	bus = pci_create(&machine);
	if (vga_create(&v, &machine.pio, bus, &ops, VGA_QEMU, "\x55\xaa", 2))
		abort();
}

static void unmake(void)
{
	vga_destroy(v);
	pci_destroy(bus);
}

static void config(u32 reg, u32 val)
{
	u32 address = 0x80000000u | VGA_SLOT << 11 | reg;

	iobus_access(&machine.pio, 0xcf8, 4, true, &address);
	iobus_access(&machine.pio, 0xcfc, 4, true, &val);
}

static void look(void)
{
	u64 serial = vga_serial(v);
	struct screen_image image;
	volatile u32 last;

	if (pictures++ >= PICTURES)
		return;
	free(vga_text(v));
	if (vga_screen(v, &image))
		abort();
	if (image.width > SCREEN_MAX_WIDTH || image.height > SCREEN_MAX_HEIGHT)
		abort();
	last = image.pixels[image.width * image.height - 1];
	(void)last;
	free(image.pixels);
	if (vga_serial(v) != serial) /* it has only been looked at */
		abort();
}

/* ---- saved VMs ---- */

static void save(struct kvmb_tlv_out *o)
{
	memset(o, 0, sizeof(*o));
	kvmb_tlv_begin(o, KVMB_SEC_MACHINE, 0, 0);
	vga_save(v, o);
	kvmb_tlv_end(o);
}

static int load(const struct section *s)
{
	struct kvmb_tlv_error error = { 0 };
	struct kvmb_tlv t = { .p = s->buf, .len = s->len, .error = &error };

	return vga_load(v, &t);
}

static void restore(const struct change *c)
{
	struct kvmb_tlv_out o, again;
	struct section s;

	save(&o);
	s.len = o.len - HEADER;
	s.room = s.len + 4096;
	s.buf = malloc(s.room);
	memcpy(s.buf, o.buf + HEADER, s.len);
	unmake();
	make();
	if (c)
		apply(&s, c);
	if (load(&s) && !c)
		abort();
	save(&again);
	if (!c && (again.len != o.len || memcmp(again.buf, o.buf, o.len)))
		abort();
	free(s.buf);
	kvmb_tlv_out_fini(&o);
	kvmb_tlv_out_fini(&again);
}

/* ---- actions ---- */

/* One of the registers that select what is shown, where chance alone would seldom be. */
static void set_register(const u8 *in)
{
	static const u16 ports[] = { 0x3c4, 0x3ce, 0x3d4, 0x3c0, 0x3b4 };
	u16 port = ports[in[1] % ARRAY_SIZE(ports)];
	u32 val = in[2] % 32u | (u32)in[3] << 8;

	if (port != 0x3c0) {
		iobus_access(&machine.pio, port, 2, true, &val);
		return;
	}
	iobus_access(&machine.pio, port, 1, true, &val);
	val = in[3];
	iobus_access(&machine.pio, port, 1, true, &val);
}

static void set_vbe(const u8 *in)
{
	u32 index = in[1] % 12, val = in[2] | (u32)in[3] << 8;

	iobus_access(&machine.pio, 0x1ce, 2, true, &index);
	iobus_access(&machine.pio, 0x1cf, 2, true, &val);
}

static void act(const u8 *in)
{
	u64 val = 0x0101010101010101ull * in[3] + in[2];
	u32 at = in[1] | (u32)in[2] << 8, size = 1u << (in[0] >> 4 & 3);
	bool write = in[0] >> 6 & 1;

	switch (in[0] & 15) {
	case 0:
		iobus_access(&machine.pio, (u16)(0x3b0 + in[1] % 0x30), KVMB_MIN(size, 4u), write,
			     &val);
		break;
	case 1:
		iobus_access(&machine.pio, (u16)(0x1ce + in[1] % 3), KVMB_MIN(size, 4u), write,
			     &val);
		break;
	case 2:
		set_register(in);
		break;
	case 3:
		set_vbe(in);
		break;
	case 4:
	case 5:
		pci_memory(bus, VGA_WINDOW + (at << 1) + (in[0] >> 7), size, write, &val);
		break;
	case 6:
		pci_memory(bus, 0xfebf0000 + (at & 0xfff), size, write, &val);
		break;
	case 7:
		pci_memory(bus, 0xfeb00000 + at, size, write, &val);
		break;
	case 8:
		config(in[1] & 0xfc, 0x01010101u * in[2] + in[3]);
		break;
	case 9:
		config(0x10, 0xfd000000);
		config(0x18, 0xfebf0000);
		config(0x30, 0xfeb00001);
		config(4, 2);
		break;
	case 10:
		if (memory)
			memory[(at << 8 | in[3]) & (VGA_MEMORY - 1)] = in[3];
		break;
	case 11:
		restore(NULL);
		break;
	case 12:
		vga_reset(v);
		break;
	default:
		look();
	}
}

int LLVMFuzzerTestOneInput(const u8 *in, size_t left);
int LLVMFuzzerTestOneInput(const u8 *in, size_t left)
{
	struct change c;

	make();
	pictures = 0;
	for (; left >= 4 && in[0] != 0xff; in += 4, left -= 4)
		act(in);
	for (; left > sizeof(c); in += sizeof(c), left -= sizeof(c)) {
		memcpy(&c, in, sizeof(c));
		restore(&c);
		pictures = left > 2 * sizeof(c) ? PICTURES : 0;
		look();
	}
	unmake();
	return 0;
}
