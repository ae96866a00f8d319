// SPDX-License-Identifier: GPL-2.0-only
/*
 * What udev says of block devices. Where no udevd runs (containers, small systems) the
 * kernel's own events are listened to; for coming and going they say the same.
 *
 * Source: libudev(3), udev_monitor_new_from_netlink(3).
 */
#include "vmm/udev.h"

#include <libudev.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/util.h"
#include "vmm/disks.h"

struct udev_state {
	struct udev *udev;
	struct udev_monitor *monitor;
	struct kvmb_watch *watch;
};

static void on_event(void *arg, uint32_t events)
{
	struct vm *vm = arg;
	struct udev_device *dev;
	const char *action;

	(void)events;
	while ((dev = udev_monitor_receive_device(vm->udev->monitor))) {
		action = udev_device_get_action(dev);
		if (action && !strcmp(action, "remove"))
			disks_device_gone(vm, udev_device_get_devnum(dev));
		else if (action && !strcmp(action, "change"))
			disks_device_changed(vm, udev_device_get_devnum(dev));
		udev_device_unref(dev);
	}
}

void udev_watch(struct vm *vm)
{
	const char *source = access("/run/udev/control", F_OK) ? "kernel" : "udev";
	struct udev_state *u;

	if (vm->udev)
		return;
	u = vm->udev = kvmb_xzalloc(sizeof(*u));
	u->udev = udev_new();
	if (u->udev)
		u->monitor = udev_monitor_new_from_netlink(u->udev, source);
	if (!u->monitor ||
	    udev_monitor_filter_add_match_subsystem_devtype(u->monitor, "block", NULL) < 0 ||
	    udev_monitor_enable_receiving(u->monitor) < 0) {
		kvmb_warn(vm->cfg.name, "no device events: a disk that vanishes will not be noticed");
		return;
	}
	u->watch = kvmb_loop_add(vm->loop, udev_monitor_get_fd(u->monitor), EPOLLIN, on_event, vm);
}

void udev_unwatch(struct vm *vm)
{
	struct udev_state *u = vm->udev;

	if (!u)
		return;
	kvmb_loop_del(u->watch);
	udev_monitor_unref(u->monitor);
	udev_unref(u->udev);
	free(u);
	vm->udev = NULL;
}
