/* SPDX-License-Identifier: GPL-2.0-only */
/* Multiboot header and entry of the port test image. */
	.section .multiboot, "a"
	.align 4
	.long 0x1badb002, 0, -0x1badb002
	.text
	.globl start
start:
	mov $stack_top, %esp
	push %ebx
	push %eax
	call main
1:	hlt
	jmp 1b

	/* interrupt entries: each pushes its vector and lands in one C function */
	.macro vec n
	.globl isr\n
isr\n:	pusha
	push $\n
	call on_irq
	add $4, %esp
	popa
	iret
	.endm
	vec 0x30
	vec 0x40
	vec 0x41
	.bss
	.align 16
	.skip 16384
stack_top:
