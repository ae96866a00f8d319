// SPDX-License-Identifier: GPL-2.0-only
/*
 * A helper program on an event loop: ready, ended, killed, and what it said. Shells play the
 * programs.
 */
#include "lib/child.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/util.h"
#include "tests/harness/patience.h"
#include "tests/unit/test.h"

static struct kvmb_loop *loop;
static struct kvmb_child child;
static enum kvmb_child_news told[8]; /* told[num_told] */
static unsigned int num_told;

static void on_news(void *arg, enum kvmb_child_news news)
{
	assert_ptr_equal(arg, &loop);
	assert_true(num_told < ARRAY_SIZE(told));
	told[num_told++] = news;
}

static int setup(void **state)
{
	(void)state;
	loop = kvmb_loop_create();
	kvmb_child_init(&child, loop, on_news, &loop);
	num_told = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kvmb_child_fini(&child);
	kvmb_loop_destroy(loop);
	return 0;
}

static void start(const char *script, unsigned int ready_ms)
{
	const char *argv[] = { "sh", "-c", script, NULL };

	assert_int_equal(kvmb_child_start(&child, argv, NULL, 0, ready_ms), 0);
}

/* Until so much news was told. Return: the last of it. */
static enum kvmb_child_news news(unsigned int num)
{
	uint64_t until = kvmb_now_ms() + PATIENCE_MS;

	while (num_told < num && kvmb_now_ms() < until)
		kvmb_loop_once(loop, 10);
	assert_int_equal(num_told, num);
	return told[num - 1];
}

static void it_is_ready_and_ends_and_starts_again(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		num_told = 0;
		start("echo going >&2; echo $$ >&2; exec sleep 1000", PATIENCE_MS);
		assert_int_equal(child.state, KVMB_CHILD_STARTING);
		assert_int_equal(news(1), KVMB_CHILD_IS_READY);
		assert_int_equal(child.state, KVMB_CHILD_READY);
		assert_string_equal(child.words, ""); /* what it said on the way is no reason */
		kvmb_child_end(&child);
		assert_int_equal(news(2), KVMB_CHILD_ENDED);
		assert_int_equal(child.state, KVMB_CHILD_NONE);
		assert_true(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGTERM);
	}
}

static void one_that_does_not_end_is_killed(void **state)
{
	uint64_t start_ms, unqueued;

	(void)state;
	start("trap '' TERM; echo $$ >&2; while :; do sleep 0.1; done", PATIENCE_MS);
	assert_int_equal(news(1), KVMB_CHILD_IS_READY);
	start_ms = kvmb_now_ms();
	unqueued = unqueued_ms();
	kvmb_child_end(&child);
	assert_true(unqueued_ms() - unqueued < KVMB_CHILD_GRACE_MS); /* nobody waited */
	assert_int_equal(news(2), KVMB_CHILD_ENDED);
	assert_int_equal(WTERMSIG(child.status), SIGKILL);
	assert_true(kvmb_now_ms() - start_ms >= KVMB_CHILD_GRACE_MS);
}

static void one_that_fails_says_why(void **state)
{
	char why[64];

	(void)state;
	child.noise = "noise";
	start("printf 'first\\nits l\\033[31mast\\nnoise: 12\\n\\n' >&2; exit 7", PATIENCE_MS);
	assert_int_equal(news(1), KVMB_CHILD_FAILED);
	assert_int_equal(child.state, KVMB_CHILD_NONE);
	kvmb_child_why(&child, "it", why, sizeof(why));
	assert_string_equal(why, "it: its l?[31mast"); /* nothing for a terminal to obey */
	start("exit 7", PATIENCE_MS);
	assert_int_equal(news(2), KVMB_CHILD_FAILED);
	kvmb_child_why(&child, "it", why, sizeof(why));
	assert_string_equal(why, "it ended with status 7");
	start("printf half >&2; kill -9 $$", PATIENCE_MS);
	assert_int_equal(news(3), KVMB_CHILD_FAILED);
	kvmb_child_why(&child, "it", why, sizeof(why));
	assert_string_equal(why, "it: half");
}

static void one_that_is_late_is_given_up(void **state)
{
	char why[64];

	(void)state;
	start("trap '' TERM; while :; do sleep 0.1; done", 100);
	assert_int_equal(news(1), KVMB_CHILD_FAILED);
	assert_int_equal(child.state, KVMB_CHILD_ENDING);
	kvmb_child_why(&child, "it", why, sizeof(why));
	assert_string_equal(why, "it does not get ready");
	assert_int_equal(news(2), KVMB_CHILD_ENDED);
}

static void a_long_line_is_cut(void **state)
{
	(void)state;
	start("head -c 100000 /dev/zero | tr '\\0' x >&2; echo >&2; exit 1", PATIENCE_MS);
	assert_int_equal(news(1), KVMB_CHILD_FAILED);
	assert_int_equal(strlen(child.words), sizeof(child.words) - 1);
}

static void waiting_tells_no_news(void **state)
{
	(void)state;
	start("sleep 0.1; echo $$ >&2; exec sleep 1000", PATIENCE_MS);
	assert_int_equal(kvmb_child_wait_ready(&child), 0);
	kvmb_child_fini(&child);
	assert_int_equal(child.state, KVMB_CHILD_NONE);
	start("sleep 0.1; exit 1", PATIENCE_MS);
	assert_int_equal(kvmb_child_wait_ready(&child), -ECHILD);
	start("exec sleep 1000", 100);
	assert_int_equal(kvmb_child_wait_ready(&child), -ETIMEDOUT);
	assert_int_equal(num_told, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(it_is_ready_and_ends_and_starts_again),
		T(one_that_does_not_end_is_killed),
		T(one_that_fails_says_why),
		T(one_that_is_late_is_given_up),
		T(a_long_line_is_cut),
		T(waiting_tells_no_news),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
