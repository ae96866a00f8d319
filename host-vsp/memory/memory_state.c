// SPDX-License-Identifier: GPL-2.0-only
/* Dynamic memory in saved VMs and migrations: docs/migration.md, section "balloon". */
#include "host-vsp/memory/memory_drop.h"
#include "host-vsp/memory/memory_priv.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "vmbus-core/proto/memory.h"

/* Numbers are never used again. */
enum {
	MEMORY_RAM = 1, /* pages; the next must be the same, too */
	MEMORY_HOT_PAGE = 2,
	MEMORY_HOT = 3,
	MEMORY_STATE = 4,
	MEMORY_VERSION = 5,
	MEMORY_CAPS = 6,
	MEMORY_TARGET = 7,
	MEMORY_ADDED = 8,
	MEMORY_NEXT = 9,
	MEMORY_ASKED = 10,
	MEMORY_GOT = 11,
	MEMORY_FLAGS = 12,
	MEMORY_AVAILABLE = 13,
	MEMORY_COMMITTED = 14,
	MEMORY_REPORTS = 15,
	MEMORY_AWAY = 16, /* groups: memory_away.c */
};

enum { FLAG_INFORMED = 1, FLAG_SETTLED = 2, FLAG_FULL = 4, FLAG_ALL = 7 };

void kvmb_memory_save(const struct kvmb_memory *m, struct kvmb_tlv_out *o)
{
	kvmb_tlv_put(o, MEMORY_RAM, m->spec.ram);
	kvmb_tlv_put(o, MEMORY_HOT_PAGE, m->spec.hot_page);
	kvmb_tlv_put(o, MEMORY_HOT, m->spec.hot);
	kvmb_tlv_put(o, MEMORY_STATE, m->state);
	kvmb_tlv_put(o, MEMORY_VERSION, m->version);
	kvmb_tlv_put(o, MEMORY_CAPS, m->caps);
	kvmb_tlv_put(o, MEMORY_TARGET, m->target);
	kvmb_tlv_put(o, MEMORY_ADDED, m->added);
	kvmb_tlv_put(o, MEMORY_NEXT, m->next);
	kvmb_tlv_put(o, MEMORY_ASKED, m->asked);
	kvmb_tlv_put(o, MEMORY_GOT, m->got);
	kvmb_tlv_put(o, MEMORY_FLAGS,
		     (m->informed ? FLAG_INFORMED : 0) | (m->settled ? FLAG_SETTLED : 0) |
			     (m->full ? FLAG_FULL : 0));
	kvmb_tlv_put(o, MEMORY_AVAILABLE, m->available);
	kvmb_tlv_put(o, MEMORY_COMMITTED, m->committed);
	kvmb_tlv_put(o, MEMORY_REPORTS, m->reports);
	memory_away_save(m, o, MEMORY_AWAY);
}

static void check_same(const struct kvmb_memory *m, struct kvmb_tlv *t)
{
	if (kvmb_tlv_get(t, MEMORY_RAM, UINT64_MAX) != m->spec.ram ||
	    kvmb_tlv_get(t, MEMORY_HOT_PAGE, UINT64_MAX) != m->spec.hot_page ||
	    kvmb_tlv_get(t, MEMORY_HOT, UINT64_MAX) != m->spec.hot)
		kvmb_tlv_refuse(t, MEMORY_RAM, "it was started with another --memory");
}

