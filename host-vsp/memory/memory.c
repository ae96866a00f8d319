// SPDX-License-Identifier: GPL-2.0-only
/* Dynamic memory: memory.h. What the guest says, and what it is asked. */
#include "host-vsp/memory/memory.h"

#include <stdlib.h>

#include "host-vsp/memory/memory_drop.h"
#include "host-vsp/memory/memory_priv.h"
#include "lib/log.h"
#include "lib/util.h"
#include "vmbus-core/proto/memory.h"

#define PACKET_MAX 8192u
#define ANSWER_ROOM 64u
#define RANGES_MAX 250u /* of an UNBALLOON: it fits a ring of a page */
#define PAGES_PER_MIB (1048576u / KVMB_PAGE_SIZE)
#define LOOK_MS 1000u
#define SOON_MS 50u
#define RETRY_SHIFT_MAX 4u
#define REPORT_MAX (1ull << 40) /* pages: what no guest has */

static_assert(sizeof(struct kvmb_wire_memory_unballoon) + RANGES_MAX * 8 <= KVMB_MEMORY_MESSAGE_MAX,
	      "what a guest has room for");
static_assert(KVMB_MEMORY_ASK_MAX <= KVMB_MEMORY_RANGE_MAX, "one range of new memory");

/* ---- state ---- */

static const char *const state_names[] = { "no guest driver", "negotiating", "negotiating",
					   "ready",	      "ballooning",  "unballooning",
					   "adding",	      "failed" };
static_assert(ARRAY_SIZE(state_names) == KVMB_MEMORY_NUM_STATES, "one name a state");

#define TO(s) (1u << KVMB_MEMORY_##s)
static const u16 moves[KVMB_MEMORY_NUM_STATES] = {
	[KVMB_MEMORY_CLOSED] = TO(NEGOTIATING),
	/* the others from here on are those of a VM that is loaded */
	[KVMB_MEMORY_NEGOTIATING] = TO(AGREED) | TO(FAILED) | TO(CLOSED) | TO(READY) |
				    TO(BALLOONING) | TO(UNBALLOONING) | TO(ADDING),
	[KVMB_MEMORY_AGREED] = TO(READY) | TO(FAILED) | TO(CLOSED),
	[KVMB_MEMORY_READY] = TO(BALLOONING) | TO(UNBALLOONING) | TO(ADDING) | TO(FAILED) |
			      TO(CLOSED),
	[KVMB_MEMORY_BALLOONING] = TO(READY) | TO(FAILED) | TO(CLOSED),
	[KVMB_MEMORY_UNBALLOONING] = TO(READY) | TO(FAILED) | TO(CLOSED),
	[KVMB_MEMORY_ADDING] = TO(READY) | TO(FAILED) | TO(CLOSED),
	[KVMB_MEMORY_FAILED] = TO(CLOSED),
};

void memory_move(struct kvmb_memory *m, enum kvmb_memory_state to)
{
	if (to == m->state)
		return;
	kvmb_assert(moves[m->state] & 1u << to);
	m->state = to;
}

const char *kvmb_memory_state_name(const struct kvmb_memory *m)
{
	return m->leaving && m->state == KVMB_MEMORY_CLOSED ? "leaving" : state_names[m->state];
}

static bool owes_answer(const struct kvmb_memory *m)
{
	return m->state == KVMB_MEMORY_BALLOONING || m->state == KVMB_MEMORY_UNBALLOONING ||
	       m->state == KVMB_MEMORY_ADDING;
}

u64 kvmb_memory_assigned(const struct kvmb_memory *m)
{
	return m->spec.ram + m->added - m->ballooned;
}

/* Linux counts what it has given away as committed: docs/protocol.md#10.7. */
u64 kvmb_memory_demand(const struct kvmb_memory *m)
{
	return m->committed > m->ballooned ? m->committed - m->ballooned : 0;
}

/* ---- questions ---- */

static struct kvmb_wire_memory_header header(u16 type, size_t size, u32 id)
{
	return (struct kvmb_wire_memory_header){ .type = cpu_to_le16(type),
						 .size = cpu_to_le16((u16)size),
						 .id = cpu_to_le32(id) };
}

