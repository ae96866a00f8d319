/* SPDX-License-Identifier: GPL-2.0-only */
/* Exit status, and the functions of the commands (vmm/cli_table.c). */
#ifndef KVMB_CMD_H
#define KVMB_CMD_H

#define EXIT_OK 0
#define EXIT_FAILED 1
#define EXIT_USAGE 2
#define EXIT_NO_VM 3
#define EXIT_STATE 4
#define EXIT_TIMEOUT 5
#define EXIT_KILLED 6 /* of run: the VM was ended by `kill` or a signal, not by its guest */

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
