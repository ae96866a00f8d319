// SPDX-License-Identifier: GPL-2.0-only
/* The legacy NIC's PCI function, registers and life. Theory and sources: tulip.h. */
#include "machine/dev/tulip_priv.h"

#include <stdlib.h>

#include "lib/util.h"

#define VENDOR_DEC 0x1011
#define DEVICE_21140 0x0009
#define REVISION_21140A 0x20
#define CLASS_ETHERNET 0x020000
#define SUBSYSTEM_VENDOR 0x0a00u /* as Hyper-V has it, the NIC's number added */
#define SUBSYSTEM 0x2114
#define PORTS 128u
#define MEMORY 4096u

enum {
	CSR0,
	CSR1,
	CSR2,
	CSR3,
	CSR4,
	CSR5,
	CSR6,
	CSR7,
	CSR8,
	CSR9,
	CSR10,
	CSR11,
	CSR12,
	CSR15 = 15
};

/* ---- interrupts ---- */

static u32 interrupt_summary(const struct tulip *t)
{
	u32 on = t->status & t->int_enable;

	return (on & TULIP_INT_NORMAL_SOURCES ? TULIP_INT_NORMAL : 0) |
	       (on & TULIP_INT_SOURCES & ~TULIP_INT_NORMAL_SOURCES ? TULIP_INT_ABNORMAL : 0);
}

void tulip_update(struct tulip *t)
{
	int level = !!(interrupt_summary(t) & t->int_enable);

	if (level == t->level)
		return;
	t->level = level;
	t->ops.set_irq(t->ops.arg, level);
}

static void tell_of_room(struct tulip *t)
{
	if (!t->rx_waits)
		return;
	t->rx_waits = false;
	t->ops.room(t->ops.arg);
}

/* ---- what registers show ---- */

static u32 shown_state(enum tulip_process p, u32 suspended, u32 running)
{
	return p == TULIP_STOPPED ? 0 : p == TULIP_SUSPENDED ? suspended : running;
}

static u32 read_status(const struct tulip *t)
{
	return TULIP_STATUS_ONES | t->status | interrupt_summary(t) |
	       (t->dead ? TULIP_STATUS_MASTER_ABORT : 0) |
	       shown_state(t->rx, 4, 3) << TULIP_STATUS_RX_SHIFT | /* waits for a frame */
	       shown_state(t->tx, 6, 1) << TULIP_STATUS_TX_SHIFT;  /* fetches a descriptor */
}

static u32 read_missed(struct tulip *t)
{
	u32 v = t->missed;

	t->missed = 0;
	return v | 0xe0000000;
}

static u64 timer_tick_ns(const struct tulip *t)
{
	if (!(t->op_mode & TULIP_OP_MII))
		return 204800;
	return t->op_mode & TULIP_OP_10 ? 819200 : 81920;
}

static u32 read_timer(const struct tulip *t)
{
	u64 now, left = 0;

	if (t->timer_ns) {
		now = t->ops.now(t->ops.arg);
		left = now < t->timer_ns ? (t->timer_ns - now) / timer_tick_ns(t) : 0;
	}
	return 0xfffe0000 | (u32)t->timer_again << 16 | (u32)KVMB_MIN(left, 0xffffull);
}

static u32 read_csr(struct tulip *t, u32 csr)
{
	switch (csr) {
	case CSR0:
		return t->bus_mode | TULIP_BUS_ONES;
	case CSR3:
		return t->rx_base;
	case CSR4:
		return t->tx_base;
	case CSR5:
		return read_status(t);
	case CSR6:
		return t->op_mode | TULIP_OP_ONES | tulip_filter_bits(t);
	case CSR7:
		return t->int_enable | TULIP_INT_ONES;
	case CSR8:
		return read_missed(t);
	case CSR9:
		return tulip_serial_read(t);
	case CSR10:
		return t->boot_addr;
	case CSR11:
		return read_timer(t);
	case CSR12: /* pins that nobody drives are low */
		return 0xfffffe00 | (t->pins & t->pins_out);
	case CSR15:
		return t->watchdog | 0xfffffec8;
	default:
		return ~0u;
	}
}

/* ---- what registers do ---- */

static void kick_tx(struct tulip *t)
{
	if (t->tx == TULIP_RUNNING)
		t->ops.kick(t->ops.arg);
}

static void demand_tx(struct tulip *t)
{
	if (t->tx == TULIP_SUSPENDED)
		t->tx = TULIP_RUNNING;
	kick_tx(t);
}

static void demand_rx(struct tulip *t)
{
	if (t->rx == TULIP_SUSPENDED)
		t->rx = TULIP_RUNNING;
}