/* Of a channel: what is agreed, and what is asked. */
static void load_channel(struct kvmb_memory *m, struct kvmb_tlv *t)
{
	u32 state = (u32)kvmb_tlv_get(t, MEMORY_STATE, KVMB_MEMORY_NUM_STATES - 1);
	u32 version = (u32)kvmb_tlv_get(t, MEMORY_VERSION, UINT32_MAX);
	bool agreed = state >= KVMB_MEMORY_AGREED && state != KVMB_MEMORY_FAILED;

	if ((state == KVMB_MEMORY_CLOSED) != !m->chan.ch)
		kvmb_tlv_refuse(t, MEMORY_STATE, "it does not fit to that of the channel");
	else if (m->chan.ch && !m->fresh)
		kvmb_tlv_refuse(t, MEMORY_STATE, "it comes too late, or twice");
	if (agreed ? version != KVMB_MEMORY_VERSION_WIN7 && version != KVMB_MEMORY_VERSION_WIN8 &&
			     version != KVMB_MEMORY_VERSION_WIN10 :
		     version != 0)
		kvmb_tlv_refuse(t, MEMORY_VERSION, "no such version");
	if (t->error->err)
		return;
	m->fresh = false;
	m->version = version;
	memory_move(m, (enum kvmb_memory_state)state);
	m->ready_ms = m->since_ms = kvmb_now_ms();
	if (state == KVMB_MEMORY_FAILED)
		kvmb_loop_chan_mute(&m->chan);
}

static void load_numbers(struct kvmb_memory *m, struct kvmb_tlv *t)
{
	u64 flags = kvmb_tlv_get(t, MEMORY_FLAGS, FLAG_ALL), target;

	m->caps = kvmb_tlv_get(t, MEMORY_CAPS, UINT64_MAX);
	target = kvmb_tlv_get(t, MEMORY_TARGET, UINT64_MAX);
	/* the bounds are those of today */
	m->target = KVMB_MAX(KVMB_MIN(target, m->spec.max), m->spec.min);
	m->next = kvmb_tlv_get(t, MEMORY_NEXT, m->spec.hot);
	m->added = kvmb_tlv_get(t, MEMORY_ADDED, m->next);
	m->asked = kvmb_tlv_get(t, MEMORY_ASKED, KVMB_MEMORY_RANGE_MAX);
	m->got = kvmb_tlv_get(t, MEMORY_GOT, KVMB_MEMORY_RANGE_MAX);
	m->informed = flags & FLAG_INFORMED;
	m->settled = flags & FLAG_SETTLED;
	m->full = flags & FLAG_FULL;
	m->available = kvmb_tlv_get(t, MEMORY_AVAILABLE, UINT64_MAX);
	m->committed = kvmb_tlv_get(t, MEMORY_COMMITTED, UINT64_MAX);
	m->reports = kvmb_tlv_get(t, MEMORY_REPORTS, UINT64_MAX);
	if (m->reports)
		m->report_ms = kvmb_now_ms();
}

/* A question of new memory must be within what the guest was told of, or an answer undoes more. */
static void check_question(const struct kvmb_memory *m, struct kvmb_tlv *t)
{
	u64 state = kvmb_tlv_get(t, MEMORY_STATE, KVMB_MEMORY_NUM_STATES - 1);

	if (state == KVMB_MEMORY_ADDING && m->asked > m->next - m->added)
		kvmb_tlv_refuse(t, MEMORY_ASKED, "more than it was told of");
	if (state == KVMB_MEMORY_CLOSED && m->ballooned)
		kvmb_tlv_refuse(t, MEMORY_AWAY, "nobody has given it away");
	if (m->ballooned > m->spec.ram + m->added)
		kvmb_tlv_refuse(t, MEMORY_AWAY, "more than the guest has");
	else if (state == KVMB_MEMORY_BALLOONING && m->asked > kvmb_memory_assigned(m))
		kvmb_tlv_refuse(t, MEMORY_ASKED, "more than the guest has");
}

int kvmb_memory_load(struct kvmb_memory *m, struct kvmb_tlv *t)
{
	check_same(m, t);
	load_numbers(m, t);
	if (!t->error->err)
		memory_away_load(m, t, MEMORY_AWAY);
	if (!t->error->err)
		check_question(m, t);
	load_channel(m, t);
	m->redrop = !t->error->err && m->chan.ch;
	m->stale = !m->redrop;
	return kvmb_tlv_done(t);
}
