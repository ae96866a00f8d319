// SPDX-License-Identifier: GPL-2.0-only
/* Every command of kvmbus, its words and its options. */
#include "vmm/cli.h"
#include "vmm/cmd.h"

/* clang-format off */
#define JSON { "json", OPT_FLAG, .help = "print JSON; docs/json.md has the fields" }
#define END { NULL }

static const struct opt_def json_only[] = { JSON, END };
static const struct opt_def nothing[] = { END };

static const struct opt_def run_options[] = {
	{ "name", OPT_TEXT, "N", .max = 32, .otherwise = "vm-PID", .help = "name of the VM: letters, digits, - _ ." },
	{ "cpus", OPT_U32, "N", .min = 1, .max = KVMB_MAX_CPUS, .fallback = "1", .help = "virtual CPUs, 1 to 64",
	  .aka = "smp vcpus cpu-count" },
	{ "memory", OPT_TEXT, "SIZE[,huge=on|off]", .fallback = "1G", .help = "for example 512M or 4G; a plain number is MiB",
	  .aka = "m ram mem", .sub = opt_memory_options },
	{ "cpu", OPT_TEXT, "MODEL", "host x86-64-v1 x86-64-v2 x86-64-v3 x86-64-v4", .fallback = "host",
	  .help = "host or x86-64-v1 ... x86-64-v4, then ,-FEATURE or ,+FEATURE",
	  .more = "A level of the x86-64 psABI is the same on every host that has it. On an emulated CPU *host* leaves xsave out "
		  "unless *,+xsave* is given." },
	{ "vmbus-max", OPT_WORD, "VER", "0.13 1.1 2.4 3.0 4.0 4.1 5.0 5.1 5.2 5.3", .fallback = "5.3",
	  .help = "newest VMBus version offered, 0.13 to 5.3" },
	{ "kernel", OPT_FILE, "F", .help = "Linux as bzImage or ELF vmlinux, or a multiboot-1 ELF32 image", .needed = true },
	{ "initrd", OPT_FILE, "F", .help = "initial RAM disk, or the multiboot module", .aka = "initramfs" },
	{ "append", OPT_TEXT, "S", .help = "kernel command line", .aka = "cmdline extra-args kernel-args", .optional = true },
	{ "disk", OPT_TEXT, "F[,OPTION]...", .help = "image, block device or NBD URI on a SCSI controller; a comma in F is ,,",
	  .more = "A block device is best named below /dev/disk/by-id, so that it is the same one next time. Images are locked "
		  "while in use. See *DISKS*.",
	  .aka = "drive hda hdb blockdev sda", .sub = opt_disk_options },
	{ "dvd", OPT_TEXT, "F|empty[,OPTION]...", "empty", .help = "a DVD drive, and what is in it", .aka = "cdrom iso",
	  .sub = opt_disk_options },
	{ "nic", OPT_TEXT, "KIND[,OPTION]...", .help = "a network card: user, tap=IF, macvtap=IF, bridge=BR or none",
	  .more = "See *NICS*.", .aka = "net netdev network network-interface", .first = opt_nic_kinds,
	  .sub = opt_nic_options },
	{ "ic", OPT_TEXT, "NAME=on|off", "heartbeat= timesync= shutdown=", .otherwise = "all on",
	  .help = "integration service heartbeat, timesync or shutdown" },
	{ "serial", OPT_TEXT, "stdio|file=F|unix=F|none", "stdio file= unix= none", .fallback = "stdio",
	  .help = "the far end of the guest's first serial port",
	  .more = "On a terminal, Ctrl-A x ends the VM. Who does not read holds nothing up, and finds the last 64 KiB later. A "
		  "file is mode 0600, emptied when the VM starts, and holds the last 64 MiB at most; one that is in use, or a "
		  "symbolic link, is refused. A socket is made at _F_ unless there is something else.",
	  .aka = "console chardev" },
	{ "control", OPT_FILE, "SOCKET", .otherwise = "by name in the runtime directory", .help = "control socket",
	  .aka = "api-socket qmp monitor" },
	{ "on-term", OPT_TEXT, "shutdown|kill[,timeout=S]", "shutdown kill", .fallback = "shutdown,timeout=90",
	  .help = "what SIGTERM, SIGHUP and SIGINT do",
	  .more = "*shutdown* asks the guest, and ends the VM when it has not shut down in _S_ seconds or at a second signal. *kill* "
		  "ends it at once." },
	{ "on-crash", OPT_WORD, "ACTION", "reset pause poweroff", .fallback = "reset",
	  .help = "reset, pause or poweroff when the guest says that its kernel crashed", .aka = "on_crash" },
	{ "no-reboot", OPT_FLAG, .help = "a reset of the guest ends the VM" },
	{ "json", OPT_FLAG, .help = "print name and process id as one JSON line on standard error when it starts" },
	{ "verbose", OPT_FLAG, .help = "log what happens; twice: everything", .aka = "v debug" },
	{ "test-devices", OPT_FLAG, .help = "test ports for VMM unit tests" },
	END
};

