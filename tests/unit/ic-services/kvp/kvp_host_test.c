// SPDX-License-Identifier: GPL-2.0-only
/* Data exchange with a guest that has items, and with one that lies. */
#include "ic-services/kvp/kvp_host.h"

#include <stdlib.h>

#include "host-vsp/bus/bus_state.h"
#include "ic-services/ic_state.h"
#include "lib/tlv.h"
#include "tests/harness/fake_vmm.h"
#include "tests/unit/test.h"
#include "vmbus-core/ictext.h"

#define NO_MORE 0x80070103u

static struct fake_vmm f;
static struct kvmb_kvp k;
static struct fake_chan c;
static u32 relid; /* 0: not connected */
static u8 buf[16384] __attribute__((aligned(8)));
static struct kvmb_icmsg asked; /* the host's last question; its payload is in q */
static struct kvmb_wire_kvp q;
static struct kvmb_wire_kvp_ip qip;
static struct kvmb_kvp_result got; /* what done() heard last */
static struct kvmb_kvp_ip got_ip;
static u32 calls;

static void heard(void *arg, const struct kvmb_kvp_result *r)
{
	(void)arg;
	got = *r;
	if (r->ip)
		got_ip = *r->ip;
	calls++;
}

static void open_with(u32 version)
{
	struct {
		struct kvmb_wire_ic_negotiate n;
		struct kvmb_wire_ic_version v[2];
	} a = { { cpu_to_le16(1), cpu_to_le16(1), 0 },
		{ { cpu_to_le16(3), 0 },
		  { cpu_to_le16((u16)(version >> 16)), cpu_to_le16((u16)version) } } };
	struct kvmb_wire_offer offer;
	struct kvmb_icmsg m;
	struct kvmb_pkt pkt;
	u8 out[256];

	if (!relid) {
		assert_int_equal(fake_connect(&f, KVMB_VERSION_NEWEST, &offer, 1), 1);
		relid = le32_to_cpu(offer.relid);
	}
	assert_int_equal(fake_open(&f, &c, relid, 5), 0);
	assert_int_equal(fake_recv(&f, &c, buf, sizeof(buf), &pkt), 0);
	assert_int_equal(kvmb_icmsg_parse(pkt.payload, pkt.payload_len, &m), 0);
	assert_int_equal(m.type, KVMB_IC_NEGOTIATE);
	m.flags = 5;
	m.payload = (u8 *)&a;
	m.size = sizeof(a);
	fake_send(&f, &c, KVMB_PKT_INBAND, 0, 0, NULL, 0, out, kvmb_icmsg_build(out, &m));
	fake_run(&f);
}

static int setup(void **state)
{
	(void)state;
	fake_init(&f, KVMB_VERSION_NEWEST);
	relid = 0;
	kvmb_kvp_init(&k, f.loop);
	kvmb_ic_offer(&k.ic, f.bus);
	calls = 0;
	memset(&got, 0, sizeof(got));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_unmap(&c);
	kvmb_kvp_fini(&k);
	fake_fini(&f);
	return 0;
}

/* Is there a question? Then it is in @asked and @q. */
static bool next(void)
{
	struct kvmb_pkt pkt;

	if (fake_recv_within(&f, &c, buf, sizeof(buf), &pkt, 0))
		return false;
	assert_int_equal(kvmb_icmsg_parse(pkt.payload, pkt.payload_len, &asked), 0);
	assert_int_equal(asked.type, KVMB_IC_KVP);
	memset(&q, 0, sizeof(q));
	memcpy(&q, asked.payload, asked.size < sizeof(q) ? asked.size : sizeof(q));
	if (asked.size == sizeof(qip))
		memcpy(&qip, asked.payload, sizeof(qip));
	return true;
}

static void answer_with(u32 status, const void *payload, u32 size)
{
	struct kvmb_icmsg m = asked;
	u8 out[8192];

	m.flags = 5;
	m.status = status;
	m.payload = payload;
	m.size = size;
	fake_send(&f, &c, KVMB_PKT_INBAND, 0, 0, NULL, 0, out, kvmb_icmsg_build(out, &m));
	fake_run(&f);
}

static void answer(u32 status)
{
	answer_with(status, &q, sizeof(q));
}

