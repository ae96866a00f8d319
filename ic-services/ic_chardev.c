// SPDX-License-Identifier: GPL-2.0-only
/* The character device of a daemon; theory of operation: ic_chardev.h. */
#include "ic-services/ic_chardev.h"

#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

/*
 * TALK_NOTHING: nothing is asked.
 * TALK_SAYING: the answer to its registration waits to be read.
 * TALK_ASKED: a question waits to be read.
 * TALK_READ: the daemon has it; its next write is the answer.
 * TALK_ANSWERED: who asked has not taken the answer yet.
 */
enum talk { TALK_NOTHING, TALK_SAYING, TALK_ASKED, TALK_READ, TALK_ANSWERED };

struct kvmb_ic_chardev {
	struct miscdevice misc;
	const struct kvmb_ic_chardev_ops *ops;
	void *arg;
	struct kref ref;	/* the service's, and the open file's */
	struct mutex lock;	/* guards what follows */
	wait_queue_head_t wait; /* anything has changed */
	bool gone, interrupted, open, registered;
	enum talk talk;
	u32 len; /* of the message in buf */
	u8 *buf; /* buf[ops->max]: to be read, or the answer */
};

static void free_chardev(struct kref *ref)
{
	struct kvmb_ic_chardev *d = container_of(ref, struct kvmb_ic_chardev, ref);

	kfree(d->buf);
	kfree(d);
}

static struct kvmb_ic_chardev *of_file(struct file *file)
{
	/* misc_open() has put it there, and open() has kept it */
	return container_of(file->private_data, struct kvmb_ic_chardev, misc);
}

static void set_talk(struct kvmb_ic_chardev *d, enum talk to)
{
	WRITE_ONCE(d->talk, to);
	wake_up_all(&d->wait);
}

/* ---- the daemon ---- */

static int chardev_open(struct inode *inode, struct file *file)
{
	struct kvmb_ic_chardev *d = of_file(file);
	int err = 0;

	mutex_lock(&d->lock);
	if (d->gone)
		err = -ENODEV;
	else if (d->open)
		err = -EBUSY;
	else
		d->open = true;
	if (!err)
		kref_get(&d->ref);
	mutex_unlock(&d->lock);
	return err;
}

static int chardev_release(struct inode *inode, struct file *file)
{
	struct kvmb_ic_chardev *d = of_file(file);

	mutex_lock(&d->lock);
	d->open = false;
	WRITE_ONCE(d->registered, false);
	set_talk(d, TALK_NOTHING);
	mutex_unlock(&d->lock);
	kref_put(&d->ref, free_chardev);
	return 0;
}

static bool has_message(const struct kvmb_ic_chardev *d)
{
	enum talk talk = READ_ONCE(d->talk);

	return talk == TALK_SAYING || talk == TALK_ASKED;
}

/* Return: bytes; 0: somebody else was faster. Under the lock. */
static ssize_t give_message(struct kvmb_ic_chardev *d, char __user *to, size_t count)
{
	if (d->gone)
		return -EBADF;
	if (!has_message(d))
		return 0;
	if (count < d->len)
		return -EINVAL;
	if (copy_to_user(to, d->buf, d->len))
		return -EFAULT;
	set_talk(d, d->talk == TALK_ASKED ? TALK_READ : TALK_NOTHING);
	return d->len;
}

