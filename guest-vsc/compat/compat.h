/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels that the modules build for: 5.10 to 7.3.
 *
 * Entries test what the headers have, never the kernel's version: either KVMB_HAVE_*, which
 * probe.awk finds out at build time and documents, or a type. Code uses the newer name everywhere.
 */
#ifndef KVMB_COMPAT_H
#define KVMB_COMPAT_H

#include "guest-vsc/compat/compat-conf.h"
#include <linux/blk-mq.h>
#include <linux/device.h>
#include <linux/etherdevice.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/sched/isolation.h>
#include <asm/mshyperv.h>
#include <scsi/scsi_cmnd.h>
#include <scsi/scsi_host.h>

/* the list of panic notifiers may have a header of its own */
#if KVMB_HAVE_PANIC_NOTIFIER_H
#include <linux/panic_notifier.h>
#else
#include <linux/kernel.h>
#endif

/* the interrupt hook lost its number */
#if !KVMB_HAVE_VMBUS_HANDLER
static inline void kvmb_hook_irq(void (*fn)(void))
{
	hv_setup_vmbus_irq(0, fn);
}
static inline void kvmb_unhook_irq(void)
{
	hv_remove_vmbus_irq();
}
#else
static inline void kvmb_hook_irq(void (*fn)(void))
{
	hv_setup_vmbus_handler(fn);
}
static inline void kvmb_unhook_irq(void)
{
	hv_remove_vmbus_handler();
}
#endif

/* what CPUs are set aside for has types, not flags, by now. Under RCU */
#if KVMB_HAVE_HK_TYPE
#define kvmb_interrupt_cpus() housekeeping_cpumask(HK_TYPE_MANAGED_IRQ)
#else
#define kvmb_interrupt_cpus() housekeeping_cpumask(HK_FLAG_MANAGED_IRQ)
#endif

/* bus_type.remove returns nothing by now */
#if !KVMB_HAVE_BUS_REMOVE_VOID
#define KVMB_BUS_REMOVE_T int
#define KVMB_BUS_REMOVE_RETURN return 0
#else
#define KVMB_BUS_REMOVE_T void
#define KVMB_BUS_REMOVE_RETURN do { } while (0)
#endif

/* what bus_type.uevent, match and attributes are given became const, one after the other */
#if !KVMB_HAVE_UEVENT_CONST
#define KVMB_UEVENT_DEVICE struct device
#else
#define KVMB_UEVENT_DEVICE const struct device
#endif
#if !KVMB_HAVE_MATCH_CONST
#define KVMB_MATCH_DRIVER struct device_driver
#else
#define KVMB_MATCH_DRIVER const struct device_driver
#endif
#if !KVMB_HAVE_BUS_ATTR_CONST
#define KVMB_BUS_ATTR_BUS struct bus_type
#else
#define KVMB_BUS_ATTR_BUS const struct bus_type
#endif

/* a command is completed by a function, not by a pointer in it */
#if !KVMB_HAVE_SCSI_DONE
#define scsi_done(cmd) ((cmd)->scsi_done(cmd))
#endif
/* scsi_cmd_to_rq() came when the member that it replaces went; this is right in all of them */
#undef scsi_cmd_to_rq
#define scsi_cmd_to_rq(cmd) blk_mq_rq_from_pdu(cmd)

/* eh_timed_out() says by names of its own whether error handling takes the command */
#if !KVMB_HAVE_SCSI_TIMEOUT_ACTION
#define KVMB_EH_T enum blk_eh_timer_return
#define KVMB_EH_WAIT BLK_EH_RESET_TIMER
#define KVMB_EH_HANDLE BLK_EH_DONE
#else
#define KVMB_EH_T enum scsi_timeout_action
#define KVMB_EH_WAIT SCSI_EH_RESET_TIMER
#define KVMB_EH_HANDLE SCSI_EH_NOT_HANDLED
#endif

/* iterators over commands lost the argument "reserved" */
#if KVMB_HAVE_BUSY_ITER_RESERVED
#define KVMB_BUSY_ITER(name) \
	static bool name(struct scsi_cmnd *cmd, void *data, bool reserved)
#else
#define KVMB_BUSY_ITER(name) static bool name(struct scsi_cmnd *cmd, void *data)
#endif

