/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Finding files in the folder of an export, and nowhere else: symbolic links are not followed, and
 * a name is looked for by its last part, in any case, as Windows does.
 */
#ifndef KVMB_FOLDER_H
#define KVMB_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#define FOLDER_DEPTH 4u	    /* directories below it */
#define FOLDER_FILES 20000u /* looked at */

/**
 * folder_walk() - Call @fn for each regular file below a directory
 * @dir: descriptor
 * @fn:  gets the descriptor of its directory, and its path below @dir. Return: false: no more
 *
 * Return: 0; -E2BIG: there are too many; -errno.
 */
int folder_walk(int dir, bool (*fn)(void *arg, int at, const char *name, const char *path),
		void *arg);

/** folder_open() - Open what folder_walk() has shown. Return: readable; -errno. */
int folder_open(int dir, const char *path);

/**
 * folder_find() - Open a file
 * @dir:  descriptor
 * @name: as a description has it: a path of any system, of which the last part counts
 * @path: path[size]: set, relative to @dir
 *
 * Return: readable; -ENOENT; -ENOTUNIQ: several have that name, none of them in a directory
 * "Virtual Hard Disks"; -errno.
 */
int folder_find(int dir, const char *name, char *path, size_t size);

#endif
