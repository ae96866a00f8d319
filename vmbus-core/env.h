/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Chooses the environment of vmbus-core: the kernel or user space.
 *
 * This is the only file of the tree that tests __KERNEL__. Both environments
 * provide the same names: fixed-width types, endian conversion, barriers,
 * overflow-checked arithmetic, memcpy/memset and the errno numbers.
 */
#ifndef KVMB_ENV_H
#define KVMB_ENV_H

#ifdef __KERNEL__
#include "vmbus-core/env_kernel.h"
#else
#include "vmbus-core/env_user.h"
#endif

/* Memory that the peer may rewrite at any time: fetch once, check the copy. */
#ifdef __CHECKER__
#define __shared __attribute__((noderef, address_space(__shared)))
#define __unshare(p) ((__force void *)(p))
#define __share(p) ((__force void __shared *)(p)) /* from here on it is the peer's, too */
#else
#define __shared
#define __unshare(p) ((void *)(p))
#define __share(p) ((void *)(p))
#endif

#define KVMB_PAGE_SHIFT 12
#define KVMB_PAGE_SIZE (1u << KVMB_PAGE_SHIFT) /* VMBus counts in 4 KiB pages, always */

#endif
