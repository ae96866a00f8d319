// SPDX-License-Identifier: GPL-2.0-only
/* The life of a storage channel, and the offer; its worker is storage_worker.c. */
#include "host-vsp/storage/storage_priv.h"

#include "host-vsp/storage/storage_ring.h"
#include "lib/log.h"
#include "lib/util.h"

/* Without one the channel works all the same, only slower. */
static void start_uring(struct stor_chan *sc)
{
	if (kvmb_storage_uring(sc->s))
		return;
	sc->uring_ok = kvmb_rings_take(sc->s->rings, &sc->uring, &sc->slots_ok);
	if (!sc->uring_ok)
		kvmb_warn_ratelimited(kvmb_chan_name(sc->ch),
				      "no io_uring is left for it: it uses threads");
}

static void end_uring(struct stor_chan *sc)
{
	if (sc->uring_ok)
		kvmb_rings_give(sc->s->rings, &sc->uring);
}

static int stor_open(struct kvmb_chan *ch)
{
	struct kvmb_storage *s = kvmb_chan_dev(ch);
	struct stor_chan *sc;
	char name[16];
	int err;

	/* only a saved state could name one that the guest was never offered */
	if (kvmb_chan_index(ch) &&
	    (stor_state(s) != STOR_READY || kvmb_chan_index(ch) > s->max_channels))
		return -EPROTO;
	sc = calloc(1, sizeof(*sc));
	if (!sc)
		return -ENOMEM;
	sc->s = s;
	sc->ch = ch;
	sc->io = kvmb_chan_io(ch);
	sc->answers_tail = &sc->answers;
	sc->wake_ns = STOR_NEVER;
	pthread_mutex_init(&sc->lock, NULL);
	err = kvmb_worker_init(&sc->worker);
	if (err)
		goto err_free;
	start_uring(sc);
	sc->io->priv = sc;
	sc->pausing = sc->standing = kvmb_chan_starts_paused(ch);
	sc->pause_gen = sc->pause_seen = sc->pausing;
	sc->gated = s->twin;
	stor_chan_opened(sc);
	snprintf(name, sizeof(name), "%.8s/%u", s->name, kvmb_chan_index(ch));
	err = kvmb_worker_start(&sc->worker, KVMB_THREAD_STORAGE, name, stor_worker_run, sc);
	if (err)
		goto err_chan;
	if (s->twin)
		s->twin->take(s->twin_arg, s);
	return 0;

err_chan:
	stor_chan_closed(sc);
	end_uring(sc);
	kvmb_worker_fini(&sc->worker);
err_free:
	pthread_mutex_destroy(&sc->lock);
	free(sc);
	return err;
}

static void stor_close(struct kvmb_chan *ch)
{
	struct stor_chan *sc = kvmb_chan_io(ch)->priv;

	kvmb_worker_stop(&sc->worker);
}

static void stor_closed(struct kvmb_chan *ch)
{
	struct stor_chan *sc = kvmb_chan_io(ch)->priv;
	u32 i;

	kvmb_worker_join(&sc->worker);
	/* a disk's thread may just be kicking, and leaving the lock */
	pthread_mutex_lock(&sc->lock);
	pthread_mutex_unlock(&sc->lock);
	kvmb_worker_fini(&sc->worker);
	pthread_mutex_destroy(&sc->lock);
	stor_chan_closed(sc);
	end_uring(sc);
	stor_drop_loaded(sc);
	for (i = 0; i < sc->allocated; i++) {
		free(sc->all[i]->extents);
		free(sc->all[i]->bounce);
		free(sc->all[i]);
	}
	if (!kvmb_chan_index(ch) && stor_state(sc->s) != STOR_CLOSED)
		stor_set_state(sc->s, STOR_CLOSED); /* a re-open starts the protocol again */
	if (sc->s->twin) {
		__atomic_store_n(&sc->s->taken, false, __ATOMIC_RELAXED);
		sc->s->twin->give(sc->s->twin_arg, sc->s);
	}
	free(sc);
}

/* Odd: stand; even: go on. The bus alternates. */
static void next_pause_gen(struct kvmb_chan *ch)
{
	struct stor_chan *sc = kvmb_chan_io(ch)->priv;

	__atomic_fetch_add(&sc->pause_gen, 1, __ATOMIC_RELEASE);
	kvmb_worker_kick(&sc->worker);
}

static const struct kvmb_vsp_ops stor_ops = {
	.name = "scsi",
	.open = stor_open,
	.close = stor_close,
	.closed = stor_closed,
	.pause = next_pause_gen,
	.resume = next_pause_gen,
	.save = stor_save_chan,
	.load = stor_load_chan,
};

void kvmb_storage_set_twin(struct kvmb_storage *s, const struct kvmb_storage_twin *twin, void *arg)
{
	kvmb_assert(s->index >= KVMB_STORAGE_IDE && !s->bus);
	s->twin = twin;
	s->twin_arg = arg;
}

void kvmb_storage_taken(struct kvmb_storage *s)
{
	kvmb_assert(s->chans && !s->taken);
	__atomic_store_n(&s->taken, true, __ATOMIC_RELEASE);
	kvmb_worker_kick(&s->chans->worker);
}

/* Guests know by the instance which of the drives it is: docs/protocol.md#5.9. */
static int offer_ide(struct kvmb_storage *s, struct kvmb_bus *bus)
{
	u32 drive = s->index - KVMB_STORAGE_IDE;
	struct kvmb_offer offer = {
		.type = KVMB_IDE_TYPE_GUID,
		.instance = KVMB_GUID(drive / 2, (u16)(drive % 2), 0x8899, 0, 0, 0, 0, 0, 0, 0, 0),
		.flags = KVMB_OFFER_ENUMERATE,
		.user = { [2] = (u8)(drive / 2), [3] = (u8)(drive % 2), [8] = 2 },
		.name = s->name,
		.ops = &stor_ops,
		.dev = s,
	};

	s->bus = bus;
	return kvmb_bus_offer(bus, &offer, NULL);
}

int kvmb_storage_offer(struct kvmb_storage *s, struct kvmb_bus *bus)
{
	/* stable across restarts, so that a hibernated guest finds its disks again */
	struct kvmb_offer offer = {
		.type = KVMB_SCSI_TYPE_GUID,
		.instance = KVMB_GUID(0x6b766d62, 0x5c51, (u16)s->index, 0x80, 0x01, 's', 'c', 's',
				      'i', 0, (u8)s->index),
		.flags = KVMB_OFFER_ENUMERATE,
		.name = s->name,
		.ops = &stor_ops,
		.dev = s,
	};

	if (s->index >= KVMB_STORAGE_IDE)
		return offer_ide(s, bus);
	s->bus = bus;
	return kvmb_bus_offer(bus, &offer, NULL);
}
