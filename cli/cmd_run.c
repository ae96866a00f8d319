// SPDX-License-Identifier: GPL-2.0-only
/* `kvmbus run`: turns options into a configuration; run_vm() makes this process the VM. */
#include <cpuid.h>
#include <grp.h>
#include <malloc.h>
#include <pwd.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/cli_file.h"
#include "cli/cmd.h"
#include "lib/exits.h"
#include "lib/log.h"
#include "lib/util.h"
#include "machine/cpuid.h"
#include "vmbus-core/version.h"
#include "vmm/boot_order.h"
#include "vmm/disk_copies.h"
#include "vmm/opt.h"
#include "vmm/opt_ic.h"
#include "vmm/run.h"

#define MMIO_BYTES (1ull << 30) /* of the guest's address space at most, below 4 GiB */
#define LOW_BYTES ((4ull << 30) - MMIO_BYTES) /* of RAM below 4 GiB at most */

/* The one line about an option; then the caller returns false. */
#define BAD(...) (cli_bad(cli_rows("run"), __VA_ARGS__), false)

static bool set_name(char *s, struct vm_config *c)
{
	c->name = s;
	return cli_good_name(s) || BAD("--name \"%s\": use up to 32 letters, digits, - _ . "
				       "and begin with a letter or digit",
				       s);
}

static bool set_cpus(char *s, struct vm_config *c)
{
	return opt_u32(s, 1, KVMB_MAX_CPUS, &c->machine.cpus);
}

static bool set_memory(char *s, struct vm_config *c)
{
	char why[200], *copy = strdup(s);
	bool ok = copy &&
		  (!opt_memory(copy, c, why, sizeof(why)) || BAD("--memory \"%s\": %s", s, why));

	free(copy);
	return ok;
}

static bool set_cpu(char *s, struct vm_config *c)
{
	char why[160];

	c->machine.cpu_model = s;
	return !cpuid_check_model(s, why, sizeof(why)) || BAD("--cpu: %s", why);
}

static bool set_vmbus_max(char *s, struct vm_config *c)
{
	unsigned int major, minor;

	if (sscanf(s, "%u.%u", &major, &minor) != 2 ||
	    !kvmb_version_known(KVMB_VERSION(major, minor)))
		return BAD("--vmbus-max \"%s\": unknown version", s);
	c->vmbus_max = KVMB_VERSION(major, minor);
	return true;
}

static bool set_kernel(char *s, struct vm_config *c)
{
	c->machine.kernel = s;
	return true;
}

static bool set_initrd(char *s, struct vm_config *c)
{
	c->machine.initrd = s;
	return true;
}

static bool set_append(char *s, struct vm_config *c)
{
	c->machine.append = s;
	return true;
}

/* The names become absolute: who asks for a disk by name, or reads info, may be elsewhere. */
static bool add_drive(char *s, bool dvd, struct vm_config *c)
{
	const char *option = dvd ? "--dvd" : "--disk";
	char why[KVMB_DISK_WHY], *copy = strdup(s), *kept;
	struct disk_config dc;
	int err;

	if (c->num_disks == KVMB_MAX_DISKS)
		return BAD("too many disks: at most %u", KVMB_MAX_DISKS);
	err = copy ? opt_disk(copy, dvd, &dc, why, sizeof(why)) : -ENOMEM;
	free(copy);
	if (err)
		return BAD("%s \"%s\": %s", option, s, why);
	kept = opt_disk_absolute(s, dvd);
	if (!kept)
		return BAD("%s \"%.60s...\": too long", option, s);
	opt_disk(kept, dvd, &c->disks[c->num_disks++], why,
		 sizeof(why)); /* points into @kept from now on */
	return true;
}

static bool add_disk(char *s, struct vm_config *c)
{
	return add_drive(s, false, c);
}

static bool add_dvd(char *s, struct vm_config *c)
{
	return add_drive(s, true, c);
}

