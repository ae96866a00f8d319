/* SPDX-License-Identifier: GPL-2.0-only */
/* Multiboot header and both CPUs' entries of the reset test image. */
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

	/* #GP of rdmsr or wrmsr, both of two bytes */
	.globl isr_gp
isr_gp:	add $4, %esp
	addl $2, (%esp)
	incl faults
	iret

	/* The second CPU, in real mode, copied to 0x8000. A CPU that begins three bytes further comes to "lost". */
	.code16
	.globl trampoline, trampoline_end
trampoline:
	jmp 2f
	nop
lost:	mov $0xf4, %dx
	mov $52, %eax
	outl %eax, %dx
1:	hlt
	jmp 1b
2:	cli
	xor %ax, %ax
	mov %ax, %ds
	lgdtl 0x8000 + gdtr - trampoline
	mov %cr0, %eax
	or $1, %eax
	mov %eax, %cr0
	ljmpl $8, $protected
	.align 8
gdt:	.quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdtr:	.word gdtr - gdt - 1
	.long 0x8000 + gdt - trampoline
trampoline_end:

	.code32
protected:
	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $second_stack_top, %esp
	call second
	.bss
	.align 16
	.skip 16384
stack_top:
	.skip 16384
second_stack_top:
