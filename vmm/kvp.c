// SPDX-License-Identifier: GPL-2.0-only
/* Data exchange with the guest: kvp.h. */
#include "vmm/kvp.h"

#include <arpa/inet.h>
#include <ctype.h>

#include "host-vsp/net/net.h"
#include "lib/util.h"
#include "vmm/nics.h"
#include "vmm/services.h"

#define OLD_MS 10000u /* what was read before that is read again if somebody asks */

struct kvp_asked { /* a command that waits for the guest */
	struct vm *vm;
	struct ctl_reply reply;
	bool set; /* of addresses: else they are asked for */
};

static struct kvp_asked *new_asked(struct vm *vm, struct ctl_reply reply, bool set)
{
	struct kvp_asked *a = kvmb_xzalloc(sizeof(*a));

	*a = (struct kvp_asked){ vm, reply, set };
	return a;
}

/* Answers if it failed, or the guest has refused. Return: false then. */
static bool went_well(struct ctl_reply to, const struct kvmb_kvp_result *r)
{
	const char *text = kvmb_ic_status_text(r->status);

	switch (r->err) {
	case 0:
		if (r->status == KVMB_IC_STATUS_OK)
			return true;
		reply_refused(to, "failed", "the guest answered 0x%08x%s%s", r->status,
			      text ? ": " : "", text ? text : "");
		return false;
	case -ENOTCONN:
		reply_refused(to, "failed",
			      "the guest has no data exchange service now (for Linux: "
			      "hyperv-daemons)");
		return false;
	case -ETIMEDOUT:
		reply_refused(to, "timeout", "the guest did not answer in time");
		return false;
	case -EOPNOTSUPP:
		reply_refused(to, "failed", "the guest's service is too old for this");
		return false;
	case -EINVAL:
		reply_refused(to, "usage", "too many addresses, or one that is none");
		return false;
	}
	reply_refused(to, "failed", "the guest's answer makes no sense");
	return false;
}

/* ---- items ---- */

static const char *const pool_names[KVMB_KVP_POOLS] = { "external", "guest", "auto",
							"auto-external", "auto-internal" };

static json_t *item_json(const struct kvmb_kvp_item *i)
{
	return json_pack("{s:s, s:s, s:s, s:b}", "pool", pool_names[i->pool], "key", i->key,
			 "value", i->value, "owed", i->owed);
}

static bool is_read(const struct kvmb_kvp *k, const char *key)
{
	return kvmb_kvp_value(k, KVMB_KVP_EXTERNAL, key);
}

static json_t *items_json(const struct kvmb_kvp *k)
{
	const struct kvmb_kvp_item *i;
	json_t *a = json_array();

	for (i = k->read; i; i = i->next)
		json_array_append_new(a, item_json(i));
	for (i = k->wanted; i; i = i->next) {
		if (i->owed && !is_read(k, i->key)) /* the guest gets it later */
			json_array_append_new(a, item_json(i));
	}
	return a;
}

static void listed(void *arg, const struct kvmb_kvp_result *r)
{
	struct kvp_asked *a = arg;

	if (went_well(a->reply, r))
		reply_result(a->reply, json_pack("{s:o}", "items", items_json(&a->vm->kvp)));
	free(a);
}

static const char *is_off(const struct vm *vm)
{
	return services_on(vm, SERVICE_KVP) ? NULL : "the VM's service kvp is off";
}

static const char *stands(const struct vm *vm)
{
	return vm->state == VM_RUNNING ? is_off(vm) : "the VM is not running";
}

void kvp_list(struct vm *vm, struct ctl_reply reply)
{
	if (stands(vm))
		reply_refused(reply, "state", "%s", stands(vm));
	else
		kvmb_kvp_read(&vm->kvp, listed, new_asked(vm, reply, false));
}

static void was_set(void *arg, const struct kvmb_kvp_result *r)
{
	struct kvp_asked *a = arg;

	if (r->err == -ENOTCONN)
		reply_result(a->reply, json_pack("{s:b}", "owed", true));
	else if (went_well(a->reply, r))
		reply_result(a->reply, json_pack("{s:b}", "owed", false));
	free(a);
}

void kvp_set(struct vm *vm, const char *key, const char *value, struct ctl_reply reply)
{
	const char *off = is_off(vm), *why = kvmb_kvp_check(key, value);
	struct kvp_asked *a;

	if (off)
		reply_refused(reply, "state", "%s", off);
	else if (why)
		reply_refused(reply, "usage", "%s", why);
	if (off || why)
		return;
	a = new_asked(vm, reply, true);
	if (!kvmb_kvp_set(&vm->kvp, key, value, was_set, a))
		return;
	free(a);
	reply_refused(reply, "failed", "there are %u items already", KVMB_KVP_MAX_WANTED);
}

