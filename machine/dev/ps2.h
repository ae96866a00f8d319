/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Keyboard and mouse of a gen1 machine: an 8042 controller with a PS/2 keyboard and a PS/2 mouse
 * with a wheel. Ports 0x60 and 0x64, IRQ 1 and 12.
 *
 * DOC: Theory of operation
 *
 * The guest reads one byte at a time. The controller's output buffer takes the next one as soon as
 * it is empty: the controller's own answer first, then the keyboard, then the mouse, each only
 * while its port is enabled. A device's answers to commands go ahead of what was typed and moved.
 * Interrupts are the buffer's: the line is up while there is a byte, and goes down between two.
 *
 * The keyboard speaks scan code set 2, or 1. The controller translates from 2 to 1 when its command
 * byte says so, whatever the keyboard speaks, answers included, as the hardware does.
 *
 * Limits: the keyboard has no set 3 and does not repeat keys that are held; a viewer that sends
 * presses again does. A20 is always on: the bit that guests write is only kept. No active
 * multiplexing.
 *
 * Sources: IBM, Personal System/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary
 * Device Controller", "Keyboards", "Mouse"; Microsoft, "Keyboard Scan Code Specification" 1.3a and
 * "Windows Platform Design Notes: ... Wheel Device" (the 200-100-80 knock); SeaBIOS,
 * src/hw/ps2port.c; Linux, drivers/input/serio/i8042.c, drivers/input/keyboard/atkbd.c,
 * drivers/input/mouse/psmouse-base.c.
 */
#ifndef KVMB_PS2_H
#define KVMB_PS2_H

#include "vmbus-core/env.h"

struct kvmb_tlv;
struct kvmb_tlv_out;
struct ps2;

#define PS2_DATA_PORT 0x60u
#define PS2_COMMAND_PORT 0x64u
#define PS2_KEYBOARD_IRQ 1u
#define PS2_MOUSE_IRQ 12u

/* of ps2_mouse() */
#define PS2_LEFT 1u
#define PS2_RIGHT 2u
#define PS2_MIDDLE 4u

struct ps2_ops {
	/* @irq is one of the two. Any thread, with the controller's lock held. */
	void (*set_irq)(void *arg, u32 irq, int level);
	/* The guest resets the machine. A vCPU's thread, no lock held. */
	void (*reset)(void *arg);
	void *arg;
};

/** ps2_create() - Make controller, keyboard and mouse; @ops is copied. Return: never NULL. */
struct ps2 *ps2_create(const struct ps2_ops *ops);

/** ps2_destroy() - NULL is fine. */
void ps2_destroy(struct ps2 *p);

/** ps2_reset() - Power-on state, interrupt lines are down. Main thread; vCPUs stand. */
void ps2_reset(struct ps2 *p);

/** ps2_data_access() - Access to PS2_DATA_PORT, for iobus_add(). Any vCPU's thread. */
void ps2_data_access(void *dev, u16 offset, u32 size, bool write, u32 *val);

/** ps2_command_access() - Access to PS2_COMMAND_PORT, for iobus_add(). Any vCPU's thread. */
void ps2_command_access(void *dev, u16 offset, u32 size, bool write, u32 *val);

/**
 * ps2_key() - Press or release a key
 * @p:    controller
 * @code: KEY_* of linux/input-event-codes.h; one that no PS/2 keyboard has does nothing
 * @down: pressed; again while it is down: it repeats
 *
 * Return: false: the guest has not read what was typed before, there is no room; nothing happened.
 * Context: any thread.
 */
bool ps2_key(struct ps2 *p, u32 code, bool down);

/**
 * ps2_mouse() - Move the mouse, press buttons
 * @p:       controller
 * @dx:      counts to the right
 * @dy:      counts down, as on a screen
 * @dz:      notches of the wheel, away from the user
 * @buttons: all that are down: PS2_LEFT, ...
 *
 * What the guest does not read soon enough becomes one movement. Context: any thread.
 */
void ps2_mouse(struct ps2 *p, s32 dx, s32 dy, s32 dz, u32 buttons);

/** ps2_save() - All of it: a group. vCPUs stand. */
void ps2_save(struct ps2 *p, struct kvmb_tlv_out *o);

/**
 * ps2_load() - What ps2_save() wrote
 * @p:     new
 * @group: hostile
 *
 * Interrupt lines stay down until ps2_loaded().
 *
 * Return: 0; -errno with one line in @group->error: @p is as before. Context: main thread.
 */
int ps2_load(struct ps2 *p, struct kvmb_tlv *group);

/** ps2_loaded() - Interrupt controllers are there: raise the lines that are due. Main thread. */
void ps2_loaded(struct ps2 *p);

#endif
