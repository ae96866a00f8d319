/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The graphics card of a gen1 machine: VGA with the Bochs VBE registers, as QEMU's "std" card.
 *
 * DOC: Theory of operation
 *
 * It has one of two names. On a machine with a BIOS it is Hyper-V's 1414:5353: hyperv_fb looks for
 * that, VMBus keeps its BAR 0 for synthetic video (host-vsp/video/video.h), and bochs-drm, which
 * would be a second driver of the same screen, does not come. SeaVGABIOS looks for its card by the
 * name in its own header, so that is changed with it, as long as it is 1234:1111 there. OVMF's
 * driver knows QEMU's name only, so with UEFI firmware it has that. A VM that was saved keeps it.
 *
 * One memory of VGA_MEMORY bytes serves all modes. Its first 256 KiB are the four planes of VGA,
 * interleaved: byte @o of plane @p is byte 4 * @o + @p. A guest reaches the planes through the
 * window at 0xa0000, every access an exit, by the modes of the graphics controller. BAR 0 shows the
 * memory as it is, for the linear modes that the Bochs registers select; it is mapped into the
 * guest, and nobody sees those accesses.
 *
 * Nothing is drawn until somebody asks. vga_screen() copies the registers, and in VGA modes the
 * planes, with the lock held, and makes pixels of them without it. The picture is what a monitor
 * gets, scan line by scan line: doubled lines and dots are there twice, mode 13h is 640x400.
 * Blinking does not blink: what would is shown.
 *
 * vCPU threads call the access functions concurrently; all registers and the planes are under
 * the lock, but for the memory that the guest has mapped.
 *
 * Limits: vertical retrace is no matter of time: its bits change with each read of the status, so
 * that loops which wait for it end. No EDID. Not implemented: count by two and by four, shift load
 * rates, half vertical clock, the light pen, interlace, colours of the border.
 *
 * Sources: IBM, Personal System/2 Hardware Interface Technical Reference, "Video Subsystem";
 * J. D. Neal, "Hardware Level VGA and SVGA Video Programming Information Page" (FreeVGA); Bochs,
 * "VBE Display API" (vbe_display_api.txt); QEMU, docs/specs/standard-vga.rst; SeaBIOS,
 * vgasrc/bochsvga.c and stdvga.c; Linux, drivers/gpu/drm/tiny/bochs.c.
 */
#ifndef KVMB_VGA_H
#define KVMB_VGA_H

#include "vmbus-core/env.h"

struct iobus;
struct kvmb_tlv;
struct kvmb_tlv_out;
struct pci_bus;
struct screen_image;
struct vga;

#define VGA_MEMORY (16u << 20) /* bytes */
#define VGA_ROM_SIZE (64u << 10)
#define VGA_WINDOW 0xa0000u /* 128 KiB of guest physical memory */
#define VGA_SLOT 2u	    /* on the PCI bus */

/* Whose card it says that it is. It is the same card. */
enum vga_kind {
	VGA_QEMU,   /* 1234:1111: OVMF and bochs-drm know it */
	VGA_HYPERV, /* 1414:5353: Hyper-V's drivers know where its memory is, and others leave it */
};

struct vga_ops {
	/*
	 * Show @hva[@size] to the guest at @gpa as memory, and nowhere else; PCI_NOWHERE: take it
	 * away. vCPU threads and the main thread, with the PCI bus's lock held. NULL: none.
	 */
	void (*map)(void *arg, u64 gpa, void *hva, u64 size);
	void *arg;
};

/**
 * vga_create() - Make a card: function VGA_SLOT of the bus, ports and window are claimed
 * @v:     result
 * @pio:   ports 0x3b0 to 0x3df and 0x1ce to 0x1d0 of it
 * @b:     has room for a window
 * @ops:   copied
 * @kind:  its name
 * @rom:   rom[len]: the VGA BIOS; copied
 * @len:   at most VGA_ROM_SIZE; 0 = there is no ROM
 *
 * Return: 0; -errno: no memory for it. Context: main thread, before the VM runs.
 */
int vga_create(struct vga **v, struct iobus *pio, struct pci_bus *b, const struct vga_ops *ops,
	       enum vga_kind kind, const void *rom, size_t len);

/**
 * vga_set_rom() - Another VGA BIOS, of a VM that began elsewhere
 * @v:   the VM does not run yet
 * @rom: rom[len], copied; whatever it is, only the guest runs it
 * @len: at most VGA_ROM_SIZE; 0 = there is no ROM
 */
void vga_set_rom(struct vga *v, const void *rom, size_t len);

/** vga_renamed() - pci_load() may have given it its other name: the VGA BIOS follows. */
void vga_renamed(struct vga *v);

/**
 * vga_memory_at() - Its memory, where the guest has it mapped now
 * @v:   card
 * @gpa: first byte, hostile
 * @len: bytes, hostile
 *
 * Return: @len bytes that the guest may rewrite at any time, and which live as long as @v, wherever
 * the guest moves them; NULL: not all of them are in BAR 0. Context: any thread.
 */
const u8 *vga_memory_at(const struct vga *v, u64 gpa, u64 len);

/** vga_destroy() - NULL is fine. No vCPU runs, and its memory is in no guest any more. */
void vga_destroy(struct vga *v);

/** vga_reset() - Power-on state; memory stays. pci_reset() has its BARs. vCPUs stand. */
void vga_reset(struct vga *v);

/**
 * vga_screen() - What a monitor would show now
 * @v:   card
 * @out: set
 *
 * Return: 0; -ENOMEM. Context: any thread, while vCPUs run. Trust: registers and memory are the
 * guest's; whatever they are, it ends, and reads nothing else.
 */
int vga_screen(struct vga *v, struct screen_image *out);

/**
 * vga_serial() - Has what vga_screen() would draw changed?
 *
 * What the guest has mapped changes without a notice, so registers and visible memory are read:
 * fast beside drawing, but not for nothing.
 *
 * Return: the same number as before, if nothing has changed; another one, if it may have. Two
 * pictures with one number are as likely as with any hash of 64 bits; a guest that looks for them
 * keeps its own picture from being shown. Context, Trust: as vga_screen().
 */
u64 vga_serial(struct vga *v);

/**
 * vga_text() - The characters of a text mode
 *
 * Return: UTF-8, a line per row, each ends with a newline and has no blanks before it; free() it.
 * NULL: it shows graphics, or there is no memory. Context: as vga_screen().
 */
char *vga_text(struct vga *v);

/** vga_save() - Registers and what is not zero of its memory: a group. vCPUs stand. */
void vga_save(struct vga *v, struct kvmb_tlv_out *o);

/**
 * vga_load() - What vga_save() wrote. The bus loads where the BARs are.
 * @v:     new
 * @group: hostile
 *
 * Return: 0; -errno with one line in @group->error: @v is as before. Context: main thread.
 */
int vga_load(struct vga *v, struct kvmb_tlv *group);

#endif
