// SPDX-License-Identifier: GPL-2.0-only
/* kvmb_balloon: the channel and its messages. Theory of operation: balloon_guest.h. */
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "guest-vsc/balloon/balloon_guest.h"

#define RING_PAGES 5 /* control page and 16 KiB */
#define BUDGET 64u   /* messages of one turn of the work */
#define HUGE_ORDER 9
#define FULL_MS 20 /* until a full ring is tried again */

static unsigned int report_delay = 45;
module_param(report_delay, uint, 0444);
MODULE_PARM_DESC(report_delay, "seconds until the first report: a start is no measure");

static struct kvmb_wire_memory_header header(u16 type, size_t size)
{
	return (struct kvmb_wire_memory_header){ .type = cpu_to_le16(type),
						 .size = cpu_to_le16(size) };
}

/* ---- sending ---- */

/* Return: 0; -EAGAIN: the ring is full. Under send_lock. */
static int send_once(struct kvmb_balloon *b, struct kvmb_wire_memory_header *msg)
{
	msg->id = cpu_to_le32(++b->id);
	return kvmb_send(b->ch, KVMB_PKT_INBAND, 0, 0, NULL, 0, msg, le16_to_cpu(msg->size));
}

/* Return: 0 or -errno: it cannot be sent any more. */
static int send_message(struct kvmb_balloon *b, struct kvmb_wire_memory_header *msg)
{
	int err;

	for (;;) {
		mutex_lock(&b->send_lock);
		err = send_once(b, msg);
		mutex_unlock(&b->send_lock);
		if (err != -EAGAIN || READ_ONCE(b->stopping))
			return err;
		msleep(FULL_MS);
	}
}

static void report_status(struct work_struct *work)
{
	struct kvmb_balloon *b = container_of(work, struct kvmb_balloon, report.work);
	struct kvmb_wire_memory_status msg = {
		.h = header(KVMB_MEMORY_STATUS, sizeof(msg)),
		.available = cpu_to_le64(max(si_mem_available(), 0l)),
		.committed = cpu_to_le64(balloon_committed(b)),
	};

	mutex_lock(&b->send_lock);
	send_once(b, &msg.h); /* one that has no room is not missed */
	mutex_unlock(&b->send_lock);
	if (!READ_ONCE(b->stopping))
		schedule_delayed_work(&b->report, HZ);
}

/* ---- what the host wants ---- */

/* What can be spared of @want. */
static unsigned long spare(unsigned long want)
{
	unsigned long available = max(si_mem_available(), 0l), floor = balloon_floor();

	return min(want, available > floor ? available - floor : 0);
}

/* One message. Return: pages in it; -errno. */
static long give_some(struct kvmb_balloon *b, unsigned long want, unsigned int *order)
{
	struct balloon_answer *a = b->answer;
	unsigned long got;
	u32 ranges;
	int err;

	memset(a, 0, sizeof(*a));
	got = want ? balloon_fill(b, want, order) : 0;
	ranges = le32_to_cpu(a->head.more_num) >> 1;
	a->head.h = header(KVMB_MEMORY_BALLOON_RESPONSE, sizeof(a->head) + ranges * sizeof(__le64));
	if (got && got < want)
		a->head.more_num |= cpu_to_le32(1);
	err = send_message(b, &a->head.h);
	if (!err)
		return got;
	balloon_unfill(b); /* the host has not heard of them */
	return err;
}

static int give_pages(struct kvmb_balloon *b, const u8 *p)
{
	struct kvmb_wire_memory_balloon msg;
	unsigned int order = HUGE_ORDER;
	unsigned long want;
	long got;

	memcpy(&msg, p, sizeof(msg));
	want = spare(le32_to_cpu(msg.pages));
	do {
		got = give_some(b, want, &order);
		if (got < 0)
			return 0; /* the channel ends: that is not the host's fault */
		want -= got;
	} while (got && want);
	return 0;
}

static int take_back(struct kvmb_balloon *b, const u8 *p, u32 len)
{
	struct kvmb_wire_memory_header answer =
		header(KVMB_MEMORY_UNBALLOON_RESPONSE, sizeof(answer));
	struct kvmb_wire_memory_unballoon msg;
	__le64 range;
	u32 i, num;
	u64 v;

	memcpy(&msg, p, sizeof(msg));
	num = le32_to_cpu(msg.num);
	if (num > (len - sizeof(msg)) / sizeof(range))
		return -EPROTO;
	for (i = 0; i < num; i++) {
		memcpy(&range, p + sizeof(msg) + i * sizeof(range), sizeof(range));
		v = le64_to_cpu(range);
		if (balloon_release(b, KVMB_MEMORY_RANGE_FIRST(v), KVMB_MEMORY_RANGE_NUM(v)))
			return -EPROTO;
	}
	if (!(le32_to_cpu(msg.more) & 1))
		send_message(b, &answer);
	return 0;
}

