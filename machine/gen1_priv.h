/* SPDX-License-Identifier: GPL-2.0-only */
/* What a gen1 machine consists of, for gen1.c and gen1_state.c. */
#ifndef KVMB_GEN1_PRIV_H
#define KVMB_GEN1_PRIV_H

#include <pthread.h>

#include "machine/boot/firmware.h"
#include "machine/boot/flash.h"
#include "machine/boot/netboot.h"
#include "machine/gen1.h"

#define GEN1_LINE 160u /* bytes of a line of firmware's, with its NUL */

struct gen1 {
	struct machine *machine;
	struct firmware rom, vga_rom;
	struct flash *flash;  /* until it is built NULL: this firmware has none */
	struct firmware uefi; /* that may be chosen instead of rom; closed when it was decided */
	struct flash *uefi_flash;
	struct firmware ipxe[2]; /* for a BIOS, for UEFI; without content: there is none */
	u8 netboot_rom[NETBOOT_ROM_LEN];
	bool has_netboot_rom;
	struct pci_bus *pci;
	struct piix *piix;
	struct fw_cfg *fw_cfg;
	struct ide *ide;
	struct vga *vga;
	struct ps2 *ps2;
	u64 video_at;	      /* bus's lock: where video memory is mapped, PCI_NOWHERE */
	pthread_mutex_t lock; /* guards the line */
	char line[GEN1_LINE];
	u32 line_len; /* < GEN1_LINE */
	bool no_boot; /* atomic */
};

#endif
