// SPDX-License-Identifier: GPL-2.0-only
/* Words of the command line. */
#include "vmm/opt.h"

#include <ctype.h>

#include "host-vsp/net/net.h"
#include "lib/util.h"

const char opt_disk_help[] =
	"options of --disk and --dvd, also of `kvmbus disk VM add`:\n"
	"  ro                   no writes\n"
	"  controller=N,lun=N   place, 0 to 3 and 0 to 63 (default: first free of controller 0)\n"
	"  format=F             raw, vhd, vhdx, qcow2, vmdk, vdi (default: by the name's ending, else raw)\n"
	"  backing=F            parent of an overlay image, then that one's parent, and so on\n"
	"  cache=C              writeback (default), none (direct I/O) or writethrough\n"
	"  on-error=E           stop (pause the VM), report (to the guest); default: stop when out of space\n"
	"  iops=N,bps=SIZE      limits a second\n"
	"  timeout=S            an image's or NBD server silent for S seconds is replaced (default 30)\n"
	"  serial=S             serial number, up to 20 characters\n"
	"  block=512|4096       size of a logical block\n";

const char opt_nic_help[] =
	"kinds of --nic, also of `kvmbus nic VM add`:\n"
	"  user                 through passt: no privileges needed, the guest has this host's addresses\n"
	"  tap=IF, macvtap=IF   an interface that is there; bridge=BR: a tap made for the VM on that bridge\n"
	"  none                 no cable\n"
	"options:\n"
	"  mac=M                address (default: 00:15:5d and the VM's name; a macvtap: its own)\n"
	"  queues=N             at most N queues (default: one a CPU, where the interface has several)\n"
	"  mtu=N                largest MTU that the guest may set, 68 to 9000 (default: the interface's; user: 1500)\n"
	"  vlan=N               access VLAN 1 to 4094: tagged outside, untagged in the guest\n"
	"  rate=SIZE            bytes a second, each way\n"
	"  mac-spoof=on|off     may the guest use other addresses than its own? (default off)\n"
	"  forward=[tcp:|udp:][ADDRESS/]PORT:GUEST_PORT   of user: a port of this host leads to the guest\n";

bool opt_u32(const char *s, u32 min, u32 max, u32 *out)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(s, &end, 10);
	if (!isdigit((unsigned char)*s) || *end || errno || v < min || v > max)
		return false;
	*out = (u32)v;
	return true;
}

bool opt_size(const char *s, u64 *out, const char **end)
{
	unsigned int shift = 0;
	char *p;
	u64 v;

	errno = 0;
	v = strtoull(s, &p, 10);
	if (!isdigit((unsigned char)*s) || errno)
		return false;
	switch (toupper((unsigned char)*p)) {
	case 'T':
		shift = 40;
		break;
	case 'G':
		shift = 30;
		break;
	case 'M':
		shift = 20;
		break;
	case 'K':
		shift = 10;
		break;
	}
	if (shift)
		p++;
	p += !strncasecmp(p, "iB", 2) ? 2 : !strncasecmp(p, "B", 1);
	if (v > ~0ull >> shift || (!end && *p))
		return false;
	*out = v << shift;
	if (end)
		*end = p;
	return true;
}

/* Next word of a comma-separated list; ",," is a comma in it. NULL at the end. */
static char *next_word(char **s)
{
	char *word = *s, *to = word, *from = word;

	if (!word)
		return NULL;
	*s = NULL;
	for (; *from; from++) {
		if (*from == ',' && from[1] == ',') {
			from++;
		} else if (*from == ',') {
			*s = from + 1;
			break;
		}
		*to++ = *from;
	}
	*to = 0;
	return word;
}

static bool one_of(const char *value, const char *const *names, size_t num, int *out)
{
	size_t i;

	for (i = 0; i < num; i++) {
		if (!strcmp(value, names[i])) {
			*out = (int)i;
			return true;
		}
	}
	return false;
}

static bool set_option(struct disk_config *dc, const char *key, const char *value)
{
	static const char *const caches[] = { "writeback", "none", "writethrough" };
	static const char *const errors[] = { "default", "stop", "report" };
	struct kvmb_disk_spec *d = &dc->spec;
	u32 v;
	int i;

	if (!strcmp(key, "ro") && !value) {
		d->read_only = true;
		return true;
	}
	if (!value || !*value)
		return false;
	if (!strcmp(key, "controller") && opt_u32(value, 0, KVMB_STORAGE_MAX_CONTROLLERS - 1, &v))
		dc->controller = (int)v;
	else if (!strcmp(key, "lun") && opt_u32(value, 0, KVMB_STORAGE_MAX_LUNS - 1, &v))
		dc->lun = (int)v;
	else if (!strcmp(key, "format") && kvmb_disk_format_known(value))
		d->format = value;
	else if (!strcmp(key, "backing") && d->num_backing < KVMB_DISK_MAX_BACKING)
		d->backing[d->num_backing++] = value;
	else if (!strcmp(key, "cache") && one_of(value, caches, ARRAY_SIZE(caches), &i))
		d->cache = (enum kvmb_disk_cache)i;
	else if (!strcmp(key, "on-error") && one_of(value, errors, ARRAY_SIZE(errors), &i))
		d->on_error = (enum kvmb_disk_on_error)i;
	else if (!strcmp(key, "iops"))
		return opt_size(value, &d->iops, NULL) && d->iops <= 1000000000;
	else if (!strcmp(key, "bps"))
		return opt_size(value, &d->bps, NULL);
	else if (!strcmp(key, "timeout"))
		return opt_u32(value, 1, 3600, &d->timeout_s);
	else if (!strcmp(key, "serial") && strlen(value) <= 20)
		d->serial = value;
	else if (!strcmp(key, "block") && opt_u32(value, 512, 4096, &v) && (v == 512 || v == 4096))
		d->block = v;
	else
		return false;
	return true;
}

