// SPDX-License-Identifier: GPL-2.0-only
/* The legacy NIC in saved VMs. What waits in its rings is in the guest's memory. */
#include "machine/dev/tulip_priv.h"

#include "lib/tlv.h"
#include "lib/util.h"

/* Fields of the NIC. Numbers are never used again. */
enum {
	TULIP_F_BUS_MODE = 1, /* CSR0 */
	TULIP_F_RX_BASE = 2,
	TULIP_F_TX_BASE = 3,
	TULIP_F_STATUS = 4, /* sources in CSR5 */
	TULIP_F_OP_MODE = 5,
	TULIP_F_INT_ENABLE = 6,
	TULIP_F_MISSED = 7,
	TULIP_F_SERIAL = 8, /* CSR9 */
	TULIP_F_BOOT_ADDR = 9,
	TULIP_F_TIMER = 10,    /* as written to CSR11 */
	TULIP_F_TIMER_NS = 11, /* until it fires, 0 = it does not */
	TULIP_F_PINS = 12,     /* directions << 8, levels */
	TULIP_F_WATCHDOG = 13,
	TULIP_F_RX = 14, /* enum tulip_process */
	TULIP_F_TX = 15,
	TULIP_F_RX_AT = 16,
	TULIP_F_TX_AT = 17,
	TULIP_F_DEAD = 18,
	TULIP_F_LINK = 19,
	TULIP_F_FILTER = 20, /* enum tulip_filter_kind */
	TULIP_F_ADDRESSES = 21,
	TULIP_F_HASH = 22,
	/* a command to the serial ROM, as far as it has come */
	TULIP_F_ROM_MODE = 23,
	TULIP_F_ROM_IN = 24,
	TULIP_F_ROM_ADDR = 25,
	TULIP_F_ROM_LEFT = 26,
	TULIP_F_ROM_OUT = 27,
	/* one to the transceiver */
	TULIP_F_MII_POS = 28,
	TULIP_F_MII_IN = 29,
	TULIP_F_MII_OUT = 30,
	TULIP_F_MII_FLAGS = 31, /* reading, present, line, was_down */
	TULIP_F_MII_CONTROL = 32,
	TULIP_F_MII_ADVERTISE = 33,
};

#define TIMER_MAX_NS (0xffffull * 819200)

/* ---- saving ---- */

static void save_registers(const struct tulip *t, struct kvmb_tlv_out *o)
{
	u64 now = t->ops.now(t->ops.arg);

	kvmb_tlv_put(o, TULIP_F_BUS_MODE, t->bus_mode);
	kvmb_tlv_put(o, TULIP_F_RX_BASE, t->rx_base);
	kvmb_tlv_put(o, TULIP_F_TX_BASE, t->tx_base);
	kvmb_tlv_put(o, TULIP_F_STATUS, t->status);
	kvmb_tlv_put(o, TULIP_F_OP_MODE, t->op_mode);
	kvmb_tlv_put(o, TULIP_F_INT_ENABLE, t->int_enable);
	kvmb_tlv_put(o, TULIP_F_MISSED, t->missed);
	kvmb_tlv_put(o, TULIP_F_SERIAL, t->serial);
	kvmb_tlv_put(o, TULIP_F_BOOT_ADDR, t->boot_addr);
	kvmb_tlv_put(o, TULIP_F_TIMER, (u32)t->timer_again << 16 | t->timer);
	kvmb_tlv_put(o, TULIP_F_TIMER_NS,
		     !t->timer_ns      ? 0 :
		     now < t->timer_ns ? KVMB_MIN(t->timer_ns - now, TIMER_MAX_NS) :
					 1);
	kvmb_tlv_put(o, TULIP_F_PINS, (u32)t->pins_out << 8 | t->pins);
	kvmb_tlv_put(o, TULIP_F_WATCHDOG, t->watchdog);
}

