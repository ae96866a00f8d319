// SPDX-License-Identifier: GPL-2.0-only
/* Exports the functions of vmbus-core that our drivers use; vmbus-core itself cannot export. */
#include <linux/module.h>

#include "vmbus-core/icdaemon.h"
#include "vmbus-core/icmsg.h"
#include "vmbus-core/ring.h"
#include "vmbus-core/rndis.h"

EXPORT_SYMBOL_GPL(kvmb_fcopyd_request);
EXPORT_SYMBOL_GPL(kvmb_icmsg_choose);
EXPORT_SYMBOL_GPL(kvmb_icmsg_parse);
EXPORT_SYMBOL_GPL(kvmb_icmsg_reply);
EXPORT_SYMBOL_GPL(kvmb_icmsg_reply_negotiate);
EXPORT_SYMBOL_GPL(kvmb_kvpd_reply);
EXPORT_SYMBOL_GPL(kvmb_kvpd_request);
EXPORT_SYMBOL_GPL(kvmb_pkt_parse);
EXPORT_SYMBOL_GPL(kvmb_pkt_xfer_ranges);
EXPORT_SYMBOL_GPL(kvmb_ring_mask);
EXPORT_SYMBOL_GPL(kvmb_ring_unmask);
EXPORT_SYMBOL_GPL(kvmb_ring_readable);
EXPORT_SYMBOL_GPL(kvmb_ring_used);
EXPORT_SYMBOL_GPL(kvmb_rndis_header);
EXPORT_SYMBOL_GPL(kvmb_rndis_header_len);
EXPORT_SYMBOL_GPL(kvmb_rndis_packet);
