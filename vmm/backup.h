/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Backing a running VM's disks up: `kvmbus backup`.
 *
 * DOC: Theory of operation
 *
 *     WARMING --> FREEZING --> RESTING --> COPYING --> the answer
 *
 * WARMING: a thread finds out which files can be cloned, and brings to disk what is not there yet.
 * FREEZING: the guest freezes its file systems (ic-services/vss/vss_host.h).
 * RESTING: vCPUs stand, and every request that was begun ends (vm_rest()). Then no disk is being
 *   written, and that is the moment: each disk gets its point (backend/block/disk_point.h).
 * COPYING: the guest runs again and is thawed; the thread copies (backup_copy.h).
 *
 * The client opens the files, and a pipe by which we learn what became of it: when it ends the
 * backup is given up. Whatever fails, and wherever: the VM goes on, and the guest is thawed; by
 * VSS itself if nobody asks for it. A disk that does not finish its requests costs the guest
 * BACKUP_RESTING_MS; one that hangs later, or a file that cannot be written fast enough, costs the
 * backup.
 *
 * One backup at a time; no save, no migration and no change of disks meanwhile.
 *
 * Which disks: those that the guest can write, except media. The client says which it has files
 * for, and they must be these.
 */
#ifndef KVMB_BACKUP_H
#define KVMB_BACKUP_H

#include "vmm/handover.h"
#include "vmm/reply.h"
#include "vmm/vm.h"

/**
 * backup_begin() - Back the VM up
 * @args:  of the command: docs/json.md
 * @fds:   that came with it: the reading end of a pipe, and a file for each disk; taken over
 * @reply: when all is copied, or why it is not
 *
 * Context: main thread. Trust: @args and @fds are the client's, who controls the VM anyway.
 */
void backup_begin(struct vm *vm, json_t *args, struct handover_fds *fds, struct ctl_reply reply);

/** backup_info() - How far it is. Return: a new reference; JSON null: there is none. */
json_t *backup_info(const struct vm *vm);

/** backup_stands() - Does the guest stand for it? Nobody may resume it then. */
bool backup_stands(const struct vm *vm);

/** backup_destroy() - The VM ends: give it up. Main thread. */
void backup_destroy(struct vm *vm);

#endif
