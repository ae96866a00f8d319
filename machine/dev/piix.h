/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The board of a gen1 machine: i440FX host bridge, and of the PIIX3/PIIX4 the ISA bridge and power
 * management. The IDE function is a device of its own.
 *
 * Firmware writes to these registers what it wants of memory below 1 MiB and of interrupts. Memory
 * there is RAM always (boot/firmware.h), so PAM and SMRAM registers are only kept; the routes of
 * PCI's interrupt lines are obeyed.
 *
 * Sources: Intel 82441FX data sheet (PAM); Intel 82371SB (PIIX3) and 82371AB (PIIX4) data sheets.
 */
#ifndef KVMB_PIIX_H
#define KVMB_PIIX_H

#include "machine/dev/pci.h"

struct piix;

#define PIIX_SLOT 1u /* ISA bridge, IDE, power management: functions 0, 1, 3 */

/** piix_create() - Add the functions to @bus. Return: never NULL. Main thread, before vCPUs. */
struct piix *piix_create(struct pci_bus *bus);

/** piix_destroy() - NULL is fine. */
void piix_destroy(struct piix *p);

/** piix_reset() - Power-on state, after pci_reset(). Main thread; vCPUs stand. */
void piix_reset(struct piix *p);

#endif
