// SPDX-License-Identifier: GPL-2.0-only
/*
 * A multiboot image that exercises the loader and every test port, then leaves by the
 * debug exit: 0 = all well, else the number of the check that failed.
 *
 * Ports: machine/dev/testdev.c. SynIC: TLFS chapter 11.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define SIMP_PAGE 0x500000u
#define SIEFP_PAGE 0x501000u
#define POST_PAGE 0x502000u
#define HYPERCALL_PAGE 0x503000u

static volatile u32 irqs[256];

static inline void outb(u16 p, u8 v) { __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(p)); }
static inline void outl(u16 p, u32 v) { __asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(p)); }
static inline u8 inb(u16 p) { u8 v; __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(p)); return v; }
static inline u32 inl(u16 p)
{
	u32 v;
	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(p));
	return v;
}
static inline void wrmsr(u32 r, u64 v) { __asm__ volatile("wrmsr" : : "c"(r), "A"(v)); }
static inline u64 rdmsr(u32 r) { u64 v; __asm__ volatile("rdmsr" : "=A"(v) : "c"(r)); return v; }

static void print(const char *s)
{
	for (; *s; s++)
		outb(0x3f8, (u8)*s);
}

static void fail(u32 n)
{
	print("MB: check failed\n");
	outl(0xf4, n);
	for (;;)
		__asm__ volatile("hlt");
}

#define CHECK(n, cond) do { if (!(cond)) fail(n); } while (0)

struct gate { u16 lo, sel; u8 zero, type; u16 hi; } __attribute__((packed));
static struct gate idt[256];
extern char isr0x30[], isr0x40[], isr0x41[];

void on_irq(u32 vector);
void on_irq(u32 vector)
{
	irqs[vector]++;
	if (vector == 0x30)
		outb(0x20, 0x20); /* PIC: end of interrupt */
	else
		*(volatile u32 *)0xfee000b0u = 0;
}

static void set_gate(u32 n, char *fn)
{
	idt[n] = (struct gate){ (u16)(u32)fn, 8, 0, 0x8e, (u16)((u32)fn >> 16) };
}

static void wait_irq(u32 vector, u32 want, u32 n)
{
	u32 i;

	for (i = 0; i < 100000000 && irqs[vector] < want; i++)
		__asm__ volatile("pause");
	CHECK(n, irqs[vector] == want);
}

static u32 hypercall(u32 code, u32 hi, u32 in_lo, u32 in_hi)
{
	static const u32 page = HYPERCALL_PAGE;
	u32 a, d;

	/* 32-bit ABI: EDX:EAX control, EBX:ECX input; status in EAX */
	__asm__ volatile("call *%[page]" : "=a"(a), "=d"(d)
			 : [page] "m"(page), "a"(code), "d"(hi), "b"(in_hi), "c"(in_lo),
			   "D"(0), "S"(0) : "memory");
	return a & 0xffff;
}

static u32 post(u32 conn, u32 value)
{
	volatile u32 *p = (volatile u32 *)POST_PAGE;

	p[0] = conn;
	p[1] = 0;
	p[2] = 1;
	p[3] = 4;
	p[4] = value;
	return hypercall(0x5c, 0, POST_PAGE, 0);
}

static u32 synic(u32 conn, u32 op, u32 vcpu, u32 sint)
{
	return conn << 24 | op << 16 | vcpu << 8 | sint;
}

static void check_multiboot(u32 magic, u32 *info)
{
	const char *cmdline, *p;

	CHECK(1, magic == 0x2badb002);
	CHECK(2, (info[0] & 0xd) == 0xd);		/* memory, command line, modules */
	CHECK(3, info[1] >= 600 && info[2] >= 64 * 1024);
	cmdline = (const char *)info[4];
	for (p = cmdline; *p && *p != ' '; p++)
		;
	/* argv[0], then --append */
	CHECK(4, *p == ' ' && p[1] == 'a' && p[2] == '=' && p[3] == '1');
	CHECK(5, info[5] == 1);
	p = (const char *)((u32 *)info[6])[0];
	CHECK(6, ((u32 *)info[6])[1] - (u32)p == 9 && p[0] == 'N' && p[4] == '=' && p[5] == 'o');
}

static void check_ports(void)
{
	CHECK(10, inb(0x1234) == 0xff && inl(0x1230) == 0xffffffff); /* nobody there */
	outb(0x1234, 0);
	CHECK(11, (inb(0x3fd) & 0x20) == 0x20);			     /* 16550: ready */
}

static void check_lines(void)
{
	/* PIC: vectors from 0x30, only line 0 open; LINT0 delivers it */
	outb(0x20, 0x11); outb(0x21, 0x30); outb(0x21, 4); outb(0x21, 1); outb(0x21, 0xfe);
	*(volatile u32 *)0xfee000f0u = 0x1ff;	/* local APIC on */
	*(volatile u32 *)0xfee00350u = 0x700;	/* LINT0: ExtINT */
	__asm__ volatile("sti");
	outb(0x2000, 0);
	outb(0x2000, 1);
	wait_irq(0x30, 1, 20);
	outb(0x2000, 0);
	outb(0x2000, 1);
	wait_irq(0x30, 2, 21);
	outb(0x2000, 0);
	outb(0x21, 0xff);
}