static bool add_nic(char *s, struct vm_config *c)
{
	struct nic_config *nc = &c->nics[c->num_nics];
	char why[256];
	u32 i;

	if (c->num_nics == KVMB_MAX_NICS)
		return BAD("too many NICs: at most %u", KVMB_MAX_NICS);
	if (opt_nic(s, nc, why, sizeof(why)))
		return BAD("--nic: %s", why);
	for (i = 0; nc->has_mac && i < c->num_nics; i++) {
		if (c->nics[i].has_mac && !memcmp(c->nics[i].mac, nc->mac, sizeof(nc->mac)))
			return BAD(
				"--nic: two NICs cannot have the same address "
				"%02x:%02x:%02x:%02x:%02x:%02x",
				nc->mac[0], nc->mac[1], nc->mac[2], nc->mac[3], nc->mac[4],
				nc->mac[5]);
	}
	c->num_nics++;
	return true;
}

static bool set_ic(char *s, struct vm_config *c)
{
	struct service_config wish;
	enum vm_service which;
	char why[200];

	if (opt_ic(s, &which, &wish, why, sizeof(why)))
		return BAD("--ic \"%s\": %s", s, why);
	if (which >= SERVICES_IC)
		return BAD("--ic %s: it has an option of its own, --%s", s, service_name(which));
	c->services[which] = wish;
	return true;
}

static bool set_video(char *s, struct vm_config *c)
{
	c->video = strcmp(s, "on") ? VIDEO_OFF : VIDEO_ON;
	return true;
}

static bool set_vsock(char *s, struct vm_config *c)
{
	c->vsock = !opt_index(opt_find(cli_rows("run")->options, "vsock"), s);
	return true;
}

static bool set_serial(char *s, struct vm_config *c)
{
	if (!strcmp(s, "stdio")) {
		c->serial = SERIAL_STDIO;
	} else if (!strcmp(s, "none")) {
		c->serial = SERIAL_NONE;
	} else if (!strncmp(s, "file=", 5) && s[5]) {
		c->serial = SERIAL_FILE;
		c->serial_path = s + 5;
	} else if (!strncmp(s, "unix=", 5) && s[5]) {
		c->serial = SERIAL_UNIX;
		c->serial_path = s + 5;
	} else {
		return BAD("--serial \"%s\": unknown; stdio, file=F, unix=F or none", s);
	}
	return true;
}

static bool set_control(char *s, struct vm_config *c)
{
	/* the keeper's socket is beside it */
	const size_t most = sizeof(((struct sockaddr_un *)0)->sun_path) - sizeof(".keeper");

	c->control = s;
	return strlen(s) <= most ||
	       BAD("--control \"%.40s...\": a socket's path has at most %zu bytes", s, most);
}

static bool set_on_term(char *s, struct vm_config *c)
{
	size_t n = strcspn(s, ",");
	const char *rest = s + n;

	if (n == 8 && !strncmp(s, "shutdown", n))
		c->on_term = ON_TERM_SHUTDOWN;
	else if (n == 4 && !strncmp(s, "kill", n))
		c->on_term = ON_TERM_KILL;
	else
		return BAD("--on-term \"%s\": write shutdown, shutdown,timeout=S or kill", s);
	if (*rest && c->on_term == ON_TERM_KILL)
		return BAD("--on-term \"%s\": kill does not wait, and takes no timeout", s);
	if (*rest &&
	    (strncmp(rest, ",timeout=", 9) || !opt_u32(rest + 9, 0, 86400, &c->term_timeout_s)))
		return BAD("--on-term \"%s\": write shutdown,timeout=S with 0 to 86400 seconds", s);
	return true;
}

static bool set_on_crash(char *s, struct vm_config *c)
{
	c->on_crash = (enum on_crash)opt_index(opt_find(cli_rows("run")->options, "on-crash"), s);
	return true;
}

