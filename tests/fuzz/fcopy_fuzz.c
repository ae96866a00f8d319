// SPDX-License-Identifier: GPL-2.0-only
/* File copy, host half: any answers at any time, and copies that begin, starve and are given up. */
#include "host-vsp/bus/bus_state.h"
#include "ic-services/fcopy/fcopy_host.h"
#include "tests/fuzz/fuzz_bus.h"

static struct fake_vmm f;
static struct kvmb_fcopy fc;
static struct fake_chan c;
static u32 relid, copies;
static bool hungry;
static u8 content[40000];

static void wants(void *arg)
{
	(void)arg;
	hungry = true;
}

static void done(void *arg, int err, u32 status, bool kept)
{
	(void)arg, (void)err, (void)status, (void)kept;
	copies--;
	hungry = false;
}

static const struct kvmb_fcopy_ops ops = { .wants = wants, .done = done };

static void stands(void *arg)
{
	(void)arg;
}

static void reply(u8 how)
{
	static u8 buf[16384] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;
	u32 n;

	if (kvmb_bus_paused(f.bus) || kvmb_ring_peek(&c.rx, buf, sizeof(buf), &pkt))
		return;
	kvmb_ring_skip(&c.rx, &pkt);
	kvmb_ring_release(&c.rx);
	n = pkt.payload_len;
	memmove(buf, pkt.payload, n);
	buf[25] = 5;
	if (how & 1)
		buf[how % 28] ^= how;
	if (!(how & 2) && n < 100) {
		buf[28] = buf[30] = 1;
		buf[36] = 3;
		buf[38] = 0;
		buf[40] = buf[42] = 1;
	}
	fake_send(&f, &c, KVMB_PKT_INBAND, 0, ~0ull, NULL, 0, buf, how & 4 ? n : n - how % 8);
}

static void copy(u8 how)
{
	const struct kvmb_fcopy_file file = { "/tmp", "x", how & 3, (u64)how * 200 };
	u64 rest = fc.size - fc.offset;

	if (how & 128 && !kvmb_fcopy_start(&fc, &file, &ops, NULL))
		copies++;
	else if (hungry && fc.state == KVMB_FCOPY_IS_FEEDING) {
		hungry = false;
		kvmb_fcopy_feed(&fc, content,
				(u32)(rest < (u64)how * 100 + 1 ? rest : (u64)how * 100 + 1));
	}
}

static void disturb(u8 what)
{
	switch (what >> 6) {
	case 0:
		if (!fc.ask.done)
			break;
		fc.ask.until_ms = 1;
		fc.ask.timer.fn(fc.ask.timer.arg);
		break;
	case 1:
		kvmb_fcopy_cancel(&fc, -ECANCELED);
		break;
	case 2:
		fc.owes_cancel |= what & 1;
		if (kvmb_bus_paused(f.bus))
			kvmb_bus_resume(f.bus);
		else
			kvmb_bus_pause(f.bus, stands, NULL);
		break;
	case 3:
		if (kvmb_bus_paused(f.bus))
			break;
		fake_close(&f, &c);
		fake_open(&f, &c, relid, 4);
	}
}

int LLVMFuzzerTestOneInput(const u8 *in, size_t size);
int LLVMFuzzerTestOneInput(const u8 *in, size_t size)
{
	struct kvmb_wire_offer offer;
	size_t i;

	fuzz_quiet();
	copies = 0;
	hungry = false;
	fake_init(&f, KVMB_VERSION_NEWEST);
	kvmb_fcopy_init(&fc, f.loop);
	kvmb_ic_offer(&fc.ic, f.bus);
	fake_connect(&f, KVMB_VERSION_NEWEST, &offer, 1);
	relid = le32_to_cpu(offer.relid);
	fake_open(&f, &c, relid, 4);
	for (i = 0; i + 1 < size && i < 8000; i += 2) {
		if (in[i] < 140)
			reply(in[i + 1]);
		else if (in[i] < 220)
			copy(in[i + 1]);
		else
			disturb(in[i + 1]);
		fake_run(&f);
	}
	if (kvmb_bus_paused(f.bus))
		kvmb_bus_resume(f.bus);
	kvmb_fcopy_fini(&fc);
	if (copies)
		abort(); /* each copy has one end */
	fake_unmap(&c);
	fake_fini(&f);
	return 0;
}
