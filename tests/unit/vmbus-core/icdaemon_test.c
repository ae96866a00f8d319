// SPDX-License-Identifier: GPL-2.0-only
/* What a host asks a guest's daemons, and what they answer; text in UTF-16. */
#include "vmbus-core/icdaemon.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/test.h"
#include "vmbus-core/icmsg.h"
#include "vmbus-core/ictext.h"

static void ictext_keeps_what_is_text(void **state)
{
	static const char text[] = "a\xc3\xa4\xe2\x82\xac\xf0\x9f\xa7\x80";
	static const u8 wire[] = { 'a', 0, 0xe4, 0, 0xac, 0x20, 0x3e, 0xd8, 0xc0, 0xdd, 0, 0 };
	char back[32];
	u8 out[32];

	(void)state;
	assert_int_equal(kvmb_ictext_put(text, sizeof(text) - 1, out, sizeof(out)), sizeof(wire));
	assert_memory_equal(out, wire, sizeof(wire));
	assert_int_equal(kvmb_ictext_put(text, sizeof(text) - 1, out, sizeof(wire) - 1), -ENOSPC);
	assert_int_equal(kvmb_ictext_put("", 0, out, 1), -ENOSPC);
	assert_int_equal(kvmb_ictext_put("", 0, out, 2), 2);
	assert_int_equal(kvmb_ictext_get(wire, sizeof(wire), back, sizeof(back)), 10);
	assert_string_equal(back, text);
	assert_int_equal(kvmb_ictext_get(wire, sizeof(wire), back, 11), 10);
	assert_int_equal(kvmb_ictext_get(wire, sizeof(wire), back, 10), -ENOSPC);
	assert_string_equal(back, "a\xc3\xa4\xe2\x82\xac");
}

static void ictext_refuses_and_replaces_what_is_none(void **state)
{
	static const char *const bad[] = {
		"\x80", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "\xe2\x82"
	};
	static const u8 halves[] = { 0x3e, 0xd8, 'x', 0, 0xc0, 0xdd, 0x3e, 0xd8 };
	char back[32];
	u8 out[32];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(kvmb_ictext_put(bad[i], (u32)strlen(bad[i]), out, sizeof(out)),
				 -EILSEQ);
	assert_int_equal(kvmb_ictext_get(halves, sizeof(halves), back, sizeof(back)), 10);
	assert_string_equal(back, "\xef\xbf\xbdx\xef\xbf\xbd\xef\xbf\xbd");
	assert_int_equal(kvmb_ictext_get(halves, 3, back, sizeof(back)), 3); /* an odd byte */
	assert_int_equal(kvmb_ictext_get(halves, 0, back, sizeof(back)), 0);
}

static struct kvmb_wire_kvp w;
static struct kvmb_kvpd q, a;

static void begin(u8 op, u8 pool)
{
	memset(&w, 0, sizeof(w));
	memset(&a, 0, sizeof(a));
	w.operation = op;
	w.pool = pool;
}

static int request(u32 size)
{
	return kvmb_kvpd_request((u8 *)&w, size, &q);
}

