/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interrupt routes: the legacy lines, one pair of GSIs per vCPU for VMBus's SINT, and
 * routes made at run time by the test device.
 */
#ifndef KVMB_IRQ_H
#define KVMB_IRQ_H

#include "machine/machine.h"

#define IRQ_NUM_LINES 24u
#define IRQ_SERIAL 4u
#define IRQ_RTC 8u
#define IRQ_SCI 9u

/**
 * irq_init() - Set up the routes
 * @m: every vCPU's SynIC is active; KVM ignores routes to inactive ones (irq.c)
 *
 * Return: 0 or -errno. Context: main thread.
 */
int irq_init(struct machine *m);

/** irq_fini() - Free what irq_init() made. */
void irq_fini(struct machine *m);

/** irq_set_line() - Raise or lower a legacy line, 0 .. IRQ_NUM_LINES - 1. Any thread. */
void irq_set_line(struct machine *m, u32 line, int level);

/**
 * irq_event_gsi() - The GSI that raises VMBus's SINT on @vp for event flags
 *
 * Its route comes before that of irq_message_gsi(): KVM reports acknowledgements to the last
 * route of a SINT.
 */
u32 irq_event_gsi(u32 vp);

/** irq_message_gsi() - The GSI that raises VMBus's SINT on @vp for messages. */
u32 irq_message_gsi(struct machine *m, u32 vp);

/**
 * irq_add_sint_route() - Add a route to another SINT
 * @m:    the machine
 * @vp:   target vCPU
 * @sint: 0..15
 *
 * Return: its GSI; -ENOSPC when there are too many; another -errno of KVM. Context: the caller
 * holds the test device's lock.
 */
int irq_add_sint_route(struct machine *m, u32 vp, u32 sint);

/** irq_del_sint_route() - Remove a route of irq_add_sint_route(). Context: as that. */
void irq_del_sint_route(struct machine *m, u32 gsi);

/**
 * irq_assign() - Let writes to an eventfd raise a GSI
 * @m:           the machine
 * @gsi:         the GSI
 * @fd:          eventfd, borrowed until irq_deassign()
 * @resample_fd: eventfd that is signalled when the guest acknowledges; -1 = none
 *
 * Return: 0 or -errno. Context: any thread.
 */
int irq_assign(struct machine *m, u32 gsi, int fd, int resample_fd);

/** irq_deassign() - Undo irq_assign() of @fd. */
void irq_deassign(struct machine *m, u32 gsi, int fd);

#endif
