/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMBus protocol versions, oldest first.
 *
 * Source: Linux 6.12 include/linux/hyperv.h; OpenVMM vmbus_core/src/protocol.rs.
 */
#ifndef KVMB_VERSION_H
#define KVMB_VERSION_H

#include "vmbus-core/env.h"

#define KVMB_VERSION(major, minor) (((u32)(major) << 16) | (u32)(minor))

#define KVMB_VERSION_WS2008 KVMB_VERSION(0, 13)
#define KVMB_VERSION_WIN7 KVMB_VERSION(1, 1)	 /* dedicated interrupts, connection ids */
#define KVMB_VERSION_WIN8 KVMB_VERSION(2, 4)	 /* sub-channels, interrupts to any VP */
#define KVMB_VERSION_WIN8_1 KVMB_VERSION(3, 0)	 /* UNLOAD */
#define KVMB_VERSION_WIN10 KVMB_VERSION(4, 0)	 /* hvsocket */
#define KVMB_VERSION_WIN10_RS3 KVMB_VERSION(4, 1) /* MODIFYCHANNEL */
#define KVMB_VERSION_WIN10_V5 KVMB_VERSION(5, 0) /* message connection id in the response */
#define KVMB_VERSION_WIN10_RS4 KVMB_VERSION(5, 1)
#define KVMB_VERSION_WIN10_RS5 KVMB_VERSION(5, 2)
#define KVMB_VERSION_IRON KVMB_VERSION(5, 3)	 /* MODIFYCHANNEL_RESPONSE */
#define KVMB_VERSION_NEWEST KVMB_VERSION_IRON

/* clang-format off */
static const u32 kvmb_versions[] = {
	KVMB_VERSION_WS2008, KVMB_VERSION_WIN7, KVMB_VERSION_WIN8, KVMB_VERSION_WIN8_1,
	KVMB_VERSION_WIN10, KVMB_VERSION_WIN10_RS3, KVMB_VERSION_WIN10_V5,
	KVMB_VERSION_WIN10_RS4, KVMB_VERSION_WIN10_RS5, KVMB_VERSION_IRON,
};
/* clang-format on */

/**
 * kvmb_version_known() - Is this exact version one that we speak?
 * @version: major << 16 | minor, peer-controlled
 *
 * Return: true for a listed version. Context: any.
 */
static inline bool kvmb_version_known(u32 version)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kvmb_versions); i++) {
		if (kvmb_versions[i] == version)
			return true;
	}
	return false;
}

#endif
