// SPDX-License-Identifier: GPL-2.0-only
/*
 * Values with comma options (disks, NICs, memory): their tables, and parsing into a configuration.
 */
#include <ctype.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "host-vsp/net/net.h"
#include "lib/util.h"
#include "vmm/opt.h"

#define MAX_SPEC 12288u /* the control socket takes lines of 16 KiB */

/* clang-format off */
const struct opt_def opt_disk_options[] = {
	{ "ro", OPT_FLAG, .help = "read-only", .aka = "readonly read-only read_only rdonly" },
	{ "controller", OPT_U32, "N", .max = KVMB_STORAGE_MAX_CONTROLLERS - 1,
	  .otherwise = "0; of run without --kernel the first free IDE drive",
	  .help = "SCSI controller, 0 to 3; 4 to 7 are the IDE drives of a machine with firmware",
	  .aka = "bus" },
	{ "lun", OPT_U32, "N", .max = KVMB_STORAGE_MAX_LUNS - 1, .otherwise = "the first free one",
	  .help = "place on the controller, 0 to 63", .aka = "unit index location" },
	{ "format", OPT_WORD, "F", "raw vhd vhdx qcow2 vmdk vdi",
	  .otherwise = "by the suffix of the name, else raw",
	  .help = "raw, vhd, vhdx, qcow2, vmdk or vdi",
	  .more = "The guest of a raw disk can write data that looks like an image; "
		  "give a format only for a file that was made in it.",
	  .aka = "driver type image_type fmt" },
	{ "backing", OPT_FILE, "F",
	  .help = "parent of an overlay image, then that one's parent, and so on",
	  .more = "A parent that only the image's header names is not opened; "
		  "an image that keeps its data in other files "
		  "(a qcow2 with a data file, a VMDK descriptor with extents) is refused.",
	  .aka = "backing_files parent backing-file" },
	{ "cache", OPT_WORD, "C", "writeback none writethrough", .fallback = "writeback",
	  .help = "writeback, none or writethrough",
	  .more = "The host's page cache and flushes; direct I/O; "
		  "or every write on stable storage before it is answered.",
	  .aka = "direct" },
	{ "on-error", OPT_WORD, "E", "default stop report",
	  .otherwise = "stop when the host has no space, else report",
	  .help = "stop (pause the VM) or report (to the guest)",
	  .more = "A paused VM waits for *kvmbus resume*.",
	  .aka = "werror rerror error_policy" },
	{ "iops", OPT_SIZE, "N", .max = 1000000000, .otherwise = "no limit",
	  .help = "at most N requests per second",
	  .aka = "throttling.iops-total total_iops_sec" },
	{ "bps", OPT_SIZE, "SIZE", .otherwise = "no limit", .help = "at most N bytes per second",
	  .aka = "throttling.bps-total total_bytes_sec" },
	{ "timeout", OPT_U32, "S", .min = 1, .max = 3600, .fallback = "30",
	  .help = "restart the image's server, or reconnect to the NBD server, "
		  "after S seconds without an answer" },
	{ "serial", OPT_TEXT, "S", .max = 20,
	  .help = "serial number that the guest sees, up to 20 characters",
	  .aka = "id" },
	{ "block", OPT_WORD, "B", "512 4096", .otherwise = "512, or 4096 where direct I/O needs it",
	  .help = "size of a logical block, 512 or 4096",
	  .more = "With *cache=none* on storage that needs larger blocks it is 4096.",
	  .aka = "logical_block_size blocksize" },
	{ NULL }
};

const struct opt_def opt_nic_kinds[] = {
	{ "user", OPT_FLAG,
	  .help = "through passt(1): no privileges needed, the guest has this host's addresses",
	  .more = "passt is restarted if it dies; the guest sees the link go down and up and keeps "
		  "its address." },
	{ "tap", OPT_TEXT, "IF", .max = 15, .help = "an existing tap interface" },
	{ "macvtap", OPT_TEXT, "IF", .max = 15, .help = "an existing macvtap interface" },
	{ "bridge", OPT_TEXT, "BR", .max = 15,
	  .help = "a tap on that bridge, created for the VM and removed with it" },
	{ "none", OPT_FLAG, .help = "not connected" },
	{ NULL }
};

