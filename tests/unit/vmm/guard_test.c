// SPDX-License-Identifier: GPL-2.0-only
/* A process that waits for something that does not come is ended by a signal. */
#include "vmm/guard.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/exits.h"
#include "lib/log.h"
#include "tests/unit/test.h"
#include "vmm/console.h"

static int said[2], restored[2];

void console_restore_tty(void)
{
	if (write(restored[1], "r", 1) < 0)
		abort();
}

static int setup(void **state)
{
	(void)state;
	return pipe(said) | pipe2(restored, O_NONBLOCK);
}

static int teardown(void **state)
{
	(void)state;
	close(said[0]), close(said[1]), close(restored[0]), close(restored[1]);
	return 0;
}

/* A VM that is being built, and waits. */
static void hang(bool guarded)
{
	struct guard g;
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	dup2(said[1], STDERR_FILENO);
	if (guard_start(&g, "t", fd))
		_exit(100);
	if (!guarded) {
		guard_stop(&g);
		raise(SIGTERM); /* for the loop, which comes next */
		_exit(read(fd, &(struct signalfd_siginfo){ 0 }, sizeof(struct signalfd_siginfo)) >
				      0 ?
			      0 :
			      101);
	}
	if (write(said[1], "up\n", 3) != 3)
		_exit(102);
	for (;;)
		pause();
}

static const char *hear_until(const char *what)
{
	static char buf[8192];
	size_t len = 0;
	ssize_t n;

	buf[0] = 0;
	while (!strstr(buf, what) && (n = read(said[0], buf + len, sizeof(buf) - 1 - len)) > 0) {
		len += (size_t)n;
		buf[len] = 0;
	}
	return buf;
}

static void guard_signal_ends_the_process(void **state)
{
	int status;
	char c;
	pid_t pid = fork();

	(void)state;
	if (!pid)
		hang(true);
	hear_until("up\n");
	kill(pid, SIGTERM);
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EXIT_KILLED);
	assert_non_null(strstr(hear_until("at once\n"), "kvmbus: t: SIGTERM: ended at once"));
	assert_int_equal(read(restored[0], &c, 1), 1);
}

static void guard_stop_leaves_signals_to_the_loop(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (!pid)
		hang(false);
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(guard_signal_ends_the_process),
		T(guard_stop_leaves_signals_to_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
