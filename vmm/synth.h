/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Synthetic keyboard, mouse and video of a VM: what the providers need of the machine, and who
 * looks and types of them.
 *
 * DOC: Theory of operation
 *
 * They stand beside VGA and PS/2, on one screen: as long as a guest's driver shows a picture, it is
 * the screen's (vmm/screen.h), and keys and pointer go where a driver takes them (vmm/input.h). On
 * a machine that began in a kernel there is nothing beside them, and the screen is black until a
 * driver comes.
 *
 * Video memory of the provider's own is a slot of KVM's, in the windows that ACPI gives to VMBus;
 * KVM refuses one that would lie over another. Memory of others that a guest may name is BAR 0 of
 * the graphics card.
 */
#ifndef KVMB_VMM_SYNTH_H
#define KVMB_VMM_SYNTH_H

#include <jansson.h>

#include "vmm/vm.h"

struct kvmb_tlv;
struct kvmb_tlv_out;
struct screen_image;

/** synth_create() - Make and offer them, if the VM has them. Return: 0, or -errno, logged. */
int synth_create(struct vm *vm);

/** synth_destroy() - Their channels are closed, the bus destroyed, and no vCPU runs. */
void synth_destroy(struct vm *vm);

/** synth_shows() - Is the synthetic picture what the screen shows? Main thread, as all here. */
bool synth_shows(const struct vm *vm);

/** synth_screen() - That picture. Return: 0; -ENODATA: there is none; -ENOMEM. */
int synth_screen(const struct vm *vm, struct screen_image *out);

/** synth_serial() - As vga_serial(), while synth_shows(). */
u64 synth_serial(struct vm *vm);

/** synth_watch() - Somebody looks all the time from now on, or nobody does. */
void synth_watch(struct vm *vm, bool watched);

/** synth_takes_keys() - Has the guest a driver for the keyboard? */
bool synth_takes_keys(const struct vm *vm);

/** synth_key() - As ps2_key(). */
bool synth_key(struct vm *vm, u32 code, bool down);

/** synth_takes_points() - Has the guest a driver for the mouse? */
bool synth_takes_points(const struct vm *vm);

/**
 * synth_point() - Where the pointer is
 * @x:       pixels from the left, < @width
 * @y:       pixels from above, < @height
 * @notches: of the wheel, away from the user
 * @buttons: that are down: PS2_LEFT, ...
 */
void synth_point(struct vm *vm, u32 x, u32 y, u32 width, u32 height, s32 notches, u32 buttons);

/** synth_save() - Section SYNTH; none of a VM without them. The bus stands. */
void synth_save(const struct vm *vm, struct kvmb_tlv_out *o);

/** synth_load() - That section, hostile, after the bus's. Return: 0; -errno, and @t has why. */
int synth_load(struct vm *vm, struct kvmb_tlv *t);

#endif
