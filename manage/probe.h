/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a disk image is: its format, its size, who its parent is, which firmware it was made for.
 *
 * DOC: Theory of operation
 *
 * The author of an image is a stranger. `qemu-img info` says what a file looks like, in a jail
 * with this one descriptor (confined.h); from then on every program is told the format. A parent
 * that an image names is a name and no more: who asks for it looks for a file of that name in the
 * folder of the image, and probes that. backend/block/image.h refuses what else an image can name.
 */
#ifndef KVMB_PROBE_H
#define KVMB_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROBE_NAME 1024u
#define PROBE_CHAIN 8u /* images, one the parent of the other */
#define PROBE_WHY 640u

struct probe_image {
	int fd;			 /* readable; owned by who has the chain */
	const char *format;	 /* as option format= has it; static */
	uint64_t bytes;		 /* of the disk */
	char parent[PROBE_NAME]; /* base name of the file; "" = it has none. Hostile */
	bool stream;		 /* a VMDK that is written once, from begin to end: cannot be run */
};

struct probe_chain {
	struct probe_image at[PROBE_CHAIN]; /* at[num]: the disk's image, its parent, ... */
	unsigned int num;
};

/**
 * probe_image() - Look at one file
 * @fd:     readable
 * @format: the user's word on its format; NULL = none
 * @p:      filled
 * @why:    why[size], on failure one phrase
 *
 * Return: 0; -EINVAL: it is not of that format, of none that we know, or names other files;
 * otherwise as confined_start(). Context: blocks; starts a program.
 */
int probe_image(int fd, const char *format, struct probe_image *p, char *why, size_t size);

/**
 * probe_chain_opts() - Write the whole chain as --image-opts of QEMU's programs
 * @c:   its files are given to the program in their order, from descriptor @first on
 * @opts: opts[size]
 */
void probe_chain_opts(const struct probe_chain *c, unsigned int first, char *opts, size_t size);

enum probe_boot { PROBE_BOOT_NONE, PROBE_BOOT_BIOS, PROBE_BOOT_UEFI };

/** probe_boot() - Which firmware is it for? Blocks; may start a program. */
enum probe_boot probe_boot(const struct probe_chain *c);

/** probe_chain_close() - Close its files. */
void probe_chain_close(struct probe_chain *c);

/**
 * probe_base_name() - The last part of a name from Windows or elsewhere
 *
 * Return: in @name; NULL if there is none: it is empty, "." or "..".
 */
const char *probe_base_name(const char *name);

#endif
