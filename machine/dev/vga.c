// SPDX-License-Identifier: GPL-2.0-only
/* VGA: ports, BARs, life. Theory: vga.h. */
#include "machine/dev/vga.h"

#include <sys/mman.h>
#include <unistd.h>

#include "lib/util.h"
#include "machine/dev/vga_priv.h"
#include "machine/iobus.h"

#define FIRST_PORT 0x3b0u
#define NUM_PORTS 0x30u
#define VBE_PORT 0x1ceu

/* BAR 2 */
#define BAR_PORTS 0x400u /* from port 0x3c0 on */
#define BAR_VBE 0x500u
#define BAR_QEMU 0x600u /* QEMU's own: their size, order of bytes */
#define BAR_QEMU_ORDER 0x604u
#define LITTLE_ENDIAN_MARK 0x1e1e1e1eu
#define BIG_ENDIAN_MARK 0xbebebebeu

/* Bits that there are. All of the CRTC's are kept. */
static const u8 seq_bits[VGA_SEQS] = { 0x03, 0x3d, 0x0f, 0x3f, 0x0e };
static const u8 gfx_bits[VGA_GFXS] = { 0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff };
static const u8 attr_bits[VGA_ATTRS] = { 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
					 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
					 0x3f, 0x3f, 0xef, 0xff, 0x3f, 0x0f, 0x0f };

/* ---- ports ---- */

/* Index and data of the CRTC, status and feature: where monochrome or colour cards had them. */
static bool other_colour(const struct vga_regs *r, u32 port)
{
	return r->misc & 1 ? port < 0x3c0 : port >= 0x3d0;
}

static void write_attr(struct vga_regs *r, u8 val)
{
	u32 i = r->attr_index & 0x1f;

	if (!r->attr_data)
		r->attr_index = val & 0x3f;
	else if (i < VGA_ATTRS)
		r->attr[i] = val & attr_bits[i];
	r->attr_data = !r->attr_data;
}

static void write_crtc(struct vga_regs *r, u8 val)
{
	u32 i = r->crtc_index;

	if (i >= VGA_CRTCS)
		return;
	if (r->crtc[0x11] & 0x80 && i < 8) { /* locked, but for a bit of line compare */
		if (i == 7)
			r->crtc[7] = (u8)((r->crtc[7] & ~0x10) | (val & 0x10));
		return;
	}
	r->crtc[i] = val;
}

static void write_crtc_port(struct vga_regs *r, u32 port, u8 val)
{
	if (other_colour(r, port))
		return;
	switch (port & 0xf) {
	case 4:
		r->crtc_index = val;
		break;
	case 5:
		write_crtc(r, val);
		break;
	case 0xa:
		r->feature = val;
		break;
	}
}

static void write_port(struct vga_regs *r, u32 port, u8 val)
{
	switch (port) {
	case 0x3c0:
		write_attr(r, val);
		break;
	case 0x3c2:
		r->misc = val;
		break;
	case 0x3c3:
		r->enable = val & 1;
		break;
	case 0x3c4:
		r->seq_index = val & 7;
		break;
	case 0x3c5:
		if (r->seq_index < VGA_SEQS)
			r->seq[r->seq_index] = val & seq_bits[r->seq_index];
		break;
	case 0x3c6:
		r->pel_mask = val;
		break;
	case 0x3c7:
		r->dac_read = val;
		r->dac_part = 0;
		r->dac_state = 3;
		break;
	case 0x3c8:
		r->dac_write = val;
		r->dac_part = 0;
		r->dac_state = 0;
		break;
	case 0x3c9:
		vga_dac_write(r, val);
		break;
	case 0x3ce:
		r->gfx_index = val & 0xf;
		break;
	case 0x3cf:
		if (r->gfx_index < VGA_GFXS)
			r->gfx[r->gfx_index] = val & gfx_bits[r->gfx_index];
		break;
	default:
		write_crtc_port(r, port, val);
	}
}

/* Bit 0: no picture at the moment; bit 3: because it goes back to the top. */
static u8 read_status(struct vga_regs *r)
{
	static const u8 phases[4] = { 0, 1, 0, 9 };

	r->attr_data = false;
	return phases[r->phase++ & 3];
}

static u8 read_crtc_port(struct vga_regs *r, u32 port)
{
	if (other_colour(r, port))
		return 0xff;
	switch (port & 0xf) {
	case 4:
		return r->crtc_index;
	case 5:
		return r->crtc_index < VGA_CRTCS ? r->crtc[r->crtc_index] : 0;
	case 0xa:
		return read_status(r);
	}
	return 0xff;
}

