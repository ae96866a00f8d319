// SPDX-License-Identifier: GPL-2.0-only
/*
 * The legacy NIC as drivers use it: Linux 6.1 drivers/net/ethernet/dec/tulip, iPXE
 * src/drivers/net/tulip.c, ReactOS drivers/network/dd/dc21x4; and as nobody should.
 */
#include "machine/dev/tulip.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "lib/tlv.h"
#include "tests/harness/tlv_mutate.h"
#include "tests/harness/tulip_driver.h"
#include "tests/unit/test.h"

#define FRAMES 64u

static struct { /* the network */
	u8 frame[FRAMES][2048];
	size_t len[FRAMES];
	u32 num;
	int err;	      /* of send() */
	void (*inside)(void); /* send() calls it */
	u32 kicks, rooms;
	u64 now;
} net;

static void set_irq(void *arg, int level)
{
	(void)arg;
	pci_set_irq(board.m.pci, tulip_func(board.t), level);
}

static bool may_master(void *arg)
{
	(void)arg;
	return pci_may_master(board.m.pci, tulip_func(board.t));
}

static int take_frame(void *arg, const void *frame, size_t len)
{
	(void)arg;
	assert_in_range(len, TULIP_MIN_FRAME, TULIP_MAX_FRAME);
	if (net.inside)
		net.inside();
	if (net.err)
		return net.err;
	assert_in_range(net.num, 0, FRAMES - 1);
	memcpy(net.frame[net.num], frame, len);
	net.len[net.num++] = len;
	return 0;
}

static void kick(void *arg)
{
	(void)arg;
	net.kicks++;
}

static void room(void *arg)
{
	(void)arg;
	net.rooms++;
}

static u64 now(void *arg)
{
	(void)arg;
	return net.now;
}

static const struct tulip_ops ops = { .set_irq = set_irq,
				      .may_master = may_master,
				      .send = take_frame,
				      .kick = kick,
				      .room = room,
				      .now = now };
static const u8 boot_rom[3000] = { 0x55, 0xaa, 6, [2999] = 0x77 };

static struct tulip *new_nic(void)
{
	struct tulip_spec spec = {
		.slot = BOARD_SLOT, .gm = &board.m.gm, .rom = boot_rom, .rom_len = sizeof(boot_rom)
	};

	memcpy(spec.mac, board.mac, 6);
	return tulip_create(&spec, &ops);
}

static int setup(void **state)
{
	(void)state;
	memset(&net, 0, sizeof(net));
	net.now = 1000000000;
	board_begin();
	board_plug(new_nic());
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tulip_destroy(board.t);
	board_end();
	return 0;
}

/* Its thread, as long as there is something to do at once. */
static u64 work(void)
{
	u64 next;
	u32 i = 0;

	do {
		next = tulip_work(board.t);
		assert_in_range(i++, 0, 1000);
	} while (!next);
	return next;
}

static void bring_up(void)
{
	driver_up();
	work();
	assert_int_equal(*tx_desc(0), 0x7fffffff);
	csr_out(5, INT_ALL);
}

/* As the network sends it: to @to, type 0x0800 */
static int arrives(const u8 *to, size_t len, u8 seed)
{
	u8 f[4096];
	size_t i;

	memcpy(f, to, 6);
	for (i = 6; i < len; i++)
		f[i] = (u8)(i * 3 + seed);
	f[12] = 8;
	f[13] = 0;
	return tulip_receive(board.t, f, len);
}

static u32 tx_state(void)
{
	return csr_in(5) >> 20 & 7;
}

static u32 rx_state(void)
{
	return csr_in(5) >> 17 & 7;
}

/* ---- on the bus ---- */

static void tulip_is_found_as_the_nic_of_hyper_v(void **state)
{
	(void)state;
	assert_int_equal(conf_in(0, 4), 0x00091011);
	assert_int_equal(conf_in(8, 4), 0x02000020);
	assert_int_equal(conf_in(0x2c, 4), 0x21140a00);
	assert_int_equal(conf_in(0x3d, 1), 1);
	conf_out(0x10, 4, ~0u);
	assert_int_equal(conf_in(0x10, 4), 0xffffff81);
	conf_out(0x14, 4, ~0u);
	assert_int_equal(conf_in(0x14, 4), 0xfffff000);
	conf_out(0x30, 4, ~0u);
	assert_int_equal(conf_in(0x30, 4), 0xfffff001);
	conf_out(0x10, 4, BOARD_PORT);
	assert_int_equal(csr_in(0), 0xfe000000);
	assert_int_equal(csr_in(5), 0xfc000000);
	assert_int_equal(csr_in(6), 0x32000040);
	assert_int_equal(csr_in(7), 0xfffe0000);
	assert_int_equal(csr_in(8), 0xe0000000);
}

static void tulip_registers_are_in_memory_as_well(void **state)
{
	u32 v = 0x1234567c;
	u64 w = 0;

	(void)state;
	conf_out(0x14, 4, 0xfeb00000);
	pci_memory(board.m.pci, 0xfeb00018, 4, true, &v);
	assert_int_equal(csr_in(3), 0x1234567c);
	pci_memory(board.m.pci, 0xfeb00018, 8, false, &w);
	assert_true(w == 0xffffffff1234567c);
	pci_memory(board.m.pci, 0xfeb00800, 4, false, &v);
	assert_int_equal(v, 0xffffffff);
}

static void tulip_takes_whole_registers_only(void **state)
{
	u32 i, size;

	(void)state;
	csr_out(3, 0x11223344);
	assert_int_equal(port_in(BOARD_PORT + 0x18, 1), 0x44);
	assert_int_equal(port_in(BOARD_PORT + 0x1a, 2), 0x1122);
	assert_int_equal(port_in(BOARD_PORT + 0x1b, 1), 0x11);
	assert_int_equal(port_in(BOARD_PORT + 0x1c, 4), 0xffffffff);
	port_out(BOARD_PORT + 0x18, 2, 0xffff);
	port_out(BOARD_PORT + 0x1a, 4, 0xffffffff);
	assert_int_equal(csr_in(3), 0x11223344);
	for (i = 0; i < 130; i++) { /* nothing happens to whoever tries */
		for (size = 1; size <= 4; size *= 2) {
			port_in(BOARD_PORT + i, size);
			port_out(BOARD_PORT + i, size, 0xa5a5a5a5);
		}
	}
}

static void tulip_shows_its_boot_rom(void **state)
{
	u32 v = 0;

	(void)state;
	conf_out(0x30, 4, 0xfea00001);
	pci_memory(board.m.pci, 0xfea00000, 2, false, &v);
	assert_int_equal(v, 0xaa55);
	pci_memory(board.m.pci, 0xfea00000 + 2999, 1, false, &v);
	assert_int_equal(v & 0xff, 0x77);
	v = 0;
	pci_memory(board.m.pci, 0xfea00000 + 4094, 4, false, &v); /* half of it is there */
	assert_int_equal(v, 0xffff0000);
	pci_memory(board.m.pci, 0xfea00000, 4, true, &v);
	pci_memory(board.m.pci, 0xfea00000, 2, false, &v);
	assert_int_equal(v & 0xffff, 0xaa55);
}

/* ---- the serial ROM ---- */

