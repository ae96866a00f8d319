/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An option ROM of a legacy NIC that boots from the network: it takes a boot program out of fw_cfg
 * and starts it as a Linux kernel is started. netboot.c fills in netboot_params.
 *
 * A BIOS calls the entry at 3 once, and the boot entry (BEV) when it comes to this device. One that
 * returns, because there is no program, is followed by the next device.
 *
 * Sources: PCI Firmware Specification 3.0, chapter 5.1 (header, PCI data structure); Plug and Play
 * BIOS Specification 1.0a, chapter 3 (expansion header); Linux Documentation/arch/x86/boot.rst,
 * the real-mode entry; QEMU docs/specs/fw_cfg.rst, ports; Ralf Brown's interrupt list, INT 15/87.
 */
#define AT(label) (label - netboot_rom)
#define SETUP_SEG 0x1000   /* the program's real-mode part, and its stack */
#define STACK_END 0xfff0
#define HEAP_END 0xde00	   /* as its header takes it: 0x200 less */
#define COPY_SEG 0x2000	   /* of 32 KiB on the way to above 1 MiB; then an empty command line */
#define TABLE_SEG 0x2800   /* of descriptors for INT 15/87 */
#define PIECE 0x8000
#define SELECT_PORT 0x510  /* data are at the next one */

	.section .rodata
	.code16
	.globl netboot_rom, netboot_rom_end, netboot_params
	.balign 16
netboot_rom:
	.byte 0x55, 0xaa, 4 /* of 512 bytes each */
	xorw %ax, %ax
	lret
	.org netboot_rom + 0x18
	.word AT(pci_data), AT(pnp_header)

	.balign 4
pci_data:
	.ascii "PCIR"
	.word 0x1011, 0x0009, 0 /* ids of the NIC, no VPD */
	.word 24
	.byte 0, 0, 0, 2 /* revision; class: Ethernet */
	.word 4, 0	 /* length as above, revision */
	.byte 0, 0x80	 /* code of a PC; the last image */
	.word 0

	.balign 16
pnp_header:
	.ascii "$PnP"
	.byte 1, 2 /* revision; 16 bytes each */
	.word 0
	.byte 0, 0 /* checksum: netboot.c */
	.long 0
	.word AT(maker), AT(product)
	.byte 2, 0, 0 /* a network controller, Ethernet */
	.byte 0x14    /* asked for only if it is chosen; it can start a system */
	.word 0, 0, AT(boot), 0, 0

	.balign 4
netboot_params:
program_key:
	.word 0
	.word 0
setup_len:
	.long 0
program_len: /* with the setup part; 0 = there is none */
	.long 0

maker:
	.asciz "kvmbus"
product:
	.asciz "network, by iPXE (legacy NIC)"

boot:
	cld
	movl %cs:AT(program_len), %ebp
	testl %ebp, %ebp
	jz 4f
	movw $SELECT_PORT, %dx
	movw %cs:AT(program_key), %ax
	outw %ax, %dx
	incw %dx
	movw $SETUP_SEG, %ax
	movw %ax, %es
	xorw %di, %di
	movl %cs:AT(setup_len), %ecx
	subl %ecx, %ebp
	rep insb
	movl $0x100000, %ebx /* where the next piece goes */
1:
	movw $COPY_SEG, %ax
	movw %ax, %es
	xorw %di, %di
	movl %ebp, %ecx
	cmpl $PIECE, %ecx
	jbe 2f
	movl $PIECE, %ecx
2:
	pushl %ecx
	rep insb
	popl %ecx
	call move_up
	jc 4f
	addl %ecx, %ebx
	subl %ecx, %ebp
	jnz 1b
	movw $COPY_SEG, %ax
	movw %ax, %ds
	movb $0, 0
	movw $SETUP_SEG, %ax
	cli
	movw %ax, %ss
	movw $STACK_END, %sp
	sti
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %fs
	movw %ax, %gs
	movb $0xff, 0x210 /* a loader without a number */
	orb $0x80, 0x211  /* there is a heap */
	movw $HEAP_END, 0x224
	movl $(COPY_SEG << 4), 0x228
	ljmp $SETUP_SEG + 0x20, $0
4:
	lret

/* %ecx bytes from COPY_SEG:0 to %ebx. Keeps all registers but %ax, %si, %di, %es; carry: failed. */
move_up:
	pushl %ecx
	movw $TABLE_SEG, %ax
	movw %ax, %es
	xorw %di, %di
	xorw %ax, %ax
	movw $24, %cx
	rep stosw
	popl %ecx
	movl $0x0000ffff, %es:0x10		     /* the source's limit, base */
	movl $(0x93000000 >> 16 | COPY_SEG >> 12), %es:0x14 /* rest of the base; data, writable */
	movw $0xffff, %es:0x18
	movl %ebx, %es:0x1a
	movb $0x93, %es:0x1d
	pushl %ecx
	incl %ecx
	shrl $1, %ecx /* words */
	xorw %si, %si
	movb $0x87, %ah
	int $0x15
	popl %ecx
	ret

	.org netboot_rom + 2048
netboot_rom_end:
	.section .note.GNU-stack, "", @progbits
