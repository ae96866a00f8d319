// SPDX-License-Identifier: GPL-2.0-only
/*
 * ACPI tables: RSDP, RSDT, XSDT, FADT, FACS, MADT and a DSDT with the VMBus device; of a gen1
 * machine with its PCI bus and what is behind it too. Where memory may come later there is an SRAT,
 * by which Linux makes room for it (docs/protocol.md#10.12).
 *
 * They lie in guest memory, or in files from which firmware puts them there. It decides where, so
 * that for it every pointer is an offset, and listed.
 *
 * The DSDT is assembled by a few AML emitters, so that addresses come from the same
 * constants as the devices. The VMBus device stands under what has the MMIO windows in its _CRS:
 * a module device, as on Hyper-V's second generation, or the PCI bus, as on its first one, where
 * the graphics card's BAR 0 is in it (docs/protocol.md#8.2).
 *
 * Source: ACPI 6.4 chapters 5 (tables), 6.4 (resource descriptors), 20 (AML).
 */
#include "lib/dirty_log.h"
#include "lib/log.h"
#include "lib/util.h"
#include "machine/boot/boot.h"
#include "machine/dev/pm.h"
#include "machine/irq.h"
#include "machine/mem.h"

#define TABLES_SIZE (0x100000u - BOOT_ACPI)
#define MMIO_LOW_BASE 0xf8000000ull
#define MMIO_LOW_SIZE 0x6c00000ull /* to the IOAPIC at 0xfec00000 */
#define MMIO_LOW_END (MMIO_LOW_BASE + MMIO_LOW_SIZE)
#define PCI_LOW_BASE 0x80000000u /* at the lowest: OVMF gives addresses from here on */
#define MMIO_HIGH_SIZE 0x100000000ull

#define MAX_LINKS 16u

#define SRAT_ENABLED 1u
#define SRAT_HOT_PLUGGABLE 2u

struct buf { /* grows over a fixed area */
	u8 *p;
	u32 len, max;
	u32 base;			   /* address of p[0] */
	struct acpi_link links[MAX_LINKS]; /* links[num_links]: pointers in it */
	u32 num_links;
};

static void emit(struct buf *b, const void *p, u32 n)
{
	kvmb_assert(b->len + n <= b->max);
	memcpy(b->p + b->len, p, n);
	b->len += n;
}

static void emit8(struct buf *b, u8 v)
{
	emit(b, &v, 1);
}

static void emit16(struct buf *b, u16 v)
{
	emit(b, &v, 2);
}

static void emit32(struct buf *b, u32 v)
{
	emit(b, &v, 4);
}

static void emit64(struct buf *b, u64 v)
{
	emit(b, &v, 8);
}

/* A pointer of @size bytes to p[@at]. */
static void emit_link(struct buf *b, u32 at, u8 size)
{
	u64 v = b->base + at;

	kvmb_assert(b->num_links < MAX_LINKS);
	b->links[b->num_links++] = (struct acpi_link){ b->len, size };
	emit(b, &v, size);
}

/* ---- AML ---- */

#define AML_SCOPE 0x10
#define AML_NAME 0x08
#define AML_BUFFER 0x11
#define AML_PACKAGE 0x12
#define AML_STRING 0x0d
#define AML_DWORD 0x0c

/* Opens a construct whose length comes first; two bytes are kept for it. Return: where. */
static u32 open_pkg(struct buf *b)
{
	emit16(b, 0);
	return b->len - 2;
}

static void close_pkg(struct buf *b, u32 at)
{
	u32 len = b->len - at;

	kvmb_assert(len < 4096);
	b->p[at] = (u8)(0x40 | (len & 15));
	b->p[at + 1] = (u8)(len >> 4);
}

static u32 open_device(struct buf *b, const char *name)
{
	u32 at;

	emit8(b, 0x5b);
	emit8(b, 0x82);
	at = open_pkg(b);
	emit(b, name, 4);
	return at;
}

