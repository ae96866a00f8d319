/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Numbers of the hypervisor interface: CPUID leaves, synthetic MSRs, SynIC pages,
 * hypercalls.
 *
 * Sources: TLFS 6.0b, chapters 2 (CPUID), 3 (hypercalls), 11 (SynIC), 12 (timers);
 * Linux 6.12 arch/x86/include/asm/hyperv-tlfs.h.
 */
#ifndef KVMB_HVDEF_H
#define KVMB_HVDEF_H

#include "vmbus-core/env.h"

/* CPUID */
#define HV_CPUID_VENDOR 0x40000000u
#define HV_CPUID_INTERFACE 0x40000001u
#define HV_CPUID_VERSION 0x40000002u
#define HV_CPUID_FEATURES 0x40000003u
#define HV_CPUID_HINTS 0x40000004u
#define HV_CPUID_LIMITS 0x40000005u

/* 0x40000003 EAX: which MSRs exist */
#define HV_FEAT_A_VP_RUNTIME (1u << 0)
#define HV_FEAT_A_REF_COUNT (1u << 1)
#define HV_FEAT_A_SYNIC (1u << 2)
#define HV_FEAT_A_STIMER (1u << 3)
#define HV_FEAT_A_APIC (1u << 4)
#define HV_FEAT_A_HYPERCALL (1u << 5)
#define HV_FEAT_A_VP_INDEX (1u << 6)
#define HV_FEAT_A_RESET (1u << 7)
#define HV_FEAT_A_REF_TSC (1u << 9)
#define HV_FEAT_A_FREQUENCY (1u << 11)
#define HV_FEAT_A_TSC_INVARIANT (1u << 15)
/* EBX: which hypercalls may be made. Bits 1, 12, 22 must stay clear: docs/protocol.md#1.4 */
#define HV_FEAT_B_POST_MESSAGES (1u << 4)
#define HV_FEAT_B_SIGNAL_EVENTS (1u << 5)
#define HV_FEAT_B_EXTENDED (1u << 20) /* 0x8001 and above */
/* EDX: other features */
#define HV_FEAT_D_XMM_INPUT (1u << 4)
#define HV_FEAT_D_FREQUENCY (1u << 8)
#define HV_FEAT_D_CRASH (1u << 10)
#define HV_FEAT_D_EXT_GVA_RANGES (1u << 14)
#define HV_FEAT_D_STIMER_DIRECT (1u << 19)
/* 0x40000004 EAX: recommendations to the guest */
#define HV_HINT_REMOTE_TLB_FLUSH (1u << 2)
#define HV_HINT_APIC_MSRS (1u << 3)
#define HV_HINT_RELAXED_TIMING (1u << 5)
#define HV_HINT_NO_AUTO_EOI (1u << 9)
#define HV_HINT_CLUSTER_IPI (1u << 10)
#define HV_HINT_EX_MASKS (1u << 11)

/* MSRs */
#define KVMB_MSR_GUEST_OS_ID 0x40000000u
#define KVMB_MSR_HYPERCALL 0x40000001u
#define KVMB_MSR_VP_INDEX 0x40000002u
#define KVMB_MSR_TIME_REF_COUNT 0x40000020u
#define KVMB_MSR_REFERENCE_TSC 0x40000021u
#define KVMB_MSR_VP_ASSIST_PAGE 0x40000073u
#define KVMB_MSR_SCONTROL 0x40000080u
#define KVMB_MSR_SIEFP 0x40000082u
#define KVMB_MSR_SIMP 0x40000083u
#define KVMB_MSR_SINT0 0x40000090u
#define KVMB_MSR_STIMER0_CONFIG 0x400000b0u
#define KVMB_MSR_CRASH_P0 0x40000100u
#define KVMB_MSR_CRASH_CTL 0x40000105u
#define HV_NUM_SINTS 16
#define HV_NUM_STIMERS 4
#define HV_SINT_MASKED 0x10000u
#define KVMB_MSR_ENABLE 1ull /* bit 0 of SCONTROL, SIMP, SIEFP */
#define HV_CRASH_NOTIFY (1ull << 63)

/* SynIC pages */
#define HV_VMBUS_SINT 2
#define HV_SLOT_SIZE 256u
#define HV_MESSAGE_PAYLOAD_MAX 240u
#define HV_EVENT_FLAGS_PER_SINT 2048u
#define HV_MSG_FLAG_PENDING 1u
#define HV_MSG_TYPE_CHANNEL 1u

/* One slot of the message page (SIMP); 16 of them, one per SINT. TLFS 11.8 */
struct kvmb_hv_message {
	__le32 type;		/* 0: the slot is free */
	u8 payload_size;	/* bytes, <= 240 */
	u8 flags;		/* HV_MSG_FLAG_* */
	__le16 reserved;
	__le64 sender;
	u8 payload[HV_MESSAGE_PAYLOAD_MAX];
};
static_assert(sizeof(struct kvmb_hv_message) == HV_SLOT_SIZE, "TLFS 11.8");

/* Input of HvPostMessage. TLFS 11.11.1 */
struct kvmb_hv_post_message {
	__le32 connection_id;
	__le32 reserved;
	__le32 message_type;
	__le32 payload_size;	/* bytes, <= 240 */
	u8 payload[HV_MESSAGE_PAYLOAD_MAX];
};
static_assert(sizeof(struct kvmb_hv_post_message) == 256, "TLFS 11.11.1");

/* Hypercall codes and statuses */
#define HV_CALL_POST_MESSAGE 0x005cu
#define HV_CALL_SIGNAL_EVENT 0x005du
#define HV_CALL_QUERY_EXT_CAPS 0x8001u
#define HV_CALL_MEMORY_HINT 0x8003u
#define HV_EXT_CAP_COLD_DISCARD (1ull << 8) /* of 0x8001: 0x8003 says what is not needed */
#define HV_CONNECTION_ID_MASK 0x00ffffffu

#define KVMB_HV_STATUS_SUCCESS 0
#define KVMB_HV_STATUS_INVALID_HYPERCALL_CODE 2
#define KVMB_HV_STATUS_INVALID_HYPERCALL_INPUT 3
#define KVMB_HV_STATUS_INVALID_ALIGNMENT 4
#define KVMB_HV_STATUS_INVALID_PARAMETER 5
#define KVMB_HV_STATUS_INVALID_PORT_ID 17
#define KVMB_HV_STATUS_INVALID_CONNECTION_ID 18
#define KVMB_HV_STATUS_INSUFFICIENT_BUFFERS 19

/* 1601-01-01 to 1970-01-01 in 100 ns units */
#define HV_EPOCH_OFFSET_100NS 116444736000000000ull

#endif
