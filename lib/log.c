// SPDX-License-Identifier: GPL-2.0-only
/* Log lines and their rate limit. */
#include "lib/log.h"

#include <poll.h>
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

/* A reader of the log who has stopped reading loses lines; no thread of ours waits for him. */
static void put_line(const char *line, size_t len)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* nobody fills the room that another has seen */
	static unsigned int lost;
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

	pthread_mutex_lock(&lock);
	if (poll(&p, 1, 0) < 1 || !(p.revents & POLLOUT)) {
		lost++;
	} else {
		if (lost) /* a pipe that has room has it for both */
			dprintf(STDERR_FILENO, "kvmbus: %u lines of the log are lost: nobody read it\n", lost);
		lost = 0;
		if (write(STDERR_FILENO, line, len) < 0)
			lost++;
	}
	pthread_mutex_unlock(&lock);
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
	put_line(line, (size_t)n);
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
