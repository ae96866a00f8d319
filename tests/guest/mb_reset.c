// SPDX-License-Identifier: GPL-2.0-only
/*
 * A multiboot image for two CPUs: one resets the machine while the other posts messages, many
 * times. After each reset registers must be as they were at power-on, and the other CPU must begin
 * where it is told to. Leaves by the debug exit: 42 = all well, else the number of the check that
 * failed.
 *
 * What outlives a reset lies in RAM outside of the image.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define POST_PAGE 0x502000u
#define HYPERCALL_PAGE 0x503000u
#define TRAMPOLINE 0x8000u
#define ROUNDS 40u
#define MAGIC 0x7265736bu

static inline void outb(u16 p, u8 v) { __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(p)); }
static inline void outl(u16 p, u32 v) { __asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(p)); }
static inline void wrmsr(u32 r, u64 v) { __asm__ volatile("wrmsr" : : "c"(r), "A"(v)); }
static inline u64 rdmsr(u32 r) { u64 v; __asm__ volatile("rdmsr" : "=A"(v) : "c"(r)); return v; }

/* SYSENTER, STAR, LSTAR, SFMASK, KERNEL_GS_BASE, PAT, MTRRs, reenlightenment is not offered */
static const struct { u32 index; u64 mine; } registers[] = {
	{ 0x174, 0x10 }, { 0x175, 0x1234 }, { 0x176, 0x5678 }, { 0xc0000081, 0x11223344 },
	{ 0xc0000082, 0x400000 }, { 0xc0000084, 0x700 }, { 0xc0000102, 0x400000 },
	{ 0x277, 0x0606060606060606ull }, { 0x2ff, 0xc06 }, { 0x200, 0x10000006 },
};
#define NUM_REGISTERS (sizeof(registers) / sizeof(registers[0]))

struct kept { /* across resets */
	u32 magic, round;
	u32 asked; /* this reset is ours */
	volatile u32 posts;
	u64 power_on[NUM_REGISTERS];
};
static struct kept *const kept = (struct kept *)0x700000;

extern char trampoline[], trampoline_end[], isr_gp[];
volatile u32 faults; /* #GP so far; mb_reset_start.S steps over what caused it */

static void leave(u32 code)
{
	outl(0xf4, code);
	for (;;)
		__asm__ volatile("hlt");
}

#define CHECK(n, cond) do { if (!(cond)) leave(n); } while (0)

static void print(const char *s)
{
	for (; *s; s++)
		outb(0x3f8, (u8)*s);
}

static void wait(u32 n)
{
	/* no pause: where KVM intercepts it, it costs a millisecond */
	while (n--)
		__asm__ volatile("" : : : "memory");
}

static void check_registers(void)
{
	u32 i;

	for (i = 0; i < NUM_REGISTERS; i++) {
		if (!kept->round)
			kept->power_on[i] = rdmsr(registers[i].index);
		CHECK(100 + i, rdmsr(registers[i].index) == kept->power_on[i]);
		wrmsr(registers[i].index, registers[i].mine);
		CHECK(120 + i, rdmsr(registers[i].index) == registers[i].mine);
	}
}

/*
 * What CPUID does not announce is not there: reenlightenment, the debugger. And what it does
 * announce is.
 */
static void check_offers(void)
{
	static const u32 none[] = { 0x40000106, 0x40000107, 0x400000f1 };
	static const u32 some[] = { 0x40000000, 0x40000001, 0x40000002, 0x40000020, 0x40000021,
				    0x40000073, 0x40000080, 0x40000090, 0x400000b0, 0x40000105 };
	u32 i, before;

	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		before = faults;
		rdmsr(none[i]);
		CHECK(60 + i, faults == before + 1);
	}
	before = faults;
	for (i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		rdmsr(some[i]);
		CHECK(70 + i, faults == before);
	}
}

static void begin_hypercalls(void)
{
	wrmsr(0x40000000, 0x8100000000000001ull);
	wrmsr(0x40000001, HYPERCALL_PAGE | 1);
}

static void post(void)
{
	static const u32 page = HYPERCALL_PAGE;
	volatile u32 *p = (volatile u32 *)POST_PAGE;
	u32 a, d;

	p[0] = 99; /* nobody's connection: the answer comes from user space all the same */
	p[1] = 0;
	p[2] = 1;
	p[3] = 4;
	__asm__ volatile("call *%[page]"
			 : "=a"(a), "=d"(d)
			 : [page] "m"(page), "a"(0x5c), "d"(0), "b"(0), "c"(POST_PAGE), "D"(0),
			   "S"(0)
			 : "memory");
}

/* The second CPU. */
void second(void);
void second(void)
{
	for (;;) {
		post();
		kept->posts++;
	}
}

static void start_second(void)
{
	volatile u32 *icr = (volatile u32 *)0xfee00300u;
	char *to = (char *)TRAMPOLINE, *from;

	for (from = trampoline; from < trampoline_end; from++)
		*to++ = *from;
	*(volatile u32 *)0xfee000f0u = 0x1ff;
	icr[4] = 1u << 24;
	icr[0] = 0x4500; /* INIT */
	wait(100000);
	icr[4] = 1u << 24;
	icr[0] = 0x4600 | TRAMPOLINE >> 12; /* start here */
}

struct gate { u16 lo, sel; u8 zero, type; u16 hi; } __attribute__((packed));
static struct gate idt[32];

int main(u32 magic, u32 *info);
int main(u32 magic, u32 *info)
{
	struct { u16 len; u32 base; } __attribute__((packed)) idtr = { sizeof(idt) - 1, (u32)idt };
	u32 i;

	(void)magic, (void)info;
	idt[13] = (struct gate){ (u16)(u32)isr_gp, 8, 0, 0x8e, (u16)((u32)isr_gp >> 16) };
	__asm__ volatile("lidt %0" : : "m"(idtr));
	if (kept->magic != MAGIC) {
		kept->magic = MAGIC;
		kept->round = 0;
	} else {
		CHECK(50, kept->asked); /* else somebody has crashed */
	}
	kept->asked = 0;
	check_registers();
	check_offers();
	begin_hypercalls();
	kept->posts = 0;
	start_second();
	for (i = 0; i < 1000000 && kept->posts < 3; i++)
		wait(100);
	CHECK(51, kept->posts >= 3); /* the second CPU is not where it was told to begin */
	if (++kept->round == ROUNDS) {
		print("MB: every reset was one\n");
		leave(42);
	}
	wait(kept->round * 3001);
	kept->asked = 1;
	outb(0xcf9, 6);
	for (;;)
		__asm__ volatile("hlt");
}
