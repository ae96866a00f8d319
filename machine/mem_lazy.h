/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest memory that comes from a source (machine/mem_source.h) while the guest already runs.
 *
 * DOC: Theory of operation
 *
 * The mapping of guest memory is registered with a userfaultfd. Whoever touches a page that has not
 * come (a vCPU, a provider, the kernel on behalf of either) sleeps until a thread of ours has read
 * it; between such requests the thread reads all the rest in order. Then the registration ends, and
 * what is missing then is zero.
 *
 * Only the one mapping is registered. A page that is touched through another one, and has not come,
 * would be made as zeroes, and never read. So kvmb_gm_map_ring(), the only other mapping, first
 * touches the pages here: kvmb_gm.lazy says so.
 *
 * Nor are there huge pages until then: before Linux 6.4, khugepaged makes one of a range of which a
 * single page has come, and fills the rest with zeroes.
 *
 * A page that cannot be read makes those wait who need it, and is tried again each second: a
 * guest never sees memory that it did not have. Others are served meanwhile, and what can be read
 * comes; the registration stays until the last page has. Before the guest runs, who loads the VM
 * is not made to wait: the page is zero, and mem_lazy_run() says that the VM must not run. A host
 * without userfaultfd, or a user who may not use it for faults of the kernel
 * (vm.unprivileged_userfaultfd), reads all of it before the guest runs.
 *
 * Source: Linux Documentation/admin-guide/mm/userfaultfd.rst.
 */
#ifndef KVMB_MEM_LAZY_H
#define KVMB_MEM_LAZY_H

#include "vmbus-core/env.h"

struct machine;
struct mem_lazy;
struct mem_source;

/**
 * mem_lazy_prepare() - Register guest memory, if this host can: with machine.uffd, which it takes
 * @m: its memory is mapped, and has not been touched
 *
 * mem_lazy_begin() is due before anybody touches it. Context: main thread, without a filter.
 */
void mem_lazy_prepare(struct machine *m);

/**
 * mem_lazy_begin() - Fill guest memory from a source from here on
 * @m:      of mem_lazy_prepare(), which may have failed
 * @source: taken over on success: a thread of ours uses it; of the size of guest memory
 *
 * Return: 0; -EOPNOTSUPP: this host cannot; -errno. After a failure memory is an ordinary one, all
 * zero. Context: main thread.
 */
int mem_lazy_begin(struct machine *m, struct mem_source *source);

/**
 * mem_lazy_run() - The VM is loaded: who needs a page that cannot be read waits from here on
 *
 * Return: 0; -errno: one that was needed so far could not be read, and the VM must not run.
 * Context: main thread.
 */
int mem_lazy_run(struct machine *m);

/** mem_lazy_left() - Bytes of guest memory not looked at yet, or not readable. Any thread. */
u64 mem_lazy_left(const struct machine *m);

/** mem_lazy_end() - Nobody touches guest memory any more. Main thread; fine if there is nothing. */
void mem_lazy_end(struct machine *m);

#endif