static const struct opt_def stats_options[] = {
	{ "watch", OPT_FLAG, .help = "again every second; with --json a line each time" }, JSON, END
};

static const struct opt_def stop_options[] = {
	{ "reboot", OPT_FLAG, .help = "restart the guest instead of powering it off", .aka = "restart r" },
	{ "timeout", OPT_U32, "S", .max = 86400, .fallback = "60", .help = "give up after S seconds", .aka = "wait t" },
	JSON, END
};

static const struct opt_def add_options[] = {
	{ "dvd", OPT_FLAG, .help = "a DVD drive; F may be \"empty\"", .aka = "cdrom" }, JSON, END
};

static const struct opt_def resize_options[] = {
	{ "force", OPT_FLAG, .help = "also beyond the size of the file system that holds the image" }, JSON, END
};

static const struct opt_def eject_options[] = {
	{ "force", OPT_FLAG, .help = "also when the guest has locked it" }, JSON, END
};

static const struct opt_def limit_options[] = {
	{ "iops", OPT_SIZE, "N", .max = 1000000000, .help = "requests a second; 0: no limit" },
	{ "bps", OPT_SIZE, "SIZE", .help = "bytes a second; 0: no limit" }, JSON, END
};

#define VM { "VM", OPT_VM }
#define DISK { "DISK", OPT_DISK }
#define NIC { "NIC", OPT_NIC }

const struct cli_command cli_commands[] = {
	{ "run", NULL, "start a VM in this process",
	  "The process ends when the guest powers off.", cmd_run, { END }, run_options },
	{ "list", NULL, "the running VMs",
	  "Those in _$XDG_RUNTIME_DIR/kvmbus_ and _/run/kvmbus_; for root those of every user.", cmd_list, { END }, json_only },
	{ "info", NULL, "state, channels, disks, NICs, services", NULL, cmd_info, { VM }, json_only },
	{ "stats", NULL, "counters of exits, rings, disks, NICs", NULL, cmd_stats, { VM }, stats_options },
	{ "stop", NULL, "shut the guest down in good order",
	  "The guest is asked through its shutdown service; one that has not loaded it yet is waited for.",
	  cmd_stop, { VM }, stop_options },
	{ "kill", NULL, "end a VM at once",
	  "As pulling the plug would. A process that does not answer, or has not ended after a minute, is killed by the kernel.", cmd_kill, { VM }, json_only },
	{ "pause", NULL, "stop its CPUs and its time", NULL, cmd_pause, { VM }, json_only },
	{ "resume", NULL, "go on after a pause", "The guest's clock is set right.", cmd_resume, { VM }, json_only },
	{ "console", NULL, "its serial port; Ctrl-] leaves", "It begins with the last 64 KiB.", cmd_console, { VM }, nothing },
	{ "disk", "list", "disks of a running VM", NULL, disk_list, { VM }, json_only },
	{ "disk", "add", "add a disk or a DVD drive", NULL, disk_add,
	  { VM, { "F[,OPTION]...", OPT_TEXT, .sub = opt_disk_options } }, add_options },
	{ "disk", "remove", "take a disk away; returns when the image is closed", NULL, disk_remove, { VM, DISK }, json_only },
	{ "disk", "resize", "make a disk larger; without SIZE: look how large its device is now", "Images only grow.", disk_resize,
	  { VM, DISK, { "SIZE", OPT_SIZE, .min = 1, .optional = true } }, resize_options },
	{ "disk", "eject", "take the medium out of a DVD drive", "A DVD that the guest has locked is asked for.", disk_eject,
	  { VM, DISK }, eject_options },
	{ "disk", "insert", "put an image into a DVD drive", NULL, disk_insert,
	  { VM, DISK, { "F[,OPTION]...", OPT_TEXT, .sub = opt_disk_options } }, json_only },
	{ "disk", "limit", "limit a disk's requests or bytes a second", NULL, disk_limit, { VM, DISK }, limit_options },
	{ "nic", "list", "NICs of a running VM", NULL, nic_list, { VM }, json_only },
	{ "nic", "add", "add a NIC", NULL, nic_add,
	  { VM, { "KIND[,OPTION]...", OPT_TEXT, .first = opt_nic_kinds, .sub = opt_nic_options } }, json_only },
	{ "nic", "remove", "take a NIC away; returns when the guest has let go",
	  "Its cable is pulled first, so that the guest stops sending.", nic_remove, { VM, NIC }, json_only },
	{ "nic", "link", "pull the cable, or plug it in", NULL, nic_link,
	  { VM, { "up|down", OPT_TEXT, .values = "up down" }, NIC }, json_only },
	{ "nic", "mtu", "largest MTU; the guest sees it when it next starts the NIC", NULL, nic_mtu,
	  { VM, NIC, { "N", OPT_U32, .min = 1, .max = 65535 } }, json_only },
	{ "help", NULL, "this, or about one command", NULL, cmd_help,
	  { { "COMMAND", OPT_TEXT, .optional = true }, { "ACTION", OPT_TEXT, .optional = true } }, nothing },
	{ NULL }
};
/* clang-format on */
