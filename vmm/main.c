// SPDX-License-Identifier: GPL-2.0-only
/* The kvmbus command: the table of subcommands and nothing else. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/util.h"
#include "vmm/cmd.h"

/* clang-format off */
static const struct command commands[] = {
	{ "run",     "--kernel F [options]",             "start a VM in this process",            cmd_run },
	{ "list",    "[--json]",                         "the running VMs",                       cmd_list },
	{ "info",    "VM [--json]",                      "state, channels, disks, NICs, services", cmd_info },
	{ "stop",    "VM [--reboot] [--timeout S]",      "shut the guest down in good order",     cmd_stop },
	{ "kill",    "VM",                               "end a VM at once",                      cmd_kill },
	{ "pause",   "VM",                               "stop its CPUs and its time",            cmd_pause },
	{ "resume",  "VM",                               "go on after a pause",                   cmd_resume },
	{ "console", "VM",                               "its serial port; Ctrl-] leaves",        cmd_console },
	{ "disk",    "VM list|add|remove|... [--json]",  "disks of a running VM; disk --help",     cmd_disk },
	{ "nic",     "VM list|add|remove|link|mtu",       "NICs of a running VM; nic --help",      cmd_nic },
	{ "stats",   "VM [--watch] [--json]",            "counters of exits, rings, disks, NICs", cmd_stats },
};
/* clang-format on */

static void help(FILE *f)
{
	size_t i;

	fprintf(f, "usage: kvmbus COMMAND ...\n\n");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(f, "  %-8s %-32s %s\n", commands[i].name, commands[i].args, commands[i].summary);
	fprintf(f, "\n--json works on every command that answers. `kvmbus run --help` lists its options; "
		   "kvmbus(8) has it all.\n");
}

/* Who started us without a standard stream must not find what we print in a file of ours that got its number. */
static void fill_standard_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	size_t i;

	fill_standard_fds();
	if (argc >= 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
			  !strcmp(argv[1], "help"))) {
		help(stdout);
		return EXIT_OK;
	}
	if (argc >= 2 && !strcmp(argv[1], "--version")) {
		printf("kvmbus %s\n", KVMBUS_VERSION);
		return EXIT_OK;
	}
	/* for the shell completion */
	if (argc >= 2 && !strcmp(argv[1], "__complete")) {
		for (i = 0; i < ARRAY_SIZE(commands); i++)
			printf("%s\n", commands[i].name);
		return EXIT_OK;
	}
	for (i = 0; argc >= 2 && i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	}
	if (argc >= 2)
		fprintf(stderr, "kvmbus: unknown command \"%s\"\n", argv[1]);
	help(stderr);
	return EXIT_USAGE;
}