static void name(struct buf *b, const char *n)
{
	emit8(b, AML_NAME);
	emit(b, n, 4);
}

static void name_int(struct buf *b, const char *n, u32 v)
{
	name(b, n);
	emit8(b, AML_DWORD);
	emit32(b, v);
}

static void name_str(struct buf *b, const char *n, const char *s)
{
	name(b, n);
	emit8(b, AML_STRING);
	emit(b, s, (u32)strlen(s) + 1);
}

/* "PNP0501" packed: three letters of five bits, four hexadecimal digits, big-endian */
static u32 eisa_id(const char *s)
{
	u32 v = (u32)(s[0] - 0x40) << 26 | (u32)(s[1] - 0x40) << 21 | (u32)(s[2] - 0x40) << 16 |
		(u32)strtoul(s + 3, NULL, 16);

	return __builtin_bswap32(v);
}

static void crs(struct buf *b, const struct buf *res)
{
	u32 at;

	name(b, "_CRS");
	emit8(b, AML_BUFFER);
	at = open_pkg(b);
	emit8(b, AML_DWORD);
	emit32(b, res->len + 2);
	emit(b, res->p, res->len);
	emit16(b, 0x0079); /* end tag, no checksum */
	close_pkg(b, at);
}

static void res_io(struct buf *r, u16 base, u8 len)
{
	emit8(r, 0x47);
	emit8(r, 1); /* 16-bit decode */
	emit16(r, base);
	emit16(r, base);
	emit8(r, 1);
	emit8(r, len);
}

static void res_irq(struct buf *r, u32 irq)
{
	emit8(r, 0x22);
	emit16(r, (u16)(1u << irq));
}

static void res_qword_memory(struct buf *r, u64 base, u64 size)
{
	emit8(r, 0x8a);
	emit16(r, 43);
	emit8(r, 0);	/* memory */
	emit8(r, 0x0c); /* producer, positive decode, both ends fixed */
	emit8(r, 0x03); /* cacheable, read-write */
	emit64(r, 0);
	emit64(r, base);
	emit64(r, base + size - 1);
	emit64(r, 0);
	emit64(r, size);
}

/* ---- where MMIO is ---- */

static u64 mmio_low_base(const struct machine *m)
{
	return m->cfg.gen1 ? KVMB_MAX(KVMB_MIN(m->cfg.memory, MEM_LOW_MAX), (u64)PCI_LOW_BASE) :
			     MMIO_LOW_BASE;
}

static u64 mmio_high_base(const struct machine *m)
{
	const struct kvmb_gm_region *last = &m->gm.regions[m->gm.num_regions - 1];
	u64 high = KVMB_MAX(MEM_HIGH_BASE, last->base + last->size);

	return (high + 0x3fffffffull) & ~0x3fffffffull;
}

static bool within(u64 at, u64 size, u64 base, u64 len)
{
	return at >= base && at - base < len && size <= len - (at - base);
}

/* A VM of before had the high window on a gen1 machine, too. */
bool acpi_has_mmio(const struct machine *m, u64 gpa, u64 size)
{
	u64 low = mmio_low_base(m);

	return within(gpa, size, low, MMIO_LOW_END - low) ||
	       within(gpa, size, mmio_high_base(m), MMIO_HIGH_SIZE);
}

/* ---- devices ---- */

/*
 * On the PCI bus it has no _ADR: Linux would take it for what belongs to PCI device 00.0, and no
 * driver would get it any more (drivers/acpi/glue.c:acpi_find_child_device, acpi_platform.c).
 */
static void vmbus_device(struct buf *b, bool on_pci)
{
	u8 area[1] = { 0 };
	const struct buf res = { .p = area };
	u32 dev = open_device(b, "VMBS");

	name_str(b, "_HID", "VMBus");
	name_int(b, "_UID", 0);
	name_str(b, "_DDN", "VMBUS");
	if (!on_pci)
		name_int(b, "_ADR", 0);
	name_int(b, "_STA", 15);
	crs(b, &res);
	close_pkg(b, dev);
}

