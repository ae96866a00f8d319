/* SPDX-License-Identifier: GPL-2.0-only */
/* Exit statuses of the kvmbus command; users find them in docs/man/kvmbus.8.scd. */
#ifndef KVMB_EXITS_H
#define KVMB_EXITS_H

#define EXIT_OK 0
#define EXIT_FAILED 1
#define EXIT_USAGE 2
#define EXIT_NO_VM 3
#define EXIT_STATE 4
#define EXIT_TIMEOUT 5
#define EXIT_KILLED 6 /* of run: the VM was ended by `kill` or a signal, not by its guest */

#endif
