/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sockets between a VM's guest and this host, as other VMMs have them (Firecracker, Cloud
 * Hypervisor).
 *
 * DOC: Theory of operation
 *
 * Beside the control socket NAME.sock stands NAME.vsock, of mode 0600. Who connects to it writes
 * "CONNECT PORT\n", reads "OK N\n", and is connected to the guest's AF_VSOCK port. A guest that
 * connects to port PORT of CID 2 is connected to the Unix socket NAME.vsock_PORT, which whoever
 * serves it puts there.
 *
 * The VM's process makes and keeps the first socket, before it gives up all names. It cannot reach
 * the second kind: it has no files, and no connect(). Its keeper connects for it (lib/keeper.h,
 * KVMB_RECIPE_PORTS): the recipe has the path, fixed by the launcher, and the VM's process says the
 * port and no more. So a process that was taken over reaches the sockets that its guest may reach
 * anyway. A directory that it had open would not do: Linux has no connect() relative to one.
 *
 * host-vsp/hvsock/hvsock.h moves the data.
 */
#ifndef KVMB_VSOCK_H
#define KVMB_VSOCK_H

#include <jansson.h>

#include "vmm/vm.h"

/**
 * vsock_open() - Make the socket, unless the VM has none
 * @control: path of the control socket, or the one that it will have
 *
 * Return: 0 or -errno, logged. Context: launcher.
 */
int vsock_open(struct vm *vm, const char *control);

/** vsock_create() - Serve it. Return: 0 or -errno, logged. The bus is there. */
int vsock_create(struct vm *vm);

/** vsock_destroy() - Hang up on everybody. The bus is destroyed. */
void vsock_destroy(struct vm *vm);

/** vsock_info() - For info: path and connections; null: none. docs/json.md. */
json_t *vsock_info(struct vm *vm);

#endif
