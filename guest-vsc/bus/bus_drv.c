// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvmb_bus, the guest's VMBus driver: loading and unloading.
 *
 * The module refuses to load without a Hyper-V interface, and when another driver uses the SynIC
 * (hv_vmbus, loaded or built in): two drivers on one SINT would lose each other's interrupts.
 *
 * On kexec and crash, hooks of the kernel call us to send UNLOAD, so that the next kernel finds a
 * host that has forgotten us.
 */
#include <linux/acpi.h>
#include <linux/cpu.h>
#include <linux/module.h>
#include <linux/ptrace.h>
#include <linux/sched/task_stack.h>
#include <clocksource/hyperv_timer.h>
#include <asm/hypervisor.h>

#include "guest-vsc/bus/bus_priv.h"
#include "guest-vsc/compat/compat.h"

static char *max_version = "";
module_param(max_version, charp, 0444);
MODULE_PARM_DESC(max_version, "newest VMBus version to ask for, as 4.1");

static bool force;
module_param(force, bool, 0444);
MODULE_PARM_DESC(force, "load even where the host offers devices that only drivers in the "
			"kernel serve");

static int parse_version(const char *s, u32 *version)
{
	unsigned int major, minor;
	char rest;

	*version = KVMB_VERSION_NEWEST;
	if (!*s)
		return 0;
	if (sscanf(s, "%u.%u%c", &major, &minor, &rest) != 2 || major > 0xffff || minor > 0xffff)
		return -EINVAL;
	*version = KVMB_VERSION(major, minor);
	return kvmb_version_known(*version) ? 0 : -EINVAL;
}

/* ---- kexec, crash, panic ---- */

static void on_kexec(void)
{
	hv_stimer_global_cleanup();
	kvmb_disconnect(false);
	kvmb_synic_stop();
}

static void on_crash(struct pt_regs *regs)
{
	kvmb_disconnect(true);
	hv_stimer_cleanup(raw_smp_processor_id());
	kvmb_synic_disable_this_cpu();
}

static int on_panic(struct notifier_block *nb, unsigned long val, void *args)
{
	/* the host gets the registers and logs the crash */
	if (ms_hyperv.misc_features & HV_FEATURE_GUEST_CRASH_MSR_AVAILABLE)
		hyperv_report_panic(current_pt_regs(), val, false);
	return NOTIFY_DONE;
}
/* last of all: the host may reset us at once */
static struct notifier_block panic_block = { .notifier_call = on_panic, .priority = INT_MIN };

/* A guest that panicked and loops still answers its NIC: disconnect, so that others take over */
static int on_panic_unload(struct notifier_block *nb, unsigned long val, void *args)
{
	kvmb_disconnect(true);
	return NOTIFY_DONE;
}
static struct notifier_block unload_block = { .notifier_call = on_panic_unload,
					      .priority = INT_MIN + 1 };

/* ---- life ---- */

#define LEAF_FEATURES 0x40000003u
#define LEAF_ISOLATION 0x4000000cu
#define PRIV_CPU_MANAGEMENT (1u << 12) /* EBX of the features: TLFS 4.2.2, partition privileges */
#define PRIV_ISOLATION (1u << 22)

/* Return: why this partition is none for us, NULL: it is an ordinary guest */
static const char *wrong_partition(void)
{
	u32 privileges = cpuid_ebx(LEAF_FEATURES);

	if (privileges & PRIV_ISOLATION && cpuid_ebx(LEAF_ISOLATION) & 0xf)
		return "this guest is isolated from its host, and would share private pages";
	if (privileges & PRIV_CPU_MANAGEMENT && !(privileges & PRIV_ISOLATION))
		return "this is the root partition";
	if (IS_ENABLED(CONFIG_HYPERV_VTL_MODE))
		return "this kernel runs in a virtual trust level of its own";
	return NULL;
}

static int check_host(void)
{
	const char *why;

	if (x86_hyper_type != X86_HYPER_MS_HYPERV || !hv_is_hyperv_initialized()) {
		pr_info("kvmbus: not loaded: this machine has no Hyper-V interface\n");
		return -ENODEV;
	}
	why = wrong_partition();
	if (why) {
		pr_info("kvmbus: not loaded: %s\n", why);
		return -ENODEV;
	}
	if (!(ms_hyperv.features & HV_FEAT_A_SYNIC)) {
		pr_info("kvmbus: not loaded: the host has no SynIC\n");
		return -ENODEV;
	}
	if (kvmb_synic_taken()) {
		pr_err("kvmbus: not loaded: another driver has the VMBus. Blacklist hv_vmbus, or "
		       "where it is built in boot with initcall_blacklist=hv_acpi_init\n");
		return -EBUSY;
	}
	return 0;
}

static int __init kvmb_bus_init(void)
{
	u32 version;
	int err;

	err = parse_version(max_version, &version);
	if (err) {
		pr_err("kvmbus: max_version=%s is no VMBus version; 0.13 to 5.3 are\n",
		       max_version);
		return err;
	}
	err = check_host();
	if (err)
		return err;
	err = kvmb_bus_start(version, force);
	if (err)
		return err;
	hv_setup_kexec_handler(on_kexec);
	hv_setup_crash_handler(on_crash);
	atomic_notifier_chain_register(&panic_notifier_list, &unload_block);
	atomic_notifier_chain_register(&panic_notifier_list, &panic_block);
	return 0;
}

static void __exit kvmb_bus_exit(void)
{
	hv_remove_kexec_handler();
	hv_remove_crash_handler();
	atomic_notifier_chain_unregister(&panic_notifier_list, &panic_block);
	atomic_notifier_chain_unregister(&panic_notifier_list, &unload_block);
	kvmb_bus_stop();
}

module_init(kvmb_bus_init);
module_exit(kvmb_bus_exit);

static const struct acpi_device_id acpi_ids[] = { { "VMBUS", 0 }, { "VMBus", 0 }, { "", 0 } };
MODULE_DEVICE_TABLE(acpi, acpi_ids);
MODULE_DESCRIPTION("kvmbus: VMBus for guests, every version from 0.13 to 5.3");
MODULE_LICENSE("GPL");
