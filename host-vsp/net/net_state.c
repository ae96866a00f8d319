// SPDX-License-Identifier: GPL-2.0-only
/* The NIC's own section: net_state.h. What its queues have in hand: net_state_queue.c. */
#include "host-vsp/net/net_state.h"

#include "host-vsp/net/net_priv.h"
#include "lib/tlv.h"
#include "lib/util.h"

/* Numbers are never used again: docs/migration.md. */
enum {			 /* of the section */
       F_STATE = 1,	 /* enum net_state */
       F_VERSION = 2,	 /* of NVSP, 0 = none yet */
       F_GUEST_MTU = 3,	 /* bytes, without the Ethernet header; 0 = not said */
       F_GUEST_CAPS = 4, /* of NDIS_CONFIG */
       F_QUEUES = 5,	 /* that the guest was told of */
       F_SUBS = 6,	 /* sub-channels granted */
       F_MTU = 7,	 /* largest that the guest may set */
       F_LINK = 8,	 /* the administrator's cable is in */
       F_LEAVING = 9,	 /* it is being removed */
       F_MAC = 10,	 /* 6 bytes, in use */
       F_OWN_MAC = 11,	 /* 6 bytes, the NIC's own */
       F_RECV_BUF = 12,	 /* handle of its page list; missing = none */
       F_SEND_BUF = 13,	 /* the same */
       F_RNDIS = 14,	 /* group */
       F_SECTIONS = 15,	 /* group, of the receive buffer */
       F_BY_TWIN = 16,	 /* 1: the guest has switched its frames to the twin; missing: it has not */
};

enum {			/* of F_RNDIS */
       R_OFFLOAD = 1,	/* the guest was offered checksums and segmentation */
       R_RSC = 2,	/* and coalesced frames */
       R_FILTER = 3,	/* KVMB_FILTER_* */
       R_MULTICAST = 4, /* addresses of 6 bytes */
       R_RSC4 = 5,	/* switched on by the guest */
       R_RSC6 = 6,
       R_RSS = 7, /* group; missing = off */
};

enum {		      /* of R_RSS */
       RSS_TYPES = 1, /* of hashes */
       RSS_KEY = 2,   /* 40 bytes */
       RSS_TABLE = 3, /* a byte each: queue */
};

enum {		   /* of F_SECTIONS */
       S_SIZE = 1, /* bytes of each */
       S_NUM = 2,
       S_PACKET = 3, /* group, one for each packet that the guest has */
};

enum {		       /* of S_PACKET */
       P_ID = 1,       /* transaction; its lower half is the first section */
       P_OWNER = 2,    /* queue */
       P_SECTIONS = 3, /* list */
};

/* ---- saving ---- */

static void save_rss(const struct kvmb_rss *rss, struct kvmb_tlv_out *o)
{
	kvmb_tlv_group(o, R_RSS);
	kvmb_tlv_put(o, RSS_TYPES, rss->hash_types);
	kvmb_tlv_put_bytes(o, RSS_KEY, rss->key, rss->key_len);
	kvmb_tlv_put_bytes(o, RSS_TABLE, rss->table, rss->num_entries);
	kvmb_tlv_group_end(o);
}

static void save_rndis(const struct kvmb_rndis *r, struct kvmb_tlv_out *o)
{
	kvmb_tlv_group(o, F_RNDIS);
	kvmb_tlv_put(o, R_OFFLOAD, r->caps.offload);
	kvmb_tlv_put(o, R_RSC, r->caps.rsc);
	kvmb_tlv_put(o, R_FILTER, r->packet_filter);
	kvmb_tlv_put_bytes(o, R_MULTICAST, r->multicast, r->num_multicast * sizeof(*r->multicast));
	kvmb_tlv_put(o, R_RSC4, r->rsc4);
	kvmb_tlv_put(o, R_RSC6, r->rsc6);
	if (r->rss.on)
		save_rss(&r->rss, o);
	kvmb_tlv_group_end(o);
}

static void save_packet(const struct net_sections *sec, u16 first, struct kvmb_tlv_out *o)
{
	u64 list[NET_RX_RANGES];
	u32 n = 0;
	u16 s;

	for (s = first; s != NET_NO_SECTION; s = sec->next[s]) {
		kvmb_assert(n < ARRAY_SIZE(list));
		list[n++] = s;
	}
	kvmb_tlv_group(o, S_PACKET);
	kvmb_tlv_put(o, P_ID, sec->id[first]);
	kvmb_tlv_put(o, P_OWNER, sec->owner[first]);
	kvmb_tlv_put_list(o, P_SECTIONS, list, n);
	kvmb_tlv_group_end(o);
}