void tulip_stop_tx(struct tulip *t)
{
	if (t->tx == TULIP_STOPPED)
		return;
	t->tx = t->sending ? TULIP_STOPPING : TULIP_STOPPED;
	if (t->tx == TULIP_STOPPED)
		t->status |= TULIP_INT_TX_STOPPED;
}

static void stop_rx(struct tulip *t)
{
	if (t->rx == TULIP_STOPPED)
		return;
	t->rx = TULIP_STOPPED;
	t->status |= TULIP_INT_RX_STOPPED;
}

static void write_op_mode(struct tulip *t, u32 v)
{
	t->op_mode = v & TULIP_OP_WRITABLE;
	if (!(v & TULIP_OP_RX))
		stop_rx(t);
	else if (t->rx == TULIP_STOPPED && !t->dead)
		t->rx = TULIP_RUNNING;
	if (!(v & TULIP_OP_TX))
		tulip_stop_tx(t);
	else if ((t->tx == TULIP_STOPPED && !t->dead) || t->tx == TULIP_STOPPING)
		t->tx = TULIP_RUNNING;
	kick_tx(t);
}

static void write_timer(struct tulip *t, u32 v)
{
	u64 ns;

	t->timer = (u16)v;
	t->timer_again = v >> 16 & 1;
	ns = t->timer * timer_tick_ns(t);
	t->timer_ns = t->timer ? t->ops.now(t->ops.arg) + KVMB_MAX(ns, TULIP_POLL_NS) : 0;
	t->ops.kick(t->ops.arg);
}

static void write_pins(struct tulip *t, u32 v)
{
	if (v & 0x100)
		t->pins_out = (u8)v;
	else
		t->pins = (u8)v;
}

static void write_bus_mode(struct tulip *t, u32 v)
{
	t->bus_mode = v & TULIP_BUS_WRITABLE;
	if (v & TULIP_BUS_RESET)
		tulip_reset_chip(t);
	t->ops.kick(t->ops.arg); /* automatic polling */
}

static void write_csr(struct tulip *t, u32 csr, u32 v)
{
	switch (csr) {
	case CSR0:
		write_bus_mode(t, v);
		break;
	case CSR1:
		demand_tx(t);
		break;
	case CSR2:
		demand_rx(t);
		break;
	case CSR3:
		t->rx_base = t->rx_at = v & ~3u;
		break;
	case CSR4:
		t->tx_base = t->tx_at = v & ~3u;
		t->epoch++;
		kick_tx(t);
		break;
	case CSR5:
		t->status &= ~v;
		break;
	case CSR6:
		write_op_mode(t, v);
		break;
	case CSR7:
		t->int_enable = v & TULIP_INT_ALL;
		break;
	case CSR9:
		tulip_serial_write(t, v);
		break;
	case CSR10:
		t->boot_addr = v;
		break;
	case CSR11:
		write_timer(t, v);
		break;
	case CSR12:
		write_pins(t, v);
		break;
	case CSR15:
		t->watchdog = v & TULIP_WATCHDOG_WRITABLE;
		break;
	}
}

/* The registers are longwords, eight bytes apart: others are not written, and read as a part. */
static void csr_access(void *dev, u32 offset, u32 size, bool write, u64 *val)
{
	struct tulip *t = dev;
	bool whole = !(offset & 7) && size >= 4, there = offset < PORTS && !(offset & 4);
	u32 v = ~0u;

	if (!there || (write && !whole)) {
		if (!write)
			*val = ~0ull;
		return;
	}
	pthread_mutex_lock(&t->lock);
	if (write)
		write_csr(t, offset / 8, (u32)*val);
	else
		v = read_csr(t, offset / 8);
	tulip_update(t);
	if (write)
		tell_of_room(t);
	pthread_mutex_unlock(&t->lock);
	if (!write)
		*val = (~0ull << 32 | v) >> (offset & 3) * 8;
}

static void boot_rom_access(void *dev, u32 offset, u32 size, bool write, u64 *val)
{
	struct tulip *t = dev;
	u32 end = t->func.bars[PCI_ROM].size;

	if (!write && offset < end) {
		*val = ~0ull;
		memcpy(val, t->boot_rom + offset, KVMB_MIN(size, end - offset));
	}
}

/* ---- time ---- */

void tulip_tick(struct tulip *t, u64 now)
{
	u64 ns = t->timer * timer_tick_ns(t);

	if (!t->timer_ns || now < t->timer_ns)
		return;
	t->timer_ns = t->timer_again && t->timer ? now + KVMB_MAX(ns, TULIP_POLL_NS) : 0;
	t->status |= TULIP_INT_TIMER;
}

