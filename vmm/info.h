/* SPDX-License-Identifier: GPL-2.0-only */
/* What a VM tells about itself, as JSON. Field names are stable: docs/json.md. */
#ifndef KVMB_INFO_H
#define KVMB_INFO_H

#include <jansson.h>

#include "vmm/vm.h"

json_t *info_vm(struct vm *vm);	  /* new reference */
json_t *info_stats(struct vm *vm); /* new reference */

#endif
