/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One VMBus ring buffer: a control page and a data area that wraps.
 *
 * DOC: Theory of operation
 *
 * A channel has two rings, one per direction. Each has one writer and one reader,
 * on opposite sides of a trust boundary. The data area must be mapped twice, back
 * to back (data[2 * size]), so that a packet never wraps for us.
 *
 * Our own index is kept in private memory; the copy in shared memory is only for the
 * peer to read. The peer's index is fetched once per operation and checked against the
 * ring's size, and only the checked copy is used. Packets are copied out before anything
 * looks at them. A bad index or length makes the ring dead (-EPROTO): nothing is clamped
 * or repaired.
 *
 * Writing and publishing are separate steps, so that a batch costs one signal:
 * kvmb_ring_put() writes packets, kvmb_ring_publish() makes them visible and returns
 * whether the reader wants a signal. In the same way kvmb_ring_peek() and kvmb_ring_skip()
 * read, and kvmb_ring_release() gives the space back and returns whether a blocked writer
 * wants a signal.
 *
 * Barriers, each with its partner in the peer's half of this same file:
 *   A  payload before write_index (publish)      with A' write_index before payload (peek)
 *   B  payload reads before read_index (release) with B' read_index before payload writes (put)
 *   C  write_index before interrupt_mask load (publish)
 *                                            with C' mask clear before write_index load (unmask)
 *   D  read_index before pending_send_sz load (release)
 *                                            with D' pending_send_sz before read_index load (want)
 *
 * Sources: Linux 6.12 include/linux/hyperv.h struct hv_ring_buffer,
 * drivers/hv/ring_buffer.c; OpenVMM vmbus_ring.
 */
#ifndef KVMB_RING_H
#define KVMB_RING_H

#include "vmbus-core/pkt.h"

#define KVMB_RING_FEAT_PENDING_SZ 1u /* feature_bits: writer sets pending_send_sz */

/* The control page, first 4 KiB of a ring. Writer and reader as named. */
struct kvmb_wire_ring_ctrl {
	__le32 write_index;	/* writer: bytes into data, multiple of 8, < size */
	__le32 read_index;	/* reader: likewise */
	__le32 interrupt_mask;	/* reader: non-zero = do not signal me */
	__le32 pending_send_sz; /* writer: bytes I wait for, 0 = not waiting */
	__le32 reserved1[12];
	__le32 feature_bits;	/* writer: KVMB_RING_FEAT_* */
	u8 reserved2[4028];
};
static_assert(sizeof(struct kvmb_wire_ring_ctrl) == KVMB_PAGE_SIZE, "Linux hyperv.h");

struct kvmb_ring {
	struct kvmb_wire_ring_ctrl __shared *ctrl;
	u8 __shared *data;  /* data[2 * size], the second half maps the first again */
	u32 size;	    /* bytes of the data area, multiple of 4096 */
	u32 index;	    /* our index: next byte to write (writer) or read (reader) */
	u32 published;	    /* value of ours that the peer can see */
	u32 peer;	    /* last checked copy of the peer's index */
};

/**
 * kvmb_ring_init() - Take over one direction of a channel
 * @r:      ring to set up
 * @ctrl:   control page, shared with the peer, outlives @r
 * @data:   data area mapped twice back to back, 2 * @size bytes
 * @size:   bytes of the data area, > 0, multiple of 4096
 * @writer: true when we write this ring
 *
 * Continues with the indices that it finds in the control page. They are zero after a fresh
 * open; in a restored channel, packets that the reader has not released are still there. A
 * writer also announces the pending_send_sz feature.
 *
 * Return: 0; -EINVAL for a bad @size; -EPROTO when our own index in the page is invalid, or, for
 * a writer, the reader's.
 * Context: any, caller owns @r. Trust: the control page is peer-controlled.
 */
int kvmb_ring_init(struct kvmb_ring *r, void __shared *ctrl, void __shared *data, u32 size,
		   bool writer);

/**
 * kvmb_ring_join() - kvmb_ring_init() that writes nothing
 *
 * For a channel that may go on elsewhere after all; kvmb_ring_announce() when it does here.
 */
int kvmb_ring_join(struct kvmb_ring *r, void __shared *ctrl, void __shared *data, u32 size,
		   bool writer);

/** kvmb_ring_announce() - What a writer says of itself before it writes. */
void kvmb_ring_announce(struct kvmb_ring *r);

