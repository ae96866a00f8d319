// SPDX-License-Identifier: GPL-2.0-only
/* Slowing a guest down; theory of operation: cpu_throttle.h. */
#include "machine/cpu_throttle.h"

#include "lib/util.h"
#include "machine/vcpu.h"

static u32 rest_ms(u32 percent)
{
	return THROTTLE_RUN_MS * percent / (100 - percent);
}

static void on_period(void *arg)
{
	struct machine *m = arg;
	u32 ms = rest_ms(m->throttle.percent), i;

	for (i = 0; i < m->cfg.cpus; i++) {
		__atomic_store_n(&m->vcpus[i].rest_ms, ms, __ATOMIC_RELAXED);
		vcpu_kick(&m->vcpus[i]);
	}
	kvmb_timer_set(&m->throttle.timer, THROTTLE_RUN_MS + ms);
}

void cpu_throttle_init(struct machine *m)
{
	m->throttle.percent = 0;
	kvmb_timer_init(&m->throttle.timer, m->loop, on_period, m);
}

void machine_throttle(struct machine *m, u32 percent)
{
	u32 i;

	kvmb_assert(percent <= THROTTLE_MAX);
	m->throttle.percent = percent;
	if (percent) {
		kvmb_timer_set(&m->throttle.timer, THROTTLE_RUN_MS);
		return;
	}
	kvmb_timer_cancel(&m->throttle.timer);
	for (i = 0; i < m->cfg.cpus; i++)
		__atomic_store_n(&m->vcpus[i].rest_ms, 0, __ATOMIC_RELAXED);
}

void cpu_throttle_here(struct vcpu *v)
{
	u32 ms;

	if (!__atomic_load_n(&v->rest_ms, __ATOMIC_RELAXED))
		return;
	ms = __atomic_exchange_n(&v->rest_ms, 0, __ATOMIC_RELAXED);
	if (ms)
		park_rest(&v->machine->park, ms);
}
