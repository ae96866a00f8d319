/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The serial port's far end: standard output, a file, a socket; and news of it for who has
 * asked the control socket for the console.
 *
 * DOC: Theory of operation
 *
 * A guest writes byte by byte, each an exit. The first byte after a silence wakes the main
 * thread, which waits a moment (OUTPUT_MS) and then passes on all that has come: one wake-up
 * and one write for many bytes instead of for each.
 *
 * Nobody waits for a reader: one that is slow finds its output later, the last SERIAL_BACKLOG
 * bytes of it. A file is written by a thread of its own (sink.h).
 *
 * Input that the port's FIFO has no room for stays with us, and then with the sender, until
 * the guest has read.
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
 * console_create() - Open what --serial names
 * @w:   told with @arg
 * @why: why[size], on failure one phrase for the user
 * Return: the console; NULL on failure.
 */
struct console *console_create(struct vm *vm, const struct console_watcher *w, void *arg, char *why, size_t size);
void console_destroy(struct console *c);

/** console_start() - The VM begins: what an earlier one has left in the file goes, a terminal becomes raw. */
void console_start(struct console *c);

/** console_restore_tty() - Standard input as it was before console_start(), if it was changed. Any thread. */
void console_restore_tty(void);

/** console_flush() - Pass on all output now. Main thread. */
void console_flush(struct console *c);

/**
 * console_pass() - Write output from a position on to somebody
 * @fd:     a socket, or what does not block
 * @cursor: serial_read()'s; moved behind what was written
 * Return: true when there is more and @fd is full. What cannot be written for another reason is
 * left. Main thread.
 */
bool console_pass(struct vm *vm, int fd, u64 *cursor);

/** console_output() - New output is there; serial_ops.output. Any thread. */
void console_output(void *console);

/** console_room() - The guest has read its input; serial_ops.room. Any thread. */
void console_room(void *console);

#endif
