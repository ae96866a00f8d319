// SPDX-License-Identifier: GPL-2.0-only
/* Commands of data exchange: what the guest is asked, and what of its answers leaves here. */
#include "vmm/kvp.h"

#include <string.h>

#include "backend/net/backend.h"
#include "host-vsp/net/net.h"
#include "lib/log.h"
#include "tests/harness/fake_vmm.h"
#include "tests/unit/test.h"
#include "vmbus-core/ictext.h"
#include "vmm/nics.h"
#include "vmm/services.h"

#define NO_MORE 0x80070103u

static struct vm vm;
static struct fake_vmm f;
static struct fake_chan c;
static u8 buf[16384] __attribute__((aligned(8)));
static struct kvmb_net *nic;
static json_t *result;
static char class[40], why[300];
static u32 answers;
static struct kvmb_icmsg asked;
static struct kvmb_wire_kvp q;
static struct kvmb_wire_kvp_ip qip;

struct kvmb_net *nics_named(struct vm *v, const char *name, struct ctl_reply reply)
{
	(void)v;
	if (!strcmp(name, "net0"))
		return nic;
	reply_refused(reply, "failed", "no NIC");
	return NULL;
}

static void answered(void *arg, json_t *r, const char *k, const char *text)
{
	(void)arg;
	answers++;
	json_decref(result);
	result = r;
	snprintf(class, sizeof(class), "%s", k ? k : "");
	snprintf(why, sizeof(why), "%s", text ? text : "");
}

static const struct ctl_reply reply = { .fn = answered };

static bool next(void)
{
	struct kvmb_pkt pkt;

	if (fake_recv_within(&f, &c, buf, sizeof(buf), &pkt, 0))
		return false;
	assert_int_equal(kvmb_icmsg_parse(pkt.payload, pkt.payload_len, &asked), 0);
	if (asked.size >= sizeof(q))
		memcpy(&q, asked.payload, sizeof(q));
	if (asked.size == sizeof(qip))
		memcpy(&qip, asked.payload, sizeof(qip));
	return true;
}

static void send_back(u32 status, const void *payload, u32 size)
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

static void put(const char *s, u8 *out, __le32 *size)
{
	int n = kvmb_ictext_put(s, (u32)strlen(s), out, 512);

	assert_true(n > 0);
	if (size)
		*size = cpu_to_le32((u32)n);
}

static void answer_item(const char *key, const char *value)
{
	__le32 n, m;

	put(key, q.each.item.key, &n);
	put(value, q.each.item.value, &m);
	q.each.item.key_size = n;
	q.each.item.value_size = m;
	q.each.item.type = cpu_to_le32(1);
	send_back(0, &q, sizeof(q));
}

static void no_more(u32 times)
{
	while (times--) {
		assert_true(next());
		send_back(NO_MORE, &q, sizeof(q));
	}
}

static void open_guest(void)
{
	struct {
		struct kvmb_wire_ic_negotiate n;
		struct kvmb_wire_ic_version v[2];
	} a = { { cpu_to_le16(1), cpu_to_le16(1), 0 },
		{ { cpu_to_le16(3), 0 }, { cpu_to_le16(4), 0 } } };
	struct kvmb_wire_offer offer;

	assert_int_equal(fake_connect(&f, KVMB_VERSION_NEWEST, &offer, 1), 1);
	assert_int_equal(fake_open(&f, &c, le32_to_cpu(offer.relid), 5), 0);
	assert_true(next());
	send_back(0, &a, sizeof(a));
}

static int setup(void **state)
{
	const struct kvmb_net_spec spec = {
		.index = 2, .mac = { 0, 0x15, 0x5d, 1, 2, 0xab }, .mtu = 1500, .max_queues = 1
	};

	(void)state;
	memset(&vm, 0, sizeof(vm));
	fake_init(&f, KVMB_VERSION_NEWEST);
	vm.loop = f.loop;
	vm.bus = f.bus;
	vm.state = VM_RUNNING;
	vm.cfg.name = "t";
	kvmb_log_set_level(KVMB_LOG_ERR);
	assert_int_equal(kvp_create(&vm), 0);
	nic = kvmb_net_create(&spec, kvmb_net_none_open(), f.loop);
	answers = 0;
	result = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_unmap(&c);
	fake_rest(&f);
	kvp_destroy(&vm);
	services_destroy(&vm); /* the bus has let go of them */
	kvmb_net_destroy(nic);
	fake_fini(&f);
	json_decref(result);
	return 0;
}