static bool set_on_heartbeat_lost(char *s, struct vm_config *c)
{
	static const char *const words[] = {
		[ON_LOST_NONE] = "none", [ON_LOST_EVENT] = "event", [ON_LOST_RESET] = "reset"
	};
	size_t n = strcspn(s, ","), i;

	for (i = 0; i < ARRAY_SIZE(words); i++) {
		if (strlen(words[i]) != n || strncmp(words[i], s, n))
			continue;
		c->on_lost = (enum on_lost)i;
		if (!s[n] || (!strncmp(s + n, ",after=", 7) &&
			      opt_u32(s + n + 7, 5, 86400, &c->lost_after_s)))
			return true;
	}
	return BAD("--on-heartbeat-lost \"%s\": write none, event or reset, and ,after=S with 5 to "
		   "86400 seconds",
		   s);
}

static bool set_hibernation(char *s, struct vm_config *c)
{
	c->machine.hibernation = !opt_index(opt_find(cli_rows("run")->options, "hibernation"), s);
	return true;
}

static bool set_hotplug_images(char *s, struct vm_config *c)
{
	c->hotplug_images = !opt_index(opt_find(cli_rows("run")->options, "hotplug-images"), s);
	return true;
}

static bool set_sandbox(char *s, struct vm_config *c)
{
	c->sandbox = (enum sandbox_mode)opt_index(opt_find(cli_rows("run")->options, "sandbox"), s);
	return true;
}

static bool set_group(const char *s, struct vm_config *c)
{
	const struct group *g = getgrnam(s);
	u32 gid;

	if (!g && !opt_u32(s, 1, UINT32_MAX - 1, &gid))
		return BAD("--user: there is no group \"%s\"", s);
	c->gid = g ? g->gr_gid : gid;
	return true;
}

static bool set_user(char *s, struct vm_config *c)
{
	char *group = strchr(s, ':');
	const struct passwd *p;
	u32 uid;

	if (geteuid())
		return BAD("--user: only root can start a VM as another user");
	if (group)
		*group++ = 0;
	p = getpwnam(s);
	if (!p && !opt_u32(s, 1, UINT32_MAX - 1, &uid))
		return BAD("--user: there is no user \"%s\"", s);
	c->uid = p ? p->pw_uid : uid;
	c->gid = p ? p->pw_gid : uid;
	if (!c->uid)
		return BAD("--user: the VM cannot run as root; --sandbox off leaves it root");
	return !group || set_group(group, c);
}

static bool set_no_reboot(char *s, struct vm_config *c)
{
	(void)s;
	c->no_reboot = true;
	return true;
}

static bool set_uuid(char *s, struct vm_config *c)
{
	return opt_uuid(s, c->machine.uuid) ||
	       BAD("--uuid \"%s\": write 8-4-4-4-12 hexadecimal digits, not all zero", s);
}

static bool set_firmware(char *s, struct vm_config *c)
{
	char why[300], *copy = strdup(s); /* kept: the configuration points into it */

	if (!copy || opt_firmware(copy, c, why, sizeof(why)))
		return BAD("--firmware \"%s\": %s", s, why);
	return true;
}

static bool set_boot(char *s, struct vm_config *c)
{
	const char *word;

	if (boot_order_parse(s, &c->boot, &word))
		return BAD("--boot: \"%s\": say disk, cdrom, net and menu, in their order, once "
			   "each",
			   word);
	return true;
}

static bool set_test_devices(char *s, struct vm_config *c)
{
	(void)s;
	c->machine.test_devices = true;
	return true;
}

