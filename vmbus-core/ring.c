// SPDX-License-Identifier: GPL-2.0-only
/* The ring buffer, reader and writer. Theory of operation and list of barriers: ring.h. */
#include "vmbus-core/ring.h"

static u32 bytes_between(const struct kvmb_ring *r, u32 from, u32 to)
{
	return to >= from ? to - from : r->size - from + to;
}

static u32 advance(const struct kvmb_ring *r, u32 index, u32 bytes)
{
	index += bytes;
	return index >= r->size ? index - r->size : index;
}

static bool index_valid(const struct kvmb_ring *r, u32 index)
{
	return index < r->size && !(index & 7);
}

static u32 load_index(const __le32 __shared *p)
{
	return le32_to_cpu(READ_ONCE(*(const __le32 *)__unshare(p)));
}

static u32 load_index_acquire(const __le32 __shared *p)
{
	return le32_to_cpu(shared_load_acquire((const __le32 *)__unshare(p)));
}

static void store_word(__le32 __shared *p, u32 v)
{
	WRITE_ONCE(*(__le32 *)__unshare(p), cpu_to_le32(v));
}

static void store_index_release(__le32 __shared *p, u32 v)
{
	shared_store_release((__le32 *)__unshare(p), cpu_to_le32(v));
}

int kvmb_ring_join(struct kvmb_ring *r, void __shared *ctrl, void __shared *data, u32 size,
		   bool writer)
{
	u32 own, peer;

	if (!size || size % KVMB_PAGE_SIZE || size > 0x40000000u)
		return -EINVAL;
	r->ctrl = ctrl;
	r->data = data;
	r->size = size;
	own = load_index(writer ? &r->ctrl->write_index : &r->ctrl->read_index);
	/*
	 * what a reader has not released is no room to write; a reader begins with "nothing seen"
	 * and looks
	 */
	peer = writer ? load_index_acquire(&r->ctrl->read_index) : own;
	if (!index_valid(r, own) || !index_valid(r, peer))
		return -EPROTO;
	r->index = own;
	r->published = own;
	r->peer = peer;
	return 0;
}

void kvmb_ring_announce(struct kvmb_ring *r)
{
	store_word(&r->ctrl->pending_send_sz, 0);
	store_word(&r->ctrl->feature_bits, KVMB_RING_FEAT_PENDING_SZ);
}

int kvmb_ring_init(struct kvmb_ring *r, void __shared *ctrl, void __shared *data, u32 size,
		   bool writer)
{
	int err = kvmb_ring_join(r, ctrl, data, size, writer);

	if (!err && writer)
		kvmb_ring_announce(r);
	return err;
}

/* Reader: bytes that wait for us. Barrier A': write_index before any payload read. */
static int fetch_filled(struct kvmb_ring *r, u32 *bytes)
{
	u32 w = load_index_acquire(&r->ctrl->write_index);

	if (!index_valid(r, w))
		return -EPROTO;
	r->peer = w;
	*bytes = bytes_between(r, r->index, w);
	return 0;
}

/* Writer: bytes that may be written; one less than free, the indices never meet full. */
static int fetch_free(struct kvmb_ring *r, u32 *bytes)
{
	/* Barrier B': read_index before we overwrite what the reader has left */
	u32 rd = load_index_acquire(&r->ctrl->read_index);

	if (!index_valid(r, rd))
		return -EPROTO;
	r->peer = rd;
	*bytes = r->size - bytes_between(r, rd, r->index);
	return 0;
}

int kvmb_ring_peek(struct kvmb_ring *r, void *buf, u32 size, struct kvmb_pkt *pkt)
{
	struct kvmb_wire_pkt desc;
	u64 words[sizeof(desc) / sizeof(u64)];
	const u64 *from;
	u32 avail, len;
	int err;

	avail = bytes_between(r, r->index, r->peer);
	if (!avail) {
		err = fetch_filled(r, &avail);
		if (err)
			return err;
		if (!avail)
			return -EAGAIN;
	}
	if (avail < sizeof(desc) + KVMB_PKT_TRAILER || size < sizeof(desc))
		return -EPROTO;

	/* fetched once, which a plain memcpy() does not promise; indices are multiples of 8 */
	from = __unshare(r->data + r->index);
	words[0] = READ_ONCE(from[0]);
	words[1] = READ_ONCE(from[1]);
	memcpy(&desc, words, sizeof(desc));
	len = (u32)le16_to_cpu(desc.len8) * 8;
	if (len < sizeof(desc) || len > avail - KVMB_PKT_TRAILER)
		return -EPROTO;
	if (len > size)
		return -EMSGSIZE;
	memcpy(buf, &desc, sizeof(desc));
	memcpy((u8 *)buf + sizeof(desc), __unshare(r->data + r->index + sizeof(desc)),
	       len - sizeof(desc));
	return kvmb_pkt_parse(buf, len, pkt);
}

void kvmb_ring_skip(struct kvmb_ring *r, const struct kvmb_pkt *pkt)
{
	r->index = advance(r, r->index, pkt->len + KVMB_PKT_TRAILER);
}

