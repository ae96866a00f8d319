// SPDX-License-Identifier: GPL-2.0-only
/*
 * The controller on the bus thread: attaches and detaches units, keeps track of channels, does
 * what workers ask for. storage_priv.h describes how a unit is removed.
 */
#include "host-vsp/storage/storage_priv.h"
#include "host-vsp/storage/storage_ring.h"

#include "lib/log.h"
#include "lib/util.h"

static void kick_all(struct kvmb_storage *s)
{
	struct stor_chan *sc;

	for (sc = s->chans; sc; sc = sc->next)
		kvmb_worker_kick(&sc->worker);
}

/* ---- statistics ---- */

/* Buckets: one a microsecond below 4, then four to every power of two. */
static u32 bucket_of(u64 us)
{
	u32 log;

	if (us < 4)
		return (u32)us;
	log = 63u - (u32)__builtin_clzll(us);
	return KVMB_MIN(4 * (log - 1) + (u32)(us >> (log - 2) & 3), KVMB_LATENCY_BUCKETS - 1);
}

static u64 bucket_end(u32 b)
{
	u32 log = b / 4 + 1;

	return b < 4 ? b + 1 : (u64)(b % 4 + 5) << (log - 2);
}

u64 kvmb_latency_us(const u64 *h, unsigned int permille)
{
	u64 all = 0, seen = 0;
	u32 i;

	for (i = 0; i < KVMB_LATENCY_BUCKETS; i++)
		all += h[i];
	for (i = 0; all && i < KVMB_LATENCY_BUCKETS; i++) {
		seen += h[i];
		if (seen * 1000 >= all * permille)
			return bucket_end(i);
	}
	return 0;
}

void stor_note_latency(struct kvmb_unit_stats *c, enum kvmb_io_kind k, u64 ns)
{
	stor_count(&c->latency[k][bucket_of(ns / 1000)], 1);
}

/* The channel's counters of a unit; NULL without memory. Worker. */
struct kvmb_unit_stats *stor_counts(struct stor_chan *sc, u32 lun)
{
	struct kvmb_unit_stats *c = sc->counts[lun];

	if (!c) {
		c = calloc(1, sizeof(*c));
		__atomic_store_n(&sc->counts[lun], c, __ATOMIC_RELEASE);
	}
	return c;
}

static void add_stats(struct kvmb_unit_stats *to, const struct kvmb_unit_stats *from)
{
	static_assert(sizeof(*to) % sizeof(u64) == 0, "all counters");
	const u64 *f = (const u64 *)from;
	u64 *t = (u64 *)to;
	size_t i;

	for (i = 0; i < sizeof(*to) / sizeof(u64); i++)
		t[i] += __atomic_load_n(&f[i], __ATOMIC_RELAXED);
}

void kvmb_storage_unit_stats(struct kvmb_storage *s, unsigned int lun, struct kvmb_unit_stats *st)
{
	struct stor_lun *l = stor_lun(s, lun);
	struct kvmb_unit_stats *c;
	struct stor_chan *sc;

	memset(st, 0, sizeof(*st));
	if (!l)
		return;
	add_stats(st, &l->totals);
	for (sc = s->chans; sc; sc = sc->next) {
		c = __atomic_load_n(&sc->counts[lun], __ATOMIC_ACQUIRE);
		if (c)
			add_stats(st, c);
	}
}

void kvmb_storage_get_stats(struct kvmb_storage *s, struct kvmb_storage_stats *st)
{
	struct stor_chan *sc;

	*st = (struct kvmb_storage_stats){ .requests = s->requests, .io_submits = s->io_submits,
					   .inline_ios = s->inline_ios };
	for (sc = s->chans; sc; sc = sc->next) {
		st->requests += __atomic_load_n(&sc->requests, __ATOMIC_RELAXED);
		st->io_submits += __atomic_load_n(&sc->io_submits, __ATOMIC_RELAXED);
		st->inline_ios += __atomic_load_n(&sc->inline_ios, __ATOMIC_RELAXED);
		st->channels++;
	}
}

/* ---- quiescing ---- */

static void start_next_quiesce(struct kvmb_storage *s)
{
	struct stor_quiesce *q = s->q_head;

	if (!q || s->q_active)
		return;
	s->q_active = true;
	s->q_luns = q->luns;
	__atomic_store_n(&s->q_gen, s->q_gen + 1, __ATOMIC_RELEASE);
	kick_all(s);
	kvmb_loop_post(s->loop, &s->work); /* there may be no channel at all */
}

static void queue_quiesce(struct kvmb_storage *s, const struct stor_quiesce *like)
{
	struct stor_quiesce *q = kvmb_xzalloc(sizeof(*q));

	*q = *like;
	q->next = NULL;
	*s->q_tail = q;
	s->q_tail = &q->next;
	start_next_quiesce(s);
}

