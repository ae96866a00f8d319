/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The inside of the legacy NIC: tulip.c registers and life, tulip_ring.c frames, tulip_filter.c
 * which frames come in, tulip_rom.c what is behind CSR9, tulip_state.c saved VMs.
 */
#ifndef KVMB_TULIP_PRIV_H
#define KVMB_TULIP_PRIV_H

#include <pthread.h>

#include "host-vsp/gm.h"
#include "machine/dev/pci.h"
#include "machine/dev/tulip.h"

#define TULIP_CRC_LEN 4u
#define TULIP_LIST_MAX 64u     /* descriptors of a frame */
#define TULIP_POLL_NS 1000000u /* shortest pause of the timer and of automatic polling */

/* CSR0, bus mode */
#define TULIP_BUS_RESET 0x1u
#define TULIP_BUS_SKIP(v) ((v) >> 2 & 31) /* longwords between descriptors */
#define TULIP_BUS_POLL(v) ((v) >> 17 & 7) /* automatic polling, 0 = none */
#define TULIP_BUS_DESC_BE 0x00100000u	  /* descriptors are big-endian */
#define TULIP_BUS_WRITABLE 0x01fffffeu
#define TULIP_BUS_ONES 0xfe000000u

/* CSR5, status, and CSR7, interrupt enable */
#define TULIP_INT_TX 0x1u
#define TULIP_INT_TX_STOPPED 0x2u
#define TULIP_INT_TX_NO_DESC 0x4u
#define TULIP_INT_TX_JABBER 0x8u
#define TULIP_INT_RX 0x40u
#define TULIP_INT_RX_NO_DESC 0x80u
#define TULIP_INT_RX_STOPPED 0x100u
#define TULIP_INT_TIMER 0x800u
#define TULIP_INT_FATAL 0x2000u
#define TULIP_INT_SOURCES 0x7fffu
#define TULIP_INT_ABNORMAL 0x8000u
#define TULIP_INT_NORMAL 0x10000u
#define TULIP_INT_NORMAL_SOURCES 0x4845u
#define TULIP_INT_ALL 0x1ffffu
#define TULIP_STATUS_RX_SHIFT 17
#define TULIP_STATUS_TX_SHIFT 20
#define TULIP_STATUS_MASTER_ABORT 0x00800000u
#define TULIP_STATUS_ONES 0xfc000000u
#define TULIP_INT_ONES 0xfffe0000u

/* CSR6, operation mode */
#define TULIP_OP_HASH_ONE 0x1u /* of the last setup frame, read-only, as the next two */
#define TULIP_OP_HASH_ALL 0x4u
#define TULIP_OP_INVERSE 0x10u
#define TULIP_OP_RX 0x2u
#define TULIP_OP_BAD 0x8u
#define TULIP_OP_PROMISC 0x40u
#define TULIP_OP_MULTICAST 0x80u
#define TULIP_OP_LOOP 0xc00u
#define TULIP_OP_TX 0x2000u
#define TULIP_OP_MII 0x00040000u
#define TULIP_OP_10 0x00400000u
#define TULIP_OP_ALL 0x40000000u
#define TULIP_OP_WRITABLE 0xc5eeffeau
#define TULIP_OP_ONES 0x32000000u

/* CSR9, serial ROM and MII */
#define TULIP_SER_CS 0x1u
#define TULIP_SER_CLK 0x2u
#define TULIP_SER_IN 0x4u
#define TULIP_SER_OUT 0x8u
#define TULIP_SER_ROM 0x800u
#define TULIP_SER_MDC 0x10000u
#define TULIP_SER_MDO 0x20000u
#define TULIP_SER_MII_IN 0x40000u
#define TULIP_SER_MDI 0x80000u
#define TULIP_SER_WRITABLE 0x0007fcf7u
#define TULIP_SER_ONES 0xfff00000u

#define TULIP_WATCHDOG_WRITABLE 0x37u /* CSR15 */

/* descriptors */
#define TULIP_DESC_LEN 16u
#define TULIP_OWN 0x80000000u
#define TULIP_CTL_SIZE1(v) ((v)&0x7ff)
#define TULIP_CTL_SIZE2(v) ((v) >> 11 & 0x7ff)
#define TULIP_CTL_CHAINED 0x01000000u
#define TULIP_CTL_END 0x02000000u /* of the ring */
#define TULIP_CTL_FT0 0x00400000u
#define TULIP_CTL_NO_PAD 0x00800000u
#define TULIP_CTL_HAS_CRC 0x04000000u
#define TULIP_CTL_SETUP 0x08000000u
#define TULIP_CTL_FT1 0x10000000u
#define TULIP_CTL_FIRST 0x20000000u
#define TULIP_CTL_LAST 0x40000000u
#define TULIP_CTL_INT 0x80000000u
#define TULIP_TX_SETUP_DONE 0x7fffffffu
#define TULIP_TX_ERROR 0x8000u
#define TULIP_TX_JABBER 0x4000u
#define TULIP_TX_LOST_CARRIER 0x0800u
#define TULIP_RX_FILTERED 0x40000000u
#define TULIP_RX_LENGTH_SHIFT 16
#define TULIP_RX_ERROR 0x8000u
#define TULIP_RX_RUNT 0x0800u
#define TULIP_RX_MULTICAST 0x0400u
#define TULIP_RX_FIRST 0x0200u
#define TULIP_RX_LAST 0x0100u
#define TULIP_RX_TOO_LONG 0x0080u
#define TULIP_RX_ETHERNET 0x0020u /* a type, not a length */

