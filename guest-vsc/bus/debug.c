// SPDX-License-Identifier: GPL-2.0-only
/* Debugging: the bodies of tracepoints, and /sys/kernel/debug/kvmbus/channels. */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "guest-vsc/bus/bus_priv.h"

#define CREATE_TRACE_POINTS
#include "guest-vsc/bus/kvmb_trace.h"

static struct dentry *dir;

static void show_ring(struct seq_file *f, const struct kvmb_ring *r, bool writer)
{
	seq_printf(f, " %7u/%-7u", kvmb_ring_used(r, writer), r->size);
}

static int channels_show(struct seq_file *f, void *unused)
{
	const struct kvmb_chan *ch;

	seq_puts(f, "relid index state     cpu interrupts   signals"
		    "  to_host/size    from_host/size  device\n");
	mutex_lock(&kvmb.lock);
	list_for_each_entry(ch, &kvmb.chans, entry) {
		seq_printf(f, "%5u %5u %-9s %3u %10llu %9llu ", ch->relid, ch->index,
			   kvmb_chan_state_name(ch), ch->cpu, ch->interrupts, ch->signals);
		/* the rings stay mapped as long as we have the lock */
		if (ch->state == KVMB_CHAN_OPEN) {
			show_ring(f, &ch->tx, true);
			show_ring(f, &ch->rx, false);
		} else {
			seq_printf(f, " %15s %15s", "-", "-");
		}
		seq_printf(f, " %pUl\n", ch->instance.b);
	}
	mutex_unlock(&kvmb.lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(channels);

void kvmb_debug_start(void)
{
	dir = debugfs_create_dir("kvmbus", NULL);
	debugfs_create_file("channels", 0400, dir, NULL, &channels_fops);
}

void kvmb_debug_stop(void)
{
	debugfs_remove_recursive(dir);
	dir = NULL;
}
