/* SPDX-License-Identifier: GPL-2.0-only */
/* The control socket of a VM: JSON lines, and consoles for clients that ask for one. */
#ifndef KVMB_CTL_H
#define KVMB_CTL_H

#include "vmm/vm.h"

struct ctl;

/**
 * ctl_create() - Make the socket and listen
 * @vm:   its configuration names the socket
 * @why:  why[size], on failure one phrase for the user
 * @size: bytes
 *
 * Return: the server; NULL on failure, for example because the name is in use. Context: main
 * thread.
 */
struct ctl *ctl_create(struct vm *vm, char *why, size_t size);

/** ctl_destroy() - Hang up on all clients and remove the socket. NULL is fine. Main thread. */
void ctl_destroy(struct ctl *c);

/** ctl_path() - Path of the socket, or the one that it will have. */
const char *ctl_path(const struct ctl *c);

enum ctl_event { CTL_EVENT_REBOOTED, CTL_EVENT_ENDED, CTL_EVENT_SHUTDOWN_REFUSED };

/** ctl_notify() - Report an event that clients may wait for. Main thread. */
void ctl_notify(struct ctl *c, enum ctl_event e);

/** ctl_console_output() - console_watcher.output: new output for clients with the console. */
void ctl_console_output(void *ctl);

/** ctl_console_room() - console_watcher.room: the guest takes input again. Main thread. */
void ctl_console_room(void *ctl);

#endif
