/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes to ports that KVM keeps for later, without an exit.
 *
 * DOC: Theory of operation
 *
 * A command of an IDE disk is ten writes that do nothing before the last one does. KVM puts those
 * to ports that were named to it into a ring of the VM (coalesced PIO). They are delivered before
 * any other access to a port or to a device's memory is served, of any vCPU, and before the
 * machine is saved or reset: a device finds all accesses in their order. When the ring is full, KVM
 * exits with the write, as with any other.
 *
 * The ring's writer is KVM, under a lock of its own; its reader is whoever holds ours. An entry is
 * given back only when it is delivered, so who finds the ring empty finds all of it delivered.
 *
 * Source: Linux Documentation/virt/kvm/api.rst, KVM_REGISTER_COALESCED_MMIO.
 */
#ifndef KVMB_LATE_H
#define KVMB_LATE_H

#include "vmbus-core/env.h"

struct iobus;
struct late;

/**
 * late_create() - Begin with no port
 * @vm_fd: of KVM
 * @run:   what was mapped of any vCPU, and stays mapped while the VM runs
 * @size:  bytes of @run
 * @ports: where writes are delivered to
 *
 * Return: NULL when this KVM keeps no writes; all functions take that. Context: main thread.
 */
struct late *late_create(int vm_fd, void *run, size_t size, const struct iobus *ports);

/**
 * late_add() - Have KVM keep writes to ports
 * @base: first port
 * @len:  ports
 *
 * A port that KVM does not accept is served by exits. Context: main thread; the VM does not run.
 */
void late_add(struct late *l, u16 base, u16 len);

/** late_deliver() - Let devices have what KVM keeps. Any thread; no lock of a device is held. */
void late_deliver(struct late *l);

/** late_delivered() - Return: writes that needed no exit so far. Any thread. */
u64 late_delivered(const struct late *l);

/** late_destroy() - Free it; NULL is fine. Nothing is delivered any more. */
void late_destroy(struct late *l);

#endif
