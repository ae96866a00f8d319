// SPDX-License-Identifier: GPL-2.0-only
/*
 * ACPI fixed hardware.
 *
 * Sources: ACPI 6.4 chapter 4.8 (PM1 registers, PM timer); the reset control register
 * 0xcf9 of PC chipsets; the keyboard controller's reset pulse at 0x64; Intel 82371AB (PIIX4) data
 * sheet, PMCNTRL; edk2 OvmfPkg/Library/ResetSystemLib/DxeResetShutdown.c.
 */
#include "machine/dev/pm.h"

#include <sys/ioctl.h>

#define SLP_EN 0x2000u

#define PIIX4_CONTROL 0xb004u
#define PM_ENABLE 2u /* offset of the PM1 enable register */

static void request_of_guest(struct machine *m, enum machine_request what)
{
	m->ops->request(m->ops_arg, what);
}

/* A machine that hibernates is off; what it goes on with is on its disk. */
static bool turns_off(const struct machine *m, u32 control)
{
	u32 type = control >> 10 & 7;

	return control & SLP_EN &&
	       (type == PM_SLEEP_S5 || (type == PM_SLEEP_S4 && m->cfg.hibernation));
}

static void pm_access(void *dev, u16 offset, u32 size, bool write, u32 *val)
{
	struct machine *m = dev;
	struct kvm_clock_data clock = { 0 };

	(void)size;
	if (offset >= PM_TIMER - PM_BASE) {
		/* guest time, which stands while the VM is paused */
		ioctl(m->vm_fd, KVM_GET_CLOCK, &clock);
		*val = (u32)((unsigned __int128)clock.clock * 3579545 / 1000000000) & 0xffffff;
		return;
	}
	if (!write) {
		/* no events are pending; SCI_EN is always on */
		*val = offset == PM_CONTROL - PM_BASE ? 1 :
		       offset == PM_ENABLE ? __atomic_load_n(&m->pm1_enable, __ATOMIC_RELAXED) : 0;
		return;
	}
	if (offset == PM_ENABLE) /* kept, because ACPICA reads back what it enabled */
		__atomic_store_n(&m->pm1_enable, *val & 0xffff, __ATOMIC_RELAXED);
	if (offset == PM_CONTROL - PM_BASE && turns_off(m, *val))
		request_of_guest(m, MACHINE_POWEROFF);
}

/*
 * OVMF powers off at the place where it puts the registers of a PIIX4, though ours are elsewhere
 * and it leaves them there. The type of a PIIX4 for that is 0.
 */
static void piix4_access(void *dev, u16 offset, u32 size, bool write, u32 *val)
{
	(void)size;
	if (!write)
		*val = 0;
	else if (!offset && *val & SLP_EN && !(*val >> 10 & 7))
		request_of_guest(dev, MACHINE_POWEROFF);
}

static void reset_access(void *dev, u16 offset, u32 size, bool write, u32 *val)
{
	(void)offset, (void)size;
	if (!write)
		*val = 0;
	else if (*val & 4)
		request_of_guest(dev, MACHINE_RESET);
}

static void kbd_access(void *dev, u16 offset, u32 size, bool write, u32 *val)
{
	(void)offset, (void)size;
	if (!write)
		*val = 0xff; /* no controller */
	else if ((*val & 0xff) == 0xfe)
		request_of_guest(dev, MACHINE_RESET);
}

void pm_reset(struct machine *m)
{
	__atomic_store_n(&m->pm1_enable, 0, __ATOMIC_RELAXED);
}

void pm_add(struct machine *m)
{
	iobus_add(&m->pio, PM_BASE, 12, pm_access, m);
	iobus_add(&m->pio, PM_RESET_PORT, 1, reset_access, m);
	if (m->cfg.gen1)
		iobus_add(&m->pio, PIIX4_CONTROL, 2, piix4_access, m);
	else /* the other one has a keyboard: ps2.h */
		iobus_add(&m->pio, 0x64, 1, kbd_access, m);
}
