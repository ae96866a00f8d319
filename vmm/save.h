/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Saving a VM into a file.
 *
 * DOC: Theory of operation
 *
 * The client opens the file, and a pipe by which we learn what became of the client. The VM is
 * paused, then its bus (host-vsp/vsp.h), so that nobody writes to guest memory; the main thread
 * makes the sections, and a thread of its own writes memory and sections into the file. The
 * answer means: everything is on disk, and the VM stands. The client now gives the file its name,
 * and writes one byte into the pipe: the VM ends. When the pipe ends without that byte, at whatever
 * time, the save is given up: the file is made void, and the VM goes on as before.
 *
 * So there is never a file under the wanted name that is not whole, and at no time two VMs: one
 * that runs and one that can be restored.
 */
#ifndef KVMB_SAVE_H
#define KVMB_SAVE_H

#include "vmm/reply.h"
#include "vmm/state_file.h"
#include "vmm/vm.h"

/**
 * save_begin() - Save the VM, and end it when the client has the file
 * @vm:    running or paused
 * @file:  empty, for reading and writing; taken over
 * @pipe:  reading end; taken over. One byte: the client has named the file. Its end: given up
 * @wish:  how memory is written; copied; threads == 0: as many as there are CPUs, 4 at most
 * @reply: when everything is written, or why it is not
 *
 * Context: main thread. Trust: @file and @pipe are the client's, who controls the VM anyway.
 */
void save_begin(struct vm *vm, int file, int pipe, const struct state_file_wish *wish,
		struct ctl_reply reply);

/** save_info() - How far it is. Return: a new reference; JSON null: nothing is saved. */
json_t *save_info(const struct vm *vm);

/** save_cancel() - Give up a save, if there is one and it is not too late. Main thread. */
void save_cancel(struct vm *vm);

/** save_destroy() - The VM ends: give up what is not complete. Main thread. */
void save_destroy(struct vm *vm);

#endif
