// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is behind CSR9: the serial ROM, and the transceiver's management interface. The guest moves
 * their clocks itself; a bit goes over with each rising edge.
 */
#include "machine/dev/tulip_priv.h"

#define SUBSYSTEM_AT 0
#define ID_CRC_AT 16
#define VERSION_AT 18
#define CONTROLLERS_AT 19
#define ADDRESS_AT 20
#define LEAF_AT 27    /* where the first controller's leaf is, two bytes */
#define OLD_CRC_AT 94 /* of ROMs of 96 bytes */
#define CRC_AT 126
#define ROM_LEN 128

#define ROM_START 0x100u /* where the start bit is when a command is complete */
#define OP_READ 2u

#define MII_START 2u /* bits */
#define MII_COMMAND 14u
#define MII_TURNED 16u
#define MII_FRAME 32u
#define MII_OP_READ 2u
#define MII_OP_WRITE 1u
#define PHY_AT 1u
#define PHY_ID1 0x2000 /* National, DP83840A */
#define PHY_ID2 0x5c01

#define CONTROL_RESET 0x8000
#define CONTROL_AGREE 0x1000 /* auto-negotiation */
#define CONTROL_AGREE_AGAIN 0x0200
#define CONTROL_DEFAULT 0x3100 /* that, 100 Mb/s, full duplex */
#define STATUS_CAN \
	0x7809 /* 100 and 10 Mb/s, full and half duplex, auto-negotiation, more registers */
#define STATUS_AGREED 0x0020
#define STATUS_LINK 0x0004
#define ADVERTISE_ALL 0x01e1
#define PARTNER_ALL 0x41e1 /* it has seen ours */

/* ---- content of the serial ROM ---- */

/* 21140 leaf: autosense, no general purpose pin is an output, one block: MII without sequences. */
static const u8 leaf[] = {
	0x00,	   0x08, /* connection: power-up autosense */
	0x00,		 /* pins */
	1,		 /* blocks */
	0x80 | 12, 1,	 /* extended format, 12 bytes follow; type: 21140 MII */
	0,		 /* transceiver's number, not its address */
	0,	   0,	 /* lengths of the sequences that select and reset it */
	0x00,	   0x78, /* media: 100 and 10 Mb/s, full and half duplex */
	0xe0,	   0x01, /* advertise all of these */
	0x00,	   0x50, /* those with full duplex */
	0x00,	   0x18, /* those with the transmit threshold of 10 Mb/s: bit 22 of CSR6 */
};

/* Over the first 17 bytes but the sum itself; high byte of a word first. */
static u8 id_crc(const u8 *rom)
{
	u8 crc = 0xff;
	u32 i, bit;

	for (i = 0; i < 17; i++) {
		crc ^= rom[i ^ 1];
		for (bit = 0; bit < 8; bit++)
			crc = (u8)(crc << 1 ^ (crc & 0x80 ? 7 : 0));
	}
	return crc;
}

static void put_le16(u8 *p, u32 v)
{
	p[0] = (u8)v;
	p[1] = (u8)(v >> 8);
}

void tulip_rom_fill(struct tulip *t, const u8 *mac)
{
	u8 rom[ROM_LEN] = { 0 };
	u32 i;

	memcpy(rom + SUBSYSTEM_AT, t->func.config + 0x2c, 4);
	rom[ID_CRC_AT] = id_crc(rom);
	rom[VERSION_AT] = 3;
	rom[CONTROLLERS_AT] = 1;
	memcpy(rom + ADDRESS_AT, mac, 6);
	rom[LEAF_AT] = LEAF_AT + 3;
	memcpy(rom + LEAF_AT + 3, leaf, sizeof(leaf));
	put_le16(rom + OLD_CRC_AT, ~tulip_crc(rom, OLD_CRC_AT));
	put_le16(rom + CRC_AT, ~tulip_crc(rom, CRC_AT));
	for (i = 0; i < 64; i++)
		t->rom.words[i] = (u16)(rom[i * 2] | rom[i * 2 + 1] << 8);
}

/* ---- the serial ROM ---- */

static void end_rom_command(struct tulip_rom *r)
{
	r->mode = TULIP_ROM_COMMAND;
	r->in = 0;
	r->addr = r->left = 0;
	r->out = true; /* nobody drives the line */
}

static void begin_rom_command(struct tulip_rom *r)
{
	r->mode = (r->in >> 6 & 3) == OP_READ ? TULIP_ROM_READ : TULIP_ROM_DONE;
	r->addr = r->in & 63;
	r->left = 16;
	r->out = r->mode != TULIP_ROM_READ; /* a zero comes before the word; a write is done */
}