int opt_disk(char *s, bool dvd, struct disk_config *dc, char *why, size_t size)
{
	char *word = next_word(&s), *value;

	*dc = (struct disk_config){ .controller = -1, .lun = -1, .spec.dvd = dvd };
	if (!word || !*word) {
		snprintf(why, size, "no file named");
		return -EINVAL;
	}
	if (!dvd || strcmp(word, "empty"))
		dc->spec.path = word;
	while ((word = next_word(&s))) {
		value = strchr(word, '=');
		if (value)
			*value++ = 0;
		if (!set_option(dc, word, value)) {
			snprintf(why, size, "bad option \"%.60s%s%.60s\"; see kvmbus run --help", word,
				 value ? "=" : "", value ? value : "");
			return -EINVAL;
		}
	}
	return 0;
}

/* ---- NICs ---- */

static bool parse_mac(const char *s, u8 *mac)
{
	unsigned int b[6];
	char tail;
	int i;

	if (strlen(s) != 17 || sscanf(s, "%2x:%2x:%2x:%2x:%2x:%2x%c", &b[0], &b[1], &b[2], &b[3], &b[4],
				      &b[5], &tail) != 6 || b[0] & 1)
		return false;
	for (i = 0; i < 6; i++)
		mac[i] = (u8)b[i];
	return true;
}

/* [tcp:|udp:][ADDRESS/]PORT:GUEST_PORT; the address is passt's to judge */
static bool forward_ok(const char *s)
{
	char port[8];
	const char *colon;
	u32 v;

	if (!strncmp(s, "tcp:", 4) || !strncmp(s, "udp:", 4))
		s += 4;
	if (strchr(s, '/')) {
		if (s[0] == '/' || s[0] == '-')
			return false;
		s = strchr(s, '/') + 1;
	}
	colon = strchr(s, ':');
	if (!colon || colon - s >= (ptrdiff_t)sizeof(port))
		return false;
	memcpy(port, s, (size_t)(colon - s));
	port[colon - s] = 0;
	return opt_u32(port, 1, 65535, &v) && opt_u32(colon + 1, 1, 65535, &v);
}

static bool set_nic_option(struct nic_config *nc, const char *key, const char *value)
{
	static const char *const offon[] = { "off", "on" };
	u32 v;
	int i;

	if (!strcmp(key, "mac"))
		return nc->has_mac = parse_mac(value, nc->mac);
	if (!strcmp(key, "queues"))
		return opt_u32(value, 1, KVMB_MAX_CPUS, &nc->queues);
	if (!strcmp(key, "mtu"))
		return opt_u32(value, KVMB_NET_MTU_MIN, KVMB_NET_MTU_MAX, &nc->mtu);
	if (!strcmp(key, "vlan") && opt_u32(value, 1, 4094, &v)) {
		nc->vlan = (u16)v;
		return true;
	}
	if (!strcmp(key, "rate"))
		return opt_size(value, &nc->rate, NULL) && nc->rate;
	if (!strcmp(key, "mac-spoof") && one_of(value, offon, ARRAY_SIZE(offon), &i)) {
		nc->mac_spoof = i;
		return true;
	}
	if (!strcmp(key, "forward") && nc->kind == NIC_USER && nc->num_forwards < KVMB_MAX_FORWARDS) {
		nc->forwards[nc->num_forwards++] = value;
		return forward_ok(value);
	}
	return false;
}

static bool set_kind(struct nic_config *nc, const char *word)
{
	static const struct { const char *name; enum nic_kind kind; bool named; } kinds[] = {
		{ "user", NIC_USER, false },	   { "none", NIC_NONE, false }, { "tap=", NIC_TAP, true },
		{ "macvtap=", NIC_MACVTAP, true }, { "bridge=", NIC_BRIDGE, true },
	};
	size_t i, n;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		n = strlen(kinds[i].name);
		if (strncmp(word, kinds[i].name, n) || !word[n] == kinds[i].named)
			continue;
		nc->kind = kinds[i].kind;
		nc->ifname = kinds[i].named ? word + n : NULL;
		return true;
	}
	return false;
}

int opt_nic(char *s, struct nic_config *nc, char *why, size_t size)
{
	char *word = next_word(&s), *value;

	*nc = (struct nic_config){ 0 };
	if (!word || !set_kind(nc, word)) {
		snprintf(why, size, "unknown kind \"%.60s\"; user, tap=INTERFACE, macvtap=INTERFACE, "
			 "bridge=BRIDGE or none", word ? word : "");
		return -EINVAL;
	}
	while ((word = next_word(&s))) {
		value = strchr(word, '=');
		if (value)
			*value++ = 0;
		if (!value || !*value || !set_nic_option(nc, word, value)) {
			snprintf(why, size, "bad option \"%.60s%s%.60s\"%s; see kvmbus nic --help", word,
				 value ? "=" : "", value ? value : "",
				 !strcmp(word, "mac") ? "; mac=00:15:5d:XX:XX:XX, not a group address" : "");
			return -EINVAL;
		}
	}
	return 0;
}