static json_t *kvp_info(void)
{
	json_t *all = services_info(&vm), *o = json_incref(json_object_get(all, "kvp"));

	json_decref(all);
	return o;
}

static void kvp_info_has_addresses_only(void **state)
{
	json_t *o, *a;

	(void)state;
	open_guest();
	assert_true(next());
	answer_item("NetworkAddressIPv4", "10.0.2.15;-oProxyCommand=x;;010.1.1.1;192.0.2.7;1.2.3");
	assert_true(next());
	answer_item("NetworkAddressIPv6", "fe80::1;2001:DB8:0::5;10.9.9.9");
	assert_true(next());
	answer_item("OSName", "Deb\x1bian");
	no_more(3);
	o = kvp_info();
	a = json_object_get(o, "addresses");
	assert_int_equal(json_array_size(a), 4);
	assert_string_equal(json_string_value(json_array_get(a, 0)), "10.0.2.15");
	assert_string_equal(json_string_value(json_array_get(a, 1)), "192.0.2.7");
	assert_string_equal(json_string_value(json_array_get(a, 3)), "2001:db8::5");
	assert_true(json_is_string(json_object_get(o, "os")));
	assert_true(json_is_null(json_object_get(o, "fqdn")));
	assert_true(json_is_integer(json_object_get(o, "age_ms")));
	assert_false(next()); /* it is news */
	vm.kvp.read_ms -= 20000;
	json_decref(kvp_info());
	assert_true(next()); /* and is not any more */
	json_decref(kvp_info());
	assert_false(next()); /* once is enough */
	json_decref(o);
}

static void kvp_paused_guest_is_not_asked(void **state)
{
	(void)state;
	open_guest();
	no_more(3);
	vm.kvp.read_ms = 0;
	vm.state = VM_PAUSED;
	json_decref(kvp_info());
	assert_false(next());
	kvp_list(&vm, reply);
	assert_string_equal(class, "state");
}

static void kvp_list_has_what_is_owed(void **state)
{
	json_t *items, *i;

	(void)state;
	kvp_list(&vm, reply);
	assert_non_null(strstr(why, "no data exchange service"));
	kvp_set(&vm, "ours", "1", reply);
	assert_true(json_is_true(json_object_get(result, "owed")));
	kvp_set(&vm, "", "1", reply);
	assert_string_equal(class, "usage");
	open_guest();
	assert_true(next());
	kvp_list(&vm, reply);
	send_back(NO_MORE, &q, sizeof(q));
	no_more(2); /* the first reading */
	no_more(1); /* now ours */
	assert_true(next());
	answer_item("theirs", "x;y");
	no_more(2);
	assert_int_equal(answers, 4);
	items = json_object_get(result, "items");
	assert_int_equal(json_array_size(items), 2);
	i = json_array_get(items, 0);
	assert_string_equal(json_string_value(json_object_get(i, "key")), "theirs");
	assert_string_equal(json_string_value(json_object_get(i, "pool")), "guest");
	i = json_array_get(items, 1);
	assert_string_equal(json_string_value(json_object_get(i, "key")), "ours");
	assert_true(json_is_true(json_object_get(i, "owed")));
	assert_true(next());
	assert_int_equal(q.operation, KVMB_KVP_SET);
	send_back(0, &q, sizeof(q));
	kvp_delete(&vm, "ours", reply);
	assert_true(next());
	send_back(NO_MORE, &q, sizeof(q));
	assert_string_equal(why, "the guest answered 0x80070103: no such item");
}

