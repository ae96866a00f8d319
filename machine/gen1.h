/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a gen1 machine has beside the direct-boot machine: firmware, PCI and the devices on it.
 *
 * Such a machine looks like a PC of the time of Hyper-V's generation 1, so that boot loaders,
 * installers and old guests find what they know. The direct-boot machine has none of it.
 */
#ifndef KVMB_GEN1_H
#define KVMB_GEN1_H

#include "machine/machine.h"

struct flash;
struct gen1;
struct ide;
struct kvmb_tlv;
struct kvmb_tlv_out;
struct ps2;
struct vga;

/**
 * gen1_open() - Read the firmware; what a user can get wrong
 * @m:    configured
 * @why:  why[size], on failure one line
 * @size: bytes
 *
 * Return: the machine's, for gen1_destroy(); NULL on failure. Context: main thread.
 */
struct gen1 *gen1_open(struct machine *m, char *why, size_t size);

/**
 * gen1_use_uefi() - A machine whose firmware was not named: take UEFI firmware instead of a BIOS
 * Return: 0; -ENOENT: there was none. Context: main thread, before gen1_build().
 */
int gen1_use_uefi(struct gen1 *g);

/** gen1_build() - Make the devices. Return: 0 or -errno. Main thread; memory is mapped. */
int gen1_build(struct gen1 *g);

/**
 * gen1_enter() - Power-on state of devices and firmware
 *
 * A drive whose request is under way is busy until it is done; if that is a read, it may still
 * write to memory of the guest that did not wait for it. Context: main thread; vCPUs stand.
 */
void gen1_enter(struct gen1 *g);

/** gen1_ide() - Its IDE controller, to which drives are attached before the VM runs. */
struct ide *gen1_ide(struct gen1 *g);

/** gen1_end_ide() - Destroy the controller: all its drives are stopped, no vCPU will run again. */
void gen1_end_ide(struct gen1 *g);

/** gen1_vga() - Its graphics card. */
struct vga *gen1_vga(struct gen1 *g);

/** gen1_flash() - Its flash chip. Return: NULL: its firmware has none. */
struct flash *gen1_flash(struct gen1 *g);

/** gen1_ps2() - Its keyboard and mouse. */
struct ps2 *gen1_ps2(struct gen1 *g);

/**
 * gen1_netboot_rom() - What a BIOS boots from the network with, for one of the legacy NICs
 * @g:   built
 * @len: result, bytes
 *
 * Return: NULL: nothing. Borrowed.
 */
const void *gen1_netboot_rom(const struct gen1 *g, u32 *len);

/**
 * gen1_set_boot() - Tell firmware what to boot from
 * @g:     built; nothing runs
 * @order: paths of devices, a line each
 * @menu:  show a menu, and wait
 */
void gen1_set_boot(struct gen1 *g, const char *order, bool menu);

/** gen1_no_boot() - Has firmware said that nothing can be booted? Any thread. */
bool gen1_no_boot(const struct gen1 *g);

/**
 * gen1_save() - Firmware, what it was told, and all devices: a group
 * @g: vCPUs stand, and the drives of its IDE controller: ide_stop()
 * @o: video memory is in it, as far as it is not zero
 *
 * Context: main thread.
 */
void gen1_save(struct gen1 *g, struct kvmb_tlv_out *o);

/**
 * gen1_load() - What gen1_save() wrote
 * @g:     built, with the same devices; nothing has run
 * @group: hostile
 *
 * IDE drives stand (IDE_HOLD) then: ide_resume() is due when the VM goes on.
 *
 * Return: 0; -errno with one line in @group->error: @g can only be destroyed. Context: main thread.
 */
int gen1_load(struct gen1 *g, struct kvmb_tlv *group);

/** gen1_loaded() - Interrupt controllers are there: devices raise their lines. Main thread. */
void gen1_loaded(struct gen1 *g);

/** gen1_dirty() - As machine_dirty(): what its devices touch on the main thread when they go on. */
void gen1_dirty(struct gen1 *g);

/** gen1_match_put() - What must be the same on another host: a group. Any thread; vCPUs may run. */
void gen1_match_put(const struct gen1 *g, struct kvmb_tlv_out *o);

/** gen1_match_check() - Refuse @group when it is not the same here. @group is hostile. */
void gen1_match_check(const struct gen1 *g, struct kvmb_tlv *group);

/** gen1_destroy() - NULL is fine. Context: main thread; no vCPU runs. */
void gen1_destroy(struct gen1 *g);

#endif