struct tulip_desc { /* a private copy */
	u32 at;	    /* guest physical */
	u32 control;
	u32 addr[2];
};

/*
 * A process of the chip.
 * STOPPED: Operations: CSR6's start bit -> RUNNING, unless a fatal bus error has ended all.
 * RUNNING: it looks for descriptors. Operations: there is none -> SUSPENDED; start bit off ->
 * STOPPED, or STOPPING as long as a frame is in send().
 * SUSPENDED: Operations: poll demand; for receive, the next frame -> RUNNING.
 * STOPPING: transmit only; shown to the guest as running. Operations: send() returns -> STOPPED.
 */
enum tulip_process {
	TULIP_STOPPED,
	TULIP_RUNNING,
	TULIP_SUSPENDED,
	TULIP_STOPPING,
};

enum tulip_filter_kind { /* as a setup frame's descriptor numbers them */
			 TULIP_PERFECT,
			 TULIP_HASH,	 /* and one perfect address */
			 TULIP_INVERSE,	 /* all but these */
			 TULIP_HASH_ALL, /* no perfect address */
};

struct tulip_filter {
	enum tulip_filter_kind kind;
	u8 addr[16][6]; /* addr[0] alone with TULIP_HASH */
	u8 hash[64];	/* 512 bits */
};

enum tulip_rom_mode { TULIP_ROM_COMMAND, TULIP_ROM_READ, TULIP_ROM_DONE };

struct tulip_rom {     /* a 93C46 of 64 words */
	u16 words[64]; /* immutable */
	enum tulip_rom_mode mode;
	u16 in;	 /* start bit, opcode, address so far; 0 = no start bit yet */
	u8 addr; /* of the word that is read */
	u8 left; /* bits of it that are still to come */
	bool out;
};

struct tulip_mii { /* management interface, and the transceiver behind it */
	u8 pos;	   /* bits of a frame so far, 0..32 */
	u32 in;	   /* those behind the start, as far as the host sends them */
	u16 out;   /* of a read: the register; all ones where nobody is */
	bool reading, present;
	bool mdi;
	u16 control, advertise; /* registers 0 and 4 */
};

struct tulip {
	struct pci_func func;
	struct tulip_ops ops;
	const struct kvmb_gm *gm;
	u8 *boot_rom; /* boot_rom[func.bars[PCI_ROM].size], NULL = none */

	/* atomic: who sets the link waits for nobody, and a lock may be held until memory comes */
	bool link;
	bool fell; /* it was down, and the transceiver has not told of it yet */

	pthread_mutex_t lock; /* guards all below */
	u32 bus_mode, rx_base, tx_base, op_mode, int_enable, serial, boot_addr, watchdog;
	u32 status; /* TULIP_INT_SOURCES that are set */
	u32 missed; /* as CSR8 shows it */
	u16 timer;  /* ticks, 0 = off */
	bool timer_again;
	u64 timer_ns;	   /* when it fires, 0 = it does not */
	u8 pins_out, pins; /* general purpose port: which are outputs, and their levels */
	enum tulip_process rx, tx;
	u32 rx_at, tx_at; /* next descriptors */
	bool dead;	  /* a fatal bus error: nothing starts before a reset */
	struct tulip_filter filter;
	struct tulip_rom rom;
	struct tulip_mii mii;
	int level;     /* of the interrupt pin */
	bool rx_waits; /* somebody wants to hear of room */
	bool sending;  /* tulip_work() is in send(), without the lock */
	u32 epoch;     /* rises when what is in send() is not to be given back */

	/* of tulip_work()'s thread */
	struct tulip_desc tx_list[TULIP_LIST_MAX], rx_list[TULIP_LIST_MAX];
	u32 tx_num, rx_num;
	u32 tx_len;
	bool tx_bad; /* no frame can be like that */
	u8 tx_frame[TULIP_MAX_FRAME + TULIP_CRC_LEN], rx_frame[TULIP_MAX_FRAME + TULIP_CRC_LEN];
};

/* tulip.c; all with the lock */
void tulip_update(struct tulip *t);	/* interrupt pin; whoever waits for room */
void tulip_reset_chip(struct tulip *t); /* but for the port that is selected */
void tulip_stop_tx(struct tulip *t);
void tulip_tick(struct tulip *t, u64 now);

static inline bool tulip_link(const struct tulip *t)
{
	return __atomic_load_n(&t->link, __ATOMIC_ACQUIRE);
}

/* tulip_filter.c */
u32 tulip_crc(const void *p, size_t len); /* of Ethernet, not inverted at its end */
void tulip_setup(struct tulip *t, u32 control, const u8 *frame); /* frame[TULIP_SETUP_LEN] */
bool tulip_wants(const struct tulip *t, const u8 *addr);
u32 tulip_filter_bits(const struct tulip *t); /* in CSR6 */

#define TULIP_SETUP_LEN 192u

/* tulip_rom.c */
void tulip_rom_fill(struct tulip *t, const u8 *mac);
void tulip_serial_write(struct tulip *t, u32 v); /* CSR9 */
u32 tulip_serial_read(const struct tulip *t);
void tulip_serial_reset(struct tulip *t);
void tulip_phy_reset(struct tulip *t);

#endif