/* Each option of the table but --json and --verbose, which are not the VM's. */
static const struct {
	const char *name;
	bool (*set)(char *value, struct vm_config *c);
} setters[] = {
	{ "name", set_name },
	{ "cpus", set_cpus },
	{ "memory", set_memory },
	{ "cpu", set_cpu },
	{ "vmbus-max", set_vmbus_max },
	{ "kernel", set_kernel },
	{ "uuid", set_uuid },
	{ "firmware", set_firmware },
	{ "boot", set_boot },
	{ "initrd", set_initrd },
	{ "append", set_append },
	{ "disk", add_disk },
	{ "dvd", add_dvd },
	{ "nic", add_nic },
	{ "ic", set_ic },
	{ "video", set_video },
	{ "vsock", set_vsock },
	{ "serial", set_serial },
	{ "control", set_control },
	{ "on-term", set_on_term },
	{ "on-crash", set_on_crash },
	{ "on-heartbeat-lost", set_on_heartbeat_lost },
	{ "hibernation", set_hibernation },
	{ "hotplug-images", set_hotplug_images },
	{ "sandbox", set_sandbox },
	{ "user", set_user },
	{ "no-reboot", set_no_reboot },
	{ "test-devices", set_test_devices },
};

static bool set_option(const struct cli_given *g, struct vm_config *c)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(setters); i++) {
		if (!strcmp(setters[i].name, g->opt->name))
			return setters[i].set(g->value, c);
	}
	return true;
}

/* Does it fit into what the CPU can address, and into this host? */
static bool check_memory(const struct vm_config *c)
{
	unsigned int eax, ebx, ecx, edx, bits = 0;
	char size[32], host[32];
	struct sysinfo s;
	u64 most;

	if (__get_cpuid(0x80000008, &eax, &ebx, &ecx, &edx))
		bits = eax & 0xff;
	/* what comes later is above 4 GiB, whatever is below */
	most = c->machine.memory;
	if (c->machine.memory_max > most)
		most = c->machine.memory_max + LOW_BYTES - KVMB_MIN(most, LOW_BYTES);
	if (bits >= 32 && bits < 64 && most > (1ull << bits) - MMIO_BYTES)
		return BAD("--memory %s: this CPU has %u address bits, "
			   "%s including what is not RAM",
			   opt_size_str(KVMB_MAX(c->machine.memory, c->machine.memory_max), size,
					sizeof(size)),
			   bits, opt_size_str(1ull << bits, host, sizeof(host)));
	if (!sysinfo(&s) && c->machine.memory > (u64)s.totalram * s.mem_unit)
		cli_error(
			"warning: --memory %s is more than this host has (%s); "
			"the VM or another process may "
			"be killed when the guest uses it",
			opt_size_str(c->machine.memory, size, sizeof(size)),
			opt_size_str((u64)s.totalram * s.mem_unit >> 20 << 20, host, sizeof(host)));
	return true;
}

static char *option_word(const char *name, const char *value)
{
	char *word = kvmb_xzalloc(strlen(name) + (value ? strlen(value) : 0) + 4);

	sprintf(word, value ? "--%s=%s" : "--%s", name, value);
	return word;
}

/*
 * What a saved VM is made from again: as typed, but with the name that it got. Copies: reading a
 * value cuts it into pieces.
 */
static void keep_args(const struct cli_args *a, struct vm_config *c)
{
	const char **args = kvmb_xzalloc(((size_t)a->num_given + 1) * sizeof(*args));
	u32 n = 0;
	int i;

	for (i = 0; i < a->num_given; i++)
		args[n++] = option_word(a->given[i].opt->name, a->given[i].value);
	if (!cli_text(a, "name"))
		args[n++] = option_word("name", c->name);
	c->args = args;
	c->num_args = n;
	c->dir = getcwd(NULL, 0);
	if (!c->dir)
		c->dir = "/";
}

/* What firmware boots from: the first disks whose place nobody has named. */
static void choose_ide(struct vm_config *c)
{
	u32 taken = 0, i, at = KVMB_STORAGE_IDE;

	for (i = 0; i < c->num_disks; i++) {
		if (c->disks[i].controller > 0)
			taken |= 1u << c->disks[i].controller;
	}
	for (i = 0; i < c->num_disks; i++) {
		while (at < KVMB_STORAGE_MAX_CONTROLLERS && taken >> at & 1)
			at++;
		if (at == KVMB_STORAGE_MAX_CONTROLLERS)
			break;
		if (c->disks[i].controller >= 0 || c->disks[i].lun >= 0)
			continue;
		c->disks[i].controller = (int)at++;
		c->disks[i].lun = 0;
	}
}