static void module_device(const struct machine *m, struct buf *b)
{
	u8 area[128];
	struct buf res = { .p = area, .max = sizeof(area) };
	u32 mod = open_device(b, "VMOD");

	name_str(b, "_HID", "ACPI0004");
	name_int(b, "_UID", 0);
	res_qword_memory(&res, MMIO_LOW_BASE, MMIO_LOW_SIZE);
	res_qword_memory(&res, mmio_high_base(m), MMIO_HIGH_SIZE);
	crs(b, &res);
	vmbus_device(b, false);
	close_pkg(b, mod);
}

static void legacy_device(struct buf *b, const char *n, const char *hid, u16 io, u8 len, u32 irq)
{
	u8 area[32];
	struct buf res = { .p = area, .max = sizeof(area) };
	u32 dev = open_device(b, n);

	name_int(b, "_HID", eisa_id(hid));
	name_int(b, "_UID", 1);
	name_int(b, "_STA", 15);
	res_io(&res, io, len);
	res_irq(&res, irq);
	crs(b, &res);
	close_pkg(b, dev);
}

/* ---- PCI: the board of a gen1 machine ---- */

static void res_word(struct buf *r, u8 type, u8 flags, u16 from, u16 to)
{
	emit8(r, 0x88);
	emit16(r, 13);
	emit8(r, type); /* 1: ports, 2: bus numbers */
	emit8(r, 0x0c); /* producer, positive decode, both ends fixed */
	emit8(r, flags);
	emit16(r, 0);
	emit16(r, from);
	emit16(r, to);
	emit16(r, 0);
	emit16(r, (u16)(to - from + 1));
}

static void res_dword_memory(struct buf *r, u32 from, u32 to)
{
	emit8(r, 0x87);
	emit16(r, 23);
	emit8(r, 0);
	emit8(r, 0x0c);
	emit8(r, 0x03);
	emit32(r, 0);
	emit32(r, from);
	emit32(r, to);
	emit32(r, 0);
	emit32(r, to - from + 1);
}

static void emit_int(struct buf *b, u32 v)
{
	emit8(b, AML_DWORD);
	emit32(b, v);
}

/* Lines go round with slots, and firmware routes the four lines so: dev/pci.h. */
static void pci_routes(struct buf *b)
{
	static const u8 irqs[4] = { 10, 10, 11, 11 };
	u32 slot, pin, all, one;

	name(b, "_PRT");
	emit8(b, AML_PACKAGE);
	all = open_pkg(b);
	emit8(b, ACPI_PCI_SLOTS * 4);
	for (slot = 1; slot <= ACPI_PCI_SLOTS; slot++) {
		for (pin = 0; pin < 4; pin++) {
			emit8(b, AML_PACKAGE);
			one = open_pkg(b);
			emit8(b, 4);
			emit_int(b, slot << 16 | 0xffff);
			emit_int(b, pin);
			emit_int(b, 0); /* no link device: the number of an interrupt follows */
			emit_int(b, irqs[(slot + pin - 1) & 3]);
			close_pkg(b, one);
		}
	}
	close_pkg(b, all);
}

static void legacy_devices(struct buf *b)
{
	legacy_device(b, "COM1", "PNP0501", 0x3f8, 8, IRQ_SERIAL);
	legacy_device(b, "RTC0", "PNP0B00", 0x70, 2, 8);
}

static void ps2_devices(struct buf *b)
{
	u8 area[32];
	struct buf res = { .p = area, .max = sizeof(area) };
	u32 dev = open_device(b, "KBD_");

	name_int(b, "_HID", eisa_id("PNP0303"));
	name_int(b, "_STA", 15);
	res_io(&res, 0x60, 1);
	res_io(&res, 0x64, 1);
	res_irq(&res, 1);
	crs(b, &res);
	close_pkg(b, dev);
	dev = open_device(b, "MOU_");
	name_int(b, "_HID", eisa_id("PNP0F13"));
	name_int(b, "_STA", 15);
	res.len = 0;
	res_irq(&res, 12);
	crs(b, &res);
	close_pkg(b, dev);
}

