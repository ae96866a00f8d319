/* SPDX-License-Identifier: GPL-2.0-only */
/* A VM's disks as JSON. The names of fields are stable: docs/json.md. */
#ifndef KVMB_DISK_INFO_H
#define KVMB_DISK_INFO_H

#include <jansson.h>

struct vm;

/**
 * disks_list() - The VM's disks, for `kvmbus info` and `kvmbus disk VM list`
 *
 * Return: a new reference to an array. Context: main thread.
 */
json_t *disks_list(struct vm *vm);

/** disks_stats() - Their counters, for `kvmbus stats`. Return: a new reference. Main thread. */
json_t *disks_stats(struct vm *vm);

#endif
