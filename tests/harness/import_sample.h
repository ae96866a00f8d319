/* SPDX-License-Identifier: GPL-2.0-only */
/* A VM that a test imports from samples of tests/data/import. */
#ifndef KVMB_IMPORT_SAMPLE_H
#define KVMB_IMPORT_SAMPLE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/util.h"
#include "manage/import.h"
#include "tests/unit/test.h"

static struct import_vm *vm;
static char why[IMPORT_WHY];

static inline int setup(void **state)
{
	(void)state;
	vm = kvmb_xzalloc(sizeof(*vm));
	why[0] = 0;
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	import_free(vm);
	free(vm);
	return 0;
}

/* Text of a file of tests/data/import; to be freed. */
static inline char *sample(const char *name, size_t *len)
{
	char path[500], *text = NULL;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", IMPORT_DATA, name);
	fd = open(path, O_RDONLY);
	CHECK_EQ(import_take_text(fd, &text, len), 0);
	close(fd);
	return text;
}

#endif
