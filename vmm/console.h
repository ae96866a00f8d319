/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The far end of the serial port: standard output, a file or a socket, and clients of the control
 * socket that have asked for the console.
 *
 * DOC: Theory of operation
 *
 * A guest writes byte by byte, and each byte is an exit. The first byte after a silence wakes the
 * main thread, which waits OUTPUT_MS and then passes on everything that has arrived: one wake-up
 * and one write for many bytes.
 *
 * We never wait for a reader. A slow reader gets its output later, but only the last
 * SERIAL_BACKLOG bytes. A file is written by its own thread (sink.h).
 *
 * Input that does not fit into the port's FIFO stays in our buffer, and then with the sender,
 * until the guest has read.
 */
#ifndef KVMB_CONSOLE_H
#define KVMB_CONSOLE_H

#include "vmm/vm.h"

struct console;

/* Who else shows the console. Main thread. */
struct console_watcher {
	void (*output)(void *arg); /* there is more to console_pass() */
	void (*room)(void *arg);   /* the guest takes input again */
};

/**
 * console_create() - Open the target of --serial
 * @vm:   its configuration names the target
 * @w:    called with @arg
 * @arg:  of @w
 * @why:  why[size], on failure one phrase for the user
 * @size: bytes
 *
 * Return: the console; NULL on failure. Context: main thread.
 */
struct console *console_create(struct vm *vm, const struct console_watcher *w, void *arg,
			       char *why, size_t size);

/** console_destroy() - Write the remaining output, for a limited time, and close. NULL is fine. */
void console_destroy(struct console *c);

/** console_start() - The VM starts: empty the file, make a terminal raw. Main thread. */
void console_start(struct console *c);

/** console_restore_tty() - Undo what console_start() did to standard input. Any thread. */
void console_restore_tty(void);

/** console_flush() - Pass on all pending output now. Main thread. */
void console_flush(struct console *c);

/**
 * console_drain() - Pass on all output, for another process that will go on behind it
 * @ms: longest wait for who writes or reads it
 *
 * Return: false when that was not long enough. Context: main thread; the guest stands.
 */
bool console_drain(struct console *c, u32 ms);

/**
 * console_pass() - Write output to a descriptor, from a position on
 * @vm:     has the serial port
 * @fd:     a socket, or another descriptor that does not block
 * @cursor: as for serial_read(); moved past the bytes written
 *
 * After an error other than a full @fd nothing more is written.
 *
 * Return: true when there is more output and @fd is full. Context: main thread.
 */
bool console_pass(struct vm *vm, int fd, u64 *cursor);

/** console_output() - serial_ops.output: there is new output. Any thread. */
void console_output(void *console);

/** console_room() - serial_ops.room: the guest has read its input. Any thread. */
void console_room(void *console);

#endif
