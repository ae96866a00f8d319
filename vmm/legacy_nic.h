/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A legacy NIC between a guest's driver and a backend: machine/dev/tulip.h with a thread.
 *
 * DOC: Theory of operation
 *
 * One thread does all that touches the backend: it sends what is in the guest's ring, and brings
 * in what the backend has. It sleeps on the backend's descriptor, and on kicks of vCPUs and of the
 * main thread. While it stands, the main thread may save the device.
 *
 * The backend belongs to the NIC's synthetic twin (host-vsp/net/net.h), which lends it:
 * legacy_nic_use() and legacy_nic_let_go(). A lock is held around each call of the backend, and
 * around nothing else. No such call waits, and none touches guest memory, since frames are copies;
 * so who takes the backend away waits for one system call, and when legacy_nic_let_go() returns
 * this side has no hand on it. Its guest sees the cable unplugged, and the thread goes on: the
 * guest's driver may be stopped, started and reset at any time.
 *
 * The guest's driver knows neither checksum offload nor long frames. So the backend is told that
 * the guest takes none: a tap's kernel then computes checksums and cuts frames before it hands them
 * over, and what we send has a virtio-net header of zeroes. A frame that says all the same that its
 * checksum is missing gets it here; one that is still to be segmented, or is longer than
 * TULIP_MAX_FRAME, is dropped. Only a backend's first queue is used.
 *
 * A frame that finds no descriptor is kept and tried again, when the guest writes any register and
 * every few milliseconds, and nothing is read behind it: the network's own queue is longer than any
 * that we would have. After a tenth of a second the frame is lost, and the guest's counter has it.
 * In the other direction frames wait in the guest's ring while the backend is full, a second at
 * most: a setup frame may be behind them.
 *
 * A backend that has ended is let go of, and its owner is told; he lends it again when it is back.
 *
 * On an access VLAN frames get their tag on the way out and lose it on the way in. A frame that the
 * guest has tagged is dropped, and so is one that is of another VLAN or of none.
 */
#ifndef KVMB_LEGACY_NIC_H
#define KVMB_LEGACY_NIC_H

#include "backend/net/backend.h"
#include "vmbus-core/env.h"

struct kvmb_gm;
struct kvmb_tlv;
struct kvmb_tlv_out;
struct legacy_nic;
struct pci_bus;

struct legacy_nic_spec {
	u8 slot, number; /* of its PCI function */
	u8 index;	 /* 0..3, among the VM's legacy NICs: named "legacy<index>" */
	u8 mac[6];
	bool mac_spoof;		  /* the guest may send from any address */
	const void *rom;	  /* rom[rom_len], a boot ROM, copied; NULL = none */
	u32 rom_len;		  /* bytes, up to TULIP_MAX_ROM */
	u16 vlan;		  /* access VLAN, 0 = none */
	u64 rate;		  /* bytes per second in each direction, 0 = no limit */
	/* borrowed, and not used before legacy_nic_use() */
	struct kvmb_net_backend *backend;
	/* It has ended. On any thread, with the lock of the backend: no call to here. */
	void (*lost)(void *arg);
	void *arg;		  /* of lost() */
	struct pci_bus *pci;	  /* borrowed */
	const struct kvmb_gm *gm; /* borrowed */
};

struct legacy_nic_stats {
	u64 tx_frames, tx_bytes; /* taken by the backend */
	u64 rx_frames, rx_bytes; /* taken by the device, or not wanted by its filter */
	u64 tx_dropped; /* the backend was full for too long, is gone, or refused it; a tag */
	u64 tx_spoofed;		 /* from an address that is not the NIC's */
	u64 rx_missed;		 /* there was no descriptor for too long */
	u64 rx_dropped;		 /* too long, offload marks that make no sense, another VLAN */
};

/**
 * legacy_nic_create() - Make a NIC and put it on the bus
 * @spec: copied
 *
 * legacy_nic_use() or legacy_nic_let_go() is due before the VM runs.
 *
 * Return: never NULL. Context: main thread, as for all functions here that do not say otherwise;
 * before the VM runs.
 */
struct legacy_nic *legacy_nic_create(const struct legacy_nic_spec *spec);

/** legacy_nic_start() - Start its thread: frames move from now on. Return: 0 or -errno. */
int legacy_nic_start(struct legacy_nic *n);

/**
 * legacy_nic_destroy() - End the thread, free all; NULL is fine
 *
 * No vCPU runs. Before pci_destroy(): its thread raises an interrupt line.
 */
void legacy_nic_destroy(struct legacy_nic *n);

/** legacy_nic_reset() - Power-on state of the device. vCPUs stand, and so does its thread. */
void legacy_nic_reset(struct legacy_nic *n);

/**
 * legacy_nic_use() - The backend is its own from now on, and the guest's link is up
 *
 * The backend's path is KVMB_NET_EMULATED. One thread at a time; fine if it has it.
 */
void legacy_nic_use(struct legacy_nic *n);

/**
 * legacy_nic_let_go() - The backend is somebody else's when this returns; the link is down
 *
 * Any thread; waits for at most one call of the backend. Fine if it does not have it.
 */
void legacy_nic_let_go(struct legacy_nic *n);

/**
 * legacy_nic_announce() - Send a frame of the host's own from the guest's address
 * @frame: frame[len]
 *
 * Without effect as long as it has no backend, its link is down or the backend is full. Any thread.
 */
void legacy_nic_announce(struct legacy_nic *n, const void *frame, size_t len);

/** legacy_nic_set_link() - Plug the guest's cable in or out. */
void legacy_nic_set_link(struct legacy_nic *n, bool up);

/**
 * legacy_nic_pause() - Have the thread stand still
 *
 * When this returns, it touches neither guest memory nor the backend until legacy_nic_resume().
 * It waits for the turn that the thread is in, which does not wait for anybody.
 */
void legacy_nic_pause(struct legacy_nic *n);

/** legacy_nic_ask() - As legacy_nic_pause(), without waiting: legacy_nic_stands() tells. */
void legacy_nic_ask(struct legacy_nic *n);

/** legacy_nic_stands() - Does its thread stand, that was asked to? It waits for nothing. */
bool legacy_nic_stands(struct legacy_nic *n);

/** legacy_nic_resume() - Undo one legacy_nic_pause() or legacy_nic_ask(). */
void legacy_nic_resume(struct legacy_nic *n);

/**
 * legacy_nic_save() - The device, its link and its ROM: a group
 *
 * Paused; vCPUs stand. A frame that waits for a descriptor is lost, as on any wire.
 */
void legacy_nic_save(struct legacy_nic *n, struct kvmb_tlv_out *o);

/**
 * legacy_nic_load() - What legacy_nic_save() wrote
 * @n:     new, not started or paused
 * @group: hostile
 *
 * Return: 0; -errno with one line in @group->error: @n is as before.
 */
int legacy_nic_load(struct legacy_nic *n, struct kvmb_tlv *group);

/** legacy_nic_loaded() - Interrupt controllers are there: the device may raise its line. */
void legacy_nic_loaded(struct legacy_nic *n);

/** legacy_nic_get_stats() - Copy the counters to @s. */
void legacy_nic_get_stats(const struct legacy_nic *n, struct legacy_nic_stats *s);

#endif
