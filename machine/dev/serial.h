/* SPDX-License-Identifier: GPL-2.0-only */
/* 16550A serial port at 0x3f8, IRQ 4. */
#ifndef KVMB_SERIAL_H
#define KVMB_SERIAL_H

#include "vmbus-core/env.h"

struct kvmb_tlv;
struct kvmb_tlv_out;
struct serial;

#define SERIAL_BACKLOG 65536u

struct serial_ops {
	void (*set_irq)(void *irq_arg, int level);
	void *irq_arg;
	/* serial_read() has output. Called on a vCPU's thread with the port's lock held. */
	void (*output)(void *arg);
	/* serial_input() has refused bytes and has room now. Any thread, port's lock held. */
	void (*room)(void *arg);
	void *arg;
};

/** serial_create() - Make a port; @ops is copied. Return: never NULL. */
struct serial *serial_create(const struct serial_ops *ops);

/** serial_destroy() - NULL is fine. */
void serial_destroy(struct serial *s);

/** serial_reset() - Power-on state; output that was not read stays. Main thread; vCPUs stand. */
void serial_reset(struct serial *s);

/** serial_access() - Port access, for iobus_add(). Any vCPU's thread. */
void serial_access(void *dev, u16 offset, u32 size, bool write, u32 *val);

/**
 * serial_input() - Send bytes to the guest
 * @s:   the port
 * @buf: buf[len]
 * @len: bytes
 *
 * Return: the number of bytes taken. If there are fewer than @len, ops.room() is called later.
 * Context: any thread.
 */
size_t serial_input(struct serial *s, const u8 *buf, size_t len);

/**
 * serial_type() - serial_input() from a buffer that keeps the rest
 * @s:   the port
 * @buf: buf[*len]; bytes that were not taken move to its front
 * @len: in: bytes; out: bytes left
 */
void serial_type(struct serial *s, u8 *buf, size_t *len);

/**
 * serial_read() - Copy output from a position on
 * @s:      the port
 * @cursor: in: position in the output since power-on; out: after the bytes copied. A position
 *          older than SERIAL_BACKLOG bytes is moved forward first
 * @buf:    buf[size]
 * @size:   bytes
 *
 * Return: bytes in @buf, at most @size. Context: any thread.
 */
size_t serial_read(struct serial *s, u64 *cursor, u8 *buf, size_t size);

/** serial_save() - Registers and input that the guest has not read: a group. Main thread. */
void serial_save(struct serial *s, struct kvmb_tlv_out *o);

/**
 * serial_load() - What serial_save() wrote
 * @s:     new
 * @group: hostile
 *
 * The interrupt line stays down until serial_loaded().
 *
 * Return: 0; -errno with one line in @group->error: @s is as before. Context: main thread.
 */
int serial_load(struct serial *s, struct kvmb_tlv *group);

/** serial_loaded() - Interrupt controllers are there: raise the line if it is due. Main thread. */
void serial_loaded(struct serial *s);

#endif
