/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A legacy NIC between a guest's driver and a backend: machine/dev/tulip.h with a thread.
 *
 * DOC: Theory of operation
 *
 * One thread does all that touches the backend: it sends what is in the guest's ring, and brings
 * in what the backend has. It sleeps on the backend's descriptor, and on kicks of vCPUs and of the
 * main thread. While it stands, the main thread may use the backend, and save the device.
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
 * A backend that ends (passt) is begun again, at once and then after pauses that grow from a second
 * to half a minute. Meanwhile the guest's link is down.
 *
 * Limits: no access VLAN, no rate limit; whoever starts a VM refuses these for a legacy NIC.
 */
#ifndef KVMB_LEGACY_NIC_H
#define KVMB_LEGACY_NIC_H

#include "backend/net/backend.h"
#include "vmbus-core/env.h"

struct kvmb_gm;
struct kvmb_loop;
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
	struct pci_bus *pci;	  /* borrowed */
	const struct kvmb_gm *gm; /* borrowed */
};

struct legacy_nic_stats {
	u64 tx_frames, tx_bytes; /* taken by the backend */
	u64 rx_frames, rx_bytes; /* taken by the device, or not wanted by its filter */
	u64 tx_dropped;		 /* the backend was full for too long, is gone, or refused it */
	u64 tx_spoofed;		 /* from an address that is not the NIC's */
	u64 rx_missed;		 /* there was no descriptor for too long */
	u64 rx_dropped;		 /* too long, or offload marks that make no sense */
};

struct legacy_nic_info {
	const char *kind, *detail; /* of the backend */
	const char *problem;	   /* why it is gone; "" = not known, or it is there */
	u8 mac[6];
	bool link, connected;
	u32 restarts; /* of the backend */
};

/**
 * legacy_nic_create() - Make a NIC and put it on the bus
 * @spec:    copied
 * @backend: owned from now on
 * @loop:    of the main thread
 *
 * Return: never NULL. Context: main thread, as for all functions here; before the VM runs.
 */
struct legacy_nic *legacy_nic_create(const struct legacy_nic_spec *spec,
				     struct kvmb_net_backend *backend, struct kvmb_loop *loop);

/** legacy_nic_start() - Start its thread: frames move from now on. Return: 0 or -errno. */
int legacy_nic_start(struct legacy_nic *n);

/** legacy_nic_destroy() - End the thread, free all; NULL is fine. After pci_destroy(). */
void legacy_nic_destroy(struct legacy_nic *n);

/** legacy_nic_reset() - Power-on state of the device. vCPUs stand. */
void legacy_nic_reset(struct legacy_nic *n);

/** legacy_nic_set_link() - Plug the guest's cable in or out. */
void legacy_nic_set_link(struct legacy_nic *n, bool up);

/**
 * legacy_nic_pause() - Have the thread stand still
 *
 * When this returns, it touches neither guest memory nor the backend until legacy_nic_resume().
 * It waits for the turn that the thread is in, which does not wait for anybody.
 */
void legacy_nic_pause(struct legacy_nic *n);

/** legacy_nic_resume() - Undo one legacy_nic_pause(). */
void legacy_nic_resume(struct legacy_nic *n);

/**
 * legacy_nic_save() - The device and its link: a group
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

/** legacy_nic_get_info() - Copy what is shown of a NIC to @i; strings are borrowed. */
void legacy_nic_get_info(const struct legacy_nic *n, struct legacy_nic_info *i);

#endif
