/* SPDX-License-Identifier: GPL-2.0-only */
/* How long tests wait. */
#ifndef KVMB_PATIENCE_H
#define KVMB_PATIENCE_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

/*
 * For something that must happen. It only ends a test that would hang: a machine that is ten times
 * as slow as expected passes all the same. A test that finds nothing within a time, or something
 * too late, has measured the machine; where it must, it counts work (CPU time, system calls,
 * rounds), or puts its limit far from what is right.
 */
#define PATIENCE_MS 120000u

static inline uint64_t queued_ns(void)
{
	uint64_t ran = 0, waited = 0;
	FILE *f = fopen("/proc/thread-self/schedstat", "r");

	if (!f)
		return 0;
	if (fscanf(f, "%" SCNu64 " %" SCNu64, &ran, &waited) != 2)
		waited = 0;
	fclose(f);
	return waited;
}

/*
 * The clock, less what this thread has waited for a CPU: how long something took that must not
 * sleep.
 */
static inline uint64_t unqueued_ms(void)
{
	uint64_t before, waited = queued_ns();
	struct timespec now;

	do {
		before = waited;
		clock_gettime(CLOCK_MONOTONIC, &now);
		waited = queued_ns();
	} while (waited != before);
	return ((uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec - waited) / 1000000;
}

#endif