int kvmb_ring_release(struct kvmb_ring *r)
{
	u32 pending, w, before, after;

	if (r->index == r->published)
		return 0;
	before = r->published;
	after = r->index;
	/* Barrier B: all reads of the packets are done before the writer may reuse them */
	store_index_release(&r->ctrl->read_index, after);
	r->published = after;

	shared_mb(); /* Barrier D: our read_index is visible before we look who waits */
	pending = load_index(&r->ctrl->pending_send_sz);
	if (!pending)
		return 0;
	w = load_index_acquire(&r->ctrl->write_index);
	if (!index_valid(r, w))
		return -EPROTO;
	/* Windows may leave low bits set, and Linux compares with >, Windows with >= */
	pending &= ~7u;
	return r->size - bytes_between(r, before, w) <= pending &&
	       r->size - bytes_between(r, after, w) >= pending;
}

void kvmb_ring_mask(struct kvmb_ring *r)
{
	store_word(&r->ctrl->interrupt_mask, 1);
}

bool kvmb_ring_unmask(struct kvmb_ring *r)
{
	store_word(&r->ctrl->interrupt_mask, 0);
	shared_mb(); /* Barrier C': mask is clear before the last look; pairs with C in publish */
	return load_index(&r->ctrl->write_index) != r->index;
}

bool kvmb_ring_readable(const struct kvmb_ring *r)
{
	return load_index(&r->ctrl->write_index) != r->index;
}

int kvmb_ring_put(struct kvmb_ring *r, u16 type, u16 flags, u64 trans_id, const void *hdr,
		  u32 hdr_len, const void *payload, u32 payload_len)
{
	struct kvmb_wire_pkt desc;
	u32 len, total, free;
	__le64 trailer;
	u8 *p;
	int err;

	if (hdr_len % 8 || hdr_len > 0xffff || payload_len > KVMB_PKT_MAX_LEN)
		return -EMSGSIZE;
	len = (u32)sizeof(desc) + hdr_len + ((payload_len + 7u) & ~7u);
	total = len + KVMB_PKT_TRAILER;
	if (len > KVMB_PKT_MAX_LEN || total >= r->size)
		return -EMSGSIZE;

	free = r->size - bytes_between(r, r->peer, r->index);
	if (free <= total) { /* the cached copy of read_index may be old */
		err = fetch_free(r, &free);
		if (err)
			return err;
		if (free <= total)
			return -EAGAIN;
	}

	desc.type = cpu_to_le16(type);
	desc.offset8 = cpu_to_le16((u16)((sizeof(desc) + hdr_len) / 8));
	desc.len8 = cpu_to_le16((u16)(len / 8));
	desc.flags = cpu_to_le16(flags);
	desc.trans_id = cpu_to_le64(trans_id);

	p = __unshare(r->data + r->index);
	memcpy(p, &desc, sizeof(desc));
	p += sizeof(desc);
	if (hdr_len)
		memcpy(p, hdr, hdr_len);
	p += hdr_len;
	if (payload_len)
		memcpy(p, payload, payload_len);
	p += payload_len;
	if (payload_len & 7) {
		memset(p, 0, 8 - (payload_len & 7));
		p += 8 - (payload_len & 7);
	}
	trailer = cpu_to_le64((u64)r->index << 32);
	memcpy(p, &trailer, sizeof(trailer));
	r->index = advance(r, r->index, total);
	return 0;
}

int kvmb_ring_publish(struct kvmb_ring *r)
{
	u32 old = r->published, rd;

	if (r->index == old)
		return 0;
	/* Barrier A: payload before write_index; pairs with A' in fetch_filled() */
	store_index_release(&r->ctrl->write_index, r->index);
	r->published = r->index;

	shared_mb(); /* Barrier C: write_index before interrupt_mask; pairs with C' in unmask */
	if (load_index(&r->ctrl->interrupt_mask))
		return 0;
	rd = load_index_acquire(&r->ctrl->read_index);
	if (!index_valid(r, rd))
		return -EPROTO;
	r->peer = rd;
	/* the reader had caught up with what it could see: it may sleep */
	return rd == old;
}

bool kvmb_ring_want(struct kvmb_ring *r, u32 bytes)
{
	u32 total = ((bytes + 7u) & ~7u) + (u32)sizeof(struct kvmb_wire_pkt) + KVMB_PKT_TRAILER;
	u32 free;

	if (!bytes) {
		store_word(&r->ctrl->pending_send_sz, 0);
		return true;
	}
	store_word(&r->ctrl->pending_send_sz, total);
	shared_mb(); /* Barrier D': the wish is visible before the last look; pairs with D */
	return fetch_free(r, &free) || free > total;
}

u32 kvmb_ring_used(const struct kvmb_ring *r, bool writer)
{
	u32 peer = load_index(writer ? &r->ctrl->read_index : &r->ctrl->write_index);
	u32 own = READ_ONCE(r->index);

	if (!index_valid(r, peer))
		return 0;
	return writer ? bytes_between(r, peer, own) : bytes_between(r, own, peer);
}