static int take_more(struct kvmb_balloon *b, const u8 *p)
{
	struct kvmb_wire_memory_added answer = {
		.h = header(KVMB_MEMORY_ADD_RESPONSE, sizeof(answer)),
	};
	struct kvmb_wire_memory_add msg;
	unsigned long pages;
	u64 v;

	memcpy(&msg, p, sizeof(msg));
	v = le64_to_cpu(msg.range);
	pages = b->full ? 0 : balloon_add(b, KVMB_MEMORY_RANGE_FIRST(v), KVMB_MEMORY_RANGE_NUM(v));
	answer.pages = cpu_to_le32(pages);
	answer.result = cpu_to_le32(pages || b->full);
	send_message(b, &answer.h);
	return 0;
}

static int hear_accepted(struct kvmb_balloon *b, const u8 *p)
{
	struct kvmb_wire_memory_accepted msg;

	memcpy(&msg, p, sizeof(msg));
	b->accepted = le64_to_cpu(msg.accepted) & 1;
	complete(&b->answered);
	return 0;
}

/* @p: a private copy of @len bytes. Return: 0; -EPROTO. */
static int handle(struct kvmb_balloon *b, const u8 *p, u32 len)
{
	struct kvmb_wire_memory_header h;
	u32 size;

	if (len < sizeof(h))
		return -EPROTO;
	memcpy(&h, p, sizeof(h));
	size = le16_to_cpu(h.size);
	if (size < sizeof(h) || size > len)
		return -EPROTO;
	switch (le16_to_cpu(h.type)) {
	case KVMB_MEMORY_VERSION_RESPONSE:
	case KVMB_MEMORY_CAPS_RESPONSE:
		return size < sizeof(struct kvmb_wire_memory_accepted) ? -EPROTO :
									 hear_accepted(b, p);
	case KVMB_MEMORY_BALLOON_REQUEST:
		return size < sizeof(struct kvmb_wire_memory_balloon) ? -EPROTO : give_pages(b, p);
	case KVMB_MEMORY_UNBALLOON_REQUEST:
		return size < sizeof(struct kvmb_wire_memory_unballoon) ? -EPROTO :
									  take_back(b, p, size);
	case KVMB_MEMORY_ADD_REQUEST:
		return size < sizeof(struct kvmb_wire_memory_add) ? -EPROTO : take_more(b, p);
	}
	return 0; /* INFO, and what hosts may say one day */
}

static void balloon_work(struct work_struct *work)
{
	struct kvmb_balloon *b = container_of(work, struct kvmb_balloon, work);
	struct kvmb_pkt pkt;
	u32 n = 0;

	while (!READ_ONCE(b->stopping) && !kvmb_recv(b->ch, b->buf, sizeof(b->buf), &pkt)) {
		if (pkt.type == KVMB_PKT_INBAND && handle(b, pkt.payload, pkt.payload_len)) {
			kvmb_chan_fail(b->ch, "dynamic memory: a message makes no sense");
			return;
		}
		if (++n > BUDGET) {
			kvmb_recv_done(b->ch);
			queue_work(system_long_wq, work);
			return;
		}
	}
}

static void balloon_callback(void *ctx)
{
	struct kvmb_balloon *b = ctx;

	queue_work(system_long_wq, &b->work);
}

/* ---- agreeing ---- */

/* Return: 1: the host accepts; 0: it does not; -errno. */
static int ask(struct kvmb_balloon *b, struct kvmb_wire_memory_header *msg)
{
	int err;

	reinit_completion(&b->answered);
	err = send_message(b, msg);
	if (!err)
		err = kvmb_chan_wait(b->ch, &b->answered, KVMB_WAIT_S);
	return err ? err : b->accepted;
}