static void kvp_is_switched_while_the_guest_has_it(void **state)
{
	json_t *o, *args = json_object();

	(void)state;
	open_guest();
	kvp_list(&vm, reply); /* waits for the guest, and hears that it is gone */
	services_set(&vm, "kvp=off", (struct ctl_reply){ 0 });
	fake_run(&f);
	assert_int_equal(answers, 1);
	assert_non_null(strstr(why, "no data exchange service now"));
	o = kvp_info();
	assert_false(json_is_true(json_object_get(o, "enabled")));
	assert_int_equal(json_array_size(json_object_get(o, "addresses")), 0);
	json_decref(o);
	kvp_list(&vm, reply);
	assert_string_equal(class, "state");
	assert_string_equal(why, "the VM's service kvp is off");
	kvp_set(&vm, "k", "v", reply);
	assert_string_equal(why, "the VM's service kvp is off");
	kvp_ip(&vm, args, reply);
	assert_string_equal(class, "state");
	json_decref(args);
	services_set(&vm, "kvp=on,max=3.0", (struct ctl_reply){ 0 });
	fake_run(&f);
	assert_true(services_on(&vm, SERVICE_KVP));
	assert_false(kvmb_ic_knows(&vm.kvp.ic, KVMB_IC_VERSION(4, 0)));
	kvp_set(&vm, "k", "v", reply);
	fake_run(&f);
	assert_true(json_is_true(json_object_get(result, "owed")));
}

static json_t *one(const char *s)
{
	return json_pack("[s]", s);
}

static void kvp_ip_is_written_as_a_guest_wants_it(void **state)
{
	json_t *args = json_pack("{s:s, s:[s,s], s:o, s:o}", "nic", "net0", "addresses",
				 "192.0.2.5/20", "2001:db8::5/64", "gateways", one("192.0.2.1"),
				 "dns", one("192.0.2.2"));
	u8 want[512];

	(void)state;
	open_guest();
	no_more(3);
	kvp_ip(&vm, args, reply);
	assert_true(next());
	assert_int_equal(qip.operation, KVMB_KVP_SET_IP);
	assert_int_equal(qip.family, 3);
	put("{6b766d62-4e49-0002-8001-6e6574000002}", want, NULL);
	assert_memory_equal(qip.adapter, want, 76);
	put("192.0.2.5;2001:db8::5", want, NULL);
	assert_memory_equal(qip.addresses, want, 44);
	put("255.255.240.0;/64", want, NULL);
	assert_memory_equal(qip.subnets, want, 36);
	send_back(0x80041002, &qip, sizeof(qip));
	assert_string_equal(why, "the guest answered 0x80041002: the guest has no such adapter");
	json_decref(args);

	args = json_pack("{s:s}", "nic", "net0");
	kvp_ip(&vm, args, reply);
	assert_true(next());
	assert_int_equal(qip.operation, KVMB_KVP_GET_IP);
	put("00:15:5D:01:02:AB", want, NULL);
	assert_memory_equal(qip.adapter, want, 36);
	put("192.0.2.5;x\"", qip.addresses, NULL);
	send_back(0, &qip, sizeof(qip));
	assert_int_equal(json_array_size(json_object_get(result, "addresses")), 2);
	json_decref(args);
}

static void kvp_ip_without_sense_is_refused(void **state)
{
	static const char *const bad[] = { "192.0.2.5", "192.0.2.5/",	"192.0.2.5/33",
					   "1.2.3/8",	"::1/129",	"192.0.2.5/8x",
					   "/8",	"192.0.2.5/-1", "1.1.1.1;2.2.2.2/8" };
	json_t *args;
	size_t i;

	(void)state;
	open_guest();
	no_more(3);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		args = json_pack("{s:o}", "addresses", one(bad[i]));
		kvp_ip(&vm, args, reply);
		assert_string_equal(class, "usage");
		json_decref(args);
	}
	args = json_pack("{s:b, s:o}", "dhcp", 1, "addresses", one("192.0.2.5/8"));
	kvp_ip(&vm, args, reply);
	assert_string_equal(why, "either DHCP or an address");
	json_decref(args);
	args = json_pack("{s:b, s:o}", "dhcp", 1, "dns", one("x"));
	kvp_ip(&vm, args, reply);
	assert_string_equal(class, "usage");
	json_decref(args);
	args = json_pack("{s:s, s:b}", "nic", "net7", "dhcp", 1);
	kvp_ip(&vm, args, reply);
	assert_string_equal(why, "no NIC");
	json_decref(args);
	assert_int_equal(answers, sizeof(bad) / sizeof(bad[0]) + 3);
	assert_false(next());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(kvp_info_has_addresses_only),	    T(kvp_paused_guest_is_not_asked),
		T(kvp_list_has_what_is_owed),	    T(kvp_ip_is_written_as_a_guest_wants_it),
		T(kvp_ip_without_sense_is_refused), T(kvp_is_switched_while_the_guest_has_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
