// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvmb_bus: the guest's VMBus driver, module life.
 *
 * It refuses to load where there is no Hyper-V interface, and where somebody drives the SynIC
 * already (hv_vmbus loaded or built in): two drivers on one SINT would lose each other's
 * interrupts.
 *
 * The kernel's hooks for kexec and crash bring us to unload, so that the next kernel finds a
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

u32 kvmb_bus_protocol(void)
{
	return kvmb.version;
}
EXPORT_SYMBOL_GPL(kvmb_bus_protocol);

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
static struct notifier_block panic_block = { .notifier_call = on_panic };

/* ---- life ---- */

static int check_host(void)
{
	if (x86_hyper_type != X86_HYPER_MS_HYPERV || !hv_is_hyperv_initialized()) {
		pr_info("kvmbus: not loaded: this machine has no Hyper-V interface\n");
		return -ENODEV;
	}
	if (!(ms_hyperv.features & HV_FEAT_A_SYNIC)) {
		pr_info("kvmbus: not loaded: the host has no SynIC\n");
		return -ENODEV;
	}
	if (kvmb_synic_taken()) {
		pr_err("kvmbus: not loaded: another driver has the VMBus. Blacklist hv_vmbus, or where it is built in boot with initcall_blacklist=hv_acpi_init\n");
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
		pr_err("kvmbus: max_version=%s is no VMBus version; 0.13 to 5.3 are\n", max_version);
		return err;
	}
	err = check_host();
	if (err)
		return err;
	mutex_init(&kvmb.lock);
	mutex_init(&kvmb.cpu_lock);
	INIT_LIST_HEAD(&kvmb.chans);
	INIT_LIST_HEAD(&kvmb.waits);
	spin_lock_init(&kvmb.wait_lock);
	atomic_set(&kvmb.next_gpadl, 0xe1e0f); /* as others do; any number but 0 */
	err = -ENOMEM;
	kvmb.msg_wq = alloc_workqueue("kvmbus_msg", WQ_HIGHPRI | WQ_MEM_RECLAIM, 0);
	kvmb.dev_wq = alloc_ordered_workqueue("kvmbus_dev", 0);
	if (!kvmb.msg_wq || !kvmb.dev_wq)
		goto err_wq;
	err = kvmb_bus_type_register();
	if (err)
		goto err_wq;
	err = kvmb_synic_start();
	if (err)
		goto err_type;
	cpus_read_lock();
	kvmb.connect_cpu = cpumask_first(cpu_online_mask);
	cpus_read_unlock();
	err = kvmb_connect(version);
	if (err)
		goto err_synic;
	hv_setup_kexec_handler(on_kexec);
	hv_setup_crash_handler(on_crash);
	atomic_notifier_chain_register(&panic_notifier_list, &panic_block);
	return 0;

err_synic:
	kvmb.version = 0;
	kvmb_synic_stop();
err_type:
	kvmb_bus_type_unregister();
err_wq:
	if (kvmb.msg_wq)
		destroy_workqueue(kvmb.msg_wq);
	if (kvmb.dev_wq)
		destroy_workqueue(kvmb.dev_wq);
	return err;
}

static void __exit kvmb_bus_exit(void)
{
	hv_remove_kexec_handler();
	hv_remove_crash_handler();
	atomic_notifier_chain_unregister(&panic_notifier_list, &panic_block);
	kvmb_chan_remove_all();
	kvmb_disconnect(false);
	kvmb_synic_stop();
	destroy_workqueue(kvmb.msg_wq);
	destroy_workqueue(kvmb.dev_wq);
	kvmb_bus_type_unregister();
}

module_init(kvmb_bus_init);
module_exit(kvmb_bus_exit);

static const struct acpi_device_id acpi_ids[] = { { "VMBUS", 0 }, { "VMBus", 0 }, { "", 0 } };
MODULE_DEVICE_TABLE(acpi, acpi_ids);
MODULE_DESCRIPTION("kvmbus: VMBus for guests, every version from 0.13 to 5.3");
MODULE_LICENSE("GPL");