static void put_item(const char *key, const char *value)
{
	struct kvmb_wire_kvp_value *v = &q.each.item;
	int n;

	n = kvmb_ictext_put(key, (u32)strlen(key), v->key, sizeof(v->key));
	assert_true(n > 0);
	v->key_size = cpu_to_le32((u32)n);
	n = kvmb_ictext_put(value, (u32)strlen(value), v->value, sizeof(v->value));
	assert_true(n > 0);
	v->value_size = cpu_to_le32((u32)n);
	v->type = cpu_to_le32(KVMB_KVP_STRING);
}

static void answer_item(const char *key, const char *value)
{
	put_item(key, value);
	answer(KVMB_IC_STATUS_OK);
}

/* A guest with two items of its own, and one of a program; the reading ends. */
static void answer_reading(void)
{
	assert_true(next());
	assert_int_equal(q.operation, KVMB_KVP_ENUMERATE);
	assert_int_equal(q.pool, KVMB_KVP_AUTO);
	answer_item("OSName", "Debian");
	assert_true(next());
	assert_int_equal(le32_to_cpu(q.each.index), 1);
	answer_item("NetworkAddressIPv4", "10.0.2.15;192.0.2.9");
	assert_true(next());
	answer(NO_MORE);
	assert_true(next());
	assert_int_equal(q.pool, KVMB_KVP_GUEST);
	assert_int_equal(le32_to_cpu(q.each.index), 0);
	answer_item("k\xc3\xa4se", "\xf0\x9f\xa7\x80");
	assert_true(next());
	answer(NO_MORE);
	assert_true(next());
	assert_int_equal(q.pool, KVMB_KVP_EXTERNAL);
	answer(NO_MORE);
}

static void kvp_reads_three_pools_when_it_is_ready(void **state)
{
	(void)state;
	kvmb_kvp_read(&k, heard, NULL);
	assert_int_equal(calls, 1);
	assert_int_equal(got.err, -ENOTCONN);
	open_with(KVMB_IC_VERSION(4, 0));
	assert_true(kvmb_kvp_busy(&k));
	answer_reading();
	assert_false(next());
	assert_false(kvmb_kvp_busy(&k));
	assert_true(k.read_ms);
	assert_string_equal(kvmb_kvp_value(&k, KVMB_KVP_AUTO, "OSName"), "Debian");
	assert_string_equal(kvmb_kvp_value(&k, KVMB_KVP_GUEST, "k\xc3\xa4se"), "\xf0\x9f\xa7\x80");
	assert_null(kvmb_kvp_value(&k, KVMB_KVP_EXTERNAL, "OSName"));
	kvmb_kvp_read(&k, heard, NULL);
	assert_true(next());
	answer(NO_MORE); /* it has nothing to say any more */
	assert_true(next());
	answer(NO_MORE);
	assert_true(next());
	answer(NO_MORE);
	assert_int_equal(calls, 2);
	assert_int_equal(got.err, 0);
	assert_int_equal(got.status, KVMB_IC_STATUS_OK);
	assert_null(kvmb_kvp_value(&k, KVMB_KVP_AUTO, "OSName"));
	fake_close(&f, &c);
	assert_int_equal(k.read_ms, 0);
}

static void kvp_without_a_daemon_keeps_what_it_knew(void **state)
{
	(void)state;
	open_with(KVMB_IC_VERSION(4, 0));
	answer_reading();
	kvmb_kvp_read(&k, heard, NULL);
	assert_true(next());
	answer(KVMB_IC_STATUS_FAIL);
	assert_false(next());
	assert_int_equal(got.err, 0);
	assert_int_equal(got.status, KVMB_IC_STATUS_FAIL);
	assert_string_equal(kvmb_kvp_value(&k, KVMB_KVP_AUTO, "OSName"), "Debian");
}

