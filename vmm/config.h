/* SPDX-License-Identifier: GPL-2.0-only */
/* The configuration of a VM, from the options of `kvmbus run`. Immutable once it is built. */
#ifndef KVMB_CONFIG_H
#define KVMB_CONFIG_H

#include <sys/types.h>

#include "host-vsp/storage/storage.h"
#include "machine/machine_config.h"

#define KVMB_MAX_DISKS (KVMB_STORAGE_MAX_CONTROLLERS * KVMB_STORAGE_MAX_LUNS)
#define KVMB_MAX_NICS 8u

struct disk_copies;
struct state_file;
struct vm_handed;

#define LEGACY_NICS 4u	   /* NICs 0 to 3 of a machine with firmware may be legacy NICs, too */
#define LEGACY_NIC_SLOT 3u /* of PCI: the first that firmware's devices leave free; of NIC 0 */

enum boot_from { BOOT_DISK, BOOT_CDROM, BOOT_NET, BOOT_KINDS };

struct boot_order {			 /* boot_order.h */
	enum boot_from from[BOOT_KINDS]; /* from[num]: these first, then the others */
	u32 num;
	bool menu; /* firmware shows one, and waits for a choice */
};

struct disk_config {
	struct kvmb_disk_spec spec; /* a DVD drive without path is empty */
	int controller; /* -1 = 0 */
	int lun;	/* -1 = the next free one */
};

enum nic_kind { NIC_USER, NIC_TAP, NIC_MACVTAP, NIC_BRIDGE, NIC_NONE };

/*
 * What a guest sees of a NIC. UNSAID is AUTO, but in a VM that comes from elsewhere, whose options
 * say it if its kvmbus knew legacy NICs. places_settle() leaves none of UNSAID, and AUTO only where
 * there is a legacy NIC.
 */
enum nic_model { NIC_UNSAID, NIC_AUTO, NIC_LEGACY, NIC_SYNTHETIC };

#define KVMB_MAX_FORWARDS 16u

struct nic_config {
	enum nic_kind kind;
	enum nic_model model;
	int index;	    /* -1 = the next free one */
	const char *ifname; /* of tap, macvtap and bridge */
	u8 mac[6];
	bool has_mac;
	bool mac_spoof;
	u32 queues;	    /* 0 = one per CPU, if the interface has them */
	u32 mtu;	    /* 0 = the interface's; user and none: 1500 */
	u16 vlan;	    /* 0 = none */
	u64 rate;	    /* bytes per second, 0 = no limit */
	const char *forwards[KVMB_MAX_FORWARDS]; /* forwards[num_forwards], of user */
	u32 num_forwards;
};

/* Is it a PCI device? places_settle() was called. */
static inline bool nic_is_legacy(const struct nic_config *nc)
{
	return nc->model == NIC_AUTO || nc->model == NIC_LEGACY;
}

enum serial_kind { SERIAL_STDIO, SERIAL_FILE, SERIAL_UNIX, SERIAL_NONE };

/* What SIGTERM, SIGHUP and SIGINT do: ask the guest to shut down first, or end the VM at once. */
enum on_term { ON_TERM_SHUTDOWN, ON_TERM_KILL };

/* What happens when the guest reports that its kernel crashed. */
enum on_crash { ON_CRASH_RESET, ON_CRASH_PAUSE, ON_CRASH_POWEROFF };

enum video_mode { VIDEO_AUTO, VIDEO_ON, VIDEO_OFF }; /* auto: with firmware */

/* How the process of a VM is confined: vmm/confine.h, vmm/policy.h. */
enum sandbox_mode {
	SANDBOX_STRICT, /* a system call that no thread of its kind makes ends the process */
	SANDBOX_LOG,	/* the kernel logs it */
	SANDBOX_OFF,	/* not at all */
};

struct vm_config {
	const char *name;
	struct machine_config machine;
	u32 vmbus_max; /* KVMB_VERSION_* */
	struct disk_config disks[KVMB_MAX_DISKS];
	u32 num_disks;
	struct boot_order boot; /* of a machine with firmware */
	struct nic_config nics[KVMB_MAX_NICS];
	u32 num_nics;
	bool ic_heartbeat, ic_timesync, ic_shutdown, ic_vss;
	enum video_mode video; /* synthetic, with keyboard and mouse: synth.h */
	enum serial_kind serial;
	const char *serial_path;
	const char *control; /* socket path, NULL = by name in the runtime directory */
	const char *vars;    /* file of the firmware's variables; NULL = they end with the VM */
	bool hotplug_images; /* one that is not raw, or an NBD server, may be added later */
	bool no_reboot; /* a reset of the guest ends the VM */
	enum on_term on_term;
	u32 term_timeout_s; /* seconds the guest has to shut down before it is killed */
	enum on_crash on_crash;
	enum sandbox_mode sandbox;
	struct state_file *state; /* of a saved VM that is restored; NULL = none */
	int incoming;		  /* stream that the VM comes from: vmm/mig_stream.h; 0 = none */
	const struct disk_copies *copies; /* whose content comes along; NULL = none */
	struct vm_handed *handed; /* by a process of this host: vmm/upgrade_in.h; NULL = none */
	/* args[num_args], "--NAME=VALUE": such a VM again; @dir is where relative names begin */
	const char *const *args;
	u32 num_args;
	const char *dir;
	/* what the process becomes when root starts it; -1: CONFINE_UID_BASE + its process id */
	uid_t uid;
	gid_t gid;
};

#endif
