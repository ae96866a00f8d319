// SPDX-License-Identifier: GPL-2.0-only
/* Guest memory: range checks, copies, iovecs, mappings of rings. Theory: gm.h. */
#include "host-vsp/gm.h"

#include <sys/mman.h>

#include "lib/dirty_log.h"
#include "lib/util.h"

static const struct kvmb_gm_region *find_region(const struct kvmb_gm *gm, gpa_t gpa, u64 len)
{
	unsigned int i;

	for (i = 0; i < gm->num_regions; i++) {
		const struct kvmb_gm_region *r = &gm->regions[i];

		if (gpa >= r->base && gpa - r->base < r->size && len <= r->size - (gpa - r->base))
			return r;
	}
	return NULL;
}

void __shared *kvmb_gm_ptr(const struct kvmb_gm *gm, gpa_t gpa, u64 len)
{
	const struct kvmb_gm_region *r = find_region(gm, gpa, len);

	return r ? (__force void __shared *)(r->hva + (gpa - r->base)) : NULL;
}

int kvmb_gm_read(const struct kvmb_gm *gm, gpa_t gpa, void *buf, size_t len)
{
	void __shared *p = kvmb_gm_ptr(gm, gpa, len);

	if (!p)
		return -EFAULT;
	memcpy(buf, __unshare(p), len);
	return 0;
}

int kvmb_gm_write(const struct kvmb_gm *gm, gpa_t gpa, const void *buf, size_t len)
{
	void __shared *p = kvmb_gm_ptr(gm, gpa, len);

	if (!p)
		return -EFAULT;
	memcpy(__unshare(p), buf, len);
	kvmb_dirty(__unshare(p), len);
	return 0;
}

u64 kvmb_gm_size(const struct kvmb_gm *gm)
{
	u64 size = 0;
	unsigned int i;

	for (i = 0; i < gm->num_regions; i++)
		size = KVMB_MAX(size, gm->regions[i].file_offset + gm->regions[i].size);
	return size;
}

bool kvmb_gm_gfn_valid(const struct kvmb_gm *gm, u64 gfn)
{
	return gfn < (1ull << 52) && find_region(gm, gfn << KVMB_PAGE_SHIFT, KVMB_PAGE_SIZE);
}

u64 kvmb_gm_page(const struct kvmb_gm *gm, u64 gfn, u64 *page)
{
	gpa_t gpa = gfn << KVMB_PAGE_SHIFT;
	const struct kvmb_gm_region *r;

	r = gfn < 1ull << 52 ? find_region(gm, gpa, KVMB_PAGE_SIZE) : NULL;
	if (!r)
		return 0;
	*page = (r->file_offset + (gpa - r->base)) >> KVMB_PAGE_SHIFT;
	return (r->size - (gpa - r->base)) >> KVMB_PAGE_SHIFT;
}

u64 kvmb_gm_frame(const struct kvmb_gm *gm, u64 page, u64 *gfn)
{
	unsigned int i;

	for (i = 0; i < gm->num_regions; i++) {
		const struct kvmb_gm_region *r = &gm->regions[i];
		u64 first = r->file_offset >> KVMB_PAGE_SHIFT, num = r->size >> KVMB_PAGE_SHIFT;

		if (page < first || page - first >= num)
			continue;
		*gfn = (r->base >> KVMB_PAGE_SHIFT) + (page - first);
		return num - (page - first);
	}
	return 0;
}

int kvmb_gm_drop(const struct kvmb_gm *gm, u64 page, u64 num)
{
	u64 gfn;
	void __shared *p;

	if (!num || kvmb_gm_frame(gm, page, &gfn) < num)
		return -EFAULT;
	p = kvmb_gm_ptr(gm, gfn << KVMB_PAGE_SHIFT, num << KVMB_PAGE_SHIFT);
	return madvise(__unshare(p), num << KVMB_PAGE_SHIFT, MADV_REMOVE) ? -errno : 0;
}

/*
 * Neighbouring frames at the head of a list that lie in one region. Return: how many, 0 when
 * the first is not RAM.
 */
static u64 frames_together(const struct kvmb_gm *gm, const u64 *gfns, u64 num, u8 **hva)
{
	const struct kvmb_gm_region *r;
	u64 run = 1, most;
	gpa_t gpa = gfns[0] << KVMB_PAGE_SHIFT;

	r = gfns[0] < 1ull << 52 ? find_region(gm, gpa, KVMB_PAGE_SIZE) : NULL;
	if (!r)
		return 0;
	*hva = r->hva + (gpa - r->base);
	most = KVMB_MIN(num, (r->size - (gpa - r->base)) >> KVMB_PAGE_SHIFT);
	while (run < most && gfns[run] == gfns[0] + run)
		run++;
	return run;
}

