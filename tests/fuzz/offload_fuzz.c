// SPDX-License-Identifier: GPL-2.0-only
/*
 * Offloads: marks of a guest on any frame, marks of a tap on any frame, and frames that are cut in
 * two.
 */
#include <stdlib.h>

#include "host-vsp/net/net_offload.h"
#include "lib/util.h"

/* @in[n] as the front of a frame of @len bytes; exact size on the heap: one byte beyond is seen */
static u8 *front(const u8 *in, size_t n, u32 len)
{
	u8 *head = calloc(1, len ? len : 1);

	memcpy(head, in, KVMB_MIN(n, (size_t)len));
	return head;
}

static void tx(const u8 *in, size_t n, u32 a, u32 b)
{
	struct kvmb_tx_marks m = { .csum = a & 1 ? 0 : a, .lso = a & 1 ? b : 0 };
	u32 frame = a >> 8 & 0xffff, head = KVMB_MIN(frame, KVMB_OFFLOAD_HEAD_MAX);
	struct virtio_net_hdr v;
	u8 *p = front(in, n, head);

	if (!kvmb_offload_tx(p, head, frame, &m, &v) &&
	    ((v.flags && v.csum_start + v.csum_offset + 2u > head) ||
	     (v.gso_type && (!v.gso_size || v.hdr_len > head))))
		abort();
	free(p);
}

static void rx(const u8 *in, size_t n, u32 a, u32 b)
{
	struct virtio_net_hdr v = { .flags = (u8)(a & 3),
				    .csum_start = (u16)(a >> 8),
				    .csum_offset = (u16)b };
	u32 len = (u32)n, cut = n ? (b >> 16) % (u32)n : 0, info;
	struct iovec iov[2];
	u8 *one = front(in, n, cut), *two = front(in + cut, n - cut, len - cut);

	iov[0] = (struct iovec){ one, cut };
	iov[1] = (struct iovec){ two, len - cut };
	kvmb_offload_rx(&v, iov, 2, a & 4 ? 14 : 18, len, a & 8, &info);
	free(one);
	free(two);
}

static void split(const u8 *in, size_t n, u32 a, u32 b)
{
	u32 len = a >> 8 & 0x1ffff, max = b & 0xffff, mss = b >> 16, hdr = 0, first;
	u8 *p = front(in, n, KVMB_OFFLOAD_HEAD_MAX), *tail = malloc(KVMB_OFFLOAD_HEAD_MAX);

	if (len < KVMB_OFFLOAD_HEAD_MAX)
		len = KVMB_OFFLOAD_HEAD_MAX;
	first = kvmb_offload_split(p, KVMB_OFFLOAD_HEAD_MAX, len, mss, max, tail, &hdr);
	if (first && (first > max || first >= len || hdr > KVMB_OFFLOAD_HEAD_MAX || first <= hdr ||
		      (first - hdr) % mss || memcmp(p, tail, 14)))
		abort();
	if (!first && memcmp(p, in, KVMB_MIN(n, (size_t)KVMB_OFFLOAD_HEAD_MAX)))
		abort(); /* nothing was changed */
	free(p);
	free(tail);
}

int LLVMFuzzerTestOneInput(const u8 *in, size_t len);
int LLVMFuzzerTestOneInput(const u8 *in, size_t len)
{
	u32 a, b;

	if (len < 9)
		return 0;
	memcpy(&a, in + 1, 4);
	memcpy(&b, in + 5, 4);
	switch (in[0] % 3) {
	case 0:
		tx(in + 9, len - 9, a, b);
		break;
	case 1:
		rx(in + 9, len - 9, a, b);
		break;
	default:
		split(in + 9, len - 9, a, b);
	}
	return 0;
}