static ssize_t chardev_read(struct file *file, char __user *to, size_t count, loff_t *pos)
{
	struct kvmb_ic_chardev *d = of_file(file);
	ssize_t n = 0;

	while (!n) {
		mutex_lock(&d->lock);
		n = give_message(d, to, count);
		mutex_unlock(&d->lock);
		if (!n && file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		if (!n && wait_event_interruptible(d->wait, READ_ONCE(d->gone) || has_message(d)))
			return -EINTR;
	}
	return n;
}

/* Under the lock. */
static int take_hello(struct kvmb_ic_chardev *d, const void *msg, u32 len)
{
	u32 say = 0;
	int err = d->ops->hello(d->arg, msg, len, d->buf, &say);

	if (err)
		return err;
	WRITE_ONCE(d->registered, true);
	d->len = say;
	set_talk(d, say ? TALK_SAYING : TALK_NOTHING);
	return 0;
}

static ssize_t chardev_write(struct file *file, const char __user *from, size_t count, loff_t *pos)
{
	struct kvmb_ic_chardev *d = of_file(file);
	void *msg;
	int err = 0;

	if (!count || count > d->ops->max)
		return -EINVAL;
	msg = memdup_user(from, count);
	if (IS_ERR(msg))
		return PTR_ERR(msg);
	mutex_lock(&d->lock);
	if (d->gone) {
		err = -EBADF;
	} else if (!d->registered) {
		err = take_hello(d, msg, count);
	} else if (d->talk == TALK_READ) {
		memcpy(d->buf, msg, count);
		d->len = count;
		set_talk(d, TALK_ANSWERED);
	} /* else it is late, and who asked has given up */
	mutex_unlock(&d->lock);
	kfree(msg);
	return err ? err : count;
}

static __poll_t chardev_poll(struct file *file, poll_table *table)
{
	struct kvmb_ic_chardev *d = of_file(file);

	poll_wait(file, &d->wait, table);
	if (READ_ONCE(d->gone))
		return EPOLLERR | EPOLLHUP;
	return has_message(d) ? EPOLLIN | EPOLLRDNORM : 0;
}

static const struct file_operations chardev_fops = {
	.owner = THIS_MODULE,
	.open = chardev_open,
	.release = chardev_release,
	.read = chardev_read,
	.write = chardev_write,
	.poll = chardev_poll,
};

/* ---- the service ---- */

struct kvmb_ic_chardev *kvmb_ic_chardev_create(const struct kvmb_ic_chardev_ops *ops, void *arg)
{
	struct kvmb_ic_chardev *d = kzalloc(sizeof(*d), GFP_KERNEL);
	int err = -ENOMEM;

	if (!d)
		return ERR_PTR(err);
	d->ops = ops;
	d->arg = arg;
	kref_init(&d->ref);
	mutex_init(&d->lock);
	init_waitqueue_head(&d->wait);
	d->misc.minor = MISC_DYNAMIC_MINOR;
	d->misc.name = ops->name;
	d->misc.fops = &chardev_fops;
	d->buf = kzalloc(ops->max, GFP_KERNEL);
	if (d->buf)
		err = misc_register(&d->misc);
	if (!err)
		return d;
	kref_put(&d->ref, free_chardev);
	return ERR_PTR(err);
}

void kvmb_ic_chardev_destroy(struct kvmb_ic_chardev *d)
{
	mutex_lock(&d->lock);
	WRITE_ONCE(d->gone, true);
	set_talk(d, TALK_NOTHING);
	mutex_unlock(&d->lock);
	misc_deregister(&d->misc); /* nobody opens it from here on */
	kref_put(&d->ref, free_chardev);
}

void kvmb_ic_chardev_interrupt(struct kvmb_ic_chardev *d, bool on)
{
	mutex_lock(&d->lock);
	WRITE_ONCE(d->interrupted, on);
	wake_up_all(&d->wait);
	mutex_unlock(&d->lock);
}

void kvmb_ic_chardev_await(struct kvmb_ic_chardev *d, unsigned int seconds)
{
	wait_event_idle_timeout(d->wait, READ_ONCE(d->registered) || READ_ONCE(d->interrupted),
				seconds * HZ);
}

/* Return: 0; -errno: there is nobody to wait for. Under the lock. */
static int still_there(const struct kvmb_ic_chardev *d)
{
	return d->interrupted ? -ENODEV : d->registered ? 0 : -ENOTCONN;
}

/* Without the lock, because who waits may not sleep for it; wait_for() looks again. */
static bool changed(const struct kvmb_ic_chardev *d, enum talk want)
{
	return READ_ONCE(d->talk) == want || READ_ONCE(d->interrupted) || !READ_ONCE(d->registered);
}

/* Wait for @want until *left jiffies have passed. Return: 0, with the lock; -errno without it. */
static int wait_for(struct kvmb_ic_chardev *d, enum talk want, long *left)
{
	int err;

	/* idle: a freeze may take longer than a task may hang */
	*left = wait_event_idle_timeout(d->wait, changed(d, want), *left);
	mutex_lock(&d->lock);
	err = still_there(d);
	if (!err && d->talk != want)
		err = -ETIMEDOUT;
	if (err) {
		/* an answer that is still to come is to nothing that is asked */
		if (d->talk != TALK_SAYING)
			set_talk(d, TALK_NOTHING);
		mutex_unlock(&d->lock);
	}
	return err;
}

int kvmb_ic_chardev_ask(struct kvmb_ic_chardev *d, const void *msg, u32 len, void *answer, u32 size,
			unsigned int seconds)
{
	long left = (long)seconds * HZ;
	int err = wait_for(d, TALK_NOTHING, &left);

	if (err)
		return err;
	memcpy(d->buf, msg, len);
	d->len = len;
	set_talk(d, TALK_ASKED);
	mutex_unlock(&d->lock);
	left = max(left, 1l);
	err = wait_for(d, TALK_ANSWERED, &left);
	if (err)
		return err;
	err = d->len;
	memcpy(answer, d->buf, min(d->len, size));
	set_talk(d, TALK_NOTHING);
	mutex_unlock(&d->lock);
	return err;
}