static u8 read_port(struct vga_regs *r, u32 port)
{
	switch (port) {
	case 0x3c0:
		return r->attr_index;
	case 0x3c1:
		return (r->attr_index & 0x1f) < VGA_ATTRS ? r->attr[r->attr_index & 0x1f] : 0;
	case 0x3c2:
		return 0x10; /* there is a monitor */
	case 0x3c3:
		return r->enable;
	case 0x3c4:
		return r->seq_index;
	case 0x3c5:
		return r->seq_index < VGA_SEQS ? r->seq[r->seq_index] : 0;
	case 0x3c6:
		return r->pel_mask;
	case 0x3c7:
		return r->dac_state;
	case 0x3c8:
		return r->dac_write;
	case 0x3c9:
		return vga_dac_read(r);
	case 0x3ca:
		return r->feature;
	case 0x3cc:
		return r->misc;
	case 0x3ce:
		return r->gfx_index;
	case 0x3cf:
		return r->gfx_index < VGA_GFXS ? r->gfx[r->gfx_index] : 0;
	}
	return read_crtc_port(r, port);
}

/* Bytes of ports that follow each other: a word is index and data. */
static u64 port_bytes(struct vga *v, u32 port, u32 size, bool write, u64 val)
{
	u64 read = 0;
	u32 i;

	for (i = 0; i < size; i++) {
		bool ours = port + i < FIRST_PORT + NUM_PORTS;

		if (write && ours)
			write_port(&v->regs, port + i, (u8)(val >> i * 8));
		else if (!write)
			read |= (u64)(ours ? read_port(&v->regs, port + i) : 0xff) << i * 8;
	}
	return read;
}

static void vga_ports(void *dev, u16 offset, u32 size, bool write, u32 *val)
{
	struct vga *v = dev;
	u64 read;

	pthread_mutex_lock(&v->lock);
	read = port_bytes(v, FIRST_PORT + offset, size, write, *val);
	if (!write)
		*val = (u32)read;
	pthread_mutex_unlock(&v->lock);
}

/* Index at 0x1ce, data at 0x1cf and at 0x1d0: words. */
static void vbe_ports(void *dev, u16 offset, u32 size, bool write, u32 *val)
{
	struct vga *v = dev;
	struct vga_regs *r = &v->regs;

	pthread_mutex_lock(&v->lock);
	if (size == 1)
		; /* nobody does that */
	else if (write && !offset)
		r->vbe_index = (u16)*val;
	else if (write)
		vga_vbe_write(v, r->vbe_index, (u16)*val);
	else
		*val = offset ? vga_vbe_read(r, r->vbe_index) : r->vbe_index;
	pthread_mutex_unlock(&v->lock);
}

/* ---- BAR 2 ---- */

static u64 vbe_words(struct vga *v, u32 offset, u32 size, bool write, u64 val)
{
	u64 read = 0;
	u32 i;

	if (write) {
		for (i = 0; i + 2 <= size && !(offset & 1); i += 2)
			vga_vbe_write(v, (offset + i) / 2, (u16)(val >> i * 8));
		return 0;
	}
	for (i = 0; i < size; i++) {
		u16 word = vga_vbe_read(&v->regs, (offset + i) / 2);

		read |= (u64)(word >> ((offset + i) & 1) * 8 & 0xff) << i * 8;
	}
	return read;
}

static u64 qemu_register(struct vga *v, u32 offset, u32 size, bool write, u64 val)
{
	struct vga_regs *r = &v->regs;

	if (size != 4)
		return 0;
	if (offset == BAR_QEMU)
		return 8; /* bytes of registers that there are */
	if (offset != BAR_QEMU_ORDER)
		return 0;
	if (write && (val == LITTLE_ENDIAN_MARK || val == BIG_ENDIAN_MARK))
		r->big_endian = val == BIG_ENDIAN_MARK;
	return r->big_endian ? BIG_ENDIAN_MARK : LITTLE_ENDIAN_MARK;
}

static void bar2_access(void *dev, u32 offset, u32 size, bool write, u64 *val)
{
	struct vga *v = dev;
	u64 read = 0;

	pthread_mutex_lock(&v->lock);
	if (offset >= BAR_PORTS && offset < BAR_PORTS + 0x20)
		read = port_bytes(v, 0x3c0 + offset - BAR_PORTS, size, write, *val);
	else if (offset >= BAR_VBE && offset < BAR_VBE + VBE_REGS * 2)
		read = vbe_words(v, offset - BAR_VBE, size, write, *val);
	else if (offset >= BAR_QEMU)
		read = qemu_register(v, offset, size, write, write ? *val : 0);
	pthread_mutex_unlock(&v->lock);
	if (!write)
		*val = read;
}

/* ---- memory and ROM ---- */

static void memory_moved(void *dev, u64 base)
{
	struct vga *v = dev;

	__atomic_store_n(&v->base, base, __ATOMIC_RELAXED);
	if (v->ops.map)
		v->ops.map(v->ops.arg, base, v->memory, VGA_MEMORY);
}

const u8 *vga_memory_at(const struct vga *v, u64 gpa, u64 len)
{
	u64 base = __atomic_load_n(&v->base, __ATOMIC_RELAXED);

	if (base == PCI_NOWHERE || gpa < base || gpa - base >= VGA_MEMORY ||
	    len > VGA_MEMORY - (gpa - base))
		return NULL;
	return v->memory + (gpa - base);
}

