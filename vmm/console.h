/* SPDX-License-Identifier: GPL-2.0-only */
/* The serial port's far end: standard output, a file, a socket; called by vm.c and ctl.c. */
#ifndef KVMB_CONSOLE_H
#define KVMB_CONSOLE_H

#include "vmm/vm.h"

/** console_output() - New output is there; serial_ops.output. Any thread. */
void console_output(void *vm);

#endif