static bool all_acked(const struct kvmb_storage *s)
{
	const struct stor_chan *sc;

	for (sc = s->chans; sc; sc = sc->next) {
		if (__atomic_load_n(&sc->q_acked, __ATOMIC_ACQUIRE) != s->q_gen)
			return false;
	}
	return true;
}

bool stor_quiesce_served(const struct kvmb_storage *s)
{
	return !s->q_active || all_acked(s);
}

static void drop_counts(struct kvmb_storage *s, u32 lun)
{
	struct stor_chan *sc;

	for (sc = s->chans; sc; sc = sc->next) {
		free(sc->counts[lun]);
		__atomic_store_n(&sc->counts[lun], NULL, __ATOMIC_RELEASE);
	}
}

static void tell_reset_done(struct kvmb_storage *s, struct stor_chan *sc)
{
	struct stor_lun *l;
	u32 i;

	for (i = 0; i < KVMB_STORAGE_MAX_LUNS; i++) {
		l = stor_lun(s, i);
		if (l)
			kvmb_unit_attention(&l->unit, KVMB_UA_RESET);
	}
	__atomic_store_n(&sc->reset_state, STOR_RESET_DONE, __ATOMIC_RELEASE);
	kvmb_worker_kick(&sc->worker);
}

static void finish_quiesce(struct kvmb_storage *s)
{
	struct stor_quiesce *q = s->q_head;

	s->q_head = q->next;
	if (!s->q_head)
		s->q_tail = &s->q_head;
	s->q_active = false;
	if (q->reset)
		tell_reset_done(s, q->reset);
	if (q->gone) {
		drop_counts(s, (u32)__builtin_ctzll(q->luns));
		kvmb_unit_fini(&q->gone->unit);
		free(q->gone);
	}
	if (q->done)
		q->done(q->arg, q->disk);
	free(q);
}

