/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The PCI bus of a gen1 machine: configuration space, BARs, interrupt lines. One bus, no bridges.
 *
 * DOC: Theory of operation
 *
 * A device embeds a struct pci_func for each of its functions, fills it and adds it before the VM
 * runs. The guest moves BARs at any time, from any vCPU. The bus finds the function that an access
 * belongs to under its lock, and calls the device without it; a device has a lock of its own.
 *
 * Interrupt pins go to four lines by slot, as on every board of that time, and the south bridge
 * routes each line to an ISA interrupt (registers 0x60 to 0x63 of the PIIX3's function 0).
 *
 * Sources: PCI Local Bus Specification 3.0, chapters 3.2.2.3.2 (configuration mechanism #1) and 6
 * (configuration space); Intel 82371SB (PIIX3) data sheet, PIRQRC.
 */
#ifndef KVMB_PCI_H
#define KVMB_PCI_H

#include <pthread.h>

#include "vmbus-core/env.h"

struct kvmb_tlv;
struct kvmb_tlv_out;
struct machine;

#define PCI_FUNCS 16u /* most that a bus has */
#define PCI_WINDOWS 2u
#define PCI_ROM 6u /* index of the expansion ROM among BARs */
#define PCI_NOWHERE (~0ull)

/* offsets in configuration space */
#define PCI_COMMAND 0x04u
#define PCI_COMMAND_IO 1u
#define PCI_COMMAND_MEMORY 2u
#define PCI_COMMAND_MASTER 4u

struct pci_bar {
	u32 size; /* bytes, a power of two: ports 4 to 256, memory from 16 on; 0 = there is none */
	bool io;
	bool prefetch; /* memory that has no side effects */
	/*
	 * Registers: @size is 1, 2, 4 or 8 (memory only); a read fills the low bytes of *@val,
	 * which is all-ones before. @offset + @size may reach behind the BAR's end. vCPU threads,
	 * concurrently; no lock of the bus is held. NULL: see moved().
	 */
	void (*access)(void *dev, u32 offset, u32 size, bool write, u64 *val);
	/*
	 * The guest has moved it: its address, PCI_NOWHERE when it is not decoded. For memory
	 * that is mapped into the guest. Called with the bus's lock held: no call to the bus.
	 * NULL: none.
	 */
	void (*moved)(void *dev, u64 base);
};

struct pci_func {
	u8 slot, number; /* 0..31, 0..7 */
	u8 pin;		 /* 0 = no interrupt, 1 = INTA# */
	void *dev;	 /* passed to all callbacks */
	u32 other_id;	 /* device << 16 | vendor: a saved VM may have it under this; 0 = none */
	struct pci_bar bars[PCI_ROM + 1];
	/* After a write to PCI_COMMAND or a register from 0x40 on. As moved(). NULL: none */
	void (*written)(void *dev, u32 reg);
	u8 config[256];	   /* bus's lock; as the guest reads it */
	u8 can_write[256]; /* bits that a guest may change; immutable once the VM runs */
	/* of the bus */
	u64 base[PCI_ROM + 1]; /* bus's lock: where it is decoded, PCI_NOWHERE */
	int level;	       /* line lock */
};

struct pci_bus {
	struct machine *machine;
	pthread_rwlock_t lock;
	pthread_mutex_t line_lock;	   /* a leaf */
	u32 address;			   /* atomic: of port 0xcf8 */
	struct pci_func *funcs[PCI_FUNCS]; /* immutable once the VM runs, as is num */
	u32 num;
	u8 route[4]; /* line lock: ISA interrupt of each line; bit 7: none */
	u32 raised;  /* line lock: bit per ISA interrupt that is up */
	struct pci_window {
		u64 base, size;
		void (*access)(void *dev, u32 offset, u32 size, bool write, u64 *val);
		void *dev;
	} windows[PCI_WINDOWS]; /* of memory outside of BARs, immutable once the VM runs */
	u32 num_windows;
};

/** pci_create() - Make a bus and claim ports 0xcf8 and 0xcfc. Return: never NULL. Main thread. */
struct pci_bus *pci_create(struct machine *m);

/** pci_destroy() - NULL is fine. Functions are their devices'. Main thread; no vCPU runs. */
void pci_destroy(struct pci_bus *b);

/**
 * pci_func_init() - Fill the registers that every function has
 * @f:        its slot, number, pin, dev, bars and callbacks are set
 * @vendor:   id
 * @device:   id
 * @class_code: class << 16 | subclass << 8 | programming interface
 * @revision: id
 */
void pci_func_init(struct pci_func *f, u16 vendor, u16 device, u32 class_code, u8 revision);

/** pci_set_bar() - @f->bars[@bar] has been changed, before the VM runs. */
void pci_set_bar(struct pci_func *f, u32 bar);

/** pci_put16() - Set a register of a function, before the VM runs or in its written(). */
void pci_put16(struct pci_func *f, u32 reg, u16 v);

/** pci_get16() - Read a register of a function. As pci_put16(). */
u16 pci_get16(const struct pci_func *f, u32 reg);

/** pci_add() - Add a function, borrowed for the bus's life. Context: main thread, before vCPUs. */
void pci_add(struct pci_bus *b, struct pci_func *f);

/**
 * pci_claim() - Claim memory outside of BARs, as VGA and flash have it
 * @b:      at most PCI_WINDOWS, which do not overlap
 * @base:   guest physical
 * @size:   bytes
 * @access: as of struct pci_bar
 * @dev:    passed to it
 */
void pci_claim(struct pci_bus *b, u64 base, u64 size,
	       void (*access)(void *dev, u32 offset, u32 size, bool write, u64 *val), void *dev);

/** pci_set_irq() - Raise or lower a function's interrupt. Any thread; any lock but the bus's. */
void pci_set_irq(struct pci_bus *b, struct pci_func *f, int level);

/** pci_may_master() - Has the guest allowed the function to read and write memory? Any thread. */
bool pci_may_master(struct pci_bus *b, const struct pci_func *f);

/** pci_route() - Route line @line (0..3) to ISA interrupt @irq; bit 7: none. Any thread. */
void pci_route(struct pci_bus *b, u32 line, u8 irq);

/** pci_memory() - Serve an access to memory that is no RAM. As iobus_access(). */
void pci_memory(struct pci_bus *b, u64 addr, u32 size, bool write, void *data);

/** pci_ports() - Serve an access to a port that no fixed device has; for struct iobus. */
void pci_ports(void *bus, u16 port, u32 size, bool write, u32 *val);

/** pci_id() - Return: device << 16 | vendor, as the guest reads it now. Nothing runs. */
u32 pci_id(const struct pci_func *f);

/**
 * pci_list() - A number for each function, by place and id: list[PCI_FUNCS]
 *
 * One that may have two ids has the lower one there.
 *
 * Return: how many.
 */
u32 pci_list(const struct pci_bus *b, u64 *list);

/** pci_save() - Configuration space, and which of it is asked for: a group. vCPUs stand. */
void pci_save(struct pci_bus *b, struct kvmb_tlv_out *o);

/**
 * pci_load() - What pci_save() wrote
 * @b:     new, with the same functions; one may get its other_id
 * @group: hostile: of a register only bits are taken that a guest can write
 *
 * BARs are decoded, and moved() and written() called, as if the guest had written them. Interrupt
 * pins are down: each device raises its own.
 *
 * Return: 0; -errno with one line in @group->error: @b is as before. Context: main thread.
 */
int pci_load(struct pci_bus *b, struct kvmb_tlv *group);

/** pci_reset() - Power-on state of the bus: no BAR is decoded, no line is up. vCPUs stand. */
void pci_reset(struct pci_bus *b);

#endif