static void kvp_items_without_sense_are_left_out(void **state)
{
	u32 i;

	(void)state;
	open_with(KVMB_IC_VERSION(3, 0));
	for (i = 0; i < 6; i++) {
		assert_true(next());
		put_item("bad", "value");
		if (i == 0)
			q.each.item.key_size = cpu_to_le32(514);
		if (i == 1)
			q.each.item.value_size = cpu_to_le32(~0u);
		if (i == 2)
			q.each.item.value_size = cpu_to_le32(3);
		if (i == 3)
			q.each.item.type = cpu_to_le32(99);
		if (i == 4) { /* a number of another size */
			q.each.item.type = cpu_to_le32(KVMB_KVP_U32);
			q.each.item.value_size = cpu_to_le32(8);
		}
		if (i == 5) { /* no end anywhere: all of it counts */
			memset(q.each.item.key, 'a', sizeof(q.each.item.key));
			memset(q.each.item.value, 0xff, sizeof(q.each.item.value));
			q.each.item.key_size = cpu_to_le32(sizeof(q.each.item.key));
			q.each.item.value_size = cpu_to_le32(sizeof(q.each.item.value));
		}
		answer(KVMB_IC_STATUS_OK);
	}
	assert_int_equal(k.malformed, 6); /* the last has no room for so much of U+FFFF */
	assert_true(next());
	put_item("number", "");
	q.each.item.type = cpu_to_le32(KVMB_KVP_U64);
	q.each.item.value_size = cpu_to_le32(8);
	memset(q.each.item.value, 0xff, 8);
	answer(KVMB_IC_STATUS_OK);
	assert_true(next());
	q.each.item.key_size = 0; /* an empty key is the end, whatever the status */
	q.each.item.type = cpu_to_le32(KVMB_KVP_STRING);
	answer(KVMB_IC_STATUS_OK);
	for (i = 0; i < 2; i++) {
		assert_true(next());
		answer(NO_MORE);
	}
	assert_string_equal(kvmb_kvp_value(&k, KVMB_KVP_AUTO, "number"), "18446744073709551615");
	assert_null(kvmb_kvp_value(&k, KVMB_KVP_AUTO, "bad"));
}

static void kvp_guest_without_an_end_is_read_so_far(void **state)
{
	u32 i, n = 0;

	(void)state;
	open_with(KVMB_IC_VERSION(4, 0));
	for (i = 0; next(); i++) {
		answer_item("x", "y");
		n++;
	}
	assert_int_equal(n, 3 * KVMB_KVP_MAX_READ);
	assert_true(k.read_ms);
}

static void kvp_short_answer_ends_one_job_only(void **state)
{
	(void)state;
	open_with(KVMB_IC_VERSION(4, 0));
	assert_true(next());
	answer_with(KVMB_IC_STATUS_OK, &q, 100);
	assert_int_equal(k.malformed, 1);
	assert_false(kvmb_kvp_busy(&k));
	assert_int_equal(k.ic.state, KVMB_IC_READY);
	kvmb_kvp_read(&k, heard, NULL);
	answer_reading();
	assert_int_equal(got.err, 0);
}

/* Late, twice, and somebody else's. */
static void kvp_other_answers_are_ignored(void **state)
{
	struct kvmb_icmsg first;

	(void)state;
	open_with(KVMB_IC_VERSION(4, 0));
	assert_true(next());
	first = asked;
	k.ask.until_ms = 1;
	k.ask.timer.fn(k.ask.timer.arg); /* the guest takes too long */
	assert_false(kvmb_kvp_busy(&k));
	kvmb_kvp_read(&k, heard, NULL);
	asked = first;
	answer_item("late", "1");
	assert_int_equal(k.ask.stray, 1);
	assert_true(next());
	asked.transaction += 7;
	answer_item("foreign", "1");
	asked.transaction -= 7;
	assert_int_equal(k.ask.stray, 2);
	answer_item("OSName", "1");
	answer_item("twice", "1"); /* the next question is not answered by it */
	assert_int_equal(k.ask.stray, 3);
	assert_true(next());
	assert_int_equal(le32_to_cpu(q.each.index), 1);
	answer(NO_MORE);
	assert_true(next());
	answer(NO_MORE);
	assert_true(next());
	answer(NO_MORE);
	assert_int_equal(got.err, 0);
	assert_string_equal(kvmb_kvp_value(&k, KVMB_KVP_AUTO, "OSName"), "1");
	assert_null(kvmb_kvp_value(&k, KVMB_KVP_AUTO, "late"));
	assert_null(kvmb_kvp_value(&k, KVMB_KVP_AUTO, "twice"));
}

