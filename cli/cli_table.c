// SPDX-License-Identifier: GPL-2.0-only
/* Every command of kvmbus, its words and its options. */
#include "cli/cli.h"
#include "cli/cmd.h"

/* clang-format off */
#define JSON { "json", OPT_FLAG, .help = "print JSON; docs/json.md has the fields" }
#define INSECURE { "insecure", OPT_FLAG, \
	.help = "take whoever is at the other end, and encrypt nothing", \
	.more = "For a network that is yours alone." }
#define TLS { "tls", OPT_FILE, "DIR", \
	.help = "encrypt it, with keys and certificates of directory DIR", \
	.more = "See *MIGRATION*.", \
	.aka = "tls-creds" }
#define SERVICE_NAMES "heartbeat shutdown timesync kvp vss fcopy memory vsock"
#define END { NULL }

static const struct opt_def json_only[] = { JSON, END };
static const struct opt_def screenshot_options[] = {
	{ "text", OPT_FLAG, .help = "print the characters of a text screen" }, JSON, END
};
static const struct opt_def vnc_options[] = {
	{ "listen", OPT_TEXT, "unix:PATH|HOST:PORT", "unix: 127.0.0.1:5900 [::1]:5900",
	  .otherwise = "beside the control socket",
	  .help = "where clients connect; HOST:PORT needs --password-file",
	  .more = "Nothing is encrypted on a network, and VNC's password is weak: prefer the "
		  "socket, by _ssh -L_." },
	{ "password-file", OPT_FILE, "F", .help = "ask clients for the password in F",
	  .more = "Its first line; VNC takes 8 characters at most.", .aka = "password passwd" },
	{ "view-only", OPT_FLAG, .help = "clients only look", .aka = "viewonly" }, JSON, END
};
static const struct opt_def nothing[] = { END };

