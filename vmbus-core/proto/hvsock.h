/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * hvsocket: what a connection's channel looks like, and what goes through it.
 *
 * Sources: Linux 6.12 net/vmw_vsock/hyperv_transport.c; OpenVMM vmbus_core/src/protocol.rs
 * (HvsockUserDefinedParameters), vmbus_server/src/hvsock.rs; docs/protocol.md#11.
 */
#ifndef KVMB_PROTO_HVSOCK_H
#define KVMB_PROTO_HVSOCK_H

#include "vmbus-core/guid.h"

/* A port of AF_VSOCK as a GUID: its first field is the port. */
#define KVMB_HVSOCK_GUID(port) \
	KVMB_GUID(port, 0xfacb, 0x11e6, 0xbd, 0x58, 0x64, 0x00, 0x6a, 0x79, 0x86, 0xd3)
#define KVMB_HVSOCK_MAX_LISTEN 0x7fffffffu /* above are the ports of who connects */

/* What an offer has behind the mode of its pipe. */
struct kvmb_wire_hvsock_user {
	u8 for_guest_accept; /* 1: the host connects; the type of the offer is the guest's port */
	u8 for_container;
	__le32 version; /* 1 from Windows Server 2019 on: a silo's GUID, zeroes, follows */
} __attribute__((packed));
static_assert(sizeof(struct kvmb_wire_hvsock_user) == 6, "HvsockUserDefinedParameters");

/* In front of the data of each packet, which is in-band. */
struct kvmb_wire_hvsock {
	__le32 type; /* KVMB_HVSOCK_DATA */
	__le32 size; /* bytes that follow; 0 = the sender will send no more */
};
static_assert(sizeof(struct kvmb_wire_hvsock) == 8, "vmpipe_proto_header");
#define KVMB_HVSOCK_DATA 1u
#define KVMB_HVSOCK_MTU 16384u /* bytes of data in a packet at most, both ways */

/** kvmb_hvsock_port() - The port that a GUID stands for. Return: false: it is no port's. */
static inline bool kvmb_hvsock_port(const struct kvmb_guid *g, u32 *port)
{
	const struct kvmb_guid any = KVMB_HVSOCK_GUID(0);

	*port = (u32)g->b[0] | (u32)g->b[1] << 8 | (u32)g->b[2] << 16 | (u32)g->b[3] << 24;
	return !memcmp(g->b + 4, any.b + 4, sizeof(g->b) - 4);
}

#endif