static void rom_access(void *dev, u32 offset, u32 size, bool write, u64 *val)
{
	const struct vga *v = dev;

	if (!write && offset < VGA_ROM_SIZE)
		memcpy(val, v->rom + offset, KVMB_MIN(size, VGA_ROM_SIZE - offset));
}

/* ---- life ---- */

static void power_on(struct vga_regs *r)
{
	memset(r, 0, sizeof(*r));
	r->enable = 1;
	r->pel_mask = 0xff;
	vga_vbe_reset(r);
}

void vga_reset(struct vga *v)
{
	pthread_mutex_lock(&v->lock);
	power_on(&v->regs);
	pthread_mutex_unlock(&v->lock);
}

static int make_memory(struct vga *v)
{
	int err = 0;

	v->fd = memfd_create("kvmbus-video", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (v->fd < 0)
		return -errno;
	if (!ftruncate(v->fd, VGA_MEMORY))
		v->memory = mmap(NULL, VGA_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (!v->memory || v->memory == MAP_FAILED) {
		err = -errno;
		v->memory = NULL;
		close(v->fd);
	}
	return err;
}

/* ---- its name ---- */

#define QEMU_ID 0x11111234u
#define HYPERV_ID 0x53531414u
#define ROM_SUM 6u  /* where SeaVGABIOS has the byte that makes the sum 0 */
#define ROM_PCI 24u /* where a ROM says where its PCI data is */

/* The VGA BIOS goes by the same name, if it has one of the two. */
void vga_renamed(struct vga *v)
{
	const u32 id = pci_id(&v->func);
	u32 len = KVMB_MIN(v->rom[2] * 512u, VGA_ROM_SIZE), at = 0, old, i;
	u8 sum = 0;

	memcpy(&at, v->rom + ROM_PCI, 2);
	if (v->rom[0] != 0x55 || v->rom[1] != 0xaa || at + 8 > len ||
	    memcmp(v->rom + at, "PCIR", 4))
		return;
	memcpy(&old, v->rom + at + 4, 4);
	if (old != QEMU_ID && old != HYPERV_ID)
		return;
	memcpy(v->rom + at + 4, &id, 4);
	for (i = 0; i < len; i++)
		sum = (u8)(sum + v->rom[i]);
	v->rom[ROM_SUM] = (u8)(v->rom[ROM_SUM] - sum);
}

void vga_set_rom(struct vga *v, const void *rom, size_t len)
{
	struct pci_bar *bar = &v->func.bars[PCI_ROM];

	kvmb_assert(len <= VGA_ROM_SIZE);
	*bar = (struct pci_bar){ 0 };
	if (len)
		*bar = (struct pci_bar){ .size = VGA_ROM_SIZE, .access = rom_access };
	pci_set_bar(&v->func, PCI_ROM);
	memset(v->rom, 0, VGA_ROM_SIZE);
	if (len)
		memcpy(v->rom, rom, len);
	vga_renamed(v);
}

static void fill_func(struct vga *v, enum vga_kind kind)
{
	const u32 id = kind == VGA_HYPERV ? HYPERV_ID : QEMU_ID;
	struct pci_func *f = &v->func;

	f->slot = VGA_SLOT;
	f->dev = v;
	f->bars[0] =
		(struct pci_bar){ .size = VGA_MEMORY, .prefetch = true, .moved = memory_moved };
	f->bars[2] = (struct pci_bar){ .size = 4096, .access = bar2_access };
	/* revision 2: BAR 2 has QEMU's own registers */
	pci_func_init(f, (u16)id, (u16)(id >> 16), 0x030000, 2);
	f->other_id = id == QEMU_ID ? HYPERV_ID : QEMU_ID;
}

int vga_create(struct vga **out, struct iobus *pio, struct pci_bus *b, const struct vga_ops *ops,
	       enum vga_kind kind, const void *rom, size_t len)
{
	struct vga *v = kvmb_xzalloc(sizeof(*v));
	int err = make_memory(v);

	if (err) {
		free(v);
		return err;
	}
	v->ops = *ops;
	v->rom = kvmb_xzalloc(VGA_ROM_SIZE);
	pthread_mutex_init(&v->lock, NULL);
	power_on(&v->regs);
	v->base = PCI_NOWHERE;
	fill_func(v, kind);
	vga_set_rom(v, rom, len);
	pci_add(b, &v->func);
	pci_claim(b, VGA_WINDOW, 128 << 10, vga_window, v);
	iobus_add(pio, FIRST_PORT, NUM_PORTS, vga_ports, v);
	iobus_add(pio, VBE_PORT, 3, vbe_ports, v);
	*out = v;
	return 0;
}

void vga_destroy(struct vga *v)
{
	if (!v)
		return;
	munmap(v->memory, VGA_MEMORY);
	close(v->fd);
	free(v->rom);
	pthread_mutex_destroy(&v->lock);
	free(v);
}