static const struct opt_def run_options[] = {
	{ "name", OPT_TEXT, "N", .max = 32, .otherwise = "vm-PID",
	  .help = "name of the VM: letters, digits, - _ ." },
	{ "cpus", OPT_U32, "N", .min = 1, .max = KVMB_MAX_CPUS, .fallback = "1",
	  .help = "virtual CPUs, 1 to 64",
	  .aka = "smp vcpus cpu-count" },
	{ "memory", OPT_TEXT, "SIZE[,OPTION]...", .fallback = "1G",
	  .help = "what the VM begins with, 512M or 4G; a plain number is MiB",
	  .aka = "m ram mem", .sub = opt_memory_options },
	{ "cpu", OPT_TEXT, "MODEL", "host x86-64-v1 x86-64-v2 x86-64-v3 x86-64-v4",
	  .fallback = "host",
	  .help = "host or x86-64-v1 ... x86-64-v4, then ,-FEATURE or ,+FEATURE",
	  .more = "A level of the x86-64 psABI is the same on every host that has it. "
		  "On an emulated CPU *host* leaves xsave out "
		  "unless *,+xsave* is given." },
	{ "vmbus-max", OPT_WORD, "VER", "0.13 1.1 2.4 3.0 4.0 4.1 5.0 5.1 5.2 5.3",
	  .fallback = "5.3",
	  .help = "newest VMBus version offered, 0.13 to 5.3" },
	{ "kernel", OPT_FILE, "F",
	  .help = "Linux as bzImage or ELF vmlinux, or a multiboot-1 ELF32 image; "
		  "without it the VM begins in firmware" },
	{ "firmware", OPT_TEXT, "bios|uefi|F[,vars=F]", "bios uefi",
	  .otherwise = "bios, or uefi if the first disk was made for it",
	  .help = "firmware of a VM without --kernel: bios (SeaBIOS), uefi (OVMF) or a ROM image",
	  .sub = opt_firmware_options },
	{ "uuid", OPT_TEXT, "UUID", .otherwise = "none",
	  .help = "identifier that firmware tells the guest of a VM without --kernel",
	  .aka = "system-uuid smbios" },
	{ "boot", OPT_TEXT, "DEVICE[,DEVICE]...[,menu]", "disk cdrom net menu",
	  .fallback = "disk,cdrom",
	  .help = "what firmware boots first: disk, cdrom, net; with menu it waits for a choice",
	  .more = "*net* is iPXE (package ipxe) on a legacy NIC, and is tried only where it is "
		  "named; UEFI firmware tries it first or not at all.",
	  .aka = "boot-order bootorder" },
	{ "initrd", OPT_FILE, "F", .help = "initial RAM disk, or the multiboot module",
	  .aka = "initramfs" },
	{ "append", OPT_TEXT, "S", .help = "kernel command line",
	  .aka = "cmdline extra-args kernel-args", .optional = true },
	{ "disk", OPT_TEXT, "F[,OPTION]...",
	  .help = "disk: image, block device or NBD URI; write a comma in F as ,,",
	  .more = "Name a block device by its /dev/disk/by-id link, which does not change. "
		  "Images are locked "
		  "while in use. See *DISKS*.",
	  .aka = "drive hda hdb blockdev sda", .sub = opt_disk_options },
	{ "dvd", OPT_TEXT, "F|empty[,OPTION]...", "empty",
	  .help = "DVD drive with this image in it, or empty", .aka = "cdrom iso",
	  .sub = opt_disk_options },
	{ "nic", OPT_TEXT, "KIND[,OPTION]...",
	  .help = "network card: user, tap=IF, macvtap=IF, bridge=BR or none",
	  .more = "See *NICS*.", .aka = "net netdev network network-interface",
	  .first = opt_nic_kinds,
	  .sub = opt_nic_options },
	{ "ic", OPT_TEXT, "NAME=on|off[,max=V]",
	  "heartbeat= shutdown= timesync= kvp= vss= fcopy=", .otherwise = "all on",
	  .help = "integration service heartbeat, shutdown, timesync, kvp, vss or fcopy",
	  .more = "With *max* it offers no newer version of its messages than _V_, for example "
		  "*timesync=on,max=3.0*: as an old host does.",
	  .aka = "integration-service" },
	{ "video", OPT_WORD, "on|off", "on off", .otherwise = "on, with --kernel off",
	  .help = "synthetic video, keyboard and mouse, beside VGA and PS/2",
	  .more = "With *--kernel* there are no others.", .aka = "vga display graphics" },
	{ "vsock", OPT_WORD, "on|off", "on off", .fallback = "on",
	  .help = "sockets between guest and host (AF_VSOCK, Hyper-V sockets)",
	  .more = "See *SOCKETS*.", .aka = "hvsock virtio-vsock" },
	{ "serial", OPT_TEXT, "stdio|file=F|unix=F|none", "stdio file= unix= none",
	  .fallback = "stdio",
	  .help = "where the guest's first serial port goes",
	  .more = "On a terminal, Ctrl-A x ends the VM. A slow reader does not stop the VM, "
		  "but gets only the last 64 KiB. A file has "
		  "mode 0600, is emptied when the VM starts, and keeps the last 64 MiB; "
		  "a file in use, or a symbolic link, is "
		  "refused. A socket is created at _F_, unless something else is there.",
	  .aka = "console chardev" },
	{ "control", OPT_FILE, "SOCKET", .otherwise = "by name in the runtime directory",
	  .help = "control socket",
	  .aka = "api-socket qmp monitor" },
	{ "on-term", OPT_TEXT, "shutdown|kill[,timeout=S]", "shutdown kill",
	  .fallback = "shutdown,timeout=90",
	  .help = "what SIGTERM, SIGHUP and SIGINT do",
	  .more = "*shutdown* asks the guest to shut down, and kills the VM after _S_ seconds or "
		  "at a second signal. *kill* kills it "
		  "at once." },
	{ "on-crash", OPT_WORD, "ACTION", "reset pause poweroff", .fallback = "reset",
	  .help = "what happens when the guest reports a kernel crash: reset, pause or poweroff",
	  .aka = "on_crash" },
	{ "on-heartbeat-lost", OPT_TEXT, "ACTION[,after=S]", "none event reset",
	  .fallback = "none,after=10",
	  .help = "what happens when the guest's heartbeat stays away: none, event or reset",
	  .more = "For _S_ seconds. *event* writes a line to the log, and another when it is back; "
		  "*reset* resets the machine, too, as *kvmbus reset* does. A guest that has had "
		  "no heartbeat yet, that is paused, or that has just come from elsewhere has "
		  "not lost it. A guest that writes a crash dump has: leave it the time.",
	  .aka = "watchdog watchdog-action heartbeat" },
	{ "hibernation", OPT_WORD, "on|off", "on off", .fallback = "off",
	  .help = "may the guest hibernate: it finds sleep state S4 in ACPI",
	  .more = "What *stop --hibernate* needs. Linux then does without hot-added memory.",
	  .aka = "pm suspend-to-disk" },
	{ "config", OPT_FILE, "F",
	  .help = "take options from a VM's file; typed ones add or replace",
	  .more = "See *A VM'S FILE*.", .aka = "conf file define definition" },
	{ "incoming", OPT_TEXT, "ADDRESS", "unix:/run/vm.migrate tcp::6600 fd:3",
	  .help = "become the VM that kvmbus migrate moves to ADDRESS",
	  .more = "The VM brings its options along, so no others are given here. "
		  "See *MIGRATION*." },
	TLS, INSECURE,
	{ "hotplug-images", OPT_WORD, "H", "on off", .fallback = "on",
	  .help = "on or off: can images that are not raw, and NBD servers, be added later",
	  .more = "With *off* a VM in a sandbox that starts without any does not load libnbd." },
	{ "sandbox", OPT_WORD, "MODE", "strict log off", .fallback = "strict",
	  .help = "how the process is confined: strict, log or off",
	  .more = "*strict*: the process can reach its guest, its disks and its NICs and nothing "
		  "else, and ends when it tries. *log*: system calls that are not allowed are "
		  "logged by the kernel instead. *off*: not confined, for debuggers. "
		  "See *SANDBOX*.",
	  .aka = "seccomp seccomp-policy" },
	{ "user", OPT_TEXT, "USER[:GROUP]", .otherwise = "a number that nobody else has",
	  .help = "user that the process becomes when root starts it",
	  .more = "Only root can choose one. Everything is opened before, so that the user needs "
		  "no access to the images.",
	  .aka = "uid runas" },
	{ "no-reboot", OPT_FLAG, .help = "a reset of the guest ends the VM" },
	{ "json", OPT_FLAG,
	  .help = "print name and process id as one JSON line on standard error when it starts" },
	{ "verbose", OPT_FLAG, .help = "log what happens; twice: everything", .aka = "v debug" },
	{ "test-devices", OPT_FLAG, .help = "test ports for VMM unit tests" },
	END
};

