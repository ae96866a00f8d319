// SPDX-License-Identifier: GPL-2.0-only
/* Prints a VM's answers for people. */
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "lib/util.h"

/* ---- text of a VM ---- */

static json_t *plain_string(const char *s)
{
	char *plain = cli_plain(s);
	json_t *o = plain ? json_string(plain) : json_null();

	free(plain);
	return o;
}

/* The same without control characters, also in the names of its members. */
static json_t *plain(json_t *o)
{
	json_t *copy, *v;
	const char *key;
	char *name;
	size_t i;

	if (json_is_string(o))
		return plain_string(json_string_value(o));
	if (json_is_array(o)) {
		copy = json_array();
		json_array_foreach(o, i, v)
			json_array_append_new(copy, plain(v));
		return copy;
	}
	if (!json_is_object(o))
		return json_incref(o);
	copy = json_object();
	json_object_foreach(o, key, v) {
		name = cli_plain(key);
		json_object_set_new(copy, name ? name : "", plain(v));
		free(name);
	}
	return copy;
}

void client_show(json_t *o, bool as_json, void (*print)(json_t *o))
{
	json_t *copy;

	if (as_json) { /* ASCII: jansson lets some of what moves a terminal through */
		json_dumpf(o, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		putchar('\n');
	} else if (print) {
		copy = plain(o);
		print(copy);
		json_decref(copy);
	}
}

const char *client_size(long long bytes, char *buf, size_t size)
{
	if (bytes & ((1 << 20) - 1))
		snprintf(buf, size, "%lld bytes", bytes);
	else if (bytes >= 10ll << 30 && !(bytes & ((1 << 30) - 1)))
		snprintf(buf, size, "%lld GiB", bytes >> 30);
	else
		snprintf(buf, size, "%lld MiB", bytes >> 20);
	return buf;
}

static const char *str(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "-";
}

static long long num(json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

/* ---- list, info, disks, NICs ---- */

static json_t *kvp_of(json_t *info)
{
	return json_object_get(json_object_get(info, "integration"), "kvp");
}

static const char *first_address(json_t *info)
{
	json_t *a = json_array_get(json_object_get(kvp_of(info), "addresses"), 0);

	return json_string_value(a) ?: "-";
}

void client_print_list(json_t *all)
{
	json_t *info, *hb;
	int width = 8;
	size_t i;

	json_array_foreach(all, i, info)
		width = KVMB_MAX(width, (int)strlen(str(info, "name")));
	printf("%-*s %-10s %8s %5s %8s  %-5s %-18s %s\n", width, "NAME", "STATE", "PID", "CPUS",
	       "MEMORY", "VMBUS", "HEARTBEAT", "ADDRESS");
	json_array_foreach(all, i, info) {
		hb = json_object_get(json_object_get(info, "integration"), "heartbeat");
		if (!json_object_get(info, "pid")) { /* it is busy: nothing else is known */
			printf("%-*s %-10s %8s %5s %8s  %-5s %-18s %s\n", width, str(info, "name"),
			       str(info, "state"), "-", "-", "-", "-", "-", "-");
			continue;
		}
		printf("%-*s %-10s %8lld %5lld %7lldM  %-5s %-18s %s\n", width, str(info, "name"),
		       str(info, "state"), num(info, "pid"), num(info, "cpus"),
		       num(info, "memory") >> 20, str(json_object_get(info, "vmbus"), "version"),
		       str(hb, "status"), first_address(info));
	}
}

static void print_disk(const char *prefix, json_t *x)
{
	char size[32];

	printf("%s%lld:%lld %s", prefix, num(x, "controller"), num(x, "lun"),
	       json_is_string(json_object_get(x, "path")) ? str(x, "path") : "(empty)");
	if (num(x, "size"))
		printf(", %s, %s", str(x, "format"),
		       client_size(num(x, "size"), size, sizeof(size)));
	printf("%s%s%s", !strcmp(str(x, "type"), "dvd") ? ", DVD" : "",
	       json_is_true(json_object_get(x, "read_only")) && strcmp(str(x, "type"), "dvd") ?
		       ", read-only" :
		       "",
	       json_is_true(json_object_get(x, "locked")) ? ", locked by the guest" : "");
	if (json_object_get(x, "via"))
		printf(", IDE%s", strcmp(str(x, "via"), "ide") ? " and now VMBus" : "");
	if (json_object_get(x, "cache") && strcmp(str(x, "cache"), "writeback"))
		printf(", cache %s", str(x, "cache"));
	if (num(x, "iops"))
		printf(", at most %lld/s", num(x, "iops"));
	if (num(x, "bps"))
		printf(", at most %lld bytes/s", num(x, "bps"));
	if (!strcmp(str(x, "io"), "threads"))
		printf(", without io_uring");
	if (json_object_get(x, "health") && strcmp(str(x, "health"), "ok"))
		printf(", %s", str(x, "health"));
	putchar('\n');
}

/* What a guest sees of a NIC that is more than a synthetic one, and which of the two has it now. */
static void print_model(json_t *x)
{
	if (!strcmp(str(x, "model"), "legacy"))
		printf(", legacy NIC");
	else if (!strcmp(str(x, "model"), "auto"))
		printf(", now %s", strcmp(str(x, "via"), "legacy") ? "VMBus" : "legacy NIC");
}

static void print_nic(const char *prefix, json_t *x)
{
	printf("%snet%lld %s, %s%s%s, %s, MTU %lld", prefix, num(x, "index"), str(x, "mac"),
	       str(x, "kind"), *str(x, "interface") ? " " : "", str(x, "interface"), str(x, "link"),
	       num(x, "guest_mtu") ? num(x, "guest_mtu") : num(x, "mtu"));
	print_model(x);
	if (num(x, "queues") > 1)
		printf(", %lld of %lld queues", num(x, "open_queues"), num(x, "queues"));
	if (num(x, "vlan"))
		printf(", VLAN %lld", num(x, "vlan"));
	if (num(x, "rate"))
		printf(", at most %lld bytes/s", num(x, "rate"));
	if (json_is_true(json_object_get(x, "mac_spoof")))
		printf(", any address");
	if (num(x, "restarts"))
		printf(", restarted %lld times", num(x, "restarts"));
	if (json_is_string(json_object_get(x, "problem")))
		printf(", %s", str(x, "problem"));
	putchar('\n');
}

/* The last crash that the guest reported: its numbers mean what the guest's system says. */
static void print_crash(json_t *crash)
{
	json_t *p;
	size_t i;

	if (!json_is_object(crash))
		return;
	printf("Crashed:     %s, in boot %lld:", str(crash, "time"), num(crash, "boot"));
	json_array_foreach(json_object_get(crash, "parameters"), i, p)
		/* nothing else of it reaches the terminal */
		printf(" 0x%llx", strtoull(json_string_value(p) ?: "", NULL, 16));
	putchar('\n');
}

static void print_list(const char *before, json_t *list)
{
	json_t *word;
	size_t i;

	json_array_foreach(list, i, word)
		printf("%s %s", i ? "," : before, json_string_value(word) ?: "");
}

/* What the guest says of itself; nobody has verified it. */
static void print_guest(json_t *kvp)
{
	json_t *addresses = json_object_get(kvp, "addresses");

	if (json_is_string(json_object_get(kvp, "os")))
		printf("Guest:       %s, %s %s, kernel %s\n", str(kvp, "fqdn"), str(kvp, "os"),
		       str(kvp, "os_version"), str(kvp, "kernel"));
	if (json_array_size(addresses)) {
		print_list("Addresses:  ", addresses);
		putchar('\n');
	}
}

static void print_sandbox(json_t *sandbox)
{
	printf("Sandbox:     %s, user %lld", str(sandbox, "mode"), num(sandbox, "uid"));
	print_list("; this host lacks", json_object_get(sandbox, "lacks"));
	print_list("; storage daemons are without", json_object_get(sandbox, "daemons_lack"));
	putchar('\n');
}

/* Of a VM whose memory is in two places. */
static void print_rest(json_t *o)
{
	json_t *here = json_object_get(o, "memory_comes");
	long long there = num(json_object_get(o, "migration"), "later");

	if (json_is_object(here))
		printf("Memory:      %lld MiB have not come, %s\n", num(here, "left") >> 20,
		       str(here, "state"));
	if (there)
		printf("Memory:      %lld MiB are needed where it runs\n", there >> 20);
}

static void print_demand(json_t *o)
{
	if (json_is_integer(json_object_get(o, "demand")))
		printf(", wants %lld MiB (pressure %lld %%)", num(o, "demand") >> 20,
		       num(o, "pressure"));
	putchar('\n');
}

static void print_dynamic(json_t *o)
{
	if (!json_is_object(o))
		return;
	printf("Dynamic:     %lld MiB of %lld to %lld MiB, %s", num(o, "assigned") >> 20,
	       num(o, "min") >> 20, num(o, "max") >> 20, str(o, "state"));
	print_demand(o);
}

void client_print_memory(json_t *o)
{
	printf("State:       %s", str(o, "state"));
	if (json_is_string(json_object_get(o, "version")))
		printf(", version %s", str(o, "version"));
	printf("\nTarget:      %lld MiB, between %lld and %lld MiB\n", num(o, "target") >> 20,
	       num(o, "min") >> 20, num(o, "max") >> 20);
	printf("Assigned:    %lld MiB: began with %lld, added %lld, given away %lld\n",
	       num(o, "assigned") >> 20, num(o, "startup") >> 20, num(o, "added") >> 20,
	       num(o, "ballooned") >> 20);
	if (json_is_integer(json_object_get(o, "resident")))
		printf("On the host: %lld MiB\n", num(o, "resident") >> 20);
	if (!json_is_integer(json_object_get(o, "demand")))
		return;
	printf("Guest:       %lld MiB available", num(o, "available") >> 20);
	print_demand(o);
}

/* Whose picture is shown, and where keys and movements go. */
static void print_screen(json_t *screen)
{
	if (json_is_object(screen))
		printf("Screen:      %s, keyboard %s, pointer %s, %lld viewers\n",
		       str(screen, "source"), str(screen, "keyboard"), str(screen, "pointer"),
		       num(screen, "viewers"));
}

static void print_sockets(json_t *vsock)
{
	json_t *x;
	size_t i;

	if (json_is_object(vsock))
		printf("Sockets:     %s\n", str(vsock, "path"));
	json_array_foreach(json_object_get(vsock, "connections"), i, x)
		printf("Socket:      port %lld, from %s, %s, %lld bytes in, %lld out\n",
		       num(x, "port"), str(x, "from"), str(x, "state"), num(x, "to_guest"),
		       num(x, "to_host"));
}

void client_print_info(json_t *o)
{
	json_t *v = json_object_get(o, "vmbus"), *ics = json_object_get(o, "integration"), *x;
	const char *key;
	size_t i;

	printf("Name:        %s\nState:       %s\nProcess:     %lld\nCPUs:        %lld (%s)\n"
	       "Memory:      %lld MiB\nUptime:      %lld s, boot %lld\nVMBus:       %s, "
	       "version %s (at most %s)\n",
	       str(o, "name"), str(o, "state"), num(o, "pid"), num(o, "cpus"), str(o, "cpu_model"),
	       num(o, "memory") >> 20, num(o, "uptime_ms") / 1000, num(o, "boots"), str(v, "state"),
	       str(v, "version"), str(v, "max_version"));
	if (json_is_string(json_object_get(o, "stop_reason")))
		printf("Stopped by:  %s\n", str(o, "stop_reason"));
	print_dynamic(json_object_get(o, "dynamic_memory"));
	print_rest(o);
	print_crash(json_object_get(o, "crash"));
	print_guest(kvp_of(o));
	print_sandbox(json_object_get(o, "sandbox"));
	print_screen(json_object_get(o, "screen"));
	print_sockets(json_object_get(o, "vsock"));
	json_object_foreach(ics, key, x) {
		printf("Service:     %-10s %s", key,
		       json_is_true(json_object_get(x, "enabled")) ? str(x, "state") : "off");
		if (json_is_string(json_object_get(x, "version")))
			printf(", version %s", str(x, "version"));
		if (json_object_get(x, "status"))
			printf(", %s, %lld beats", str(x, "status"), num(x, "beats"));
		putchar('\n');
	}
	json_array_foreach(json_object_get(o, "disks"), i, x)
		print_disk("Disk:        ", x);
	json_array_foreach(json_object_get(o, "nics"), i, x)
		print_nic("NIC:         ", x);
	json_array_foreach(json_object_get(o, "channels"), i, x)
		printf("Channel:     %-3lld %-10s.%lld %-8s VP %lld  %s\n", num(x, "relid"),
		       str(x, "name"), num(x, "index"), str(x, "state"), num(x, "target_vp"),
		       str(x, "instance"));
}

void client_print_disks(json_t *all)
{
	json_t *x;
	size_t i;

	json_array_foreach(all, i, x)
		print_disk("", x);
}

void client_print_nics(json_t *all)
{
	json_t *x;
	size_t i;

	json_array_foreach(all, i, x)
		print_nic("", x);
}

void client_print_done(json_t *o, bool as_json, const char *done)
{
	if (as_json)
		client_show(o, true, NULL);
	else if (json_object_get(o, "lun"))
		printf("disk %lld:%lld %s\n", num(o, "controller"), num(o, "lun"), done);
	else
		printf("net%lld %s\n", num(o, "index"), done);
}

/* ---- stats ---- */

static void print_drops(json_t *drops)
{
	const char *key;
	json_t *v;

	json_object_foreach(drops, key, v) {
		if (json_integer_value(v))
			printf(" dropped_%s %lld", key, (long long)json_integer_value(v));
	}
}

static void print_row(const char *title, json_t *o)
{
	const char *key;
	json_t *v;

	printf("%-14s", title);
	json_object_foreach(o, key, v) {
		if (json_is_integer(v) && strcmp(key, "index") && strcmp(key, "lun") &&
		    strcmp(key, "controller"))
			printf(" %s %lld", key, (long long)json_integer_value(v));
		else if (json_is_object(v) && num(v, "max_us"))
			printf(" %s p50 %lld p99 %lld max %lld us", key, num(v, "p50_us"),
			       num(v, "p99_us"), num(v, "max_us"));
		else if (!strcmp(key, "drops"))
			print_drops(v);
	}
	putchar('\n');
}

static void print_queues(json_t *nic)
{
	json_t *queues = json_object_get(nic, "queues"), *q;
	char title[32];
	size_t i;

	if (json_object_get(nic, "legacy")) {
		snprintf(title, sizeof(title), "legacy%lld", num(nic, "index"));
		print_row(title, json_object_get(nic, "legacy"));
	}

	json_array_foreach(queues, i, q) {
		if (!json_is_true(json_object_get(q, "open")) || json_array_size(queues) < 2)
			continue;
		snprintf(title, sizeof(title), "net%lld q%zu", num(nic, "index"), i);
		print_row(title, q);
	}
}

void client_print_stats(json_t *o)
{
	static const struct {
		const char *list, *title;
	} rows[] = {
		{ "vcpus", "vcpu" }, { "channels", "" }, { "controllers", "scsi" },
		{ "disks", "disk" }, { "nics", "net" },
	};
	char title[32];
	size_t r, i;
	json_t *x;

	print_row("kvm", json_object_get(o, "kvm"));
	print_row("bus", json_object_get(o, "bus"));
	for (r = 0; r < ARRAY_SIZE(rows); r++) {
		json_array_foreach(json_object_get(o, rows[r].list), i, x) {
			if (json_object_get(x, "name"))
				snprintf(title, sizeof(title), "%.16s.%lld", str(x, "name"),
					 num(x, "index"));
			else if (json_object_get(x, "lun"))
				snprintf(title, sizeof(title), "disk%lld:%lld",
					 num(x, "controller"), num(x, "lun"));
			else
				snprintf(title, sizeof(title), "%s%lld", rows[r].title,
					 json_object_get(x, "index") ? num(x, "index") :
								       (long long)i);
			print_row(title, x);
			print_queues(x);
		}
	}
}