static void kvpd_set_reaches_the_daemon_as_text(void **state)
{
	(void)state;
	begin(KVMB_KVP_SET, KVMB_KVP_EXTERNAL);
	memcpy(w.item.key, "k\0\0", 4);
	w.item.key_size = cpu_to_le32(4);
	memcpy(w.item.value, "v\0w\0\0", 6);
	w.item.value_size = cpu_to_le32(6);
	w.item.type = cpu_to_le32(KVMB_KVP_STRING);
	assert_int_equal(request(sizeof(w)), 0);
	assert_string_equal(q.item.key, "k");
	assert_int_equal(q.item.key_size, 2);
	assert_string_equal(q.item.value, "vw");
	assert_int_equal(q.item.value_size, 3);
	w.item.type = cpu_to_le32(KVMB_KVP_U32);
	memcpy(w.item.value, "\xff\xff\xff\xff", 4);
	assert_int_equal(request(sizeof(w)), 0);
	assert_string_equal(q.item.value, "4294967295");
	w.item.type = cpu_to_le32(KVMB_KVP_U64);
	memset(w.item.value, 0, 8);
	assert_int_equal(request(sizeof(w)), 0);
	assert_string_equal(q.item.value, "0");
	w.item.type = cpu_to_le32(3);
	assert_int_equal(request(sizeof(w)), -EINVAL);
	w.item.type = cpu_to_le32(KVMB_KVP_STRING);
	w.item.value_size = cpu_to_le32(2049);
	assert_int_equal(request(sizeof(w)), -EINVAL);
	assert_int_equal(kvmb_kvpd_reply(&a, false, (u8 *)&w, sizeof(w)), KVMB_IC_STATUS_OK);
	a.status = 0x80070103;
	assert_int_equal(kvmb_kvpd_reply(&a, false, (u8 *)&w, sizeof(w)), 0x80070103);
}

static void kvpd_what_a_daemon_would_trip_over_is_refused(void **state)
{
	u8 op;

	(void)state;
	for (op = 0; op < 9; op++) {
		begin(op, KVMB_KVP_POOLS);
		assert_int_equal(request(sizeof(w)), -EINVAL);
		begin(op, 0);
		assert_int_equal(request(3), -EPROTO);
		assert_int_equal(request(sizeof(w) - 1), -EINVAL);
	}
	begin(KVMB_KVP_ENUMERATE, 2);
	w.each.index = cpu_to_le32(0x80000000);
	assert_int_equal(request(sizeof(w)), -EINVAL);
	w.each.index = cpu_to_le32(5);
	assert_int_equal(request(sizeof(w)), 0);
	assert_int_equal(q.each.index, 5);
	begin(KVMB_KVP_DELETE, 0);
	assert_int_equal(request(sizeof(w)), -EINVAL); /* no key */
	w.remove.key_size = cpu_to_le32(~0u);
	assert_int_equal(request(sizeof(w)), -EINVAL);
}

static void kvpd_answer_is_cut_to_what_there_is_room_for(void **state)
{
	u32 i;

	(void)state;
	begin(KVMB_KVP_ENUMERATE, KVMB_KVP_GUEST);
	assert_int_equal(request(sizeof(w)), 0);
	memset(a.each.item.key, 'k', sizeof(a.each.item.key)); /* without an end */
	for (i = 0; i + 2 < sizeof(a.each.item.value); i += 2)
		memcpy(a.each.item.value + i, "\xc3\xa4", 2);
	assert_int_equal(kvmb_kvpd_reply(&a, false, (u8 *)&w, sizeof(w)), KVMB_IC_STATUS_OK);
	assert_int_equal(le32_to_cpu(w.each.item.type), KVMB_KVP_STRING);
	assert_int_equal(le32_to_cpu(w.each.item.key_size), 508);
	assert_true(le32_to_cpu(w.each.item.value_size) <= 2044);
	assert_memory_equal(w.each.item.value, "\xe4\0\xe4\0", 4);
	a.each.item.key[0] = 0;
	assert_int_equal(kvmb_kvpd_reply(&a, true, (u8 *)&w, sizeof(w)), 0x80070103);
	a.each.item.key[0] = (char)0xff;
	assert_int_equal(kvmb_kvpd_reply(&a, false, (u8 *)&w, sizeof(w)), KVMB_IC_STATUS_FAIL);
}

