/* SPDX-License-Identifier: GPL-2.0-only */
/* ACPI fixed hardware: power off, power management timer, reset registers. */
#ifndef KVMB_PM_H
#define KVMB_PM_H

#include "machine/machine.h"

#define PM_BASE 0x600u	     /* PM1 event block, 4 bytes */
#define PM_CONTROL 0x604u    /* PM1 control block, 2 bytes */
#define PM_TIMER 0x608u	     /* 4 bytes */
#define PM_RESET_PORT 0xcf9u
#define PM_RESET_VALUE 6u
#define PM_SLEEP_S4 4u /* SLP_TYP of \_S4 in our DSDT, if the machine has it */
#define PM_SLEEP_S5 5u /* likewise of \_S5 */

/** pm_add() - Add the ports to @m->pio. Context: main thread, while the machine is built. */
void pm_add(struct machine *m);

/** pm_reset() - Power-on state. Context: main thread; vCPUs stand. */
void pm_reset(struct machine *m);

#endif