/* tulip_read_eeprom(): also returns what came while the command went out */
static u32 linux_rom_word(u32 location, u32 addr_len)
{
	u32 cmd = location | 6u << addr_len, v = 0, bit;
	int i;

	csr_out(9, 0x4800);
	csr_out(9, 0x4801);
	for (i = 4 + (int)addr_len; i >= 0; i--) {
		bit = cmd >> i & 1 ? 4 : 0;
		csr_out(9, 0x4801 | bit);
		csr_in(9);
		csr_out(9, 0x4803 | bit);
		v = v << 1 | !!(csr_in(9) & 8);
	}
	csr_out(9, 0x4801);
	for (i = 0; i < 16; i++) {
		csr_out(9, 0x4803);
		v = v << 1 | !!(csr_in(9) & 8);
		csr_out(9, 0x4801);
	}
	csr_out(9, 0x4800);
	return v;
}

static void read_rom(u8 *rom)
{
	u32 i, v;

	for (i = 0; i < 64; i++) {
		v = linux_rom_word(i, 6);
		rom[i * 2] = (u8)v;
		rom[i * 2 + 1] = (u8)(v >> 8);
	}
}

static u32 crc32_of(const u8 *p, u32 len) /* IEEE 802.3, bit by bit, as zlib's */
{
	u32 crc = ~0u, i, bit;

	for (i = 0; i < len; i++)
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ ((crc ^ p[i] >> bit) & 1 ? 0xedb88320u : 0);
	return ~crc;
}

static void tulip_rom_is_as_linux_wants_it(void **state)
{
	u8 rom[128], *p;

	(void)state;
	assert_false(linux_rom_word(0xff, 8) & 0x40000); /* it has six address bits */
	read_rom(rom);
	assert_int_not_equal(memcmp(rom, rom + 16, 8), 0); /* not of the old style */
	assert_memory_equal(rom + 20, board.mac, 6);
	assert_int_equal(rom[19], 1);
	assert_int_equal(rom[126] | rom[127] << 8, crc32_of(rom, 126) & 0xffff);
	assert_int_equal(rom[94] | rom[95] << 8, crc32_of(rom, 94) & 0xffff);
	/* tulip_parse_eeprom() */
	p = rom + rom[27];
	assert_int_equal(p[0] | p[1] << 8, 0x0800); /* autosense */
	assert_int_equal(p[3], 1);
	p += 4;
	assert_int_equal(p[0] & 0x80, 0x80);
	assert_int_equal(p[1], 1);		     /* 21140 MII */
	assert_int_equal((p[0] & 0x3f) + 1, 2 + 11); /* its length */
	assert_int_equal(p[2], 0);		     /* tp->phys[] is indexed with that */
	assert_int_equal(p[3], 0);		     /* no sequences */
	assert_int_equal(p[4], 0);
	assert_int_equal(p[7] | p[8] << 8, 0x01e0); /* advertise */
}

/* An id block's sum is right when the remainder over it with the sum behind it is zero. */
static void tulip_rom_has_a_right_id_block(void **state)
{
	u8 rom[128], crc = 0xff;
	u32 i, bit;

	(void)state;
	read_rom(rom);
	assert_memory_equal(rom, "\x00\x0a\x14\x21", 4);
	for (i = 0; i < 18; i++) {
		for (bit = 0; bit < 8; bit++)
			crc = (u8)(crc << 1 ^ ((crc ^ rom[i ^ 1] << bit) & 0x80 ? 7 : 0));
	}
	assert_int_equal(crc, 0);
}

/* SRomReadSRom(): each bit takes three writes, all words in one selection */
static void windows_shift_out(u32 v, u32 bits)
{
	u32 in;

	while (bits--) {
		in = v >> bits & 1 ? 4 : 0;
		csr_out(9, 0x4801 | in);
		csr_out(9, 0x4803 | in);
		csr_out(9, 0x4801 | in);
	}
}

static u32 windows_shift_in(void)
{
	u32 i, v = 0;

	for (i = 0; i < 16; i++) {
		csr_out(9, 0x4803);
		v = v << 1 | (csr_in(9) >> 3 & 1);
		csr_out(9, 0x4801);
	}
	csr_out(9, 0x4800);
	return v;
}

static void tulip_rom_is_read_as_windows_does(void **state)
{
	u32 i, v;

	(void)state;
	for (i = 0; i < 64; i++) {
		csr_out(9, 0x4801);
		assert_int_equal(csr_in(9) & 8, 8);
		windows_shift_out(6 << 6 | i, 9);
		assert_int_equal(csr_in(9) & 8, 0); /* the dummy bit */
		v = windows_shift_in();
		assert_int_equal(v, linux_rom_word(i, 6) & 0xffff);
	}
}

static void tulip_rom_reads_on_and_is_not_written(void **state)
{
	u32 word[2] = { linux_rom_word(63, 6) & 0xffff, linux_rom_word(0, 6) & 0xffff }, i, v;

	(void)state;
	csr_out(9, 0x4801);
	windows_shift_out(6 << 6 | 63, 9);
	for (v = i = 0; i < 32; i++) {
		csr_out(9, 0x4803);
		v = v << 1 | (csr_in(9) >> 3 & 1);
		csr_out(9, 0x4801);
	}
	assert_int_equal(v, word[0] << 16 | word[1]);
	csr_out(9, 0x4800);
	csr_out(9, 0x4801);
	windows_shift_out(4 << 6 | 0x30, 9); /* writes are allowed */
	csr_out(9, 0x4800);
	csr_out(9, 0x4801);
	windows_shift_out(5 << 6 | 0, 9); /* write word 0 */
	windows_shift_out(0xdead, 16);
	csr_out(9, 0x4800);
	csr_out(9, 0x4801);
	assert_int_equal(csr_in(9) & 8, 8); /* it is ready */
	csr_out(9, 0x4800);
	assert_int_equal(linux_rom_word(0, 6) & 0xffff, word[1]);
}

/* ---- the transceiver ---- */

static void mii_bits(u64 v, u32 bits) /* sendto_mii() of each driver */
{
	while (bits--) {
		csr_out(9, v >> bits & 1 ? 0x20000 : 0);
		csr_out(9, (v >> bits & 1 ? 0x20000 : 0) | 0x10000);
	}
}

/* tulip_mdio_read() */
static u32 linux_mii(u32 phy, u32 reg)
{
	u32 v = 0, i;

	mii_bits(~0ull, 33);
	mii_bits((0xf6u << 10 | phy << 5 | reg) & 0xffff, 16);
	for (i = 0; i < 19; i++) {
		csr_out(9, 0x40000);
		v = v << 1 | !!(csr_in(9) & 0x80000);
		csr_out(9, 0x50000);
	}
	return v >> 1 & 0xffff;
}

/* tulip_mdio_write() */
static void linux_mii_write(u32 phy, u32 reg, u32 v)
{
	mii_bits(~0ull, 33);
	mii_bits(0x50020000u | phy << 23 | reg << 18 | v, 32);
	csr_out(9, 0x40000);
	csr_out(9, 0x50000);
	csr_out(9, 0x40000);
	csr_out(9, 0x50000);
}

/* As Windows: the line's answer to the turn-around counts. Return: -1: nobody is there. */
static int windows_mii(u32 phy, u32 reg)
{
	bool there;
	int v = 0, i;

	mii_bits(~0u, 32);
	mii_bits(1 << 12 | 2 << 10 | phy << 5 | reg, 14);
	csr_out(9, 0x40000);
	csr_out(9, 0x50000);
	there = !(csr_in(9) & 0x80000);
	for (i = 0; i < 16; i++) {
		csr_out(9, 0x40000);
		csr_out(9, 0x50000);
		v = v << 1 | (csr_in(9) >> 19 & 1);
	}
	csr_out(9, 0x40000);
	csr_out(9, 0x50000);
	return there ? v : -1;
}

