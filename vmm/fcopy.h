/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copies a file of the host into the guest.
 *
 * DOC: Theory of operation
 *
 * The client has opened the file, and says how long it is. A thread reads a block of it, then the
 * next one while the guest takes the first; a file on a network may make it wait, and never the
 * main thread. The client holds the other end of a pipe: when it is gone, so is the copy.
 */
#ifndef KVMB_VMM_FCOPY_H
#define KVMB_VMM_FCOPY_H

#include <jansson.h>

#include "vmm/reply.h"
#include "vmm/vm.h"

/** fcopy_create() - Make the service, and put it into the table. Return: as services_add(). */
int fcopy_create(struct vm *vm);

/**
 * fcopy_begin() - Begin; answered when the guest has all of it
 * @args: "path", "name": of the guest; "size": bytes; "overwrite", "make_path"
 * @file: owned; hostile
 * @pipe: likewise
 *
 * Context: main thread, as all here.
 */
void fcopy_begin(struct vm *vm, json_t *args, int file, int pipe, struct ctl_reply reply);

/** fcopy_info() - How far it is, for info; null: there is none. Return: a new reference. */
json_t *fcopy_info(const struct vm *vm);

/**
 * fcopy_destroy() - Its channel is closed, the bus may be gone; waits for the thread
 *
 * Fine if it was never made.
 */
void fcopy_destroy(struct vm *vm);

#endif
