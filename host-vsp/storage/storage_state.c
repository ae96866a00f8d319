// SPDX-License-Identifier: GPL-2.0-only
/* Saving and loading a controller and what waits in its channels: storage_state.h. */
#include "host-vsp/storage/storage_state.h"

#include <sched.h>

#include "host-vsp/storage/storage_priv.h"
#include "lib/tlv.h"
#include "lib/util.h"

/* Of the section. Numbers are never used again. */
enum {
	STORAGE_STATE = 1,   /* enum stor_state */
	STORAGE_VERSION = 2, /* KVMB_STOR_V*, from VERSIONED on */
	STORAGE_UNIT = 3,    /* group: a unit */
};

enum { /* of a unit */
	UNIT_LUN = 1,
	UNIT_DVD = 2,	      /* 1: a DVD drive */
	UNIT_MEDIUM = 3,      /* 1: a disk, or a drive that is not empty */
	UNIT_UA = 4,	      /* bits, 1 << enum kvmb_ua */
	UNIT_WCE = 5,	      /* 1: the guest may cache writes */
	UNIT_PREVENT = 6,     /* 1: the guest has locked the medium */
	UNIT_TRAY_OPEN = 7,   /* 1: the guest has ejected it, and it is there yet */
	UNIT_MEDIA_EVENT = 8, /* enum kvmb_media_event */
	UNIT_PR_REGISTERED = 9,
	UNIT_PR_HELD = 10,
	UNIT_PR_KEY = 11,
	UNIT_PR_TYPE = 12,
	UNIT_PR_GENERATION = 13,
	/* with a medium */
	UNIT_SERIAL = 14,
	UNIT_NAA = 15,
	UNIT_BLOCK = 16,     /* bytes of a logical block */
	UNIT_BLOCKS = 17,
	UNIT_READ_ONLY = 18,
};

enum { /* of a channel: in its group in the section of the bus */
	CHAN_FAILED = 1,    /* 1: the guest broke the protocol; nothing waits then */
	CHAN_ENUMERATE = 2, /* 1: the guest is to be told to look at the bus */
	CHAN_REQUEST = 3,   /* group: a request to be executed anew */
	CHAN_ANSWER = 4,    /* group: an answer without room, in order */
};

enum { /* of a request or an answer */
	REQ_ID = 1,	/* transaction id */
	REQ_PACKET = 2, /* 48 to 64 bytes, as the guest sent it or gets it */
	/* of a request with a buffer */
	REQ_OFFSET = 3, /* into the first frame */
	REQ_BYTES = 4,
	REQ_GFNS = 5,	/* list */
};

static_assert(STOR_CLOSED == 0 && STOR_BEGUN == 1 && STOR_VERSIONED == 2 && STOR_READY == 3,
	      "saved numbers");
static_assert(KVMB_UA_NUM == 5, "a new attention needs a higher limit here");

static int refuse(struct kvmb_tlv *t, unsigned int field, const char *why)
{
	kvmb_tlv_refuse(t, field, why);
	return t->error->err;
}

/* ---- saving ---- */

/* A quiesce may just be told to workers; as all stand, each serves it as soon as it runs. */
static void wait_for_quiesce(const struct kvmb_storage *s)
{
	while (!stor_quiesce_served(s))
		sched_yield();
}

static void save_medium(const struct kvmb_disk *d, struct kvmb_tlv_out *o)
{
	kvmb_tlv_put_str(o, UNIT_SERIAL, d->serial);
	kvmb_tlv_put(o, UNIT_NAA, d->naa);
	kvmb_tlv_put(o, UNIT_BLOCK, d->block);
	kvmb_tlv_put(o, UNIT_BLOCKS, kvmb_disk_blocks(d));
	kvmb_tlv_put(o, UNIT_READ_ONLY, d->read_only);
}

static void save_unit(const struct kvmb_unit *u, u32 lun, struct kvmb_tlv_out *o)
{
	kvmb_tlv_group(o, STORAGE_UNIT);
	kvmb_tlv_put(o, UNIT_LUN, lun);
	kvmb_tlv_put(o, UNIT_DVD, u->dvd);
	kvmb_tlv_put(o, UNIT_MEDIUM, u->disk != NULL);
	kvmb_tlv_put(o, UNIT_UA, u->ua);
	kvmb_tlv_put(o, UNIT_WCE, u->wce != 0);
	kvmb_tlv_put(o, UNIT_PREVENT, u->prevent != 0);
	kvmb_tlv_put(o, UNIT_TRAY_OPEN, u->tray_open != 0);
	kvmb_tlv_put(o, UNIT_MEDIA_EVENT, (u64)u->media_event);
	kvmb_tlv_put(o, UNIT_PR_REGISTERED, u->pr.registered);
	kvmb_tlv_put(o, UNIT_PR_HELD, u->pr.held);
	kvmb_tlv_put(o, UNIT_PR_KEY, u->pr.key);
	kvmb_tlv_put(o, UNIT_PR_TYPE, u->pr.type);
	kvmb_tlv_put(o, UNIT_PR_GENERATION, u->pr.generation);
	if (u->disk)
		save_medium(u->disk, o);
	kvmb_tlv_group_end(o);
}

