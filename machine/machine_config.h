/* SPDX-License-Identifier: GPL-2.0-only */
/* What a machine consists of. Immutable; strings must outlive the machine. */
#ifndef KVMB_MACHINE_CONFIG_H
#define KVMB_MACHINE_CONFIG_H

#include "vmbus-core/env.h"

#define KVMB_MAX_CPUS 64u

enum huge_pages { HUGE_AUTO, HUGE_ON, HUGE_OFF };

struct machine_config {
	u32 cpus;
	u64 memory; /* bytes, multiple of 1 MiB */
	u64 memory_min, memory_max; /* of dynamic memory: bounds, the same; 0 = it has none */
	enum huge_pages huge;
	const char *cpu_model; /* as cpuid_check_model() takes it */
	const char *kernel, *initrd, *append;
	bool gen1;	      /* a machine with PCI, which begins in firmware and not in a kernel */
	const char *firmware; /* of a gen1 machine, as firmware_find() takes it */
	/* of a gen1 machine: boot from the network, before all else or later */
	enum netboot { NETBOOT_NONE, NETBOOT_LATER, NETBOOT_FIRST } netboot;
	bool netboot_comes; /* what it starts comes with the VM's state, if the host has none */
	u8 uuid[16];	    /* of a gen1 machine's SMBIOS, in the order of its text; 0 = none */
	bool hibernation;   /* ACPI has S4, which is how a guest of Hyper-V knows that it may */
	bool test_devices;
	bool lazy; /* memory comes from a file while the guest runs, if the host can (mem_lazy.h) */
	bool post; /* some of it may come later from where the VM was (mem_post.h) */
	int memory_fd; /* of a VM in another process, hostile; taken over. 0 = none */
};

#endif