int cmd_run_from(struct cli_args *a, struct state_file *state, int incoming,
		 const struct disk_copies *copies, struct vm_handed *handed)
{
	char default_name[32], why[300];
	struct vm_config cfg = { .vmbus_max = KVMB_VERSION_NEWEST,
				 .hotplug_images = true,
				 .vsock = true,
				 .on_term = ON_TERM_SHUTDOWN,
				 .term_timeout_s = 90,
				 .on_crash = ON_CRASH_RESET,
				 .state = state,
				 .machine.lazy = state != NULL,
				 .machine.post = incoming && !handed,
				 .incoming = incoming,
				 .copies = copies,
				 .handed = handed,
				 .uid = (uid_t)-1,
				 .gid = (gid_t)-1 };
	int i, verbose = 0;

	snprintf(default_name, sizeof(default_name), "vm-%d", (int)getpid());
	cfg.name = default_name;
	cfg.machine.cpus = 1;
	cfg.machine.memory = 1ull << 30;
	cfg.machine.cpu_model = "host";
	keep_args(a, &cfg);
	for (i = 0; i < a->num_given; i++) {
		cli_blame(a->given[i].from);
		if (!set_option(&a->given[i], &cfg))
			return EXIT_USAGE;
		verbose += !strcmp(a->given[i].opt->name, "verbose");
	}
	cli_blame(NULL);
	for (i = 0; incoming && i < (int)cfg.num_disks; i++)
		cfg.disks[i].spec.unlocked = true; /* the VM takes its locks along */
	if (copies && disk_copies_mark(copies, &cfg, why, sizeof(why))) {
		cli_error("%s", why);
		return EXIT_FAILED;
	}
	cfg.machine.gen1 = !cfg.machine.kernel;
	if (cfg.machine.gen1)
		choose_ide(&cfg);
	if (cfg.machine.kernel && cfg.machine.firmware)
		return cli_bad(a->cmd,
			       "--firmware does not go with --kernel, which is booted without");
	if (cfg.machine.kernel && (cfg.boot.num || cfg.boot.menu))
		return cli_bad(a->cmd, "--boot is for firmware; --kernel says what is booted");
	if (!cfg.machine.kernel && (cfg.machine.initrd || cfg.machine.append))
		return cli_bad(a->cmd, "--%s goes with --kernel",
			       cfg.machine.initrd ? "initrd" : "append");
	if (!check_memory(&cfg))
		return EXIT_USAGE;
	if (cfg.uid != (uid_t)-1 && cfg.sandbox == SANDBOX_OFF)
		return cli_bad(a->cmd, "--user goes with a sandbox; without one the VM is root's");
	kvmb_log_set_level(verbose > 1 ? KVMB_LOG_DBG : verbose ? KVMB_LOG_INFO : KVMB_LOG_WARN);
	/* one heap for all threads: the workers allocate little and rarely */
	mallopt(M_ARENA_MAX, 1);
	return run_vm(&cfg, cli_flag(a, "json"));
}

int cmd_run(struct cli_args *a)
{
	const char *address = cli_text(a, "incoming");
	int code;

	if (!address && (cli_flag(a, "insecure") || cli_flag(a, "tls")))
		return cli_bad(a->cmd, "--%s goes with --incoming",
			       cli_flag(a, "tls") ? "tls" : "insecure");
	if (address)
		return cmd_incoming(a, address);
	code = cli_file_take(a);
	return code == EXIT_OK ? cmd_run_from(a, NULL, 0, NULL, NULL) : code;
}