const struct opt_def opt_nic_options[] = {
	{ "mac", OPT_TEXT, "M", .otherwise = "00:15:5d and the VM's name; a macvtap: its own",
	  .help = "address", .aka = "macaddr mac_address hwaddr address" },
	{ "index", OPT_U32, "N", .max = KVMB_MAX_NICS - 1, .otherwise = "the first free one",
	  .help = "place of the NIC, which N of netN is, 0 to 7", .aka = "slot" },
	{ "model", OPT_WORD, "M", "auto legacy synthetic", .otherwise = "auto",
	  .help = "auto, legacy (DEC 21140) or synthetic (VMBus)",
	  .more = "*auto* is both, one at a time, where there is firmware: the legacy NIC until "
		  "the guest's netvsc begins, and again after that has ended. With *--kernel* it "
		  "is synthetic. A machine has up to four legacy NICs, of the indices 0 to 3; one "
		  "that is added while the VM runs is synthetic.",
	  .aka = "driver type device" },
	{ "queues", OPT_U32, "N", .min = 1, .max = KVMB_MAX_CPUS,
	  .otherwise = "one per CPU, if the interface has several",
	  .help = "at most N queues",
	  .more = "An interface has several after ip tuntap add ... multi_queue.",
	  .aka = "num_queues" },
	{ "mtu", OPT_U32, "N", .min = KVMB_NET_MTU_MIN, .max = KVMB_NET_MTU_MAX,
	  .otherwise = "the interface's; 1500 for user and none",
	  .help = "largest MTU that the guest may set, 68 to 9000", .aka = "host_mtu" },
	{ "vlan", OPT_U32, "N", .min = 1, .max = 4094, .otherwise = "tags pass",
	  .aka = "vlanid tag",
	  .help = "access VLAN 1 to 4094: tagged outside, untagged in the guest, "
		  "which may not tag" },
	{ "rate", OPT_SIZE, "SIZE", .min = 1, .otherwise = "no limit",
	  .help = "bytes per second in each direction" },
	{ "mac-spoof", OPT_WORD, "on|off", "off on", .fallback = "off",
	  .help = "may the guest send from other addresses, and change its own?" },
	{ "forward", OPT_TEXT, "[tcp:|udp:][ADDRESS/]PORT:PORT", .aka = "hostfwd",
	  .help = "kind user: forward a port of this host to the guest; may be repeated" },
	{ NULL }
};

const struct opt_def opt_memory_options[] = {
	{ "huge", OPT_WORD, "on|off", "off on",
	  .otherwise = "on for root, except on an emulated CPU",
	  .help = "guest RAM in huge pages", .aka = "hugepages" },
	{ "max", OPT_TEXT, "SIZE", "8G", .otherwise = "what it begins with",
	  .help = "dynamic memory: the most that the guest can get while it runs",
	  .more = "With *min* or *max* the guest is offered Hyper-V's dynamic memory; *memory VM "
		  "set* says what it is to have. New memory comes in units of 128 MiB or more.",
	  .aka = "maximum maxmem" },
	{ "min", OPT_TEXT, "SIZE", "512M", .otherwise = "what it begins with",
	  .help = "dynamic memory: the least that it can be asked to live with",
	  .aka = "minimum" },
	{ NULL }
};

const struct opt_def opt_firmware_options[] = {
	{ "vars", OPT_FILE, "F", .otherwise = "they live as long as the VM",
	  .help = "file for the variables of UEFI firmware; made when it is missing",
	  .more = "It is what QEMU has in its file of variables. A new one is made from that of "
		  "the firmware. One VM at a time uses it." },
	{ NULL }
};
/* clang-format on */

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

static void why_unknown(const struct opt_def *table, const char *word, const char *value, char *why,
			size_t size)
{
	const struct opt_def *o = opt_similar(table, word);
	size_t n = (size_t)snprintf(why, size, "bad option \"%.60s%s%.60s\"; ", word,
				    value ? "=" : "", value ? value : "");

	if (n >= size)
		return;
	if (o)
		snprintf(why + n, size - n, "did you mean %s%s%s?", o->name, o->value ? "=" : "",
			 o->value ? o->value : "");
	else if (table == opt_disk_options && !value)
		snprintf(why + n, size - n, "a comma in a file's name is written ,,");
	else
		snprintf(why + n, size - n, "see kvmbus help run");
}