void kvmb_storage_save(struct kvmb_storage *s, struct kvmb_tlv_out *o)
{
	u32 i;

	wait_for_quiesce(s);
	kvmb_tlv_begin(o, KVMB_SEC_STORAGE, s->index, KVMB_TLV_CRITICAL);
	kvmb_tlv_put(o, STORAGE_STATE, stor_state(s));
	if (stor_state(s) >= STOR_VERSIONED)
		kvmb_tlv_put(o, STORAGE_VERSION, s->version);
	for (i = 0; i < KVMB_STORAGE_MAX_LUNS; i++) {
		if (s->luns[i])
			save_unit(&s->luns[i]->unit, i, o);
	}
	kvmb_tlv_end(o);
}

static void save_packet(const struct stor_req *r, struct kvmb_tlv_out *o)
{
	kvmb_tlv_put(o, REQ_ID, r->trans_id);
	kvmb_tlv_put_bytes(o, REQ_PACKET, &r->packet, r->packet_len);
}

static void save_requests(const struct stor_req *r, struct kvmb_tlv_out *o)
{
	for (; r; r = r->next) {
		kvmb_tlv_group(o, CHAN_REQUEST);
		save_packet(r, o);
		if (r->byte_count) {
			kvmb_tlv_put(o, REQ_OFFSET, r->byte_offset);
			kvmb_tlv_put(o, REQ_BYTES, r->byte_count);
			kvmb_tlv_put_list(o, REQ_GFNS, r->gfns, r->num_gfns);
		}
		kvmb_tlv_group_end(o);
	}
}

void stor_save_chan(struct kvmb_chan *ch, struct kvmb_tlv_out *o)
{
	const struct stor_chan *sc = kvmb_chan_io(ch)->priv;
	const struct stor_req *r;

	wait_for_quiesce(sc->s);
	kvmb_assert(!sc->loaded);
	kvmb_tlv_put(o, CHAN_FAILED, sc->failed);
	kvmb_tlv_put(o, CHAN_ENUMERATE, __atomic_load_n(&sc->enumerate, __ATOMIC_ACQUIRE) != 0);
	if (sc->failed)
		return;
	save_requests(sc->delayed, o);
	save_requests(sc->held, o);
	for (r = sc->answers; r; r = r->next) {
		kvmb_tlv_group(o, CHAN_ANSWER);
		save_packet(r, o);
		kvmb_tlv_group_end(o);
	}
}

/* ---- loading a controller ---- */

/* Of an image that is not open yet: it is checked when it is. */
static bool expect_size(struct kvmb_disk *d, u64 blocks)
{
	if (!blocks || blocks > INT64_MAX / d->block)
		return false;
	__atomic_store_n(&d->blocks, blocks, __ATOMIC_RELAXED);
	return true;
}

/* What is in the saved drive is what is in ours: it gets the identity that the guest knows. */
static const char *load_medium(struct kvmb_unit *u, struct kvmb_tlv *g)
{
	struct kvmb_disk *d = u->disk;
	char *serial = kvmb_tlv_get_str(g, UNIT_SERIAL, sizeof(d->serial) - 1), *p;
	u64 naa = kvmb_tlv_get(g, UNIT_NAA, UINT64_MAX);
	u64 block = kvmb_tlv_get(g, UNIT_BLOCK, UINT32_MAX);
	u64 blocks = kvmb_tlv_get(g, UNIT_BLOCKS, UINT64_MAX);
	bool read_only = kvmb_tlv_get(g, UNIT_READ_ONLY, 1);
	const char *why = NULL;

	for (p = serial; p && *p; p++) {
		if (*p < ' ' || *p > '~')
			why = "its serial number is not printable";
	}
	if (block != d->block)
		why = "its blocks have another size";
	else if (d->away && !expect_size(d, blocks))
		why = "there is no disk of that size";
	else if (blocks > kvmb_disk_blocks(d))
		why = "it is smaller than it was";
	else if (!read_only && d->read_only)
		why = "it is read-only, and was not";
	else if (read_only && !d->read_only)
		why = "it was read-only, and is not";
	if (!why && !g->error->err) {
		snprintf(d->serial, sizeof(d->serial), "%s", serial);
		d->naa = naa;
		if (blocks < kvmb_disk_blocks(d))
			kvmb_unit_attention(u, KVMB_UA_CAPACITY);
	}
	free(serial);
	return why;
}

