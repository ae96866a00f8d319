// SPDX-License-Identifier: GPL-2.0-only
/* Saving and loading the bus: bus_state.h. Fields of the section: below, and docs/migration.md. */
#include "host-vsp/bus/bus_state.h"

#include "host-vsp/bus/bus_priv.h"
#include "lib/tlv.h"

/* Of the section. Numbers are never used again. */
enum {
	BUS_STATE = 1,	   /* enum kvmb_conn_state, not DISCONNECTING */
	BUS_VERSION = 2,   /* KVMB_VERSION_*, 0 before contact */
	BUS_TARGET_VP = 3, /* of control messages */
	BUS_INT_PAGE = 4,  /* guest address; below 5.0 */
	BUS_RX = 5,	   /* group: a message of the guest that was not looked at; in order */
	BUS_TX = 6,	   /* group: a message to the guest that had no slot; in order */
	BUS_GPADL = 7,	   /* group: a page list */
	BUS_CHAN = 8,	   /* group: a channel that the guest knows; a primary before its subs */
};

enum {		     /* of a message */
       MSG_CONN = 1, /* connection that it was posted to; RX */
       MSG_BYTES = 2,
};

enum { /* of a page list */
       GPADL_ID = 1,
       GPADL_RELID = 2,
       GPADL_STATE = 3, /* enum kvmb_gpadl_state */
       GPADL_PAGES = 4, /* promised; as many in GFNS unless it is ASSEMBLING */
       GPADL_GFNS = 5,
};

enum {		      /* of a channel */
       CHAN_TYPE = 1, /* GUID; with the next two, the key */
       CHAN_INSTANCE = 2,
       CHAN_INDEX = 3, /* 0 = primary */
       CHAN_STATE = 4, /* enum kvmb_chan_state: OFFERED, OPEN or REVOKED */
       CHAN_RELID = 5,
       CHAN_CONN = 6, /* event connection */
       /* OPEN */
       CHAN_TARGET_VP = 7,
       CHAN_FAILED = 8,	   /* 1: the guest broke the protocol */
       CHAN_SUBS = 9,	   /* sub-channels that the provider wants */
       CHAN_USER = 10,	   /* 120 bytes of the guest's OPENCHANNEL */
       CHAN_RING = 11,	   /* page list of the rings */
       CHAN_DOWN = 12,	   /* first page of it that is host to guest */
       CHAN_PROVIDER = 13, /* group: the provider's; its *_state.c */
};

static_assert(KVMB_CONN_DISCONNECTED == 0 && KVMB_CONN_CONNECTED == 1 && KVMB_CONN_OFFERED == 2,
	      "saved numbers");
static_assert(KVMB_CHAN_OFFERED == 1 && KVMB_CHAN_OPEN == 2 && KVMB_CHAN_REVOKED == 5,
	      "saved numbers");
static_assert(KVMB_GPADL_ASSEMBLING == 0 && KVMB_GPADL_CREATED == 1 && KVMB_GPADL_TEARING == 2,
	      "saved numbers");

/*
 * An offer and a RESCIND for each channel and a TORNDOWN for each list may wait, and a turn's
 * answers.
 */
#define MAX_TX (2 * KVMB_MAX_RELID + KVMB_GPADL_MAX_COUNT + 1024u)

/* ---- saving ---- */

/*
 * Of a transient device: the guest hears of its end when it goes on elsewhere, and nothing when it
 * goes on here.
 */
static bool ends_with_move(const struct kvmb_chan *ch)
{
	return ch->offer.ops->transient &&
	       (ch->state == KVMB_CHAN_OFFERED || ch->state == KVMB_CHAN_OPEN);
}

static void save_rescinds(const struct kvmb_bus *bus, struct kvmb_tlv_out *o)
{
	struct kvmb_wire_relid m = { .h.type = cpu_to_le32(KVMB_MSG_RESCIND) };
	const struct kvmb_chan *ch;

	for (ch = bus->chans; ch; ch = ch->next) {
		if (!ends_with_move(ch))
			continue;
		m.relid = cpu_to_le32(ch->relid);
		kvmb_tlv_group(o, BUS_TX);
		kvmb_tlv_put_bytes(o, MSG_BYTES, &m, sizeof(m));
		kvmb_tlv_group_end(o);
	}
}