/* Return: 0; -errno: nothing was sent, and if that is for ever, the channel has failed. */
static int say(struct kvmb_memory *m, const void *msg, u32 len)
{
	int err = kvmb_loop_chan_send(&m->chan, KVMB_PKT_INBAND, 0, msg, len);

	if (err && err != -EAGAIN)
		kvmb_loop_chan_fail(&m->chan, "its ring is corrupt", err);
	return err;
}

static void has_asked(struct kvmb_memory *m, enum kvmb_memory_state state, u64 pages)
{
	memory_move(m, state);
	m->asked = pages;
	m->got = 0;
	m->since_ms = kvmb_now_ms();
	m->late = false;
}

/* The most that it may ever have: Linux only prints it. */
static void inform(struct kvmb_memory *m)
{
	const struct kvmb_wire_memory_info msg = {
		.h = header(KVMB_MEMORY_INFO, sizeof(msg), 0),
		.info_size = cpu_to_le32(16),
		.type = cpu_to_le32(KVMB_MEMORY_INFO_MAX_PAGES),
		.data_size = cpu_to_le32(8),
		.max_pages = cpu_to_le64(m->spec.max),
	};

	m->informed = !say(m, &msg, sizeof(msg));
}

static void ask_for(struct kvmb_memory *m, u64 pages)
{
	const u64 n = KVMB_MIN(pages, KVMB_MEMORY_ASK_MAX);
	const struct kvmb_wire_memory_balloon msg = {
		.h = header(KVMB_MEMORY_BALLOON_REQUEST, sizeof(msg), 0),
		.pages = cpu_to_le32((u32)n),
	};

	if (!say(m, &msg, sizeof(msg)))
		has_asked(m, KVMB_MEMORY_BALLOONING, n);
}

static void give_back(struct kvmb_memory *m, u64 pages)
{
	struct {
		struct kvmb_wire_memory_unballoon head;
		__le64 ranges[RANGES_MAX];
	} msg = { 0 };
	u64 ranges[RANGES_MAX];
	u32 num = memory_away_take(m, ranges, RANGES_MAX, pages), i;
	u32 len = (u32)(sizeof(msg.head) + num * sizeof(msg.ranges[0]));

	msg.head.h = header(KVMB_MEMORY_UNBALLOON_REQUEST, len, 0);
	msg.head.num = cpu_to_le32(num);
	for (i = 0; i < num; i++)
		msg.ranges[i] = cpu_to_le64(ranges[i]);
	if (say(m, &msg, len))
		memory_away_back(m, ranges, num);
	else
		has_asked(m, KVMB_MEMORY_UNBALLOONING, 0);
}

/* In units that the guest can take; what is too much is ballooned afterwards. */
static void add(struct kvmb_memory *m, u64 pages)
{
	u64 unit = (u64)PAGES_PER_MIB
		   << (m->caps >> KVMB_MEMORY_ALIGN_SHIFT & KVMB_MEMORY_ALIGN_MASK);
	struct kvmb_wire_memory_add msg = { .h = header(KVMB_MEMORY_ADD_REQUEST, sizeof(msg), 0) };
	u64 first = 0, gfn = 0, n = 0;

	if (kvmb_gm_frame(m->spec.gm, m->spec.hot_page, &gfn)) {
		first = KVMB_ALIGN_UP(gfn + m->next, unit) - gfn;
		n = KVMB_MIN(KVMB_ALIGN_UP(pages, unit),
			     KVMB_MAX(KVMB_MEMORY_ASK_MAX / unit * unit, unit));
		n = first < m->spec.hot ? KVMB_MIN(n, (m->spec.hot - first) / unit * unit) : 0;
	}
	if (!n) {
		m->full = true;
		return;
	}
	msg.range = cpu_to_le64(KVMB_MEMORY_RANGE(gfn + first, n));
	if (say(m, &msg, sizeof(msg)))
		return;
	m->next = first + n; /* from now on the guest may use it */
	has_asked(m, KVMB_MEMORY_ADDING, n);
}

static bool can(const struct kvmb_memory *m, u64 cap)
{
	return m->caps & cap;
}

