// SPDX-License-Identifier: GPL-2.0-only
/* Names of services, and the option --ic: opt_ic.h. */
#include "vmm/opt_ic.h"

#include <stdio.h>
#include <string.h>

#include "lib/util.h"
#include "vmbus-core/icmsg.h"
#include "vmm/opt.h"

static const char *const service_names[] = {
	[SERVICE_HEARTBEAT] = "heartbeat",
	[SERVICE_SHUTDOWN] = "shutdown",
	[SERVICE_TIMESYNC] = "timesync",
	[SERVICE_KVP] = "kvp",
	[SERVICE_VSS] = "vss",
	[SERVICE_FCOPY] = "fcopy",
	[SERVICE_MEMORY] = "memory",
	[SERVICE_VSOCK] = "vsock",
};
static_assert(ARRAY_SIZE(service_names) == SERVICES, "one name a service");

const char *service_name(enum vm_service which)
{
	return service_names[which];
}

enum vm_service service_find(const char *name, size_t len)
{
	unsigned int i;

	for (i = 1; i < SERVICES; i++) {
		if (strlen(service_names[i]) == len && !strncmp(service_names[i], name, len))
			return (enum vm_service)i;
	}
	return (enum vm_service)0;
}

/* "3.2" */
static bool parse_version(const char *s, u32 *version)
{
	char major[8] = "", *dot;
	u32 a, b;

	snprintf(major, sizeof(major), "%s", s);
	dot = strchr(major, '.');
	if (!dot || strlen(s) >= sizeof(major))
		return false;
	*dot = 0;
	if (!opt_u32(major, 1, 999, &a) || !opt_u32(dot + 1, 0, 999, &b))
		return false;
	*version = KVMB_IC_VERSION(a, b);
	return true;
}

int opt_ic(const char *s, enum vm_service *which, struct service_config *wish, char *why,
	   size_t size)
{
	size_t len = strcspn(s, "=");
	const char *value = s + len + (s[len] == '=');
	size_t word = strcspn(value, ",");
	const char *more = value + word;

	*wish = (struct service_config){ 0 };
	*which = service_find(s, len);
	if (!*which) {
		snprintf(why, size,
			 "unknown; there are heartbeat, shutdown, timesync, kvp, vss, fcopy, "
			 "memory and vsock");
		return -EINVAL;
	}
	wish->off = word == 3 && !strncmp(value, "off", word);
	if (!wish->off && (word != 2 || strncmp(value, "on", word)))
		value = NULL;
	if (value && *more && (strncmp(more, ",max=", 5) || !parse_version(more + 5, &wish->max)))
		value = NULL;
	if (value)
		return 0;
	snprintf(why, size, "write %s=on, %s=off or, for example, %s=on,max=3.0",
		 service_name(*which), service_name(*which), service_name(*which));
	return -EINVAL;
}