static void save_messages(struct kvmb_bus *bus, struct kvmb_tlv_out *o)
{
	const struct kvmb_out_msg *out;
	const struct kvmb_in_msg *in;
	u32 i;

	pthread_mutex_lock(&bus->lock);
	for (i = 0; i < bus->rx_len; i++) {
		in = &bus->rx[(bus->rx_head + i) % KVMB_RX_QUEUE];
		kvmb_tlv_group(o, BUS_RX);
		kvmb_tlv_put(o, MSG_CONN, in->conn_id);
		kvmb_tlv_put_bytes(o, MSG_BYTES, in->buf, in->len);
		kvmb_tlv_group_end(o);
	}
	pthread_mutex_unlock(&bus->lock);
	for (out = bus->tx_head; out; out = out->next) {
		kvmb_tlv_group(o, BUS_TX);
		kvmb_tlv_put_bytes(o, MSG_BYTES, out->buf, out->len);
		kvmb_tlv_group_end(o);
	}
	save_rescinds(bus, o); /* behind the offers */
}

static void save_gpadl(const struct kvmb_gpadl *g, struct kvmb_tlv_out *o)
{
	kvmb_tlv_group(o, BUS_GPADL);
	kvmb_tlv_put(o, GPADL_ID, g->id);
	kvmb_tlv_put(o, GPADL_RELID, g->relid);
	kvmb_tlv_put(o, GPADL_STATE, g->state);
	kvmb_tlv_put(o, GPADL_PAGES, g->num_pages);
	kvmb_tlv_put_list(o, GPADL_GFNS, g->gfns, g->filled);
	kvmb_tlv_group_end(o);
}

static void save_gpadls(struct kvmb_bus *bus, struct kvmb_tlv_out *o)
{
	const struct kvmb_gpadl *g;
	u32 i;

	pthread_mutex_lock(&bus->lock);
	for (i = 0; i < KVMB_GPADL_BUCKETS; i++) {
		for (g = bus->gpadls[i]; g; g = g->next)
			save_gpadl(g, o);
	}
	pthread_mutex_unlock(&bus->lock);
}

static void save_open(struct kvmb_chan *ch, struct kvmb_tlv_out *o)
{
	kvmb_tlv_put(o, CHAN_TARGET_VP, ch->target_vp);
	kvmb_tlv_put(o, CHAN_FAILED, __atomic_load_n(&ch->failed, __ATOMIC_ACQUIRE) != 0);
	kvmb_tlv_put(o, CHAN_SUBS, ch->subs_wanted);
	kvmb_tlv_put_bytes(o, CHAN_USER, ch->io.user, sizeof(ch->io.user));
	kvmb_tlv_put(o, CHAN_RING, ch->ring_gpadl->id);
	kvmb_tlv_put(o, CHAN_DOWN, ch->down);
	if (!ch->offer.ops->save)
		return;
	kvmb_tlv_group(o, CHAN_PROVIDER);
	ch->offer.ops->save(ch, o);
	kvmb_tlv_group_end(o);
}

static void save_chan(struct kvmb_chan *ch, struct kvmb_tlv_out *o)
{
	if (ch->state == KVMB_CHAN_HIDDEN)
		return; /* the guest has not heard of it */
	kvmb_tlv_group(o, BUS_CHAN);
	kvmb_tlv_put_bytes(o, CHAN_TYPE, &ch->offer.type, sizeof(ch->offer.type));
	kvmb_tlv_put_bytes(o, CHAN_INSTANCE, &ch->offer.instance, sizeof(ch->offer.instance));
	kvmb_tlv_put(o, CHAN_INDEX, ch->index);
	kvmb_tlv_put(o, CHAN_STATE, ends_with_move(ch) ? KVMB_CHAN_REVOKED : ch->state);
	kvmb_tlv_put(o, CHAN_RELID, ch->relid);
	kvmb_tlv_put(o, CHAN_CONN, ch->conn_id);
	if (ch->state == KVMB_CHAN_OPEN && !ends_with_move(ch))
		save_open(ch, o);
	kvmb_tlv_group_end(o);
}

void kvmb_bus_save(struct kvmb_bus *bus, struct kvmb_tlv_out *o)
{
	struct kvmb_chan *ch;

	kvmb_assert(kvmb_bus_stands(bus));
	kvmb_tlv_begin(o, KVMB_SEC_BUS, 0, KVMB_TLV_CRITICAL);
	kvmb_tlv_put(o, BUS_STATE, bus->state);
	kvmb_tlv_put(o, BUS_VERSION, bus->version);
	kvmb_tlv_put(o, BUS_TARGET_VP, bus->target_vp);
	if (bus->int_page)
		kvmb_tlv_put(o, BUS_INT_PAGE, bus->int_gpa);
	save_messages(bus, o);
	save_gpadls(bus, o);
	for (ch = bus->chans; ch; ch = ch->next)
		save_chan(ch, o);
	kvmb_tlv_end(o);
}

