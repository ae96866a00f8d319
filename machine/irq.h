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
#define IRQ_SCI 9u

int irq_init(struct machine *m);  /* after every SynIC is active: see irq.c */
void irq_fini(struct machine *m);
void irq_set_line(struct machine *m, u32 line, int level); /* any thread */

/* The event GSI stands first: KVM notifies acknowledgements to the last route of a SINT. */
u32 irq_event_gsi(u32 vp);
u32 irq_message_gsi(struct machine *m, u32 vp);

/* A further SINT route. Return: its GSI, or -errno. Caller holds the test device's lock. */
int irq_add_sint_route(struct machine *m, u32 vp, u32 sint);
void irq_del_sint_route(struct machine *m, u32 gsi);

int irq_assign(struct machine *m, u32 gsi, int fd, int resample_fd); /* resample_fd -1 = none */
void irq_deassign(struct machine *m, u32 gsi, int fd);

#endif
