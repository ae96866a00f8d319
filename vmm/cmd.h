/* SPDX-License-Identifier: GPL-2.0-only */
/* Subcommands and what they share. */
#ifndef KVMB_CMD_H
#define KVMB_CMD_H

#define EXIT_OK 0
#define EXIT_FAILED 1
#define EXIT_USAGE 2
#define EXIT_NO_VM 3
#define EXIT_STATE 4
#define EXIT_TIMEOUT 5
#define EXIT_KILLED 6 /* of run: the VM was ended by `kill` or a signal, not by its guest */

struct command {
	const char *name;
	const char *args;    /* for help */
	const char *summary; /* for help */
	int (*run)(int argc, char **argv); /* argv[0] is the subcommand; returns EXIT_* */
};

int cmd_run(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_kill(int argc, char **argv);
int cmd_pause(int argc, char **argv);
int cmd_resume(int argc, char **argv);
int cmd_console(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_disk(int argc, char **argv);
int cmd_nic(int argc, char **argv);

#endif
