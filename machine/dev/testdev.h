/* SPDX-License-Identifier: GPL-2.0-only */
/* Test ports for third-party VMM unit tests (`--test-devices`). */
#ifndef KVMB_TESTDEV_H
#define KVMB_TESTDEV_H

#include "machine/machine.h"

struct kvmb_bus;
struct testdev;

/** testdev_create() - Add its ports and set @m->post_hook. Main thread, before vCPUs run. */
struct testdev *testdev_create(struct machine *m);

/** testdev_destroy() - NULL is fine. Context: main thread; no vCPU runs. */
void testdev_destroy(struct testdev *t);

/**
 * testdev_offer() - Offer a silent keyboard, a class that our guest modules do not serve
 *
 * Return: as kvmb_bus_offer(). Context: before the VM runs.
 */
int testdev_offer(struct testdev *t, struct kvmb_bus *bus);

#endif