static void tulip_phy_is_found_at_address_one(void **state)
{
	u32 phy;

	(void)state;
	for (phy = 0; phy < 32; phy++) {
		assert_int_equal(linux_mii(phy, 1), phy == 1 ? 0x782d : 0xffff);
		assert_int_equal(windows_mii(phy, 1), phy == 1 ? 0x782d : -1);
	}
	assert_int_equal(linux_mii(1, 0), 0x3100);
	assert_int_equal(linux_mii(1, 2), 0x2000);
	assert_int_equal(linux_mii(1, 3), 0x5c01);
	assert_int_equal(linux_mii(1, 4), 0x01e1);
	assert_int_equal(linux_mii(1, 5) & 0x0100, 0x0100); /* the partner can do 100 full duplex */
}

static void tulip_phy_is_set_up(void **state)
{
	(void)state;
	linux_mii_write(1, 4, 0x0101);
	linux_mii_write(2, 4, 0xffff); /* somebody else */
	assert_int_equal(linux_mii(1, 4), 0x0101);
	linux_mii_write(1, 0, 0x1200); /* negotiate again: done at once */
	assert_int_equal(linux_mii(1, 0), 0x1000);
	assert_int_equal(linux_mii(1, 1) & 0x20, 0x20);
	linux_mii_write(1, 1, 0);
	linux_mii_write(1, 0, 0x2100);
	assert_int_equal(linux_mii(1, 1) & 0x24, 0x04); /* not negotiated, but there is a link */
	linux_mii_write(1, 0, 0x8000);
	assert_int_equal(linux_mii(1, 0), 0x3100);
	assert_int_equal(linux_mii(1, 4), 0x01e1);
	mii_bits(0x5555, 13); /* half a command: the next one begins anew */
	assert_int_equal(linux_mii(1, 2), 0x2000);
}

static void tulip_phy_tells_of_the_link(void **state)
{
	(void)state;
	bring_up();
	tulip_set_link(board.t, false);
	assert_int_equal(linux_mii(1, 1), 0x7809);
	assert_int_equal(linux_mii(1, 5), 0);
	driver_send(100, 0, 0); /* as on a wire that leads nowhere */
	work();
	assert_int_equal(net.num, 0);
	assert_int_equal(*tx_desc(1), 0);
	assert_int_equal(arrives(board.mac, 100, 0), 0);
	assert_int_equal(*rx_desc(0), DESC_OWN);
	tulip_set_link(board.t, true);
	assert_int_equal(linux_mii(1, 1) & 4, 0); /* it has been down */
	assert_int_equal(linux_mii(1, 1) & 4, 4);
	arrives(board.mac, 100, 0);
	assert_int_equal(*rx_desc(0) & DESC_OWN, 0);
}

/* ---- processes and interrupts ---- */

static void tulip_comes_up_as_with_linux(void **state)
{
	(void)state;
	driver_up();
	assert_true(net.kicks);
	assert_int_equal(tx_state(), 1);
	assert_int_equal(rx_state(), 3);
	assert_int_equal(work() == TULIP_NEVER, 1);
	assert_int_equal(*tx_desc(0), 0x7fffffff);
	assert_int_equal(net.num, 0);
	assert_int_equal(tx_state(), 6);
	assert_int_equal(csr_in(6) & 0x15, 0);		/* perfect filtering */
	assert_int_equal(csr_in(5) & 0x1ffff, 0x10004); /* no further descriptor */
	assert_int_equal(board.level, 1);
	csr_out(5, csr_in(5) & 0x1ff3f);
	assert_int_equal(board.level, 0);
	assert_int_equal(csr_in(5) & 0x1ffff, 0);
}

static void tulip_interrupts_are_masked_and_summed(void **state)
{
	(void)state;
	driver_up();
	csr_out(7, 0);
	work();
	assert_int_equal(csr_in(5) & 0x1ffff, 4); /* the summary is of what is enabled */
	assert_int_equal(board.level, 0);
	csr_out(7, 0x4);
	assert_int_equal(csr_in(5) & 0x1ffff, 0x10004);
	assert_int_equal(board.level, 0);
	csr_out(7, 0x10004);
	assert_int_equal(board.level, 1);
	csr_out(6, 0x020e0200 | OP_TX); /* the receiver stops: abnormal */
	assert_int_equal(csr_in(5) & 0x1ffff, 0x10104);
	csr_out(5, 4);
	assert_int_equal(board.level, 0);
	csr_out(7, 0x8100);
	assert_int_equal(csr_in(5) & 0x1ffff, 0x8100);
	assert_int_equal(board.level, 1);
	csr_out(0, 1);
	assert_int_equal(board.level, 0);
	assert_int_equal(csr_in(6), 0x32040040); /* the port stays selected */
}

static void tulip_stops_and_goes_on_where_it_was(void **state)
{
	(void)state;
	bring_up();
	driver_send(100, 1, 0);
	work();
	csr_out(6, 0x020e0200);
	assert_int_equal(tx_state(), 0);
	assert_int_equal(rx_state(), 0);
	assert_int_equal(csr_in(5) & 0x102, 0x102); /* what NetBSD and FreeBSD wait for */
	driver_send(100, 2, 0);
	work();
	assert_int_equal(arrives(board.mac, 100, 0), 0); /* into nothing */
	assert_int_equal(net.num, 1);
	csr_out(6, 0x020e0200 | OP_TX | OP_RX);
	work();
	arrives(board.mac, 100, 0);
	assert_int_equal(net.num, 2);
	assert_int_equal(net.frame[1][20], 22);
	assert_int_equal(*rx_desc(0) & DESC_OWN, 0);
	assert_int_equal(*rx_desc(1), DESC_OWN);
}