/**
 * kvmb_ring_peek() - Copy out the next packet without consuming it
 * @r:    ring, reader side; the caller is its only reader
 * @buf:  private copy is written here, 8-byte aligned
 * @size: capacity of @buf, bytes
 * @pkt:  on success describes the copy in @buf
 *
 * Return: 0; -EAGAIN when empty; -EPROTO when the writer's index or the packet's
 * lengths are out of range; -EMSGSIZE when the packet does not fit @size. After
 * -EPROTO and -EMSGSIZE the ring is dead.
 * Context: any, no locks. Trust: everything read through @r is peer-controlled.
 */
int kvmb_ring_peek(struct kvmb_ring *r, void *buf, u32 size, struct kvmb_pkt *pkt);

/**
 * kvmb_ring_skip() - Consume the packet that kvmb_ring_peek() described
 * @r:   ring, reader side
 * @pkt: as filled by the last kvmb_ring_peek() on @r
 *
 * The space is given back by kvmb_ring_release(). Context: any.
 */
void kvmb_ring_skip(struct kvmb_ring *r, const struct kvmb_pkt *pkt);

/**
 * kvmb_ring_release() - Give consumed space back to the writer
 * @r: ring, reader side
 *
 * If our read_index is still behind the writer's previous packet, the writer assumes we are awake
 * and does not signal. Always call kvmb_ring_unmask() between the last release and sleeping, and
 * drain again if it says so: otherwise a packet that was written before our index became visible
 * waits without a signal.
 *
 * Return: 1 when the writer waits for space and wants a signal; 0 when not; -EPROTO
 * when its index is out of range.
 * Context: any. Trust: pending_send_sz is peer-controlled; a lie costs one signal.
 */
int kvmb_ring_release(struct kvmb_ring *r);

/**
 * kvmb_ring_mask() - Tell the writer not to signal: we are reading already
 * @r: ring, reader side
 */
void kvmb_ring_mask(struct kvmb_ring *r);

/**
 * kvmb_ring_unmask() - Ask for signals again, before sleeping
 * @r: ring, reader side
 *
 * Return: true when packets have arrived in the meantime: drain again instead of sleeping.
 */
bool kvmb_ring_unmask(struct kvmb_ring *r);

/**
 * kvmb_ring_readable() - Is there something to read? For a reader that polls
 * @r: ring, reader side
 *
 * Return: true when the writer's index is not ours; kvmb_ring_peek() then checks it.
 */
bool kvmb_ring_readable(const struct kvmb_ring *r);

/**
 * kvmb_ring_put() - Write one packet, not yet visible to the reader
 * @r:           ring, writer side; the caller is its only writer
 * @type:        KVMB_PKT_*
 * @flags:       KVMB_PKT_FLAG_*
 * @trans_id:    opaque 64 bits that correlate request and completion
 * @hdr:         type-specific header after the 16-byte descriptor, may be NULL
 * @hdr_len:     bytes of @hdr, multiple of 8
 * @payload:     payload, may be NULL
 * @payload_len: bytes; padded with zeroes to a multiple of 8
 *
 * Return: 0; -EAGAIN when the ring has no room; -EMSGSIZE when no ring state could
 * ever take it; -EPROTO when the reader's index is out of range.
 * Context: any, no locks.
 */
int kvmb_ring_put(struct kvmb_ring *r, u16 type, u16 flags, u64 trans_id, const void *hdr,
		  u32 hdr_len, const void *payload, u32 payload_len);

/**
 * kvmb_ring_publish() - Make everything put so far visible
 * @r: ring, writer side
 *
 * Return: 1 when the reader wants a signal; 0 when not, or when nothing was put;
 * -EPROTO when its index is out of range.
 */
int kvmb_ring_publish(struct kvmb_ring *r);

/**
 * kvmb_ring_want() - Announce how much room the writer waits for
 * @r:     ring, writer side
 * @bytes: payload and headers of the packet that did not fit; 0 = wait no more
 *
 * Return: true when there is room already: put again instead of sleeping.
 */
bool kvmb_ring_want(struct kvmb_ring *r, u32 bytes);

/**
 * kvmb_ring_used() - Bytes in the ring that the reader has not released
 * @r:      ring, either side
 * @writer: true when @r is our writer side
 *
 * Return: bytes, 0 when the peer's index is invalid. For statistics only.
 */
u32 kvmb_ring_used(const struct kvmb_ring *r, bool writer);

#endif
