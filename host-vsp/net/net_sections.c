// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's receive buffer, cut into sections.
 *
 * DOC: Theory of operation
 *
 * All sections have the same size. Each belongs to one queue at a time and is either free or in a
 * packet. A section in a packet comes back with the packet's completion, and is not used again
 * before. Free sections, and the sections of a packet, are linked through next[].
 *
 * Sources: Linux 6.12 drivers/net/hyperv/netvsc.c netvsc_init_buf(), netvsc_receive().
 */
#include "host-vsp/net/net_priv.h"
#include "lib/util.h"

#define PAGE_SECTIONS_MIN 256u	/* with fewer than this, sections are as small as can be */
#define LARGE_SECTIONS_MIN 128u /* of those for each queue, or none are made */

static_assert(KVMB_NET_MAX_QUEUES <= 256, "a section's owner is a byte");

/* What a section must hold: a frame, or an answer to a control message. */
u32 net_section_least(const struct kvmb_net *n)
{
	return KVMB_MAX(NET_RX_HEAD + NET_HEAD_ROOM + n->guest_mtu + 2, KVMB_RNDIS_REPLY_MAX);
}

/*
 * The buffer's page size is best: a frame is then one iovec. A small buffer is cut more finely, a
 * large one of a guest that takes coalesced frames more coarsely: each part costs both sides.
 */
static u32 section_size(const struct kvmb_net *n)
{
	u32 least = net_section_least(n);
	u32 paged = (least + KVMB_PAGE_SIZE - 1) / KVMB_PAGE_SIZE * KVMB_PAGE_SIZE;
	u64 large = (u64)n->recv.num_pages * KVMB_PAGE_SIZE / NET_SECTION_MAX;

	if (n->guest_caps & KVMB_NVSP_CAP_RSC && n->rndis.caps.rsc &&
	    large / n->num_queues >= LARGE_SECTIONS_MIN)
		return NET_SECTION_MAX;
	return (u64)n->recv.num_pages * KVMB_PAGE_SIZE / paged >= PAGE_SECTIONS_MIN ?
		       paged :
		       (least + 15) & ~15u;
}

int net_sections_alloc(struct net_sections *s)
{
	s->next = calloc(s->num, sizeof(*s->next));
	s->id = calloc(s->num, sizeof(*s->id));
	s->owner = malloc(s->num);
	if (s->owner)
		memset(s->owner, NET_NO_OWNER, s->num);
	return s->next && s->id && s->owner ? 0 : -ENOMEM;
}

int net_sections_create(struct kvmb_net *n)
{
	struct net_sections *s = &n->sec;
	u32 i;

	s->size = section_size(n);
	kvmb_assert(s->size >= KVMB_RNDIS_REPLY_MAX && s->size <= NET_SECTION_MAX);
	s->num = (u32)KVMB_MIN((u64)n->recv.num_pages * KVMB_PAGE_SIZE / s->size,
			       NET_NO_SECTION - 1);
	if (s->num < 2) /* one frame, one control message */
		return -ENOSPC;
	if (net_sections_alloc(s)) {
		net_sections_destroy(n);
		return -ENOMEM;
	}
	memset(s->owner, 0, s->num);
	for (i = 0; i < s->num; i++)
		s->next[i] = (u16)(i + 1 < s->num ? i + 1 : NET_NO_SECTION);
	return 0;
}

/* Bytes of a frame that one section takes, behind the Ethernet header. */
u32 net_section_room(const struct kvmb_net *n)
{
	return n->sec.size - NET_RX_HEAD - NET_HEAD_ROOM;
}

/*
 * Has a queue room for a few coalesced frames at once, and one of them in few enough pieces?
 * Sections of pages are in one piece a page; others have one end more.
 */
bool net_coalesced_fit(const struct kvmb_net *n)
{
	u32 parts = NET_FRAME_MAX / net_section_room(n) + 1;

	return n->sec.num / n->num_queues >= 2 * (parts + 1) &&
	       parts + NET_FRAME_MAX / KVMB_PAGE_SIZE + 1 <= NET_RX_PARTS - 2;
}

void net_sections_destroy(struct kvmb_net *n)
{
	free(n->sec.next);
	free(n->sec.id);
	free(n->sec.owner);
	memset(&n->sec, 0, sizeof(n->sec));
}

u16 net_section_pop(struct net_queue *q)
{
	u16 s = q->free;

	kvmb_assert(q->num_free && s < q->n->sec.num); /* callers look at num_free */
	q->free = q->n->sec.next[s];
	q->num_free--;
	return s;
}

static void push_section(struct net_queue *q, u16 s)
{
	q->n->sec.next[s] = q->free;
	q->free = s;
	q->num_free++;
}

static void give_section(struct net_queue *to, u16 s)
{
	__atomic_store_n(&to->n->sec.owner[s], (u8)to->index, __ATOMIC_RELAXED);
	push_section(to, s);
}

/*
 * Give a new sub-channel its share of the primary's free sections. Both locks held.
 * @num_queues: how many will share
 */
void net_sections_take(struct net_queue *q, u32 num_queues)
{
	struct net_queue *from = q->n->slots[0].q;
	u32 want = q->n->sec.num / num_queues;
	u16 s;

	q->free = NET_NO_SECTION;
	while (from && want-- && from->num_free > 2) {
		s = net_section_pop(from);
		give_section(q, s);
	}
}

/* A sub-channel is closed: what it has not given to the guest is the primary's again. */
void net_sections_return(struct net_queue *q)
{
	struct net_queue *to = q->n->slots[0].q;
	u16 s, next;

	if (to && q->batch.num) {
		for (s = q->batch.first; s != NET_NO_SECTION; s = next) {
			next = q->n->sec.next[s];
			give_section(to, s);
		}
	}
	while (to && q->num_free)
		give_section(to, net_section_pop(q));
	q->batch.num = q->num_free = 0;
	q->free = NET_NO_SECTION;
}

/* Part of one section. Return: as net_buf_iov(). */
int net_section_iov(const struct kvmb_net *n, u16 s, u32 off, u32 len, struct iovec *iov, int max)
{
	kvmb_assert(s < n->sec.num && off <= n->sec.size && len <= n->sec.size - off);
	return net_buf_iov(&n->recv, s * n->sec.size + off, len, iov, max);
}

/* The guest is done with a packet. */
void net_rx_completed(struct net_queue *q, u64 id)
{
	struct net_sections *sec = &q->n->sec;
	u16 s = (u16)id, next;

	if (!id || s >= sec->num || __atomic_load_n(&sec->owner[s], __ATOMIC_RELAXED) != q->index ||
	    sec->id[s] != id) {
		net_count(&q->io->stats.errors, 1); /* unknown, or twice: nothing to give back */
		return;
	}
	sec->id[s] = 0;
	for (; s != NET_NO_SECTION; s = next) {
		next = sec->next[s];
		push_section(q, s);
	}
}
