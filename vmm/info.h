/* SPDX-License-Identifier: GPL-2.0-only */
/* What a VM tells about itself, as JSON. Field names are stable: docs/json.md. */
#ifndef KVMB_INFO_H
#define KVMB_INFO_H

#include <jansson.h>

#include "vmm/vm.h"

/**
 * info_text() - A string of the host's, a file name or a message with one, which need not be UTF-8
 * Return: new reference; what JSON cannot hold has become question marks.
 */
json_t *info_text(const char *s);

json_t *info_vm(struct vm *vm);	  /* new reference */
json_t *info_stats(struct vm *vm); /* new reference */

#endif