static void tulip_needs_to_be_allowed_to_master(void **state)
{
	(void)state;
	bring_up();
	conf_out(4, 2, PCI_COMMAND_IO);
	driver_send(100, 1, 0);
	work();
	assert_int_equal(arrives(board.mac, 100, 0), 0);
	assert_int_equal(net.num, 0);
	assert_int_equal(*rx_desc(0), DESC_OWN);
	conf_out(4, 2, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
	csr_out(1, 0);
	work();
	assert_int_equal(net.num, 1);
}

static void tulip_timer_fires(void **state)
{
	(void)state;
	bring_up();
	csr_out(11, 100); /* of 81.92 us */
	assert_true(work() == net.now + 8192000);
	net.now += 4096000;
	assert_int_equal(csr_in(11) & 0x1ffff, 50);
	net.now += 4096000;
	assert_true(work() == TULIP_NEVER);
	assert_int_equal(csr_in(5) & 0x1ffff, 0x10800);
	assert_int_equal(board.level, 1);
	csr_out(5, 0x800);
	csr_out(11, 0x10001); /* again and again, but not thousands of times a second */
	assert_true(work() == net.now + 1000000);
	net.now += 1000000;
	assert_true(work() == net.now + 1000000);
	csr_out(11, 0);
	csr_out(5, 0x800);
	net.now += 10000000;
	assert_true(work() == TULIP_NEVER);
	assert_int_equal(board.level, 0);
}

static void tulip_polls_its_list_if_asked_to(void **state)
{
	(void)state;
	bring_up();
	csr_out(0, 3 << 17);
	assert_true(work() == net.now + 1600000);
	assert_int_equal(csr_in(5) & 4, 0); /* no news for as long as there is nothing */
	put_desc(tx_desc(1), DESC_OWN, TX_FIRST | TX_LAST | 64, TX_BUF(0), 0); /* no demand */
	work();
	assert_int_equal(net.num, 1);
}

static void tulip_general_pins_are_kept(void **state)
{
	(void)state;
	csr_out(12, 0x10f);
	csr_out(12, 0xa5);
	assert_int_equal(csr_in(12), 0xfffffe05);
	csr_out(15, 0xffffffff);
	assert_int_equal(csr_in(15) & 0x37, 0x37);
}

/* ---- out ---- */

static void tulip_sends_a_frame(void **state)
{
	u32 i;

	(void)state;
	bring_up();
	driver_send(1514, 7, TX_INT);
	work();
	assert_int_equal(net.num, 1);
	assert_int_equal(net.len[0], 1514);
	for (i = 12; i < 1514; i++)
		assert_int_equal(net.frame[0][i], (u8)(i + 7));
	assert_int_equal(*tx_desc(1), 0);
	assert_int_equal(csr_in(5) & 0x1ffff, 0x10005);
	driver_send(20, 8, 0); /* short: padded with zeroes */
	driver_send(1518, 9, 0);
	work();
	assert_int_equal(net.len[1], 60);
	assert_int_equal(net.frame[1][19], 27);
	assert_int_equal(net.frame[1][20], 0);
	assert_int_equal(net.frame[1][59], 0);
	assert_int_equal(net.len[2], 1518);
}

static void tulip_sends_round_and_round(void **state)
{
	u32 i;

	(void)state;
	bring_up();
	for (i = 0; i < 40; i++) {
		driver_send(60 + i, (u8)i, i % 3 ? 0 : TX_INT);
		if (i % 3 == 2) /* up to a full ring */
			work();
	}
	work();
	assert_int_equal(net.num, 40);
	for (i = 0; i < 40; i++) {
		assert_int_equal(net.len[i], 60 + i);
		assert_int_equal(net.frame[i][12], (u8)(12 + i));
	}
}

/* A frame in three chained descriptors, the first two without a second buffer. */
static void tulip_sends_chained_descriptors(void **state)
{
	(void)state;
	bring_up();
	memset(ram_at(0x10000), 1, 100);
	memset(ram_at(0x11001), 2, 100);
	memset(ram_at(0x12000), 3, 100);
	put_desc(desc_at(0x5000), DESC_OWN, DESC_CHAINED | 50, 0x11001, 0x6000);
	put_desc(desc_at(0x6000), DESC_OWN, DESC_CHAINED | TX_LAST | TX_INT | 21, 0x12000, 0x7000);
	put_desc(desc_at(0x7000), 0, 0, 0, 0);
	put_desc(desc_at(0x4000), DESC_OWN, DESC_CHAINED | TX_FIRST | 40, 0x10000, 0x5000);
	csr_out(6, 0x020e0200);
	csr_out(4, 0x4000);
	csr_out(6, 0x020e0200 | OP_TX);
	work();
	assert_int_equal(net.num, 1);
	assert_int_equal(net.len[0], 111);
	assert_int_equal(net.frame[0][39], 1);
	assert_int_equal(net.frame[0][40], 2);
	assert_int_equal(net.frame[0][89], 2);
	assert_int_equal(net.frame[0][90], 3);
	assert_int_equal(*desc_at(0x4000) | *desc_at(0x5000) | *desc_at(0x6000), 0);
	assert_int_equal(csr_in(5) & 1, 1);
}

static void tulip_sends_second_buffers_and_skips(void **state)
{
	(void)state;
	bring_up();
	memset(ram_at(0x10000), 1, 100);
	memset(ram_at(0x11000), 2, 100);
	csr_out(0, 4 << 2); /* four longwords between descriptors */
	csr_out(6, 0x020e0200);
	csr_out(4, 0x4000);
	put_desc(desc_at(0x4000), DESC_OWN, TX_FIRST | 30 << 11 | 40, 0x10000, 0x11000);
	put_desc(desc_at(0x4020), DESC_OWN, TX_LAST | DESC_END | 10 << 11, 0x10000, 0x11000);
	csr_out(6, 0x020e0200 | OP_TX);
	work();
	assert_int_equal(net.num, 1);
	assert_int_equal(net.len[0], 80);
	assert_int_equal(net.frame[0][39], 1);
	assert_int_equal(net.frame[0][40], 2);
	assert_int_equal(net.frame[0][79], 2);
	put_desc(desc_at(0x4000), DESC_OWN, TX_FIRST | TX_LAST | 64, 0x10000, 0); /* it wraps */
	csr_out(1, 0);
	work();
	assert_int_equal(net.num, 2);
}

static void tulip_takes_big_endian_descriptors(void **state)
{
	volatile u32 *d = desc_at(0x4000);

	(void)state;
	bring_up();
	csr_out(0, 0x00100000);
	csr_out(6, 0x020e0200);
	csr_out(4, 0x4000);
	put_desc(d, __builtin_bswap32(DESC_OWN), __builtin_bswap32(TX_FIRST | TX_LAST | 70),
		 __builtin_bswap32(0x10000), 0);
	csr_out(6, 0x020e0200 | OP_TX);
	work();
	assert_int_equal(net.num, 1);
	assert_int_equal(net.len[0], 70);
	assert_int_equal(*d, 0);
}

/* set_rx_mode() puts an empty descriptor before a setup frame: no frame, and no end of the list. */
static void tulip_passes_empty_descriptors(void **state)
{
	(void)state;
	bring_up();
	put_desc(tx_desc(1), DESC_OWN, 0, 0, 0);
	board.cur_tx++;
	driver_perfect();
	work();
	assert_int_equal(net.num, 0);
	assert_int_equal(*tx_desc(1), 0);
	assert_int_equal(*tx_desc(2), 0x7fffffff);
	driver_send(10, 0, 0); /* not even a header */
	work();
	assert_int_equal(net.num, 0);
	assert_int_equal(*tx_desc(3), 0);
	put_desc(tx_desc(4), DESC_OWN, TX_SETUP | 100, SETUP_AT, 0); /* a setup frame has 192 */
	put_address(45, (const u8 *)"\x02\x03\x04\x05\x06\x07");
	csr_out(1, 0);
	work();
	assert_int_equal(*tx_desc(4), 0x7fffffff);
	arrives(board.mac, 100, 0);
	assert_int_equal(*rx_desc(0) & DESC_OWN, 0);
}

static void tulip_waits_for_the_rest_of_a_frame(void **state)
{
	(void)state;
	bring_up();
	put_desc(tx_desc(1), DESC_OWN, TX_FIRST | 60, TX_BUF(1), 0);
	csr_out(1, 0);
	work();
	assert_int_equal(net.num, 0);
	assert_int_equal(tx_state(), 6);
	assert_int_equal(*tx_desc(1), DESC_OWN);
	put_desc(tx_desc(2), DESC_OWN, TX_LAST | 60, TX_BUF(2), 0);
	csr_out(1, 0);
	work();
	assert_int_equal(net.num, 1);
	assert_int_equal(net.len[0], 120);
}

static void tulip_drops_frames_that_cannot_be(void **state)
{
	u32 i;

	(void)state;
	bring_up();
	/* too long */
	put_desc(tx_desc(1), DESC_OWN, TX_FIRST | 1000 << 11 | 1000, TX_BUF(0), TX_BUF(1));
	put_desc(tx_desc(2), DESC_OWN, TX_LAST | TX_INT | 60, TX_BUF(2), 0);
	/* not ended, for another begins */
	put_desc(tx_desc(3), DESC_OWN, TX_FIRST | DESC_END | 60, TX_BUF(3), 0);
	put_desc(tx_desc(4), DESC_OWN, TX_FIRST | TX_LAST | 99, TX_BUF(0), 0);
	csr_out(1, 0);
	work();
	assert_int_equal(*tx_desc(1), 0);
	assert_int_equal(*tx_desc(2), 0xc000);
	assert_int_equal(*tx_desc(3), 0xc000);
	assert_int_equal(*tx_desc(4), 0);
	assert_int_equal(net.num, 1);
	assert_int_equal(net.len[0], 99);
	assert_int_equal(csr_in(5) & 0xd, 0xd);
	/* of more pieces than a frame may have */
	csr_out(6, 0x020e0200);
	csr_out(4, 0x4000);
	for (i = 0; i < 100; i++)
		put_desc(desc_at(0x4000 + i * 16), DESC_OWN,
			 (i ? 0 : TX_FIRST) | (i == 99 ? TX_LAST : 0) | 10, TX_BUF(0), 0);
	put_desc(desc_at(0x4000 + i * 16), DESC_OWN, TX_FIRST | TX_LAST | 88, TX_BUF(0), 0);
	csr_out(6, 0x020e0200 | OP_TX);
	work();
	assert_int_equal(net.num, 2);
	assert_int_equal(net.len[1], 88);
	assert_int_equal(*desc_at(0x4000 + 63 * 16), 0xc000);
}

static void tulip_keeps_a_frame_that_has_no_room(void **state)
{
	(void)state;
	bring_up();
	net.err = -EAGAIN;
	driver_send(100, 1, TX_INT);
	driver_send(101, 2, TX_INT);
	work();
	assert_int_equal(net.num, 0);
	assert_int_equal(*tx_desc(1), DESC_OWN);
	assert_int_equal(tx_state(), 1);
	assert_int_equal(csr_in(5) & 1, 0);
	net.err = 0;
	work();
	assert_int_equal(net.num, 2);
	assert_int_equal(net.len[0], 100);
	net.err = -EPIPE;
	driver_send(102, 3, 0);
	work();
	assert_int_equal(*tx_desc(3), 0x8800);
	net.err = -EAGAIN; /* what waits does not hinder who wants it to stop */
	driver_send(103, 4, 0);
	work();
	csr_out(6, 0x020e0200);
	assert_int_equal(tx_state(), 0);
	net.err = 0;
	work();
	assert_int_equal(net.num, 2);
}

static void stop_inside(void)
{
	net.inside = NULL;
	csr_out(6, 0x020e0200 | OP_RX);
	assert_int_equal(tx_state(), 1); /* until the frame is out */
	assert_int_equal(csr_in(5) & 2, 0);
}

static void reset_inside(void)
{
	net.inside = NULL;
	csr_out(0, 1);
	assert_int_equal(tx_state(), 0);
	memset(ram_at(TX_RING), 0x55, 64); /* it is the guest's */
}

static void restart_inside(void)
{
	net.inside = NULL;
	csr_out(6, 0x020e0200 | OP_RX);
	csr_out(4, 0x4000);
	put_desc(desc_at(0x4000), DESC_OWN, TX_FIRST | TX_LAST | 77, TX_BUF(0), 0);
	csr_out(6, 0x020e0200 | OP_RX | OP_TX);
}

static void tulip_stops_and_resets_amid_a_frame(void **state)
{
	u8 memory[64];

	(void)state;
	bring_up();
	net.inside = stop_inside;
	driver_send(100, 1, 0);
	driver_send(100, 2, 0);
	work();
	assert_int_equal(net.num, 1);
	assert_int_equal(*tx_desc(1), 0);
	assert_int_equal(*tx_desc(2), DESC_OWN);
	assert_int_equal(tx_state(), 0);
	assert_int_equal(csr_in(5) & 2, 2);
	net.inside = restart_inside;
	csr_out(6, 0x020e0200 | OP_RX | OP_TX);
	work();
	assert_int_equal(net.num, 3);
	assert_int_equal(net.len[2], 77);
	assert_int_equal(*desc_at(0x4000), 0);
	bring_up();
	net.inside = reset_inside;
	driver_send(100, 3, 0);
	work();
	memset(memory, 0x55, 64);
	assert_memory_equal(ram_at(TX_RING), memory, 64);
	assert_int_equal(tx_state(), 0);
	bring_up();
	driver_send(100, 4, 0);
	work();
	assert_int_equal(net.num, 5);
}

static void stop_and_move_inside(void)
{
	net.inside = NULL;
	csr_out(6, 0x020e0200 | OP_RX);
	csr_out(4, 0x4000);
}

static void tulip_stops_though_its_list_moves_amid_a_frame(void **state)
{
	struct kvmb_tlv_out o = { 0 };
	struct kvmb_tlv_error e = { 0 };
	struct kvmb_tlv t;
	size_t pos = 0;

	(void)state;
	bring_up();
	net.inside = stop_and_move_inside;
	driver_send(100, 1, 0);
	work();
	assert_int_equal(tx_state(), 0);
	assert_int_equal(csr_in(5) & 2, 2);
	kvmb_tlv_begin(&o, 100, 0, 0);
	tulip_save(board.t, &o);
	kvmb_tlv_end(&o);
	assert_int_equal(kvmb_tlv_next(o.buf, o.len, &pos, &t, &e), 0);
	assert_int_equal(tulip_load(board.t, &t), 0);
	kvmb_tlv_out_fini(&o);
}

static void tulip_loops_back(void **state)
{
	u32 status;

	(void)state;
	bring_up();
	csr_out(6, 0x020e0200 | 0x400 | OP_TX | OP_RX);
	driver_send(100, 1, 0);
	driver_send(40, 2, TX_NO_PAD);
	work();
	assert_int_equal(net.num, 0);
	assert_int_equal(driver_receive(&status)[20], 21);
	assert_int_equal(status >> 16, 104);
	assert_null(driver_receive(&status)); /* runts are not wanted */
	csr_out(6, 0x020e0200 | 0x408 | OP_TX | OP_RX);
	driver_send(40, 2, TX_NO_PAD);
	work();
	assert_non_null(driver_receive(&status));
	assert_int_equal(status, 44 << 16 | 0x8f20 | (status & 0x20));
	arrives(board.mac, 100, 0); /* the wire is not connected */
	assert_null(driver_receive(&status));
}

/* iPXE has one transmit buffer, stops after each frame and waits for it without interrupts. */
static void tulip_works_with_ipxe(void **state)
{
	u32 i, status;

	(void)state;
	csr_out(7, 0);
	csr_out(6, csr_in(6) & ~0x2002u);
	csr_in(8);
	csr_out(6, 0x814c0000);
	csr_out(0, 1);
	csr_out(0, 0x01a08000);
	driver_rings();
	memset(ram_at(SETUP_AT), 0xff, 192);
	put_address(0, board.mac);
	put_desc(tx_desc(0), DESC_OWN, TX_SETUP | 192, SETUP_AT, TX_RING + 16);
	put_desc(tx_desc(1), 0, DESC_END | 1536, 0, TX_RING);
	csr_out(3, RX_RING);
	csr_out(4, TX_RING);
	csr_out(6, 0x020e0200);
	csr_out(6, 0x020e0200 | OP_TX);
	csr_out(1, 0);
	work();
	assert_int_equal(*tx_desc(0), 0x7fffffff);
	csr_out(6, csr_in(6) & ~0xd5u);
	csr_out(6, 0x020e0280 | OP_TX | OP_RX);
	for (i = 0; i < 5; i++) {
		csr_out(6, csr_in(6) & ~OP_TX);
		put_desc(tx_desc(0), DESC_OWN, TX_FIRST | TX_LAST | (60 + i), TX_BUF(0), 0);
		csr_out(4, TX_RING);
		csr_out(6, csr_in(6) | OP_TX);
		csr_out(1, 0);
		work();
		assert_int_equal(*tx_desc(0) & DESC_OWN, 0);
		csr_out(6, csr_in(6) & ~OP_TX);
		arrives(board.mac, 200 + i, (u8)i);
		assert_non_null(driver_receive(&status));
		assert_int_equal((status & 0x3fff0000) >> 16, 204 + i);
		assert_int_equal(status & 0x8000, 0);
	}
	assert_int_equal(net.num, 5);
	assert_int_equal(net.len[4], 64);
}

/* ---- in ---- */

static void tulip_receives_a_frame(void **state)
{
	const u8 *p;
	u32 status, i, crc;

	(void)state;
	bring_up();
	assert_int_equal(arrives(board.mac, 500, 5), 0);
	assert_int_equal(csr_in(5) & 0x1ffff, 0x10040);
	assert_int_equal(board.level, 1);
	p = driver_receive(&status);
	assert_int_equal(status, 504 << 16 | 0x0320); /* first, last, has a type */
	for (i = 14; i < 500; i++)
		assert_int_equal(p[i], (u8)(i * 3 + 5));
	memcpy(&crc, p + 500, 4);
	assert_int_equal(crc, crc32_of(p, 500));
	arrives((const u8 *)"\xff\xff\xff\xff\xff\xff", 30, 0);
	p = driver_receive(&status);
	assert_int_equal(status, 64 << 16 | 0x0720); /* padded; multicast */
	assert_int_equal(p[30] | p[59], 0);
}

static void tulip_receives_round_and_round(void **state)
{
	u32 i, status;

	(void)state;
	bring_up();
	for (i = 0; i < 50; i++) {
		assert_int_equal(arrives(board.mac, 60 + i * 29, (u8)i), 0);
		if (i % RX_NUM != RX_NUM - 1)
			continue;
		while (driver_receive(&status))
			;
	}
	while (driver_receive(&status))
		;
	assert_int_equal(board.cur_rx, 50);
}

static void tulip_knows_how_long_frames_are(void **state)
{
	u32 status;

	(void)state;
	bring_up();
	arrives(board.mac, 1514, 0);
	assert_non_null(driver_receive(&status));
	assert_int_equal(status, 1518 << 16 | 0x0320);
	arrives(board.mac, 1518, 0); /* with a VLAN's tag: as the chip, which says so */
	assert_non_null(driver_receive(&status));
	assert_int_equal(status, 1522 << 16 | 0x83a0);
	assert_int_equal(arrives(board.mac, 1519, 0), 0);
	assert_int_equal(arrives(board.mac, 4000, 0), 0);
	assert_int_equal(arrives(board.mac, 13, 0), 0);
	assert_null(driver_receive(&status));
}

static void tulip_fills_small_and_second_buffers(void **state)
{
	u32 i;

	(void)state;
	bring_up();
	csr_out(6, 0x020e0200);
	csr_out(3, 0x4000);
	put_desc(desc_at(0x4000), DESC_OWN, 64 << 11 | 32, 0x20000, 0x21000);
	put_desc(desc_at(0x4010), DESC_OWN, 128 << 11, 0x22000, 0x23000);
	put_desc(desc_at(0x4020), DESC_OWN, DESC_CHAINED | 2044, 0x24000, 0x4100);
	put_desc(desc_at(0x4100), DESC_OWN, DESC_END | 2044, 0x25000, 0);
	csr_out(6, 0x020e0200 | OP_RX);
	arrives(board.mac, 300, 9);
	assert_int_equal(*desc_at(0x4000), 0x200);
	assert_int_equal(*desc_at(0x4010), 0);
	assert_int_equal(*desc_at(0x4020), 304 << 16 | 0x120);
	for (i = 14; i < 300; i++)
		assert_int_equal(*ram_at(i < 32	 ? 0x20000 + i :
					 i < 96	 ? 0x21000 + i - 32 :
					 i < 224 ? 0x23000 + i - 96 :
						   0x24000 + i - 224),
				 (u8)(i * 3 + 9));
	arrives(board.mac, 100, 0);
	assert_int_equal(*desc_at(0x4100), 104 << 16 | 0x320);
	assert_int_equal(arrives(board.mac, 100, 0), -EAGAIN); /* it has wrapped */
}

static void tulip_tells_when_there_is_no_buffer(void **state)
{
	u32 i, status;

	(void)state;
	bring_up();
	for (i = 0; i < RX_NUM; i++)
		assert_int_equal(arrives(board.mac, 100, 0), 0);
	csr_out(5, 0x40);
	assert_int_equal(net.rooms, 0);
	assert_int_equal(arrives(board.mac, 100, 99), -EAGAIN);
	assert_int_equal(rx_state(), 4);
	assert_int_equal(csr_in(5) & 0x1ffff, 0x8080);
	csr_out(5, 0x80);
	assert_int_equal(net.rooms, 1);
	assert_int_equal(arrives(board.mac, 100, 99), -EAGAIN);
	assert_int_equal(csr_in(5) & 0x80, 0); /* told once */
	tulip_missed(board.t);
	tulip_missed(board.t);
	assert_int_equal(csr_in(8), 0xe0000002);
	assert_int_equal(csr_in(8), 0xe0000000);
	driver_receive(&status); /* refills; Linux makes no demand, and enables interrupts */
	csr_out(7, INT_ALL);
	assert_int_equal(net.rooms, 2);
	assert_int_equal(arrives(board.mac, 100, 99), 0);
	assert_int_equal(rx_state(), 3);
	assert_int_equal(arrives(board.mac, 100, 99), -EAGAIN);
	csr_out(2, 0); /* a demand: it looks again, and tells again */
	assert_int_equal(arrives(board.mac, 100, 99), -EAGAIN);
	assert_int_equal(csr_in(5) & 0x80, 0x80);
}

static void tulip_counts_what_it_missed(void **state)
{
	u32 i;

	(void)state;
	for (i = 0; i < 0x10005; i++)
		tulip_missed(board.t);
	assert_int_equal(csr_in(8), 0xe0010005);
	for (i = 0; i < 0x20001; i++)
		tulip_missed(board.t);
	assert_int_equal(csr_in(8), 0xe0010001);
}

/* ---- filters ---- */

/* Is a frame to @to taken? */
static bool is_taken(const char *to)
{
	u32 status;

	assert_int_equal(arrives((const u8 *)to, 100, 0), 0);
	return driver_receive(&status);
}

#define BROADCAST "\xff\xff\xff\xff\xff\xff"
#define OTHER "\x00\x15\x5d\x12\x34\x57"
#define GROUP "\x01\x00\x5e\x00\x00\xfb"
#define GROUP2 "\x33\x33\x00\x00\x00\x01"

static void new_filter(u32 flags)
{
	driver_setup(flags);
	work();
	assert_int_equal(*tx_desc(board.cur_tx - 1), 0x7fffffff);
}

static void tulip_filters_perfectly(void **state)
{
	(void)state;
	bring_up();
	assert_true(is_taken((const char *)board.mac));
	assert_true(is_taken(BROADCAST));
	assert_false(is_taken(OTHER));
	assert_false(is_taken(GROUP));
	put_address(3, (const u8 *)GROUP);
	new_filter(0);
	assert_true(is_taken(GROUP));
	assert_false(is_taken(GROUP2));
	new_filter(TX_INVERSE);
	assert_int_equal(csr_in(6) & 0x15, 0x10);
	assert_false(is_taken(GROUP));
	assert_false(is_taken((const char *)board.mac));
	assert_true(is_taken(GROUP2));
	assert_true(is_taken(OTHER));
}

static void add_hash(const char *addr)
{
	u32 bit = ~crc32_of((const u8 *)addr, 6) & 511;

	*ram_at(SETUP_AT + bit / 16 * 4 + bit % 16 / 8) |= (u8)(1 << bit % 8);
}

static void tulip_filters_by_hash(void **state)
{
	(void)state;
	bring_up();
	memset(ram_at(SETUP_AT), 0, 192);
	add_hash(GROUP);
	*ram_at(SETUP_AT + 255 / 16 * 4 + 1) |= 0x80; /* broadcast, as Linux has it: bit 255 */
	put_address(39, board.mac);
	new_filter(TX_HASH);
	assert_int_equal(csr_in(6) & 0x15, 1);
	assert_true(is_taken((const char *)board.mac));
	assert_true(is_taken(BROADCAST));
	assert_true(is_taken(GROUP));
	assert_false(is_taken(GROUP2));
	assert_false(is_taken(OTHER));
	add_hash(OTHER);
	new_filter(TX_HASH | TX_INVERSE);
	assert_int_equal(csr_in(6) & 0x15, 5);
	assert_true(is_taken(OTHER));
	assert_false(is_taken((const char *)board.mac));
}

static void tulip_can_take_more_than_its_filter_says(void **state)
{
	u32 status;

	(void)state;
	bring_up();
	csr_out(6, 0x020e0280 | OP_TX | OP_RX);
	assert_true(is_taken(GROUP2));
	assert_true(is_taken(BROADCAST));
	assert_false(is_taken(OTHER));
	csr_out(6, 0x020e0240 | OP_TX | OP_RX);
	assert_true(is_taken(OTHER));
	csr_out(6, 0x420e0200 | OP_TX | OP_RX); /* receive all, and say what was not asked for */
	arrives((const u8 *)OTHER, 100, 0);
	assert_non_null(driver_receive(&status));
	assert_int_equal(status & 0x40000000, 0x40000000);
	arrives(board.mac, 100, 0);
	assert_non_null(driver_receive(&status));
	assert_int_equal(status & 0x40000000, 0);
}

/* ---- guests that mean harm ---- */

/* The chip has seen memory that is not there: it is silent until it is reset. */
static void check_dead(void)
{
	assert_int_equal(csr_in(5) & 0xa000, 0xa000);
	assert_int_equal(csr_in(5) >> 23 & 7, 1);
	assert_int_equal(tx_state(), 0);
	assert_int_equal(rx_state(), 0);
	csr_out(5, ~0u);
	csr_out(6, 0x020e0200 | OP_TX | OP_RX);
	assert_int_equal(tx_state(), 0);
	assert_int_equal(rx_state(), 0);
	assert_int_equal(arrives(board.mac, 100, 0), 0);
	work();
	assert_int_equal(net.num, 0);
	bring_up();
	assert_int_equal(tx_state(), 6);
}

static void restart_at(u32 rx, u32 tx)
{
	csr_out(6, 0x020e0200);
	csr_out(5, ~0u);
	csr_out(3, rx);
	csr_out(4, tx);
	csr_out(6, 0x020e0200 | OP_TX | OP_RX);
}

static void tulip_dies_outside_of_memory(void **state)
{
	static const u32 nowhere[] = { BOARD_RAM, 0xfffffff0, 0xfffffffc, 0x80000000,
				       BOARD_RAM - 3 };
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(nowhere); i++) {
		bring_up();
		restart_at(RX_RING, nowhere[i]);
		work();
		check_dead();
		restart_at(nowhere[i], TX_RING);
		arrives(board.mac, 100, 0);
		check_dead();
		put_desc(desc_at(0x4000), DESC_OWN, TX_FIRST | TX_LAST | 100, nowhere[i], 0);
		restart_at(RX_RING, 0x4000);
		work();
		check_dead();
		put_desc(desc_at(0x4000), DESC_OWN, TX_SETUP | 192, nowhere[i], 0);
		restart_at(RX_RING, 0x4000);
		work();
		check_dead();
		put_desc(desc_at(0x4000), DESC_OWN, 10 << 11 | 96, 0x10000, nowhere[i]);
		restart_at(0x4000, TX_RING);
		arrives(board.mac, 100, 0);
		check_dead();
	}
}