static void save_sections(const struct net_sections *sec, struct kvmb_tlv_out *o)
{
	u32 s;

	kvmb_tlv_group(o, F_SECTIONS);
	kvmb_tlv_put(o, S_SIZE, sec->size);
	kvmb_tlv_put(o, S_NUM, sec->num);
	for (s = 0; s < sec->num; s++) {
		if (sec->id[s])
			save_packet(sec, (u16)s, o);
	}
	kvmb_tlv_group_end(o);
}

void kvmb_net_save(struct kvmb_net *n, struct kvmb_tlv_out *o)
{
	net_lock_all(n);
	kvmb_tlv_begin(o, KVMB_SEC_NET, n->spec.index, KVMB_TLV_CRITICAL);
	kvmb_tlv_put(o, F_STATE, n->state);
	kvmb_tlv_put(o, F_VERSION, n->version);
	kvmb_tlv_put(o, F_GUEST_MTU, n->guest_mtu);
	kvmb_tlv_put(o, F_GUEST_CAPS, n->guest_caps);
	kvmb_tlv_put(o, F_QUEUES, n->num_queues);
	kvmb_tlv_put(o, F_SUBS, n->num_subs);
	kvmb_tlv_put(o, F_MTU, n->spec.mtu);
	kvmb_tlv_put(o, F_LINK, n->link);
	kvmb_tlv_put(o, F_LEAVING, n->removed || n->leaving);
	kvmb_tlv_put_bytes(o, F_MAC, n->rndis.mac, sizeof(n->rndis.mac));
	kvmb_tlv_put_bytes(o, F_OWN_MAC, n->rndis.permanent_mac, sizeof(n->rndis.permanent_mac));
	if (n->by_twin)
		kvmb_tlv_put(o, F_BY_TWIN, 1);
	if (n->recv.gpadl)
		kvmb_tlv_put(o, F_RECV_BUF, n->recv.id);
	if (n->send.gpadl)
		kvmb_tlv_put(o, F_SEND_BUF, n->send.id);
	save_rndis(&n->rndis, o);
	if (n->recv.gpadl)
		save_sections(&n->sec, o);
	kvmb_tlv_end(o);
	net_unlock_all(n);
}

/* ---- loading ---- */

/* A group that there must be. */
static void one_group(struct kvmb_tlv *t, unsigned int field, struct kvmb_tlv *group)
{
	size_t pos = 0;

	if (!kvmb_tlv_each(t, field, &pos, group))
		kvmb_tlv_refuse(t, field, "it is missing");
}

static void load_rss(struct kvmb_net *n, struct kvmb_tlv *t)
{
	struct kvmb_rss *rss = &n->rndis.rss;
	const u8 *table;
	size_t num, i;

	memset(rss, 0, sizeof(*rss));
	rss->hash_types = (u32)kvmb_tlv_get(t, RSS_TYPES, KVMB_NDIS_RSS_HASH_TYPES) &
			  KVMB_NDIS_RSS_HASH_TYPES;
	kvmb_tlv_copy(t, RSS_KEY, rss->key, sizeof(rss->key));
	table = kvmb_tlv_get_bytes(t, RSS_TABLE, &num);
	if (!num || num > sizeof(rss->table))
		kvmb_tlv_refuse(t, RSS_TABLE, "its size is out of range");
	for (i = 0; !t->error->err && i < num; i++) {
		rss->table[i] = table[i];
		if (table[i] >= n->num_queues)
			kvmb_tlv_refuse(t, RSS_TABLE, "it names a queue that there is not");
	}
	rss->key_len = sizeof(rss->key);
	rss->num_entries = (u16)num;
	rss->on = true;
	kvmb_tlv_done(t);
}

static void load_multicast(struct kvmb_rndis *r, struct kvmb_tlv *t)
{
	const u8 *list;
	size_t len;

	list = kvmb_tlv_get_bytes(t, R_MULTICAST, &len);
	if (len % sizeof(*r->multicast) || len > sizeof(r->multicast))
		kvmb_tlv_refuse(t, R_MULTICAST, "it is no list of addresses");
	else if (len)
		memcpy(r->multicast, list, len);
	r->num_multicast = (u32)(len / sizeof(*r->multicast));
}

