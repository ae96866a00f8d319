// SPDX-License-Identifier: GPL-2.0-only
/* Saving and loading the integration services: ic_state.h. */
#include "ic-services/ic_state.h"

#include <stdlib.h>

#include "lib/tlv.h"
#include "lib/util.h"

/* Numbers are never used again: docs/migration.md. */
enum {			  /* of all services */
       F_STATE = 1,	  /* enum kvmb_ic_state */
       F_FRAMEWORK = 2,	  /* version agreed, 0 = none yet */
       F_MESSAGE = 3,	  /* the same of the service's messages */
       F_TRANSACTION = 4, /* number of the last request, a byte */
       F_WAITING = 5,	  /* that is not answered yet */
       /* of heartbeat */
       F_SEQUENCE = 16, /* the number that the next one carries */
       F_BEATS = 17,	/* answers so far in this boot */
       F_PAUSED = 18,	/* the VM was paused, as it is to be saved; of time sync, too */
       /* of shutdown */
       F_ASKED = 19, /* an answer is due */
       /* of data exchange */
       F_ITEM = 32, /* group: an item of the administrator */
       F_KEY = 33,
       F_VALUE = 34,
       F_OWED = 35, /* the guest has not got it */
       /* of vss */
       F_OWES_THAW = 48, /* the guest is frozen, or will be */
       /* of file copy */
       F_COPYING = 64, /* a copy is under way, which the guest is to forget */
};

static void begin(enum kvmb_ic_instance instance, const struct kvmb_ic *ic, struct kvmb_tlv_out *o)
{
	kvmb_tlv_begin(o, KVMB_SEC_IC, instance, KVMB_TLV_CRITICAL);
	kvmb_tlv_put(o, F_STATE, ic->state);
	kvmb_tlv_put(o, F_FRAMEWORK, ic->framework);
	kvmb_tlv_put(o, F_MESSAGE, ic->message);
	kvmb_tlv_put(o, F_TRANSACTION, ic->transaction);
	kvmb_tlv_put(o, F_WAITING, ic->waiting);
}

static void save_kvp(const struct kvmb_kvp *k, struct kvmb_tlv_out *o)
{
	const struct kvmb_kvp_item *i;

	begin(KVMB_IC_IS_KVP, &k->ic, o);
	for (i = k->wanted; i; i = i->next) {
		kvmb_tlv_group(o, F_ITEM);
		kvmb_tlv_put_str(o, F_KEY, i->key);
		kvmb_tlv_put_str(o, F_VALUE, i->value);
		kvmb_tlv_put(o, F_OWED, i->owed);
		kvmb_tlv_group_end(o);
	}
	kvmb_tlv_end(o);
}

static void save_fcopy(const struct kvmb_fcopy *f, struct kvmb_tlv_out *o)
{
	begin(KVMB_IC_IS_FCOPY, &f->ic, o);
	kvmb_tlv_put(o, F_COPYING, f->state != KVMB_FCOPY_IS_IDLE || f->owes_cancel);
	kvmb_tlv_end(o);
}

static void save_vss(const struct kvmb_vss *v, struct kvmb_tlv_out *o)
{
	begin(KVMB_IC_IS_VSS, &v->ic, o);
	kvmb_tlv_put(o, F_OWES_THAW, v->state >= KVMB_VSS_FREEZING);
	kvmb_tlv_end(o);
}

void kvmb_ic_save(const struct kvmb_ic_services *s, struct kvmb_tlv_out *o)
{
	begin(KVMB_IC_IS_HEARTBEAT, &s->heartbeat->ic, o);
	kvmb_tlv_put(o, F_SEQUENCE, s->heartbeat->sequence);
	kvmb_tlv_put(o, F_BEATS, s->heartbeat->beats);
	kvmb_tlv_put(o, F_PAUSED, s->heartbeat->paused);
	kvmb_tlv_end(o);
	begin(KVMB_IC_IS_SHUTDOWN, &s->shutdown->ic, o);
	kvmb_tlv_put(o, F_ASKED, s->shutdown->asked);
	kvmb_tlv_end(o);
	begin(KVMB_IC_IS_TIMESYNC, &s->timesync->ic, o);
	kvmb_tlv_put(o, F_PAUSED, s->timesync->paused);
	kvmb_tlv_end(o);
	if (s->kvp)
		save_kvp(s->kvp, o);
	if (s->vss)
		save_vss(s->vss, o);
	if (s->fcopy)
		save_fcopy(s->fcopy, o);
}

/* ---- loading ---- */

