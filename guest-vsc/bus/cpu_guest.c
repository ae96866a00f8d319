// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which CPU a channel interrupts, and what happens when CPUs go offline and come back.
 *
 * DOC: Theory of operation
 *
 * ch->cpu is where we want the interrupts of a channel. The host is told in OPEN, and in MODIFY
 * while the channel is open. While it is being opened nobody tells the host but the opener, who
 * compares when the host has answered and then sends MODIFY itself (chan_guest.c, open_on_cpu()).
 * So a CPU that goes offline does not wait for an OPEN that is under way, and the opener holds no
 * hot-plug lock while it waits.
 *
 * A CPU that goes does wait for the MODIFYs of its open channels: the interrupts have to come
 * somewhere else before it may switch its SynIC off. A MODIFY that is not answered in time leaves
 * the channel between two CPUs: both stay online, and the channel takes no other MODIFY, until the
 * answer comes (which names its channel, but not its question) or the channel is opened again.
 *
 * Sources: Linux 6.1 drivers/hv/channel_mgmt.c init_vp_index(), vmbus_drv.c; docs/protocol.md#3.19.
 */
#include <linux/cpu.h>
#include <linux/slab.h>

#include "guest-vsc/bus/bus_priv.h"
#include "guest-vsc/compat/compat.h"

/* ---- the choice ---- */

/* Return: whether @a is the better CPU for one more channel; of two equals the first stays */
static bool is_better(const struct kvmb_cpu_table *t, const struct kvmb_cpu_use *a,
		      const struct kvmb_cpu_use *b)
{
	if (a->isolated != b->isolated)
		return b->isolated;
	if (a->of_device != b->of_device)
		return a->of_device < b->of_device;
	if (t->of_node[a->node] != t->of_node[b->node])
		return t->of_node[a->node] < t->of_node[b->node];
	return a->of_all < b->of_all;
}

unsigned int kvmb_cpu_choose(struct kvmb_cpu_table *t)
{
	unsigned int cpu, best = t->num_cpus;

	memset(t->of_node, 0, t->num_nodes * sizeof(*t->of_node));
	for (cpu = 0; cpu < t->num_cpus; cpu++)
		t->of_node[t->cpus[cpu].node] += t->cpus[cpu].of_device;
	for (cpu = 0; cpu < t->num_cpus; cpu++) {
		if (!t->cpus[cpu].online)
			continue;
		if (best == t->num_cpus || is_better(t, &t->cpus[cpu], &t->cpus[best]))
			best = cpu;
	}
	return best;
}

int kvmb_cpu_table_init(struct kvmb_cpu_table *t)
{
	t->num_cpus = nr_cpu_ids;
	t->num_nodes = nr_node_ids;
	t->cpus = kvcalloc(t->num_cpus, sizeof(*t->cpus), GFP_KERNEL);
	t->of_node = kvcalloc(t->num_nodes, sizeof(*t->of_node), GFP_KERNEL);
	return t->cpus && t->of_node ? 0 : -ENOMEM;
}

void kvmb_cpu_table_fini(struct kvmb_cpu_table *t)
{
	kvfree(t->cpus);
	kvfree(t->of_node);
}

static void describe_cpus(struct kvmb_cpu_table *t, unsigned int except)
{
	unsigned int cpu;
	int node;

	rcu_read_lock(); /* the mask of a newer kernel may be replaced */
	for (cpu = 0; cpu < t->num_cpus; cpu++) {
		node = cpu_possible(cpu) ? cpu_to_node(cpu) : NUMA_NO_NODE;
		t->cpus[cpu] = (struct kvmb_cpu_use){
			.online = cpu_online(cpu) && cpu != except,
			.isolated = !cpumask_test_cpu(cpu, kvmb_interrupt_cpus()),
			.node = node < 0 || node >= t->num_nodes ? 0 : node,
		};
	}
	rcu_read_unlock();
}

static const struct kvmb_chan *primary_of(const struct kvmb_chan *ch)
{
	return ch->primary ? ch->primary : ch;
}