static void kvp_silent_guest_is_a_timeout(void **state)
{
	(void)state;
	open_with(KVMB_IC_VERSION(4, 0));
	answer_reading();
	kvmb_kvp_delete(&k, "x", heard, NULL);
	assert_true(next());
	assert_int_equal(q.operation, KVMB_KVP_DELETE);
	k.ask.until_ms = 1;
	k.ask.timer.fn(k.ask.timer.arg);
	assert_int_equal(got.err, -ETIMEDOUT);
	kvmb_kvp_delete(&k, "x", heard, NULL);
	assert_true(next());
	answer(NO_MORE);
	assert_int_equal(got.err, 0);
	assert_int_equal(got.status, NO_MORE);
	kvmb_kvp_delete(&k, "x", heard, NULL);
	assert_true(next());
	fake_close(&f, &c); /* its driver goes in the middle */
	assert_int_equal(got.err, -ENOTCONN);
	assert_int_equal(calls, 3);
}

static const char *key_of_set(void)
{
	static char key[600];

	assert_int_equal(q.operation, KVMB_KVP_SET);
	assert_int_equal(q.pool, KVMB_KVP_EXTERNAL);
	assert_true(kvmb_ictext_get(q.item.key, le32_to_cpu(q.item.key_size), key, sizeof(key)) >
		    0);
	return key;
}

static void kvp_owes_items_to_each_guest_that_starts(void **state)
{
	(void)state;
	assert_int_equal(kvmb_kvp_set(&k, "a", "1", heard, NULL), 0);
	assert_int_equal(got.err, -ENOTCONN);
	assert_int_equal(kvmb_kvp_set(&k, "b", "2", NULL, NULL), 0);
	open_with(KVMB_IC_VERSION(4, 0));
	answer_reading();
	assert_true(next());
	assert_string_equal(key_of_set(), "a");
	assert_int_equal(le32_to_cpu(q.item.key_size), 4); /* with its end */
	answer(KVMB_IC_STATUS_OK);
	assert_true(next());
	assert_string_equal(key_of_set(), "b");
	answer(KVMB_IC_STATUS_FAIL); /* it is asked again after the next reading */
	assert_false(next());
	kvmb_kvp_read(&k, NULL, NULL);
	answer_reading();
	assert_true(next());
	assert_string_equal(key_of_set(), "b");
	/* a new value comes while the old one is under way */
	assert_int_equal(kvmb_kvp_set(&k, "b", "3", heard, NULL), 0);
	answer(KVMB_IC_STATUS_OK);
	assert_true(next());
	assert_string_equal(key_of_set(), "b");
	assert_int_equal(q.item.value[0], '3');
	answer(KVMB_IC_STATUS_OK);
	assert_false(next());
	assert_int_equal(got.err, 0);
	assert_int_equal(calls, 2);
	fake_close(&f, &c);
	open_with(KVMB_IC_VERSION(4, 0)); /* another guest: all over again */
	answer_reading();
	assert_true(next());
	assert_string_equal(key_of_set(), "a");
}

static void kvp_item_that_is_refused_is_told_so(void **state)
{
	(void)state;
	open_with(KVMB_IC_VERSION(4, 0));
	answer_reading();
	kvmb_kvp_set(&k, "a", "1", heard, NULL);
	assert_true(next());
	kvmb_kvp_delete(&k, "a", NULL, NULL); /* while it is under way */
	answer(KVMB_IC_STATUS_FAIL);
	assert_int_equal(got.status, KVMB_IC_STATUS_FAIL);
	assert_true(next());
	assert_int_equal(q.operation, KVMB_KVP_DELETE);
	answer(KVMB_IC_STATUS_OK);
	assert_false(next());
	assert_int_equal(k.num_wanted, 0);
}

