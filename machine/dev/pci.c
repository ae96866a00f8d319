// SPDX-License-Identifier: GPL-2.0-only
/* PCI: configuration mechanism #1, BARs, interrupt lines. Theory: pci.h. */
#include "machine/dev/pci.h"

#include <stdlib.h>

#include "lib/util.h"
#include "machine/dev/pci_priv.h"
#include "machine/irq.h"

#define ENABLE 0x80000000u /* in the address register */
#define HEADER_BAR0 0x10u
#define HEADER_ROM 0x30u
#define HEADER_LINE 0x3cu
#define HEADER_PIN 0x3du
#define ROM_ENABLE 1u

static u32 read_le(const u8 *p, u32 size)
{
	u32 v = 0;

	memcpy(&v, p, size);
	return v;
}

u16 pci_get16(const struct pci_func *f, u32 reg)
{
	return (u16)read_le(f->config + reg, 2);
}

void pci_put16(struct pci_func *f, u32 reg, u16 v)
{
	memcpy(f->config + reg, &v, 2);
}

u32 pci_id(const struct pci_func *f)
{
	return (u32)pci_get16(f, 2) << 16 | pci_get16(f, 0);
}

static u32 bar_register(u32 bar)
{
	return bar == PCI_ROM ? HEADER_ROM : HEADER_BAR0 + bar * 4;
}

/* ---- what a function is ---- */

void pci_set_bar(struct pci_func *f, u32 bar)
{
	const struct pci_bar *b = &f->bars[bar];
	u32 at = bar_register(bar), bits;

	memset(f->can_write + at, 0, 4);
	memset(f->config + at, 0, 4);
	if (!b->size)
		return;
	kvmb_assert(!(b->size & (b->size - 1)));
	kvmb_assert(b->io ? b->size >= 4 && b->size <= 256 : b->size >= 16);
	bits = ~(b->size - 1);
	if (bar == PCI_ROM)
		bits = (bits & ~0x7ffu) | ROM_ENABLE;
	memcpy(f->can_write + at, &bits, 4);
	f->config[at] = (u8)(b->io ? 1 : b->prefetch ? 8 : 0);
}

void pci_func_init(struct pci_func *f, u16 vendor, u16 device, u32 class_code, u8 revision)
{
	u32 i;

	pci_put16(f, 0, vendor);
	pci_put16(f, 2, device);
	f->config[8] = revision;
	f->config[9] = (u8)class_code;
	f->config[10] = (u8)(class_code >> 8);
	f->config[11] = (u8)(class_code >> 16);
	f->config[HEADER_PIN] = f->pin;
	f->can_write[PCI_COMMAND] = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	f->can_write[PCI_COMMAND + 1] = 4; /* interrupt disable: kept, not obeyed by old devices */
	f->can_write[HEADER_LINE] = 0xff;
	for (i = 0; i <= PCI_ROM; i++)
		pci_set_bar(f, i);
}

void pci_add(struct pci_bus *b, struct pci_func *f)
{
	u32 i;

	kvmb_assert(b->num < PCI_FUNCS && f->slot < 32 && f->number < 8 && f->pin <= 4);
	for (i = 0; i < b->num; i++) {
		kvmb_assert(b->funcs[i]->slot != f->slot || b->funcs[i]->number != f->number);
		if (b->funcs[i]->slot == f->slot) /* the guest looks for more than function 0 */
			b->funcs[i]->config[0x0e] |= 0x80;
	}
	for (i = 0; i <= PCI_ROM; i++)
		f->base[i] = PCI_NOWHERE;
	b->funcs[b->num++] = f;
}

void pci_claim(struct pci_bus *b, u64 base, u64 size,
	       void (*access)(void *dev, u32 offset, u32 size, bool write, u64 *val), void *dev)
{
	kvmb_assert(b->num_windows < PCI_WINDOWS);
	b->windows[b->num_windows++] = (struct pci_window){ base, size, access, dev };
}

/* ---- BARs ---- */

/* Where a BAR is decoded by what its registers say. */
static u64 decoded_at(const struct pci_func *f, u32 bar)
{
	const struct pci_bar *b = &f->bars[bar];
	u32 reg = read_le(f->config + bar_register(bar), 4), base;
	u16 command = pci_get16(f, PCI_COMMAND);

	if (!b->size || !(command & (b->io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)))
		return PCI_NOWHERE;
	if (bar == PCI_ROM && !(reg & ROM_ENABLE))
		return PCI_NOWHERE;
	base = reg & ~(b->size - 1) & (b->io ? ~3u : bar == PCI_ROM ? ~0x7ffu : ~15u);
	/* 0 is "not set"; all ones is how its size is asked for, and reaches the end */
	if (!base || base == (u32) ~(b->size - 1) || (b->io && base > 0xffff))
		return PCI_NOWHERE;
	return base;
}

