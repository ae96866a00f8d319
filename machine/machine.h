/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The machine: what KVM runs.
 *
 * DOC: Theory of operation
 *
 * A machine has vCPUs, memory, interrupts, the boot image and the emulated devices. Each vCPU has a
 * thread in KVM_RUN. vCPU threads never wait for the main thread: they pass work that they cannot
 * do themselves up through struct machine_ops, whose functions do not wait either.
 *
 * The machine knows nothing about the process around it: no VMBus server, no disks, no control
 * socket. It fills the table that host-vsp needs of a VMM (vmm_if.h). The code that builds the
 * machine connects a VMBus server to that table and implements the operations.
 *
 * Life: machine_open() -> machine_build() -> machine_start() -> machine_go() and machine_stand()
 * let vCPUs run and stop them -> machine_stop() -> machine_close().
 */
#ifndef KVMB_MACHINE_H
#define KVMB_MACHINE_H

#include <linux/kvm.h>

#include "host-vsp/vmm_if.h"
#include "machine/guest_tsc.h"
#include "machine/crash.h"
#include "machine/iobus.h"
#include "machine/machine_config.h"
#include "machine/mem_log.h"
#include "machine/park.h"
#include "machine/cpu_throttle.h"

struct kvmb_loop;
struct serial_ops;

/* CRASH: the guest's kernel reports a crash, and goes on by itself. ERROR: KVM gave up a vCPU. */
enum machine_request { MACHINE_RESET, MACHINE_POWEROFF, MACHINE_ERROR, MACHINE_CRASH };

/* Calls up. Each may come from any vCPU's thread, several at once, and does not wait. */
struct machine_ops {
	/* The guest asks for this. machine_hold() stops its vCPU until it has been done. */
	void (*request)(void *arg, enum machine_request what);
	/* A test device ends the VM with this exit status. */
	void (*exit)(void *arg, int code);
	/* HvPostMessage: payload[len] is a private copy. Return: KVMB_HV_STATUS_*. */
	u16 (*post)(void *arg, u32 conn, u32 type, const void *payload, u32 len);
	/* The guest may have emptied a message slot. Also on the main thread. */
	void (*acked)(void *arg);
};

struct machine {
	const char *name; /* of the VM, for messages */
	struct machine_config cfg;
	const struct machine_ops *ops;
	void *ops_arg;
	struct kvmb_loop *loop; /* the main thread's, borrowed */

	int kvm_fd, vm_fd;   /* kvm_fd: -1 when built */
	struct guest_tsc tsc;
	size_t run_size;     /* bytes of a vCPU's struct kvm_run */
	struct kvmb_gm gm;
	struct {
		u64 base, size, offset; /* guest physical, bytes, in the file of RAM */
	} hot; /* RAM that the guest is told of later: host-vsp/memory/memory.h; size 0 = none */
	u64 hinted;		/* atomic: pages that the guest did not need; mem_hint.c */
	struct machine_log log; /* of changes of memory */
	int uffd;		/* for one of the next two, until it takes it; -1 = none */
	struct mem_lazy *lazy;	/* memory that still comes from a file; NULL = none */
	struct mem_post *post;	/* memory that comes later from where the VM was; NULL = none */
	struct kvmb_vmm vmm; /* the seam to host-vsp */
	struct vcpu *vcpus;  /* vcpus[cfg.cpus] */
	struct park park;    /* where vCPU threads stand */
	struct cpu_throttle throttle;
	bool apic_virtual;   /* of the host's CPU and KVM */
	struct kvm_cpuid2 *cpuid_offer; /* all leaves that a vCPU can have here */
	u32 boots;	     /* times the guest was started */
	struct crash_log crash;

