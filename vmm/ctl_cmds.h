/* SPDX-License-Identifier: GPL-2.0-only */
/* The commands of the control socket. */
#ifndef KVMB_CTL_CMDS_H
#define KVMB_CTL_CMDS_H

#include "vmm/ctl_client.h"

/**
 * ctl_run_line() - ctl_clients.run_line: serve one command
 * @c:    in state COMMANDS
 * @line: line[len], without the newline
 * @len:  bytes
 * @fds:  came with it; hostile, too. What the command takes it owns
 *
 * Context: main thread. Trust: whoever may connect controls the VM, but @line may be anything.
 */
void ctl_run_line(struct ctl_client *c, const char *line, size_t len, struct handover_fds *fds);

#endif