static void look_for_resets(struct kvmb_storage *s)
{
	struct stor_chan *sc;

	for (sc = s->chans; sc; sc = sc->next) {
		int wanted = STOR_RESET_WANTED;

		if (__atomic_compare_exchange_n(&sc->reset_state, &wanted, STOR_RESET_RUNNING,
						false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			queue_quiesce(s, &(struct stor_quiesce){ .luns = ~0ull, .reset = sc });
	}
}

/*
 * The guest ejected. Its command is done whatever becomes of it, so it may do so again and
 * again, and only the first time is there something to take away: each taking away is a
 * quiesce, and those wait for every channel, one of which may hang.
 */
static void tell_ejected(struct kvmb_storage *s, u32 lun)
{
	struct stor_lun *l = stor_lun(s, lun);

	if (!l)
		return;
	if (l->unit.disk)
		s->ev->ejected(s->ev_arg, s, lun);
	else
		__atomic_store_n(&l->unit.tray_open, 0, __ATOMIC_RELEASE);
}

static void tell_events(struct kvmb_storage *s)
{
	u64 stopped = __atomic_exchange_n(&s->stopped, 0, __ATOMIC_ACQ_REL);
	u64 ejected = __atomic_exchange_n(&s->ejected, 0, __ATOMIC_ACQ_REL);
	u32 i;

	for (i = 0; i < KVMB_STORAGE_MAX_LUNS; i++) {
		if (stopped >> i & 1 && s->ev && s->ev->stopped)
			s->ev->stopped(s->ev_arg, s, i,
				       __atomic_load_n(&s->stopped_err, __ATOMIC_RELAXED));
		if (ejected >> i & 1 && s->ev && s->ev->ejected)
			tell_ejected(s, i);
	}
}

/* Posted by workers and by ourselves: something may have come to its end. Bus thread. */
void stor_work(void *arg)
{
	struct kvmb_storage *s = arg;

	tell_events(s);
	look_for_resets(s);
	while (s->q_active && all_acked(s)) {
		finish_quiesce(s);
		start_next_quiesce(s);
	}
}

/* ---- channels ---- */

void stor_chan_opened(struct stor_chan *sc)
{
	struct kvmb_storage *s = sc->s;

	sc->q_seen = sc->q_acked = s->q_gen; /* it has nothing of anybody's */
	sc->retry_seen = s->retry_gen;
	sc->limit_seen = s->limit_gen;
	sc->next = s->chans;
	s->chans = sc;
}

void stor_chan_closed(struct stor_chan *sc)
{
	struct kvmb_storage *s = sc->s;
	struct stor_quiesce *q;
	struct stor_chan **p;
	struct stor_lun *l;
	u32 i;

	for (p = &s->chans; *p != sc; p = &(*p)->next)
		;
	*p = sc->next;
	for (q = s->q_head; q; q = q->next) {
		if (q->reset == sc)
			q->reset = NULL;
	}
	s->requests += sc->requests;
	s->io_submits += sc->io_submits;
	s->inline_ios += sc->inline_ios;
	for (i = 0; i < KVMB_STORAGE_MAX_LUNS; i++) {
		l = stor_lun(s, i);
		if (l && sc->counts[i])
			add_stats(&l->totals, sc->counts[i]);
		free(sc->counts[i]);
	}
	kvmb_loop_post(s->loop, &s->work); /* one less to wait for */
}

/* ---- units ---- */

/* The guest's driver asks every unit how it is, then scans: SCSI_ENUMERATE_BUS. */
static void ask_to_look(struct kvmb_storage *s)
{
	struct stor_chan *sc;

	for (sc = s->chans; sc; sc = sc->next) {
		if (kvmb_chan_index(sc->ch))
			continue;
		__atomic_store_n(&sc->enumerate, 1, __ATOMIC_RELEASE);
		kvmb_worker_kick(&sc->worker);
	}
}

/*
 * Unit @lun comes, or goes (@l is NULL), and then everybody looks at the bus again: the guest's
 * SCSI layer by sense of the others, its driver by a message. In this order: who looks at once must
 * find what there is to see.
 */
static void change_lun(struct kvmb_storage *s, u32 lun, struct stor_lun *l)
{
	struct stor_lun *other;
	u32 i;

	__atomic_store_n(&s->luns[lun], l, __ATOMIC_RELEASE);
	/* without a channel nobody has looked yet */
	for (i = 0; i < KVMB_STORAGE_MAX_LUNS && s->chans; i++) {
		other = i == lun ? NULL : stor_lun(s, i);
		if (other)
			kvmb_unit_attention(&other->unit, KVMB_UA_LUNS);
	}
	ask_to_look(s);
}

int kvmb_storage_attach(struct kvmb_storage *s, struct kvmb_disk *d, bool dvd, unsigned int lun)
{
	struct stor_quiesce *q;
	struct stor_lun *l;

	kvmb_assert(d || dvd);
	if (lun >= KVMB_STORAGE_MAX_LUNS)
		return -ENOSPC;
	if (s->luns[lun])
		return -EEXIST;
	for (q = s->q_head; q; q = q->next) { /* its predecessor is not quite gone */
		if (q->gone && q->luns >> lun & 1)
			return -EBUSY;
	}
	l = kvmb_xzalloc(sizeof(*l));
	kvmb_unit_init(&l->unit, dvd, d);
	change_lun(s, lun, l);
	return 0;
}

int kvmb_storage_detach(struct kvmb_storage *s, unsigned int lun, kvmb_storage_done *done,
			void *arg)
{
	struct stor_lun *l = stor_lun(s, lun);

	if (!l)
		return -ENOENT;
	change_lun(s, lun, NULL);
	queue_quiesce(s, &(struct stor_quiesce){ .luns = 1ull << lun,
						 .gone = l,
						 .disk = l->unit.disk,
						 .done = done,
						 .arg = arg });
	return 0;
}

int kvmb_storage_set_medium(struct kvmb_storage *s, unsigned int lun, struct kvmb_disk *d,
			    kvmb_storage_done *done, void *arg)
{
	struct stor_lun *l = stor_lun(s, lun);
	struct kvmb_disk *old;

	if (!l || !l->unit.dvd)
		return -ENOENT;
	old = __atomic_exchange_n(&l->unit.disk, d, __ATOMIC_ACQ_REL);
	__atomic_store_n(&l->unit.tray_open, 0, __ATOMIC_RELEASE);
	if (d)
		kvmb_unit_attention(&l->unit, KVMB_UA_MEDIUM);
	else
		__atomic_store_n(&l->unit.prevent, 0, __ATOMIC_RELEASE);
	/* last: a guest that polls for it looks at all the above next */
	__atomic_store_n(&l->unit.media_event, d ? KVMB_MEDIA_NEW : KVMB_MEDIA_REMOVED,
			 __ATOMIC_RELEASE);
	queue_quiesce(s, &(struct stor_quiesce){ .luns = 1ull << lun, .disk = old, .done = done,
						 .arg = arg });
	return 0;
}

void kvmb_storage_ask_eject(struct kvmb_storage *s, unsigned int lun)
{
	struct stor_lun *l = stor_lun(s, lun);

	if (l && l->unit.dvd)
		__atomic_store_n(&l->unit.media_event, KVMB_MEDIA_EJECT_REQUEST, __ATOMIC_RELEASE);
}

/*
 * The guest's next command reports the news. If none comes, we ask the guest to scan; not at once,
 * because Linux then asks every unit with a timeout of a jiffy, and an answer that makes it
 * repeat that question is an error in its log ("timing out command, waited 0s") on a busy machine.
 * Source: Linux 6.12 storvsc_drv.c storvsc_host_scan(), scsi_lib.c scsi_cmd_runtime_exceeced().
 */
static void look_when_idle(void *arg)
{
	struct kvmb_storage *s = arg;
	struct stor_lun *l;
	u32 i;

	for (i = 0; i < KVMB_STORAGE_MAX_LUNS; i++) {
		l = stor_lun(s, i);
		if (!l ||
		    !(__atomic_load_n(&l->unit.ua, __ATOMIC_ACQUIRE) & 1u << KVMB_UA_CAPACITY))
			continue;
		ask_to_look(s);
		return;
	}
}

void kvmb_storage_capacity_changed(struct kvmb_storage *s, unsigned int lun)
{
	struct stor_lun *l = stor_lun(s, lun);

	if (!l)
		return;
	kvmb_unit_attention(&l->unit, KVMB_UA_CAPACITY);
	kvmb_timer_set(&s->look, STOR_LOOK_MS);
}

bool kvmb_storage_set_limits(struct kvmb_storage *s, unsigned int lun, s64 iops, s64 bps)
{
	struct stor_lun *l = stor_lun(s, lun);
	struct kvmb_disk *d = l ? l->unit.disk : NULL;

	if (!d)
		return false;
	kvmb_throttle_set(&d->throttle, iops < 0 ? d->throttle.iops : (u64)iops,
			  bps < 0 ? d->throttle.bps : (u64)bps);
	__atomic_fetch_add(&s->limit_gen, 1, __ATOMIC_RELEASE);
	kick_all(s);
	return true;
}

void kvmb_storage_retry(struct kvmb_storage *s)
{
	struct stor_lun *l;
	struct kvmb_disk *d;
	u32 i;

	for (i = 0; i < KVMB_STORAGE_MAX_LUNS; i++) {
		l = stor_lun(s, i);
		d = l ? l->unit.disk : NULL;
		if (d)
			d->ops->retry(d);
	}
	__atomic_fetch_add(&s->retry_gen, 1, __ATOMIC_RELEASE);
	kick_all(s);
}

bool kvmb_storage_unit(struct kvmb_storage *s, unsigned int lun, struct kvmb_unit_info *i)
{
	struct stor_lun *l = stor_lun(s, lun);

	if (!l)
		return false;
	*i = (struct kvmb_unit_info){ .disk = l->unit.disk,
				      .dvd = l->unit.dvd,
				      .locked =
					      __atomic_load_n(&l->unit.prevent, __ATOMIC_RELAXED) };
	return true;
}

/* ---- the controller ---- */

unsigned int kvmb_storage_index(const struct kvmb_storage *s)
{
	return s->index;
}

int kvmb_storage_uring(const struct kvmb_storage *s)
{
	return s->rings ? kvmb_rings_error(s->rings) : -ENODEV;
}

struct kvmb_storage *kvmb_storage_create(unsigned int index, u16 max_channels,
					 struct kvmb_rings *rings, struct kvmb_loop *loop,
					 const struct kvmb_storage_events *ev, void *arg)
{
	struct kvmb_storage *s = kvmb_xzalloc(sizeof(*s));

	kvmb_assert(index < KVMB_STORAGE_MAX_CONTROLLERS);
	s->index = index;
	s->max_channels = max_channels;
	s->loop = loop;
	s->ev = ev;
	s->ev_arg = arg;
	s->q_tail = &s->q_head;
	s->rings = rings;
	kvmb_work_init(&s->work, stor_work, s);
	kvmb_timer_init(&s->look, loop, look_when_idle, s);
	if (index < KVMB_STORAGE_IDE)
		snprintf(s->name, sizeof(s->name), "scsi%u", index);
	else
		snprintf(s->name, sizeof(s->name), "ide%u", index - KVMB_STORAGE_IDE);
	return s;
}

void kvmb_storage_destroy(struct kvmb_storage *s)
{
	unsigned int i;

	if (!s)
		return;
	kvmb_assert(!s->chans);
	while (s->q_active) { /* without channels everything is at rest */
		finish_quiesce(s);
		start_next_quiesce(s);
	}
	kvmb_loop_unpost(s->loop, &s->work);
	kvmb_timer_cancel(&s->look);
	for (i = 0; i < KVMB_STORAGE_MAX_LUNS; i++) {
		if (!s->luns[i])
			continue;
		kvmb_disk_close(s->luns[i]->unit.disk);
		kvmb_unit_fini(&s->luns[i]->unit);
		free(s->luns[i]);
	}
	free(s);
}