static void tulip_ends_in_lists_that_do_not(void **state)
{
	(void)state;
	bring_up();
	/* a descriptor that follows itself, with and without its frame's end */
	put_desc(desc_at(0x4000), DESC_OWN, DESC_CHAINED | TX_FIRST | TX_LAST | 64, 0x10000,
		 0x4000);
	restart_at(RX_RING, 0x4000);
	work();
	assert_int_equal(net.num, 1);
	put_desc(desc_at(0x4000), DESC_OWN, DESC_CHAINED | TX_FIRST | 64, 0x10000, 0x4000);
	restart_at(RX_RING, 0x4000);
	work();
	assert_int_equal(*desc_at(0x4000), 0xc000);
	put_desc(desc_at(0x4000), DESC_OWN, DESC_CHAINED | TX_FIRST, 0, 0x5000);
	put_desc(desc_at(0x5000), DESC_OWN, DESC_CHAINED, 0, 0x5000);
	restart_at(RX_RING, 0x4000);
	work();
	assert_int_equal(*desc_at(0x4000), 0);
	assert_int_equal(*desc_at(0x5000) & DESC_OWN, 0);
	/* all of memory is descriptors of nothing */
	memset(ram_at(0), 0xff, 0x8000);
	put_desc(desc_at(0x8000), 0, 0, 0, 0);
	restart_at(RX_RING, 0);
	work();
	assert_int_equal(net.num, 1);
	/* buffers without an end, and without room */
	put_desc(desc_at(0x4000), DESC_OWN, DESC_CHAINED | 16, 0x10000, 0x4000);
	restart_at(0x4000, 0x8000);
	assert_int_equal(arrives(board.mac, 100, 0), 0);
	assert_int_equal(*desc_at(0x4000), 0x200); /* of the first of them */
	put_desc(desc_at(0x4000), DESC_OWN, DESC_CHAINED, 0x10000, 0x4000);
	restart_at(0x4000, 0x8000);
	assert_int_equal(arrives(board.mac, 100, 0), 0);
	assert_int_equal(*desc_at(0x4000), DESC_OWN);
	/* a frame lands on its own descriptors */
	put_desc(desc_at(0x4000), DESC_OWN, 0x7ff << 11 | 0x20, 0x4000, 0x4000);
	restart_at(0x4000, 0x8000);
	assert_int_equal(arrives(board.mac, 1500, 0), 0);
	assert_int_equal(*desc_at(0x4000) >> 16, 1504);
}

