/* SPDX-License-Identifier: GPL-2.0-only */
/* A VM's state and counters as JSON. The names of fields are stable: docs/json.md. */
#ifndef KVMB_INFO_H
#define KVMB_INFO_H

#include <jansson.h>

#include "vmm/vm.h"

/** info_vm() - The answer to `info`. Return: a new reference. Context: main thread. */
json_t *info_vm(struct vm *vm);

/** info_stats() - The answer to `stats`. Return: a new reference. Context: main thread. */
json_t *info_stats(struct vm *vm);

#endif