static int agree(struct kvmb_balloon *b)
{
	static const u32 versions[] = { KVMB_MEMORY_VERSION_WIN10, KVMB_MEMORY_VERSION_WIN8,
					KVMB_MEMORY_VERSION_WIN7 };
	struct kvmb_wire_memory_version version = {
		.h = header(KVMB_MEMORY_VERSION_REQUEST, sizeof(version)),
	};
	struct kvmb_wire_memory_caps caps = {
		.h = header(KVMB_MEMORY_CAPS_REPORT, sizeof(caps)),
		.caps = cpu_to_le64(KVMB_MEMORY_CAN_BALLOON | KVMB_MEMORY_CAN_ADD |
				    balloon_align() << KVMB_MEMORY_ALIGN_SHIFT),
		.max_page = cpu_to_le64(~0ull),
	};
	unsigned int i;
	int got = 0;

	for (i = 0; i < ARRAY_SIZE(versions) && !got; i++) {
		version.version = cpu_to_le32(versions[i]);
		version.last = cpu_to_le32(i + 1 == ARRAY_SIZE(versions));
		got = ask(b, &version.h);
	}
	if (got > 0)
		got = ask(b, &caps.h);
	return got > 0 ? 0 : got ? got : -EPROTO;
}

/* A host that does not confirm it may still drop what it was given. */
static void balloon_stop(struct kvmb_balloon *b)
{
	int err;

	WRITE_ONCE(b->stopping, true);
	kvmb_chan_stop(b->ch);
	cancel_work_sync(&b->work);
	cancel_delayed_work_sync(&b->report);
	err = kvmb_chan_close(b->ch);
	if (!err) {
		balloon_release_all(b);
	} else if (!list_empty(&b->pages)) {
		pr_warn("kvmbus: %lu pages stay given away: the host does not answer\n", b->num);
		list_splice_init(&b->pages, &b->lost);
	}
}

static int balloon_start(struct kvmb_balloon *b)
{
	int err;

	WRITE_ONCE(b->stopping, false);
	b->full = false;
	err = kvmb_chan_open(b->ch, RING_PAGES, NULL, 0, balloon_callback, b);
	if (err)
		return err;
	err = agree(b);
	if (!err) {
		schedule_delayed_work(&b->report, report_delay * HZ);
		return 0;
	}
	pr_warn("kvmbus: dynamic memory: nothing is agreed with the host: error %d\n", err);
	balloon_stop(b);
	return err;
}

/* ---- the device ---- */

static void balloon_free(struct kvmb_balloon *b)
{
	kfree(b->answer);
	if (list_empty(&b->lost)) /* else they name it, and stay away */
		kfree(b);
}

static int balloon_probe(struct kvmb_device *dev)
{
	struct kvmb_balloon *b = kzalloc(sizeof(*b), GFP_KERNEL);
	int err;

	if (!b)
		return -ENOMEM;
	b->answer = kzalloc(sizeof(*b->answer), GFP_KERNEL);
	if (!b->answer) {
		kfree(b);
		return -ENOMEM;
	}
	b->ch = dev->chan;
	INIT_WORK(&b->work, balloon_work);
	INIT_DELAYED_WORK(&b->report, report_status);
	INIT_LIST_HEAD(&b->pages);
	INIT_LIST_HEAD(&b->lost);
	mutex_init(&b->send_lock);
	init_completion(&b->answered);
	dev_set_drvdata(&dev->dev, b);
	err = balloon_start(b);
	if (err)
		balloon_free(b);
	return err;
}

static void balloon_remove(struct kvmb_device *dev)
{
	struct kvmb_balloon *b = dev_get_drvdata(&dev->dev);

	balloon_stop(b);
	balloon_free(b);
}

static int balloon_suspend(struct kvmb_device *dev)
{
	balloon_stop(dev_get_drvdata(&dev->dev));
	return 0;
}

static int balloon_resume(struct kvmb_device *dev)
{
	return balloon_start(dev_get_drvdata(&dev->dev));
}

static const struct kvmb_guid balloon_types[] = { KVMB_MEMORY_TYPE_GUID };

static struct kvmb_driver balloon_driver = {
	.name = "kvmb_balloon",
	.types = balloon_types,
	.num_types = ARRAY_SIZE(balloon_types),
	.probe = balloon_probe,
	.remove = balloon_remove,
	.suspend = balloon_suspend,
	.resume = balloon_resume,
};

static int __init balloon_init(void)
{
	return kvmb_driver_register(&balloon_driver, THIS_MODULE);
}

static void __exit balloon_exit(void)
{
	kvmb_driver_unregister(&balloon_driver);
}

module_init(balloon_init);
module_exit(balloon_exit);
/* the type GUID of proto/memory.h in wire order */
MODULE_ALIAS("kvmbus:dc7450528589e2468057a307dc18a502");
MODULE_DESCRIPTION("kvmbus: dynamic memory of a guest");
MODULE_LICENSE("GPL");