static const char *load_unit(struct kvmb_unit *u, struct kvmb_tlv *g)
{
	struct kvmb_reservation *pr = &u->pr;
	bool medium;

	if (kvmb_tlv_get(g, UNIT_DVD, 1) != u->dvd)
		return u->dvd ? "it is a DVD drive, and was a disk" :
				"it is a disk, and was a DVD drive";
	medium = kvmb_tlv_get(g, UNIT_MEDIUM, 1);
	if (medium && !u->disk)
		return "it is empty, and had a medium";
	if (!medium && u->disk && !u->dvd)
		return "it has a medium, and was empty";
	u->ua = (u32)kvmb_tlv_get(g, UNIT_UA, (1u << KVMB_UA_NUM) - 1);
	u->wce = (int)kvmb_tlv_get(g, UNIT_WCE, 1);
	u->prevent = (int)kvmb_tlv_get(g, UNIT_PREVENT, 1);
	/* the guest has ejected it, and no option says so: go_on() has it taken away again */
	u->tray_open = (int)kvmb_tlv_get(g, UNIT_TRAY_OPEN, 1) || (!medium && u->disk);
	u->media_event = (int)kvmb_tlv_get(g, UNIT_MEDIA_EVENT, KVMB_MEDIA_REMOVED);
	pr->registered = kvmb_tlv_get(g, UNIT_PR_REGISTERED, 1);
	pr->held = kvmb_tlv_get(g, UNIT_PR_HELD, 1);
	pr->key = kvmb_tlv_get(g, UNIT_PR_KEY, UINT64_MAX);
	pr->type = (u8)kvmb_tlv_get(g, UNIT_PR_TYPE, 15);
	pr->generation = (u32)kvmb_tlv_get(g, UNIT_PR_GENERATION, UINT32_MAX);
	if (!kvmb_reservation_valid(pr))
		return "there cannot be such a reservation";
	return medium ? load_medium(u, g) : NULL;
}

static int load_units(struct kvmb_storage *s, struct kvmb_tlv *t)
{
	const char *why;
	struct kvmb_tlv g;
	size_t pos = 0;
	char text[100];
	u64 seen = 0;
	u32 i;

	while (kvmb_tlv_each(t, STORAGE_UNIT, &pos, &g)) {
		i = (u32)kvmb_tlv_get(&g, UNIT_LUN, KVMB_STORAGE_MAX_LUNS - 1);
		if (t->error->err)
			break;
		why = seen >> i & 1 ? "it comes twice" :
		      !s->luns[i]   ? "this VM does not have it" :
				      load_unit(&s->luns[i]->unit, &g);
		seen |= 1ull << i;
		snprintf(text, sizeof(text), "unit %u: %s", i, why ? why : "");
		if (t->error->err || (why && refuse(t, STORAGE_UNIT, text)) || kvmb_tlv_done(&g))
			break;
	}
	for (i = 0; i < KVMB_STORAGE_MAX_LUNS && !t->error->err; i++) {
		snprintf(text, sizeof(text), "unit %u: the saved VM did not have it", i);
		if (s->luns[i] && !(seen >> i & 1))
			refuse(t, STORAGE_UNIT, text);
	}
	return t->error->err;
}

/* What was on its way to the bus thread, and a clock that ran. */
static void go_on(struct kvmb_storage *s)
{
	struct kvmb_unit *u;
	u32 i;

	for (i = 0; i < KVMB_STORAGE_MAX_LUNS; i++) {
		u = s->luns[i] ? &s->luns[i]->unit : NULL;
		if (u && u->tray_open)
			__atomic_fetch_or(&s->ejected, 1ull << i, __ATOMIC_RELEASE);
		if (u && u->ua & 1u << KVMB_UA_CAPACITY)
			kvmb_timer_set(&s->look, STOR_LOOK_MS);
	}
	kvmb_loop_post(s->loop, &s->work);
}

int kvmb_storage_load(struct kvmb_storage *s, struct kvmb_tlv *t)
{
	enum stor_state state = (enum stor_state)kvmb_tlv_get(t, STORAGE_STATE, STOR_READY);
	u64 version = 0;

	kvmb_assert(!s->chans);
	if (state >= STOR_VERSIONED)
		version = kvmb_tlv_get(t, STORAGE_VERSION, UINT16_MAX);
	if (t->error->err)
		return t->error->err;
	if (!stor_load_state(s, state, (u16)version))
		return refuse(t, STORAGE_VERSION, "this version of the protocol is not known");
	if (load_units(s, t) || kvmb_tlv_done(t))
		return t->error->err;
	go_on(s);
	return 0;
}

/* ---- loading a channel ---- */

