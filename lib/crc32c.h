/* SPDX-License-Identifier: GPL-2.0-only */
/* CRC-32C (Castagnoli), reflected: of VHDX logs, saved state and migration. */
#ifndef KVMB_CRC32C_H
#define KVMB_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/**
 * kvmb_crc32c() - Continue a CRC; start with ~0, and invert the result
 * @crc: so far
 * @p:   p[len]
 * @len: bytes
 */
uint32_t kvmb_crc32c(uint32_t crc, const void *p, size_t len);

/** kvmb_crc32c_slow() - The same without the CPU's instruction, for CPUs and tests */
uint32_t kvmb_crc32c_slow(uint32_t crc, const void *p, size_t len);

#endif
