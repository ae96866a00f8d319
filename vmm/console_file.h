/* SPDX-License-Identifier: GPL-2.0-only */
/* The file of --serial file=: which files are allowed. Private to console.c. */
#ifndef KVMB_CONSOLE_FILE_H
#define KVMB_CONSOLE_FILE_H

#include <stddef.h>

struct vm_config;

/**
 * console_open_file() - Open or create the file of --serial file=, without changing its content
 * @cfg:  names the file, and the other files of the VM
 * @why:  why[size], on failure one phrase for the user
 * @size: bytes
 *
 * A new file has mode 0600, because a console shows passwords. A regular file must not be named by
 * a symbolic link, must not be a kernel, initrd or image of this VM, and must not be locked. We
 * lock it, so that no disk that is added later can be this file. Pipes and terminals do not block.
 *
 * Return: a descriptor; -1 on failure. Context: main thread.
 */
int console_open_file(const struct vm_config *cfg, char *why, size_t size);

#endif
