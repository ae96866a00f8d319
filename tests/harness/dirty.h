/* SPDX-License-Identifier: GPL-2.0-only */
/* What the log of our writes has (lib/dirty_log.h), beside what has changed in the box's RAM. */
#ifndef KVMB_DIRTY_H
#define KVMB_DIRTY_H

#include <stdlib.h>

#include "lib/dirty_log.h"
#include "lib/util.h"
#include "tests/harness/fake_vmm.h"
#include "tests/unit/test.h"

#define DIRTY_PAGES (FAKE_RAM / KVMB_PAGE_SIZE)

static u64 dirty_bits[DIRTY_PAGES / 64]; /* what was taken so far */
static u8 *dirty_before;		 /* RAM when the log began */

static inline void dirty_begin(struct fake_vmm *box)
{
	assert_int_equal(kvmb_dirty_log_prepare(), 0);
	assert_int_equal(kvmb_dirty_log_begin(box->gm.regions[0].hva, FAKE_RAM), 0);
	memset(dirty_bits, 0, sizeof(dirty_bits));
	dirty_before = malloc(FAKE_RAM);
	assert_non_null(dirty_before);
	memcpy(dirty_before, box->view, FAKE_RAM);
}

static inline void dirty_end(void)
{
	kvmb_dirty_log_end();
	free(dirty_before);
	dirty_before = NULL;
}

static inline u32 dirty_count(void)
{
	u32 i, n = 0;

	for (i = 0; i < ARRAY_SIZE(dirty_bits); i++)
		n += (u32)__builtin_popcountll(dirty_bits[i]);
	return n;
}

/* Only what is new. Return: pages. */
static inline u32 dirty_take(void)
{
	memset(dirty_bits, 0, sizeof(dirty_bits));
	kvmb_dirty_log_take(dirty_bits, 0, DIRTY_PAGES);
	return dirty_count();
}

static inline bool dirty_has(u64 gfn) /* of the lower region */
{
	return dirty_bits[gfn / 64] >> gfn % 64 & 1;
}

/* A page that has changed and was never noted, apart from the guest's data in its ring. Or 0. */
static inline u64 dirty_missing(struct fake_vmm *box, const struct fake_chan *c)
{
	u64 i;

	kvmb_dirty_log_take(dirty_bits, 0, DIRTY_PAGES);
	for (i = 0; i < DIRTY_PAGES; i++) {
		if (!dirty_has(i) && !(i > c->first_gfn && i < c->first_gfn + c->down) &&
		    memcmp(box->view + i * KVMB_PAGE_SIZE, dirty_before + i * KVMB_PAGE_SIZE,
			   KVMB_PAGE_SIZE))
			return i;
	}
	return 0;
}

/* A worker notes what it has published a moment after the guest may see it. */
static inline void dirty_has_all(struct fake_vmm *box, const struct fake_chan *c)
{
	u64 until = kvmb_now_ms() + PATIENCE_MS / 10, page;

	kvmb_bus_dirty(box->bus);
	while ((page = dirty_missing(box, c)) && kvmb_now_ms() < until)
		kvmb_loop_once(box->loop, 1);
	if (page)
		fail_msg("page %#llx was written and not noted", (unsigned long long)page);
}

#endif
