// SPDX-License-Identifier: GPL-2.0-only
/* What a NIC's queue has in hand, in its channel's group: net_state.h. */
#include "host-vsp/net/net_priv.h"
#include "host-vsp/net/net_state.h"
#include "lib/tlv.h"
#include "lib/util.h"

/* Numbers are never used again: docs/migration.md. */
enum {			 /* of a channel */
       Q_FREE = 1,	 /* list: sections that the queue may fill */
       Q_GENERATION = 2, /* upper half of the last packet's id */
       Q_AHEAD = 3,	 /* bytes in the guest's ring whose completions are dealt with */
       Q_FAILED = 4,	 /* the guest broke the protocol: nothing is served any more */
       Q_BATCH = 5,	 /* group: frames that the ring had no room for; missing = none */
       Q_HELD = 6,	 /* group: a completion that the ring had no room for; missing = none */
       Q_REPLY = 7,	 /* primary: an RNDIS message that waits for a section; may be empty */
       Q_TOLD_LINK = 8,	 /* primary: the link as the guest was last told */
};

enum {		       /* of Q_BATCH */
       B_SECTIONS = 1, /* list */
       B_LENGTHS = 2,  /* list: bytes in each */
       B_CONTROL = 3,  /* an RNDIS control message */
       B_FRAMES = 4,
       B_BYTES = 5, /* of the frames: for counters */
};

enum {		      /* of Q_HELD */
       H_ID = 1,      /* transaction */
       H_MESSAGE = 2, /* 40 bytes of NVSP, or none */
};

/* ---- saving ---- */

static void save_free(const struct net_queue *q, struct kvmb_tlv_out *o)
{
	u64 *list = kvmb_xzalloc((q->num_free + 1) * sizeof(*list));
	u16 s = q->free;
	u32 i;

	for (i = 0; i < q->num_free; i++) {
		kvmb_assert(s < q->n->sec.num);
		list[i] = s;
		s = q->n->sec.next[s];
	}
	kvmb_tlv_put_list(o, Q_FREE, list, q->num_free);
	free(list);
}

static void save_batch(const struct net_queue *q, struct kvmb_tlv_out *o)
{
	const struct net_rx_batch *b = &q->batch;
	u64 sections[NET_RX_RANGES], lengths[NET_RX_RANGES];
	u16 s = b->first;
	u32 i;

	for (i = 0; i < b->num; i++) {
		sections[i] = s;
		lengths[i] = le32_to_cpu(b->ranges[i].byte_count);
		s = q->n->sec.next[s];
	}
	kvmb_tlv_group(o, Q_BATCH);
	kvmb_tlv_put_list(o, B_SECTIONS, sections, b->num);
	kvmb_tlv_put_list(o, B_LENGTHS, lengths, b->num);
	kvmb_tlv_put(o, B_CONTROL, b->control);
	kvmb_tlv_put(o, B_FRAMES, b->frames);
	kvmb_tlv_put(o, B_BYTES, b->bytes);
	kvmb_tlv_group_end(o);
}

static void save_held(const struct net_queue *q, struct kvmb_tlv_out *o)
{
	kvmb_tlv_group(o, Q_HELD);
	kvmb_tlv_put(o, H_ID, q->held_id);
	kvmb_tlv_put_bytes(o, H_MESSAGE, &q->held_msg, q->held_len);
	kvmb_tlv_group_end(o);
}

void net_save_chan(struct kvmb_chan *ch, struct kvmb_tlv_out *o)
{
	struct net_queue *q = kvmb_chan_io(ch)->priv;

	net_slot_lock(q->slot);
	save_free(q, o);
	kvmb_tlv_put(o, Q_GENERATION, q->generation);
	kvmb_tlv_put(o, Q_AHEAD, q->ahead_bytes);
	kvmb_tlv_put(o, Q_FAILED, q->failed);
	if (q->batch.num)
		save_batch(q, o);
	if (q->held)
		save_held(q, o);
	if (!q->index) {
		kvmb_tlv_put_bytes(o, Q_REPLY, q->reply, q->reply_len);
		kvmb_tlv_put(o, Q_TOLD_LINK, q->told_link);
	}
	net_slot_unlock(q->slot);
}

/* ---- loading ---- */

static void load_free(struct net_queue *q, struct kvmb_tlv *t)
{
	struct net_sections *sec = &q->n->sec;
	size_t num;
	u64 *list = kvmb_tlv_get_list(t, Q_FREE, sec->num, &num);

	if (!net_sections_claim(sec, q->index, list, num)) {
		kvmb_tlv_refuse(t, Q_FREE, "a section is out of range, or named twice");
	} else if (num) {
		q->free = (u16)list[0];
		q->num_free = (u32)num;
	}
	free(list);
}