/* ---- loading ---- */

static int refuse(struct kvmb_tlv *t, unsigned int field, const char *why)
{
	kvmb_tlv_refuse(t, field, why);
	return t->error->err;
}

static int load_conn(struct kvmb_bus *bus, struct kvmb_tlv *t)
{
	u64 state = kvmb_tlv_get(t, BUS_STATE, KVMB_CONN_OFFERED);
	u64 version = kvmb_tlv_get(t, BUS_VERSION, UINT32_MAX);
	u64 vp = kvmb_tlv_get(t, BUS_TARGET_VP, bus->cfg.vmm->num_vps - 1);
	u64 page = kvmb_tlv_get_or(t, BUS_INT_PAGE, UINT64_MAX, UINT64_MAX);
	const char *why;

	if (t->error->err)
		return t->error->err;
	why = kvmb_bus_load_conn(bus, (enum kvmb_conn_state)state, (u32)version, page);
	if (why)
		return refuse(t, BUS_VERSION, why);
	bus->target_vp = (u32)vp;
	return 0;
}

static int load_rx(struct kvmb_bus *bus, struct kvmb_tlv *t)
{
	struct kvmb_in_msg *in;
	struct kvmb_tlv g;
	const u8 *bytes;
	size_t pos = 0, len;
	u64 conn;

	while (kvmb_tlv_each(t, BUS_RX, &pos, &g)) {
		conn = kvmb_tlv_get(&g, MSG_CONN, UINT32_MAX);
		bytes = kvmb_tlv_get_bytes(&g, MSG_BYTES, &len);
		if (kvmb_tlv_done(&g))
			break;
		if (len > HV_MESSAGE_PAYLOAD_MAX)
			return refuse(t, BUS_RX, "a message is too long");
		pthread_mutex_lock(&bus->lock);
		in = bus->rx_len < KVMB_RX_QUEUE ?
			     &bus->rx[(bus->rx_head + bus->rx_len++) % KVMB_RX_QUEUE] :
			     NULL;
		if (in) {
			*in = (struct kvmb_in_msg){ .conn_id = (u32)conn, .len = (u32)len };
			memcpy(in->buf, bytes, len);
		}
		pthread_mutex_unlock(&bus->lock);
		if (!in)
			return refuse(t, BUS_RX, "there are too many messages");
	}
	return t->error->err;
}

static int load_tx(struct kvmb_bus *bus, struct kvmb_tlv *t)
{
	struct kvmb_tlv g;
	const u8 *bytes;
	size_t pos = 0, len;

	while (kvmb_tlv_each(t, BUS_TX, &pos, &g)) {
		bytes = kvmb_tlv_get_bytes(&g, MSG_BYTES, &len);
		if (kvmb_tlv_done(&g))
			break;
		if (len < sizeof(struct kvmb_wire_msg) || len > HV_MESSAGE_PAYLOAD_MAX)
			return refuse(t, BUS_TX, "a message is too short or too long");
		if (bus->tx_len >= MAX_TX)
			return refuse(t, BUS_TX, "there are too many messages");
		kvmb_bus_queue(bus, bytes, (u32)len);
	}
	return t->error->err;
}

static int load_gpadl(struct kvmb_bus *bus, struct kvmb_tlv *t, struct kvmb_tlv *g)
{
	u32 id = (u32)kvmb_tlv_get(g, GPADL_ID, UINT32_MAX);
	u32 relid = (u32)kvmb_tlv_get(g, GPADL_RELID, KVMB_MAX_RELID);
	u64 state = kvmb_tlv_get(g, GPADL_STATE, KVMB_GPADL_TEARING);
	u32 pages = (u32)kvmb_tlv_get(g, GPADL_PAGES, KVMB_GPADL_MAX_TOTAL_PAGES);
	size_t filled;
	u64 *gfns = kvmb_tlv_get_list(g, GPADL_GFNS, pages, &filled);
	const char *why = NULL;

	if (!kvmb_tlv_done(g)) {
		if (!relid || !pages || (filled == pages) != (state != KVMB_GPADL_ASSEMBLING))
			why = "its channel or the number of its pages cannot be";
		else
			why = kvmb_gpadl_load(bus, id, relid, pages, gfns, (u32)filled);
	}
	free(gfns);
	return why ? refuse(t, BUS_GPADL, why) : g->error->err;
}

