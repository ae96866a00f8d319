/* SPDX-License-Identifier: GPL-2.0-only */
/* Words of the command line: numbers, sizes, and the options of disks and NICs. */
#ifndef KVMB_OPT_H
#define KVMB_OPT_H

#include "vmm/config.h"

/** opt_u32() - A decimal number within bounds. Return: false when it is none. */
bool opt_u32(const char *s, u32 min, u32 max, u32 *out);

/**
 * opt_size() - A number of bytes with an optional unit K, M, G or T (powers of 1024)
 * @end: first character that is not part of it; NULL = there must be none
 * Return: false when it is none, or too large.
 */
bool opt_size(const char *s, u64 *out, const char **end);

/**
 * opt_disk() - "F[,ro][,controller=N][,lun=N][,format=...]..." to a configuration
 * @s:   changed: @dc points into it; two commas in a row are one comma of a name
 * @dvd: a drive; F may be "empty"
 * @why: on failure, what is wrong
 * Return: 0 or -EINVAL.
 */
int opt_disk(char *s, bool dvd, struct disk_config *dc, char *why, size_t size);

/**
 * opt_nic() - "user|tap=IF|macvtap=IF|bridge=BR|none[,OPTION]..." to a configuration
 * Else as opt_disk().
 */
int opt_nic(char *s, struct nic_config *nc, char *why, size_t size);

/** opt_nic_help - One line about each option, for --help. */
extern const char opt_nic_help[];

/** opt_disk_help - One line about each option, for --help. */
extern const char opt_disk_help[];

#endif
