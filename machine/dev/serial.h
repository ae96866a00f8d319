/* SPDX-License-Identifier: GPL-2.0-only */
/* 16550A serial port at 0x3f8, IRQ 4. */
#ifndef KVMB_SERIAL_H
#define KVMB_SERIAL_H

#include "vmbus-core/env.h"

struct serial;

#define SERIAL_BACKLOG 65536u

struct serial_ops {
	void (*set_irq)(void *irq_arg, int level);
	void *irq_arg;
	/* There is output to serial_read(). Called on a vCPU's thread with the port's lock held. */
	void (*output)(void *arg);
	/* serial_input() refused some, and would take some now. Any thread, with the port's lock held. */
	void (*room)(void *arg);
	void *arg;
};

struct serial *serial_create(const struct serial_ops *ops);
void serial_destroy(struct serial *s);
void serial_reset(struct serial *s);

/** serial_access() - Port access, for iobus_add(). */
void serial_access(void *dev, u16 offset, u32 size, bool write, u32 *val);

/** serial_input() - Bytes for the guest. Return: how many were taken; when fewer, ops.room() says when to go on. */
size_t serial_input(struct serial *s, const u8 *buf, size_t len);

/** serial_type() - As serial_input() of @buf[*@len]; what is not taken moves to the front, *@len = bytes of it. */
void serial_type(struct serial *s, u8 *buf, size_t *len);

/**
 * serial_read() - Copy output from a position on
 * @cursor: in: position in the output since power-on; out: after the bytes copied. A
 *          position older than SERIAL_BACKLOG bytes is moved forward first.
 * Return: bytes in @buf, at most @size.
 */
size_t serial_read(struct serial *s, u64 *cursor, u8 *buf, size_t size);

#endif