unsigned int kvmb_chan_choose_cpu(const struct kvmb_chan *ch, unsigned int except)
{
	struct kvmb_cpu_table *t = &kvmb.cpus;
	const struct kvmb_chan *other;
	unsigned int cpu;

	lockdep_assert_held(&kvmb.lock);
	describe_cpus(t, except);
	list_for_each_entry(other, &kvmb.chans, entry) {
		if (other == ch || kvmb_chan_gone(other))
			continue;
		t->cpus[other->cpu].of_all++;
		t->cpus[other->cpu].of_device += primary_of(other) == primary_of(ch);
	}
	cpu = kvmb_cpu_choose(t);
	return cpu < t->num_cpus ? cpu : kvmb.connect_cpu;
}

/* ---- moving a channel ---- */

int kvmb_chan_tell_cpu(struct kvmb_chan *ch, unsigned int cpu)
{
	struct kvmb_wire_modify m = {
		.relid = cpu_to_le32(ch->relid),
		.target_vp = cpu_to_le32(hv_cpu_number_to_vp_number(cpu)),
	};
	struct kvmb_wire_modify_response r;
	int err;

	if (kvmb.version < KVMB_VERSION_IRON) /* no answer: the old CPU takes what still comes */
		return kvmb_post_msg(KVMB_MSG_MODIFY, &m, sizeof(m), true);
	err = kvmb_ask(KVMB_MSG_MODIFY, &m, sizeof(m), KVMB_MSG_MODIFY_RESPONSE, ch->relid, ch, &r,
		       sizeof(r));
	if (err)
		return err;
	return le32_to_cpu(r.status) ? -EIO : 0;
}

/*
 * Return: 0: the host is to be asked; -EBUSY; 1: that was all. A closed channel will be opened
 * there, and who is opening this one looks at it when the host has answered.
 */
static int begin_move(struct kvmb_chan *ch, unsigned int cpu, u32 *opens)
{
	int err = 0;

	mutex_lock(&kvmb.lock);
	if (ch->state != KVMB_CHAN_OPEN) {
		ch->moving = false;
		ch->cpu = cpu;
		err = 1;
	} else if (ch->moving) {
		err = -EBUSY;
	} else {
		ch->moving = true;
		ch->moving_to = cpu;
		*opens = ch->opens;
	}
	mutex_unlock(&kvmb.lock);
	return err;
}

/* Return: whether it is not opened again meanwhile: the answer is to be believed */
static bool end_move(struct kvmb_chan *ch, unsigned int cpu, u32 opens, int err)
{
	bool same;

	mutex_lock(&kvmb.lock);
	same = ch->opens == opens;
	if (same && !err)
		ch->cpu = cpu;
	if (same && err != -ETIMEDOUT)
		ch->moving = false;
	mutex_unlock(&kvmb.lock);
	return same;
}

void kvmb_chan_on_late_modified(const struct kvmb_wire_modify_response *m)
{
	u32 relid = le32_to_cpu(m->relid);
	struct kvmb_chan *ch = NULL;

	mutex_lock(&kvmb.lock);
	if (relid && relid <= KVMB_MAX_RELID)
		ch = rcu_dereference_protected(kvmb.by_relid[relid], lockdep_is_held(&kvmb.lock));
	if (ch && ch->moving) {
		if (!m->status)
			ch->cpu = ch->moving_to;
		ch->moving = false;
	}
	mutex_unlock(&kvmb.lock);
}

int kvmb_chan_set_cpu(struct kvmb_chan *ch, unsigned int cpu)
{
	u32 opens;
	int err;

	lockdep_assert_held(&kvmb.cpu_lock);
	for (;;) {
		if (READ_ONCE(ch->cpu) == cpu && !READ_ONCE(ch->moving))
			return 0;
		if (kvmb.version < KVMB_VERSION_WIN10_RS3)
			return -EOPNOTSUPP;
		err = begin_move(ch, cpu, &opens);
		if (err)
			return min(err, 0);
		err = kvmb_chan_tell_cpu(ch, cpu);
		/* opened again meanwhile, it interrupts the CPU that the new OPEN named */
		if (end_move(ch, cpu, opens, err))
			return err;
	}
}

/* ---- CPUs go and come ---- */

