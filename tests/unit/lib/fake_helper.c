// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the keeper starts in keeper_test.c, in the place of a storage daemon or passt: behaves as
 * its first argument says. No sanitizer: it runs in a jail without /proc.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/keeper.h"

/* Says on its monitor what its first file holds, and echoes what comes over connections. */
static int serve(void)
{
	char buf[64];
	ssize_t n = pread(KVMB_RECIPE_FILES, buf, sizeof(buf), 0);
	int fd;

	if (write(KVMB_RECIPE_MONITOR, buf, (size_t)(n > 0 ? n : 0)) != n)
		return 1;
	while ((fd = accept(KVMB_RECIPE_SOCKET, NULL, NULL)) >= 0) {
		while ((n = read(fd, buf, sizeof(buf))) > 0) {
			if (write(fd, buf, (size_t)n) != n)
				return 1;
		}
		close(fd);
	}
	return 1;
}

/* Write back, and end. */
static void on_term(int sig)
{
	(void)sig;
	_exit(pwrite(KVMB_RECIPE_FILES, "flushed", 7, 0) != 7);
}

static void confine(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = { 1, &allow };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	signal(SIGTERM, on_term);
	if (!strcmp(mode, "serve"))
		return serve();
	if (!strcmp(mode, "fail")) {
		fprintf(stderr, "first\nlas\033t\n");
		return 7;
	}
	if (!strcmp(mode, "confined") || !strcmp(mode, "bare"))
		fprintf(stderr, "begins\n%d\n", (int)getpid());
	if (!strcmp(mode, "confined")) {
		usleep(50000);
		confine();
	}
	if (!strcmp(mode, "deaf"))
		signal(SIGTERM, SIG_IGN);
	for (;;)
		pause();
}