static void decode(struct pci_func *f)
{
	u32 i;

	for (i = 0; i <= PCI_ROM; i++) {
		u64 base = decoded_at(f, i);

		if (base == f->base[i])
			continue;
		f->base[i] = base;
		if (f->bars[i].moved)
			f->bars[i].moved(f->dev, base);
	}
}

/* What serves an address; copied, because it is called without the lock. */
struct target {
	void (*access)(void *dev, u32 offset, u32 size, bool write, u64 *val);
	void *dev;
	u32 offset;
};

static bool in_func(const struct pci_func *f, u64 addr, bool io, struct target *t)
{
	u32 i;

	for (i = 0; i <= PCI_ROM; i++) {
		const struct pci_bar *b = &f->bars[i];

		if (b->io != io || !b->access || f->base[i] == PCI_NOWHERE || addr < f->base[i] ||
		    addr - f->base[i] >= b->size)
			continue;
		*t = (struct target){ b->access, f->dev, (u32)(addr - f->base[i]) };
		return true;
	}
	return false;
}

static bool find_target(struct pci_bus *b, u64 addr, bool io, struct target *t)
{
	bool found = false;
	u32 i;

	pthread_rwlock_rdlock(&b->lock);
	for (i = 0; i < b->num && !found; i++)
		found = in_func(b->funcs[i], addr, io, t);
	pthread_rwlock_unlock(&b->lock);
	return found;
}

void pci_ports(void *bus, u16 port, u32 size, bool write, u32 *val)
{
	struct target t;
	u64 v = *val;

	if (!find_target(bus, port, true, &t))
		return;
	t.access(t.dev, t.offset, size, write, &v);
	*val = (u32)v;
}

static bool find_window(const struct pci_bus *b, u64 addr, struct target *t)
{
	u32 i;

	for (i = 0; i < b->num_windows; i++) {
		const struct pci_window *w = &b->windows[i];

		if (addr < w->base || addr - w->base >= w->size)
			continue;
		*t = (struct target){ w->access, w->dev, (u32)(addr - w->base) };
		return true;
	}
	return false;
}

void pci_memory(struct pci_bus *b, u64 addr, u32 size, bool write, void *data)
{
	u64 v = write ? 0 : ~0ull;
	struct target t;

	kvmb_assert(size <= sizeof(v));
	if (write)
		memcpy(&v, data, size);
	if (find_window(b, addr, &t) || find_target(b, addr, false, &t))
		t.access(t.dev, t.offset, size, write, &v);
	if (!write)
		memcpy(data, &v, size);
}

/* ---- configuration space ---- */

static struct pci_func *selected(const struct pci_bus *b, u32 address)
{
	u32 i;

	if (!(address & ENABLE) || address >> 16 & 0xff) /* there is bus 0 */
		return NULL;
	for (i = 0; i < b->num; i++) {
		if (b->funcs[i]->slot == (address >> 11 & 31) &&
		    b->funcs[i]->number == (address >> 8 & 7))
			return b->funcs[i];
	}
	return NULL;
}

static void put_byte(struct pci_func *f, u32 reg, u8 val)
{
	u8 can = f->can_write[reg];

	f->config[reg] = (u8)((f->config[reg] & ~can) | (val & can));
}

static void write_config(struct pci_func *f, u32 reg, u32 size, u32 val)
{
	u32 i;

	for (i = 0; i < size && reg + i < 256; i++)
		put_byte(f, reg + i, (u8)(val >> i * 8));
	decode(f);
	if (f->written && (reg >= 0x40 || (reg <= PCI_COMMAND + 1 && reg + size > PCI_COMMAND)))
		f->written(f->dev, reg);
}

void pci_take_config(struct pci_func *f, const u8 config[256])
{
	u32 i;

	for (i = 0; i < 256; i++)
		put_byte(f, i, config[i]);
	decode(f);
	if (f->written)
		f->written(f->dev, PCI_COMMAND);
}

