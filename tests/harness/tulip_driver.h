/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A board with RAM, a PCI bus and a legacy NIC, and the parts of a driver for that.
 *
 * The bus is the real one; the south bridge behind it is played: whoever includes this has its
 * lines. Registers are reached through port I/O, as Linux, iPXE and Windows do.
 */
#ifndef KVMB_TULIP_DRIVER_H
#define KVMB_TULIP_DRIVER_H

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/util.h"
#include "machine/dev/pci.h"
#include "machine/dev/tulip.h"
#include "machine/irq.h"

#define BOARD_RAM (1u << 20)
#ifndef BOARD_SLOT
#define BOARD_SLOT 10u
#endif
#define BOARD_PORT 0xd000u
#define BOARD_IRQ 11u
#define RX_RING 0x1000u
#define TX_RING 0x2000u
#define SETUP_AT 0x3000u
#define TX_BUF(n) (0x10000u + (n)*0x800u)
#define RX_BUF(n) (0x40000u + (n)*0x800u)
#define RX_NUM 8u
#define TX_NUM 4u

#define DESC_OWN 0x80000000u
#define TX_INT 0x80000000u
#define TX_LAST 0x40000000u
#define TX_FIRST 0x20000000u
#define TX_INVERSE 0x10000000u
#define TX_SETUP 0x08000000u
#define TX_NO_PAD 0x00800000u
#define TX_HASH 0x00400000u
#define DESC_END 0x02000000u
#define DESC_CHAINED 0x01000000u

#define OP_TX 0x2000u
#define OP_RX 0x2u
#define INT_ALL 0x1ebefu /* what Linux enables on a 21140 */

static struct board {
	struct machine m;
	struct tulip *t;
	int level; /* atomic: of BOARD_IRQ */
	/* atomic: who raises it, with the device's lock, stands as if memory did not come */
	bool hold, holds;
	u8 mac[6];
	u32 cur_rx, cur_tx; /* of the driver: next descriptors, never wrapped */
} board = { .mac = { 0x00, 0x15, 0x5d, 0x12, 0x34, 0x56 } };

void irq_set_line(struct machine *m, u32 line, int level)
{
	kvmb_assert(m == &board.m && line == BOARD_IRQ);
	while (__atomic_load_n(&board.hold, __ATOMIC_ACQUIRE)) {
		__atomic_store_n(&board.holds, true, __ATOMIC_RELEASE);
		usleep(100);
	}
	__atomic_store_n(&board.level, level, __ATOMIC_RELEASE);
}

/* ---- ports ---- */

static inline u32 port_in(u32 port, u32 size)
{
	u32 v = 0;

	iobus_access(&board.m.pio, (u16)port, size, false, &v);
	return v;
}

static inline void port_out(u32 port, u32 size, u32 v)
{
	iobus_access(&board.m.pio, (u16)port, size, true, &v);
}

static inline u32 conf_in(u32 reg, u32 size)
{
	port_out(0xcf8, 4, 0x80000000 | BOARD_SLOT << 11 | (reg & 0xfc));
	return port_in(0xcfc + (reg & 3), size);
}

static inline void conf_out(u32 reg, u32 size, u32 v)
{
	port_out(0xcf8, 4, 0x80000000 | BOARD_SLOT << 11 | (reg & 0xfc));
	port_out(0xcfc + (reg & 3), size, v);
}

static inline u32 csr_in(u32 csr)
{
	return port_in(BOARD_PORT + csr * 8, 4);
}

static inline void csr_out(u32 csr, u32 v)
{
	port_out(BOARD_PORT + csr * 8, 4, v);
}

/* ---- the board ---- */

static inline u8 *ram_at(u32 at)
{
	return board.m.gm.regions[0].hva + at;
}

static inline void board_begin(void)
{
	struct kvmb_gm *gm = &board.m.gm;

	memset(&board.m, 0, sizeof(board.m));
	gm->num_regions = 1;
	gm->memfd = memfd_create("ram", MFD_CLOEXEC);
	kvmb_assert(!ftruncate(gm->memfd, BOARD_RAM));
	gm->regions[0] = (struct kvmb_gm_region){
		.size = BOARD_RAM,
		.hva = mmap(NULL, BOARD_RAM, PROT_READ | PROT_WRITE, MAP_SHARED, gm->memfd, 0)
	};
	board.m.pci = pci_create(&board.m);
	board.level = 0;
	board.hold = board.holds = false;
	board.cur_rx = board.cur_tx = 0;
}

