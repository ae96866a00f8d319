#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Tests guest-vsc/compat/probe.awk on small header trees, also for kernels that Debian does not have. The table has each
# interface as it was before the release in the first column, and as it has been since. A tree has it one way or the other.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
probe() { awk -v headers="$W/h" -f "${PROBE:-guest-vsc/compat/probe.awk}"; }
W=$(mktemp -d); trap 'rm -rf "$W"' EXIT
bad=0
complain() { echo "not ok compat: $*"; bad=1; }
bus=include/linux/device/bus.h host=include/scsi/scsi_host.h nd=include/linux/netdevice.h et=include/linux/ethtool.h
# RELEASE|NAME|HEADER|BEFORE|SINCE; a name with "!" is that of the older shape. "\n": lines are broken as the kernel does it
table="5.14|PANIC_NOTIFIER_H|include/linux/panic_notifier.h|-|extern struct atomic_notifier_head panic_notifier_list;
5.13|VMBUS_HANDLER|include/asm-generic/mshyperv.h|void hv_setup_vmbus_irq(int irq, void (*handler)(void));|void hv_setup_vmbus_handler(void (*handler)(void));
5.18|HK_TYPE|include/linux/sched/isolation.h|enum hk_flags {\n\tHK_FLAG_MANAGED_IRQ\t= (1 << 7),|enum hk_type {\n\tHK_TYPE_WQ,\n\tHK_TYPE_MANAGED_IRQ,
5.15|BUS_REMOVE_VOID|$bus|int (*remove)(struct device *dev);|void (*remove)(struct device *dev);
6.3|UEVENT_CONST|$bus|int (*uevent)(struct device *dev, struct kobj_uevent_env *env);|int (*uevent)(const struct device *dev, struct kobj_uevent_env *env);
6.11|MATCH_CONST|$bus|int (*match)(struct device *dev, struct device_driver *drv);|int (*match)(struct device *dev, const struct device_driver *drv);
6.4|BUS_ATTR_CONST|$bus|ssize_t (*show)(struct bus_type *bus, char *buf);|ssize_t (*show)(const struct bus_type *bus, char *buf);
5.16|SCSI_DONE|include/scsi/scsi_cmnd.h|void (*scsi_done)(struct scsi_cmnd *);|void scsi_done(struct scsi_cmnd *cmd);
6.2|SCSI_TIMEOUT_ACTION|$host|enum blk_eh_timer_return (*eh_timed_out)(struct scsi_cmnd *);|enum scsi_timeout_action (*eh_timed_out)(struct scsi_cmnd *);
6.0|!BUSY_ITER_RESERVED|$host|void scsi_host_busy_iter(struct Scsi_Host *,\n\t\t\t bool (*fn)(struct scsi_cmnd *, void *, bool), void *priv);|void scsi_host_busy_iter(struct Scsi_Host *,\n\t\t\t bool (*fn)(struct scsi_cmnd *, void *), void *priv);
6.14|SDEV_CONFIGURE|$host|int (* slave_configure)(struct scsi_device *);\nint (*device_configure)(struct scsi_device *, struct queue_limits *lim);|int (* sdev_configure)(struct scsi_device *, struct queue_limits *lim);
6.11|!QUEUE_MAX_HW_SECTORS|include/linux/blkdev.h|extern void blk_queue_max_hw_sectors(struct request_queue *, unsigned int);|struct queue_limits queue_limits_start_update(struct request_queue *q)
6.14|QUEUE_LIMITS_FROZEN|include/linux/blkdev.h|/* queue_limits_commit_update_frozen() is not there */|int queue_limits_commit_update_frozen(struct request_queue *q,\n\t\tstruct queue_limits *lim);
5.15|ETH_HW_ADDR_SET|include/linux/etherdevice.h|/* eth_hw_addr_set(dev, addr) is not there yet */|static inline void eth_hw_addr_set(struct net_device *dev, const u8 *addr)
5.11|NOTIFY_PEERS_LOCKED|$nd|void netdev_notify_peers(struct net_device *dev);|void __netdev_notify_peers(struct net_device *dev);
6.1|!NAPI_ADD_WEIGHT|$nd|void netif_napi_add(struct net_device *dev, struct napi_struct *napi,\n\t\t    int (*poll)(struct napi_struct *, int), int weight);|static inline void\nnetif_napi_add(struct net_device *dev, struct napi_struct *napi,\n\t       int (*poll)(struct napi_struct *, int))\n{\n\tnetif_napi_add_weight(dev, napi, poll, NAPI_POLL_WEIGHT);
5.19|TSO_MAX_SIZE|$nd|static inline void netif_set_gso_max_size(struct net_device *dev,\n\t\t\t\t\t  unsigned int size)|void netif_set_tso_max_size(struct net_device *dev, unsigned int size);
5.17|RINGPARAM_EXTACK|$et|void\t(*get_ringparam)(struct net_device *,\n\t\t\t\t struct ethtool_ringparam *);|void\t(*get_ringparam)(struct net_device *,\n\t\t\t\t struct ethtool_ringparam *,\n\t\t\t\t struct kernel_ethtool_ringparam *,\n\t\t\t\t struct netlink_ext_ack *);
6.8|RXFH_PARAM|$et|int\t(*get_rxfh)(struct net_device *, u32 *indir, u8 *key,\n\t\t\t    u8 *hfunc);|int\t(*get_rxfh)(struct net_device *, struct ethtool_rxfh_param *);
6.2|!STATS_FETCH_IRQ|include/linux/u64_stats_sync.h|static inline unsigned int u64_stats_fetch_begin_irq(const struct u64_stats_sync *syncp)|static inline unsigned int u64_stats_fetch_begin(const struct u64_stats_sync *syncp)
6.16|RDMSRQ|arch/x86/include/asm/msr.h|#define rdmsrl(msr, val)\t\t\t\\\\|#define rdmsrq(msr, val)\t\t\t\\\\
6.17|WQ_PERCPU|include/linux/workqueue.h|WQ_POWER_EFFICIENT = 1 << 7, /* later: WQ_PERCPU = 1 << 8 */|WQ_POWER_EFFICIENT = 1 << 7,\n\tWQ_PERCPU\t\t= 1 << 8, /* bound to a specific cpu */"
at_least() { [ $((${1%.*} * 100 + ${1#*.})) -ge $((${2%.*} * 100 + ${2#*.})) ]; }

# tree VERSION [HEADER=VERSION]...: makes the headers of that release, some of them as a later release has them; $W/want has
# the expected result
tree() {
	local version=$1 since name header before after v text x
	shift
	rm -rf "$W/h"; : >"$W/want"
	while IFS='|' read -r since name header before after; do
		v=$version text=$before x=0
		for o; do [ "${o%=*}" != "$header" ] || v=${o#*=}; done
		! at_least "$v" "$since" || { text=$after x=1; }
		[ "$name" = "${name#!}" ] || x=$((1 - x))
		echo "#define KVMB_HAVE_${name#!} $x" >>"$W/want"
		[ "$text" != - ] || continue
		[ -d "$W/h/${header%/*}" ] || mkdir -p "$W/h/${header%/*}"
		printf '%b\n' "$text" >>"$W/h/$header"
	done <<<"$table"
}
expect() { # TITLE
	probe >"$W/out" || complain "$1: the probe fails"
	diff <(sort "$W/want") <(grep '^#define' "$W/out" | sort) >"$W/diff" || complain "$1: $(grep '^[<>]' "$W/diff" | tr '\n' ' ')"
}
for v in 5.10 5.11 5.13 5.14 5.15 5.16 5.17 5.19 6.0 6.1 6.2 6.3 6.4 6.8 6.11 6.12 6.14 6.16 6.17 7.0 7.3; do tree $v; expect $v; done
# an old version with newer interfaces, like RHEL 9 (not a copy of its headers), and stable 5.10 with eth_hw_addr_set()
tree 5.14 $nd=6.8 $et=6.8 $host=6.2 include/linux/etherdevice.h=5.15 include/linux/u64_stats_sync.h=6.2; expect "5.14 with backports"
tree 5.10 include/linux/etherdevice.h=5.15; expect "stable 5.10"

# a missing header is an error
tree 6.12; rm "$W/h/include/scsi/scsi_cmnd.h"
probe >/dev/null 2>&1 && complain "a missing header goes unnoticed"
# the sources test what the probe defines, and the other way round
diff <(grep -rhoE 'KVMB_HAVE_[A-Z0-9_]+' guest-vsc ic-services --include=*.[ch] | sort -u) <(sed -n 's/^#define \([A-Z0-9_]*\) .*/\1/p' "$W/out" | sort -u) >"$W/diff" ||
	complain "asked and answered differ: $(grep '^[<>]' "$W/diff" | tr '\n' ' ')"
# nothing tests the kernel's version
grep -rnE 'LINUX_VERSION_CODE|KERNEL_VERSION\(' guest-vsc ic-services vmbus-core --include=*.[ch] && complain "a kernel's version is asked for"
[ $bad = 0 ] && echo "ok compat"
exit $bad
