/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which system calls each thread of a VM may make.
 *
 * DOC: Theory of operation
 *
 * The table in policy.c has a row for each system call, with the classes of threads
 * (lib/thread.h) that make it and conditions on its arguments. A thread installs its class's
 * filter when it enters, the main thread when the VM is built and no vCPU has run. No row opens,
 * connects or executes anything by name, makes a process, or makes memory executable.
 *
 * Threads that the main thread makes later inherit its filter, as disk threads do that of the job
 * that opened the disk; so these classes have every row of whom they make. A vCPU's thread exists
 * before that, and has rows that no other class has.
 *
 * A call without a row ends the process: SIGSYS comes, its handler writes one line to the log, and
 * the default action follows, a crash. No row changes a signal's action, so the handler stays.
 *
 * Limits: a filter cannot look at what pointers point to. Calls that name something only there
 * (sendmsg, openat2) must have no row, or reach nothing.
 */
#ifndef VMM_POLICY_H
#define VMM_POLICY_H

#include <stddef.h>
#include <stdint.h>

#include "lib/thread.h"

struct kvmb_sys_program;
struct kvmb_sys_rule;

enum policy_mode {
	POLICY_OFF,
	POLICY_LOG,    /* the kernel logs what the table does not allow, and does it */
	POLICY_STRICT, /* the process ends there */
};

/**
 * policy_install() - Have every thread install its filter when it enters
 * @mode: POLICY_OFF does nothing
 * @vm:   name of the VM, for the line; not copied
 * @why:  why[size], on failure one phrase for the user
 *
 * The caller itself is not confined until it enters as KVMB_THREAD_MAIN.
 *
 * Return: 0; -ENOSYS: this kernel has no filters, and nothing was done. Context: one thread, in the
 * process that will run the VM; no privilege is needed after it.
 */
int policy_install(enum policy_mode mode, const char *vm, char *why, size_t size);

/**
 * policy_program() - A class's filter
 * @otherwise: SECCOMP_RET_* for what has no row
 * Return: 0, -E2BIG.
 */
int policy_program(enum kvmb_thread_class class, uint32_t otherwise, struct kvmb_sys_program *p);

/** policy_rules() - The table, for tests. Return: rules[@num]. */
const struct kvmb_sys_rule *policy_rules(size_t *num);

#endif
