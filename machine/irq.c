// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupt routing through KVM's in-kernel irqchip.
 *
 * Each vCPU has two GSIs that both lead to VMBus's SINT. Event flags use the first, a plain irqfd.
 * Messages use the second, whose irqfd has a resample eventfd that reports when the guest has
 * acknowledged. But KVM reports every interrupt of the SINT, also those for events. So that irqfd
 * is assigned only while messages are queued (hyperv.c); otherwise each channel interrupt would
 * wake the main thread.
 *
 * Source: Linux 6.1 arch/x86/kvm/hyperv.c kvm_hv_irq_routing_update(): a SINT remembers
 * one GSI, the last one routed to it, and ignores routes of an inactive SynIC.
 */
#include "machine/irq.h"

#include <sys/ioctl.h>

#include "lib/log.h"
#include "lib/util.h"

#define MAX_EXTRA 64u

struct irq_table {
	u32 num_extra;
	struct { u32 gsi, vp, sint; bool used; } extra[MAX_EXTRA];
};

u32 irq_event_gsi(u32 vp)
{
	return IRQ_NUM_LINES + vp;
}

u32 irq_message_gsi(struct machine *m, u32 vp)
{
	return IRQ_NUM_LINES + m->cfg.cpus + vp;
}

static void add_sint(struct kvm_irq_routing *t, u32 gsi, u32 vp, u32 sint)
{
	t->entries[t->nr++] = (struct kvm_irq_routing_entry){
		.gsi = gsi, .type = KVM_IRQ_ROUTING_HV_SINT, .u.hv_sint = { vp, sint } };
}

static void add_chip(struct kvm_irq_routing *t, u32 gsi, u32 chip, u32 pin)
{
	t->entries[t->nr++] = (struct kvm_irq_routing_entry){
		.gsi = gsi, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip = { chip, pin } };
}

static int set_routing(struct machine *m)
{
	u32 max = IRQ_NUM_LINES + 16 + 2 * m->cfg.cpus + MAX_EXTRA, i;
	struct kvm_irq_routing *t = kvmb_xzalloc(sizeof(*t) + max * sizeof(t->entries[0]));
	int err;

	for (i = 0; i < IRQ_NUM_LINES; i++) {
		if (i < 16)
			add_chip(t, i, i < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE,
				 i % 8);
		add_chip(t, i, KVM_IRQCHIP_IOAPIC, i);
	}
	for (i = 0; i < m->cfg.cpus; i++)
		add_sint(t, irq_event_gsi(i), i, HV_VMBUS_SINT);
	for (i = 0; i < m->cfg.cpus; i++)
		add_sint(t, irq_message_gsi(m, i), i, HV_VMBUS_SINT);
	for (i = 0; i < MAX_EXTRA; i++) {
		if (m->irqs->extra[i].used)
			add_sint(t, m->irqs->extra[i].gsi, m->irqs->extra[i].vp,
				 m->irqs->extra[i].sint);
	}
	err = ioctl(m->vm_fd, KVM_SET_GSI_ROUTING, t) ? -errno : 0;
	free(t);
	return err;
}

int irq_init(struct machine *m)
{
	m->irqs = kvmb_xzalloc(sizeof(*m->irqs));
	return set_routing(m);
}

void irq_fini(struct machine *m)
{
	free(m->irqs);
	m->irqs = NULL;
}

void irq_set_line(struct machine *m, u32 line, int level)
{
	struct kvm_irq_level l = { .irq = line, .level = (u32)level };

	if (ioctl(m->vm_fd, KVM_IRQ_LINE, &l))
		kvmb_warn_ratelimited(m->name, "irq line %u: %s", line, strerror(errno));
}

int irq_add_sint_route(struct machine *m, u32 vp, u32 sint)
{
	u32 i;
	int err;

	for (i = 0; i < MAX_EXTRA && m->irqs->extra[i].used; i++)
		;
	if (i == MAX_EXTRA)
		return -ENOSPC;
	m->irqs->extra[i].gsi = IRQ_NUM_LINES + 2 * m->cfg.cpus + i;
	m->irqs->extra[i].vp = vp;
	m->irqs->extra[i].sint = sint;
	m->irqs->extra[i].used = true;
	err = set_routing(m);
	if (err) {
		m->irqs->extra[i].used = false;
		return err;
	}
	return (int)m->irqs->extra[i].gsi;
}

void irq_del_sint_route(struct machine *m, u32 gsi)
{
	m->irqs->extra[gsi - IRQ_NUM_LINES - 2 * m->cfg.cpus].used = false;
	set_routing(m);
}

int irq_assign(struct machine *m, u32 gsi, int fd, int resample_fd)
{
	struct kvm_irqfd f = { .fd = (u32)fd, .gsi = gsi };

	if (resample_fd >= 0) {
		f.flags = KVM_IRQFD_FLAG_RESAMPLE;
		f.resamplefd = (u32)resample_fd;
	}
	return ioctl(m->vm_fd, KVM_IRQFD, &f) ? -errno : 0;
}

void irq_deassign(struct machine *m, u32 gsi, int fd)
{
	struct kvm_irqfd f = { .fd = (u32)fd, .gsi = gsi, .flags = KVM_IRQFD_FLAG_DEASSIGN };

	ioctl(m->vm_fd, KVM_IRQFD, &f);
}
