/* SPDX-License-Identifier: GPL-2.0-only */
/* Libraries that are loaded when they are wanted: a host without one lacks only what it is for. */
#ifndef KVMB_LIBRARY_H
#define KVMB_LIBRARY_H

#include <stddef.h>

struct kvmb_library {
	const char *name, *package; /* for the user; Debian's package */
	const struct kvmb_library_call {
		const char *name;
		size_t at; /* of the pointer, in the table */
	} *calls;	   /* calls[num_calls] */
	size_t num_calls;
};

/**
 * kvmb_library_take() - Find the functions of a library
 * @lib:   of dlopen(), just now; NULL: it has failed. Closed on failure
 * @l:     what is wanted of it
 * @table: pointers, filled; on failure in part
 * @why:   why[size], on failure: what is missing and what to install
 *
 * Return: 0 or -ENOENT.
 */
int kvmb_library_take(void *lib, const struct kvmb_library *l, void *table, char *why, size_t size);

#endif
