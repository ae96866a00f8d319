/* SPDX-License-Identifier: GPL-2.0-only */
/* Test ports for third-party VMM unit tests (`--test-devices`): shared lab notes. */
#ifndef KVMB_TESTDEV_H
#define KVMB_TESTDEV_H

#include "vmm/vm.h"

struct testdev;

struct testdev *testdev_create(struct vm *vm);
void testdev_destroy(struct testdev *t);

/**
 * testdev_offer() - Offer a keyboard that never says a word: a class that our guest modules do not serve
 * Return: as kvmb_bus_offer(). Context: before the VM runs.
 */
int testdev_offer(struct testdev *t, struct kvmb_bus *bus);

/**
 * testdev_post() - HvPostMessage to a test connection?
 * Return: true when @conn is one of ours; *status answers the hypercall. vCPU threads.
 */
bool testdev_post(struct testdev *t, u32 conn, u32 type, const void *payload, u32 len, u16 *status);

#endif