static bool guest_runs; /* atomic */

/* It takes descriptors back while they are read, and changes what they say. */
static void *flipping_guest(void *arg)
{
	u32 seed = 1, i;

	(void)arg;
	while (__atomic_load_n(&guest_runs, __ATOMIC_RELAXED)) {
		seed = seed * 1664525 + 1013904223;
		i = seed >> 28;
		__atomic_store_n(&desc_at(0x4000)[i], seed & 1 ? seed : ~seed, __ATOMIC_RELAXED);
		__atomic_store_n(&desc_at(0x4000)[i & ~3u], DESC_OWN | seed, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void tulip_survives_descriptors_that_change(void **state)
{
	pthread_t guest;
	u32 i;

	(void)state;
	bring_up();
	guest_runs = true;
	assert_int_equal(pthread_create(&guest, NULL, flipping_guest, NULL), 0);
	for (i = 0; i < 20000; i++) {
		if (!(i & 15)) {
			csr_out(0, 1);
			restart_at(0x4000, 0x4000);
		}
		csr_out(1, 0);
		tulip_work(board.t);
		arrives(board.mac, 60 + i % 1400, 0);
		net.num = 0;
	}
	__atomic_store_n(&guest_runs, false, __ATOMIC_RELAXED);
	pthread_join(guest, NULL);
	csr_out(0, 1);
	bring_up();
}

/* ---- saved VMs ---- */

static void save(struct tulip *t, struct kvmb_tlv_out *o)
{
	kvmb_tlv_begin(o, KVMB_SEC_MACHINE, 0, 0);
	tulip_save(t, o);
	kvmb_tlv_end(o);
}

static struct kvmb_tlv_error load_error;
static struct tulip *load_to;
static size_t load_len;

static int load(u8 *buf)
{
	struct kvmb_tlv t;
	size_t pos = 0;
	int err;

	load_error = (struct kvmb_tlv_error){ 0 };
	tlv_fix_crc(buf, load_len);
	err = kvmb_tlv_next(buf, load_len, &pos, &t, &load_error);
	if (!err)
		err = tulip_load(load_to, &t);
	free(buf);
	return err;
}

/* A state in which nothing is as after power-on. */
static void make_state(void)
{
	bring_up();
	csr_out(0, 0x01a08010);
	new_filter(TX_HASH);
	csr_out(10, 0x1234);
	csr_out(12, 0x1f0);
	csr_out(12, 0xff);
	csr_out(15, 0x31);
	csr_out(11, 0x10400);
	tulip_missed(board.t);
	tulip_set_link(board.t, false);
	tulip_set_link(board.t, true);
	linux_mii_write(1, 4, 0x0181);
	csr_out(9, 0x4801);
	windows_shift_out(6 << 6 | 10, 9); /* amid a read of the serial ROM */
	csr_out(9, 0x4803);
}

static void tulip_goes_on_after_it_was_saved(void **state)
{
	struct kvmb_tlv_out o = { 0 }, again = { 0 };
	struct tulip *first = board.t;

	(void)state;
	make_state();
	assert_int_equal(board.level, 1);
	save(first, &o);
	load_len = o.len;
	load_to = new_nic();
	net.kicks = 0;
	assert_int_equal(load(tlv_copy(&o)), 0);
	assert_int_equal(net.kicks, 0);
	save(load_to, &again);
	assert_int_equal(o.len, again.len);
	assert_memory_equal(o.buf, again.buf, o.len);
	/* the board has this one now */
	board_end();
	board_begin();
	board_plug(load_to);
	tulip_loaded(load_to);
	assert_int_equal(board.level, 1);
	assert_int_equal(net.kicks, 1);
	assert_int_equal(csr_in(8), 0xe0000001);
	assert_int_equal(csr_in(12), 0xfffffef0);
	assert_int_equal(csr_in(6) & 0x15, 1);
	tulip_destroy(first);
	kvmb_tlv_out_fini(&o);
	kvmb_tlv_out_fini(&again);
}

static bool no_groups(uint32_t path)
{
	(void)path;
	return false;
}

static void tulip_refuses_states_that_cannot_be(void **state)
{
	static const struct tlv_row rows[] = {
		{ 1, 0, 1, "no such bits" },	  /* in reset */
		{ 2, 0, 0x1001, "no such bits" }, /* rings are aligned */
		{ 4, 0, 0x8000, "no such bits" }, /* summaries are not kept */
		{ 6, 0, 0x20000, "no such bits" },
		{ 14, 0, 3, "" }, /* receive has no such state */
		{ 15, 0, 3, "" }, /* nothing is in send() */
		{ 16, 0, 2, "no such bits" },
		{ 18, 0, 1, "runs" },
		{ 20, 0, 4, "" },
		{ 24, 0, 0x200, "" },
		{ 25, 0, 64, "" },
		{ 26, 0, 17, "" },
		{ 28, 0, 32, "" },
	};
	static struct tlv_spots spots;
	struct kvmb_tlv_out o = { 0 };

	(void)state;
	make_state();
	save(board.t, &o);
	load_len = o.len;
	spots.num = 0;
	tlv_find_spots(o.buf, TLV_HEADER, o.len, 0, no_groups, &spots);
	load_to = board.t;
	tlv_refuse_each(&o, &spots, load, &load_error, rows, ARRAY_SIZE(rows));
	tlv_spoil_each(&o, &spots, load);
	tulip_loaded(board.t);
	work();
	kvmb_tlv_out_fini(&o);
}

static void tulip_is_new_after_a_reset(void **state)
{
	struct kvmb_tlv_out o = { 0 }, again = { 0 };

	(void)state;
	save(board.t, &o);
	make_state();
	linux_mii(1, 1); /* the link was down, and that is not forgotten */
	assert_int_equal(board.level, 1);
	tulip_reset(board.t);
	assert_int_equal(board.level, 0);
	save(board.t, &again);
	assert_int_equal(o.len, again.len);
	assert_memory_equal(o.buf, again.buf, o.len);
	kvmb_tlv_out_fini(&o);
	kvmb_tlv_out_fini(&again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(tulip_is_found_as_the_nic_of_hyper_v),
		T(tulip_registers_are_in_memory_as_well),
		T(tulip_takes_whole_registers_only),
		T(tulip_shows_its_boot_rom),
		T(tulip_rom_is_as_linux_wants_it),
		T(tulip_rom_has_a_right_id_block),
		T(tulip_rom_is_read_as_windows_does),
		T(tulip_rom_reads_on_and_is_not_written),
		T(tulip_phy_is_found_at_address_one),
		T(tulip_phy_is_set_up),
		T(tulip_phy_tells_of_the_link),
		T(tulip_comes_up_as_with_linux),
		T(tulip_interrupts_are_masked_and_summed),
		T(tulip_stops_and_goes_on_where_it_was),
		T(tulip_needs_to_be_allowed_to_master),
		T(tulip_timer_fires),
		T(tulip_polls_its_list_if_asked_to),
		T(tulip_general_pins_are_kept),
		T(tulip_sends_a_frame),
		T(tulip_sends_round_and_round),
		T(tulip_sends_chained_descriptors),
		T(tulip_sends_second_buffers_and_skips),
		T(tulip_takes_big_endian_descriptors),
		T(tulip_passes_empty_descriptors),
		T(tulip_waits_for_the_rest_of_a_frame),
		T(tulip_drops_frames_that_cannot_be),
		T(tulip_keeps_a_frame_that_has_no_room),
		T(tulip_stops_and_resets_amid_a_frame),
		T(tulip_stops_though_its_list_moves_amid_a_frame),
		T(tulip_loops_back),
		T(tulip_works_with_ipxe),
		T(tulip_receives_a_frame),
		T(tulip_receives_round_and_round),
		T(tulip_knows_how_long_frames_are),
		T(tulip_fills_small_and_second_buffers),
		T(tulip_tells_when_there_is_no_buffer),
		T(tulip_counts_what_it_missed),
		T(tulip_filters_perfectly),
		T(tulip_filters_by_hash),
		T(tulip_can_take_more_than_its_filter_says),
		T(tulip_dies_outside_of_memory),
		T(tulip_ends_in_lists_that_do_not),
		T(tulip_survives_descriptors_that_change),
		T(tulip_goes_on_after_it_was_saved),
		T(tulip_refuses_states_that_cannot_be),
		T(tulip_is_new_after_a_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
