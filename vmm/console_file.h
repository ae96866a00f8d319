/* SPDX-License-Identifier: GPL-2.0-only */
/* The file of --serial file=: what it may be. Used by console.c only. */
#ifndef KVMB_CONSOLE_FILE_H
#define KVMB_CONSOLE_FILE_H

#include <stddef.h>

struct vm_config;

/**
 * console_open_file() - Open or make the file of --serial file=, without a change to what is in it
 * @why: why[size], on failure one phrase for the user
 *
 * A new one is mode 0600: a console shows passwords. A regular file must be named itself and not by a
 * symbolic link, be no kernel, initrd or image of this VM, and not be locked; it is locked then, which
 * also keeps a disk that is added later from being this file. Pipes and terminals do not block.
 *
 * Return: a descriptor, -1 on failure.
 */
int console_open_file(const struct vm_config *cfg, char *why, size_t size);

#endif