static void fill_batch(struct net_queue *q, struct kvmb_tlv *t, const u64 *sections,
		       const u64 *lengths, u32 num)
{
	struct net_rx_batch *b = &q->batch;
	u32 i;

	if (!net_sections_claim(&q->n->sec, q->index, sections, num)) {
		kvmb_tlv_refuse(t, B_SECTIONS, "one is out of range, or named twice");
		return;
	}
	for (i = 0; i < num; i++) {
		if (!lengths[i] || lengths[i] > q->n->sec.size)
			kvmb_tlv_refuse(t, B_LENGTHS, "one is no length in a section");
		b->ranges[i].byte_count = cpu_to_le32((u32)lengths[i]);
		b->ranges[i].byte_offset = cpu_to_le32((u32)sections[i] * q->n->sec.size);
	}
	b->num = num;
	b->first = (u16)sections[0];
	b->last = (u16)sections[num - 1];
}

static void load_batch(struct net_queue *q, struct kvmb_tlv *t)
{
	size_t num, num_lengths;
	u64 *sections = kvmb_tlv_get_list(t, B_SECTIONS, NET_RX_RANGES, &num);
	u64 *lengths = kvmb_tlv_get_list(t, B_LENGTHS, NET_RX_RANGES, &num_lengths);

	q->batch.control = kvmb_tlv_get(t, B_CONTROL, 1);
	q->batch.frames = (u32)kvmb_tlv_get(t, B_FRAMES, NET_RX_RANGES);
	q->batch.bytes = (u32)kvmb_tlv_get(t, B_BYTES, NET_RX_RANGES * NET_FRAME_MAX);
	if (!num || num != num_lengths)
		kvmb_tlv_refuse(t, B_LENGTHS, "there are not as many as sections");
	else
		fill_batch(q, t, sections, lengths, (u32)num);
	free(sections);
	free(lengths);
	kvmb_tlv_done(t);
}

static void load_held(struct net_queue *q, struct kvmb_tlv *t)
{
	const u8 *msg;
	size_t len;

	q->held = true;
	q->held_id = kvmb_tlv_get(t, H_ID, UINT64_MAX);
	msg = kvmb_tlv_get_bytes(t, H_MESSAGE, &len);
	if (len && len != sizeof(q->held_msg))
		kvmb_tlv_refuse(t, H_MESSAGE, "it is no message");
	else if (len)
		memcpy(&q->held_msg, msg, len);
	q->held_len = (u32)len;
	kvmb_tlv_done(t);
}

/* The guest's buffers: the bus has its page lists by now. */
static void take_buffers(struct net_queue *q, struct kvmb_tlv *t)
{
	struct kvmb_net *n = q->n;
	u64 bytes = (u64)n->sec.num * n->sec.size;

	if ((n->recv.owed && net_take_buffer(q, &n->recv, n->recv.id)) ||
	    (n->send.owed && net_take_buffer(q, &n->send, n->send.id)))
		kvmb_tlv_refuse(t, Q_FREE, "the page list of a buffer does not exist");
	else if (bytes > (u64)n->recv.num_pages * KVMB_PAGE_SIZE)
		kvmb_tlv_refuse(t, Q_FREE, "the receive buffer is smaller than its sections");
}

static void load_primary(struct net_queue *q, struct kvmb_tlv *t)
{
	const u8 *reply;
	size_t len;

	reply = kvmb_tlv_get_bytes(t, Q_REPLY, &len);
	if (len > sizeof(q->reply))
		kvmb_tlv_refuse(t, Q_REPLY, "it is too long");
	else if (len)
		memcpy(q->reply, reply, len);
	q->reply_len = (u32)len;
	q->told_link = q->n->rndis.link = kvmb_tlv_get(t, Q_TOLD_LINK, 1);
	/* a passt is new, and another network: the guest sees its cable unplugged and plugged */
	if (q->n->backend->ops->revive)
		q->told_epoch = q->backend_epoch - 1;
	take_buffers(q, t);
}

int net_load_chan(struct kvmb_chan *ch, struct kvmb_tlv *t)
{
	struct net_queue *q = kvmb_chan_io(ch)->priv;
	struct kvmb_tlv group;
	size_t pos = 0;
	int err;

	net_lock_all(q->n);
	net_sections_return(q); /* what open() gave to it */
	load_free(q, t);
	q->generation = (u16)kvmb_tlv_get(t, Q_GENERATION, UINT16_MAX);
	net_skip_ahead(q, (u32)kvmb_tlv_get(t, Q_AHEAD, q->io->rx.size));
	q->failed = kvmb_tlv_get(t, Q_FAILED, 1);
	if (kvmb_tlv_each(t, Q_BATCH, &pos, &group))
		load_batch(q, &group);
	pos = 0;
	if (kvmb_tlv_each(t, Q_HELD, &pos, &group))
		load_held(q, &group);
	if (!q->index)
		load_primary(q, t);
	err = kvmb_tlv_done(t);
	net_unlock_all(q->n);
	return err;
}