static void pci_device(const struct machine *m, struct buf *b)
{
	u8 area[160];
	struct buf res = { .p = area, .max = sizeof(area) };
	u32 dev = open_device(b, "PCI0"), isa;

	name_int(b, "_HID", eisa_id("PNP0A03"));
	name_int(b, "_ADR", 0);
	name_int(b, "_UID", 1);
	res_word(&res, 2, 0, 0, 0xff);
	res_io(&res, 0xcf8, 8);
	res_word(&res, 1, 3, 0, 0xcf7);
	res_word(&res, 1, 3, 0xd00, 0xffff);
	res_dword_memory(&res, MEM_VGA_BASE, MEM_VGA_END - 1);
	/* OVMF gives addresses from below, SeaBIOS from above: its VGA is at 0xfd000000 */
	res_dword_memory(&res, (u32)mmio_low_base(m), (u32)MMIO_LOW_END - 1);
	crs(b, &res);
	pci_routes(b);
	isa = open_device(b, "ISA_");
	name_int(b, "_ADR", 1 << 16);
	ps2_devices(b);
	legacy_devices(b);
	close_pkg(b, isa);
	vmbus_device(b, true);
	close_pkg(b, dev);
}

static void sleep_state(struct buf *b, const char *state, u8 type)
{
	u32 pkg;

	name(b, state);
	emit8(b, AML_PACKAGE);
	pkg = open_pkg(b);
	emit8(b, 2);
	emit8(b, 0x0a);
	emit8(b, type);
	emit8(b, 0x0a);
	emit8(b, type);
	close_pkg(b, pkg);
}

static void build_dsdt(struct machine *m, struct buf *b)
{
	u32 scope;

	emit8(b, AML_SCOPE);
	scope = open_pkg(b);
	emit(b, "\\_SB_", 5);
	if (m->cfg.gen1) {
		pci_device(m, b);
	} else {
		module_device(m, b);
		legacy_devices(b);
	}
	close_pkg(b, scope);
	if (m->cfg.hibernation)
		sleep_state(b, "_S4_", PM_SLEEP_S4);
	sleep_state(b, "_S5_", PM_SLEEP_S5);
}

/* ---- tables ---- */

static u32 begin_table(struct buf *b, const char *sig, u8 revision)
{
	u32 at;

	while (b->len % 64)
		emit8(b, 0);
	at = b->len;
	emit(b, sig, 4);
	emit32(b, 0);
	emit8(b, revision);
	emit8(b, 0);
	emit(b, "KVMBUSKVMBUS  ", 14);
	emit32(b, 1);
	emit(b, "KVMB", 4);
	emit32(b, 1);
	return at;
}

static u8 checksum(const u8 *p, u32 len)
{
	u8 sum = 0;

	while (len--)
		sum = (u8)(sum + *p++);
	return (u8)-sum;
}

/* Return: where it begins. */
static u32 end_table(struct buf *b, u32 at)
{
	u32 len = b->len - at;

	memcpy(b->p + at + 4, &len, 4);
	b->p[at + 9] = checksum(b->p + at, len);
	return at;
}

/* An ISA interrupt that is level, active high. */
static void level_irq(struct buf *b, u8 irq)
{
	emit8(b, 2);
	emit8(b, 10);
	emit8(b, 0);
	emit8(b, irq);
	emit32(b, irq);
	emit16(b, 0x000d);
}

