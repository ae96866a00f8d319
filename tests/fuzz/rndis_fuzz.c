// SPDX-License-Identifier: GPL-2.0-only
/* RNDIS: control messages with their OIDs, and data messages with their per-packet info. */
#include <stdlib.h>

#include "host-vsp/net/net_priv.h"

static void no_stats(void *arg, struct kvmb_net_stats *st)
{
	(void)arg;
	memset(st, 0, sizeof(*st));
}

int LLVMFuzzerTestOneInput(const u8 *in, size_t len);
int LLVMFuzzerTestOneInput(const u8 *in, size_t len)
{
	u8 reply[KVMB_RNDIS_REPLY_MAX], *copy;
	struct kvmb_rndis r = { .caps = { .offload = true,
					  .rsc = true,
					  .max_mtu = 1500,
					  .num_queues = 4,
					  .mac_change = true },
				.get_stats = no_stats };
	struct kvmb_rndis_frame f;
	u32 n, avail, changed;
	int k;

	if (!len || len > KVMB_RNDIS_REQUEST_MAX)
		return 0;
	/* exact size on the heap: reading one byte beyond is seen */
	n = (u32)len - 1;
	copy = malloc(n ? n : 1);
	memcpy(copy, in + 1, n);
	if (in[0] & 1) {
		k = kvmb_rndis_control(&r, copy, n, reply, &changed);
		if (k > (int)sizeof(reply) || r.num_multicast > KVMB_RNDIS_MULTICAST_MAX ||
		    r.rss.num_entries > KVMB_NDIS_RSS_TABLE_MAX || r.mac[0] & 1)
			abort();
	} else {
		avail = n + in[0] * 8u;
		k = kvmb_rndis_packet(copy, n < KVMB_RNDIS_HDR_COPY ? n : KVMB_RNDIS_HDR_COPY,
				      avail, &f);
		if (!k && (f.msg_len > avail || f.data_offset > f.msg_len ||
			   f.data_len > f.msg_len - f.data_offset || f.msg_len < 44))
			abort();
	}
	free(copy);
	return 0;
}