/* "key=value" that is in @table, and right. Return: NULL with @why. */
static const struct opt_def *comma_option(char *word, const struct opt_def *table, char **value,
					  char *why, size_t size)
{
	const struct opt_def *o;
	char wrong[220];

	*value = strchr(word, '=');
	if (*value)
		*(*value)++ = 0;
	o = opt_find(table, word);
	if (!o)
		why_unknown(table, word, *value, why, size);
	else if (o->kind == OPT_FLAG && *value)
		snprintf(why, size, "bad option \"%s=%.60s\"; write only %s", word, *value, word);
	else if (o->kind != OPT_FLAG && !*value)
		snprintf(why, size, "bad option \"%s\"; write %s=%s", word, word, o->value);
	else if (o->kind != OPT_FLAG && !opt_check(o, *value, wrong, sizeof(wrong)))
		snprintf(why, size, "bad option \"%s=%.60s\": %s", word, *value, wrong);
	else
		return o;
	return NULL;
}

/* ---- disks ---- */

static bool set_disk_option(struct disk_config *dc, const struct opt_def *o, char *value, char *why,
			    size_t size)
{
	struct kvmb_disk_spec *d = &dc->spec;
	const char *key = o->name;
	char *p;
	u32 v = 0;

	if (o->kind == OPT_U32)
		opt_u32(value, 0, ~0u, &v);
	if (!strcmp(key, "ro")) {
		d->read_only = true;
	} else if (!strcmp(key, "controller")) {
		dc->controller = (int)v;
	} else if (!strcmp(key, "lun")) {
		dc->lun = (int)v;
	} else if (!strcmp(key, "format")) {
		for (p = value; *p; p++)
			*p = (char)tolower((unsigned char)*p);
		d->format = value;
	} else if (!strcmp(key, "backing")) {
		if (d->num_backing == KVMB_DISK_MAX_BACKING) {
			snprintf(why, size, "too many parents: at most %d", KVMB_DISK_MAX_BACKING);
			return false;
		}
		d->backing[d->num_backing++] = value;
	} else if (!strcmp(key, "cache")) {
		d->cache = (enum kvmb_disk_cache)opt_index(o, value);
	} else if (!strcmp(key, "on-error")) {
		d->on_error = (enum kvmb_disk_on_error)opt_index(o, value);
	} else if (!strcmp(key, "iops")) {
		opt_size(value, &d->iops, NULL);
	} else if (!strcmp(key, "bps")) {
		opt_size(value, &d->bps, NULL);
	} else if (!strcmp(key, "timeout")) {
		d->timeout_s = v;
	} else if (!strcmp(key, "serial")) {
		d->serial = value;
	} else if (!strcmp(key, "block")) {
		d->block = opt_index(o, value) ? 4096 : 512;
	}
	return true;
}

/*
 * Other programs' ways to name a disk, which would be file names here: "./" in front makes them
 * some.
 */
static bool good_file(const char *path, char *why, size_t size)
{
	static const char *const keys[] = { "file=", "path=", "filename=", "source=" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strncmp(path, keys[i], strlen(keys[i])))
			continue;
		snprintf(why, size, "write the file name first, without %s", keys[i]);
		return false;
	}
	if (!strncmp(path, "nbd:", 4) && strncmp(path, "nbd://", 6))
		snprintf(why, size, "an NBD server is written nbd://HOST[:PORT]/EXPORT");
	else if (*path != '/' && *path != '.' && strstr(path, "://") && strncmp(path, "nbd", 3))
		snprintf(why, size, "not a file, a block device or an nbd:// URI");
	else
		return true;
	return false;
}

int opt_disk(char *s, bool dvd, struct disk_config *dc, char *why, size_t size)
{
	char *word = next_word(&s), *value;
	const struct opt_def *o;

	*dc = (struct disk_config){ .controller = -1, .lun = -1, .spec.dvd = dvd };
	if (!word || !*word) {
		snprintf(why, size, "no file named");
		return -EINVAL;
	}
	if (!dvd || strcmp(word, "empty")) {
		if (!good_file(word, why, size))
			return -EINVAL;
		dc->spec.path = word;
	}
	while ((word = next_word(&s))) {
		o = comma_option(word, opt_disk_options, &value, why, size);
		if (!o || !set_disk_option(dc, o, value, why, size))
			return -EINVAL;
	}
	return 0;
}

