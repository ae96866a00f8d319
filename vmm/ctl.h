/* SPDX-License-Identifier: GPL-2.0-only */
/* The control socket: one VM, JSON lines, and consoles of those who ask for one. */
#ifndef KVMB_CTL_H
#define KVMB_CTL_H

#include "vmm/vm.h"

struct ctl;

/**
 * ctl_create() - Listen
 * @why: on failure, one phrase for the user
 * Return: the server, NULL on failure (for example: the name is in use).
 */
struct ctl *ctl_create(struct vm *vm, char *why, size_t size);
void ctl_destroy(struct ctl *c);

enum ctl_event { CTL_EVENT_REBOOTED, CTL_EVENT_ENDED, CTL_EVENT_SHUTDOWN_REFUSED };

/** ctl_notify() - Something happened that a client may wait for. Main thread. */
void ctl_notify(struct ctl *c, enum ctl_event e);

/** ctl_console_output() - For console_watcher: show new serial output to every client that has the console. Main thread. */
void ctl_console_output(void *ctl);

/** ctl_console_room() - For console_watcher: the guest takes input again. Main thread. */
void ctl_console_room(void *ctl);

#endif
