// SPDX-License-Identifier: GPL-2.0-only
/* A thread's first steps. */
#include "lib/thread.h"

#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>

#include "tests/unit/test.h"

static char name_in_hook[16];
static enum kvmb_thread_class class_in_hook;
static pthread_t thread_in_hook;

static int setup(void **state)
{
	(void)state;
	memset(name_in_hook, 0, sizeof(name_in_hook));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kvmb_thread_on_enter(NULL);
	return 0;
}

static void note(enum kvmb_thread_class class)
{
	class_in_hook = class;
	thread_in_hook = pthread_self();
	prctl(PR_GET_NAME, name_in_hook);
}

static void *enter(void *arg)
{
	kvmb_thread_enter(KVMB_THREAD_STORAGE, arg);
	return NULL;
}

static pthread_t run_thread(const char *name)
{
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, enter, (void *)name), 0);
	pthread_join(t, NULL);
	return t;
}

static void hook_runs_on_the_named_thread(void **state)
{
	pthread_t t;

	(void)state;
	kvmb_thread_on_enter(note);
	t = run_thread("scsi0/3");
	assert_true(pthread_equal(t, thread_in_hook));
	assert_int_equal(class_in_hook, KVMB_THREAD_STORAGE);
	assert_string_equal(name_in_hook, "scsi0/3");

	run_thread("a name that is too long");
	assert_string_equal(name_in_hook, "a name that is ");
}

static void without_a_hook_only_the_name_is_set(void **state)
{
	(void)state;
	kvmb_thread_on_enter(note);
	kvmb_thread_on_enter(NULL);
	run_thread("scsi0/3");
	assert_string_equal(name_in_hook, "");
}

static void main_keeps_its_name(void **state)
{
	char before[16];

	(void)state;
	prctl(PR_GET_NAME, before);
	kvmb_thread_on_enter(note);
	kvmb_thread_enter(KVMB_THREAD_MAIN, NULL);
	assert_string_equal(name_in_hook, before);
	assert_int_equal(class_in_hook, KVMB_THREAD_MAIN);
}

static void classes_have_names(void **state)
{
	(void)state;
	assert_string_equal(kvmb_thread_class_name(KVMB_THREAD_MAIN), "main");
	assert_string_equal(kvmb_thread_class_name(KVMB_THREAD_STORAGE), "storage");
	assert_string_equal(kvmb_thread_class_name(KVMB_THREAD_OVERDUE), "overdue");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(hook_runs_on_the_named_thread),
		T(without_a_hook_only_the_name_is_set),
		T(main_keeps_its_name),
		T(classes_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
