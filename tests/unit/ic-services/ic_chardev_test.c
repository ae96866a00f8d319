// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device between a guest's service and its daemon, with daemons that are slow, late, killed, or
 * wrong. It is kernel code; tests/harness/kshim/ stands in for the kernel.
 */
#include "ic-services/ic_chardev.h"

#include <linux/fs.h>
#include <linux/miscdevice.h>

#include "tests/unit/test.h"

struct miscdevice *kshim_misc;

static struct kvmb_ic_chardev *d;
static const struct file_operations *ops;
static struct file f;
static char buf[64];
static loff_t pos;

static int hello(void *arg, const void *msg, u32 len, void *say, u32 *say_len)
{
	(void)arg;
	if (len != 4 || memcmp(msg, "here", 4))
		return -EINVAL;
	memcpy(say, "welcome", 8);
	*say_len = 8;
	return 0;
}

static const struct kvmb_ic_chardev_ops chardev = { .name = "vmbus/x", .max = 64, .hello = hello };

static struct { /* what a service asks, on a thread */
	pthread_t thread;
	const char *msg;
	unsigned int seconds;
	char answer[64];
	int ret;
} q;

static void *ask_it(void *arg)
{
	(void)arg;
	q.ret = kvmb_ic_chardev_ask(d, q.msg, (u32)strlen(q.msg) + 1, q.answer, sizeof(q.answer),
				    q.seconds);
	return NULL;
}

static void ask(const char *msg, unsigned int seconds)
{
	q.msg = msg;
	q.seconds = seconds;
	assert_int_equal(pthread_create(&q.thread, NULL, ask_it, NULL), 0);
}

static int answer(void)
{
	pthread_join(q.thread, NULL);
	return q.ret;
}

static void reads(const char *want)
{
	assert_int_equal(ops->read(&f, buf, sizeof(buf), &pos), strlen(want) + 1);
	assert_string_equal(buf, want);
}

static void writes(const char *s)
{
	assert_int_equal(ops->write(&f, s, strlen(s) + 1, &pos), strlen(s) + 1);
}

/* A question waits to be read. */
static void until_asked(void)
{
	while (!ops->poll(&f, NULL))
		usleep(1000);
}

static void open_and_register(void)
{
	assert_int_equal(ops->open(NULL, &f), 0);
	assert_int_equal(ops->write(&f, "here", 4, &pos), 4);
}

static int setup(void **state)
{
	(void)state;
	d = kvmb_ic_chardev_create(&chardev, NULL);
	assert_false(IS_ERR(d));
	memset(&f, 0, sizeof(f));
	f.private_data = kshim_misc;
	ops = kshim_misc->fops;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (kshim_misc)
		kvmb_ic_chardev_destroy(d);
	ops->release(NULL, &f);
	return 0;
}

static void chardev_registers_one_daemon(void **state)
{
	struct file other = f;

	(void)state;
	ask("nobody", 1);
	assert_int_equal(answer(), -ENOTCONN);
	assert_int_equal(ops->open(NULL, &f), 0);
	assert_int_equal(ops->open(NULL, &other), -EBUSY);
	f.f_flags = O_NONBLOCK;
	assert_int_equal(ops->read(&f, buf, sizeof(buf), &pos), -EAGAIN);
	assert_int_equal(ops->poll(&f, NULL), 0);
	assert_int_equal(ops->write(&f, "?", 2, &pos), -EINVAL);
	assert_int_equal(ops->write(&f, buf, 0, &pos), -EINVAL);
	assert_int_equal(ops->write(&f, buf, 65, &pos), -EINVAL);
	ask("not yet", 1);
	assert_int_equal(answer(), -ENOTCONN);
	assert_int_equal(ops->write(&f, "here", 4, &pos), 4);
	assert_int_equal(ops->poll(&f, NULL), EPOLLIN | EPOLLRDNORM);
	assert_int_equal(ops->read(&f, buf, 7, &pos), -EINVAL); /* it does not fit */
	ask("question", 5); /* waits for the daemon to read its welcome */
	reads("welcome");
	f.f_flags = 0;
	reads("question");
	writes("answer");
	assert_int_equal(answer(), 7);
	assert_string_equal(q.answer, "answer");
}

static void chardev_late_answer_is_to_nothing(void **state)
{
	(void)state;
	open_and_register();
	reads("welcome");
	writes("unasked");
	ask("slow", 1);
	reads("slow");
	assert_int_equal(answer(), -ETIMEDOUT);
	ask("second", 5);
	until_asked();
	writes("late");
	reads("second");
	writes("mine");
	assert_int_equal(answer(), 5);
	assert_string_equal(q.answer, "mine");
	ask("unread", 1);
	assert_int_equal(answer(), -ETIMEDOUT);
	assert_int_equal(ops->poll(&f, NULL), 0); /* nobody wants to know any more */
}

static void chardev_daemon_is_killed(void **state)
{
	(void)state;
	open_and_register();
	reads("welcome");
	ask("last", 60);
	reads("last");
	ops->release(NULL, &f);
	assert_int_equal(answer(), -ENOTCONN);
	open_and_register(); /* the next one is asked the next thing */
	ask("next", 5);
	reads("welcome");
	reads("next");
	writes("fine");
	assert_int_equal(answer(), 5);
}

static void chardev_interrupted_nobody_waits(void **state)
{
	u64 began = kvmb_now_ms();

	(void)state;
	kvmb_ic_chardev_interrupt(d, true);
	kvmb_ic_chardev_await(d, 60);
	kvmb_ic_chardev_interrupt(d, false);
	open_and_register();
	kvmb_ic_chardev_await(d, 60); /* it is there */
	reads("welcome");
	ask("before sleep", 60);
	reads("before sleep");
	kvmb_ic_chardev_interrupt(d, true);
	assert_int_equal(answer(), -ENODEV);
	ask("asleep", 60);
	assert_int_equal(answer(), -ENODEV);
	kvmb_ic_chardev_interrupt(d, false);
	ask("awake", 5);
	until_asked();
	writes("to what was before");
	reads("awake");
	writes("good morning");
	assert_int_equal(answer(), 13);
	assert_true(kvmb_now_ms() - began < 30000);
}

static void chardev_goes_while_it_is_open(void **state)
{
	(void)state;
	open_and_register();
	kvmb_ic_chardev_destroy(d);
	assert_int_equal(ops->read(&f, buf, sizeof(buf), &pos), -EBADF);
	assert_int_equal(ops->write(&f, "x", 2, &pos), -EBADF);
	assert_int_equal(ops->poll(&f, NULL), EPOLLERR | EPOLLHUP);
}

static void chardev_is_not_opened_when_it_goes(void **state)
{
	(void)state;
	assert_int_equal(ops->open(NULL, &f), 0); /* holds it */
	kvmb_ic_chardev_destroy(d);
	assert_int_equal(ops->open(NULL, &f), -ENODEV); /* by who was about to */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(chardev_registers_one_daemon),  T(chardev_late_answer_is_to_nothing),
		T(chardev_daemon_is_killed),	  T(chardev_interrupted_nobody_waits),
		T(chardev_goes_while_it_is_open), T(chardev_is_not_opened_when_it_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
