// SPDX-License-Identifier: GPL-2.0-only
/*
 * A passt that misbehaves as the file FAKE_PASST says, found through PATH by the keeper of
 * passt_test.c. Each start adds a line to the file FAKE_PASST_STARTS: its process id.
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static const char *option(char **argv, const char *name)
{
	for (; argv[0] && argv[1]; argv++) {
		if (!strcmp(argv[0], name))
			return argv[1];
	}
	return "";
}

static void note_start(void)
{
	FILE *f = fopen(getenv("FAKE_PASST_STARTS"), "a");

	if (f) {
		fprintf(f, "%d\n", (int)getpid());
		fclose(f);
	}
}

static void say_ready(char **argv)
{
	int fd = open(option(argv, "--pid"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0)
		_exit(3);
	close(fd);
}

/* In name: what it may do does not matter here. */
static void confine(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = { 1, &allow };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

static const char *read_mode(void)
{
	static char mode[32];
	FILE *f = fopen(getenv("FAKE_PASST"), "r");

	if (!f || !fgets(mode, sizeof(mode), f))
		_exit(2);
	fclose(f);
	return mode;
}

static void serve(int fd)
{
	char buf[4096];

	while (read(fd, buf, sizeof(buf)) > 0)
		;
}

int main(int argc, char **argv)
{
	const char *mode = read_mode();
	int fd = atoi(option(argv, "--fd")), i;

	(void)argc;
	note_start();
	if (!strcmp(mode, "loud")) {
		fprintf(stderr,
			"Failed to send 54 bytes to syslog\n"
				"No routable interface for IPv4, exiting\n");
		return 1;
	}
	if (!strcmp(mode, "stubborn") || !strcmp(mode, "deaf") || !strcmp(mode, "silent"))
		signal(SIGTERM, SIG_IGN);
	if (!strcmp(mode, "chatty")) { /* more than a pipe holds */
		for (i = 0; i < 20000; i++)
			fprintf(stderr, "this and that %d\n", i);
	}
	if (strcmp(mode, "silent"))
		say_ready(argv);
	if (strcmp(mode, "naked"))
		confine();
	if (!strcmp(mode, "loop")) {
		usleep(100000); /* it is ready first */
		return 0;
	}
	if (!strcmp(mode, "stubborn"))
		close(fd);
	if (!strcmp(mode, "good") || !strcmp(mode, "chatty"))
		serve(fd);
	else
		for (;;)
			pause();
	return 0;
}
