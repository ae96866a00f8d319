// SPDX-License-Identifier: GPL-2.0-only
/* Registers of the board that firmware wants to find: piix.h. */
#include "machine/dev/piix.h"

#include <stdlib.h>

#include "lib/util.h"

#define PIRQ 0x60u /* of the ISA bridge: four routes */
#define PAM 0x59u  /* of the host bridge: 0x59 to 0x5f, then SMRAM at 0x72 */
#define SMRAM 0x72u
#define PM_BASE_REG 0x40u
#define PM_DEVACTB 0x58u /* bit 25: SMM is set up, so that firmware does not */
#define PM_MISC 0x80u
#define SMB_BASE_REG 0x90u
#define SMB_HOST 0xd2u

struct piix {
	struct pci_bus *bus;
	struct pci_func host, isa, pm;
};

static void isa_written(void *dev, u32 reg)
{
	struct piix *p = dev;
	u32 i;

	(void)reg;
	for (i = 0; i < 4; i++)
		pci_route(p->bus, i, p->isa.config[PIRQ + i] & 0x8f);
}

static void init_host(struct piix *p)
{
	struct pci_func *f = &p->host;

	f->dev = p;
	pci_func_init(f, 0x8086, 0x1237, 0x060000, 2);
	/* by this subsystem SeaBIOS and OVMF know that there is fw_cfg */
	pci_put16(f, 0x2c, 0x1af4);
	pci_put16(f, 0x2e, 0x1100);
	memset(f->can_write + PAM, 0xff, 7);
	f->can_write[SMRAM] = 0xff;
	pci_add(p->bus, f);
}

static void init_isa(struct piix *p)
{
	struct pci_func *f = &p->isa;

	f->slot = PIIX_SLOT;
	f->dev = p;
	f->written = isa_written;
	pci_func_init(f, 0x8086, 0x7000, 0x060100, 0);
	f->config[0x0e] = 0x80; /* there are more functions */
	memset(f->can_write + 0x4c, 0xff, 4);
	memset(f->can_write + PIRQ, 0x8f, 4);
	pci_add(p->bus, f);
}

static void init_pm(struct piix *p)
{
	struct pci_func *f = &p->pm;

	f->slot = PIIX_SLOT;
	f->number = 3;
	f->dev = p;
	pci_func_init(f, 0x8086, 0x7113, 0x068000, 3);
	pci_put16(f, 0x2c, 0x1af4);
	pci_put16(f, 0x2e, 0x1100);
	memset(f->can_write + PM_BASE_REG, 0xff, 4);
	f->can_write[PM_MISC] = 1;
	memset(f->can_write + SMB_BASE_REG, 0xff, 4);
	f->can_write[SMB_HOST] = 0x0f;
	pci_add(p->bus, f);
}

void piix_reset(struct piix *p)
{
	static const u8 pm_base[4] = { 0x01, 0x06 }; /* ports 0x600 on, always: dev/pm.h */

	memset(p->host.config + PAM, 0, 7);
	p->host.config[SMRAM] = 2;
	memset(p->isa.config + PIRQ, 0x80, 4);
	memcpy(p->pm.config + PM_BASE_REG, pm_base, 4);
	p->pm.config[PM_DEVACTB + 3] = 2;
	p->pm.config[PM_MISC] = 1;
}

struct piix *piix_create(struct pci_bus *bus)
{
	struct piix *p = kvmb_xzalloc(sizeof(*p));

	p->bus = bus;
	init_host(p);
	init_isa(p);
	init_pm(p);
	piix_reset(p);
	return p;
}

void piix_destroy(struct piix *p)
{
	free(p);
}