static void address_access(void *dev, u16 offset, u32 size, bool write, u32 *val)
{
	struct pci_bus *b = dev;

	(void)offset;
	if (size != 4) /* bytes of it are other devices' ports */
		return;
	if (write)
		__atomic_store_n(&b->address, *val & 0x80fffffc, __ATOMIC_RELAXED);
	else
		*val = __atomic_load_n(&b->address, __ATOMIC_RELAXED);
}

static void data_access(void *dev, u16 offset, u32 size, bool write, u32 *val)
{
	struct pci_bus *b = dev;
	u32 address = __atomic_load_n(&b->address, __ATOMIC_RELAXED);
	u32 reg = (address & 0xfc) + offset;
	struct pci_func *f;

	size = KVMB_MIN(size, 256 - reg);
	if (write)
		pthread_rwlock_wrlock(&b->lock);
	else
		pthread_rwlock_rdlock(&b->lock);
	f = selected(b, address);
	if (f && write)
		write_config(f, reg, size, *val);
	else if (f)
		*val = read_le(f->config + reg, size);
	pthread_rwlock_unlock(&b->lock);
}

bool pci_may_master(struct pci_bus *b, const struct pci_func *f)
{
	bool may;

	pthread_rwlock_rdlock(&b->lock);
	may = pci_get16(f, PCI_COMMAND) & PCI_COMMAND_MASTER;
	pthread_rwlock_unlock(&b->lock);
	return may;
}

/* ---- interrupt lines ---- */

static u32 line_of(const struct pci_func *f)
{
	return (f->slot + f->pin - 2u) & 3;
}

/* Line lock held. Lines may share an interrupt. */
static void update_lines(struct pci_bus *b)
{
	u32 up = 0, i;

	for (i = 0; i < b->num; i++) {
		const struct pci_func *f = b->funcs[i];

		if (f->pin && f->level && b->route[line_of(f)] < 16)
			up |= 1u << b->route[line_of(f)];
	}
	for (i = 0; i < 16; i++) {
		if ((up ^ b->raised) >> i & 1)
			irq_set_line(b->machine, i, up >> i & 1);
	}
	b->raised = up;
}

void pci_set_irq(struct pci_bus *b, struct pci_func *f, int level)
{
	pthread_mutex_lock(&b->line_lock);
	if (f->level != level) {
		f->level = level;
		update_lines(b);
	}
	pthread_mutex_unlock(&b->line_lock);
}

void pci_route(struct pci_bus *b, u32 line, u8 irq)
{
	pthread_mutex_lock(&b->line_lock);
	b->route[line] = irq;
	update_lines(b);
	pthread_mutex_unlock(&b->line_lock);
}

/* ---- life ---- */

static void reset_func(struct pci_func *f)
{
	u32 i, at;

	pci_put16(f, PCI_COMMAND, 0);
	f->config[HEADER_LINE] = 0;
	for (i = 0; i <= PCI_ROM; i++) {
		at = bar_register(i);
		if (f->bars[i].size)
			memset(f->config + at + 1, 0, 3), f->config[at] &= 15;
	}
	f->config[HEADER_ROM] &= (u8)~ROM_ENABLE;
	decode(f);
	f->level = 0;
}

void pci_reset(struct pci_bus *b)
{
	u32 i;

	pthread_rwlock_wrlock(&b->lock);
	pthread_mutex_lock(&b->line_lock);
	for (i = 0; i < b->num; i++)
		reset_func(b->funcs[i]);
	for (i = 0; i < 4; i++)
		b->route[i] = 0x80;
	update_lines(b);
	pthread_mutex_unlock(&b->line_lock);
	pthread_rwlock_unlock(&b->lock);
	__atomic_store_n(&b->address, 0, __ATOMIC_RELAXED);
}

struct pci_bus *pci_create(struct machine *m)
{
	struct pci_bus *b = kvmb_xzalloc(sizeof(*b));
	u32 i;

	b->machine = m;
	pthread_rwlock_init(&b->lock, NULL);
	pthread_mutex_init(&b->line_lock, NULL);
	for (i = 0; i < 4; i++)
		b->route[i] = 0x80;
	iobus_add(&m->pio, 0xcf8, 1, address_access, b);
	iobus_add(&m->pio, 0xcfc, 4, data_access, b);
	m->pio.other = pci_ports;
	m->pio.other_dev = b;
	return b;
}

void pci_destroy(struct pci_bus *b)
{
	if (!b)
		return;
	pthread_rwlock_destroy(&b->lock);
	pthread_mutex_destroy(&b->line_lock);
	free(b);
}
