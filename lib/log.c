// SPDX-License-Identifier: GPL-2.0-only
/* Log lines and their rate limit. */
#include "lib/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static enum kvmb_log_level max_level = KVMB_LOG_WARN;
static pthread_mutex_t ratelimit_lock = PTHREAD_MUTEX_INITIALIZER;

void kvmb_log_set_level(enum kvmb_log_level level)
{
	max_level = level;
}

void kvmb_log(enum kvmb_log_level level, const char *who, const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int n = 0;

	if (level > max_level)
		return;
	n = snprintf(line, sizeof(line), "kvmbus: %s%s", who ? who : "", who ? ": " : "");
	va_start(ap, fmt);
	n += vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
	va_end(ap);
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return; /* nowhere left to say so */
}

bool kvmb_ratelimit_ok(struct kvmb_ratelimit *rl)
{
	struct timespec ts;
	uint64_t now;
	bool ok;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	pthread_mutex_lock(&ratelimit_lock);
	if (!rl->window_ms || now - rl->window_ms > KVMB_RATELIMIT_WINDOW_MS) {
		rl->window_ms = now ? now : 1;
		rl->count = 0;
	}
	ok = rl->count < KVMB_RATELIMIT_BURST;
	if (ok)
		rl->count++;
	else
		rl->missed++;
	pthread_mutex_unlock(&ratelimit_lock);
	return ok;
}
