/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Offloads: RNDIS per-packet info to and from the virtio-net header that Linux's taps speak.
 *
 * DOC: Theory of operation
 *
 * A guest that leaves work to us marks a frame: "checksum this", "cut this into segments".
 * The kernel behind a tap takes the same marks in another form, so nothing is computed or cut
 * here: headers are checked and corrected in a private copy, and the mark is translated. What
 * NDIS leaves blank and Linux wants filled in: the IPv4 length and checksum and the length in
 * the TCP pseudo-header of a frame to be segmented.
 *
 * The other way, a frame of a local sender has no checksum yet. A coalesced frame goes to the
 * guest like that, marked as good: it cannot be forwarded anyway. A single frame might be
 * forwarded by the guest with what is in its field, so its checksum is completed.
 *
 * All functions are pure: they touch what they are given and nothing else.
 *
 * Sources: virtio 1.2, 5.1.6; Linux 6.12 include/linux/virtio_net.h virtio_net_hdr_to_skb(),
 * drivers/net/hyperv/netvsc_drv.c netvsc_xmit(); docs/protocol.md#6.6.
 */
#ifndef KVMB_NET_OFFLOAD_H
#define KVMB_NET_OFFLOAD_H

#include <linux/virtio_net.h>
#include <sys/uio.h>

#include "vmbus-core/rndis.h"

#define KVMB_OFFLOAD_HEAD_MAX 256u /* headers that are looked at, from the frame's start */
#define KVMB_OFFLOAD_MIN_MSS 48u   /* Linux never sends less: TCP_MIN_SND_MSS */

struct kvmb_frame_headers { /* where things are in a frame, bytes from its start */
	u16 ethertype; /* behind VLAN tags */
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
 * Return: 0; -EPROTO when the headers leave the copy or contradict themselves.
 */
int kvmb_frame_parse(const u8 *p, u32 len, struct kvmb_frame_headers *h);

/**
 * kvmb_offload_tx() - From a guest's marks to a virtio-net header
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
 * kvmb_offload_rx() - What to tell the guest of a frame's checksum
 * @vnet:      the kernel's marks
 * @iov:       iov[num], the frame; the checksum field may be written
 * @skip:      bytes of the frame that come before @iov: its Ethernet header
 * @len:       bytes in @iov
 * @coalesced: leave the field of a coalesced frame alone
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
 * The second frame's payload is the rest, from the returned place on. TCP checksums are left as they are:
 * coalesced frames are vouched for.
 *
 * Return: bytes of the first frame; 0: it is not longer than @max, or not one that can be cut,
 * and nothing was changed.
 */
u32 kvmb_offload_split(u8 *head, u32 head_len, u32 len, u32 mss, u32 max, u8 *tail, u32 *hdr_len);

/** kvmb_csum_add() - Ones' complement sum of @len bytes, as if they started at an even place. */
u64 kvmb_csum_add(u64 sum, const void *p, size_t len);

/** kvmb_csum_fold() - 16 bits, not inverted, in memory's byte order. */
u16 kvmb_csum_fold(u64 sum);

#endif
