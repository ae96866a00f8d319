/* SPDX-License-Identifier: GPL-2.0-only */
/* Making one whole image of a chain: by qemu-img in a jail, or by our own reader of VHDs. */
#ifndef KVMB_CONVERT_H
#define KVMB_CONVERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct probe_chain;

struct convert_ear { /* as in struct import_wish */
	bool (*tell)(void *arg, const char *what, uint64_t done, uint64_t total);
	void *arg;
};

/**
 * convert_chain() - Write what a chain holds into a file
 * @c:      of one image, or of a child and its parents
 * @to:     empty file, readable and writable
 * @format: of it: raw, qcow2, vhdx, vhd
 * @dir:    descriptor of a directory with room, for a chain of VHDs that becomes another format
 * @why:    why[size], on failure one phrase
 *
 * Return: 0, and it is on disk; -EINTR: told to stop; -errno. Context: as confined_start().
 */
int convert_chain(const struct probe_chain *c, int to, const char *format, int dir,
		  const struct convert_ear *ear, char *why, size_t size);

/**
 * convert_copy() - Copy an image byte by byte, sharing its blocks where the file system can
 * Return: as convert_chain().
 */
int convert_copy(int from, int to, const struct convert_ear *ear, char *why, size_t size);

/** convert_needs() - Bytes that the new image takes, about. 0 = nobody knows. */
uint64_t convert_needs(const struct probe_chain *c);

#endif
