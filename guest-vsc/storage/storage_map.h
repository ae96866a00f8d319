/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which channel of a disk controller a CPU sends its commands on.
 *
 * DOC: Theory of operation
 *
 * An answer that arrives on the CPU that sent the command needs no interprocessor interrupt. So
 * each CPU sends on the channel that interrupts it. The bus chooses a channel's CPU, and a user may
 * change it in sysfs ("cpu"). CPUs that no channel interrupts share the channels evenly.
 */
#ifndef KVMB_STORAGE_MAP_H
#define KVMB_STORAGE_MAP_H

#include <linux/bitops.h>
#include <linux/compiler.h>
#include <linux/types.h>

#define KVMB_STOR_MAX_CHANS 64u

/* Return: the first open channel that interrupts @cpu; KVMB_STOR_MAX_CHANS: none */
static inline unsigned int kvmb_stor_own_chan(unsigned int cpu, u64 open,
					      const unsigned int *chan_cpu)
{
	unsigned int i;

	for (i = 0; i < KVMB_STOR_MAX_CHANS; i++) {
		if (open & BIT_ULL(i) && chan_cpu[i] == cpu)
			break;
	}
	return i;
}

/* Return: the open channel with the fewest sending CPUs, the first of several; 0: none is open */
static inline unsigned int kvmb_stor_least_used(const u16 *users, u64 open)
{
	unsigned int i, best = 0;

	for (i = 0; i < KVMB_STOR_MAX_CHANS; i++) {
		if (open & BIT_ULL(i) && (!(open & BIT_ULL(best)) || users[i] < users[best]))
			best = i;
	}
	return best;
}

/**
 * kvmb_stor_map_cpus() - The channel of each CPU
 * @by_cpu:   by_cpu[num_cpus], written: index of a channel; may be read meanwhile
 * @num_cpus: number of CPUs
 * @open:     bit N: channel N is open; 0: @by_cpu is all 0
 * @chan_cpu: chan_cpu[KVMB_STOR_MAX_CHANS]: the CPU that a channel interrupts
 *
 * Where two channels interrupt one CPU, it sends on that with the lower index.
 * Context: any; one caller at a time.
 */
static inline void kvmb_stor_map_cpus(u8 *by_cpu, unsigned int num_cpus, u64 open,
				      const unsigned int *chan_cpu)
{
	u16 users[KVMB_STOR_MAX_CHANS] = { 0 };
	unsigned int cpu, i;

	for (cpu = 0; cpu < num_cpus; cpu++) {
		i = kvmb_stor_own_chan(cpu, open, chan_cpu);
		if (i < KVMB_STOR_MAX_CHANS)
			users[i]++;
	}
	for (cpu = 0; cpu < num_cpus; cpu++) {
		i = kvmb_stor_own_chan(cpu, open, chan_cpu);
		if (i == KVMB_STOR_MAX_CHANS) {
			i = kvmb_stor_least_used(users, open);
			users[i]++;
		}
		WRITE_ONCE(by_cpu[cpu], i);
	}
}

#endif