void tulip_set_link(struct tulip *t, bool up)
{
	__atomic_store_n(&t->link, up, __ATOMIC_RELEASE);
	if (!up)
		__atomic_store_n(&t->fell, true, __ATOMIC_RELEASE);
	t->ops.kick(t->ops.arg); /* a frame that waits for room does not any more */
}

/* ---- life ---- */

void tulip_reset_chip(struct tulip *t)
{
	t->epoch++;
	t->bus_mode = 0;
	t->rx_base = t->tx_base = t->rx_at = t->tx_at = 0;
	t->op_mode = TULIP_OP_PROMISC | (t->op_mode & TULIP_OP_MII);
	t->int_enable = t->status = t->missed = t->boot_addr = t->watchdog = 0;
	t->timer = 0;
	t->timer_again = false;
	t->timer_ns = 0;
	t->rx = t->tx = TULIP_STOPPED;
	t->dead = false;
	t->filter = (struct tulip_filter){ 0 };
	tulip_serial_reset(t);
}

void tulip_reset(struct tulip *t)
{
	pthread_mutex_lock(&t->lock);
	t->op_mode = 0;
	tulip_reset_chip(t);
	t->pins = t->pins_out = 0;
	tulip_phy_reset(t);
	__atomic_store_n(&t->fell, !tulip_link(t), __ATOMIC_RELEASE); /* of before: none hears it */
	tulip_update(t);
	tell_of_room(t);
	t->ops.kick(t->ops.arg);
	pthread_mutex_unlock(&t->lock);
}

void tulip_loaded(struct tulip *t)
{
	pthread_mutex_lock(&t->lock);
	tulip_update(t);
	t->ops.kick(t->ops.arg);
	pthread_mutex_unlock(&t->lock);
}

struct pci_func *tulip_func(struct tulip *t)
{
	return &t->func;
}

static void take_boot_rom(struct tulip *t, const struct tulip_spec *spec)
{
	u32 size = 2048;

	if (!spec->rom_len)
		return;
	kvmb_assert(spec->rom_len <= TULIP_MAX_ROM);
	while (size < spec->rom_len)
		size *= 2;
	t->boot_rom = kvmb_xzalloc(size);
	memcpy(t->boot_rom, spec->rom, spec->rom_len);
	t->func.bars[PCI_ROM] = (struct pci_bar){ .size = size, .access = boot_rom_access };
}

const void *tulip_rom(const struct tulip *t, u32 *len)
{
	*len = t->func.bars[PCI_ROM].size;
	return t->boot_rom;
}

void tulip_set_rom(struct tulip *t, const void *rom)
{
	memcpy(t->boot_rom, rom, t->func.bars[PCI_ROM].size);
}

static void init_func(struct tulip *t, const struct tulip_spec *spec)
{
	struct pci_func *f = &t->func;

	f->slot = spec->slot;
	f->number = spec->number;
	f->pin = 1;
	f->dev = t;
	f->bars[0] = (struct pci_bar){ .size = PORTS, .io = true, .access = csr_access };
	f->bars[1] = (struct pci_bar){ .size = MEMORY, .access = csr_access };
	take_boot_rom(t, spec);
	pci_func_init(f, VENDOR_DEC, DEVICE_21140, CLASS_ETHERNET, REVISION_21140A);
	pci_put16(f, 0x06, 0x0280); /* fast back-to-back, medium DEVSEL# */
	pci_put16(f, 0x2c, (u16)(SUBSYSTEM_VENDOR + (spec->index & 3)));
	pci_put16(f, 0x2e, SUBSYSTEM);
	f->config[0x3e] = 0x14; /* least time on the bus that it needs, longest wait for it */
	f->config[0x3f] = 0x28;
	f->can_write[0x0c] = f->can_write[0x0d] = 0xff; /* cache line, latency */
	f->can_write[0x41] = 0xff;			/* the driver's own */
	f->can_write[0x43] = 0xc0;			/* sleep, snooze */
}

struct tulip *tulip_create(const struct tulip_spec *spec, const struct tulip_ops *ops)
{
	struct tulip *t = kvmb_xzalloc(sizeof(*t));

	t->ops = *ops;
	t->gm = spec->gm;
	t->link = true;
	pthread_mutex_init(&t->lock, NULL);
	init_func(t, spec);
	tulip_rom_fill(t, spec->mac);
	tulip_reset_chip(t);
	tulip_phy_reset(t);
	return t;
}

void tulip_destroy(struct tulip *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	free(t->boot_rom);
	free(t);
}
