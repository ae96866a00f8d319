// SPDX-License-Identifier: GPL-2.0-only
/* The event loop: order of timers, work from other threads, watches that delete themselves. */
#include "lib/loop.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/unit/test.h"

static char order[16];
static int n;

static void note(void *arg)
{
	order[n++] = *(char *)arg;
}

static void loop_timers_fire_in_order(void **state)
{
	struct kvmb_loop *l = kvmb_loop_create();
	struct kvmb_timer a, b, c;

	(void)state;
	n = 0;
	kvmb_timer_init(&a, l, note, "a");
	kvmb_timer_init(&b, l, note, "b");
	kvmb_timer_init(&c, l, note, "c");
	kvmb_timer_set(&a, 30);
	kvmb_timer_set(&b, 10);
	kvmb_timer_set(&c, 20);
	kvmb_timer_cancel(&c);
	kvmb_timer_set(&b, 1);
	while (n < 2)
		kvmb_loop_once(l, -1);
	assert_memory_equal(order, "ba", 2);
	kvmb_loop_destroy(l);
}

static void *post_thread(void *arg)
{
	void **p = arg;

	kvmb_loop_post(p[0], p[1]);
	kvmb_loop_post(p[0], p[1]); /* queued once */
	return NULL;
}

static void loop_posted_work_runs_once(void **state)
{
	struct kvmb_loop *l = kvmb_loop_create();
	struct kvmb_work w;
	void *args[2] = { l, &w };
	pthread_t t;

	(void)state;
	n = 0;
	kvmb_work_init(&w, note, "w");
	pthread_create(&t, NULL, post_thread, args);
	pthread_join(t, NULL);
	kvmb_loop_once(l, 1000);
	kvmb_loop_once(l, 0);
	assert_int_equal(n, 1);
	kvmb_loop_post(l, &w);
	kvmb_loop_unpost(l, &w);
	kvmb_loop_once(l, 0);
	assert_int_equal(n, 1);
	kvmb_loop_destroy(l);
}

static struct kvmb_watch *self;

static void delete_self(void *arg, uint32_t events)
{
	(void)arg, (void)events;
	n++;
	kvmb_loop_del(self);
}

static void loop_watch_may_delete_itself(void **state)
{
	struct kvmb_loop *l = kvmb_loop_create();
	int fd = eventfd(1, EFD_NONBLOCK);

	(void)state;
	n = 0;
	self = kvmb_loop_add(l, fd, EPOLLIN, delete_self, NULL);
	kvmb_loop_once(l, 0);
	kvmb_loop_once(l, 0);
	assert_int_equal(n, 1);
	close(fd);
	kvmb_loop_destroy(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loop_timers_fire_in_order),
		cmocka_unit_test(loop_posted_work_runs_once),
		cmocka_unit_test(loop_watch_may_delete_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