static const struct opt_def stats_options[] = {
	{ "watch", OPT_FLAG, .help = "repeat every second; with --json, one line each time" },
	  JSON, END
};

static const struct opt_def stop_options[] = {
	{ "reboot", OPT_FLAG, .help = "restart the guest instead of powering it off",
	  .aka = "restart r" },
	{ "hibernate", OPT_FLAG, .help = "have the guest hibernate: it goes on there when it is "
					 "started again",
	  .more = "For a VM of *run --hibernation on*, and from version 3.2 of the service on. "
		  "Linux tells its user space, by an event (EVENT=hibernate) of the device; where "
		  "no rule of udev hears it, nothing happens, and the command times out.",
	  .aka = "suspend suspend-disk" },
	{ "message", OPT_TEXT, "TEXT", .max = 1023,
	  .help = "text that goes with the request; Windows shows it", .aka = "comment m" },
	{ "timeout", OPT_U32, "S", .max = 86400, .fallback = "60",
	  .help = "give up after S seconds", .aka = "wait t" },
	JSON, END
};

static const struct opt_def ic_options[] = {
	{ "enable", OPT_TEXT, "NAME[,max=V]", SERVICE_NAMES,
	  .help = "offer a service to the guest; with max, no newer version of its messages",
	  .more = "Without *max* the limit stays what it was. Returns when the guest has released "
		  "the old one, if it had one.",
	  .aka = "on" },
	{ "disable", OPT_TEXT, "NAME", SERVICE_NAMES,
	  .help = "take a service away from the guest",
	  .more = "Returns when the guest has released it, or with exit status 5 after ten "
		  "seconds; it is off all the same. A saved or moved VM stays as it is; one that "
		  "is started anew begins with its options.",
	  .aka = "off" },
	{ "check", OPT_WORD, "SERVICE", "heartbeat",
	  .help = "tell by the exit status how the guest's heartbeat is",
	  .more = "0: ok; 1: lost, or there is none; 3: there is no such VM; 4: the VM is paused, "
		  "or the service disabled; 5: the VM does not answer." },
	JSON, END
};

