/* SPDX-License-Identifier: GPL-2.0-only */
/* The process that a migration's command forks to carry its stream: cli/mig_apart.h. */
#ifndef KVMB_TEST_PUMP_H
#define KVMB_TEST_PUMP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/loop.h"
#include "tests/unit/test.h"

/* One of this name ("kvmbus-tls") that has our group. Return: 0 = there is none. */
static pid_t find_pump(const char *name)
{
	DIR *d = opendir("/proc");
	char path[300], comm[40], s;
	struct dirent *e;
	pid_t found = 0;
	int group;
	FILE *f;

	while ((e = readdir(d))) {
		snprintf(path, sizeof(path), "/proc/%s/stat", e->d_name);
		f = atoi(e->d_name) ? fopen(path, "r") : NULL;
		if (!f)
			continue;
		if (fscanf(f, "%*d (%39[^)]) %c %*d %d", comm, &s, &group) == 3 && s != 'Z' &&
		    !strcmp(comm, name) && group == getpgrp())
			found = atoi(e->d_name);
		fclose(f);
	}
	closedir(d);
	return found;
}

static void expect_no_pump(const char *name, int ms)
{
	uint64_t until = kvmb_now_ms() + (uint64_t)ms;

	while (find_pump(name) && kvmb_now_ms() < until)
		usleep(10000);
	assert_int_equal(find_pump(name), 0);
}

#endif
