/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest memory: the only place where a guest address becomes a host pointer.
 *
 * DOC: Theory of operation
 *
 * A VM's RAM is one memfd. The VMM maps all of it once; kvmb_gm_map_ring() maps the pages of
 * a ring again, its data area twice. Guest addresses are hostile: every function here checks
 * its range against the RAM regions before it touches anything, and copies are private (fetch
 * once, check the copy, use the copy). Bulk data is not copied: kvmb_gm_iov() turns checked
 * page lists into iovecs that a backend reads and writes directly.
 *
 * Limits: up to KVMB_GM_MAX_REGIONS regions; a range may not straddle two of them.
 */
#ifndef KVMB_GM_H
#define KVMB_GM_H

#include <sys/uio.h>

#include "vmbus-core/env.h"

typedef u64 gpa_t;

#define KVMB_GM_MAX_REGIONS 4u

struct kvmb_gm_region {
	gpa_t base;	 /* multiple of 4096 */
	u64 size;	 /* bytes, multiple of 4096 */
	u64 file_offset; /* of base in the memfd */
	u8 *hva;	 /* of base in this process */
};

struct kvmb_gm { /* immutable once the VM runs, but for lazy */
	int memfd;
	int lazy; /* atomic: pages may be missing until they are touched; machine/mem_lazy.h */
	/* a bit a page of the file, atomic words: the guest has given it away; NULL = none */
	const u64 *away;
	unsigned int num_regions;
	struct kvmb_gm_region regions[KVMB_GM_MAX_REGIONS];
};

struct kvmb_gm_ring { /* one direction of a channel, mapped */
	void *ctrl;    /* one page */
	void *data;    /* size bytes, then the same again */
	u32 size;      /* bytes of the data area */
	void *map;     /* for kvmb_gm_unmap_ring() */
	size_t map_len;
};

/**
 * kvmb_gm_ptr() - Host address of guest bytes
 * @gm:  guest memory
 * @gpa: first byte, hostile
 * @len: bytes, hostile
 *
 * Return: pointer to @len shared bytes that the guest may rewrite at any time; NULL
 * when any of them is outside RAM. Context: any thread.
 */
void __shared *kvmb_gm_ptr(const struct kvmb_gm *gm, gpa_t gpa, u64 len);

/**
 * kvmb_gm_read() - Make a private copy of guest bytes
 * @gm:  guest memory
 * @gpa: first byte, hostile
 * @buf: buf[len], result
 * @len: bytes
 *
 * Return: 0; -EFAULT when any byte is outside RAM, and nothing is copied. Context: any thread.
 */
int kvmb_gm_read(const struct kvmb_gm *gm, gpa_t gpa, void *buf, size_t len);

/**
 * kvmb_gm_write() - Copy bytes to the guest
 * @gm:  guest memory
 * @gpa: first byte, hostile
 * @buf: buf[len]
 * @len: bytes
 *
 * Return: 0; -EFAULT when any byte is outside RAM, and nothing is written. Context: any thread.
 */
int kvmb_gm_write(const struct kvmb_gm *gm, gpa_t gpa, const void *buf, size_t len);

/** kvmb_gm_size() - The file of all RAM, bytes; of a hole in RAM it may have pages too. */
u64 kvmb_gm_size(const struct kvmb_gm *gm);

/** kvmb_gm_gfn_valid() - Is this 4 KiB frame RAM? */
bool kvmb_gm_gfn_valid(const struct kvmb_gm *gm, u64 gfn);

/**
 * kvmb_gm_page() - Where a frame lies in the file of RAM
 * @gfn:  hostile
 * @page: set to the page of the file
 *
 * Return: frames from there on that follow each other in one region; 0: it is no RAM.
 */
u64 kvmb_gm_page(const struct kvmb_gm *gm, u64 gfn, u64 *page);

/** kvmb_gm_frame() - The other way round. Return: pages from there on; 0: no frame shows it. */
u64 kvmb_gm_frame(const struct kvmb_gm *gm, u64 page, u64 *gfn);

/**
 * kvmb_gm_drop() - Give pages back to the host: from now on they are zero, and cost nothing
 * @page: of the file; @num pages from there on are in one region
 *
 * Return: 0; -EFAULT: not in one region; -errno. Context: any thread; takes about 100 ns a page.
 */
int kvmb_gm_drop(const struct kvmb_gm *gm, u64 page, u64 num);

/** kvmb_gm_is_away() - Has the guest given away this page of the file? Any thread. */
static inline bool kvmb_gm_is_away(const struct kvmb_gm *gm, u64 page)
{
	return gm->away && __atomic_load_n(&gm->away[page / 64], __ATOMIC_RELAXED) >> page % 64 & 1;
}

/**
 * kvmb_gm_iov() - Turn a page list into iovecs
 * @gm:     guest memory
 * @gfns:   gfns[], host byte order; covers @offset + @len bytes
 * @offset: into the first page, may be larger than a page
 * @len:    bytes
 * @iov:    iov[max]; neighbouring frames are merged
 * @max:    room
 *
 * Return: number of iovecs; -EFAULT outside RAM; -ENOSPC when @max is too small.
 * Trust: @gfns are hostile and private.
 */
int kvmb_gm_iov(const struct kvmb_gm *gm, const u64 *gfns, u64 offset, u64 len,
		struct iovec *iov, unsigned int max);

/**
 * kvmb_gm_map_ring() - Map a ring: control page, then the data area twice
 * @gm:    guest memory
 * @gfns:  gfns[num], first the control page
 * @num:   >= 2
 * @ring:  result, release with kvmb_gm_unmap_ring()
 *
 * Return: 0; -EFAULT outside RAM; -ENOMEM when the process has no mappings left.
 */
int kvmb_gm_map_ring(const struct kvmb_gm *gm, const u64 *gfns, u32 num,
		     struct kvmb_gm_ring *ring);

/**
 * kvmb_gm_ring_maps() - The number of mappings that a ring costs
 * @gfns: gfns[num], as for kvmb_gm_map_ring()
 * @num:  frames
 *
 * Return: most mappings that kvmb_gm_map_ring() makes: one for each run of neighbouring frames,
 * twice for the data area.
 */
u32 kvmb_gm_ring_maps(const u64 *gfns, u32 num);

/** kvmb_gm_unmap_ring() - Undo kvmb_gm_map_ring(); a zeroed @ring is fine. */
void kvmb_gm_unmap_ring(struct kvmb_gm_ring *ring);

#endif
