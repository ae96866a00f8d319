// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events of block devices from udev. Where no udevd runs (containers, small systems), we listen to
 * the kernel's own events, which report devices that come and go in the same way.
 *
 * Source: libudev(3), udev_monitor_new_from_netlink(3).
 */
#include "vmm/udev.h"

#include <libudev.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/loop.h"
#include "lib/util.h"

struct udev_watch {
	struct kvmb_loop *loop;
	const char *who;
	const struct udev_events *events;
	void *arg;
	bool receiving, listening;
	struct udev *udev;
	struct udev_monitor *monitor;
	struct kvmb_watch *watch;
};

static void on_udev_event(void *arg, uint32_t events)
{
	struct udev_watch *u = arg;
	struct udev_device *dev;
	const char *action;

	(void)events;
	while ((dev = udev_monitor_receive_device(u->monitor))) {
		action = udev_device_get_action(dev);
		if (action && !strcmp(action, "remove"))
			u->events->gone(u->arg, udev_device_get_devnum(dev));
		else if (action && !strcmp(action, "change"))
			u->events->changed(u->arg, udev_device_get_devnum(dev));
		udev_device_unref(dev);
	}
}

struct udev_watch *udev_watch_create(struct kvmb_loop *loop, const char *who,
				     const struct udev_events *events, void *arg)
{
	const char *source = access("/run/udev/control", F_OK) ? "kernel" : "udev";
	struct udev_watch *u = kvmb_xzalloc(sizeof(*u));

	u->loop = loop;
	u->who = who;
	u->events = events;
	u->arg = arg;
	u->udev = udev_new();
	if (u->udev)
		u->monitor = udev_monitor_new_from_netlink(u->udev, source);
	/* a confined process could not bind the socket later */
	u->receiving =
		u->monitor &&
		udev_monitor_filter_add_match_subsystem_devtype(u->monitor, "block", NULL) >= 0 &&
		udev_monitor_enable_receiving(u->monitor) >= 0;
	return u;
}

/* What came before the first device is about others. */
static void forget_events(struct udev_watch *u)
{
	struct udev_device *dev;

	while ((dev = udev_monitor_receive_device(u->monitor)))
		udev_device_unref(dev);
}

void udev_watch_listen(struct udev_watch *u)
{
	if (!u || u->listening)
		return;
	u->listening = true;
	if (!u->receiving) {
		kvmb_warn(u->who, "no device events; disks that vanish will not be noticed");
		return;
	}
	forget_events(u);
	u->watch = kvmb_loop_add(u->loop, udev_monitor_get_fd(u->monitor), EPOLLIN, on_udev_event,
				 u);
}

void udev_watch_destroy(struct udev_watch *u)
{
	if (!u)
		return;
	kvmb_loop_del(u->watch);
	udev_monitor_unref(u->monitor);
	udev_unref(u->udev);
	free(u);
}