static const struct opt_def migrate_options[] = {
	{ "downtime", OPT_U32, "MS", .min = 1, .max = 60000, .fallback = "100",
	  .help = "milliseconds that the guest may stand",
	  .more = "The VM stops when what is left can be sent within that time." },
	{ "timeout", OPT_U32, "S", .max = 86400, .fallback = "0",
	  .help = "give up when that does not come about in S seconds; 0: never", .aka = "wait t" },
	{ "bandwidth", OPT_SIZE, "SIZE", .fallback = "0",
	  .help = "bytes per second at most while the guest runs; 0: no limit",
	  .more = "What is left when it stands goes out without a limit.",
	  .aka = "max-bandwidth bandwidth-limit" },
	{ "copy-storage", OPT_FLAG,
	  .help = "the other side has none of the disks: copy what is on them, too",
	  .more = "While the VM runs. There the files are made, of the same names, formats and "
		  "sizes, readable by their owner only; one that exists is never overwritten, "
		  "and what was made is removed when the VM does not come. Here they stay as "
		  "they are, out of date. Read-only disks, media of drives and NBD servers are "
		  "not copied, but must be there under the same names. A device or an overlay "
		  "cannot be copied. See *MIGRATION*.",
	  .aka = "copy-storage-all storage" },
	{ "auto-converge", OPT_FLAG,
	  .help = "slow the guest down when it changes memory faster than it can be sent",
	  .more = "By a fifth at first, at most until it has a hundredth of its time." },
	{ "streams", OPT_U32, "N", .min = 1, .max = 16, .fallback = "1",
	  .help = "connections that it moves by, 1 to 16; with tcp: only",
	  .more = "Each has a CPU of its own that encrypts and compresses. The other side needs no "
		  "option.",
	  .aka = "parallel parallel-connections multifd multifd-channels connections" },
	{ "compress", OPT_WORD, "METHOD", "none zstd", .fallback = "none",
	  .help = "compress it: none or zstd",
	  .more = "*zstd* needs libzstd on both sides. *--bandwidth* counts what it has not "
		  "compressed yet.",
	  .aka = "compressed comp-methods comp-zstd" },
	{ "postcopy", OPT_FLAG,
	  .help = "move after one round, and send what has changed when the VM runs there",
	  .more = "For a guest that changes memory faster than it can be sent. Until the rest has "
		  "come, who needs a page waits for it, and the VM needs this process and the "
		  "link: see *--recover*. What can be sent within *--downtime* is sent before.",
	  .aka = "post-copy postcopy-after-precopy" },
	{ "recover", OPT_FLAG,
	  .help = "go on with a --postcopy whose link broke, where the VM is and where it was",
	  .more = "First where it runs, which waits at ADDRESS, then where it was, which connects "
		  "to it. Until then the VM is paused, and nothing is lost." },
	TLS, INSECURE, JSON, END
};

static const struct opt_def backup_options[] = {
	{ "to", OPT_FILE, "DIR", .needed = true,
	  .help = "directory to make, with a raw file for each disk; it must not exist" },
	{ "incremental", OPT_FILE, "DIR",
	  .help = "begin with a copy of the last backup, in DIR, and read only what changed since",
	  .more = "The new directory is a whole backup all the same; where the file system can "
		  "share blocks (XFS, btrfs) it takes space for the changes only. Changes are "
		  "known from the VM's last backup on, in its process: a VM that was started "
		  "anew, restored or moved since needs a full one.",
	  .aka = "base since" },
	{ "no-freeze", OPT_FLAG, .help = "do not ask the guest: its disks as after a power cut",
	  .aka = "crash-consistent" },
	{ "bandwidth", OPT_SIZE, "SIZE", .fallback = "0",
	  .help = "bytes per second at most that are read; 0: no limit",
	  .more = "What the guest is about to overwrite is read at once.",
	  .aka = "rate rate-limit speed" },
	JSON, END
};
static const struct opt_def save_options[] = {
	{ "compress", OPT_WORD, "METHOD", "zstd", .otherwise = "not compressed",
	  .help = "compress memory: zstd",
	  .more = "Needs libzstd on this host when the VM was started, and where it is restored." },
	{ "threads", OPT_U32, "N", .min = 1, .max = 64, .otherwise = "one a CPU, 4 at most",
	  .help = "write memory by N threads, 1 to 64" },
	JSON, END
};

