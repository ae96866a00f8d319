/* SPDX-License-Identifier: GPL-2.0-only */
/* A process of its own for a pump or a VNC client: without rights when strangers send. */
#ifndef KVMB_MIG_APART_H
#define KVMB_MIG_APART_H

#include "cli/mig_address.h"

/**
 * mig_apart_fork() - Fork a process, with a stream between the two
 * @a:	  for messages
 * @pump: set: this is the new process
 *
 * It is nobody's child, so that the VM need not wait for it.
 * Return: this side's end of the stream, non-blocking; -1 with one line printed.
 * Context: a process without threads. In the new one SIGPIPE does not come.
 */
int mig_apart_fork(const struct mig_address *a, bool *pump);

/**
 * mig_apart_keep() - Close all descriptors but these and standard error
 * @keep: keep[@num], -1 = nothing; is sorted
 *
 * The VM's terminal, what the shell left open: none of it is a pump's. It can still complain.
 */
void mig_apart_keep(int *keep, int num);

/**
 * mig_apart_confine() - Give up all rights
 * @text: for the message: whom it serves
 *
 * Return: false with one line printed. Context: no threads.
 */
bool mig_apart_confine(const char *text);

#endif