static struct kvmb_chan *first_on_cpu(unsigned int cpu, unsigned int *to)
{
	struct kvmb_chan *ch, *found = NULL;

	mutex_lock(&kvmb.lock);
	list_for_each_entry(ch, &kvmb.chans, entry) {
		if ((ch->cpu == cpu || (ch->moving && ch->moving_to == cpu)) &&
		    !kvmb_chan_gone(ch)) {
			kref_get(&ch->ref);
			*to = kvmb_chan_choose_cpu(ch, cpu);
			found = ch;
			break;
		}
	}
	mutex_unlock(&kvmb.lock);
	return found;
}

/* Not under kvmb.lock: msg_wq may need that for an offer before it sees the answer we wait for */
static int move_all_from(unsigned int cpu)
{
	struct kvmb_chan *ch;
	unsigned int to;
	int err;

	while ((ch = first_on_cpu(cpu, &to))) {
		mutex_lock(&kvmb.cpu_lock);
		err = kvmb_chan_set_cpu(ch, to);
		mutex_unlock(&kvmb.cpu_lock);
		if (err && err != -ENODEV)
			pr_warn("kvmbus: CPU %u stays: channel %u cannot move\n", cpu, ch->relid);
		kvmb_chan_put(ch);
		if (err && err != -ENODEV)
			return -EBUSY;
	}
	return 0;
}

int kvmb_cpu_goes(unsigned int cpu)
{
	if (!kvmb.version || kvmb.unloading)
		return 0;
	/* the host sends its messages here for as long as we are connected */
	if (cpu == kvmb.connect_cpu || cpumask_any_but(cpu_online_mask, cpu) >= nr_cpu_ids)
		return -EBUSY;
	return move_all_from(cpu);
}

/* What the CPU had comes back. Nothing depends on it, so what does not move stays where it is */
void kvmb_cpu_comes(unsigned int cpu)
{
	struct kvmb_chan *ch;
	unsigned int relid;
	int err = 0;

	if (!kvmb.version || kvmb.unloading)
		return;
	/* a host that does not answer costs one wait, not one a channel */
	for (relid = 1; relid < KVMB_NUM_RELIDS && (!err || err == -ENODEV || err == -EBUSY);
	     relid++) {
		mutex_lock(&kvmb.lock);
		ch = rcu_dereference_protected(kvmb.by_relid[relid], lockdep_is_held(&kvmb.lock));
		if (ch && (ch->home_cpu != cpu || ch->cpu == cpu || kvmb_chan_gone(ch)))
			ch = NULL;
		if (ch)
			kref_get(&ch->ref);
		mutex_unlock(&kvmb.lock);
		if (!ch)
			continue;
		mutex_lock(&kvmb.cpu_lock);
		err = kvmb_chan_set_cpu(ch, cpu);
		mutex_unlock(&kvmb.cpu_lock);
		kvmb_chan_put(ch);
	}
}

/* ---- a look at every channel ---- */

void kvmb_chan_kick_here(void *relid)
{
	kvmb_chan_interrupt((u32)(uintptr_t)relid);
}

static void kick_all(void)
{
	unsigned int relid, cpu;
	struct kvmb_chan *ch;

	for (relid = 1; relid < KVMB_NUM_RELIDS; relid++) {
		rcu_read_lock();
		ch = rcu_dereference(kvmb.by_relid[relid]);
		cpu = ch ? READ_ONCE(ch->cpu) : 0;
		rcu_read_unlock();
		if (ch) /* one too many is harmless; a CPU that is not online is not called */
			smp_call_function_single(cpu, kvmb_chan_kick_here, (void *)(uintptr_t)relid,
						 1);
	}
}

void kvmb_chan_kick_work(struct work_struct *work)
{
	kick_all();
}

/*
 * Before 5.3 a host does not say when a channel has moved. Until it has read its message queue it
 * signals the CPU that went, and one that takes us for awake does not signal again.
 */
void kvmb_chan_kick_later(void)
{
	if (kvmb.version && kvmb.version < KVMB_VERSION_IRON)
		mod_delayed_work(system_wq, &kvmb.kick_work, HZ);
}

void kvmb_cpu_gone(void)
{
	kick_all();
	kvmb_chan_kick_later();
}
