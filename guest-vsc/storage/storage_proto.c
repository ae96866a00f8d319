// SPDX-License-Identifier: GPL-2.0-only
/*
 * The storvsc protocol: versions, properties, sub-channels, and dispatch of the host's packets.
 *
 * The order of the start is fixed: BEGIN, version (newest first, until the host accepts one),
 * properties, END, then sub-channels, which need no negotiation of their own.
 *
 * Sources: Linux 6.1 drivers/scsi/storvsc_drv.c; docs/protocol.md#5.2.
 */
#include <linux/module.h>
#include <linux/slab.h>

#include "guest-vsc/storage/storage_guest.h"

#define STOR_BUDGET 256u /* packets of one turn */

static const u16 versions[] = { KVMB_STOR_V6_2, KVMB_STOR_V6_0, KVMB_STOR_V5_1, KVMB_STOR_V4_2,
				KVMB_STOR_V2_0 };

/* ---- which CPU sends where ---- */

static void map_chan(struct stor_dev *sd, unsigned int index, bool open, unsigned int cpu)
{
	spin_lock_bh(&sd->map_lock);
	sd->chan_cpu[index] = cpu;
	sd->open = open ? sd->open | BIT_ULL(index) : sd->open & ~BIT_ULL(index);
	kvmb_stor_map_cpus(sd->by_cpu, nr_cpu_ids, sd->open, sd->chan_cpu);
	spin_unlock_bh(&sd->map_lock);
}

/* It may have moved: its CPU went offline or came back, or somebody wrote to sysfs. */
static void follow_chan(struct stor_chan *sc)
{
	unsigned int cpu = READ_ONCE(sc->ch->cpu);

	if (READ_ONCE(sc->sd->chan_cpu[sc->index]) != cpu && !READ_ONCE(sc->closing))
		map_chan(sc->sd, sc->index, true, cpu);
}

/* ---- what the host says ---- */

static void step_answered(struct stor_dev *sd, u64 id, const struct kvmb_wire_stor *p)
{
	spin_lock(&sd->answer_lock);
	if (id == sd->step_id) {
		sd->step_id = 0;
		sd->step = *p;
		complete(&sd->step_done);
	} else {
		sd->bad_answers++;
	}
	spin_unlock(&sd->answer_lock);
}

static void one_packet(struct stor_chan *sc, const struct kvmb_pkt *pkt)
{
	struct stor_dev *sd = sc->sd;
	struct kvmb_wire_stor p;

	memset(&p, 0, sizeof(p));
	memcpy(&p, pkt->payload, min_t(u32, pkt->payload_len, sizeof(p)));
	if (!pkt->trans_id) { /* unasked: only "look at your bus" is */
		if (pkt->payload_len >= sizeof(p.operation) &&
		    (le32_to_cpu(p.operation) == KVMB_STOR_ENUMERATE_BUS ||
		     le32_to_cpu(p.operation) == KVMB_STOR_REMOVE_DEVICE))
			kvmb_stor_rescan(sd);
		else
			sd->bad_answers++;
		return;
	}
	if (pkt->type != KVMB_PKT_COMPLETION || pkt->payload_len < KVMB_STOR_SIZE_OLD ||
	    (sd->version && pkt->payload_len < sd->packet_size)) {
		sd->bad_answers++;
		return;
	}
	if (pkt->trans_id & STOR_ID_STEP)
		step_answered(sd, pkt->trans_id, &p);
	else
		kvmb_stor_completed(sd, pkt->trans_id, &p);
}

/*
 * Softirq, one at a time for each channel. Not in the interrupt: completing a command takes locks
 * and memory that a kernel with PREEMPT_RT does not have there. The ring stays masked between two
 * turns.
 */
static void stor_turn(struct tasklet_struct *t)
{
	struct stor_chan *sc = container_of(t, struct stor_chan, tasklet);
	struct kvmb_pkt pkt;
	u32 n = 0;

	follow_chan(sc);
	do {
		while (!kvmb_recv(sc->ch, sc->buf, sizeof(sc->buf), &pkt)) {
			one_packet(sc, &pkt);
			if (++n < STOR_BUDGET)
				continue;
			/* other CPUs keep submitting, or the host never stops: let others run */
			if (!READ_ONCE(sc->closing))
				tasklet_schedule(&sc->tasklet);
			return;
		}
	} while (!READ_ONCE(sc->ch->dead) && !READ_ONCE(sc->closing) &&
		 kvmb_ring_unmask(&sc->ch->rx));
}

static void stor_callback(void *ctx)
{
	struct stor_chan *sc = ctx;

	kvmb_ring_mask(&sc->ch->rx);
	tasklet_schedule(&sc->tasklet);
}

/* ---- steps ---- */

static void expect_answer(struct stor_dev *sd, u64 id)
{
	spin_lock_bh(&sd->answer_lock);
	sd->step_id = id;
	spin_unlock_bh(&sd->answer_lock);
}

int kvmb_stor_step(struct stor_dev *sd, enum kvmb_stor_op op)
{
	struct kvmb_chan *ch = sd->dev->chan;
	u64 id = STOR_ID_STEP | ++sd->steps;
	int err;

	lockdep_assert_held(&sd->step_lock);
	reinit_completion(&sd->step_done);
	sd->step.operation = cpu_to_le32(op);
	sd->step.flags = cpu_to_le32(1);
	sd->step.status = 0;
	expect_answer(sd, id);
	err = kvmb_send(ch, KVMB_PKT_INBAND, KVMB_PKT_FLAG_COMPLETE, id, NULL, 0, &sd->step,
			sd->packet_size);
	if (!err)
		err = kvmb_chan_wait(ch, &sd->step_done, STOR_TIMEOUT_S);
	expect_answer(sd, 0); /* a late one does not write into the next request */
	if (err)
		return err;
	if (le32_to_cpu(sd->step.operation) != KVMB_STOR_COMPLETE_IO || sd->step.status)
		return -EIO;
	return 0;
}

