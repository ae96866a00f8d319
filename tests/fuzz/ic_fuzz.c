// SPDX-License-Identifier: GPL-2.0-only
/* Integration services: any answers at any time to heartbeat, shutdown and time sync. */
#include "ic-services/heartbeat/heartbeat_host.h"
#include "ic-services/shutdown/shutdown_host.h"
#include "ic-services/timesync/timesync_host.h"
#include "tests/fuzz/fuzz_bus.h"

static void ignore(void *arg, u32 status)
{
	(void)arg, (void)status;
}

int LLVMFuzzerTestOneInput(const u8 *in, size_t left);
int LLVMFuzzerTestOneInput(const u8 *in, size_t left)
{
	static struct fake_vmm f;
	struct kvmb_heartbeat hb;
	struct kvmb_shutdown sd;
	struct kvmb_timesync ts;
	struct kvmb_wire_offer offers[3];
	struct fake_chan c[3];
	u8 buf[8192] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;
	int i;

	fuzz_quiet();
	fake_init(&f, KVMB_VERSION_NEWEST);
	kvmb_heartbeat_init(&hb, f.loop);
	kvmb_shutdown_init(&sd, ignore, NULL);
	kvmb_timesync_init(&ts, f.loop, &f.vmm);
	kvmb_ic_offer(&hb.ic, f.bus);
	kvmb_ic_offer(&sd.ic, f.bus);
	kvmb_ic_offer(&ts.ic, f.bus);
	fake_connect(&f, KVMB_VERSION_NEWEST, offers, 3);
	for (i = 0; i < 3; i++)
		fake_open(&f, &c[i], le32_to_cpu(offers[i].relid), 3);
	while (left >= 4) {
		struct fake_chan *ch = &c[in[0] % 3];
		u32 n = in[1] | (u32)(in[2] & 1) << 8, k;

		k = in[3];
		if (k % 4 == 0 && !kvmb_ring_peek(&ch->rx, buf, sizeof(buf), &pkt)) {
			/* answer what the host sent, with some of it changed */
			kvmb_ring_skip(&ch->rx, &pkt);
			kvmb_ring_release(&ch->rx);
			memmove(buf, pkt.payload, pkt.payload_len);
			buf[25] = 5;
			if (k & 8)
				buf[in[1] % (pkt.payload_len + 1)] = in[2];
			if (!(k & 16) && pkt.payload_len >= 48) {
				buf[28] = 1;
				buf[30] = 1;
			}
			fake_send(&f, ch, KVMB_PKT_INBAND, 0, 0, NULL, 0, buf, pkt.payload_len);
			in += 4;
			left -= 4;
		} else {
			in += 4;
			left -= 4;
			n = (u32)(n < left ? n : left);
			fake_send(&f, ch, k & 1 ? KVMB_PKT_INBAND : KVMB_PKT_COMPLETION, 0, k, NULL,
				  0, in, n);
			in += n;
			left -= n;
		}
		if (k & 32)
			kvmb_shutdown_request(&sd, k & 64, 1);
		if (k & 128)
			kvmb_timesync_pause(&ts, k & 64);
		fake_run(&f);
		kvmb_heartbeat_status(&hb);
	}
	for (i = 0; i < 3; i++) {
		fake_unmap(&c[i]);
	}
	fake_fini(&f);
	return 0;
}