/* Return: NULL, or why there is no such request. */
static const char *load_buffer(struct stor_chan *sc, struct stor_req *r, struct kvmb_tlv *g)
{
	struct kvmb_gm *gm = kvmb_bus_vmm(kvmb_chan_bus(sc->ch))->gm;
	u64 bytes = kvmb_tlv_get_or(g, REQ_BYTES, KVMB_SCSI_MAX_TRANSFER, 0);
	u64 offset = bytes ? kvmb_tlv_get(g, REQ_OFFSET, KVMB_PAGE_SIZE - 1) : 0;
	u64 *gfns = NULL;
	u32 pages = 0, i;
	size_t num = 0;

	if (bytes)
		gfns = kvmb_tlv_get_list(g, REQ_GFNS, STOR_MAX_PAGES, &num);
	if (g->error->err)
		return NULL;
	for (i = 0; i < num && kvmb_gm_gfn_valid(gm, gfns[i]); i++)
		r->gfns[i] = gfns[i];
	free(gfns);
	if (i < num)
		return "its buffer is outside RAM";
	if (bytes && (kvmb_gparange_pages((u32)bytes, (u32)offset, &pages) || pages != num))
		return "its buffer has another number of pages";
	r->byte_count = (u32)bytes;
	r->byte_offset = (u32)offset;
	r->num_gfns = pages;
	return NULL;
}

static const char *load_packet(struct stor_req *r, struct kvmb_tlv *g)
{
	const u8 *packet;
	size_t len;

	r->trans_id = kvmb_tlv_get(g, REQ_ID, UINT64_MAX);
	packet = kvmb_tlv_get_bytes(g, REQ_PACKET, &len);
	if (g->error->err)
		return NULL;
	if (len < KVMB_STOR_SIZE_OLD || len > sizeof(r->packet))
		return "its packet is too short or too long";
	memset(&r->packet, 0, sizeof(r->packet));
	memcpy(&r->packet, packet, len);
	r->packet_len = (u32)len;
	return NULL;
}

/* One of the groups CHAN_REQUEST or CHAN_ANSWER. Return: false after an error. */
static bool load_req(struct stor_chan *sc, struct kvmb_tlv *t, struct kvmb_tlv *g,
		     unsigned int field, struct stor_req ***tail, u32 *num)
{
	struct stor_req *r = *num < STOR_MAX_REQUESTS ? stor_new_req(sc) : NULL;
	const char *why;

	if (!r) {
		refuse(t, field, "there are more than memory is for");
		return false;
	}
	++*num;
	**tail = r; /* stor_drop_loaded() finds it from now on */
	*tail = &r->next;
	stor_req_to(r, REQ_TAKEN);
	r->next = NULL;
	why = load_packet(r, g);
	if (!why && field == CHAN_REQUEST) {
		why = load_buffer(sc, r, g);
		if (r->packet.operation != cpu_to_le32(KVMB_STOR_EXECUTE_SRB) ||
		    stor_state(sc->s) != STOR_READY)
			why = "it is not one that may wait";
	} else if (field == CHAN_ANSWER) {
		stor_req_to(r, REQ_ANSWER);
	}
	if (why && !t->error->err)
		refuse(t, field, why);
	return !kvmb_tlv_done(g);
}

int stor_load_chan(struct kvmb_chan *ch, struct kvmb_tlv *t)
{
	struct stor_chan *sc = kvmb_chan_io(ch)->priv;
	static const unsigned int kinds[] = { CHAN_ANSWER, CHAN_REQUEST };
	struct stor_req **tail = &sc->loaded;
	u32 num = 0, i;
	struct kvmb_tlv g;
	size_t pos;

	kvmb_assert(!sc->loaded);
	sc->loaded_failed = kvmb_tlv_get(t, CHAN_FAILED, 1);
	__atomic_store_n(&sc->enumerate, (int)kvmb_tlv_get(t, CHAN_ENUMERATE, 1),
			 __ATOMIC_RELEASE);
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		for (pos = 0; kvmb_tlv_each(t, kinds[i], &pos, &g);) {
			if (!load_req(sc, t, &g, kinds[i], &tail, &num))
				return t->error->err;
		}
	}
	if (sc->loaded_failed && sc->loaded)
		return refuse(t, CHAN_FAILED, "nothing waits in a channel that failed");
	return kvmb_tlv_done(t);
}

/* On the worker's thread, when it goes on: what was loaded is as if it had always been here. */
void stor_adopt_loaded(struct stor_chan *sc)
{
	struct stor_req *r = sc->loaded, *next;

	sc->loaded = NULL;
	sc->failed |= sc->loaded_failed;
	for (; r; r = next) {
		next = r->next;
		sc->all[sc->allocated++] = r;
		if (r->state == REQ_ANSWER)
			stor_queue_answer(sc, r);
		else
			stor_execute_again(sc, r);
	}
}

void stor_drop_loaded(struct stor_chan *sc)
{
	struct stor_req *r;

	while ((r = sc->loaded)) {
		sc->loaded = r->next;
		free(r);
	}
}