/* What brings the guest nearer to the target. Return: NULL: nothing. */
static void (*question(const struct kvmb_memory *m))(struct kvmb_memory *m, u64 pages)
{
	u64 has = kvmb_memory_assigned(m);

	if (m->target < has)
		return can(m, KVMB_MEMORY_CAN_BALLOON) ? ask_for : NULL;
	if (m->target == has)
		return NULL;
	if (m->ballooned)
		return give_back;
	return can(m, KVMB_MEMORY_CAN_ADD) && !m->full && m->next < m->spec.hot ? add : NULL;
}

static void ask_something(struct kvmb_memory *m)
{
	u64 has = kvmb_memory_assigned(m);
	void (*ask)(struct kvmb_memory * m, u64 pages) = question(m);

	if (ask)
		ask(m, m->target < has ? has - m->target : m->target - has);
}

/* A guest that has only just begun is left alone: docs/protocol.md#10.9. */
static bool is_settled(struct kvmb_memory *m)
{
	m->settled |= kvmb_now_ms() - m->ready_ms >= KVMB_MEMORY_SETTLE_MS;
	return m->settled;
}

static bool may_ask(struct kvmb_memory *m)
{
	return m->state == KVMB_MEMORY_READY && kvmb_loop_chan_runs(&m->chan) && is_settled(m) &&
	       kvmb_now_ms() >= m->retry_ms && !memory_drop_waits(m->drop) &&
	       !__atomic_load_n(&m->spec.gm->lazy, __ATOMIC_ACQUIRE) &&
	       !kvmb_loop_chan_unread(&m->chan);
}

static void note_late(struct kvmb_memory *m)
{
	if (!owes_answer(m) || m->late || kvmb_now_ms() - m->since_ms < KVMB_MEMORY_LATE_MS)
		return;
	m->late = true;
	kvmb_warn(m->spec.who, "memory: the guest has not answered for %u s (%s)",
		  KVMB_MEMORY_LATE_MS / 1000, kvmb_memory_state_name(m));
}

static bool may_inform(const struct kvmb_memory *m)
{
	return !m->informed && m->version >= KVMB_MEMORY_VERSION_WIN8;
}

/* A timer only where something is to come about that nobody tells of. */
static void arm(struct kvmb_memory *m)
{
	if (!m->chan.watch || m->state < KVMB_MEMORY_READY || m->state == KVMB_MEMORY_FAILED)
		return;
	if (owes_answer(m)) {
		if (!m->late)
			kvmb_timer_set(&m->timer, KVMB_MEMORY_LATE_MS);
	} else if (question(m) || may_inform(m)) {
		kvmb_timer_set(&m->timer, m->settled && !m->retry_ms ? SOON_MS : LOOK_MS);
	}
}

/* Look what is to be done: something has happened, or time has passed. */
static void look_on(struct kvmb_memory *m)
{
	note_late(m);
	if (may_ask(m)) {
		if (may_inform(m))
			inform(m);
		else
			ask_something(m);
	}
	arm(m);
}

static void on_timer(void *arg)
{
	look_on(arg);
}

static void memory_room(struct kvmb_loop_chan *c)
{
	look_on(container_of(c, struct kvmb_memory, chan));
}

/* ---- what the guest says ---- */

struct message { /* the private copy, in the channel's buffer */
	const u8 *p;
	u32 len, id;
};

static const char *answer(struct kvmb_memory *m, u16 type, u32 id, bool yes)
{
	const struct kvmb_wire_memory_accepted r = { .h = header(type, sizeof(r), id),
						     .accepted = cpu_to_le64(yes) };

	return kvmb_loop_chan_send(&m->chan, KVMB_PKT_INBAND, 0, &r, sizeof(r)) ?
		       "its ring is corrupt" :
		       NULL;
}

static bool is_version(u32 v)
{
	return v == KVMB_MEMORY_VERSION_WIN7 || v == KVMB_MEMORY_VERSION_WIN8 ||
	       v == KVMB_MEMORY_VERSION_WIN10;
}

