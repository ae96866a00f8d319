/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels that the modules build for: 5.10, 6.1, 6.12, 7.3.
 *
 * The only place in the guest modules that asks for a kernel version. Each entry names what
 * changed, and gives the newer name to all.
 */
#ifndef KVMB_COMPAT_H
#define KVMB_COMPAT_H

#include <linux/blk-mq.h>
#include <linux/device.h>
#include <linux/etherdevice.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/version.h>
#include <asm/mshyperv.h>
#include <scsi/scsi_cmnd.h>
#include <scsi/scsi_host.h>

/* 5.14: the list of panic notifiers has a header of its own */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 14, 0)
#include <linux/panic_notifier.h>
#else
#include <linux/kernel.h>
#endif

/* 5.13: the interrupt hook lost its number */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 13, 0)
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

/* 5.15: bus_type.remove returns nothing */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 15, 0)
#define KVMB_BUS_REMOVE_T int
#define KVMB_BUS_REMOVE_RETURN return 0
#else
#define KVMB_BUS_REMOVE_T void
#define KVMB_BUS_REMOVE_RETURN do { } while (0)
#endif

/* 6.3: bus_type.uevent takes a const device; 6.11: match takes a const driver */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define KVMB_UEVENT_DEVICE struct device
#else
#define KVMB_UEVENT_DEVICE const struct device
#endif
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
#define KVMB_MATCH_DRIVER struct device_driver
#else
#define KVMB_MATCH_DRIVER const struct device_driver
#endif

/* 6.4: attributes of a bus get a const bus_type */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
#define KVMB_BUS_ATTR_BUS struct bus_type
#else
#define KVMB_BUS_ATTR_BUS const struct bus_type
#endif

/* 5.16: a command is completed by a function, not by a pointer in it */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 16, 0)
#define scsi_done(cmd) ((cmd)->scsi_done(cmd))
#endif
/* 5.15 has scsi_cmd_to_rq(), and no more the member that it replaces; this is right in all of them */
#undef scsi_cmd_to_rq
#define scsi_cmd_to_rq(cmd) blk_mq_rq_from_pdu(cmd)

/* 6.2: eh_timed_out() says by names of its own whether error handling takes the command */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define KVMB_EH_T enum blk_eh_timer_return
#define KVMB_EH_WAIT BLK_EH_RESET_TIMER
#define KVMB_EH_HANDLE BLK_EH_DONE
#else
#define KVMB_EH_T enum scsi_timeout_action
#define KVMB_EH_WAIT SCSI_EH_RESET_TIMER
#define KVMB_EH_HANDLE SCSI_EH_NOT_HANDLED
#endif

/* 6.0: iterators over commands lost the argument "reserved" */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 0, 0)
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

/* 5.15: dev_addr is const */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 15, 0)
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

/* 5.11: peers are told under RTNL too */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 11, 0)
static inline void __netdev_notify_peers(struct net_device *dev)
{
	ASSERT_RTNL();
	call_netdevice_notifiers(NETDEV_NOTIFY_PEERS, dev);
	call_netdevice_notifiers(NETDEV_RESEND_IGMP, dev);
}
#endif

/* 6.1: netif_napi_add() lost its weight */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#define kvmb_napi_add(dev, napi, poll) netif_napi_add(dev, napi, poll, NAPI_POLL_WEIGHT)
#else
#define kvmb_napi_add(dev, napi, poll) netif_napi_add(dev, napi, poll)
#endif

/* 5.19: the largest segment is set by a function */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 19, 0)
static inline void netif_set_tso_max_size(struct net_device *dev, unsigned int size)
{
	netif_set_gso_max_size(dev, size);
}
#endif

/* 6.8: ethtool's RSS calls take one struct */
#define KVMB_RXFH_PARAM (LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0))
/* 5.17: get_ringparam has two more arguments */
#define KVMB_RINGPARAM_EXTACK (LINUX_VERSION_CODE >= KERNEL_VERSION(5, 17, 0))
/* 6.6: u64_stats_fetch_*_irq are gone; the plain ones do since 6.1 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#define kvmb_stats_begin(s) u64_stats_fetch_begin_irq(s)
#define kvmb_stats_retry(s, v) u64_stats_fetch_retry_irq(s, v)
#else
#define kvmb_stats_begin(s) u64_stats_fetch_begin(s)
#define kvmb_stats_retry(s, v) u64_stats_fetch_retry(s, v)
#endif

/* 6.16: MSRs are read and written by functions of another name */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 16, 0)
#define kvmb_rdmsr(msr, val) rdmsrl(msr, val)
#define kvmb_wrmsr(msr, val) wrmsrl(msr, val)
#else
#define kvmb_rdmsr(msr, val) rdmsrq(msr, val)
#define kvmb_wrmsr(msr, val) wrmsrq(msr, val)
#endif

/* 6.14: slave_configure() is sdev_configure(), and is given the queue's limits */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 14, 0)
#define KVMB_SDEV_CONFIGURE .slave_configure
#define KVMB_SDEV_CONFIGURE_ARGS struct scsi_device *sdev
#else
#define KVMB_SDEV_CONFIGURE .sdev_configure
#define KVMB_SDEV_CONFIGURE_ARGS struct scsi_device *sdev, struct queue_limits *limits
#endif

/* queuecommand() returns an enum since 7.0, of the same values: ask the template's type */
#define KVMB_QC_T typeof(((struct scsi_host_template *)0)->queuecommand(NULL, NULL))

/* 6.17: a workqueue whose work stays on its CPU says so; 7.x warns of one that does not */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
#define KVMB_WQ_PERCPU 0
#else
#define KVMB_WQ_PERCPU WQ_PERCPU
#endif

#endif
