// SPDX-License-Identifier: GPL-2.0-only
/*
 * The PCI bus as guests use it: Linux arch/x86/pci/direct.c and drivers/pci/probe.c (how sizes are
 * asked for), SeaBIOS src/fw/pciinit.c (addresses, interrupts).
 */
#include "machine/dev/pci.h"

#include <string.h>

#include "machine/irq.h"
#include "tests/unit/test.h"

static struct machine m;
static struct pci_bus *bus;
static struct pci_func nic, video;
static int level[16];
static u64 moved_to;
static u32 moves, writes, last_offset, last_size;
static u64 last_val;
static u32 written_reg;

void irq_set_line(struct machine *machine, u32 line, int to)
{
	(void)machine;
	level[line] = to;
}

static void access(void *dev, u32 offset, u32 size, bool write, u64 *val)
{
	assert_ptr_equal(dev, &nic);
	last_offset = offset;
	last_size = size;
	writes += write;
	if (write)
		last_val = *val;
	else
		*val = 0x1122334455667788;
}

static void moved(void *dev, u64 base)
{
	assert_ptr_equal(dev, &video);
	moved_to = base;
	moves++;
}

static void written(void *dev, u32 reg)
{
	(void)dev;
	written_reg = reg;
}

static int setup(void **state)
{
	(void)state;
	m = (struct machine){ 0 };
	memset(level, 0, sizeof(level));
	moves = writes = 0;
	moved_to = PCI_NOWHERE;
	bus = pci_create(&m);
	nic = (struct pci_func){ .slot = 3,
				 .pin = 1,
				 .dev = &nic,
				 .written = written,
				 .bars = { { .size = 128, .io = true, .access = access },
					   { .size = 4096, .access = access } } };
	pci_func_init(&nic, 0x1011, 0x0009, 0x020000, 0x20);
	nic.can_write[0x41] = 0x0f;
	pci_add(bus, &nic);
	video = (struct pci_func){
		.slot = 2,
		.dev = &video,
		.bars = { { .size = 1u << 24, .prefetch = true, .moved = moved } }
	};
	pci_func_init(&video, 0x1234, 0x1111, 0x030000, 0);
	pci_add(bus, &video);
	pci_reset(bus);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pci_destroy(bus);
	return 0;
}

static void choose(u32 slot, u32 func, u32 reg)
{
	u32 address = 0x80000000 | slot << 11 | func << 8 | (reg & 0xfc);

	iobus_access(&m.pio, 0xcf8, 4, true, &address);
}

static u32 get(u32 slot, u32 reg, u32 size)
{
	u32 v = 0;

	choose(slot, 0, reg);
	iobus_access(&m.pio, (u16)(0xcfc + (reg & 3)), size, false, &v);
	return v;
}

static void put(u32 slot, u32 reg, u32 size, u32 v)
{
	choose(slot, 0, reg);
	iobus_access(&m.pio, (u16)(0xcfc + (reg & 3)), size, true, &v);
}

static void functions_are_found(void **state)
{
	u32 slot, v;

	(void)state;
	assert_int_equal(get(3, 0, 4), 0x00091011);
	assert_int_equal(get(3, 8, 4), 0x02000020);
	assert_int_equal(get(3, 0x0b, 1), 2);
	assert_int_equal(get(2, 2, 2), 0x1111);
	for (slot = 4; slot < 32; slot++)
		assert_int_equal(get(slot, 0, 4), 0xffffffff);
	choose(3, 1, 0); /* another function, another bus, and nothing chosen */
	iobus_access(&m.pio, 0xcfc, 4, false, &v);
	assert_int_equal(v, 0xffffffff);
	v = 0x80010000 | 3 << 11;
	iobus_access(&m.pio, 0xcf8, 4, true, &v);
	iobus_access(&m.pio, 0xcfc, 4, false, &v);
	assert_int_equal(v, 0xffffffff);
	v = 3 << 11;
	iobus_access(&m.pio, 0xcf8, 4, true, &v);
	iobus_access(&m.pio, 0xcfc, 4, false, &v);
	assert_int_equal(v, 0xffffffff);
}

static void ids_cannot_be_written(void **state)
{
	(void)state;
	put(3, 0, 4, 0);
	put(3, 8, 4, 0);
	put(3, 0x3d, 1, 7);
	assert_int_equal(get(3, 0, 4), 0x00091011);
	assert_int_equal(get(3, 8, 4), 0x02000020);
	assert_int_equal(get(3, 0x3d, 1), 1);
	put(3, 0x40, 4, 0xffffffff);
	assert_int_equal(get(3, 0x40, 4), 0x00000f00);
	assert_int_equal(written_reg, 0x40);
}

