/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Offloads: translates between RNDIS per-packet info and the virtio-net header of Linux's taps.
 *
 * DOC: Theory of operation
 *
 * A guest that offloads work marks a frame: "checksum this", "cut this into segments". The kernel
 * behind a tap understands the same marks in another form, so we compute and cut nothing here: we
 * check and correct the headers in a private copy, and translate the mark. In a frame that is to
 * be segmented, NDIS leaves fields blank that Linux wants filled in: the IPv4 length and checksum,
 * and the length in the TCP pseudo-header.
 *
 * In the other direction, a frame of a local sender has no checksum yet. A coalesced frame goes to
 * the guest without one, marked as good: the guest cannot forward it anyway. A single frame might
 * be forwarded with whatever is in its checksum field, so we complete the checksum.
 *
 * All functions are pure: they touch only their arguments.
 *
 * Sources: virtio 1.2, 5.1.6; Linux 6.12 include/linux/virtio_net.h virtio_net_hdr_to_skb(),
 * drivers/net/hyperv/netvsc_drv.c netvsc_xmit(); docs/protocol.md#6.6.
 */
#ifndef KVMB_NET_OFFLOAD_H
#define KVMB_NET_OFFLOAD_H

#include <linux/virtio_net.h>
#include <sys/uio.h>

#include "vmbus-core/rndis.h"

#define KVMB_OFFLOAD_HEAD_MAX 256u /* we parse headers up to here, from the frame's start */
#define KVMB_OFFLOAD_MIN_MSS 48u   /* Linux never sends less: TCP_MIN_SND_MSS */

struct kvmb_frame_headers { /* where things are in a frame, bytes from its start */
	u16 ethertype; /* after VLAN tags */
	u16 l3;
	u16 l4;	       /* 0 = none: not IP, or a fragment */
	u8 l4_proto;   /* 6 TCP, 17 UDP */
	bool ipv6;
};

/**
 * kvmb_frame_parse() - Find the headers of a frame
 * @p:   p[len], private copy of the frame's front
 * @len: bytes, at most KVMB_OFFLOAD_HEAD_MAX
 *
 * @h:   result
 *
 * Return: 0; -EPROTO when the headers do not fit into the copy or contradict each other.
 */
int kvmb_frame_parse(const u8 *p, u32 len, struct kvmb_frame_headers *h);

/**
 * kvmb_offload_tx() - Translate a guest's marks into a virtio-net header
 * @head:      head[head_len], private copy of the frame's front; corrected in place
 * @head_len:  bytes, min(frame_len, KVMB_OFFLOAD_HEAD_MAX)
 * @frame_len: bytes of the whole frame
 * @vnet:      result
 *
 * Return: 0; -EPROTO when the marks do not fit the frame. Trust: all input is the guest's.
 */
int kvmb_offload_tx(u8 *head, u32 head_len, u32 frame_len, const struct kvmb_tx_marks *m,
		    struct virtio_net_hdr *vnet);

/**
 * kvmb_offload_rx() - Decide what to tell the guest about a frame's checksum
 * @vnet:      the kernel's marks
 * @iov:       iov[num], the frame; the checksum field may be written
 * @skip:      bytes of the frame that come before @iov: its Ethernet header
 * @len:       bytes in @iov
 * @coalesced: do not change the checksum field of a coalesced frame
 * @info:      KVMB_RX_CSUM_*, 0 = nothing
 *
 * Return: 0; -EPROTO when the marks lie outside the frame.
 */
int kvmb_offload_rx(const struct virtio_net_hdr *vnet, const struct iovec *iov, int num, u32 skip,
		    u32 len, bool coalesced, u32 *info);

/**
 * kvmb_offload_split() - Cut a long TCP frame in two, between segments
 * @head:     head[head_len], private copy of the frame's front; becomes the first frame's
 * @head_len: bytes, min(@len, KVMB_OFFLOAD_HEAD_MAX)
 * @len:      bytes of the whole frame
 * @mss:      bytes of payload a segment
 * @max:      bytes that the first frame may have
 * @tail:     tail[KVMB_OFFLOAD_HEAD_MAX], set to the second frame's headers
 * @hdr_len:  set to the bytes of either frame's headers
 *
 * The payload of the second frame begins where the first one ends. TCP checksums are left alone,
 * because coalesced frames are marked as good.
 *
 * Return: bytes of the first frame; 0 when the frame is not longer than @max or cannot be cut; then
 * nothing has changed.
 */
u32 kvmb_offload_split(u8 *head, u32 head_len, u32 len, u32 mss, u32 max, u8 *tail, u32 *hdr_len);

/** kvmb_csum_add() - Add @len bytes to a ones' complement sum; they start at an even offset. */
u64 kvmb_csum_add(u64 sum, const void *p, size_t len);

/** kvmb_csum_fold() - Fold a sum to 16 bits: not inverted, in memory's byte order. */
u16 kvmb_csum_fold(u64 sum);

#endif