static u32 build_madt(struct machine *m, struct buf *b)
{
	u32 at = begin_table(b, "APIC", 4), i;

	emit32(b, 0xfee00000);
	emit32(b, 1); /* a PIC is there too */
	for (i = 0; i < m->cfg.cpus; i++) {
		emit8(b, 0);
		emit8(b, 8);
		emit8(b, (u8)i);
		emit8(b, (u8)i);
		emit32(b, 1);
	}
	emit8(b, 1); /* IOAPIC */
	emit8(b, 12);
	emit8(b, 0);
	emit8(b, 0);
	emit32(b, 0xfec00000);
	emit32(b, 0);
	level_irq(b, IRQ_SCI);
	if (m->cfg.gen1) {
		level_irq(b, 10);
		level_irq(b, 11);
	}
	return end_table(b, at);
}

static void affine_memory(struct buf *b, u64 base, u64 size, u32 flags)
{
	emit8(b, 1);
	emit8(b, 40);
	emit32(b, 0); /* one domain */
	emit16(b, 0);
	emit64(b, base);
	emit64(b, size);
	emit32(b, 0);
	emit32(b, flags);
	emit64(b, 0);
}

static u32 build_srat(const struct machine *m, struct buf *b)
{
	u32 at = begin_table(b, "SRAT", 3), i;
	u64 high = machine_high_ram(m);

	emit32(b, 1);
	emit64(b, 0);
	for (i = 0; i < m->cfg.cpus; i++) {
		emit8(b, 0);
		emit8(b, 16);
		emit8(b, 0);
		emit8(b, (u8)i);
		emit32(b, 1); /* enabled */
		emit64(b, 0);
	}
	affine_memory(b, 0, KVMB_MIN(m->cfg.memory, MEM_LOW_MAX), SRAT_ENABLED);
	if (high)
		affine_memory(b, MEM_HIGH_BASE, high, SRAT_ENABLED);
	affine_memory(b, m->hot.base, m->hot.size, SRAT_ENABLED | SRAT_HOT_PLUGGABLE);
	return end_table(b, at);
}

static void gas(struct buf *b, u16 port, u8 bits)
{
	emit8(b, 1); /* system I/O */
	emit8(b, bits);
	emit8(b, 0);
	emit8(b, bits == 8 ? 1 : bits == 16 ? 2 : 3);
	emit64(b, port);
}

static u32 build_fadt(const struct machine *m, struct buf *b, u32 facs, u32 dsdt)
{
	u32 at = begin_table(b, "FACP", 6);
	u8 zero[12] = { 0 };

	emit_link(b, facs, 4);
	emit_link(b, dsdt, 4);
	emit16(b, 0);		/* reserved, any profile */
	emit16(b, IRQ_SCI);
	emit32(b, 0);		/* no SMI command: ACPI mode always */
	emit32(b, 0);
	emit32(b, PM_BASE);
	emit32(b, 0);
	emit32(b, PM_CONTROL);
	emit32(b, 0);
	emit32(b, 0);
	emit32(b, PM_TIMER);
	emit32(b, 0);		/* no GPE blocks */
	emit32(b, 0);
	emit8(b, 4);		/* lengths: PM1 event, control, PM2, timer, GPE0, GPE1, base */
	emit8(b, 2);
	emit8(b, 0);
	emit8(b, 4);
	emit(b, zero, 4);
	emit16(b, 0xfff);	/* C2 and C3 latencies: unsupported */
	emit16(b, 0xfff);
	emit(b, zero, 7);
	emit8(b, 0);
	emit8(b, 0x32);		/* century byte of the RTC */
	/* legacy devices; gen1: an 8042, else no VGA */
	emit16(b, m->cfg.gen1 ? 0x0003 : 0x0005);
	emit8(b, 0);
	/* WBINVD, C1, no fixed power or sleep button, RTC wake not fixed, reset register */
	emit32(b, 0x1 | 0x4 | 0x10 | 0x20 | 0x400);
	gas(b, PM_RESET_PORT, 8);
	emit8(b, PM_RESET_VALUE);
	emit16(b, 0);
	emit8(b, 4);
	emit_link(b, facs, 8);
	emit_link(b, dsdt, 8);
	gas(b, PM_BASE, 32);
	emit(b, zero, 12);
	gas(b, PM_CONTROL, 16);
	emit(b, zero, 12);
	emit(b, zero, 12);
	gas(b, PM_TIMER, 32);
	emit(b, zero, 12);
	emit(b, zero, 12);
	emit(b, zero, 12);	/* sleep control and status */
	emit(b, zero, 12);
	emit(b, "Microsoft", 8); /* hypervisor vendor identity */
	return end_table(b, at);
}

