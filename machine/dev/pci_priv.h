/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the PCI bus share. */
#ifndef KVMB_PCI_PRIV_H
#define KVMB_PCI_PRIV_H

#include "machine/dev/pci.h"

/**
 * pci_take_config() - As if the guest had written all registers of a function
 * @f:      its bus's lock is held for writing
 * @config: hostile
 */
void pci_take_config(struct pci_func *f, const u8 config[256]);

#endif
