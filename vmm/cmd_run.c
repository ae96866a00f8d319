// SPDX-License-Identifier: GPL-2.0-only
/* `kvmbus run`: options to a configuration; run_vm() then makes this process the VM. */
#include <ctype.h>
#include <getopt.h>
#include <malloc.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/util.h"
#include "vmm/cmd.h"
#include "vmm/opt.h"
#include "vmm/run.h"
#include "vmm/vm.h"

enum { O_NAME = 256, O_CPUS, O_MEMORY, O_CPU, O_VMBUS_MAX, O_KERNEL, O_INITRD, O_APPEND, O_DISK, O_DVD, O_NIC,
       O_IC, O_SERIAL, O_CONTROL, O_TEST, O_NO_REBOOT, O_VERBOSE, O_JSON, O_HELP };

static const struct option options[] = {
	{ "name", 1, NULL, O_NAME },	 { "cpus", 1, NULL, O_CPUS },
	{ "memory", 1, NULL, O_MEMORY }, { "cpu", 1, NULL, O_CPU },
	{ "vmbus-max", 1, NULL, O_VMBUS_MAX }, { "kernel", 1, NULL, O_KERNEL },
	{ "initrd", 1, NULL, O_INITRD }, { "append", 1, NULL, O_APPEND },
	{ "disk", 1, NULL, O_DISK },	 { "dvd", 1, NULL, O_DVD },
	{ "nic", 1, NULL, O_NIC },
	{ "ic", 1, NULL, O_IC },	 { "serial", 1, NULL, O_SERIAL },
	{ "control", 1, NULL, O_CONTROL }, { "test-devices", 0, NULL, O_TEST },
	{ "no-reboot", 0, NULL, O_NO_REBOOT }, { "verbose", 0, NULL, O_VERBOSE },
	{ "json", 0, NULL, O_JSON },	 { "help", 0, NULL, O_HELP },
	{ NULL, 0, NULL, 0 },
};

static const char help_text[] =
	"usage: kvmbus run --kernel F [options]\n\n"
	"  --name N             name of the VM (default: vm-PID)\n"
	"  --cpus N             virtual CPUs, 1 to 64 (default 1)\n"
	"  --memory SIZE[,huge=on|off]   for example 512M or 4G (default 1G); huge pages where they help\n"
	"  --cpu MODEL          host or x86-64-v1 ... x86-64-v4, then ,-FEATURE or ,+FEATURE\n"
	"  --vmbus-max VER      newest VMBus version offered, 0.13 to 5.3 (default 5.3)\n"
	"  --kernel F           bzImage, ELF vmlinux, or a multiboot ELF32 image\n"
	"  --initrd F           initial RAM disk, or the multiboot module\n"
	"  --append S           kernel command line\n"
	"  --disk F[,OPTION]... image, block device or NBD URI on a SCSI controller\n"
	"  --dvd F|empty[,OPTION]...              a DVD drive, and what is in it\n"
	"  --nic user|tap=IF|macvtap=IF|bridge=BR|none[,OPTION]...   a network card; user needs no privileges\n"
	"  --ic NAME=on|off     integration service heartbeat, timesync or shutdown (default on)\n"
	"  --serial stdio|file=F|unix=F|none      the far end of ttyS0 (default stdio)\n"
	"  --control SOCKET     control socket (default: by name in the runtime directory)\n"
	"  --test-devices       test ports for VMM unit tests\n"
	"  --no-reboot          a reset of the guest ends the VM\n"
	"  --json               print the VM's description as one JSON line when it starts\n"
	"  --verbose            log what happens; twice: everything\n";

