/* SPDX-License-Identifier: GPL-2.0-only */
/* How memory is shared among VMs: arithmetic alone. Sizes are bytes, at most SHARE_MOST each. */
#ifndef KVMB_SHARE_H
#define KVMB_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHARE_MOST (1ull << 43) /* as much as a VM can have */
#define SHARE_UNIT (1ull << 20) /* targets are whole megabytes */

struct share_vm {
	bool dynamic;	   /* else it has @assigned, for ever */
	bool reports;	   /* of its demand */
	uint64_t min, max; /* of a dynamic one */
	uint64_t assigned, demand;
	uint64_t target; /* what it has been asked for; set to what it should be */
};

/**
 * share_memory() - Set the targets of all VMs so that they fit a limit
 * @vms:   vms[num], hostile: a VM whose bounds make no sense is left as it is
 * @num:   of all VMs
 * @limit: of all together
 *
 * Each VM wants what its guest demands and a quarter of that, within its bounds; one that does not
 * report wants what it has. If all of that fits, all get it. If not, each gets its minimum, and of
 * what it wants beyond that the same part as the others. A target that would hardly move stays.
 *
 * Return: bytes that they have together when the targets are met; more than @limit when even the
 * minima are.
 */
uint64_t share_memory(struct share_vm *vms, size_t num, uint64_t limit);

#endif