static int load_gpadls(struct kvmb_bus *bus, struct kvmb_tlv *t)
{
	struct kvmb_tlv g;
	size_t pos = 0;

	while (kvmb_tlv_each(t, BUS_GPADL, &pos, &g)) {
		if (bus->state != KVMB_CONN_OFFERED)
			return refuse(t, BUS_GPADL, "a guest without offers has none");
		if (load_gpadl(bus, t, &g))
			break;
	}
	return t->error->err;
}

/* After the channels: those whose list was to be torn down had to find it first. */
static void load_teardowns(struct kvmb_bus *bus, struct kvmb_tlv *t)
{
	struct kvmb_tlv g;
	size_t pos = 0;

	while (kvmb_tlv_each(t, BUS_GPADL, &pos, &g)) {
		if (kvmb_tlv_get(&g, GPADL_STATE, KVMB_GPADL_TEARING) == KVMB_GPADL_TEARING)
			kvmb_gpadl_load_teardown(bus, (u32)kvmb_tlv_get(&g, GPADL_ID, UINT32_MAX));
	}
}

/* ---- channels ---- */

struct chan_key {
	struct kvmb_guid type, instance;
	u16 index;
};

static struct kvmb_chan *find_chan(struct kvmb_bus *bus, const struct chan_key *k, u16 index)
{
	struct kvmb_chan *ch;

	for (ch = bus->chans; ch; ch = ch->next) {
		if (!ch->going && ch->index == index &&
		    kvmb_guid_equal(&ch->offer.type, &k->type) &&
		    kvmb_guid_equal(&ch->offer.instance, &k->instance))
			return ch;
	}
	return NULL;
}

/* A channel whose device has gone: only its number is left, until the guest releases it. */
static struct kvmb_chan *make_revoked(struct kvmb_bus *bus, const struct chan_key *k)
{
	static const struct kvmb_vsp_ops none = { .name = "none" };
	struct kvmb_offer offer = {
		.type = k->type, .instance = k->instance, .name = "revoked", .ops = &none
	};
	struct kvmb_chan *ch = kvmb_chan_add(bus, &offer, NULL, k->index);

	ch->going = true;
	return ch;
}

/* Return: the channel of this key, hidden; NULL and *why. */
static struct kvmb_chan *get_chan(struct kvmb_bus *bus, const struct chan_key *k,
				  enum kvmb_chan_state state, const char **why)
{
	struct kvmb_chan *ch, *primary;

	if (state == KVMB_CHAN_REVOKED)
		return make_revoked(bus, k);
	ch = find_chan(bus, k, k->index);
	if (!k->index) {
		*why = !ch	 ? "there is no such device" :
		       ch->relid ? "the device comes twice" :
				   NULL;
		return *why ? NULL : ch;
	}
	primary = find_chan(bus, k, 0);
	if (ch)
		*why = "the sub-channel comes twice";
	else if (!primary || primary->state != KVMB_CHAN_OPEN || k->index > primary->subs_wanted)
		*why = "nobody has asked for this sub-channel";
	return *why ? NULL : kvmb_chan_add(bus, &primary->offer, primary, k->index);
}

static int load_provider(struct kvmb_chan *ch, struct kvmb_tlv *g)
{
	struct kvmb_tlv p;
	size_t pos = 0;

	if (!ch->offer.ops->load)
		return 0;
	if (!kvmb_tlv_each(g, CHAN_PROVIDER, &pos, &p))
		return refuse(g, CHAN_PROVIDER, "the provider's part is missing");
	return ch->offer.ops->load(ch, &p);
}

