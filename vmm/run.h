/* SPDX-License-Identifier: GPL-2.0-only */
/* This process as a VM: what `kvmbus run` does once its options are known. */
#ifndef KVMB_RUN_H
#define KVMB_RUN_H

#include <stdbool.h>

struct vm_config;

/**
 * run_vm() - Be the VM until it ends
 * @json: print one JSON line with name and process id when it runs
 * Return: EXIT_* of lib/exits.h, or what a test device said. Context: main thread, no other exists.
 */
int run_vm(const struct vm_config *cfg, bool json);

#endif