static const char *take_version(struct kvmb_memory *m, const struct message *msg)
{
	struct kvmb_wire_memory_version req;
	u32 version;

	if (m->state != KVMB_MEMORY_NEGOTIATING)
		return "a version was agreed already";
	memcpy(&req, msg->p, sizeof(req));
	version = le32_to_cpu(req.version);
	if (is_version(version)) {
		m->version = version;
		memory_move(m, KVMB_MEMORY_AGREED);
	}
	return answer(m, KVMB_MEMORY_VERSION_RESPONSE, msg->id, is_version(version));
}

static const char *take_caps(struct kvmb_memory *m, const struct message *msg)
{
	struct kvmb_wire_memory_caps req;

	if (m->state != KVMB_MEMORY_AGREED)
		return "capabilities come out of turn";
	memcpy(&req, msg->p, sizeof(req));
	m->caps = le64_to_cpu(req.caps);
	m->ready_ms = kvmb_now_ms();
	memory_move(m, KVMB_MEMORY_READY);
	return answer(m, KVMB_MEMORY_CAPS_RESPONSE, msg->id, true);
}

static const char *take_status(struct kvmb_memory *m, const struct message *msg)
{
	struct kvmb_wire_memory_status s;

	if (m->state < KVMB_MEMORY_READY)
		return "it reports before its capabilities";
	memcpy(&s, msg->p, sizeof(s));
	m->available = KVMB_MIN(le64_to_cpu(s.available), REPORT_MAX);
	m->committed = KVMB_MIN(le64_to_cpu(s.committed), REPORT_MAX);
	m->reports++;
	m->report_ms = kvmb_now_ms();
	m->settled = true;
	return NULL;
}

/* A question is answered, and has brought @got pages. */
static void is_answered(struct kvmb_memory *m, u64 got)
{
	m->in_a_row = got ? 0 : m->in_a_row + 1;
	if (!got) { /* Linux logs each time: less and less often */
		m->refusals++;
		m->retry_ms = kvmb_now_ms() +
			      (KVMB_MEMORY_RETRY_MS << KVMB_MIN(m->in_a_row - 1, RETRY_SHIFT_MAX));
	}
	memory_move(m, KVMB_MEMORY_READY);
}

static const char *take_range(struct kvmb_memory *m, u64 range)
{
	u64 num = KVMB_MEMORY_RANGE_NUM(range);
	const char *why;

	if (!num)
		return NULL;
	if (num > m->asked)
		return "it gives away more than it was asked for";
	why = memory_away_add(m, KVMB_MEMORY_RANGE_FIRST(range), num);
	if (why)
		return why;
	m->asked -= num;
	m->got += num;
	return NULL;
}

static const char *take_pages(struct kvmb_memory *m, const struct message *msg)
{
	struct kvmb_wire_memory_ballooned r;
	const char *why = NULL;
	u32 num, i;
	__le64 range;

	if (m->state != KVMB_MEMORY_BALLOONING)
		return "it gives away pages unasked";
	memcpy(&r, msg->p, sizeof(r));
	num = le32_to_cpu(r.more_num) >> 1;
	if (num > (msg->len - sizeof(r)) / sizeof(range))
		return "a list of pages is longer than its packet";
	for (i = 0; i < num && !why; i++) {
		memcpy(&range, msg->p + sizeof(r) + i * sizeof(range), sizeof(range));
		why = take_range(m, le64_to_cpu(range));
	}
	if (!why && !(le32_to_cpu(r.more_num) & 1))
		is_answered(m, m->got);
	return why;
}

static const char *take_thanks(struct kvmb_memory *m, const struct message *msg)
{
	(void)msg;
	if (m->state != KVMB_MEMORY_UNBALLOONING)
		return "it was given nothing";
	memory_move(m, KVMB_MEMORY_READY);
	return NULL;
}

static const char *take_added(struct kvmb_memory *m, const struct message *msg)
{
	struct kvmb_wire_memory_added r;
	u64 pages;

	if (m->state != KVMB_MEMORY_ADDING)
		return "no memory was added";
	memcpy(&r, msg->p, sizeof(r));
	pages = le32_to_cpu(r.pages);
	if (pages > m->asked)
		return "it takes more memory than there is";
	/* fewer than there are: it has met a bound of its own. None, and no success: not now */
	if (pages < m->asked && (pages || le32_to_cpu(r.result)))
		m->full = true;
	if (!pages)
		m->next -= m->asked;
	m->added += pages;
	is_answered(m, pages);
	return NULL;
}

