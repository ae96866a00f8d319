/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints of the guest's bus: /sys/kernel/tracing/events/kvmbus. The names are those of the
 * host's events. Message types: enum kvmb_msg; states: enum kvmb_chan_state.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kvmbus

#if !defined(KVMB_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define KVMB_TRACE_H

#include <linux/tracepoint.h>

DECLARE_EVENT_CLASS(kvmb_chanmsg,
	TP_PROTO(u32 type, u32 len, int status),
	TP_ARGS(type, len, status),
	TP_STRUCT__entry(__field(u32, type) __field(u32, len) __field(int, status)),
	TP_fast_assign(__entry->type = type; __entry->len = len; __entry->status = status;),
	TP_printk("type=%u len=%u status=%d", __entry->type, __entry->len, __entry->status)
);

/* a control message to the host; status: 0, or -errno after the last try */
DEFINE_EVENT(kvmb_chanmsg, chanmsg_tx, TP_PROTO(u32 type, u32 len, int status),
	     TP_ARGS(type, len, status));
/* and from it; status: 0, or -EPROTO: not taken */
DEFINE_EVENT(kvmb_chanmsg, chanmsg_rx, TP_PROTO(u32 type, u32 len, int status),
	     TP_ARGS(type, len, status));

TRACE_EVENT(chan_state,
	TP_PROTO(u32 relid, u32 from, u32 to),
	TP_ARGS(relid, from, to),
	TP_STRUCT__entry(__field(u32, relid) __field(u32, from) __field(u32, to)),
	TP_fast_assign(__entry->relid = relid; __entry->from = from; __entry->to = to;),
	TP_printk("relid=%u %u -> %u", __entry->relid, __entry->from, __entry->to)
);

DECLARE_EVENT_CLASS(kvmb_ring_event,
	TP_PROTO(u32 relid),
	TP_ARGS(relid),
	TP_STRUCT__entry(__field(u32, relid)),
	TP_fast_assign(__entry->relid = relid;),
	TP_printk("relid=%u", __entry->relid)
);

/* HvSignalEvent for a channel; its ring has no room for a packet */
DEFINE_EVENT(kvmb_ring_event, ring_signal, TP_PROTO(u32 relid), TP_ARGS(relid));
DEFINE_EVENT(kvmb_ring_event, ring_full, TP_PROTO(u32 relid), TP_ARGS(relid));

#endif

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH guest-vsc/bus
#define TRACE_INCLUDE_FILE kvmb_trace
#include <trace/define_trace.h>
