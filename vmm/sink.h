/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes serial output to a file, on its own thread.
 *
 * DOC: Theory of operation
 *
 * epoll always reports a file as ready, but a write may still take forever, because its server is
 * gone or its disk hangs. So a thread writes, and is woken when there is output. Output that it has
 * not fetched stays in the serial port's backlog, which drops the oldest bytes. There is no other
 * buffer.
 *
 * A guest must not fill the host's disk: when the file has reached its limit, its older half is
 * removed, and a line in the file says so.
 *
 * If the thread hangs when the VM ends, it is left behind. Then it owns the sink, touches nothing
 * of the VM, and ends with the process.
 */
#ifndef KVMB_SINK_H
#define KVMB_SINK_H

#include <stdbool.h>

#include "vmbus-core/env.h"

struct serial;
struct sink;

#define SINK_LIMIT (64u << 20)

/**
 * sink_create() - Start writing all output, from the first byte on
 * @serial: the port
 * @fd:     a file, written at its end; owned by the sink
 * @limit:  most bytes of the file, which must then be readable too; 0 = no limit
 *
 * Return: the sink; NULL when no thread could be made, and @fd is closed.
 */
struct sink *sink_create(struct serial *serial, int fd, u64 limit);

/** sink_wake() - There is new output. Any thread. */
void sink_wake(struct sink *s);

/**
 * sink_drain() - Wait until all output so far is written
 * @ms: longest wait
 *
 * Return: false when it would take longer. Context: its owner; no more output comes.
 */
bool sink_drain(struct sink *s, u32 ms);

/**
 * sink_destroy() - Write the remaining output and end the thread
 * @s:  the sink
 * @ms: longest wait
 *
 * Return: false when it would take longer: the rest is lost.
 */
bool sink_destroy(struct sink *s, u32 ms);

#endif