static void save_rings(const struct tulip *t, struct kvmb_tlv_out *o)
{
	kvmb_tlv_put(o, TULIP_F_RX, t->rx);
	kvmb_tlv_put(o, TULIP_F_TX, t->tx);
	kvmb_tlv_put(o, TULIP_F_RX_AT, t->rx_at);
	kvmb_tlv_put(o, TULIP_F_TX_AT, t->tx_at);
	kvmb_tlv_put(o, TULIP_F_DEAD, t->dead);
	kvmb_tlv_put(o, TULIP_F_LINK, tulip_link(t));
	kvmb_tlv_put(o, TULIP_F_FILTER, t->filter.kind);
	kvmb_tlv_put_bytes(o, TULIP_F_ADDRESSES, t->filter.addr, sizeof(t->filter.addr));
	kvmb_tlv_put_bytes(o, TULIP_F_HASH, t->filter.hash, sizeof(t->filter.hash));
}

static void save_serial(const struct tulip_rom *r, const struct tulip_mii *m, bool fell,
			struct kvmb_tlv_out *o)
{
	kvmb_tlv_put(o, TULIP_F_ROM_MODE, r->mode);
	kvmb_tlv_put(o, TULIP_F_ROM_IN, r->in);
	kvmb_tlv_put(o, TULIP_F_ROM_ADDR, r->addr);
	kvmb_tlv_put(o, TULIP_F_ROM_LEFT, r->left);
	kvmb_tlv_put(o, TULIP_F_ROM_OUT, r->out);
	kvmb_tlv_put(o, TULIP_F_MII_POS, m->pos);
	kvmb_tlv_put(o, TULIP_F_MII_IN, m->in);
	kvmb_tlv_put(o, TULIP_F_MII_OUT, m->out);
	kvmb_tlv_put(o, TULIP_F_MII_FLAGS, m->reading | m->present << 1 | m->mdi << 2 | fell << 3);
	kvmb_tlv_put(o, TULIP_F_MII_CONTROL, m->control);
	kvmb_tlv_put(o, TULIP_F_MII_ADVERTISE, m->advertise);
}

void tulip_save(struct tulip *t, struct kvmb_tlv_out *o)
{
	pthread_mutex_lock(&t->lock);
	kvmb_assert(!t->sending);
	save_registers(t, o);
	save_rings(t, o);
	save_serial(&t->rom, &t->mii, __atomic_load_n(&t->fell, __ATOMIC_ACQUIRE), o);
	pthread_mutex_unlock(&t->lock);
}

/* ---- loading, into a copy ---- */

/* What is set outside of @may cannot have been set by a guest. */
static u32 load_bits(struct kvmb_tlv *group, unsigned int field, u32 may)
{
	u32 v = (u32)kvmb_tlv_get(group, field, ~0u);

	if (v & ~may)
		kvmb_tlv_refuse(group, field, "there are no such bits");
	return v;
}

static void load_registers(struct tulip *n, struct kvmb_tlv *group)
{
	u32 timer, pins;

	n->bus_mode = load_bits(group, TULIP_F_BUS_MODE, TULIP_BUS_WRITABLE);
	n->rx_base = load_bits(group, TULIP_F_RX_BASE, ~3u);
	n->tx_base = load_bits(group, TULIP_F_TX_BASE, ~3u);
	n->status = load_bits(group, TULIP_F_STATUS, TULIP_INT_SOURCES);
	n->op_mode = load_bits(group, TULIP_F_OP_MODE, TULIP_OP_WRITABLE);
	n->int_enable = load_bits(group, TULIP_F_INT_ENABLE, TULIP_INT_ALL);
	n->missed = load_bits(group, TULIP_F_MISSED, 0x1ffff);
	n->serial = load_bits(group, TULIP_F_SERIAL, TULIP_SER_WRITABLE);
	n->boot_addr = load_bits(group, TULIP_F_BOOT_ADDR, ~0u);
	timer = load_bits(group, TULIP_F_TIMER, 0x1ffff);
	n->timer = (u16)timer;
	n->timer_again = timer >> 16;
	n->timer_ns = kvmb_tlv_get(group, TULIP_F_TIMER_NS, TIMER_MAX_NS);
	if (n->timer_ns)
		n->timer_ns += n->ops.now(n->ops.arg);
	pins = load_bits(group, TULIP_F_PINS, 0xffff);
	n->pins_out = (u8)(pins >> 8);
	n->pins = (u8)pins;
	n->watchdog = load_bits(group, TULIP_F_WATCHDOG, TULIP_WATCHDOG_WRITABLE);
}

