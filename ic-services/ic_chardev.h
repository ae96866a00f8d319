/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest's service whose work a daemon does: the character device between the two.
 *
 * DOC: Theory of operation
 *
 * The devices are those that the daemons of package hyperv-daemons open: /dev/vmbus/hv_kvp and the
 * like. One process may have a device open. Its first write registers it; then it reads a question
 * and writes the answer, one at a time. There are no numbers that tell answers apart, so a write
 * counts as an answer only if the question has been read; one that comes when its question was
 * given up, and the next has not been read, is ignored.
 *
 * Who asks waits: it is the work item of the service (ic_guest.h). A daemon that closes the device,
 * or is killed, ends the wait at once. The device may go while it is open; the object stays until
 * the file is closed.
 *
 * Sources: Linux 6.12 drivers/hv/hv_utils_transport.c for what daemons expect.
 */
#ifndef KVMB_IC_CHARDEV_H
#define KVMB_IC_CHARDEV_H

#include <linux/types.h>

#define KVMB_IC_DAEMON_S 30   /* a daemon has that long for an answer, as with the in-tree driver */
#define KVMB_IC_REGISTER_S 55 /* and to register, before the host hears that there is none */

struct kvmb_ic_chardev;

struct kvmb_ic_chardev_ops { /* const, one per service */
	const char *name;    /* below /dev */
	u32 max;	     /* bytes of a message, both ways */
	/*
	 * The first write, msg[len] with len <= max. Return: 0: it is registered, and is told
	 * say[*say_len] if that is not 0; -errno: its write fails with that. A mutex is held.
	 */
	int (*hello)(void *arg, const void *msg, u32 len, void *say, u32 *say_len);
};

/**
 * kvmb_ic_chardev_create() - Make the device
 * @ops: const
 * @arg: of its functions, until kvmb_ic_chardev_destroy()
 *
 * Return: the device, or ERR_PTR(). Context: may sleep, as all here.
 */
struct kvmb_ic_chardev *kvmb_ic_chardev_create(const struct kvmb_ic_chardev_ops *ops, void *arg);

/** kvmb_ic_chardev_destroy() - Nobody asks any more; a process that has it open hears of it. */
void kvmb_ic_chardev_destroy(struct kvmb_ic_chardev *d);

/** kvmb_ic_chardev_interrupt() - With @on nobody waits here, now and from now on. */
void kvmb_ic_chardev_interrupt(struct kvmb_ic_chardev *d, bool on);

/** kvmb_ic_chardev_await() - Wait until a daemon has registered, @seconds at most. */
void kvmb_ic_chardev_await(struct kvmb_ic_chardev *d, unsigned int seconds);

/**
 * kvmb_ic_chardev_ask() - Ask the daemon
 * @msg:     msg[len], len <= ops->max
 * @answer:  answer[size]; what the daemon wrote, as far as it fits
 * @seconds: limit
 *
 * Return: bytes that it wrote; -ENOTCONN: there is none, or it has gone; -ETIMEDOUT; -ENODEV:
 * interrupted. One caller at a time. Trust: the daemon is root's, and may still be wrong.
 */
int kvmb_ic_chardev_ask(struct kvmb_ic_chardev *d, const void *msg, u32 len, void *answer, u32 size,
			unsigned int seconds);

#endif