static void kvp_there_is_an_end_of_items(void **state)
{
	char key[16], longer[4096];
	u32 i;

	(void)state;
	for (i = 0; i < KVMB_KVP_MAX_WANTED; i++) {
		snprintf(key, sizeof(key), "%u", i);
		assert_int_equal(kvmb_kvp_set(&k, key, "", NULL, NULL), 0);
	}
	assert_int_equal(kvmb_kvp_set(&k, "more", "", heard, NULL), -ENOSPC);
	assert_int_equal(calls, 0);
	assert_int_equal(kvmb_kvp_set(&k, "7", "again", NULL, NULL), 0);
	memset(longer, 'x', sizeof(longer));
	longer[253] = 0;
	assert_null(kvmb_kvp_check(longer, longer));
	longer[253] = 'x';
	longer[254] = 0;
	assert_non_null(kvmb_kvp_check(longer, NULL));
	longer[254] = 'x';
	longer[1021] = 0;
	assert_null(kvmb_kvp_check("k", longer));
	longer[1021] = 'x';
	longer[1022] = 0;
	assert_non_null(kvmb_kvp_check("k", longer));
	assert_non_null(kvmb_kvp_check("", NULL));
	assert_non_null(kvmb_kvp_check("\xff", NULL));
}

static void kvp_addresses_in_the_old_form(void **state)
{
	struct kvmb_kvp_ip ip = { .adapter = "{6b766d62}",
				  .family = KVMB_KVP_IPV4,
				  .addresses = "192.0.2.5",
				  .subnets = "255.255.255.0",
				  .gateways = "192.0.2.1",
				  .dns = "192.0.2.1;192.0.2.2" };

	(void)state;
	open_with(KVMB_IC_VERSION(4, 0));
	answer_reading();
	kvmb_kvp_set_ip(&k, &ip, heard, NULL);
	assert_true(next());
	assert_int_equal(asked.size, 7428);
	assert_int_equal(qip.operation, KVMB_KVP_SET_IP);
	assert_memory_equal(qip.adapter, "{\0006\0b\0", 6); /* behind two bytes */
	assert_memory_equal(qip.dns, "1\0009\0002\0", 6);
	answer_with(KVMB_IC_STATUS_OK, &qip, sizeof(qip));
	assert_int_equal(got.err, 0);
	assert_null(got.ip);
	kvmb_kvp_get_ip(&k, &ip, heard, NULL);
	assert_true(next());
	assert_int_equal(qip.operation, KVMB_KVP_GET_IP);
	qip.dhcp = 1;
	answer_with(KVMB_IC_STATUS_OK, &qip, sizeof(qip));
	assert_int_equal(got.err, 0);
	assert_true(got_ip.dhcp);
	assert_string_equal(got_ip.dns, "192.0.2.1;192.0.2.2");
	kvmb_kvp_get_ip(&k, &ip, heard, NULL);
	assert_true(next());
	memset(&qip, 0xff, sizeof(qip)); /* no string has an end */
	answer_with(KVMB_IC_STATUS_OK, &qip, sizeof(qip));
	assert_int_equal(got.err, -EPROTO);
	kvmb_kvp_get_ip(&k, &ip, heard, NULL);
	assert_true(next());
	answer_with(KVMB_IC_STATUS_OK, &qip, 2580); /* short */
	assert_int_equal(got.err, -EPROTO);
}

static void kvp_addresses_in_binary(void **state)
{
	struct kvmb_kvp_ip ip = { .adapter = "x",
				  .family = 3,
				  .addresses = "192.0.2.5;2001:db8::5",
				  .subnets = "255.255.255.0;/64",
				  .gateways = "2001:db8::1",
				  .dns = "192.0.2.1" };
	struct kvmb_wire_kvp_ip_binary b;

	(void)state;
	open_with(KVMB_IC_VERSION(5, 0));
	answer_reading();
	kvmb_kvp_set_ip(&k, &ip, heard, NULL);
	assert_true(next());
	assert_int_equal(asked.size, 7428);
	memcpy(&b, &qip, sizeof(b));
	assert_int_equal(le32_to_cpu(b.num_ipv4), 1);
	assert_int_equal(le32_to_cpu(b.num_ipv6), 1);
	assert_int_equal(le32_to_cpu(b.subnets6[0]), 64);
	assert_int_equal(le32_to_cpu(b.num_gateways6), 1);
	assert_memory_equal(b.ipv4[0], "\xc0\0\2\5", 4);
	answer_with(KVMB_IC_STATUS_OK, &b, sizeof(b));
	kvmb_kvp_get_ip(&k, &ip, heard, NULL);
	assert_true(next());
	answer_with(KVMB_IC_STATUS_OK, &b, sizeof(b));
	assert_int_equal(got.err, 0);
	assert_string_equal(got_ip.addresses, ip.addresses);
	assert_string_equal(got_ip.subnets, ip.subnets);
	kvmb_kvp_get_ip(&k, &ip, heard, NULL);
	assert_true(next());
	b.num_gateways4 = cpu_to_le32(6);
	answer_with(KVMB_IC_STATUS_OK, &b, sizeof(b));
	assert_int_equal(got.err, -EPROTO);
	snprintf(ip.gateways, sizeof(ip.gateways), "nonsense");
	kvmb_kvp_set_ip(&k, &ip, heard, NULL);
	assert_int_equal(got.err, -EINVAL);
	assert_false(next());
}