static void load_rndis(struct kvmb_net *n, struct kvmb_tlv *t)
{
	struct kvmb_rndis *r = &n->rndis;
	struct kvmb_tlv rss;
	size_t pos = 0;

	r->caps.offload = kvmb_tlv_get(t, R_OFFLOAD, 1);
	r->caps.rsc = kvmb_tlv_get(t, R_RSC, 1);
	if ((r->caps.offload || r->caps.rsc) && !n->backend->vnet)
		kvmb_tlv_refuse(t, R_OFFLOAD, "this network cannot do what the guest was offered");
	r->packet_filter = (u32)kvmb_tlv_get(t, R_FILTER, UINT32_MAX);
	load_multicast(r, t);
	r->rsc4 = kvmb_tlv_get(t, R_RSC4, 1);
	r->rsc6 = kvmb_tlv_get(t, R_RSC6, 1);
	if ((r->rsc4 || r->rsc6) && !r->caps.rsc)
		kvmb_tlv_refuse(t, R_RSC, "it is switched on, and was not offered");
	if (kvmb_tlv_each(t, R_RSS, &pos, &rss))
		load_rss(n, &rss);
	kvmb_tlv_done(t);
}

/*
 * Give sections to a queue, linked in this order.
 * Return: false: one is out of range or has been given before.
 */
bool net_sections_claim(struct net_sections *sec, u32 owner, const u64 *list, size_t num)
{
	size_t i;

	for (i = 0; i < num; i++) {
		if (list[i] >= sec->num || sec->owner[list[i]] != NET_NO_OWNER)
			return false;
		sec->owner[list[i]] = (u8)owner;
		sec->next[list[i]] = i + 1 < num ? (u16)list[i + 1] : NET_NO_SECTION;
	}
	return true;
}

static void load_packet(struct kvmb_net *n, struct kvmb_tlv *t)
{
	u32 id = (u32)kvmb_tlv_get(t, P_ID, UINT32_MAX);
	u32 owner = (u32)kvmb_tlv_get(t, P_OWNER, n->num_queues - 1);
	size_t num;
	u64 *list = kvmb_tlv_get_list(t, P_SECTIONS, NET_RX_RANGES, &num);

	if (!num || list[0] != (u16)id || !(id >> 16))
		kvmb_tlv_refuse(t, P_ID, "it is not of its sections");
	else if (!net_sections_claim(&n->sec, owner, list, num))
		kvmb_tlv_refuse(t, P_SECTIONS, "one is out of range, or named twice");
	else
		n->sec.id[(u16)id] = id;
	free(list);
	kvmb_tlv_done(t);
}

static void load_sections(struct kvmb_net *n, struct kvmb_tlv *t)
{
	struct net_sections *sec = &n->sec;
	struct kvmb_tlv packet;
	size_t pos = 0;

	sec->size = (u32)kvmb_tlv_get(t, S_SIZE, NET_SECTION_MAX);
	sec->num = (u32)kvmb_tlv_get(t, S_NUM, NET_NO_SECTION - 1);
	if (sec->size < net_section_least(n))
		kvmb_tlv_refuse(t, S_SIZE, "a frame does not fit");
	if (sec->num < 2)
		kvmb_tlv_refuse(t, S_NUM, "there are too few");
	if ((n->rndis.rsc4 || n->rndis.rsc6) && !t->error->err && !net_coalesced_fit(n))
		kvmb_tlv_refuse(t, S_SIZE, "coalesced frames do not fit");
	if (!t->error->err && net_sections_alloc(sec))
		kvmb_tlv_refuse(t, S_NUM, "no memory");
	while (kvmb_tlv_each(t, S_PACKET, &pos, &packet))
		load_packet(n, &packet);
	kvmb_tlv_done(t);
}

