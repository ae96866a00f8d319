// SPDX-License-Identifier: GPL-2.0-only
/*
 * Links vmbus-core into a module, so that `make modules` shows that the shared code is
 * freestanding. It is not a driver; kvmb_bus takes its place.
 */
#include <linux/module.h>

#include "vmbus-core/chanmsg.h"
#include "vmbus-core/icmsg.h"
#include "vmbus-core/proto/ic.h"
#include "vmbus-core/proto/net.h"
#include "vmbus-core/proto/rndis.h"
#include "vmbus-core/proto/storage.h"
#include "vmbus-core/ring.h"

static int __init core_init(void)
{
	pr_info("kvmb_core: VMBus %u.%u\n", KVMB_VERSION_NEWEST >> 16, KVMB_VERSION_NEWEST & 0xffff);
	return 0;
}

static void __exit core_exit(void)
{
}

module_init(core_init);
module_exit(core_exit);
MODULE_DESCRIPTION("kvmbus shared core, compile check");
MODULE_LICENSE("GPL");