/* One word of a disk behind the others; relative file names become absolute. */
static void append_word(FILE *out, const char *word, size_t len, bool first, bool dvd)
{
	size_t skip = !first && len > 8 && !strncmp(word, "backing=", 8) ? 8 : 0;
	bool file = (first && !(dvd && len == 5 && !memcmp(word, "empty", len))) || skip;
	char cwd[PATH_MAX];
	const char *p;

	fprintf(out, "%s%.*s", first ? "" : ",", (int)skip, word);
	if (file && word[skip] != '/' && (word[skip] == '.' || !memmem(word, len, "://", 3)) &&
	    getcwd(cwd, sizeof(cwd))) {
		for (p = cwd; *p; p++)
			fprintf(out, *p == ',' ? ",," : "%c", *p);
		fputc('/', out);
	}
	fprintf(out, "%.*s", (int)(len - skip), word + skip);
}

/* Bytes up to the next comma that is none of a name. */
static size_t word_length(const char *s)
{
	size_t len;

	for (len = 0; s[len]; len++) {
		if (s[len] == ',' && s[len + 1] == ',')
			len++;
		else if (s[len] == ',')
			break;
	}
	return len;
}

char *opt_with(const char *spec, const char *key, const char *value)
{
	char *text = NULL;
	size_t size, len, key_len = strlen(key);
	FILE *out = open_memstream(&text, &size);
	bool first = true;

	kvmb_assert(out);
	for (;; first = false, spec += len + 1) {
		len = word_length(spec);
		if (first || strncmp(spec, key, key_len) || spec[key_len] != '=')
			fprintf(out, "%s%.*s", first ? "" : ",", (int)len, spec);
		if (!spec[len])
			break;
	}
	if (value)
		fprintf(out, ",%s=%s", key, value);
	kvmb_assert(!fclose(out));
	return text;
}

char *opt_disk_absolute(const char *spec, bool dvd)
{
	char *text = NULL;
	size_t size, len;
	FILE *out = open_memstream(&text, &size);
	bool first = true;

	for (; out; first = false, spec += len + 1) {
		len = word_length(spec);
		append_word(out, spec, len, first, dvd);
		if (!spec[len])
			break;
	}
	if (!out || fclose(out) || size >= MAX_SPEC) {
		free(text);
		return NULL;
	}
	return text;
}

/* ---- NICs ---- */

/* [tcp:|udp:][ADDRESS/]PORT:PORT, the second the guest's; the address is passt's to judge */
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

static bool add_forward(struct nic_config *nc, const char *value, char *why, size_t size)
{
	if (nc->kind != NIC_USER)
		snprintf(why, size, "bad option \"forward=%.60s\": only a NIC of kind user has one",
			 value);
	else if (nc->num_forwards == KVMB_MAX_FORWARDS)
		snprintf(why, size, "too many forwards: at most %u", KVMB_MAX_FORWARDS);
	else if (!forward_ok(value))
		snprintf(why, size,
			 "bad option \"forward=%.60s\"; write [tcp:|udp:][ADDRESS/]PORT:PORT",
			 value);
	else
		nc->forwards[nc->num_forwards++] = value;
	return nc->num_forwards && nc->forwards[nc->num_forwards - 1] == value;
}

static bool set_nic_option(struct nic_config *nc, const struct opt_def *o, char *value, char *why,
			   size_t size)
{
	const char *key = o->name;
	u32 v = 0;

	if (o->kind == OPT_U32)
		opt_u32(value, 0, ~0u, &v);
	if (!strcmp(key, "mac")) {
		nc->has_mac = opt_mac(value, nc->mac);
		if (!nc->has_mac)
			snprintf(
				why, size,
				"bad option \"mac=%.60s\"; mac=00:15:5d:XX:XX:XX, not zero and not "
				"a group address",
				value);
		return nc->has_mac;
	} else if (!strcmp(key, "index")) {
		nc->index = (int)v;
	} else if (!strcmp(key, "model")) {
		nc->model = (enum nic_model)(NIC_AUTO + opt_index(o, value));
	} else if (!strcmp(key, "queues")) {
		nc->queues = v;
	} else if (!strcmp(key, "mtu")) {
		nc->mtu = v;
	} else if (!strcmp(key, "vlan")) {
		nc->vlan = (u16)v;
	} else if (!strcmp(key, "rate")) {
		opt_size(value, &nc->rate, NULL);
	} else if (!strcmp(key, "mac-spoof")) {
		nc->mac_spoof = opt_index(o, value);
	} else if (!strcmp(key, "forward")) {
		return add_forward(nc, value, why, size);
	}
	return true;
}