static int load_open(struct kvmb_chan *ch, struct kvmb_tlv *g)
{
	struct kvmb_wire_open m = { 0 };
	u64 vp = kvmb_tlv_get(g, CHAN_TARGET_VP, UINT32_MAX);
	u64 failed = kvmb_tlv_get(g, CHAN_FAILED, 1);
	u64 subs = kvmb_tlv_get(g, CHAN_SUBS, KVMB_MAX_RELID);
	const char *why;

	m.target_vp = cpu_to_le32((u32)vp);
	m.ring_gpadl = cpu_to_le32((u32)kvmb_tlv_get(g, CHAN_RING, UINT32_MAX));
	m.downstream_page = cpu_to_le32((u32)kvmb_tlv_get(g, CHAN_DOWN, KVMB_RING_MAX_PAGES));
	kvmb_tlv_copy(g, CHAN_USER, m.user, sizeof(m.user));
	/* who has nothing of a channel to load has one channel, and its device counts on it */
	if (subs && !ch->offer.ops->load)
		kvmb_tlv_refuse(g, CHAN_SUBS, "such a device has no sub-channels");
	if (g->error->err)
		return g->error->err;
	why = kvmb_chan_open_as(ch, &m);
	if (why)
		return refuse(g, CHAN_RING, why);
	/* the guest may have moved it since it opened it */
	ch->target_vp = (u32)vp;
	ch->failed = (int)failed;
	ch->subs_wanted = (u16)subs;
	return load_provider(ch, g);
}

static int load_chan(struct kvmb_bus *bus, struct kvmb_tlv *g)
{
	u64 state = kvmb_tlv_get(g, CHAN_STATE, KVMB_CHAN_REVOKED);
	u64 relid = kvmb_tlv_get(g, CHAN_RELID, KVMB_MAX_RELID);
	u64 conn = kvmb_tlv_get(g, CHAN_CONN, UINT32_MAX);
	const char *why = NULL;
	struct kvmb_chan *ch;
	struct chan_key k;
	bool took;

	k.index = (u16)kvmb_tlv_get(g, CHAN_INDEX, UINT16_MAX);
	kvmb_tlv_copy(g, CHAN_TYPE, &k.type, sizeof(k.type));
	kvmb_tlv_copy(g, CHAN_INSTANCE, &k.instance, sizeof(k.instance));
	if (g->error->err)
		return g->error->err;
	if (state != KVMB_CHAN_OFFERED && state != KVMB_CHAN_OPEN && state != KVMB_CHAN_REVOKED)
		return refuse(g, CHAN_STATE, "a channel is never saved in this state");
	if (!relid || kvmb_chan_by_relid(bus, (u32)relid))
		return refuse(g, CHAN_RELID, "another channel has this number");
	ch = get_chan(bus, &k, (enum kvmb_chan_state)state, &why);
	if (!ch)
		return refuse(g, CHAN_INSTANCE, why);
	took = kvmb_chan_take_relid(ch, (u32)relid);
	kvmb_assert(took); /* kvmb_chan_by_relid() found none */
	kvmb_chan_set_state(ch, KVMB_CHAN_OFFERED);
	if (ch->conn_id != conn)
		return refuse(g, CHAN_CONN, "it is not the connection of this number");
	if (state == KVMB_CHAN_REVOKED)
		kvmb_chan_set_state(ch, KVMB_CHAN_REVOKED);
	return state == KVMB_CHAN_OPEN ? load_open(ch, g) : 0;
}

static int load_chans(struct kvmb_bus *bus, struct kvmb_tlv *t)
{
	struct kvmb_tlv g;
	size_t pos = 0;

	while (kvmb_tlv_each(t, BUS_CHAN, &pos, &g)) {
		if (bus->state != KVMB_CONN_OFFERED)
			return refuse(t, BUS_CHAN, "a guest without offers has none");
		if (load_chan(bus, &g) || kvmb_tlv_done(&g))
			break;
	}
	return t->error->err;
}

static void offer_new_devices(struct kvmb_bus *bus)
{
	struct kvmb_chan *ch;

	for (ch = bus->chans; ch && bus->state == KVMB_CONN_OFFERED; ch = ch->next) {
		if (ch->state == KVMB_CHAN_HIDDEN && !ch->index && !ch->going &&
		    !kvmb_chan_must_wait(ch))
			kvmb_chan_send_offer(ch);
	}
}

int kvmb_bus_load(struct kvmb_bus *bus, struct kvmb_tlv *t)
{
	kvmb_assert(bus->loading && bus->state == KVMB_CONN_DISCONNECTED);
	if (load_conn(bus, t) || load_rx(bus, t) || load_tx(bus, t) || load_gpadls(bus, t) ||
	    load_chans(bus, t))
		return t->error->err;
	load_teardowns(bus, t);
	if (kvmb_tlv_done(t))
		return t->error->err;
	offer_new_devices(bus);
	return 0;
}