static int agree_on_version(struct stor_dev *sd)
{
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(versions); i++) {
		sd->packet_size = versions[i] >= KVMB_STOR_V5_1 ? sizeof(struct kvmb_wire_stor) :
								  KVMB_STOR_SIZE_OLD;
		memset(&sd->step, 0, sizeof(sd->step));
		sd->step.u.version.major_minor = cpu_to_le16(versions[i]);
		err = kvmb_stor_step(sd, KVMB_STOR_QUERY_VERSION);
		if (!err) {
			sd->version = versions[i];
			return 0;
		}
		if (err != -EIO)
			return err;
	}
	return -EOPNOTSUPP;
}

static u16 usable_subs(const struct kvmb_wire_stor_properties *p)
{
	u32 num = min_t(u32, le16_to_cpu(p->max_sub_channels), KVMB_STOR_MAX_CHANS - 1);

	if (!(le32_to_cpu(p->flags) & KVMB_STOR_MULTI_CHANNEL) ||
	    kvmb_bus_protocol() < KVMB_VERSION_WIN8)
		return 0;
	return min(num, num_online_cpus() - 1);
}

static int start_protocol(struct stor_dev *sd)
{
	struct kvmb_wire_stor_properties *p = &sd->step.u.properties;
	int err;

	sd->version = 0;
	sd->packet_size = sizeof(struct kvmb_wire_stor);
	memset(&sd->step, 0, sizeof(sd->step));
	err = kvmb_stor_step(sd, KVMB_STOR_BEGIN_INIT);
	if (!err)
		err = agree_on_version(sd);
	if (err)
		return err;
	memset(&sd->step, 0, sizeof(sd->step));
	err = kvmb_stor_step(sd, KVMB_STOR_QUERY_PROPERTIES);
	if (err)
		return err;
	sd->max_transfer =
		min(le32_to_cpu(p->max_transfer), STOR_MAX_TRANSFER) & ~(KVMB_PAGE_SIZE - 1);
	sd->max_subs = usable_subs(p);
	if (!sd->max_transfer)
		return -EPROTO;
	memset(&sd->step, 0, sizeof(sd->step));
	return kvmb_stor_step(sd, KVMB_STOR_END_INIT);
}

/* ---- channels ---- */

static int open_chan(struct stor_dev *sd, struct kvmb_chan *ch, unsigned int index)
{
	struct kvmb_wire_stor_properties zero;
	struct stor_chan *sc = kzalloc(sizeof(*sc), GFP_KERNEL);
	int err;

	if (!sc)
		return -ENOMEM;
	sc->sd = sd;
	sc->ch = ch;
	sc->index = index;
	tasklet_setup(&sc->tasklet, stor_turn);
	memset(&zero, 0, sizeof(zero));
	err = kvmb_chan_open(ch, STOR_RING_PAGES, &zero, sizeof(zero), stor_callback, sc);
	if (err) {
		kfree(sc);
		return err;
	}
	rcu_assign_pointer(sd->chans[index], sc);
	map_chan(sd, index, true, READ_ONCE(ch->cpu));
	return 0;
}

static void sub_changed(struct kvmb_chan *sub, void *ctx)
{
	struct stor_dev *sd = ctx;

	/* one that was taken back stays here until the stop: what is out on it has its pages */
	if (kvmb_chan_gone(sub) || !sub->index || sub->index > sd->max_subs ||
	    rcu_access_pointer(sd->chans[sub->index]))
		return;
	if (open_chan(sd, sub, sub->index))
		dev_warn(&sd->dev->dev, "sub-channel %u does not open\n", sub->index);
}

static void want_subs(struct stor_dev *sd)
{
	int err;

	if (!sd->max_subs)
		return;
	kvmb_chan_watch_subs(sd->dev->chan, sub_changed, sd);
	memset(&sd->step, 0, sizeof(sd->step));
	sd->step.u.sub_channels = cpu_to_le16(sd->max_subs);
	err = kvmb_stor_step(sd, KVMB_STOR_CREATE_SUB_CHANNELS);
	if (err) /* fewer queues, nothing worse */
		dev_warn(&sd->dev->dev, "no sub-channels: %d\n", err);
}

int kvmb_stor_start(struct stor_dev *sd)
{
	int err;

	lockdep_assert_held(&sd->step_lock);
	init_completion(&sd->step_done);
	err = open_chan(sd, sd->dev->chan, 0);
	if (err)
		return err;
	err = start_protocol(sd);
	if (err) {
		kvmb_stor_stop(sd);
		return err;
	}
	want_subs(sd);
	return 0;
}

static int close_chan(struct stor_chan *sc)
{
	int err;

	kvmb_chan_stop(sc->ch);
	WRITE_ONCE(sc->closing, true);
	tasklet_kill(&sc->tasklet);
	map_chan(sc->sd, sc->index, false, 0);
	err = kvmb_chan_close(sc->ch);
	kfree_rcu(sc, rcu);
	return err;
}

int kvmb_stor_stop(struct stor_dev *sd)
{
	int i, err, first = 0;

	lockdep_assert_held(&sd->step_lock);
	kvmb_chan_unwatch_subs(sd->dev->chan);
	for (i = KVMB_STOR_MAX_CHANS - 1; i >= 0; i--) { /* the primary last */
		struct stor_chan *sc = rcu_dereference_protected(sd->chans[i], true);

		if (!sc)
			continue;
		RCU_INIT_POINTER(sd->chans[i], NULL);
		err = close_chan(sc);
		first = first ? first : err;
	}
	return first;
}