/* What the guest's driver has agreed with us. */
static void load_agreed(struct kvmb_net *n, struct kvmb_tlv *t)
{
	enum net_state state = (enum net_state)kvmb_tlv_get(t, F_STATE, NET_NUM_STATES - 1);

	if (state != NET_CLOSED)
		net_state_to(n, NET_VERSIONED);
	net_state_to(n, state);
	n->version = (u32)kvmb_tlv_get(t, F_VERSION, KVMB_NVSP_V61);
	n->guest_mtu = (u32)kvmb_tlv_get(t, F_GUEST_MTU, KVMB_NET_MTU_MAX);
	if (n->state != NET_CLOSED && n->guest_mtu < KVMB_NET_MTU_MIN)
		kvmb_tlv_refuse(t, F_GUEST_MTU, "it is too small");
	n->guest_caps = kvmb_tlv_get(t, F_GUEST_CAPS, UINT64_MAX);
	n->num_queues = (u32)kvmb_tlv_get(t, F_QUEUES, n->num_queues);
	if (!n->num_queues) {
		n->num_queues = 1;
		kvmb_tlv_refuse(t, F_QUEUES, "there is none");
	}
	n->rndis.caps.num_queues = n->num_queues;
	n->num_subs = (u32)kvmb_tlv_get(t, F_SUBS, n->num_queues - 1);
}

/* The address decides what the guest may send, so it is not the stream that says it. */
static void load_addresses(struct kvmb_net *n, struct kvmb_tlv *t)
{
	u8 own[6];

	kvmb_tlv_copy(t, F_OWN_MAC, own, sizeof(own));
	if (memcmp(own, n->rndis.permanent_mac, sizeof(own)))
		kvmb_tlv_refuse(t, F_OWN_MAC, "the NIC has another address here");
	kvmb_tlv_copy(t, F_MAC, n->rndis.mac, sizeof(n->rndis.mac));
	if (n->rndis.mac[0] & 1 || (!n->spec.mac_spoof && memcmp(own, n->rndis.mac, sizeof(own))))
		kvmb_tlv_refuse(t, F_MAC, "the guest may not have set it");
}

static void load_buffer(struct kvmb_net *n, struct kvmb_tlv *t, unsigned int field,
			struct net_buf *b)
{
	b->owed = kvmb_tlv_has(t, field);
	if (!b->owed)
		return;
	b->id = (u32)kvmb_tlv_get(t, field, UINT32_MAX);
	if (n->state == NET_CLOSED)
		kvmb_tlv_refuse(t, field, "nothing has been agreed yet");
}

static bool is_untouched(const struct kvmb_net *n)
{
	unsigned int i;

	for (i = 0; i < n->num_queues && !n->slots[i].q; i++)
		;
	return i == n->num_queues && n->state == NET_CLOSED;
}

void kvmb_net_load_owner(struct kvmb_net *n)
{
	n->twin->let_go(n->twin_arg);
	kvmb_net_set_path(n->backend, KVMB_NET_SYNTHETIC);
}

int kvmb_net_load(struct kvmb_net *n, struct kvmb_tlv *t)
{
	struct kvmb_tlv group;
	int err;

	if (!is_untouched(n)) {
		kvmb_tlv_refuse(t, F_STATE, "it comes too late, or twice");
		return t->error->err;
	}
	load_agreed(n, t);
	if (n->twin && net_owns_backend(n) && n->state == NET_CLOSED)
		kvmb_tlv_refuse(t, F_STATE, "it has the network, and no driver");
	n->by_twin = n->twin && kvmb_tlv_has(t, F_BY_TWIN) && kvmb_tlv_get(t, F_BY_TWIN, 1);
	n->spec.mtu = (u32)kvmb_tlv_get(t, F_MTU, KVMB_NET_MTU_MAX);
	if (n->spec.mtu < KVMB_NET_MTU_MIN)
		kvmb_tlv_refuse(t, F_MTU, "it is too small");
	n->rndis.caps.max_mtu = n->spec.mtu;
	n->link = kvmb_tlv_get(t, F_LINK, 1);
	n->leaving = kvmb_tlv_get(t, F_LEAVING, 1);
	load_addresses(n, t);
	load_buffer(n, t, F_RECV_BUF, &n->recv);
	load_buffer(n, t, F_SEND_BUF, &n->send);
	one_group(t, F_RNDIS, &group);
	load_rndis(n, &group);
	if (n->recv.owed) {
		one_group(t, F_SECTIONS, &group);
		load_sections(n, &group);
	}
	err = kvmb_tlv_done(t);
	if (!err && net_owns_backend(n))
		net_tell_backend(n);
	net_look(n);
	return err;
}

bool kvmb_net_is_leaving(const struct kvmb_net *n)
{
	return n->leaving;
}