int kvmb_gm_iov(const struct kvmb_gm *gm, const u64 *gfns, u64 offset, u64 len,
		struct iovec *iov, unsigned int max)
{
	u64 page = offset >> KVMB_PAGE_SHIFT, chunk, run, pages;
	unsigned int n = 0;
	u8 *p;

	offset &= KVMB_PAGE_SIZE - 1;
	for (; len; page += run, offset = 0, len -= chunk) {
		pages = (offset + len + KVMB_PAGE_SIZE - 1) >> KVMB_PAGE_SHIFT;
		run = frames_together(gm, gfns + page, pages, &p);
		if (!run)
			return -EFAULT;
		if (n == max)
			return -ENOSPC;
		chunk = KVMB_MIN(len, (run << KVMB_PAGE_SHIFT) - offset);
		iov[n].iov_base = p + offset;
		iov[n++].iov_len = chunk;
	}
	return (int)n;
}

/* Neighbouring frames at the head of a list. */
static u32 run_of(const u64 *gfns, u32 num)
{
	u32 run = 1;

	while (run < num && gfns[run] == gfns[0] + run)
		run++;
	return run;
}

static u32 count_runs(const u64 *gfns, u32 num)
{
	u32 i, n = 0;

	for (i = 0; i < num; i += run_of(gfns + i, num - i))
		n++;
	return n;
}

u32 kvmb_gm_ring_maps(const u64 *gfns, u32 num)
{
	return count_runs(gfns, num) + count_runs(gfns + 1, num - 1);
}

/* Map gfns[num] at @at, one mmap() per run of neighbouring frames. */
static int map_pages(const struct kvmb_gm *gm, const u64 *gfns, u32 num, u8 *at)
{
	const struct kvmb_gm_region *r;
	u32 i, run;
	gpa_t gpa;

	for (i = 0; i < num; i += run) {
		if (!kvmb_gm_gfn_valid(gm, gfns[i]))
			return -EFAULT;
		gpa = gfns[i] << KVMB_PAGE_SHIFT;
		run = run_of(gfns + i, num - i);
		/* a run that leaves its region is hostile: RAM regions have holes between them */
		r = find_region(gm, gpa, (u64)run * KVMB_PAGE_SIZE);
		if (!r)
			return -EFAULT;
		if (mmap(at + (size_t)i * KVMB_PAGE_SIZE, (size_t)run * KVMB_PAGE_SIZE,
			 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, gm->memfd,
			 (off_t)(r->file_offset + (gpa - r->base))) == MAP_FAILED)
			return -ENOMEM;
	}
	return 0;
}

/* Through the new mapping, pages that have not come would be zero for ever. */
static void touch_pages(const struct kvmb_gm *gm, const u64 *gfns, u32 num)
{
	const u8 __shared *p;
	u32 i;

	for (i = 0; i < num && __atomic_load_n(&gm->lazy, __ATOMIC_ACQUIRE); i++) {
		p = kvmb_gm_ptr(gm, gfns[i] << KVMB_PAGE_SHIFT, 1);
		if (p)
			(void)*(const volatile u8 *)p;
	}
}

int kvmb_gm_map_ring(const struct kvmb_gm *gm, const u64 *gfns, u32 num,
		     struct kvmb_gm_ring *ring)
{
	size_t data_len = (size_t)(num - 1) * KVMB_PAGE_SIZE;
	size_t len = KVMB_PAGE_SIZE + 2 * data_len;
	u8 *map;
	int err;

	kvmb_assert(num >= 2);
	touch_pages(gm, gfns, num);
	map = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return -ENOMEM;
	err = map_pages(gm, gfns, num, map);
	if (!err)
		err = map_pages(gm, gfns + 1, num - 1, map + KVMB_PAGE_SIZE + data_len);
	if (err) {
		munmap(map, len);
		return err;
	}
	*ring = (struct kvmb_gm_ring){ .ctrl = map, .data = map + KVMB_PAGE_SIZE,
				       .size = (u32)data_len, .map = map, .map_len = len };
	return 0;
}

void kvmb_gm_unmap_ring(struct kvmb_gm_ring *ring)
{
	if (ring->map)
		munmap(ring->map, ring->map_len);
	memset(ring, 0, sizeof(*ring));
}