static bool set_kind(struct nic_config *nc, char *word, char *why, size_t size)
{
	static const enum nic_kind kinds[] = { NIC_USER, NIC_TAP, NIC_MACVTAP, NIC_BRIDGE,
					       NIC_NONE };
	size_t len = strcspn(word, "=");
	const struct opt_def *o;
	char *value;

	for (o = opt_nic_kinds; o->name; o++) {
		if (strlen(o->name) == len && !strncmp(o->name, word, len) &&
		    (o->kind == OPT_FLAG ? !word[len] : word[len] && word[len + 1]))
			break;
	}
	if (!o->name) {
		snprintf(why, size,
			 "unknown kind \"%.60s\"; user, tap=INTERFACE, macvtap=INTERFACE, "
			 "bridge=BRIDGE or none",
			 word);
		return false;
	}
	o = comma_option(word, opt_nic_kinds, &value, why, size);
	if (!o)
		return false;
	nc->kind = kinds[o - opt_nic_kinds];
	nc->ifname = value;
	return true;
}

int opt_nic(char *s, struct nic_config *nc, char *why, size_t size)
{
	char *word = next_word(&s), *value;
	const struct opt_def *o;

	*nc = (struct nic_config){ .index = -1 };
	if (!set_kind(nc, word, why, size))
		return -EINVAL;
	while ((word = next_word(&s))) {
		o = comma_option(word, opt_nic_options, &value, why, size);
		if (!o || !set_nic_option(nc, o, value, why, size))
			return -EINVAL;
	}
	return 0;
}

/* ---- memory ---- */

bool opt_memory_size(const char *s, u64 *out, char *why, size_t size)
{
	/* KVM takes 2^31 - 1 pages a slot: Linux virt/kvm/kvm_main.c, KVM_MEM_MAX_NR_PAGES */
	static const struct opt_def total = { "memory", OPT_SIZE, .min = 16ull << 20,
					      .max = 8ull << 40 };
	char mib[32];

	if (*s && isdigit((unsigned char)s[strlen(s) - 1])) { /* MiB, as virsh and QEMU take it */
		snprintf(mib, sizeof(mib), "%.20sM", s);
		s = mib;
	}
	if (!opt_check(&total, s, why, size))
		return false;
	opt_size(s, out, NULL);
	if (*out % (1u << 20) == 0)
		return true;
	snprintf(why, size, "must be whole megabytes");
	return false;
}

static bool set_memory_bound(struct machine_config *c, const struct opt_def *o, const char *value,
			     char *why, size_t size)
{
	u64 *bound = !strcmp(o->name, "min") ? &c->memory_min : &c->memory_max;
	char wrong[160];

	if (opt_memory_size(value, bound, wrong, sizeof(wrong)))
		return true;
	snprintf(why, size, "bad option \"%s=%.60s\": %s", o->name, value, wrong);
	return false;
}

/* With one bound, the other is what the VM begins with. */
static bool settle_bounds(struct machine_config *c, char *why, size_t size)
{
	if (!c->memory_min && !c->memory_max)
		return true;
	c->memory_min = c->memory_min ? c->memory_min : c->memory;
	c->memory_max = c->memory_max ? c->memory_max : c->memory;
	if (c->memory_min <= c->memory && c->memory <= c->memory_max)
		return true;
	snprintf(why, size, "%s",
		 c->memory_min > c->memory ? "min is more than the VM begins with" :
					     "max is less than the VM begins with");
	return false;
}

int opt_memory(char *s, struct vm_config *c, char *why, size_t size)
{
	char *word = next_word(&s), *value;
	const struct opt_def *o;

	c->machine.memory_min = c->machine.memory_max = 0;
	if (!opt_memory_size(word, &c->machine.memory, why, size))
		return -EINVAL;
	while ((word = next_word(&s))) {
		o = comma_option(word, opt_memory_options, &value, why, size);
		if (!o)
			return -EINVAL;
		if (o->kind == OPT_WORD)
			c->machine.huge = opt_index(o, value) ? HUGE_ON : HUGE_OFF;
		else if (!set_memory_bound(&c->machine, o, value, why, size))
			return -EINVAL;
	}
	return settle_bounds(&c->machine, why, size) ? 0 : -EINVAL;
}

/* ---- firmware ---- */

int opt_firmware(char *s, struct vm_config *c, char *why, size_t size)
{
	char *word = next_word(&s), *value;

	if (!*word) {
		snprintf(why, size, "name bios, uefi or a file");
		return -EINVAL;
	}
	c->machine.firmware = word;
	while ((word = next_word(&s))) {
		if (!comma_option(word, opt_firmware_options, &value, why, size))
			return -EINVAL;
		c->vars = value;
	}
	return 0;
}