static const char *take_message(struct kvmb_memory *m, u16 type, const struct message *msg)
{
	static const struct {
		u32 len;
		const char *(*take)(struct kvmb_memory *m, const struct message *msg);
	} known[] = {
		[KVMB_MEMORY_VERSION_REQUEST] = { 16, take_version },
		[KVMB_MEMORY_CAPS_REPORT] = { 32, take_caps },
		[KVMB_MEMORY_STATUS] = { 48, take_status },
		[KVMB_MEMORY_BALLOON_RESPONSE] = { 16, take_pages },
		[KVMB_MEMORY_UNBALLOON_RESPONSE] = { 8, take_thanks },
		[KVMB_MEMORY_ADD_RESPONSE] = { 16, take_added },
	};

	if (type >= ARRAY_SIZE(known) || !known[type].take)
		return "there is no such message";
	if (msg->len < known[type].len)
		return "a message is too short";
	return known[type].take(m, msg);
}

static const char *memory_packet(struct kvmb_loop_chan *c, const struct kvmb_pkt *pkt)
{
	struct kvmb_memory *m = container_of(c, struct kvmb_memory, chan);
	struct kvmb_wire_memory_header h;
	struct message msg;
	const char *why;

	if (pkt->type != KVMB_PKT_INBAND || pkt->payload_len < sizeof(h))
		return "a packet is no message";
	memcpy(&h, pkt->payload, sizeof(h));
	msg = (struct message){ pkt->payload, le16_to_cpu(h.size), le32_to_cpu(h.id) };
	if (msg.len < sizeof(h) || msg.len > pkt->payload_len)
		return "a message is malformed";
	if (pkt->flags & KVMB_PKT_FLAG_COMPLETE &&
	    kvmb_loop_chan_send(c, KVMB_PKT_COMPLETION, pkt->trans_id, NULL, 0))
		return "its ring is corrupt";
	why = take_message(m, le16_to_cpu(h.type), &msg);
	if (!why)
		look_on(m);
	return why;
}

/* ---- a channel's life ---- */

static void forget_guest(struct kvmb_memory *m)
{
	kvmb_timer_cancel(&m->timer);
	m->version = 0;
	m->caps = 0;
	m->informed = m->settled = m->late = m->full = false;
	m->asked = m->got = m->retry_ms = m->in_a_row = 0;
	m->available = m->committed = m->reports = m->report_ms = m->refusals = 0;
}

static void memory_failed(struct kvmb_loop_chan *c)
{
	struct kvmb_memory *m = container_of(c, struct kvmb_memory, chan);

	forget_guest(m);
	memory_move(m, KVMB_MEMORY_FAILED);
}

static const struct kvmb_loop_chan_ops memory_chan_ops = {
	.packet_max = PACKET_MAX,
	.answer_room = ANSWER_ROOM,
	.packet = memory_packet,
	.failed = memory_failed,
	.room = memory_room,
};

/*
 * What a guest of before had beyond its beginnings. Only now: nothing makes the thread stand while
 * the channel is closed, and another process may have the VM next (vmm/upgrade_out.h).
 */
static void drop_stale(struct kvmb_memory *m)
{
	if (m->next < m->spec.hot)
		memory_drop_add(m->drop, m->spec.hot_page + m->next, m->spec.hot - m->next);
	m->stale = false;
}

static int memory_open(struct kvmb_chan *ch)
{
	struct kvmb_memory *m = kvmb_chan_dev(ch);
	int err = kvmb_loop_chan_open(&m->chan, ch, &memory_chan_ops);

	if (err)
		return err;
	forget_guest(m);
	m->fresh = kvmb_chan_starts_paused(ch);
	memory_move(m, KVMB_MEMORY_NEGOTIATING);
	if (m->stale && !m->fresh)
		drop_stale(m);
	return 0;
}

static void finish_close(struct kvmb_memory *m)
{
	m->closing = false;
	memory_away_forget(m);
	memory_drop_go(m->drop);
	kvmb_loop_chan_close(&m->chan);
}