static void load_rings(struct tulip *n, struct kvmb_tlv *group)
{
	n->rx = (enum tulip_process)kvmb_tlv_get(group, TULIP_F_RX, TULIP_SUSPENDED);
	n->tx = (enum tulip_process)kvmb_tlv_get(group, TULIP_F_TX, TULIP_SUSPENDED);
	n->rx_at = load_bits(group, TULIP_F_RX_AT, ~3u);
	n->tx_at = load_bits(group, TULIP_F_TX_AT, ~3u);
	n->dead = kvmb_tlv_get(group, TULIP_F_DEAD, 1);
	if (n->dead && (n->rx || n->tx))
		kvmb_tlv_refuse(group, TULIP_F_DEAD, "and yet it runs");
	n->link = kvmb_tlv_get(group, TULIP_F_LINK, 1);
	n->filter.kind =
		(enum tulip_filter_kind)kvmb_tlv_get(group, TULIP_F_FILTER, TULIP_HASH_ALL);
	kvmb_tlv_copy(group, TULIP_F_ADDRESSES, n->filter.addr, sizeof(n->filter.addr));
	kvmb_tlv_copy(group, TULIP_F_HASH, n->filter.hash, sizeof(n->filter.hash));
}

static void load_serial(struct tulip_rom *r, struct tulip_mii *m, bool *fell,
			struct kvmb_tlv *group)
{
	u32 flags;

	r->mode = (enum tulip_rom_mode)kvmb_tlv_get(group, TULIP_F_ROM_MODE, TULIP_ROM_DONE);
	r->in = (u16)kvmb_tlv_get(group, TULIP_F_ROM_IN, 0x1ff);
	r->addr = (u8)kvmb_tlv_get(group, TULIP_F_ROM_ADDR, 63);
	r->left = (u8)kvmb_tlv_get(group, TULIP_F_ROM_LEFT, 16);
	r->out = kvmb_tlv_get(group, TULIP_F_ROM_OUT, 1);
	m->pos = (u8)kvmb_tlv_get(group, TULIP_F_MII_POS, 31);
	m->in = (u32)kvmb_tlv_get(group, TULIP_F_MII_IN, ~0u);
	m->out = (u16)kvmb_tlv_get(group, TULIP_F_MII_OUT, 0xffff);
	flags = (u32)kvmb_tlv_get(group, TULIP_F_MII_FLAGS, 15);
	m->reading = flags & 1;
	m->present = flags & 2;
	m->mdi = flags & 4;
	*fell = flags & 8;
	m->control = (u16)kvmb_tlv_get(group, TULIP_F_MII_CONTROL, 0xffff);
	m->advertise = (u16)kvmb_tlv_get(group, TULIP_F_MII_ADVERTISE, 0xffff);
}

static void take_over(struct tulip *t, const struct tulip *n)
{
	t->bus_mode = n->bus_mode;
	t->rx_base = n->rx_base;
	t->tx_base = n->tx_base;
	t->status = n->status;
	t->op_mode = n->op_mode;
	t->int_enable = n->int_enable;
	t->missed = n->missed;
	t->serial = n->serial;
	t->boot_addr = n->boot_addr;
	t->timer = n->timer;
	t->timer_again = n->timer_again;
	t->timer_ns = n->timer_ns;
	t->pins_out = n->pins_out;
	t->pins = n->pins;
	t->watchdog = n->watchdog;
	t->rx = n->rx;
	t->tx = n->tx;
	t->rx_at = n->rx_at;
	t->tx_at = n->tx_at;
	t->dead = n->dead;
	__atomic_store_n(&t->link, n->link, __ATOMIC_RELEASE);
	__atomic_store_n(&t->fell, n->fell, __ATOMIC_RELEASE);
	t->filter = n->filter;
	t->rom = n->rom;
	t->mii = n->mii;
}

int tulip_load(struct tulip *t, struct kvmb_tlv *group)
{
	struct tulip n = { .ops = t->ops, .rom = t->rom };
	int err;

	load_registers(&n, group);
	load_rings(&n, group);
	load_serial(&n.rom, &n.mii, &n.fell, group);
	err = kvmb_tlv_done(group);
	if (err)
		return err;
	pthread_mutex_lock(&t->lock);
	t->epoch++;
	take_over(t, &n);
	pthread_mutex_unlock(&t->lock);
	return 0;
}
