// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shutdown, guest half: the host asks for power-off, reboot or hibernation, user space does it.
 *
 * Answer first: once the guest is going down, nobody would send the answer. As in the in-tree
 * driver, a uevent EVENT=hibernate of the device asks for hibernation;
 * packaging/70-kvmbus-guest.rules reacts to it.
 */
#include <linux/reboot.h>
#include <linux/slab.h>
#include <asm/mshyperv.h>

#include "ic-services/ic_guest.h"

static const u32 versions[] = { KVMB_IC_VERSION(3, 2), KVMB_IC_VERSION(3, 1),
				KVMB_IC_VERSION(3, 0), KVMB_IC_VERSION(1, 0) };

enum what { NOTHING, POWEROFF, REBOOT, HIBERNATE };

static int start(struct kvmb_ic *ic)
{
	ic->priv = (void *)NOTHING;
	return 0;
}

static s64 request(struct kvmb_ic *ic, u8 *p, u32 size)
{
	__le32 flags;

	if (size < offsetof(struct kvmb_wire_shutdown, message))
		return -EPROTO;
	memcpy(&flags, p + offsetof(struct kvmb_wire_shutdown, flags), sizeof(flags));
	switch (le32_to_cpu(flags)) {
	case 0:
	case KVMB_SHUTDOWN_FORCE:
		ic->priv = (void *)POWEROFF;
		return KVMB_IC_STATUS_OK;
	case KVMB_SHUTDOWN_RESTART:
	case KVMB_SHUTDOWN_RESTART | KVMB_SHUTDOWN_FORCE:
		ic->priv = (void *)REBOOT;
		return KVMB_IC_STATUS_OK;
	case KVMB_SHUTDOWN_HIBERNATE:
	case KVMB_SHUTDOWN_HIBERNATE | KVMB_SHUTDOWN_FORCE:
		/* a machine without ACPI's S4 may be another one when it wakes */
		if (!IS_ENABLED(CONFIG_HIBERNATION) || !hv_is_hibernation_supported())
			return KVMB_IC_STATUS_FAIL;
		ic->priv = (void *)HIBERNATE;
		return KVMB_IC_STATUS_OK;
	default: /* what we do not know */
		return KVMB_IC_STATUS_FAIL;
	}
}

static void answered(struct kvmb_ic *ic)
{
	char *event[] = { "EVENT=hibernate", NULL };
	enum what what = (enum what)(unsigned long)ic->priv;

	ic->priv = (void *)NOTHING;
	if (what == POWEROFF)
		orderly_poweroff(true);
	else if (what == REBOOT)
		orderly_reboot();
	else if (what == HIBERNATE)
		kobject_uevent_env(&ic->ch->dev->dev.kobj, KOBJ_CHANGE, event);
}

const struct kvmb_ic_service kvmb_shutdown_service = {
	.name = "shutdown",
	.type = KVMB_SHUTDOWN_TYPE_GUID,
	.msg_type = KVMB_IC_SHUTDOWN,
	.versions = versions,
	.num_versions = ARRAY_SIZE(versions),
	.start = start,
	.request = request,
	.answered = answered,
};