static const struct opt_def import_options[] = {
	{ "name", OPT_TEXT, "N", .max = 32, .otherwise = "the source's",
	  .help = "name of the VM, and of its file N.conf" },
	{ "to", OPT_FILE, "DIR", .fallback = ".",
	  .help = "directory for the VM's file and its disks; made when it is missing",
	  .aka = "output dir o os" },
	{ "copy", OPT_FLAG, .help = "copy the disks as they are; the default" },
	{ "convert", OPT_WORD, "FORMAT", "raw qcow2 vhdx vhd",
	  .help = "make disks of another format: raw, qcow2, vhdx or vhd",
	  .more = "A disk with parents in the same folder becomes one whole image.",
	  .aka = "of output-format" },
	{ "in-place", OPT_FLAG, .help = "use the disks where they are", .aka = "register" },
	{ "format", OPT_WORD, "FORMAT", "raw vhd vhdx qcow2 vmdk vdi",
	  .otherwise = "by its content", .help = "what SOURCE is, when it is a disk image" },
	{ "from-device", OPT_TEXT, "DEVICE", "/dev/sda ssh://host/dev/sda",
	  .help = "copy a disk of this host, or of another one: ssh://[USER@]HOST[:PORT]/PATH",
	  .more = "Into a sparse raw image, _N.raw_. What is copied stands in _N.raw.journal_, "
		  "so the same command goes on after an interruption, if it is the same disk. "
		  "The other host needs nbdkit, or qemu-nbd and socat or nc.",
	  .aka = "p2v device" },
	{ "verify", OPT_FLAG, .help = "with --from-device: read both again, and compare" },
	{ "dry-run", OPT_FLAG, .help = "make nothing; print what the VM's file would be",
	  .aka = "n print" },
	JSON, END
};

static const struct opt_def host_options[] = {
	{ "limit", OPT_TEXT, "SIZE", "16G", .needed = true,
	  .help = "what all VMs may have together" },
	{ "interval", OPT_U32, "S", .min = 1, .max = 3600, .fallback = "10",
	  .help = "seconds between two rounds" },
	{ "once", OPT_FLAG, .help = "one round only" },
	{ "dry-run", OPT_FLAG, .help = "set nothing; print what one round would do", .aka = "n" },
	{ "json", OPT_FLAG, .help = "print one line of JSON a round; docs/json.md has the fields" },
	END
};

static const struct opt_def memory_options[] = {
	{ "wait", OPT_U32, "S", .min = 1, .max = 86400,
	  .help = "return when the guest has what it is to have; give up after S seconds",
	  .aka = "timeout t" },
	JSON, END
};

static const struct opt_def kill_options[] = {
	{ "force", OPT_FLAG,
	  .help = "even when a VM that has moved needs memory that is only here" },
	JSON, END
};

static const struct opt_def copy_options[] = {
	{ "overwrite", OPT_FLAG, .help = "even if the guest has such a file", .aka = "force f" },
	{ "make-directories", OPT_FLAG, .help = "make the directories of the path",
	  .aka = "parents p mkdir create-full-path" },
	JSON, END
};

static const struct opt_def pool_options[] = {
	{ "pool", OPT_WORD, "POOL", "auto guest external", .otherwise = "all of them",
	  .help = "auto (what the service says), guest (of its programs) or external (yours)" },
	JSON, END
};

static const struct opt_def ip_options[] = {
	{ "nic", OPT_NIC, "NIC", .fallback = "net0", .help = "which NIC" },
	{ "address", OPT_TEXT, "ADDRESS/LEN", "192.0.2.5/24 2001:db8::5/64",
	  .otherwise = "nothing is changed", .help = "address for it; may be given again",
	  .aka = "ip addr" },
	{ "gateway", OPT_TEXT, "ADDRESS", .otherwise = "none",
	  .help = "default gateway; may be given again", .aka = "gw" },
	{ "dns", OPT_TEXT, "ADDRESS", .otherwise = "none",
	  .help = "server of names; may be given again", .aka = "nameserver" },
	{ "dhcp", OPT_FLAG, .help = "have the guest ask by DHCP instead" },
	JSON, END
};

static const struct opt_def add_options[] = {
	{ "dvd", OPT_FLAG, .help = "a DVD drive; F may be \"empty\"", .aka = "cdrom" }, JSON, END
};

static const struct opt_def resize_options[] = {
	{ "force", OPT_FLAG, .help = "grow even beyond the file system that holds the image" },
	  JSON, END
};

static const struct opt_def eject_options[] = {
	{ "force", OPT_FLAG, .help = "even when the guest has locked the drive" }, JSON, END
};

