// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ring against a peer that writes anything anywhere: the input is a list of actions
 * on one ring, some ours (peek, put, publish), some the peer's (wild indices, wild data).
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmbus-core/ring.h"

#define SIZE 8192u

static u8 *ctrl, *data;

static void map_once(void)
{
	int fd;

	if (ctrl)
		return;
	fd = memfd_create("ring", 0);
	if (ftruncate(fd, KVMB_PAGE_SIZE + SIZE))
		abort();
	ctrl = mmap(NULL, KVMB_PAGE_SIZE + 2 * SIZE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	data = ctrl + KVMB_PAGE_SIZE;
	mmap(ctrl, KVMB_PAGE_SIZE + SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	mmap(data + SIZE, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, KVMB_PAGE_SIZE);
	close(fd);
}

static const u8 *take(const u8 **p, size_t *left, size_t n)
{
	const u8 *r = *p;

	if (*left < n)
		return NULL;
	*p += n;
	*left -= n;
	return r;
}

static void look(const struct kvmb_pkt *pkt)
{
	const struct kvmb_wire_xfer_range *xr;
	struct kvmb_gparange_iter it;
	struct kvmb_gparange r;
	volatile u64 sum __attribute__((unused)) = 0;
	u32 i, n;
	u16 id;

	for (i = 0; i < pkt->payload_len; i++)
		sum += pkt->payload[i];
	if (!kvmb_pkt_gpa_ranges(pkt, 64, &it)) {
		while (!kvmb_gparange_next(&it, &r))
			for (i = 0; i < r.num_pages; i++)
				sum += r.pfns[i];
	}
	if (!kvmb_pkt_xfer_ranges(pkt, 400, &id, &xr, &n)) {
		for (i = 0; i < n; i++)
			sum += xr[i].byte_count;
	}
}

int LLVMFuzzerTestOneInput(const u8 *in, size_t left);
int LLVMFuzzerTestOneInput(const u8 *in, size_t left)
{
	u8 buf[4096] __attribute__((aligned(8)));
	struct kvmb_ring r, w;
	struct kvmb_pkt pkt;
	const u8 *a, *b;
	bool have = false;
	u32 word;

	map_once();
	memset(ctrl, 0, KVMB_PAGE_SIZE);
	memset(data, 0, SIZE);
	if (kvmb_ring_init(&r, ctrl, data, SIZE, false) ||
	    kvmb_ring_init(&w, ctrl, data, SIZE, true))
		abort();
	while ((a = take(&in, &left, 5))) {
		memcpy(&word, a + 1, 4);
		switch (a[0] % 10) {
		case 0: /* the peer: an index, sometimes a plausible one */
		case 1:
			if (word & 1)
				word = (word >> 1) % SIZE & ~7u;
			memcpy(ctrl + (a[0] % 10 ? 4 : 0), &word, 4);
			break;
		case 2:
			memcpy(ctrl + 8 + (word & 4), &word, 4);
			break;
		case 3: /* the peer: bytes at a place */
			b = take(&in, &left, word % 64);
			if (b)
				memcpy(data + (word >> 8) % (SIZE - 64), b, word % 64);
			break;
		case 4:
			have = !kvmb_ring_peek(&r, buf, word & 1 ? sizeof(buf) : 64, &pkt);
			if (have)
				look(&pkt);
			break;
		case 5:
			if (have)
				kvmb_ring_skip(&r, &pkt);
			have = false;
			break;
		case 6:
			kvmb_ring_release(&r);
			break;
		case 7:
			kvmb_ring_put(&w, KVMB_PKT_INBAND, 0, word, buf, word % 32 * 8, buf,
				      word % 3000);
			break;
		case 8:
			kvmb_ring_publish(&w);
			break;
		case 9:
			if (word & 1)
				kvmb_ring_unmask(&r);
			else
				kvmb_ring_want(&w, word % 5000);
			kvmb_ring_used(&r, false);
			break;
		}
		if (r.index >= SIZE || w.index >= SIZE || r.index & 7 || w.index & 7)
			abort();
	}
	return 0;
}
