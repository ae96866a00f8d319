/* SPDX-License-Identifier: GPL-2.0-only */
/* The commands of the control socket. */
#ifndef KVMB_CTL_CMDS_H
#define KVMB_CTL_CMDS_H

#include "vmm/ctl_client.h"

/**
 * ctl_run_line() - For ctl_clients.run_line: serve line[len]
 * Context: main thread. Trust: whoever may connect owns the VM, and may still send anything.
 */
void ctl_run_line(struct ctl_client *c, const char *line, size_t len);

#endif