static const struct opt_def limit_options[] = {
	{ "iops", OPT_SIZE, "N", .max = 1000000000, .help = "requests per second; 0: no limit" },
	{ "bps", OPT_SIZE, "SIZE", .help = "bytes per second; 0: no limit" }, JSON, END
};

#define VM { "VM", OPT_VM }
#define DISK { "DISK", OPT_DISK }
#define NIC { "NIC", OPT_NIC }

const struct cli_command cli_commands[] = {
	{ "run", NULL, "start a VM in this process",
	  "The process ends when the guest powers off.", cmd_run, { END }, run_options },
	{ "import", NULL, "make a VM's file from elsewhere's VM or disk",
	  "_SOURCE_ is the folder of a Hyper-V export, or the description in it (GUID.xml, "
	  "GUID.exp, GUID.vmcx); an OVA or OVF; or a disk image alone. Its disks and their places, "
	  "its NICs, processors, memory and firmware are taken over; each other thing that it has "
	  "gets a line. See *IMPORT*.",
	  cmd_import, { { "SOURCE", OPT_FILE, .optional = true } }, import_options },
	{ "list", NULL, "the running VMs",
	  "Those in _$XDG_RUNTIME_DIR/kvmbus_ and _/run/kvmbus_; for root those of every user.",
	  cmd_list, { END }, json_only },
	{ "info", NULL, "state, channels, disks, NICs, services", NULL, cmd_info, { VM },
	  json_only },
	{ "stats", NULL, "counters of exits, rings, disks, NICs", NULL, cmd_stats, { VM },
	  stats_options },
	{ "stop", NULL, "shut the guest down cleanly",
	  "Asks the guest's shutdown service, and waits for the service while the guest boots.",
	  cmd_stop, { VM }, stop_options },
	{ "ic", NULL, "integration services: list, switch on and off",
	  "A service's state is *ready* when the guest uses it, in the version shown; *leaving* "
	  "when it was switched off, and the guest has not released it yet. Several changes are "
	  "made in their order. See *SERVICES*.",
	  cmd_ic, { VM }, ic_options },
	{ "kill", NULL, "end a VM at once",
	  "Like pulling the plug. A process that does not answer, or does not end within a minute, "
	  "gets SIGKILL.", cmd_kill, { VM }, kill_options },
	{ "pause", NULL, "stop the VM's CPUs and its clock", NULL, cmd_pause, { VM }, json_only },
	{ "resume", NULL, "continue after a pause",
	  "The time sync service corrects the guest's clock. A VM of which nobody knows whether it "
	  "has moved continues here if nobody else has locked its disks, or written to them.",
	  cmd_resume, { VM }, json_only },
	{ "reset", NULL, "reset the machine, whatever the guest is at",
	  "Like the button of a PC: what the guest has not written is lost. *stop --reboot* asks "
	  "it to restart instead. A paused VM is reset and stays paused.", cmd_reset, { VM },
	  json_only },
	{ "backup", NULL, "copy a VM's disks as they are at one moment, while it runs",
	  "The guest freezes its file systems (VSS; in Linux *hv_vss_daemon* of the package "
	  "hyperv-daemons), all disks are noted at one moment, the guest thaws and runs on, and "
	  "its disks are copied as they were then. A raw image is cloned at once where DIR's file "
	  "system can (XFS, btrfs). DIR gets a raw sparse file for each disk, whatever its format "
	  "was, and _manifest.json_; without that it is no backup. Read-only disks and media are "
	  "not copied. See *BACKUP*.",
	  cmd_backup, { VM }, backup_options },
	{ "save", NULL, "save a VM into a file and end it; restore continues it",
	  "FILE appears when everything is on disk; until then the VM can go on, and does when the "
	  "command is interrupted. Connections of a NIC of kind *user* break, and the command says "
	  "so before it begins. A VM cannot be saved or moved any more when a disk's device has "
	  "vanished, or when a *disk* or *nic* command that changes it was killed halfway.",
	  cmd_save, { VM, { "FILE", OPT_FILE } }, save_options },
	{ "restore", NULL, "continue a saved VM in this process",
	  "With the options that it was started with, as *disk* and *nic* have changed them; its "
	  "images must be where they were. A file "
	  "can be restored once: afterwards the VM has gone on, and its disks with it.",
	  cmd_restore, { { "FILE", OPT_FILE } }, json_only },
	{ "migrate", NULL, "move a running VM to another process or host",
	  "To a *kvmbus run --incoming* ADDRESS that waits; *MIGRATION* has the addresses. Its "
	  "disks must be files, devices or NBD servers that both sides reach by the same names, "
	  "unless they are copied (*--copy-storage*), its NICs tap devices there, too. An image "
	  "that is not raw is closed here and opened there while the guest stands, in "
	  "milliseconds. Until the other side runs the VM it can "
	  "go on here, and does when the command is interrupted or anything fails. While its "
	  "memory is sent, it can be paused, resumed and stopped.",
	  cmd_migrate, { VM, { "ADDRESS", OPT_TEXT, .values = "unix:/run/vm.migrate tcp: fd:3" } },
	  migrate_options },
	{ "upgrade", NULL, "continue a running VM in this process, of this version",
	  "The VM's process hands over memory, disks and taps, and ends; nothing is copied, the "
	  "guest stands for a moment, and no connection breaks. Its disks must be raw files or "
	  "devices, and it must have no NIC of kind *user*. Until this process runs it, the VM can "
	  "go on where it was, and does when anything fails. Options are those that it was started "
	  "with.",
	  cmd_upgrade, { VM }, nothing },
	{ "console", NULL, "connect to the serial port; Ctrl-] leaves",
	  "Starts with the last 64 KiB of output.", cmd_console, { VM }, nothing },
	{ "exec", NULL, "run a command in a VM's guest",
	  "By *kvmbus-agent*, which must run there, as root. Standard input, output and error are "
	  "the command's, Ctrl-C and SIGTERM go to it, and its exit status is this one's: 128 and "
	  "the number of a signal that ended it, 255 when it could not be run or the connection "
	  "was lost. There is no terminal.",
	  cmd_exec, { VM }, nothing, .rest = "CMD [ARG]..." },
	{ "vsock", NULL, "connect standard input and output to a port of a VM's guest",
	  "A port of AF_VSOCK on which somebody listens there. See *SOCKETS*.", cmd_vsock,
	  { VM, { "PORT", OPT_U32, .max = 0x7fffffff } }, nothing },
	{ "kvp", "list", "what the guest says of itself, and items for it",
	  "A Linux guest answers by the daemon of package hyperv-daemons. Nothing in the lists is "
	  "verified: the guest says what it wants.", kvp_cmd_list, { VM }, pool_options },
	{ "kvp", "get", "print one item's value", NULL, kvp_cmd_get,
	  { VM, { "KEY", OPT_TEXT, .values = "FullyQualifiedDomainName NetworkAddressIPv4 "
		  "NetworkAddressIPv6 OSName OSBuildNumber OSMajorVersion OSMinorVersion OSVersion "
		  "ProcessorArchitecture IntegrationServicesVersion" } }, pool_options },
	{ "kvp", "set", "give the guest an item",
	  "It is kept as long as the VM runs or is saved, and given to the guest again after each "
	  "of its starts.", kvp_cmd_set,
	  { VM, { "KEY", OPT_TEXT }, { "VALUE", OPT_TEXT, .optional = true } }, json_only },
	{ "kvp", "delete", "take an item from the guest", NULL, kvp_cmd_delete,
	  { VM, { "KEY", OPT_TEXT } }, json_only },
	{ "kvp", "ip", "print a NIC's addresses in the guest, or set them",
	  "The guest's service does it, for Linux by a script of the distribution, "
	  "hv_set_ifconfig, which Debian's package does not have.", kvp_cmd_ip,
	  { VM }, ip_options },
	{ "copy", NULL, "copy a file into the guest",
	  "_PATH_ begins with :/ and names the file, or ends with / and names its directory. A "
	  "Linux guest writes it as root, by the daemon of package hyperv-daemons. When it is "
	  "interrupted, the guest is asked to remove what it has.", cmd_copy,
	  { VM, { "FILE", OPT_FILE }, { ":/PATH", OPT_TEXT, .values = ":/" } }, copy_options },
	{ "ssh", NULL, "log in to the guest with ssh(1), at an address that it says it has",
	  "What follows the VM goes to ssh. The guest's key is remembered under the VM's name, and "
	  "not its address, which may change and which the guest could make up.", cmd_ssh,
	  { VM }, nothing, .rest = "[ARG]...", .rest_at_once = true },
	{ "screenshot", NULL, "write what a VM's screen shows to a PNG file",
	  "Of a VM without --kernel, or with *--video on*. With *--text* the characters of a text "
	  "screen are printed.",
	  cmd_screenshot, { VM, { "F", OPT_FILE, .optional = true } }, screenshot_options },
	{ "vnc", NULL, "serve a VM's screen, keyboard and mouse to VNC clients",
	  "Until the VM ends, or a signal comes. Without *--listen* on a socket beside the VM's "
	  "control socket, of mode 0600; its path is printed. From elsewhere: _ssh -L "
	  "5900:PATH HOST_. Each client is served by a confined process of its own, eight at "
	  "most. The guest must have the US keyboard layout.",
	  cmd_vnc, { VM }, vnc_options },
	{ "key", NULL, "press keys together on a VM's keyboard", NULL, cmd_key,
	  { VM, { "KEYS", OPT_TEXT, .values = "ctrl-alt-del enter esc f12" } }, json_only },
	{ "type", NULL, "type text on a VM's keyboard",
	  "Printable ASCII, for a US keyboard layout in the guest; a line's end is Enter.",
	  cmd_type, { VM, { "TEXT", OPT_TEXT } }, json_only },
	{ "memory", NULL, "show a VM's dynamic memory, or set what the guest is to have",
	  "Of a VM with bounds, *--memory 2G,min=512M,max=8G*. With *set* SIZE the guest is asked "
	  "to give pages away, or gets some, until it has SIZE; that takes as long as the guest "
	  "takes, and it may refuse. Pages that it gives away are the host's again.",
	  cmd_memory,
	  { VM, { "set", OPT_WORD, .values = "set", .optional = true },
	    { "SIZE", OPT_TEXT, .optional = true } }, memory_options },
	{ "host", NULL, "share memory among the running VMs, by what their guests demand",
	  "Each VM with bounds (*--memory 2G,min=512M,max=8G*) is to have what its guest demands "
	  "and a quarter more. If that is more than *--limit*, each gets its minimum, and of the "
	  "rest that it wants the same part as the others. VMs without bounds count with what they "
	  "have. Repeats until a signal comes.",
	  cmd_host, { { "memory", OPT_TEXT, .values = "memory" } }, host_options },
	{ "disk", "list", "disks of a running VM", NULL, disk_list, { VM }, json_only },
	{ "disk", "add", "add a disk or a DVD drive", NULL, disk_add,
	  { VM, { "F[,OPTION]...", OPT_TEXT, .sub = opt_disk_options } }, add_options },
	{ "disk", "remove", "remove a disk; returns when its image is closed", NULL, disk_remove,
	  { VM, DISK }, json_only },
	{ "disk", "resize", "grow a disk; without SIZE, pick up its device's new size",
	  "Images only grow.", disk_resize,
	  { VM, DISK, { "SIZE", OPT_SIZE, .min = 1, .optional = true } }, resize_options },
	{ "disk", "eject", "eject a DVD",
	  "If the guest has locked the drive, it is asked to release it.", disk_eject,
	  { VM, DISK }, eject_options },
	{ "disk", "insert", "load an image into a DVD drive", NULL, disk_insert,
	  { VM, DISK, { "F[,OPTION]...", OPT_TEXT, .sub = opt_disk_options } }, json_only },
	{ "disk", "limit", "limit a disk's requests or bytes per second", NULL, disk_limit,
	  { VM, DISK }, limit_options },
	{ "nic", "list", "NICs of a running VM", NULL, nic_list, { VM }, json_only },
	{ "nic", "add", "add a NIC", NULL, nic_add,
	  { VM, { "KIND[,OPTION]...", OPT_TEXT, .first = opt_nic_kinds, .sub = opt_nic_options } },
	  json_only },
	{ "nic", "remove", "remove a NIC; returns when the guest has released it",
	  "The link goes down first, so that the guest stops sending.", nic_remove, { VM, NIC },
	  json_only },
	{ "nic", "link", "set the link up or down", NULL, nic_link,
	  { VM, { "up|down", OPT_TEXT, .values = "up down" }, NIC }, json_only },
	{ "nic", "mtu", "set the largest MTU; the guest sees it when it next starts the NIC", NULL,
	  nic_mtu,
	  { VM, NIC, { "N", OPT_U32, .min = 1, .max = 65535 } }, json_only },
	{ "help", NULL, "list all commands, or explain one", NULL, cmd_help,
	  { { "COMMAND", OPT_TEXT, .optional = true }, { "ACTION", OPT_TEXT, .optional = true } },
	  nothing },
	{ NULL }
};
/* clang-format on */
