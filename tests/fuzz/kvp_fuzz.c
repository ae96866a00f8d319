// SPDX-License-Identifier: GPL-2.0-only
/* Data exchange, host half: any answers at any time, while an administrator asks for things. */
#include "host-vsp/bus/bus_state.h"
#include "ic-services/kvp/kvp_host.h"
#include "tests/fuzz/fuzz_bus.h"

static struct fake_vmm f;
static struct kvmb_kvp k;
static struct fake_chan c;
static u32 relid, owed; /* owed: answers to the administrator */
static const u8 *in;
static size_t left;

static u8 byte(void)
{
	left -= left > 0;
	return left ? *in++ : 0;
}

static void heard(void *arg, const struct kvmb_kvp_result *r)
{
	(void)arg;
	owed--;
	if (r->ip && (strlen(r->ip->dns) >= sizeof(r->ip->dns) ||
		      strlen(r->ip->subnets) >= sizeof(r->ip->subnets)))
		abort();
}

static void stands(void *arg)
{
	(void)arg;
}

/* What the host asked comes back, some of it changed, and with any status. */
static void reply(u8 how)
{
	static u8 buf[16384] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;
	u32 n, at, i;

	if (kvmb_bus_paused(f.bus) || kvmb_ring_peek(&c.rx, buf, sizeof(buf), &pkt))
		return;
	kvmb_ring_skip(&c.rx, &pkt);
	kvmb_ring_release(&c.rx);
	n = pkt.payload_len;
	memmove(buf, pkt.payload, n);
	buf[25] = 5;
	if (how & 1)
		buf[20] = byte(); /* status */
	for (i = 0; i < (u32)(how >> 1 & 7); i++) {
		at = (byte() | (u32)byte() << 8) % n;
		buf[at] = byte();
	}
	if (how & 16) { /* key and value of an item */
		for (i = 28 + 20; i < n; i++)
			buf[i] = i & 1 ? 0 : (u8)('a' + (i + how) % 20);
		buf[28 + 12] = byte();
		buf[28 + 16] = byte();
	}
	if (how & 32) { /* versions */
		buf[28] = 1;
		buf[30] = 1;
		buf[40] = 3 + (how >> 6);
	}
	fake_send(&f, &c, KVMB_PKT_INBAND, 0, 0, NULL, 0, buf, n);
}

static void administrate(u8 what)
{
	struct kvmb_kvp_ip ip = { .adapter = "x",
				  .family = 3,
				  .addresses = "192.0.2.1;::1",
				  .subnets = "255.0.0.0;/64",
				  .dns = "192.0.2.9" };
	char key[4] = { (char)('a' + what % 7), 0 };

	owed++;
	switch (what >> 4 & 7) {
	case 0:
		kvmb_kvp_read(&k, heard, NULL);
		break;
	case 1:
	case 2:
		if (kvmb_kvp_set(&k, key, "value", heard, NULL))
			owed--;
		break;
	case 3:
		kvmb_kvp_delete(&k, key, heard, NULL);
		break;
	case 4:
		kvmb_kvp_get_ip(&k, &ip, heard, NULL);
		break;
	case 5:
		kvmb_kvp_set_ip(&k, &ip, heard, NULL);
		break;
	default:
		owed--;
		kvmb_kvp_value(&k, KVMB_KVP_AUTO, key);
	}
}

static void disturb(u8 what)
{
	u8 raw[64];
	u32 i, n = what % sizeof(raw);

	switch (what >> 6) {
	case 0: /* too late */
		if (!k.ask.done)
			break;
		k.ask.until_ms = 1;
		k.ask.timer.fn(k.ask.timer.arg);
		break;
	case 1:
		for (i = 0; i < n; i++)
			raw[i] = byte();
		fake_send(&f, &c, KVMB_PKT_INBAND, 0, 0, NULL, 0, raw, n);
		break;
	case 2:
		if (kvmb_bus_paused(f.bus))
			kvmb_bus_resume(f.bus);
		else
			kvmb_bus_pause(f.bus, stands, NULL);
		break;
	case 3:
		if (kvmb_bus_paused(f.bus))
			break;
		fake_close(&f, &c);
		fake_open(&f, &c, relid, 5);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct kvmb_wire_offer offer;
	u32 steps = 0;

	fuzz_quiet();
	in = data;
	left = size;
	owed = 0;
	fake_init(&f, KVMB_VERSION_NEWEST);
	kvmb_kvp_init(&k, f.loop);
	kvmb_ic_offer(&k.ic, f.bus);
	fake_connect(&f, KVMB_VERSION_NEWEST, &offer, 1);
	relid = le32_to_cpu(offer.relid);
	fake_open(&f, &c, relid, 5);
	while (left > 1 && steps++ < 4000) {
		u8 action = byte(), how = byte();

		if (action < 180)
			reply(how);
		else if (action < 230)
			administrate(how);
		else
			disturb(how);
		fake_run(&f);
	}
	if (kvmb_bus_paused(f.bus))
		kvmb_bus_resume(f.bus);
	kvmb_kvp_fini(&k);
	if (owed)
		abort(); /* each question has one answer */
	fake_unmap(&c);
	fake_fini(&f);
	return 0;
}