/* A NIC is on the bus: its lines lead to BOARD_IRQ, its registers to BOARD_PORT. */
static inline void board_plug(struct tulip *t)
{
	u32 line;

	board.t = t;
	pci_add(board.m.pci, tulip_func(t));
	for (line = 0; line < 4; line++)
		pci_route(board.m.pci, line, BOARD_IRQ);
	conf_out(0x10, 4, BOARD_PORT);
	conf_out(0x04, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static inline void board_end(void)
{
	struct kvmb_gm *gm = &board.m.gm;

	pci_destroy(board.m.pci);
	munmap(gm->regions[0].hva, BOARD_RAM);
	close(gm->memfd);
}

/* ---- rings, as Linux's driver makes them ---- */

static inline volatile u32 *desc_at(u32 at)
{
	return (volatile u32 *)(void *)ram_at(at);
}

static inline volatile u32 *rx_desc(u32 n)
{
	return desc_at(RX_RING + n % RX_NUM * 16);
}

static inline volatile u32 *tx_desc(u32 n)
{
	return desc_at(TX_RING + n % TX_NUM * 16);
}

static inline void put_desc(volatile u32 *d, u32 status, u32 control, u32 addr1, u32 addr2)
{
	d[1] = control;
	d[2] = addr1;
	d[3] = addr2;
	__atomic_store_n(d, status, __ATOMIC_RELEASE);
}

static inline void driver_rings(void)
{
	u32 i;

	for (i = 0; i < RX_NUM; i++)
		put_desc(rx_desc(i), DESC_OWN, 1536 | (i == RX_NUM - 1 ? DESC_END : 0), RX_BUF(i),
			 RX_RING + 16 * (i + 1));
	for (i = 0; i < TX_NUM; i++)
		put_desc(tx_desc(i), 0, 0, 0, TX_RING + 16 * (i + 1));
	board.cur_rx = board.cur_tx = 0;
}

static inline u32 tx_end(void) /* of the ring, if the next descriptor is the last one */
{
	return board.cur_tx % TX_NUM == TX_NUM - 1 ? DESC_END : 0;
}

/* A setup frame of 192 bytes is in memory: queue it. */
static inline void driver_setup(u32 flags)
{
	put_desc(tx_desc(board.cur_tx), DESC_OWN, TX_SETUP | flags | 192 | tx_end(), SETUP_AT, 0);
	board.cur_tx++;
	csr_out(1, 0);
}

static inline void put_address(u32 longword, const u8 *address)
{
	u32 i;

	for (i = 0; i < 6; i++)
		*ram_at(SETUP_AT + longword * 4 + i / 2 * 4 + i % 2) = address[i];
}

/* Ourselves and broadcast, as Linux's driver begins. */
static inline void driver_perfect(void)
{
	memset(ram_at(SETUP_AT), 0xff, 192);
	put_address(45, board.mac);
	driver_setup(0);
}

/* As Linux brings it up, but for the media: queues run, a setup frame is on its way. */
static inline void driver_up(void)
{
	csr_out(6, 0x00040000);
	csr_out(0, 1);
	csr_out(0, 0x01a08000);
	driver_rings();
	csr_out(3, RX_RING);
	csr_out(4, TX_RING);
	driver_perfect();
	csr_out(6, 0x020e0200);
	csr_out(6, 0x020e0200 | OP_TX);
	csr_out(5, INT_ALL);
	csr_out(7, INT_ALL);
	csr_out(6, 0x020e0200 | OP_TX | OP_RX);
	csr_out(2, 0);
}

/* The next frame to send, not queued yet: byte i of its body is i + @seed. */
static inline void driver_fill(u32 len, u8 seed)
{
	u8 *p = ram_at(TX_BUF(board.cur_tx % TX_NUM));
	u32 i;

	memset(p, 0xff, 6);
	memcpy(p + 6, board.mac, 6);
	for (i = 12; i < len; i++)
		p[i] = (u8)(i + seed);
}

static inline void driver_queue(u32 len, u32 flags)
{
	u32 n = board.cur_tx % TX_NUM;

	put_desc(tx_desc(n), DESC_OWN, TX_FIRST | TX_LAST | flags | len | tx_end(), TX_BUF(n), 0);
	board.cur_tx++;
	csr_out(1, 0);
}

static inline void driver_send(u32 len, u8 seed, u32 flags)
{
	driver_fill(len, seed);
	driver_queue(len, flags);
}

/* The next frame that has come, NULL = none; its descriptor goes back at once. */
static inline const u8 *driver_receive(u32 *status)
{
	u32 n = board.cur_rx % RX_NUM;

	*status = __atomic_load_n(rx_desc(n), __ATOMIC_ACQUIRE);
	if (*status & DESC_OWN)
		return NULL;
	__atomic_store_n(rx_desc(n), DESC_OWN, __ATOMIC_RELEASE);
	board.cur_rx++;
	return ram_at(RX_BUF(n));
}

/* The transceiver's status: bit 2 is the link, which tells once that it was lost. */
static inline u32 driver_bmsr(void)
{
	u32 v = 0, i;
	u64 cmd = 0xffffffffull << 14 | 1 << 12 | 2 << 10 | 1 << 5 | 1;

	for (i = 46; i--;) {
		csr_out(9, cmd >> i & 1 ? 0x20000 : 0);
		csr_out(9, (cmd >> i & 1 ? 0x20000 : 0) | 0x10000);
	}
	for (i = 0; i < 18; i++) {
		csr_out(9, 0x40000);
		csr_out(9, 0x50000);
		v = v << 1 | (csr_in(9) >> 19 & 1);
	}
	return v >> 1 & 0xffff;
}

#endif