static void was_deleted(void *arg, const struct kvmb_kvp_result *r)
{
	struct kvp_asked *a = arg;

	if (r->err == -ENOTCONN)
		reply_refused(a->reply, "failed",
			      "forgotten here, but the guest has no data exchange service now, and "
			      "may have it still");
	else if (went_well(a->reply, r))
		reply_result(a->reply, json_object());
	free(a);
}

void kvp_delete(struct vm *vm, const char *key, struct ctl_reply reply)
{
	const char *why = kvmb_kvp_check(key, NULL);

	if (why)
		reply_refused(reply, "usage", "%s", why);
	else
		kvmb_kvp_delete(&vm->kvp, key, was_deleted, new_asked(vm, reply, false));
}

/* ---- addresses ---- */

/* Append those of @list that are addresses, as the library writes them. */
static void add_addresses(json_t *a, const char *list, int family)
{
	char word[64], bytes[16];
	size_t n;

	for (; list && *list; list += n + (list[n] == ';')) {
		n = strcspn(list, ";");
		snprintf(word, sizeof(word), "%.*s", (int)KVMB_MIN(n, sizeof(word) - 1), list);
		if (inet_pton(family, word, bytes) == 1 &&
		    inet_ntop(family, bytes, word, sizeof(word)))
			json_array_append_new(a, json_string(word));
	}
}

/* Lists of both families, and of what belongs to an address, in the order of the guest. */
static json_t *words_json(const char *list)
{
	json_t *a = json_array();
	size_t n;

	for (; *list; list += n + (list[n] == ';')) {
		n = strcspn(list, ";");
		if (n)
			json_array_append_new(a, json_stringn(list, n));
	}
	return a;
}

static json_t *ip_json(const struct kvmb_kvp_ip *ip)
{
	return json_pack("{s:b, s:o, s:o, s:o, s:o}", "dhcp", ip->dhcp, "addresses",
			 words_json(ip->addresses), "subnets", words_json(ip->subnets), "gateways",
			 words_json(ip->gateways), "dns", words_json(ip->dns));
}

static void got_ip(void *arg, const struct kvmb_kvp_result *r)
{
	struct kvp_asked *a = arg;

	if (went_well(a->reply, r))
		reply_result(a->reply, a->set ? json_object() : ip_json(r->ip));
	free(a);
}

/* "10.0.0.2/24": the address, and its subnet as the guest wants it. Return: false: it is none. */
static bool add_address(struct kvmb_kvp_ip *ip, const char *s)
{
	char word[64], mask[64], bytes[16];
	const char *slash = strchr(s, '/');
	size_t n = slash ? (size_t)(slash - s) : strlen(s), at, sub;
	unsigned long len;
	char *end;
	bool v4;

	snprintf(word, sizeof(word), "%.*s", (int)KVMB_MIN(n, sizeof(word) - 1), s);
	v4 = inet_pton(AF_INET, word, bytes) == 1;
	if (!v4 && inet_pton(AF_INET6, word, bytes) != 1)
		return false;
	len = slash && isdigit((unsigned char)slash[1]) ? strtoul(slash + 1, &end, 10) : ~0ul;
	if (len > (v4 ? 32 : 128) || *end)
		return false;
	if (v4) {
		const struct in_addr m = { len ? htonl(~0u << (32 - len)) : 0 };

		inet_ntop(AF_INET, &m, mask, sizeof(mask));
	} else {
		snprintf(mask, sizeof(mask), "/%lu", len);
	}
	at = strlen(ip->addresses);
	sub = strlen(ip->subnets);
	snprintf(ip->addresses + at, sizeof(ip->addresses) - at, "%s%s", at ? ";" : "", word);
	snprintf(ip->subnets + sub, sizeof(ip->subnets) - sub, "%s%s", sub ? ";" : "", mask);
	ip->family |= v4 ? KVMB_KVP_IPV4 : KVMB_KVP_IPV6;
	return true;
}

/* An array of plain addresses to a list. Return: false: one is none. */
static bool put_list(json_t *a, char *list, size_t size)
{
	json_t *s, *good = json_array();
	size_t i, n = 0;
	bool all;

	json_array_foreach(a, i, s)
	{
		add_addresses(good, json_string_value(s), AF_INET);
		add_addresses(good, json_string_value(s), AF_INET6);
	}
	all = json_array_size(good) == json_array_size(a);
	json_array_foreach(good, i, s)
	{
		if (n < size)
			n += (size_t)snprintf(list + n, size - n, "%s%s", i ? ";" : "",
					      json_string_value(s));
	}
	json_decref(good);
	return all &&
	       n < size / 3; /* each character is a unit on the wire, and has a limit there */
}

