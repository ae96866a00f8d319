/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Serial output into a file, by a thread of its own.
 *
 * DOC: Theory of operation
 *
 * A file is always ready for epoll, and yet a write to it may take for ever: its server is gone, its
 * disk is stuck. So a thread writes, and is told when there is output. What it has not fetched waits
 * in the serial port's own backlog, which drops the oldest. Nothing else is buffered.
 *
 * A guest must not fill the host's disk: when the file has reached its limit, its older half is
 * taken out of it, and a line says so.
 *
 * A thread that hangs when the VM ends is left behind. It owns the sink then, touches nothing of the
 * VM's any more, and goes with the process.
 */
#ifndef KVMB_SINK_H
#define KVMB_SINK_H

#include <stdbool.h>

#include "vmbus-core/env.h"

struct serial;
struct sink;

#define SINK_LIMIT (64u << 20)

/**
 * sink_create() - Start writing all output from the first byte on
 * @fd:    a file, written at its end; the sink closes it
 * @limit: bytes the file may have, 0 = any number; the file must be readable, too
 * Return: the sink; NULL when there is no thread to be had, and @fd is closed.
 */
struct sink *sink_create(struct serial *serial, int fd, u64 limit);

/** sink_wake() - There is new output. Any thread. */
void sink_wake(struct sink *s);

/**
 * sink_destroy() - Write what there is, and end
 * @ms: how long that may take
 * Return: false when it took longer: the rest is lost.
 */
bool sink_destroy(struct sink *s, u32 ms);

#endif