static void clock_rom(struct tulip_rom *r, bool in)
{
	if (r->mode == TULIP_ROM_COMMAND) {
		if (r->in || in)
			r->in = (u16)(r->in << 1 | in);
		if (r->in & ROM_START)
			begin_rom_command(r);
	} else if (r->mode == TULIP_ROM_READ) {
		if (!r->left) { /* the next word, as long as it is selected */
			r->addr = (r->addr + 1) & 63;
			r->left = 16;
		}
		r->out = r->words[r->addr] >> --r->left & 1;
	}
}

/* ---- the transceiver ---- */

static u16 phy_status(struct tulip *t)
{
	/* a link that was lost is told of once */
	bool fell = __atomic_exchange_n(&t->fell, false, __ATOMIC_ACQ_REL), up = tulip_link(t);

	if (!up)
		__atomic_store_n(&t->fell, true, __ATOMIC_RELEASE);
	return (u16)(STATUS_CAN | (up && !fell ? STATUS_LINK : 0) |
		     (up && t->mii.control & CONTROL_AGREE ? STATUS_AGREED : 0));
}

static u16 phy_read(struct tulip *t, u32 reg)
{
	switch (reg) {
	case 0:
		return t->mii.control;
	case 1:
		return phy_status(t);
	case 2:
		return PHY_ID1;
	case 3:
		return PHY_ID2;
	case 4:
		return t->mii.advertise;
	case 5:
		return tulip_link(t) ? PARTNER_ALL : 0;
	case 6:
		return tulip_link(t); /* the partner can negotiate */
	case 25:
		return 0x480 | PHY_AT; /* agreed on full duplex, not on 10 Mb/s */
	default:
		return 0;
	}
}

void tulip_phy_reset(struct tulip *t)
{
	t->mii.control = CONTROL_DEFAULT;
	t->mii.advertise = ADVERTISE_ALL;
}

static void phy_write(struct tulip *t, u32 reg, u16 v)
{
	if (reg == 0 && v & CONTROL_RESET)
		tulip_phy_reset(t);
	else if (reg == 0)
		t->mii.control = v & (u16)~CONTROL_AGREE_AGAIN;
	else if (reg == 4)
		t->mii.advertise = v;
}

/* ---- its management interface ---- */

static void begin_mii_command(struct tulip *t)
{
	struct tulip_mii *m = &t->mii;
	u32 op = m->in >> 10 & 3;

	m->reading = op == MII_OP_READ;
	m->present = (m->in >> 5 & 31) == PHY_AT;
	m->out = m->reading && m->present ? phy_read(t, m->in & 31) : 0xffff;
	if (!m->reading && op != MII_OP_WRITE)
		m->pos = 0; /* still the preamble */
}

/* Behind the command: a read turns the line around, which takes two bits of which one is ours. */
static void clock_mii_data(struct tulip *t, bool bit)
{
	struct tulip_mii *m = &t->mii;

	m->in = m->in << 1 | bit;
	if (m->reading)
		m->mdi = m->pos < MII_TURNED ? !m->present :
			 m->pos < MII_FRAME  ? m->out >> (MII_FRAME - 1 - m->pos) & 1 :
					       true;
	if (m->pos < MII_FRAME)
		return;
	if (!m->reading && m->present)
		phy_write(t, m->in >> 18 & 31, (u16)m->in);
	m->pos = 0;
}

static void clock_mii(struct tulip *t, bool bit)
{
	struct tulip_mii *m = &t->mii;

	if (m->pos < MII_START) { /* a zero, then a one */
		m->mdi = true;
		m->in = 0;
		if (m->pos ? bit : !bit)
			m->pos++;
		return;
	}
	m->pos++;
	if (m->pos > MII_COMMAND) {
		clock_mii_data(t, bit);
		return;
	}
	m->in = m->in << 1 | bit;
	if (m->pos == MII_COMMAND)
		begin_mii_command(t);
}

/* ---- CSR9 ---- */

void tulip_serial_write(struct tulip *t, u32 v)
{
	u32 rises = v & ~t->serial;

	t->serial = v & TULIP_SER_WRITABLE;
	if (!(v & TULIP_SER_ROM) || !(v & TULIP_SER_CS))
		end_rom_command(&t->rom);
	else if (rises & TULIP_SER_CLK)
		clock_rom(&t->rom, v & TULIP_SER_IN);
	if (rises & TULIP_SER_MDC) /* a line that the host does not drive is high */
		clock_mii(t, v & (TULIP_SER_MII_IN | TULIP_SER_MDO));
}

u32 tulip_serial_read(const struct tulip *t)
{
	return TULIP_SER_ONES | t->serial | (t->rom.out ? TULIP_SER_OUT : 0) |
	       (t->mii.mdi ? TULIP_SER_MDI : 0);
}

void tulip_serial_reset(struct tulip *t)
{
	t->serial = 0;
	end_rom_command(&t->rom);
	t->mii.pos = 0;
	t->mii.in = t->mii.out = 0;
	t->mii.reading = t->mii.present = false;
	t->mii.mdi = true;
}