static void check_synic(void)
{
	volatile u32 *slot = (volatile u32 *)(SIMP_PAGE + 3 * 256);
	volatile u32 *flags = (volatile u32 *)(SIEFP_PAGE + 4 * 256);

	wrmsr(0x40000000, 0x8100000000000001ull);
	wrmsr(0x40000001, HYPERCALL_PAGE | 1);
	wrmsr(0x40000083, SIMP_PAGE | 1);
	wrmsr(0x40000082, SIEFP_PAGE | 1);
	wrmsr(0x40000093, 0x40);
	wrmsr(0x40000094, 0x41);
	wrmsr(0x40000080, 1);
	CHECK(30, rdmsr(0x40000083) == (SIMP_PAGE | 1));

	outl(0x3000, synic(0, 1, 0, 3));	/* route to SINT3, raised twice */
	outl(0x3000, synic(0, 3, 0, 3));
	wait_irq(0x40, 1, 31);
	outl(0x3000, synic(0, 3, 0, 3));
	wait_irq(0x40, 2, 32);
	outl(0x3000, synic(0, 2, 0, 3));

	CHECK(33, post(9, 1) == 18);		/* no such connection yet */
	outl(0x3000, synic(9, 4, 0, 3));
	CHECK(34, post(9, 0x11111111) == 0);
	wait_irq(0x40, 3, 35);
	CHECK(36, slot[0] == 1 && slot[4] == 0x11111111);
	CHECK(37, post(9, 0x22222222) == 0);	/* the slot is busy: it waits */
	CHECK(38, slot[4] == 0x11111111 && ((volatile u8 *)slot)[5] == 1);
	CHECK(39, post(9, 0x33333333) == 19);	/* and the next finds no room */
	slot[0] = 0;
	wrmsr(0x40000084, 0);			/* end of message */
	wait_irq(0x40, 4, 40);
	CHECK(41, slot[0] == 1 && slot[4] == 0x22222222);
	slot[0] = 0;
	outl(0x3000, synic(9, 5, 0, 3));
	CHECK(42, post(9, 1) == 18);

	outl(0x3000, synic(10, 6, 0, 4));	/* an event connection: flag number = connection */
	CHECK(43, hypercall(0x1005d, 0, 10, 0) == 0);
	wait_irq(0x41, 1, 44);
	CHECK(45, flags[0] == 1u << 10);
	CHECK(46, hypercall(0x1005d, 0, 11, 0) == 18);
	outl(0x3000, synic(10, 7, 0, 4));
	CHECK(47, hypercall(0x1005d, 0, 10, 0) == 18);
}

/* docs/threat-model.md#H01, #H02: what a hostile guest hands to the hypervisor. */
static void check_lies(void)
{
	volatile u32 *p = (volatile u32 *)POST_PAGE, *slot = (volatile u32 *)(SIMP_PAGE + 3 * 256);
	u32 before = irqs[0x40];

	outl(0x3000, synic(9, 4, 0, 3));
	CHECK(50, hypercall(0x5c, 0, POST_PAGE + 4, 0) == 4);	   /* unaligned */
	CHECK(51, hypercall(0x5c, 0, POST_PAGE + 0xf10, 0) == 4); /* across a page */
	CHECK(52, hypercall(0x5c, 0, 0xf0000000, 0) == 5);	   /* outside RAM */
	CHECK(53, hypercall(0x5c, 0, 0, 0x7fffffff) == 5);	   /* far outside */
	p[0] = 9;
	p[2] = 1;
	p[3] = 241; /* one byte too long */
	CHECK(54, hypercall(0x5c, 0, POST_PAGE, 0) == 5);
	p[3] = 0xffffffff;
	CHECK(55, hypercall(0x5c, 0, POST_PAGE, 0) == 5);
	CHECK(56, hypercall(0x1005d, 0, 10, 1) != 0);		   /* a foreign event flag */
	CHECK(57, hypercall(0x7777, 0, 0, 0) == 2);		   /* no such hypercall */

	slot[0] = 0;
	wrmsr(0x40000083, 0xf0000001);	/* the message page leaves RAM */
	wrmsr(0x40000082, 0xf0001001);
	CHECK(58, post(9, 0x44444444) == 0);	/* it waits; nothing is written anywhere */
	CHECK(59, irqs[0x40] == before);
	wrmsr(0x40000083, SIMP_PAGE | 1);	/* and comes back */
	wrmsr(0x40000082, SIEFP_PAGE | 1);
	wrmsr(0x40000084, 0);
	wait_irq(0x40, before + 1, 60);
	CHECK(61, slot[0] == 1 && slot[4] == 0x44444444);
	slot[0] = 0;
	outl(0x3000, synic(9, 5, 0, 3));
}

int main(u32 magic, u32 *info);
int main(u32 magic, u32 *info)
{
	struct { u16 len; u32 base; } __attribute__((packed)) idtr = { sizeof(idt) - 1, (u32)idt };

	print("MB: up\n");
	check_multiboot(magic, info);
	set_gate(0x30, isr0x30);
	set_gate(0x40, isr0x40);
	set_gate(0x41, isr0x41);
	__asm__ volatile("lidt %0" : : "m"(idtr));
	check_ports();
	check_lines();
	check_synic();
	check_lies();
	print("MB: all ports work\n");
	outl(0xf4, 42); /* the host expects exactly this status */
	return 0;
}
