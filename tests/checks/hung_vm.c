// SPDX-License-Identifier: GPL-2.0-only
/*
 * hung-vm SOCKET: a VM's process that hangs, as far as `kvmbus kill` sees it. It has a keeper, may
 * not be looked into, takes no more connections, and is stopped. Prints its process id before that.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/keeper.h"
#include "lib/sock.h"

/* Return: 0, or errno when there is no more room. */
static int knock(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	return connect(fd, (struct sockaddr *)&a, sizeof(a)) ? errno : 0;
}

int main(int argc, char **argv)
{
	char why[256] = "", keeper[256];
	struct kvmb_listener l;
	int i;

	if (argc != 2 || kvmb_keeper_start("hung", true, why, sizeof(why)) ||
	    kvmb_listen_unix(&l, argv[1], why, sizeof(why)) || kvmb_keeper_adopt(&l) ||
	    kvmb_keeper_path(argv[1], keeper, sizeof(keeper)) ||
	    kvmb_keeper_listen(keeper, why, sizeof(why))) {
		fprintf(stderr, "hung-vm: %s\n", why);
		return 1;
	}
	kvmb_keeper_seal();
	prctl(PR_SET_DUMPABLE, 0);
	for (i = 0; i < 100 && !knock(argv[1]); i++)
		;
	printf("%d\n", (int)getpid());
	fflush(stdout);
	raise(SIGSTOP);
	return 0;
}
