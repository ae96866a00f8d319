/* SPDX-License-Identifier: GPL-2.0-only */
/* Running a VM in this process: what `kvmbus run` does when its options are known. */
#ifndef KVMB_RUN_H
#define KVMB_RUN_H

#include <stdbool.h>

struct vm_config;

/**
 * run_vm() - Run a VM until it ends
 * @cfg:  the VM
 * @json: print one JSON line with name and process id when it runs
 *
 * Return: EXIT_* of lib/exits.h, or the status that a test device gave. Context: main thread,
 * before other threads exist.
 */
int run_vm(const struct vm_config *cfg, bool json);

#endif
