/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A clock that a test makes run faster, so that limits of ten seconds need not be waited for.
 * Include it in the test and link with FAST_CLOCK_WRAPS (tests/meson.build): what the code under
 * test takes for a time, and how long it sleeps in poll(), is the test's; how long a test itself
 * waits for something to happen is not: real_ms().
 */
#ifndef KVMB_FAST_CLOCK_H
#define KVMB_FAST_CLOCK_H

#include <poll.h>
#include <pthread.h>

#include "lib/loop.h"

static struct {
	pthread_mutex_t lock;
	uint64_t rate, real, fast; /* fast: what the clock showed at @real */
} fast_clock = { .lock = PTHREAD_MUTEX_INITIALIZER, .rate = 1 };

uint64_t __real_kvmb_now_ms(void);
uint64_t __wrap_kvmb_now_ms(void);
int __real_poll(struct pollfd *p, nfds_t n, int ms);
int __wrap_poll(struct pollfd *p, nfds_t n, int ms);

static inline uint64_t real_ms(void)
{
	return __real_kvmb_now_ms();
}

static inline uint64_t fast_clock_locked(uint64_t now)
{
	return fast_clock.fast + (now - fast_clock.real) * fast_clock.rate;
}

uint64_t __wrap_kvmb_now_ms(void)
{
	uint64_t ms;

	pthread_mutex_lock(&fast_clock.lock);
	ms = fast_clock_locked(real_ms());
	pthread_mutex_unlock(&fast_clock.lock);
	return ms;
}

int __wrap_poll(struct pollfd *p, nfds_t n, int ms)
{
	int rate;

	pthread_mutex_lock(&fast_clock.lock);
	rate = (int)fast_clock.rate;
	pthread_mutex_unlock(&fast_clock.lock);
	return __real_poll(p, n, ms > 0 && rate ? (ms + rate - 1) / rate : ms);
}

/*
 * From here on the clock shows @rate seconds for each that goes by; 1 = as it is, 0 = it stands
 * still.
 */
static inline void set_clock(uint64_t rate)
{
	uint64_t now = real_ms();

	pthread_mutex_lock(&fast_clock.lock);
	fast_clock.fast = fast_clock_locked(now);
	fast_clock.real = now;
	fast_clock.rate = rate;
	pthread_mutex_unlock(&fast_clock.lock);
}

#endif
