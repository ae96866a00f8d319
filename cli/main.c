// SPDX-License-Identifier: GPL-2.0-only
/* The kvmbus command: finds the command in the table, runs it, and checks that output worked. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "lib/exits.h"

/*
 * If we were started without a standard stream, a file that we open would get its number, and
 * receive what we print.
 */
static void fill_standard_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* A script must not take a full disk for an empty list. */
static int finish(int code)
{
	if (!fflush(stdout) && !ferror(stdout))
		return code;
	if (code)
		return code;
	cli_error("standard output: %s", strerror(errno));
	return EXIT_FAILED;
}

static int command(int argc, char **argv)
{
	struct cli_args a;
	int code;

	if (!cli_rows(argv[0]))
		return cli_unknown(argv[0]);
	code = cli_parse(argc, argv, &a);
	if (code == EXIT_OK)
		code = a.cmd->run(&a);
	cli_free(&a);
	return code < 0 ? EXIT_OK : code;
}

int main(int argc, char **argv)
{
	const char *first = argc >= 2 ? argv[1] : "";

	fill_standard_fds();
	if (!strcmp(first, "--help") || !strcmp(first, "-h"))
		cli_help(stdout, NULL, NULL);
	else if (!strcmp(first, "--version"))
		printf("kvmbus %s\n", KVMBUS_VERSION);
	else if (!strcmp(first, "__complete"))
		cli_complete(argc - 2, argv + 2);
	else if (!strcmp(first, "__table"))
		cli_dump();
	else if (!strcmp(first, "__man") && argc == 3)
		return finish(cli_man(argv[2]));
	else if (argc >= 2)
		return finish(command(argc - 1, argv + 1));
	else {
		cli_error("which command? see kvmbus help");
		return EXIT_USAGE;
	}
	return finish(EXIT_OK);
}