static bool bad(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static bool bad(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "kvmbus run: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return false;
}

static bool parse_memory(const char *s, struct vm_config *c)
{
	const char *end;
	u64 v;

	if (!opt_size(s, &v, &end))
		return bad("--memory %s: not a size; write for example 512M or 4G", s);
	/* a plain number is MiB, as virsh and QEMU take it */
	if (isdigit((unsigned char)end[-1]) && v <= ~0ull >> 20)
		v <<= 20;
	if (!strcmp(end, ",huge=on"))
		c->huge = HUGE_ON;
	else if (!strcmp(end, ",huge=off"))
		c->huge = HUGE_OFF;
	else if (*end)
		return bad("--memory %s: write a size in M, G or T, then perhaps ,huge=on or ,huge=off", s);
	if (v < 16u << 20 || v > 1ull << 44 || v % (1u << 20))
		return bad("--memory %s: must be 16M to 16T, whole megabytes", s);
	c->memory = v;
	return true;
}

static bool parse_version(const char *s, u32 *out)
{
	unsigned int major, minor;
	char tail;

	if (sscanf(s, "%u.%u%c", &major, &minor, &tail) != 2 || major > 99 || minor > 99 ||
	    !kvmb_version_known(KVMB_VERSION(major, minor)))
		return bad("--vmbus-max %s: unknown version; one of 0.13 1.1 2.4 3.0 4.0 4.1 5.0 5.1 5.2 "
			   "5.3", s);
	*out = KVMB_VERSION(major, minor);
	return true;
}

static bool parse_disk(char *s, bool dvd, struct vm_config *c)
{
	char why[200];

	if (c->num_disks == KVMB_MAX_DISKS)
		return bad("too many disks: at most %u", KVMB_MAX_DISKS);
	if (opt_disk(s, dvd, &c->disks[c->num_disks], why, sizeof(why)))
		return bad("%s %s: %s", dvd ? "--dvd" : "--disk", s, why);
	c->num_disks++;
	return true;
}

static bool parse_nic(char *s, struct vm_config *c)
{
	char why[256];

	if (c->num_nics == KVMB_MAX_NICS)
		return bad("too many NICs: at most %u", KVMB_MAX_NICS);
	if (opt_nic(s, &c->nics[c->num_nics], why, sizeof(why)))
		return bad("--nic: %s", why);
	c->num_nics++;
	return true;
}

static bool parse_ic(const char *s, struct vm_config *c)
{
	static const char *const names[] = { "heartbeat", "timesync", "shutdown" };
	bool *flags[] = { &c->ic_heartbeat, &c->ic_timesync, &c->ic_shutdown };
	const char *eq = strchr(s, '=');
	size_t i;

	for (i = 0; eq && i < ARRAY_SIZE(names); i++) {
		if (strlen(names[i]) != (size_t)(eq - s) || strncmp(names[i], s, (size_t)(eq - s)))
			continue;
		if (strcmp(eq + 1, "on") && strcmp(eq + 1, "off"))
			break;
		*flags[i] = !strcmp(eq + 1, "on");
		return true;
	}
	return bad("--ic %s: write heartbeat=on|off, timesync=on|off or shutdown=on|off", s);
}

static bool parse_serial(char *s, struct vm_config *c)
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
		return bad("--serial %s: unknown; stdio, file=F, unix=F or none", s);
	}
	return true;
}

static bool good_name(const char *s)
{
	size_t i;

	for (i = 0; s[i]; i++) {
		if (!isalnum((unsigned char)s[i]) && !strchr("-_.", s[i]))
			return false;
	}
	return i && i <= 32 && s[0] != '.';
}

static bool parse_cpu(const char *s, struct vm_config *c)
{
	char why[160];

	c->cpu_model = s;
	return !cpuid_check_model(s, why, sizeof(why)) || bad("--cpu: %s", why);
}

static bool parse_option(int o, char *arg, struct vm_config *c, int *verbose, bool *json)
{
	switch (o) {
	case O_NAME:
		c->name = arg;
		return good_name(arg) ||
		       bad("--name %s: use up to 32 letters, digits, - _ .", arg);
	case O_CPUS:
		return opt_u32(arg, 1, KVMB_MAX_CPUS, &c->cpus) ||
		       bad("--cpus %s: must be 1 to %u", arg, KVMB_MAX_CPUS);
	case O_MEMORY:
		return parse_memory(arg, c);
	case O_CPU:
		return parse_cpu(arg, c);
	case O_VMBUS_MAX:
		return parse_version(arg, &c->vmbus_max);
	case O_KERNEL:
		c->kernel = arg;
		return true;
	case O_INITRD:
		c->initrd = arg;
		return true;
	case O_APPEND:
		c->append = arg;
		return true;
	case O_DISK:
	case O_DVD:
		return parse_disk(arg, o == O_DVD, c);
	case O_NIC:
		return parse_nic(arg, c);
	case O_IC:
		return parse_ic(arg, c);
	case O_SERIAL:
		return parse_serial(arg, c);
	case O_CONTROL:
		c->control = arg;
		return true;
	case O_TEST:
		c->test_devices = true;
		return true;
	case O_NO_REBOOT:
		c->no_reboot = true;
		return true;
	case O_VERBOSE:
		(*verbose)++;
		return true;
	case O_JSON:
		*json = true;
		return true;
	default:
		return false; /* getopt has said what */
	}
}

int cmd_run(int argc, char **argv)
{
	char default_name[32];
	struct vm_config cfg = { .cpus = 1, .memory = 1ull << 30, .cpu_model = "host",
				 .vmbus_max = KVMB_VERSION_NEWEST, .ic_heartbeat = true,
				 .ic_timesync = true, .ic_shutdown = true,
				 .on_term = ON_TERM_SHUTDOWN, .term_timeout_s = 90,
				 .on_crash = ON_CRASH_RESET };
	int o, verbose = 0;
	bool json = false;

	snprintf(default_name, sizeof(default_name), "vm-%d", (int)getpid());
	cfg.name = default_name;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == O_HELP) {
			printf("%s\n%s", help_text, opt_disk_help);
			return EXIT_OK;
		}
		if (!parse_option(o, optarg, &cfg, &verbose, &json))
			return EXIT_USAGE;
	}
	if (optind < argc) {
		bad("unexpected word \"%s\"; see kvmbus run --help", argv[optind]);
		return EXIT_USAGE;
	}
	if (!cfg.kernel) {
		bad("--kernel is missing (booting a disk by firmware comes in a later version)");
		return EXIT_USAGE;
	}
	kvmb_log_set_level(verbose > 1 ? KVMB_LOG_DBG : verbose ? KVMB_LOG_INFO : KVMB_LOG_WARN);
	/* one heap for all threads: the workers allocate little and rarely */
	mallopt(M_ARENA_MAX, 1);
	return run_vm(&cfg, json);
}
