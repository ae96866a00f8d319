// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bus, connected to the scripted host for as long as this module is loaded: the VSCs load
 * above it.
 */
#include <linux/module.h>

#include "tests/kunit/script_host.h"

static int __init up_init(void)
{
	return host_begin();
}

static void __exit up_exit(void)
{
	host_end();
}

module_init(up_init);
module_exit(up_exit);
MODULE_DESCRIPTION("kvmbus: a scripted host to load VSCs on");
MODULE_LICENSE("GPL");
