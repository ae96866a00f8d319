// SPDX-License-Identifier: GPL-2.0-only
/*
 * lsvmbus: the devices of the VMBus, under our driver or the in-tree one.
 *
 * Reads sysfs by libudev, so it works in a guest of any Hyper-V-compatible host. --monitor goes on
 * telling what comes and goes; each line is written at once, for scripts.
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <libudev.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *class_id;
	const char *name;
} classes[] = { /* Linux 6.12 include/linux/hyperv.h */
	{ "f8615163-df3e-46c5-913f-f2d2f965ed0e", "Synthetic network adapter" },
	{ "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f", "Synthetic SCSI controller" },
	{ "32412632-86cb-44a2-9b5c-50d1417354f5", "Synthetic IDE controller" },
	{ "2f9bcc4a-0069-4af3-b76b-6fd0be528cda", "Synthetic fiber channel adapter" },
	{ "57164f39-9115-4e78-ab55-382f3bd5422d", "Heartbeat" },
	{ "0e0b6031-5213-4934-818b-38d90ced39db", "Operating system shutdown" },
	{ "9527e630-d0ae-497b-adce-e80ab0175caf", "Time synchronization" },
	{ "a9a0f4e7-5a45-4d96-b827-8a841e8c03e6", "Data exchange (KVP)" },
	{ "35fa2e29-ea23-4236-96ae-3a6ebacba440", "Backup (volume snapshot)" },
	{ "34d14be3-dee4-41c8-9ae7-6b174977c192", "Guest services (file copy)" },
	{ "525074dc-8985-46e2-8057-a307dc18a502", "Dynamic memory" },
	{ "da0a7802-e377-4aac-8e77-0558eb1073f8", "Synthetic video" },
	{ "f912ad6d-2b17-48ea-bd65-f927a61c7684", "Synthetic keyboard" },
	{ "cfa8b69e-5b4a-4cc0-b98b-8ba1a1f3f95a", "Synthetic mouse" },
	{ "44c4f61d-4444-4400-9d52-802e27ede19f", "PCI Express pass-through" },
};

static const char *const buses[] = { "kvmbus", "vmbus" };

/* "{GUID}" or "GUID" without its braces */
static const char *guid(struct udev_device *d, const char *attr, char buf[37])
{
	const char *s = udev_device_get_sysattr_value(d, attr);

	snprintf(buf, 37, "%s", s ? s + (*s == '{') : "?");
	return buf;
}

static const char *class_name(const char *id)
{
	size_t i;

	for (i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		if (!strcasecmp(classes[i].class_id, id))
			return classes[i].name;
	}
	return "Unknown device";
}

static json_t *describe(struct udev_device *d, const char *action)
{
	const char *num = udev_device_get_sysattr_value(d, "id");
	const char *driver = udev_device_get_driver(d);
	const char *map = udev_device_get_sysattr_value(d, "channel_vp_mapping");
	char class_id[37], device_id[37];
	json_t *o = json_object(), *chans = json_array();
	char *copy = strdup(map ? map : ""), *line, *save = NULL;

	guid(d, "class_id", class_id);
	guid(d, "device_id", device_id);
	if (action)
		json_object_set_new(o, "action", json_string(action));
	json_object_set_new(o, "bus", json_string(udev_device_get_subsystem(d)));
	json_object_set_new(o, "device",
			    json_string(strcmp(device_id, "?") ? device_id :
								 udev_device_get_sysname(d)));
	json_object_set_new(o, "class", json_string(class_id));
	json_object_set_new(o, "name", json_string(class_name(class_id)));
	json_object_set_new(o, "channel", json_integer(num ? atoi(num) : 0));
	json_object_set_new(o, "driver", driver ? json_string(driver) : json_null());
	for (line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		unsigned int relid, cpu;

		if (sscanf(line, "%u:%u", &relid, &cpu) == 2)
			json_array_append_new(chans,
					      json_pack("{s:i,s:i}", "channel", relid, "cpu", cpu));
	}
	json_object_set_new(o, "channels", chans);
	free(copy);
	return o;
}

