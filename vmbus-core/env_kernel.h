/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's names for what vmbus-core needs. Included by env.h only. */
#ifndef KVMB_ENV_KERNEL_H
#define KVMB_ENV_KERNEL_H

#include <linux/atomic.h>
#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/overflow.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/barrier.h>
#include <asm/byteorder.h>
#include <asm/sync_bitops.h>

/* For memory that the peer uses too; env.h says why not the plain ones */
#define shared_mb() virt_mb()
#define shared_rmb() virt_rmb()
#define shared_load_acquire(p) virt_load_acquire(p)
#define shared_store_release(p, v) virt_store_release(p, v)
#define shared_set_bit(nr, p) sync_set_bit(nr, p)
#define shared_test_and_clear_bit(nr, p) sync_test_and_clear_bit(nr, p)
#define shared_cmpxchg(p, old, new) sync_cmpxchg(p, old, new)

#endif
