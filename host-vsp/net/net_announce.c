// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tell the network where a NIC is now.
 *
 * A guest that goes on elsewhere does not know, and may be silent for long; meanwhile switches send
 * its frames to where it was. So we send a few frames from its address: RARP requests ("who am
 * I?"), which switches learn from, and to which nobody needs an answer. Several, because the first
 * may come before a bridge forwards.
 *
 * Sources: RFC 903.
 */
#include <string.h>

#include "host-vsp/net/net_priv.h"
#include "host-vsp/vsp.h"

#define ROUNDS 5u
#define FIRST_MS 50u
#define STEP_MS 100u  /* each pause is so much longer than the one before */
#define FRAME_MIN 60u /* of Ethernet, without its checksum */

static u32 put_be16(u8 *p, u32 at, u16 v)
{
	p[at] = (u8)(v >> 8);
	p[at + 1] = (u8)v;
	return at + 2;
}

/* Return: bytes of @p[FRAME_MIN + NET_VLAN_LEN], padded. */
static u32 rarp_request(const struct kvmb_net *n, u16 vlan, u8 *p)
{
	const u8 *mac = net_owns_backend(n) ? n->rndis.mac : n->rndis.permanent_mac;
	u32 at = 12;

	memset(p, 0, FRAME_MIN + NET_VLAN_LEN);
	memset(p, 0xff, 6);
	memcpy(p + 6, mac, 6);
	if (vlan) {
		at = put_be16(p, at, 0x8100);
		at = put_be16(p, at, vlan);
	}
	at = put_be16(p, at, 0x8035); /* RARP */
	at = put_be16(p, at, 1);      /* of Ethernet */
	at = put_be16(p, at, 0x0800); /* and IPv4 */
	at = put_be16(p, at, 6 << 8 | 4);
	at = put_be16(p, at, 3); /* request */
	memcpy(p + at, mac, 6);	 /* who asks, and (behind its IP address) of whom */
	memcpy(p + at + 10, mac, 6);
	return FRAME_MIN + (vlan ? NET_VLAN_LEN : 0);
}

/*
 * Between two turns of the worker the backend's queue has nothing in hand. Return: false: it is in
 * the middle of one, and may wait for memory.
 */
static bool send_one(struct kvmb_net *n)
{
	struct kvmb_net_backend *b = n->backend;
	struct virtio_net_hdr vnet = { 0 };
	u8 frame[FRAME_MIN + NET_VLAN_LEN];
	struct iovec iov[2];
	u32 len;

	if (n->bus && kvmb_bus_paused(n->bus))
		return true; /* it may move on, and be announced elsewhere */
	if (!net_slot_try(&n->slots[0]))
		return false;
	if (!net_owns_backend(n)) {
		len = rarp_request(n, 0, frame);
		n->twin->announce(n->twin_arg, frame, len);
	} else if (n->state == NET_UP && net_link_up(n)) {
		len = rarp_request(n, n->spec.vlan, frame);
		iov[1] = (struct iovec){ frame, len };
		if (!b->ops->send(b, 0, &vnet, iov, 2, len)) /* if it is full, it is heard of */
			b->ops->commit(b, 0);
	}
	net_slot_unlock(&n->slots[0]);
	return true;
}

void net_announce_again(void *arg)
{
	struct kvmb_net *n = arg;

	n->announced += send_one(n);
	if (n->announced < ROUNDS)
		kvmb_timer_set(&n->announce_timer, FIRST_MS + n->announced * STEP_MS);
}

void kvmb_net_announce(struct kvmb_net *n)
{
	if (n->backend->ops->revive)
		return; /* behind a passt there is no switch */
	n->announced = 0;
	kvmb_timer_set(&n->announce_timer, FIRST_MS);
}
