/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's names for what vmbus-core needs. Included by env.h only. */
#ifndef KVMB_ENV_KERNEL_H
#define KVMB_ENV_KERNEL_H

#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/overflow.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/barrier.h>
#include <asm/byteorder.h>

#endif
