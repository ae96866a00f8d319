// SPDX-License-Identifier: GPL-2.0-only
/*
 * Integration services: any answers at any time to heartbeat, shutdown and time sync, which are
 * switched off and on, capped, asked and paused meanwhile; the guest gives numbers back or not.
 */
#include "ic-services/heartbeat/heartbeat_host.h"
#include "ic-services/shutdown/shutdown_host.h"
#include "ic-services/timesync/timesync_host.h"
#include "lib/util.h"
#include "tests/fuzz/fuzz_bus.h"
#include "vmbus-core/proto/ic.h"

static void ignore(void *arg, u32 status)
{
	(void)arg, (void)status;
}

static struct fake_vmm f;
static struct kvmb_heartbeat hb;
static struct kvmb_shutdown sd;
static struct kvmb_timesync ts;
static struct kvmb_ic *const all[] = { &hb.ic, &sd.ic, &ts.ic };
static struct fake_chan c[3];
static bool open[3];
static u32 relids[3]; /* 0 = it is not offered */

static u32 heard; /* messages of the bus that the guest has looked at */

static void hear_rescind(u32 relid)
{
	int i;

	for (i = 0; i < 3; i++) {
		if (!open[i] || relids[i] != relid)
			continue;
		fake_unmap(&c[i]);
		open[i] = false;
	}
}

static void hear_offer(const struct kvmb_wire_offer *o)
{
	int i;

	for (i = 0; i < 3; i++) {
		if (!open[i] && kvmb_guid_equal(&o->type, &all[i]->ops->type))
			relids[i] = le32_to_cpu(o->relid);
	}
}

/* fake_next() throws away what it does not look for. */
static void hear_offers(void)
{
	const struct fake_msg *m;
	struct kvmb_wire_msg h;

	for (; heard != f.num_msgs; heard++) {
		m = &f.log[heard % FAKE_LOG];
		memcpy(&h, m->buf, sizeof(h));
		if (le32_to_cpu(h.type) == KVMB_MSG_RESCIND)
			hear_rescind(le32_to_cpu(((const struct kvmb_wire_relid *)m->buf)->relid));
		else if (le32_to_cpu(h.type) == KVMB_MSG_OFFER)
			hear_offer((const struct kvmb_wire_offer *)m->buf);
	}
}

static void open_one(int i)
{
	if (!open[i] && relids[i] && f.next_gfn + 64 < FAKE_RAM >> 12)
		open[i] = !fake_open(&f, &c[i], relids[i], 3);
}

/* The administrator, or the guest's bus driver; one byte. */
static void act(u8 what)
{
	struct kvmb_wire_relid m;
	int i = what & 3;

	if (i == 3) {
		kvmb_shutdown_ask(&sd, what >> 2 & 7, 1, what & 128 ? "\xe2\x82\xac" : NULL);
		return;
	}
	switch (what >> 2 & 7) {
	case 0:
		kvmb_ic_revoke(all[i]);
		break;
	case 1:
		kvmb_ic_offer(all[i], f.bus);
		break;
	case 2:
		kvmb_ic_limit(all[i], KVMB_IC_VERSION(what >> 5, 0));
		break;
	case 3:
		m = (struct kvmb_wire_relid){ .relid = cpu_to_le32(relids[i]) };
		fake_post(&f, KVMB_MSG_RELID_RELEASED, &m, sizeof(m));
		break;
	case 4:
		if (open[i])
			fake_close(&f, &c[i]);
		open[i] = false;
		break;
	case 5:
		hb.last_ms -= KVMB_HEARTBEAT_LOST_MS;
		all[i] == &hb.ic ? hb.timer.fn(hb.timer.arg) : ts.timer.fn(ts.timer.arg);
		break;
	case 6:
		kvmb_heartbeat_pause(&hb, what & 32);
		break;
	default:
		open_one(i);
	}
}

int LLVMFuzzerTestOneInput(const u8 *in, size_t left);
int LLVMFuzzerTestOneInput(const u8 *in, size_t left)
{
	struct kvmb_wire_offer offers[3];
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
	heard = f.num_msgs;
	for (i = 0; i < 3; i++) {
		relids[i] = le32_to_cpu(offers[i].relid);
		open[i] = false;
		open_one(i);
	}
	while (left >= 4) {
		struct fake_chan *ch = &c[in[0] % 3];
		u32 n = in[1] | (u32)(in[2] & 1) << 8, k;

		k = in[3];
		if (in[0] >= 192 || !open[in[0] % 3]) {
			act(in[1]);
			in += 2;
			left -= 2;
			fake_run(&f);
			hear_offers();
			continue;
		}
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
		hear_offers();
		kvmb_heartbeat_status(&hb);
	}
	for (i = 0; i < 3; i++) {
		if (open[i])
			fake_unmap(&c[i]);
	}
	fake_rest(&f);
	for (i = 0; i < 3; i++) /* a guest that is gone has released all */
		kvmb_assert(!all[i]->leaving && all[i]->state == KVMB_IC_CLOSED);
	fake_fini(&f);
	return 0;
}