static void kvpd_addresses_both_ways(void **state)
{
	static struct kvmb_wire_kvp_ip ip;

	(void)state;
	ip.operation = KVMB_KVP_SET_IP;
	ip.family = 1;
	ip.dhcp = 1;
	memcpy(ip.adapter, "{\0}\0\0", 6);
	memcpy(ip.dns, "1\0", 2);
	assert_int_equal(kvmb_kvpd_request((u8 *)&ip, sizeof(w), &q), -EINVAL); /* short */
	assert_int_equal(kvmb_kvpd_request((u8 *)&ip, sizeof(ip), &q), 0);
	assert_string_equal(q.ip.adapter, "{}");
	assert_string_equal(q.ip.dns, "1");
	assert_int_equal(q.ip.dhcp, 1);
	ip.operation = KVMB_KVP_GET_IP;
	assert_int_equal(kvmb_kvpd_request((u8 *)&ip, sizeof(ip), &q), 0);
	memset(&a, 0, sizeof(a));
	strcpy(a.ip.addresses, "192.0.2.1");
	assert_int_equal(kvmb_kvpd_reply(&a, false, (u8 *)&ip, sizeof(ip)), KVMB_IC_STATUS_OK);
	assert_memory_equal(ip.addresses, "1\0009\0002\0", 6);
	assert_int_equal(ip.dhcp, 0);
}

static void fcopyd_requests_are_checked(void **state)
{
	static struct kvmb_wire_fcopy_start s;
	static struct kvmb_wire_fcopy_write wr;
	struct kvmb_wire_fcopy h = { .operation = cpu_to_le32(KVMB_FCOPY_CANCEL) };
	union kvmb_fcopyd out;
	u32 i;

	(void)state;
	assert_int_equal(kvmb_fcopyd_request((u8 *)&h, 35, &out), -EPROTO);
	assert_int_equal(kvmb_fcopyd_request((u8 *)&h, 36, &out), sizeof(out));
	assert_int_equal(out.operation, KVMB_FCOPY_CANCEL);
	h.operation = cpu_to_le32(9);
	assert_int_equal(kvmb_fcopyd_request((u8 *)&h, 36, &out), -EINVAL);
	memcpy(s.file, "f\0", 2);
	memcpy(s.path, "/\0", 2);
	s.size = cpu_to_le64(77);
	assert_int_equal(kvmb_fcopyd_request((u8 *)&s, sizeof(s) - 1, &out), -EINVAL);
	assert_int_equal(kvmb_fcopyd_request((u8 *)&s, sizeof(s), &out), 1088);
	assert_string_equal(out.start.file, "f");
	assert_string_equal(out.start.path, "/");
	assert_int_equal(out.start.size, 77);
	for (i = 0; i < sizeof(s.path); i += 2)
		s.path[i] = 'p'; /* no end, and longer than a daemon has room for */
	assert_int_equal(kvmb_fcopyd_request((u8 *)&s, sizeof(s), &out), -EINVAL);
	wr.h.operation = cpu_to_le32(KVMB_FCOPY_WRITE);
	wr.size = cpu_to_le32(KVMB_FCOPY_DATA);
	wr.offset = cpu_to_le64(4096);
	assert_int_equal(kvmb_fcopyd_request((u8 *)&wr, sizeof(wr), &out), 6196);
	assert_int_equal(out.write.offset, 4096);
	wr.size = cpu_to_le32(KVMB_FCOPY_DATA + 1);
	assert_int_equal(kvmb_fcopyd_request((u8 *)&wr, sizeof(wr), &out), -EINVAL);
	wr.size = cpu_to_le32(1);
	assert_int_equal(kvmb_fcopyd_request((u8 *)&wr, sizeof(wr) - 1, &out), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ictext_keeps_what_is_text),
		cmocka_unit_test(ictext_refuses_and_replaces_what_is_none),
		cmocka_unit_test(kvpd_set_reaches_the_daemon_as_text),
		cmocka_unit_test(kvpd_what_a_daemon_would_trip_over_is_refused),
		cmocka_unit_test(kvpd_answer_is_cut_to_what_there_is_room_for),
		cmocka_unit_test(kvpd_addresses_both_ways),
		cmocka_unit_test(fcopyd_requests_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