static void print_text(const json_t *o)
{
	const char *action = json_string_value(json_object_get(o, "action"));
	const json_t *driver = json_object_get(o, "driver");

	if (action)
		printf("%-7s", action);
	printf("%-4d %-36s %-28s driver %-12s channels %zu\n",
	       (int)json_integer_value(json_object_get(o, "channel")),
	       json_string_value(json_object_get(o, "device")),
	       json_string_value(json_object_get(o, "name")),
	       json_is_string(driver) ? json_string_value(driver) : "none",
	       json_array_size(json_object_get(o, "channels")));
}

static void print_one(json_t *o, bool json)
{
	if (json) {
		json_dumpf(o, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		print_text(o);
	}
	fflush(stdout);
	json_decref(o);
}

static int by_channel(const void *a, const void *b)
{
	json_int_t x = json_integer_value(json_object_get(*(json_t *const *)a, "channel"));
	json_int_t y = json_integer_value(json_object_get(*(json_t *const *)b, "channel"));

	return x < y ? -1 : x > y;
}

static int list(struct udev *udev, bool json)
{
	struct udev_enumerate *e = udev_enumerate_new(udev);
	struct udev_list_entry *entry;
	json_t *found[4096], *all;
	size_t num = 0, i;

	for (i = 0; i < sizeof(buses) / sizeof(buses[0]); i++)
		udev_enumerate_add_match_subsystem(e, buses[i]);
	udev_enumerate_scan_devices(e);
	udev_list_entry_foreach(entry, udev_enumerate_get_list_entry(e)) {
		struct udev_device *d =
			udev_device_new_from_syspath(udev, udev_list_entry_get_name(entry));

		if (d && num < sizeof(found) / sizeof(found[0]) &&
		    udev_device_get_sysattr_value(d, "class_id"))
			found[num++] = describe(d, NULL);
		udev_device_unref(d);
	}
	udev_enumerate_unref(e);
	qsort(found, num, sizeof(found[0]), by_channel);
	if (json) {
		all = json_array();
		for (i = 0; i < num; i++)
			json_array_append_new(all, found[i]);
		json_dumpf(all, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(all);
		return 0;
	}
	for (i = 0; i < num; i++)
		print_one(found[i], false);
	if (!num) {
		fprintf(stderr,
			"lsvmbus: no VMBus devices: this is no guest of Hyper-V or kvmbus, or "
			"no bus driver is loaded (modprobe kvmb_bus)\n");
		return 1;
	}
	return 0;
}

static int monitor(struct udev *udev, bool json)
{
	struct udev_monitor *m = udev_monitor_new_from_netlink(udev, "kernel");
	struct udev_device *d;
	struct pollfd p;
	size_t i;

	for (i = 0; m && i < sizeof(buses) / sizeof(buses[0]); i++)
		udev_monitor_filter_add_match_subsystem_devtype(m, buses[i], NULL);
	if (!m || udev_monitor_enable_receiving(m) < 0) {
		fprintf(stderr, "lsvmbus: cannot watch devices: %s\n", strerror(errno));
		return 1;
	}
	p = (struct pollfd){ .fd = udev_monitor_get_fd(m), .events = POLLIN };
	while (poll(&p, 1, -1) > 0) {
		d = udev_monitor_receive_device(m);
		if (d)
			print_one(describe(d, udev_device_get_action(d)), json);
		udev_device_unref(d);
	}
	return 1;
}

static void usage(FILE *f)
{
	fputs("usage: lsvmbus [--json] [--monitor]\n"
	      "List the devices of the VMBus: channel, instance, kind, driver, channels in all.\n"
	      "  --json     an array; with --monitor an object a line\n"
	      "  --monitor  go on telling what comes, changes and goes\n", f);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "monitor", no_argument, NULL, 'm' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool json = false, watch = false;
	struct udev *udev;
	int c, r;

	while ((c = getopt_long(argc, argv, "jmh", options, NULL)) != -1) {
		switch (c) {
		case 'j':
			json = true;
			break;
		case 'm':
			watch = true;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind < argc) {
		usage(stderr);
		return 2;
	}
	udev = udev_new();
	if (!udev) {
		fprintf(stderr, "lsvmbus: no udev: %s\n", strerror(errno));
		return 1;
	}
	r = watch ? monitor(udev, json) : list(udev, json);
	udev_unref(udev);
	return r;
}