/* Nothing is dropped any more when the guest hears that the channel is closed. */
static void memory_close(struct kvmb_chan *ch)
{
	struct kvmb_memory *m = kvmb_chan_dev(ch);

	memory_move(m, KVMB_MEMORY_CLOSED);
	forget_guest(m);
	m->fresh = m->pausing = m->redrop = false;
	memory_drop_hold(m->drop);
	memory_drop_clear(m->drop);
	kvmb_loop_chan_mute(&m->chan);
	m->closing = memory_drop_moves(m->drop);
	if (!m->closing)
		finish_close(m);
}

static void memory_pause(struct kvmb_chan *ch)
{
	struct kvmb_memory *m = kvmb_chan_dev(ch);

	memory_drop_hold(m->drop);
	m->pausing = memory_drop_moves(m->drop);
	if (!m->pausing)
		kvmb_chan_paused(ch);
}

static void memory_resume(struct kvmb_chan *ch)
{
	struct kvmb_memory *m = kvmb_chan_dev(ch);

	m->fresh = m->pausing = false;
	memory_drop_go(m->drop);
	if (m->redrop)
		memory_away_drop(m);
	else if (m->stale)
		drop_stale(m);
	m->redrop = m->stale = false;
	if (!m->chan.watch)
		return;
	kvmb_loop_chan_look(&m->chan); /* which calls look_on() */
}

static void on_rest(void *arg)
{
	struct kvmb_memory *m = arg;

	if (m->closing) {
		finish_close(m);
	} else if (m->pausing) {
		m->pausing = false;
		kvmb_chan_paused(m->chan.ch);
	} else {
		look_on(m);
	}
}

/* Of a reset guest, too. */
static void memory_released(struct kvmb_chan *ch)
{
	struct kvmb_memory *m = kvmb_chan_dev(ch);

	if (!--m->leaving && m->left)
		m->left(m->left_arg);
}

static const struct kvmb_vsp_ops memory_vsp_ops = {
	.name = "memory",
	.open = memory_open,
	.close = memory_close,
	.pause = memory_pause,
	.resume = memory_resume,
	.released = memory_released,
};

/* ---- the device ---- */

int kvmb_memory_create(struct kvmb_memory *m, const struct kvmb_memory_spec *spec)
{
	*m = (struct kvmb_memory){ .spec = *spec };
	m->target = KVMB_MAX(KVMB_MIN(spec->ram, spec->max), spec->min);
	m->lowest = memory_pages(m);
	m->away = calloc((memory_pages(m) + 63) / 64, sizeof(*m->away));
	if (!m->away)
		return -ENOMEM;
	m->drop = memory_drop_create(spec->loop, spec->gm, spec->who, on_rest, m);
	kvmb_timer_init(&m->timer, spec->loop, on_timer, m);
	return 0;
}

void kvmb_memory_destroy(struct kvmb_memory *m)
{
	if (!m->drop)
		return;
	kvmb_timer_cancel(&m->timer);
	memory_drop_destroy(m->drop);
	free(m->away);
	*m = (struct kvmb_memory){ 0 };
}

int kvmb_memory_offer(struct kvmb_memory *m, struct kvmb_bus *bus)
{
	struct kvmb_offer offer = {
		.type = KVMB_MEMORY_TYPE_GUID,
		.instance = KVMB_MEMORY_INSTANCE_GUID,
		.flags = KVMB_OFFER_ENUMERATE,
		.name = "memory",
		.ops = &memory_vsp_ops,
		.dev = m,
	};

	return m->primary ? 0 : kvmb_bus_offer(bus, &offer, &m->primary);
}

void kvmb_memory_revoke(struct kvmb_memory *m)
{
	struct kvmb_chan *ch = m->primary;

	m->primary = NULL;
	if (!ch)
		return;
	m->leaving++;
	kvmb_bus_revoke(ch);
}

int kvmb_memory_set(struct kvmb_memory *m, u64 pages)
{
	if (pages < m->spec.min || pages > m->spec.max)
		return -ERANGE;
	m->target = pages;
	m->retry_ms = m->in_a_row = 0; /* the administrator may know more */
	look_on(m);
	return 0;
}

void kvmb_memory_reset(struct kvmb_memory *m)
{
	m->stale |= m->next != 0;
	m->added = m->next = 0;
}
