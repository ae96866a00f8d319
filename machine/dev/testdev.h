/* SPDX-License-Identifier: GPL-2.0-only */
/* Test ports for third-party VMM unit tests (`--test-devices`): shared lab notes. */
#ifndef KVMB_TESTDEV_H
#define KVMB_TESTDEV_H

#include "machine/machine.h"

struct kvmb_bus;
struct testdev;

/** testdev_create() - Its ports, and @m->post_hook. Context: main thread, before @m->testdev runs a vCPU. */
struct testdev *testdev_create(struct machine *m);

/** testdev_destroy() - NULL is fine. Context: main thread; no vCPU runs. */
void testdev_destroy(struct testdev *t);

/**
 * testdev_offer() - Offer a keyboard that never says a word: a class that our guest modules do not serve
 * Return: as kvmb_bus_offer(). Context: before the VM runs.
 */
int testdev_offer(struct testdev *t, struct kvmb_bus *bus);

#endif