static void size_is_asked_for_by_all_ones(void **state)
{
	(void)state;
	put(3, 0x10, 4, 0xffffffff);
	assert_int_equal(get(3, 0x10, 4), 0xffffff81);
	put(3, 0x14, 4, 0xffffffff);
	assert_int_equal(get(3, 0x14, 4), 0xfffff000);
	put(2, 0x10, 4, 0xffffffff);
	assert_int_equal(get(2, 0x10, 4), 0xff000008);
	put(3, 0x18, 4, 0xffffffff); /* there is none */
	assert_int_equal(get(3, 0x18, 4), 0);
	put(3, 0x30, 4, 0xffffffff);
	assert_int_equal(get(3, 0x30, 4), 0);
}

static u32 port_in(u16 port)
{
	u32 v = 0;

	iobus_access(&m.pio, port, 4, false, &v);
	return v;
}

static void ports_are_where_the_guest_puts_them(void **state)
{
	u32 v = 0xabcd;

	(void)state;
	put(3, 0x10, 4, 0xc001);
	assert_int_equal(port_in(0xc008), 0xffffffff); /* not enabled */
	put(3, 4, 2, 1);
	assert_int_equal(port_in(0xc008), 0x55667788);
	assert_int_equal(last_offset, 8);
	iobus_access(&m.pio, 0xc07f, 2, true, &v);
	assert_int_equal(last_offset, 0x7f);
	assert_int_equal(last_val, 0xabcd);
	assert_int_equal(port_in(0xc080), 0xffffffff);
	put(3, 0x10, 4, 0xd001);
	assert_int_equal(port_in(0xc008), 0xffffffff);
	assert_int_equal(port_in(0xd000), 0x55667788);
	pci_reset(bus);
	assert_int_equal(port_in(0xd000), 0xffffffff);
	assert_int_equal(get(3, 0x10, 4), 1);
}

static void memory_is_where_the_guest_puts_it(void **state)
{
	u64 v = 0;

	(void)state;
	put(3, 0x14, 4, 0xfebf0000);
	put(3, 4, 2, 2);
	pci_memory(bus, 0xfebf0ff8, 8, false, &v);
	assert_true(v == 0x1122334455667788);
	assert_int_equal(last_offset, 0xff8);
	assert_int_equal(last_size, 8);
	v = 0;
	pci_memory(bus, 0xfebf0004, 2, false, &v);
	assert_int_equal(v, 0x7788);
	pci_memory(bus, 0xfebf1000, 4, false, &v);
	assert_int_equal((u32)v, 0xffffffff);
	assert_int_equal(writes, 0);
	pci_memory(bus, 0xfebf0000, 1, true, &v);
	assert_int_equal(writes, 1);
	assert_int_equal(last_val, 0xff);
}

static void mapped_memory_is_told_of_each_move(void **state)
{
	(void)state;
	assert_int_equal(moves, 0);
	put(2, 0x10, 4, 0xe0000008);
	put(2, 4, 2, 3);
	assert_int_equal(moves, 1);
	assert_true(moved_to == 0xe0000000);
	put(2, 4, 2, 3);
	assert_int_equal(moves, 1);
	put(2, 0x10, 4, 0xffffffff); /* its size, asked for while it is decoded */
	assert_true(moved_to == PCI_NOWHERE);
	put(2, 0x10, 4, 0xe1000008);
	assert_true(moved_to == 0xe1000000);
	pci_reset(bus);
	assert_true(moved_to == PCI_NOWHERE);
}

/* Slot 3, INTA#: line 2 (dev/pci.h), which firmware has sent to 11. */
static void interrupts_follow_their_routes(void **state)
{
	static struct pci_func other;

	(void)state;
	other = (struct pci_func){ .slot = 7, .pin = 1 };
	pci_func_init(&other, 1, 1, 0, 0);
	pci_add(bus, &other);
	pci_set_irq(bus, &nic, 1);
	assert_int_equal(level[11], 0); /* nobody has said where to */
	pci_route(bus, 2, 11);
	assert_int_equal(level[11], 1);
	pci_set_irq(bus, &other, 1); /* shares it */
	pci_set_irq(bus, &nic, 0);
	assert_int_equal(level[11], 1);
	pci_set_irq(bus, &other, 0);
	assert_int_equal(level[11], 0);
	pci_set_irq(bus, &nic, 1);
	pci_route(bus, 2, 5);
	assert_int_equal(level[11], 0);
	assert_int_equal(level[5], 1);
	pci_route(bus, 2, 0x85);
	assert_int_equal(level[5], 0);
	pci_route(bus, 2, 5);
	pci_reset(bus);
	assert_int_equal(level[5], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(functions_are_found),
		T(ids_cannot_be_written),
		T(size_is_asked_for_by_all_ones),
		T(ports_are_where_the_guest_puts_them),
		T(memory_is_where_the_guest_puts_it),
		T(mapped_memory_is_told_of_each_move),
		T(interrupts_follow_their_routes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
