#!/usr/bin/awk -f
# SPDX-License-Identifier: GPL-2.0-only
# awk -v headers=DIR -f probe.awk: writes compat-conf.h for compat.h, which says what interfaces the kernel headers in DIR have.
#
# It looks at the headers and not at LINUX_VERSION_CODE, because distributions backport interfaces and stable releases change
# them without a new version. Kbuild.conf runs it in every build. It compiles nothing and takes a tenth of a second.
# Each probe says what it looks for, and which release and commit of Linux changed it. tests/checks/compat.sh tests the
# probes on header trees of both shapes.

# Returns the text of a header without comments, with each run of white space as one blank; "" if there is no such header.
function text_of(header,    text) {
	if (header in texts)
		return texts[header]
	RS = "\001"
	text = ""
	getline text <(headers "/" header)
	gsub(/\/[*]([^*]|[*]+[^*\/])*[*]+\//, " ", text)
	gsub(/[ \t\n]+/, " ", text)
	texts[header] = text
	return text
}

function have(name, header, regex,    text) {
	text = text_of(header)
	if (text == "") { # every kernel has had it so far, so we cannot tell what its absence means
		print "kvmbus: no " header " below " headers ": not the headers of a kernel that is known here" | "cat >&2"
		exit 1
	}
	print "#define KVMB_HAVE_" name, text ~ regex ? 1 : 0
}

BEGIN {
	print "/* made by guest-vsc/compat/probe.awk */"

	# a header for the list of panic notifiers: 5.14, f39650de687e ("kernel.h: split out panic and oops helpers")
	print "#define KVMB_HAVE_PANIC_NOTIFIER_H", text_of("include/linux/panic_notifier.h") == "" ? 0 : 1

	# the interrupt hook without its number: 5.13, d608715d4771 ("Drivers: hv: vmbus: Move handling of VMbus interrupts")
	have("VMBUS_HANDLER", "include/asm-generic/mshyperv.h", "[ *]hv_setup_vmbus_handler[(]")

	# what CPUs are set aside for has types: 5.18, 04d4e665a609 ("sched/isolation: Use single feature type while referring to housekeeping cpumask")
	have("HK_TYPE", "include/linux/sched/isolation.h", "[ {,]HK_TYPE_MANAGED_IRQ,")

	bus = "include/linux/device/bus.h"
	# remove() returns nothing: 5.15, fc7a6209d571 ("bus: Make remove callback return void")
	have("BUS_REMOVE_VOID", bus, "void [(][*]remove[)][(]struct device [*]")
	# uevent() takes a const device: 6.3, 2a81ada32f0e ("driver core: make struct bus_type.uevent() take a const *")
	have("UEVENT_CONST", bus, "int [(][*]uevent[)][(]const struct device [*]")
	# match() takes a const driver: 6.11, d69d80484598 ("driver core: have match() callback in struct bus_type take a const *")
	have("MATCH_CONST", bus, "int [(][*]match[)][(]struct device [*][a-z]*, const struct device_driver [*]")
	# attributes get a const bus_type: 6.4, 75cff725d956 ("driver core: bus: mark the struct bus_type for sysfs callbacks as constant")
	have("BUS_ATTR_CONST", bus, "[(][*]show[)][(]const struct bus_type [*]")

	host = "include/scsi/scsi_host.h"
	# a command is completed by a function: 5.16, a710eacb9d13 ("scsi: core: Rename scsi_mq_done() into scsi_done() and export it")
	have("SCSI_DONE", "include/scsi/scsi_cmnd.h", "void scsi_done[(]struct scsi_cmnd [*]")
	# eh_timed_out() has an enum of its own: 6.2, dee7121e8c0a ("scsi: core: Change the return type of .eh_timed_out()")
	have("SCSI_TIMEOUT_ACTION", host, "enum scsi_timeout_action [(][*] ?eh_timed_out[)]")
	# an iterator over commands is told "reserved": until 6.0, 2dd6532e9591 ("blk-mq: Drop 'reserved' arg of busy_tag_iter_fn")
	have("BUSY_ITER_RESERVED", host, "bool [(][*]fn[)][(]struct scsi_cmnd [*], void [*], bool[)]")
	# sdev_configure(), which is given the queue's limits: 6.14, 0f98212d96a2 ("scsi: core: Remove the .slave_configure() method")
	have("SDEV_CONFIGURE", host, "[(][*] ?sdev_configure[)][(]struct scsi_device [*][a-z]*, struct queue_limits [*]")

	# the limit of a transfer by a function of its own: until 6.11 ("block: remove unused queue limits API")
	have("QUEUE_MAX_HW_SECTORS", "include/linux/blkdev.h", "void blk_queue_max_hw_sectors[(]")
	# a transaction that stops the queue: 6.14 ("block: add a queue_limits_commit_update_frozen helper"); stable 6.12 too
	have("QUEUE_LIMITS_FROZEN", "include/linux/blkdev.h", "int queue_limits_commit_update_frozen[(]")

	# an address is set by a function: 5.15, 48eab831ae8b ("net: create netdev->dev_addr assignment helpers"); stable 5.10 too
	have("ETH_HW_ADDR_SET", "include/linux/etherdevice.h", "void eth_hw_addr_set[(]")
	netdevice = "include/linux/netdevice.h"
	# peers are told under RTNL: 5.11, 7061eb8cfa90 ("net: core: introduce __netdev_notify_peers")
	have("NOTIFY_PEERS_LOCKED", netdevice, "void __netdev_notify_peers[(]")
	# netif_napi_add() with a weight: until 6.1, b48b89f9c189 ("net: drop the weight argument from netif_napi_add")
	have("NAPI_ADD_WEIGHT", netdevice,
	     "[ *]netif_napi_add[(]struct net_device [*][a-z]*, struct napi_struct [*][a-z]*, int [(][*][a-z]*[)][(]struct napi_struct [*], int[)], int")
	# the largest segment is set by a function: 5.19, 14d7b8122fd5 ("net: don't allow user space to lift the device limits")
	have("TSO_MAX_SIZE", netdevice, "void netif_set_tso_max_size[(]")
	ethtool = "include/linux/ethtool.h"
	# get_ringparam() has two more arguments: 5.17, 7462494408cd ("ethtool: extend ringparam setting/getting API with rx_buf_len")
	have("RINGPARAM_EXTACK", ethtool, "[(][*]get_ringparam[)][(]struct net_device [*], struct ethtool_ringparam [*], struct kernel_ethtool_ringparam [*]")
	# RSS calls take one struct: 6.8, fb6e30a72539 ("net: ethtool: pass a pointer to parameters to get/set_rxfh ethtool ops")
	have("RXFH_PARAM", ethtool, "[(][*]get_rxfh[)][(]struct net_device [*][a-z]*, struct ethtool_rxfh_param [*]")
	# counters are read with interrupts off by other functions: until 6.2, dec5efcffad4 ("u64_stat: Remove the obsolete fetch_irq() variants.")
	have("STATS_FETCH_IRQ", "include/linux/u64_stats_sync.h", "u64_stats_fetch_begin_irq[(]")

	# MSRs are read and written by functions of another name: 6.16, c435e608cf59 ("x86/msr: Rename 'rdmsrl()' to 'rdmsrq()'")
	have("RDMSRQ", "arch/x86/include/asm/msr.h", "[ *]rdmsrq[(]")
	# a workqueue whose work stays on its CPU says so: 6.17, 930c2ea566af ("workqueue: Add new WQ_PERCPU flag")
	have("WQ_PERCPU", "include/linux/workqueue.h", "[ ,{]WQ_PERCPU =")
}
