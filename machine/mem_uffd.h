/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A userfaultfd of guest memory: who touches a page that has not come sleeps until it is put there.
 * machine/mem_lazy.h and machine/mem_post.h say who brings the pages, and what has to be kept.
 *
 * Source: Linux Documentation/admin-guide/mm/userfaultfd.rst.
 */
#ifndef KVMB_MEM_UFFD_H
#define KVMB_MEM_UFFD_H

#include "vmbus-core/env.h"

struct machine;

/**
 * mem_uffd_open() - Of faults of the kernel, too
 *
 * Return: a descriptor; -1: this host cannot, or this user may not (vm.unprivileged_userfaultfd).
 * Context: outside of the sandbox, in which nobody may.
 */
int mem_uffd_open(void);

/** mem_uffd_ram() - The mapping; regions follow each other in it as in the memory's file. */
u8 *mem_uffd_ram(const struct machine *m);

/** mem_uffd_no_huge() - No huge pages from here on, which would fill what has not come. */
void mem_uffd_no_huge(const struct machine *m);

/** mem_uffd_huge() - Huge pages again. */
void mem_uffd_huge(const struct machine *m);

/**
 * mem_uffd_register() - Who touches a missing page sleeps from here on
 *
 * Return: 0, and kvmb_gm.lazy is set; -errno, and memory is an ordinary one.
 */
int mem_uffd_register(struct machine *m, int uffd);

/** mem_uffd_unregister() - Memory is an ordinary one again; who waits is woken. Any thread. */
void mem_uffd_unregister(struct machine *m, int uffd);

/**
 * mem_uffd_put() - Put pages where they are missing; one that is there stays as it is
 * @at:    offset into memory, whole pages
 * @bytes: bytes[len], no guest memory
 * @len:   whole pages
 *
 * Return: 0 or -errno. Context: a thread that does not touch guest memory otherwise.
 */
int mem_uffd_put(const struct machine *m, int uffd, u64 at, const void *bytes, u64 len);

/** mem_uffd_fault() - Who waits? Return: true: for the page at offset *@at; false: nobody. */
bool mem_uffd_fault(const struct machine *m, int uffd, u64 *at);

#endif