/* scsi_rescan_device() takes the SCSI device since 6.6, and in stable 6.1 too: ask its type */
#define kvmb_rescan_sdev(sdev)                                                           \
	scsi_rescan_device(_Generic(&scsi_rescan_device,                                 \
				    void (*)(struct device *): &(sdev)->sdev_gendev,     \
				    default: (sdev)))

/* dev_addr became const; it is set by a function */
#if !KVMB_HAVE_ETH_HW_ADDR_SET
static inline void kvmb_set_hw_addr(struct net_device *dev, const u8 *addr)
{
	memcpy(dev->dev_addr, addr, ETH_ALEN);
}
#else
static inline void kvmb_set_hw_addr(struct net_device *dev, const u8 *addr)
{
	eth_hw_addr_set(dev, addr);
}
#endif

/* peers are notified under RTNL too */
#if !KVMB_HAVE_NOTIFY_PEERS_LOCKED
static inline void __netdev_notify_peers(struct net_device *dev)
{
	ASSERT_RTNL();
	call_netdevice_notifiers(NETDEV_NOTIFY_PEERS, dev);
	call_netdevice_notifiers(NETDEV_RESEND_IGMP, dev);
}
#endif

/* netif_napi_add() lost its weight */
#if KVMB_HAVE_NAPI_ADD_WEIGHT
#define kvmb_napi_add(dev, napi, poll) netif_napi_add(dev, napi, poll, NAPI_POLL_WEIGHT)
#else
#define kvmb_napi_add(dev, napi, poll) netif_napi_add(dev, napi, poll)
#endif

/* the largest segment is set by a function of this name */
#if !KVMB_HAVE_TSO_MAX_SIZE
static inline void netif_set_tso_max_size(struct net_device *dev, unsigned int size)
{
	netif_set_gso_max_size(dev, size);
}
#endif

/* where u64_stats_fetch_*_irq are gone, the plain ones do */
#if KVMB_HAVE_STATS_FETCH_IRQ
#define kvmb_stats_begin(s) u64_stats_fetch_begin_irq(s)
#define kvmb_stats_retry(s, v) u64_stats_fetch_retry_irq(s, v)
#else
#define kvmb_stats_begin(s) u64_stats_fetch_begin(s)
#define kvmb_stats_retry(s, v) u64_stats_fetch_retry(s, v)
#endif

/* MSRs are read and written by functions of another name */
#if !KVMB_HAVE_RDMSRQ
#define kvmb_rdmsr(msr, val) rdmsrl(msr, val)
#define kvmb_wrmsr(msr, val) wrmsrl(msr, val)
#else
#define kvmb_rdmsr(msr, val) rdmsrq(msr, val)
#define kvmb_wrmsr(msr, val) wrmsrq(msr, val)
#endif

/* slave_configure() is sdev_configure() by now, and is given the queue's limits */
#if !KVMB_HAVE_SDEV_CONFIGURE
#define KVMB_SDEV_CONFIGURE .slave_configure
#define KVMB_SDEV_CONFIGURE_ARGS struct scsi_device *sdev
#else
#define KVMB_SDEV_CONFIGURE .sdev_configure
#define KVMB_SDEV_CONFIGURE_ARGS struct scsi_device *sdev, struct queue_limits *limits
#endif

/* queuecommand() returns an enum since 7.0, of the same values: ask the template's type */
#define KVMB_QC_T typeof(((struct scsi_host_template *)0)->queuecommand(NULL, NULL))

/* limits of a queue change in a transaction, which stops the queue itself where that is known */
static inline void kvmb_limit_queue(struct request_queue *q, unsigned int sectors)
{
#if KVMB_HAVE_QUEUE_MAX_HW_SECTORS
	blk_queue_max_hw_sectors(q, sectors);
#else
	struct queue_limits lim = queue_limits_start_update(q);

	lim.max_hw_sectors = sectors;
#if KVMB_HAVE_QUEUE_LIMITS_FROZEN
	queue_limits_commit_update_frozen(q, &lim);
#else
	blk_mq_freeze_queue(q);
	queue_limits_commit_update(q, &lim);
	blk_mq_unfreeze_queue(q);
#endif
#endif
}

/* a workqueue whose work stays on its CPU says so; 7.x warns of one that does not */
#if !KVMB_HAVE_WQ_PERCPU
#define KVMB_WQ_PERCPU 0
#else
#define KVMB_WQ_PERCPU WQ_PERCPU
#endif

#endif