static u32 build_facs(struct buf *b)
{
	u8 facs[64] = { 'F', 'A', 'C', 'S', 64 };
	u32 at;

	while (b->len % 64)
		emit8(b, 0);
	at = b->len;
	facs[32] = 2;
	emit(b, facs, sizeof(facs));
	return at;
}

/* All tables but the RSDP. Return: where the RSDT and the XSDT are. */
static void build_tables(struct machine *m, struct buf *b, u32 *rsdt, u32 *xsdt)
{
	u32 facs, dsdt, fadt, madt, srat, at;

	facs = build_facs(b);
	at = begin_table(b, "DSDT", 2);
	build_dsdt(m, b);
	dsdt = end_table(b, at);
	fadt = build_fadt(m, b, facs, dsdt);
	madt = build_madt(m, b);
	srat = m->hot.size ? build_srat(m, b) : 0;
	at = begin_table(b, "RSDT", 1);
	emit_link(b, fadt, 4);
	emit_link(b, madt, 4);
	if (srat)
		emit_link(b, srat, 4);
	*rsdt = end_table(b, at);
	at = begin_table(b, "XSDT", 1);
	emit_link(b, fadt, 8);
	emit_link(b, madt, 8);
	if (srat)
		emit_link(b, srat, 8);
	*xsdt = end_table(b, at);
}

static void build_rsdp(u8 *rsdp, u32 rsdt, u64 xsdt)
{
	u32 len = ACPI_RSDP_LEN;

	memset(rsdp, 0, ACPI_RSDP_LEN);
	memcpy(rsdp, "RSD PTR ", 8);
	memcpy(rsdp + 9, "KVMBUS", 6);
	rsdp[15] = 2;
	memcpy(rsdp + 16, &rsdt, 4);
	memcpy(rsdp + 20, &len, 4);
	memcpy(rsdp + 24, &xsdt, 8);
	rsdp[8] = checksum(rsdp, 20);
	rsdp[32] = checksum(rsdp, ACPI_RSDP_LEN);
}

u64 acpi_build(struct machine *m)
{
	struct buf b = { .p = __unshare(kvmb_gm_ptr(&m->gm, BOOT_ACPI, TABLES_SIZE)),
			 .max = TABLES_SIZE,
			 .base = BOOT_ACPI };
	u32 rsdt, xsdt;

	if (!b.p)
		return 0;
	memset(b.p, 0, TABLES_SIZE);
	b.len = 64; /* the RSDP comes first */
	build_tables(m, &b, &rsdt, &xsdt);
	build_rsdp(b.p, BOOT_ACPI + rsdt, BOOT_ACPI + xsdt);
	kvmb_dirty(b.p, TABLES_SIZE);
	return BOOT_ACPI;
}

void acpi_build_files(struct machine *m, struct acpi_files *f)
{
	struct buf b = { .p = f->tables, .max = sizeof(f->tables) };
	u32 rsdt, xsdt, at, len;

	memset(f, 0, sizeof(*f));
	build_tables(m, &b, &rsdt, &xsdt);
	build_rsdp(f->rsdp, rsdt, xsdt);
	f->tables_len = b.len;
	memcpy(f->links, b.links, sizeof(b.links));
	f->num_links = b.num_links;
	/* tables one after the other: each has its length, and is at a multiple of 64 */
	for (at = 0; at < b.len; at = (at + len + 63) & ~63u) {
		memcpy(&len, f->tables + at + 4, 4);
		if (memcmp(f->tables + at, "FACS", 4)) /* has no checksum */
			f->sums[f->num_sums++] = (struct acpi_sum){ at, len };
	}
}
