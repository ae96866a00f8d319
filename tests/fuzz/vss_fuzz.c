// SPDX-License-Identifier: GPL-2.0-only
/*
 * VSS: a guest that answers anything at any time, closes and opens, while somebody freezes, thaws
 * and gives up. A guest that has seen a FREEZE, and no THAW since, is owed one.
 */
#include <stdlib.h>

#include "host-vsp/bus/bus_state.h"
#include "ic-services/vss/vss_host.h"
#include "tests/fuzz/fuzz_bus.h"
#include "vmbus-core/proto/vss.h"

static struct fake_vmm f;
static struct kvmb_vss v;
static struct fake_chan c;
static struct kvmb_wire_offer offer;
static bool open, paused, frozen, asked;
static u8 buf[8192] __attribute__((aligned(8)));
static u32 buf_len; /* of the last request */

static void on_done(void *arg, int err)
{
	(void)arg, (void)err;
	if (!asked)
		abort(); /* once for each that was asked */
	asked = false;
}

static void stands(void *arg)
{
	(void)arg;
}

/* Return: false: there is no request. */
static bool read_one(void)
{
	struct kvmb_icmsg m;
	struct kvmb_pkt pkt;

	if (!open || kvmb_ring_peek(&c.rx, buf, sizeof(buf), &pkt))
		return false;
	kvmb_ring_skip(&c.rx, &pkt);
	kvmb_ring_release(&c.rx);
	buf_len = pkt.payload_len;
	memmove(buf, pkt.payload, buf_len);
	if (!kvmb_icmsg_parse(buf, buf_len, &m) && m.type == KVMB_IC_VSS && m.size) {
		if (m.payload[0] == KVMB_VSS_FREEZE)
			frozen = true;
		else if (m.payload[0] == KVMB_VSS_THAW)
			frozen = false;
	}
	return true;
}

static void read_all(void)
{
	while (read_one())
		;
}

static void look(void)
{
	fake_run(&f);
	read_all();
	if (frozen && v.state != KVMB_VSS_FREEZING && v.state != KVMB_VSS_FROZEN &&
	    v.state != KVMB_VSS_THAWING)
		abort();
	if (v.state == KVMB_VSS_IDLE && v.timer.due_ms)
		abort();
}

/* The last request again as an answer, with some of it changed. */
static void answer_last(u8 how, u8 value)
{
	u8 out[8192];

	if (!open || !buf_len)
		return;
	memcpy(out, buf, buf_len);
	out[25] = KVMB_IC_F_TRANSACTION | KVMB_IC_F_RESPONSE;
	if (buf_len >= 48) { /* a negotiation: one of each */
		out[28] = 1;
		out[30] = 1;
		out[40] = 5;
		out[41] = 0;
	}
	if (how & 1)
		out[20] = value; /* status */
	if (how & 2)
		out[24] = value; /* transaction */
	if (how & 4)
		out[value % buf_len] = how;
	fake_send(&f, &c, KVMB_PKT_INBAND, 0, 0, NULL, 0, out, buf_len);
}

static void set_open(bool on)
{
	if (on == open || paused)
		return;
	read_all(); /* what it does not read it does not do */
	if (on)
		open = !fake_open(&f, &c, le32_to_cpu(offer.relid), 3);
	else
		fake_close(&f, &c);
	open = on && open;
	buf_len = 0;
}

static void act(u8 what, u8 how, u8 value)
{
	switch (what % 8) {
	case 0:
		if (!asked && !kvmb_vss_freeze(&v, on_done, NULL))
			asked = true;
		break;
	case 1:
		kvmb_vss_thaw(&v);
		asked = false;
		break;
	case 2:
	case 3:
		fake_run(&f);
		read_one();
		answer_last(how, value);
		break;
	case 4:
		if (v.timer.due_ms) {
			kvmb_timer_cancel(&v.timer);
			v.timer.fn(v.timer.arg);
		}
		break;
	case 5:
		set_open(how & 1);
		break;
	case 6:
		if (paused)
			kvmb_bus_resume(f.bus);
		else
			kvmb_bus_pause(f.bus, stands, NULL);
		paused = !paused;
		break;
	case 7:
		if (open)
			fake_send(&f, &c, how & 1 ? KVMB_PKT_INBAND : KVMB_PKT_COMPLETION, 0, how,
				  NULL, 0, buf, value);
		break;
	}
}

int LLVMFuzzerTestOneInput(const u8 *in, size_t left);
int LLVMFuzzerTestOneInput(const u8 *in, size_t left)
{
	fuzz_quiet();
	open = paused = frozen = asked = false;
	buf_len = 0;
	memset(buf, 0, sizeof(buf));
	fake_init(&f, KVMB_VERSION_NEWEST);
	kvmb_vss_init(&v, f.loop);
	kvmb_ic_offer(&v.ic, f.bus);
	fake_connect(&f, KVMB_VERSION_NEWEST, &offer, 1);
	set_open(true);
	for (; left >= 3; in += 3, left -= 3) {
		act(in[0], in[1], in[2]);
		look();
	}
	if (paused)
		kvmb_bus_resume(f.bus);
	look();
	fake_unmap(&c);
	kvmb_vss_fini(&v);
	fake_fini(&f);
	return 0;
}
