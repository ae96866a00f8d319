/* SPDX-License-Identifier: GPL-2.0-only */
/* The functions of the commands, for their table in cli/cli_table.c. They return EXIT_*. */
#ifndef KVMB_CMD_H
#define KVMB_CMD_H

struct cli_args;

int cmd_run(struct cli_args *a);
int cmd_list(struct cli_args *a);
int cmd_info(struct cli_args *a);
int cmd_stats(struct cli_args *a);
int cmd_stop(struct cli_args *a);
int cmd_kill(struct cli_args *a);
int cmd_pause(struct cli_args *a);
int cmd_resume(struct cli_args *a);
int cmd_console(struct cli_args *a);
int disk_list(struct cli_args *a);
int disk_add(struct cli_args *a);
int disk_remove(struct cli_args *a);
int disk_resize(struct cli_args *a);
int disk_eject(struct cli_args *a);
int disk_insert(struct cli_args *a);
int disk_limit(struct cli_args *a);
int nic_list(struct cli_args *a);
int nic_add(struct cli_args *a);
int nic_remove(struct cli_args *a);
int nic_link(struct cli_args *a);
int nic_mtu(struct cli_args *a);
int cmd_help(struct cli_args *a);

#endif