static void kvp_old_services_have_no_addresses(void **state)
{
	static const struct kvmb_kvp_ip ip = { .adapter = "x" };

	(void)state;
	open_with(KVMB_IC_VERSION(3, 0));
	answer_reading();
	kvmb_kvp_get_ip(&k, &ip, heard, NULL);
	assert_int_equal(got.err, -EOPNOTSUPP);
	assert_false(next());
}

/* ---- another process ---- */

static void stands(void *arg)
{
	(void)arg;
}

static void kvp_items_go_along_and_what_was_asked_is_asked_again(void **state)
{
	const struct kvmb_ic_services all = { .kvp = &k };
	struct kvmb_heartbeat hb;
	struct kvmb_shutdown sd = { 0 };
	struct kvmb_timesync ts;
	struct kvmb_ic_services saved = { &hb, &sd, &ts, .kvp = &k };
	struct kvmb_tlv_out o = { 0 };
	struct kvmb_tlv_error e = { 0 };
	struct kvmb_tlv t;
	size_t pos = 0;
	u8 *ram;
	u64 pages;

	(void)state;
	kvmb_heartbeat_init(&hb, f.loop);
	kvmb_shutdown_init(&sd, NULL, NULL);
	kvmb_timesync_init(&ts, f.loop, &f.vmm);
	open_with(KVMB_IC_VERSION(4, 0));
	answer_reading();
	kvmb_kvp_set(&k, "a", "1", NULL, NULL);
	assert_true(next()); /* the guest never answers it here */
	kvmb_bus_pause(f.bus, stands, NULL);
	kvmb_bus_save(f.bus, &o);
	kvmb_ic_save(&saved, &o);
	pages = f.next_gfn;
	ram = malloc(pages << 12);
	assert_non_null(ram);
	memcpy(ram, f.view, pages << 12);
	kvmb_kvp_fini(&k);
	fake_fini(&f);

	setup(NULL);
	memcpy(f.view, ram, pages << 12);
	free(ram);
	kvmb_bus_begin_load(f.bus);
	while (!e.err && !kvmb_tlv_next(o.buf, o.len, &pos, &t, &e)) {
		if (t.tag == KVMB_SEC_BUS)
			kvmb_bus_load(f.bus, &t);
		else if (t.instance == KVMB_IC_IS_KVP)
			kvmb_ic_load(&all, &t);
	}
	assert_int_equal(e.err, 0);
	kvmb_tlv_out_fini(&o);
	assert_int_equal(k.ic.state, KVMB_IC_READY);
	assert_int_equal(k.num_wanted, 1);
	assert_true(k.wanted->owed);
	assert_false(kvmb_kvp_busy(&k));
	kvmb_bus_resume(f.bus);
	assert_true(kvmb_kvp_busy(&k)); /* it reads again, and then owes */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(kvp_reads_three_pools_when_it_is_ready),
		T(kvp_without_a_daemon_keeps_what_it_knew),
		T(kvp_items_without_sense_are_left_out),
		T(kvp_guest_without_an_end_is_read_so_far),
		T(kvp_short_answer_ends_one_job_only),
		T(kvp_other_answers_are_ignored),
		T(kvp_silent_guest_is_a_timeout),
		T(kvp_owes_items_to_each_guest_that_starts),
		T(kvp_item_that_is_refused_is_told_so),
		T(kvp_there_is_an_end_of_items),
		T(kvp_addresses_in_the_old_form),
		T(kvp_addresses_in_binary),
		T(kvp_old_services_have_no_addresses),
		T(kvp_items_go_along_and_what_was_asked_is_asked_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
