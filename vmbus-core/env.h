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

/*
 * DOC: Atomics and barriers on shared memory
 *
 * The peer runs on another physical CPU. The kernel's plain atomics do not work between us and
 * it: on a guest with one CPU x86 patches the lock prefix out of set_bit() and cmpxchg(), and
 * without CONFIG_SMP smp_mb() is empty. That is how event flags were lost. So everything that
 * the peer also reads or writes goes through the shared_*() names of env_kernel.h and
 * env_user.h, which keep the prefix and the barrier. tests/modules fails when a locked
 * instruction of an interrupt or signal path is listed in .smp_locks.
 *
 * Sources: Linux 6.1 arch/x86/kernel/alternative.c alternatives_smp_module_add(),
 * arch/x86/include/asm/sync_bitops.h, Documentation/memory-barriers.txt "VIRTUAL MACHINE GUESTS".
 */

#define KVMB_PAGE_SHIFT 12
#define KVMB_PAGE_SIZE (1u << KVMB_PAGE_SHIFT) /* VMBus counts in 4 KiB pages, always */

#endif
