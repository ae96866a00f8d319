/* SPDX-License-Identifier: GPL-2.0-only */
/* Block devices of the host that vanish or change their size. */
#ifndef KVMB_UDEV_H
#define KVMB_UDEV_H

struct vm;

/** udev_watch() - Begin to listen, once; without udev nothing is heard. Main thread. */
void udev_watch(struct vm *vm);
void udev_unwatch(struct vm *vm);

#endif
