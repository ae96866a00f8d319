// SPDX-License-Identifier: GPL-2.0-only
/*
 * A passt that misbehaves as FAKE_PASST says, found through PATH by the test of
 * backend/net/passt.c. Each start adds a line to the file FAKE_PASST_STARTS: its process id.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static void serve(int fd)
{
	char buf[4096];

	while (read(fd, buf, sizeof(buf)) > 0)
		;
}

int main(int argc, char **argv)
{
	const char *mode = getenv("FAKE_PASST");
	int fd = atoi(option(argv, "--fd")), i;

	if (!argc || !mode)
		return 2;
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
	if (!strcmp(mode, "loop"))
		return 0;
	if (!strcmp(mode, "stubborn"))
		close(fd);
	if (!strcmp(mode, "good") || !strcmp(mode, "chatty"))
		serve(fd);
	else
		for (;;)
			pause();
	return 0;
}