/* Return: NULL; else what is wrong, one phrase. */
static const char *take_ip(json_t *args, struct kvmb_kvp_ip *ip)
{
	json_t *s, *addresses = json_object_get(args, "addresses");
	size_t i;

	ip->dhcp = json_is_true(json_object_get(args, "dhcp"));
	if (json_array_size(addresses) > KVMB_KVP_MAX_ADDRESSES / 4)
		return "too many addresses";
	json_array_foreach(addresses, i, s)
	{
		if (!json_is_string(s) || !add_address(ip, json_string_value(s)))
			return "an address is written as 192.0.2.5/24 or 2001:db8::5/64";
	}
	if (ip->dhcp && *ip->addresses)
		return "either DHCP or an address";
	if (!put_list(json_object_get(args, "gateways"), ip->gateways, sizeof(ip->gateways) / 2) ||
	    !put_list(json_object_get(args, "dns"), ip->dns, sizeof(ip->dns)))
		return "a gateway, or a DNS server, is no address";
	if (ip->dhcp)
		ip->family = KVMB_KVP_IPV4;
	return NULL;
}

/* Linux looks for a NIC by its address to tell, and by the instance of its device to set. */
static void name_adapter(struct kvmb_net *net, bool set, struct kvmb_kvp_ip *ip)
{
	struct kvmb_net_info i;
	const u8 *b;

	kvmb_net_get_info(net, &i);
	b = i.instance.b;
	if (set)
		snprintf(ip->adapter, sizeof(ip->adapter),
			 "{%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x}",
			 b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11],
			 b[12], b[13], b[14], b[15]);
	else
		snprintf(ip->adapter, sizeof(ip->adapter), "%02X:%02X:%02X:%02X:%02X:%02X",
			 i.mac[0], i.mac[1], i.mac[2], i.mac[3], i.mac[4], i.mac[5]);
}

void kvp_ip(struct vm *vm, json_t *args, struct ctl_reply reply)
{
	const char *nic = json_string_value(json_object_get(args, "nic"));
	struct kvmb_kvp_ip *ip = kvmb_xzalloc(sizeof(*ip));
	struct kvmb_net *net = NULL;
	const char *why = stands(vm);
	bool set;

	if (why) {
		reply_refused(reply, "state", "%s", why);
		goto out;
	}
	why = take_ip(args, ip);
	if (why) {
		reply_refused(reply, "usage", "%s", why);
		goto out;
	}
	net = nics_named(vm, nic ? nic : "net0", reply);
	if (!net)
		goto out;
	set = ip->dhcp || *ip->addresses;
	name_adapter(net, set, ip);
	if (set)
		kvmb_kvp_set_ip(&vm->kvp, ip, got_ip, new_asked(vm, reply, true));
	else
		kvmb_kvp_get_ip(&vm->kvp, ip, got_ip, new_asked(vm, reply, false));
out:
	free(ip);
}

/* ---- info ---- */

static void add_text(json_t *o, const char *name, const struct kvmb_kvp *k, const char *key)
{
	const char *v = kvmb_kvp_value(k, KVMB_KVP_AUTO, key);

	json_object_set_new(o, name, v && *v ? json_string(v) : json_null());
}

/* Old news are read again. */
static void describe_kvp(struct vm *vm, json_t *o)
{
	const struct kvmb_kvp *k = &vm->kvp;
	u64 age = k->read_ms ? kvmb_now_ms() - k->read_ms : 0;
	json_t *a = json_array();

	if (vm->state == VM_RUNNING && k->ic.state == KVMB_IC_READY && !kvmb_kvp_busy(k) &&
	    (!k->read_ms || age > OLD_MS))
		kvmb_kvp_read(&vm->kvp, NULL, NULL);
	add_addresses(a, kvmb_kvp_value(k, KVMB_KVP_AUTO, "NetworkAddressIPv4"), AF_INET);
	add_addresses(a, kvmb_kvp_value(k, KVMB_KVP_AUTO, "NetworkAddressIPv6"), AF_INET6);
	json_object_set_new(o, "addresses", a);
	add_text(o, "fqdn", k, "FullyQualifiedDomainName");
	add_text(o, "os", k, "OSName");
	add_text(o, "os_version", k, "OSMajorVersion");
	add_text(o, "kernel", k, "OSBuildNumber");
	json_object_set_new(o, "age_ms", k->read_ms ? json_integer((json_int_t)age) : json_null());
}

/* ---- life ---- */

int kvp_create(struct vm *vm)
{
	static const struct service_hooks hooks = { .describe = describe_kvp };

	kvmb_kvp_init(&vm->kvp, vm->loop);
	return services_add(vm, SERVICE_KVP, &vm->kvp.ic, &hooks);
}

void kvp_destroy(struct vm *vm)
{
	if (vm->kvp.ic.ops)
		kvmb_kvp_fini(&vm->kvp);
}