	struct iobus pio;
	struct late *late;   /* writes to ports that KVM keeps; NULL = none */
	struct pci_bus *pci; /* NULL: this machine has none */
	u32 pm1_enable; /* atomic; dev/pm.c */
	struct irq_table *irqs;
	struct serial *serial;
	struct rtc *rtc;
	struct testdev *testdev; /* NULL = none */
	/* testdev.c sees messages first. Return: true when it has served one. NULL = none. */
	bool (*post_hook)(struct machine *m, u32 conn, u32 type, const void *payload, u32 len,
			  u16 *status);
	struct boot_image *boot; /* NULL of a gen1 machine */
	struct gen1 *gen1;	 /* NULL of any other */

	u64 paused_at_tsc;
	struct kvm_clock_data paused_clock;
	struct kvm_irqchip irqchip0[3]; /* at power-on */
	struct kvm_pit_state2 pit0;
	struct machine_image *image; /* of a saved VM, until machine_load_done() */
};

/** machine_high_ram() - Bytes of RAM from 4 GiB on that the guest begins with. */
static inline u64 machine_high_ram(const struct machine *m)
{
	const struct kvmb_gm_region *r;
	unsigned int i;

	for (i = 0; i < m->gm.num_regions; i++) {
		r = &m->gm.regions[i];
		if (r->base != 1ull << 32)
			continue;
		return m->hot.size && m->hot.base - r->base < r->size ? m->hot.base - r->base :
									r->size;
	}
	return 0;
}

/**
 * machine_open() - First step: what a user can get wrong, KVM and the boot image
 * @m:    filled in; machine_close() is due also after a failure
 * @name: borrowed, as are the strings of @cfg
 * @cfg:  copied
 * @loop: the main thread's
 * @ops:  called with @arg once vCPUs run
 * @arg:  of @ops
 *
 * Afterwards @m->vmm is complete, but guest memory has no pages yet.
 *
 * Return: 0, or -errno with one line logged. Context: main thread.
 */
int machine_open(struct machine *m, const char *name, const struct machine_config *cfg,
		 struct kvmb_loop *loop, const struct machine_ops *ops, void *arg);

/**
 * machine_build() - Second step: memory, interrupt controllers, vCPUs, devices
 * @m:       of machine_open()
 * @far_end: of the serial port; its output, room and arg are set
 *
 * Return: 0, or -errno with one line logged. Context: main thread.
 */
int machine_build(struct machine *m, const struct serial_ops *far_end);

/**
 * machine_reset() - Power-on state: boot image in memory, vCPU 0 at its entry point
 *
 * Return: 0, or -errno with the reason logged. Context: main thread; no vCPU runs.
 */
int machine_reset(struct machine *m);

/**
 * machine_start() - Start the vCPUs' threads; they stand until machine_go()
 * Return: 0, or -errno with one line logged. Context: main thread, once.
 */
int machine_start(struct machine *m);

/** machine_stand() - Stop all vCPUs: each stands with its last exit complete. Main thread. */
void machine_stand(struct machine *m);

/**
 * machine_try_stand() - The same without waiting: ask them to stop; machine_go() takes it back
 *
 * Return: true: all stand. Context: main thread.
 */
bool machine_try_stand(struct machine *m);

/** machine_go() - Let the vCPUs run. Context: main thread. */
void machine_go(struct machine *m);

/** machine_hold() - Stop the calling vCPU until machine_go(). Context: a vCPU's thread. */
void machine_hold(struct machine *m);

/** machine_stop_clock() - Freeze guest time. Context: main thread; vCPUs stand. */
void machine_stop_clock(struct machine *m);

/** machine_start_clock() - Continue guest time where it was frozen. Main thread; vCPUs stand. */
void machine_start_clock(struct machine *m);

/** machine_stop() - End the vCPUs' threads. Context: main thread; also if partly built. */
void machine_stop(struct machine *m);

/**
 * machine_close() - Free everything that machine_open() and machine_build() made
 *
 * Context: main thread, after machine_stop(). Nobody uses @m->vmm any more; the loop still exists.
 */
void machine_close(struct machine *m);

#endif