static void load_common(struct kvmb_ic *ic, struct kvmb_tlv *t)
{
	enum kvmb_ic_state state =
		(enum kvmb_ic_state)kvmb_tlv_get(t, F_STATE, KVMB_IC_NUM_STATES - 1);

	ic->framework = (u32)kvmb_tlv_get(t, F_FRAMEWORK, UINT32_MAX);
	ic->message = (u32)kvmb_tlv_get(t, F_MESSAGE, UINT32_MAX);
	ic->transaction = (u8)kvmb_tlv_get(t, F_TRANSACTION, UINT8_MAX);
	ic->waiting = kvmb_tlv_get(t, F_WAITING, 1);
	if ((state == KVMB_IC_CLOSED) != !ic->chan.ch)
		kvmb_tlv_refuse(t, F_STATE, "it does not fit to that of the channel");
	if (state == KVMB_IC_READY && !kvmb_ic_knows(ic, ic->message))
		kvmb_tlv_refuse(t, F_MESSAGE, "no such version");
	if (ic->chan.ch && !ic->unasked)
		kvmb_tlv_refuse(t, F_STATE, "it comes too late, or twice");
	if (!t->error->err)
		kvmb_ic_go_on(ic, state);
}

static void load_heartbeat(struct kvmb_heartbeat *h, struct kvmb_tlv *t)
{
	load_common(&h->ic, t);
	h->sequence = kvmb_tlv_get(t, F_SEQUENCE, UINT64_MAX);
	h->beats = kvmb_tlv_get(t, F_BEATS, UINT64_MAX);
	h->paused = kvmb_tlv_get(t, F_PAUSED, 1);
	if (h->ic.state != KVMB_IC_READY)
		return;
	kvmb_heartbeat_go_on(h);
}

static void load_timesync(struct kvmb_timesync *ts, struct kvmb_tlv *t)
{
	load_common(&ts->ic, t);
	ts->paused = kvmb_tlv_get(t, F_PAUSED, 1);
	if (ts->ic.state != KVMB_IC_READY)
		return;
	ts->owed = true; /* the guest has not noticed how long it was a file */
	kvmb_timer_set(&ts->timer, KVMB_TIMESYNC_PERIOD_MS);
}

/* Not twice: the first item of a key would be lost. Return: false: it is refused. */
static bool load_item(struct kvmb_kvp *k, struct kvmb_tlv *g)
{
	char *key = kvmb_tlv_get_str(g, F_KEY, KVMB_KVP_TEXT_MAX);
	char *value = kvmb_tlv_get_str(g, F_VALUE, KVMB_KVP_TEXT_MAX);
	bool owed = kvmb_tlv_get(g, F_OWED, 1);

	if (key && value && !g->error->err && kvmb_kvp_check(key, value))
		kvmb_tlv_refuse(g, F_KEY, "no guest can have such an item");
	if (key && value && !kvmb_tlv_done(g) && kvmb_kvp_want(k, key, value, owed))
		kvmb_tlv_refuse(g, F_KEY, "there are too many");
	free(key);
	free(value);
	return !g->error->err;
}

static void load_kvp(struct kvmb_kvp *k, struct kvmb_tlv *t)
{
	struct kvmb_tlv g;
	size_t pos = 0;

	load_common(&k->ic, t);
	while (kvmb_tlv_each(t, F_ITEM, &pos, &g) && load_item(k, &g))
		;
	k->loaded = true;
}

static void load_fcopy(struct kvmb_fcopy *f, struct kvmb_tlv *t)
{
	load_common(&f->ic, t);
	f->owes_cancel = kvmb_tlv_get(t, F_COPYING, 1);
}

static void load_vss(struct kvmb_vss *v, struct kvmb_tlv *t)
{
	load_common(&v->ic, t);
	if (kvmb_tlv_get(t, F_OWES_THAW, 1) && !t->error->err)
		kvmb_vss_owe_thaw(v);
}

int kvmb_ic_load(const struct kvmb_ic_services *s, struct kvmb_tlv *t)
{
	if (t->instance == KVMB_IC_IS_HEARTBEAT) {
		load_heartbeat(s->heartbeat, t);
	} else if (t->instance == KVMB_IC_IS_TIMESYNC) {
		load_timesync(s->timesync, t);
	} else if (t->instance == KVMB_IC_IS_SHUTDOWN) {
		load_common(&s->shutdown->ic, t);
		s->shutdown->asked = kvmb_tlv_get(t, F_ASKED, 1);
		s->shutdown->asked_ms = kvmb_now_ms(); /* it has all of its time again */
	} else if (t->instance == KVMB_IC_IS_KVP && s->kvp) {
		load_kvp(s->kvp, t);
	} else if (t->instance == KVMB_IC_IS_FCOPY && s->fcopy) {
		load_fcopy(s->fcopy, t);
	} else if (t->instance == KVMB_IC_IS_VSS && s->vss) {
		load_vss(s->vss, t);
	} else {
		kvmb_tlv_refuse(t, F_STATE, "no such service");
	}
	return kvmb_tlv_done(t);
}
