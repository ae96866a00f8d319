/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory of a device in a saved state: runs of pages that are not all zero, a group each. */
#ifndef KVMB_TLV_MEMORY_H
#define KVMB_TLV_MEMORY_H

#include "lib/tlv.h"

/**
 * kvmb_tlv_put_memory() - Write it into the open section or group
 * @field:  of each run
 * @fd:     a memfd, whose holes are not looked at
 * @memory: memory[size], which it is mapped at
 * @size:   bytes, a multiple of 4096, below 4 GiB
 */
void kvmb_tlv_put_memory(struct kvmb_tlv_out *o, unsigned int field, int fd, const uint8_t *memory,
			 uint32_t size);

/**
 * kvmb_tlv_get_memory() - Read it
 * @memory: memory[size], of zeroes; NULL: only look whether all of it is right
 *
 * Return: false: it is not, and that is the section's error. Trust: hostile.
 */
bool kvmb_tlv_get_memory(struct kvmb_tlv *t, unsigned int field, uint8_t *memory, uint32_t size);

#endif
