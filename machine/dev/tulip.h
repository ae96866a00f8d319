/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The legacy NIC of a gen1 machine: a DEC 21140A ("tulip"), as Hyper-V's Legacy Network Adapter.
 *
 * DOC: Theory of operation
 *
 * The device has no thread. vCPUs come in through its BARs and never wait: what a poll demand
 * starts is done by tulip_work(), which the NIC's owner calls on a thread of his own when kick()
 * has told him. The same thread brings frames in with tulip_receive().
 *
 * Out: tulip_work() fetches the descriptors of one frame, each once, and copies the frame. send()
 * is called without the device's lock. Only then are the descriptors given back, and the position
 * moves on. So a frame that the network has no room for is still in the guest's ring, nothing of it
 * is here, and whoever stops, resets or saves the device finds it there.
 *
 * In: tulip_receive() first finds descriptors for all of a frame, then fills them. If there are
 * too few, nothing is taken: -EAGAIN, the receive process is suspended, and room() is called when
 * the guest writes any register, because drivers do not say when they have given descriptors back:
 * the chip looks again when the next frame comes. So the owner tries again later as well, and says
 * tulip_missed() if he gives up.
 *
 * The serial ROM has the 21140's format with one medium, an MII transceiver: a DP83840A at address
 * 1, which has agreed on 100 Mb/s full duplex as long as its link is up. A 21140A has no interrupt
 * for its link: drivers ask the transceiver every few seconds.
 *
 * Limits: CSR0's byte order of data buffers is kept, not obeyed (that of descriptors is). The
 * serial ROM is not written. A frame may have 64 descriptors. The timer and automatic polling of
 * the transmit list have a resolution of a millisecond. Power management bits have no effect.
 *
 * Sources: Digital Semiconductor 21140A Hardware Reference Manual (EC-QN7NF-TE), chapters 3
 * (registers) and 4 (descriptors, setup frames); 21X4 Serial ROM Format 4.05; DP83840A data sheet;
 * Microchip 93C46 data sheet; Linux 6.1 drivers/net/ethernet/dec/tulip; iPXE
 * src/drivers/net/tulip.c; ReactOS drivers/network/dd/dc21x4; subsystem ids: the [Intel] section
 * of Windows Vista's dc21x4vm.inf, as quoted in 86Box issue 4081.
 */
#ifndef KVMB_TULIP_H
#define KVMB_TULIP_H

#include "vmbus-core/env.h"

struct kvmb_gm;
struct kvmb_tlv;
struct kvmb_tlv_out;
struct pci_func;
struct tulip;

#define TULIP_MIN_FRAME 60u   /* bytes without checksum: shorter ones are padded */
#define TULIP_MAX_FRAME 1518u /* without checksum, with a VLAN tag */
#define TULIP_NEVER (~0ull)

struct tulip_ops {
	/* The interrupt pin: pci_set_irq(). Any thread, with the device's lock. */
	void (*set_irq)(void *arg, int level);
	/* May it read and write memory? pci_may_master(). Any thread, with the device's lock. */
	bool (*may_master)(void *arg);
	/*
	 * Take one frame out: frame[len], TULIP_MIN_FRAME .. TULIP_MAX_FRAME bytes without its
	 * checksum, valid until send() returns. Return: 0; -EAGAIN: no room, call tulip_work() when
	 * there is some; another -errno: this frame is lost. On tulip_work()'s thread, no lock.
	 */
	int (*send)(void *arg, const void *frame, size_t len);
	/* Have tulip_work() called soon. Any thread, perhaps with the device's lock. */
	void (*kick)(void *arg);
	/* After tulip_receive() had no room: try again. Any thread, with the device's lock. */
	void (*room)(void *arg);
	/* CLOCK_MONOTONIC in ns; the clock of tulip_work(). Any thread, with the device's lock. */
	u64 (*now)(void *arg);
	void *arg;
};

struct tulip_spec {
	u8 slot, number; /* of its PCI function */
	u8 index;	 /* 0..3, of the legacy NICs of a machine: Hyper-V numbers them */
	u8 mac[6];
	const void *rom;	  /* rom[rom_len], copied: a boot ROM, NULL = none */
	u32 rom_len;		  /* bytes, up to TULIP_MAX_ROM */
	const struct kvmb_gm *gm; /* borrowed */
};

#define TULIP_MAX_ROM (1u << 20)

/** tulip_create() - Make a device with its link up; @spec and @ops are copied. Never NULL. */
struct tulip *tulip_create(const struct tulip_spec *spec, const struct tulip_ops *ops);

/** tulip_destroy() - NULL is fine. Its function is on no bus any more; no thread is inside. */
void tulip_destroy(struct tulip *t);

/**
 * tulip_rom() - Its boot ROM, as it is read: bytes[*@len]
 * Return: NULL: it has none. Main thread.
 */
const void *tulip_rom(const struct tulip *t, u32 *len);

/**
 * tulip_set_rom() - Put other content into its boot ROM
 * @rom: of so many bytes as tulip_rom() says
 *
 * Main thread; vCPUs stand.
 */
void tulip_set_rom(struct tulip *t, const void *rom);

/** tulip_func() - Its PCI function, for pci_add(); valid until tulip_destroy(). */
struct pci_func *tulip_func(struct tulip *t);

/**
 * tulip_reset() - Power-on state; the link stays as it was set
 *
 * Context: main thread; vCPUs stand. tulip_work() may be in send(): that frame is out, and nothing
 * else comes of it.
 */
void tulip_reset(struct tulip *t);

/**
 * tulip_work() - Send what waits in the guest's ring; let time pass
 * @t: the device
 *
 * Sends a limited number of frames.
 *
 * Return: the time, as now() tells it, at which to call again; 0: at once, there is more; or
 * TULIP_NEVER.
 * In any case after kick(), and after send() has had no room and has some now.
 * Context: one thread at a time for this, tulip_receive() and tulip_missed().
 * Trust: rings and registers are the guest's, and may change at any time.
 */
u64 tulip_work(struct tulip *t);

/**
 * tulip_receive() - Bring a frame in
 * @t:     the device
 * @frame: frame[len], from the network: hostile
 * @len:   bytes without checksum
 *
 * Return: 0: done, also if nobody wants it or it is too long; -EAGAIN: no descriptors, see above.
 * Context: as tulip_work().
 */
int tulip_receive(struct tulip *t, const void *frame, size_t len);

/** tulip_missed() - A frame was lost for want of descriptors: the guest's counter has it. */
void tulip_missed(struct tulip *t);

/** tulip_set_link() - Plug the cable in or out. Any thread; waits for nobody, calls kick(). */
void tulip_set_link(struct tulip *t, bool up);

/**
 * tulip_save() - All that the guest has set, but its PCI function's registers: a group
 *
 * Context: main thread; vCPUs stand, and so does tulip_work()'s thread.
 */
void tulip_save(struct tulip *t, struct kvmb_tlv_out *o);

/**
 * tulip_load() - What tulip_save() wrote
 * @t:     new
 * @group: hostile
 *
 * The interrupt line stays down, and nobody is kicked, until tulip_loaded().
 *
 * Return: 0; -errno with one line in @group->error: @t is as before. Context: as tulip_save().
 */
int tulip_load(struct tulip *t, struct kvmb_tlv *group);

/** tulip_loaded() - Interrupt controllers and threads are there: go on. Main thread. */
void tulip_loaded(struct tulip *t);

#endif
