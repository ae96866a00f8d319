// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin for the lab's emulator: what does synchronisation cost the guest's kernel between two
 * marks (tests/guest/mark.h)? Loaded by tests/perf/smp with out=FILE; each end mark writes
 * FILE.NUMBER.
 *
 * Theory of operation: only what L2, the guest of the emulated KVM, executes counts. VMRUN's RAX,
 * the address of the VMCB, names the vCPU; the instruction behind VMRUN is where its host goes on.
 * The emulator translates a block for one of the two states only, so what a block is instrumented
 * for is decided at translation. Sites are instructions of the guest's kernel as they are executed,
 * after the kernel has patched them. They count between the marks.
 *
 * Lines of memory are found by physical address, so that two mappings of a ring are one. The model
 * of a cache is the plainest: it holds everything, one writer or any number of readers. A line
 * moves when a vCPU reads what another one wrote last, or writes what another one holds. What the
 * host and devices touch is not in it.
 *
 * Limits: an access that crosses lines counts for the first; a conditional jump into a function is
 * no call.
 *
 * Sources: AMD64 APM vol. 2 (VMRUN, x2APIC), vol. 3 (encodings); TLFS 6.0b (hypercall input,
 * synthetic MSRs).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tcg_plugin.h"

#define MAX_SITES (1u << 22)
#define MAX_LINES (1u << 22)
#define MAX_PAIRS (1u << 18)
#define MAX_CPUS 8 /* of L1 */
#define MAX_VCPUS 64
#define MAX_VMRUNS 8
#define MODULES 0xffffffffc0000000ull /* where the guest's kernel ends and its modules begin */
#define ICR_X2APIC 0x830
#define ICR_HYPERV 0x40000071
#define APIC_ICR 0x300

/* of a site */
enum kind { BLOCK, CALL, LOCKED, BARRIER, MFENCE, LFENCE, SFENCE, WRMSR, VMCALL, ACCESS, KINDS };
static const char *const kind_names[KINDS] = { "block",	 "call",   "locked", "barrier", "mfence",
					       "lfence", "sfence", "wrmsr",  "vmcall",	"access" };

struct site {
	uint64_t vaddr;
	uint64_t arg;		/* of a block: instructions; of a call: target */
	uint64_t n;		/* times executed */
	uint64_t reads, writes; /* lines that it made move */
	enum kind kind;
};
static struct site *sites; /* sites[num_sites] */
static uint32_t num_sites, *site_hash;

struct line {
	uint64_t addr;	       /* physical / 64, + 1; 0 = free */
	uint64_t holders;      /* vCPUs, a bit each */
	const struct site *by; /* who wrote it last */
	uint32_t moves;
	uint8_t dirty;	/* the one holder has written it */
	uint8_t module; /* code of a module has touched it */
};
static struct line *lines;
static uint32_t num_lines;

static struct pair {
	const struct site *from, *to;
	uint64_t n;
} * pairs;
static uint32_t num_pairs;

static struct {
	uint64_t code, arg, n;
} events[256]; /* hypercalls by code, IPIs by way and vector */
static unsigned int num_events;

/* The emulator's own: the CPU that this thread runs, also while it translates */
extern __thread void *current_cpu;
/* GLib's, which the emulator brings */
struct tcg_bytes *g_byte_array_new(void);
struct tcg_bytes *g_byte_array_set_size(struct tcg_bytes *array, unsigned int length);

/*
 * By CPU; vcpu -1: it is in the host. Not by the number that a callback gets: where one thread runs
 * all CPUs, QEMU 10.0 passes the number of the CPU for which it translated.
 */
static struct {
	void *cpu;
	int vcpu;
} in_guest[MAX_CPUS];
static uint64_t vmcbs[MAX_VCPUS];
static unsigned int num_vmcbs;
static struct {
	uint64_t vaddr;
	const uint8_t *haddr;
} behind_vmrun[MAX_VMRUNS];
static unsigned int num_behind;

static struct qemu_plugin_register *rax, *rcx, *rdx;
static struct tcg_bytes *regbuf;
static bool active;
static char out[512];
static unsigned int ends;

static uint64_t reg(struct qemu_plugin_register *r)
{
	uint64_t v = 0;

	g_byte_array_set_size(regbuf, 0);
	if (qemu_plugin_read_register(r, regbuf) < 8)
		abort();
	memcpy(&v, regbuf->data, 8);
	return v;
}

static int *vcpu_here(void)
{
	unsigned int i;

	for (i = 0; i < MAX_CPUS && in_guest[i].cpu; i++) {
		if (in_guest[i].cpu == current_cpu)
			return &in_guest[i].vcpu;
	}
	if (i == MAX_CPUS)
		abort();
	in_guest[i].cpu = current_cpu;
	in_guest[i].vcpu = -1;
	return &in_guest[i].vcpu;
}

/* A site outlives its blocks: the same address and kind is the same site. */
static struct site *site(uint64_t vaddr, enum kind kind, uint64_t arg)
{
	uint64_t x = (vaddr * KINDS + kind) * 0x9e3779b97f4a7c15ull;
	uint32_t i = (uint32_t)(x >> 32) % (2 * MAX_SITES);
	struct site *s;

	for (; site_hash[i]; i = (i + 1) % (2 * MAX_SITES)) {
		s = &sites[site_hash[i] - 1];
		if (s->vaddr == vaddr && s->kind == kind && s->arg == arg)
			return s;
	}
	if (num_sites == MAX_SITES)
		abort();
	s = &sites[num_sites];
	*s = (struct site){ .vaddr = vaddr, .kind = kind, .arg = arg };
	site_hash[i] = ++num_sites;
	return s;
}

static void count_event(uint64_t code, uint64_t arg)
{
	unsigned int i;

	for (i = 0; i < num_events; i++) {
		if (events[i].code == code && events[i].arg == arg) {
			events[i].n++;
			return;
		}
	}
	if (num_events == 256)
		abort();
	events[num_events].code = code;
	events[num_events].arg = arg;
	events[num_events++].n = 1;
}

/* Cache lines */

static struct line *line_of(uint64_t phys)
{
	uint64_t addr = phys / 64 + 1;
	uint32_t i = (uint32_t)(addr * 0x9e3779b97f4a7c15ull >> 40) % MAX_LINES;

	while (lines[i].addr && lines[i].addr != addr)
		i = (i + 1) % MAX_LINES;
	if (!lines[i].addr) {
		if (++num_lines > MAX_LINES / 4 * 3)
			abort();
		lines[i].addr = addr;
	}
	return &lines[i];
}

static void count_move(struct line *l, struct site *to)
{
	uint64_t x = ((uintptr_t)l->by ^ (uintptr_t)to * 31) * 0x9e3779b97f4a7c15ull;
	uint32_t i = (uint32_t)(x >> 32) % MAX_PAIRS;

	l->moves++;
	while (pairs[i].to && (pairs[i].from != l->by || pairs[i].to != to))
		i = (i + 1) % MAX_PAIRS;
	if (!pairs[i].to && ++num_pairs > MAX_PAIRS / 4 * 3)
		abort();
	pairs[i].from = l->by;
	pairs[i].to = to;
	pairs[i].n++;
}

static void touch(struct line *l, struct site *s, int vcpu, bool store)
{
	static struct {
		const struct line *l;
		const struct site *s;
		int vcpu;
	} got;
	uint64_t me = 1ull << vcpu;
	bool again = got.l == l && got.s == s &&
		     got.vcpu == vcpu; /* the store of an instruction whose load moved it */

	got.l = NULL;
	if (l->holders & ~me && (store ? !again : l->dirty && !(l->holders & me))) {
		count_move(l, s);
		got.l = l, got.s = s, got.vcpu = vcpu;
		if (store)
			s->writes++;
		else
			s->reads++;
	}
	if (store) {
		l->holders = me;
		l->dirty = 1;
		l->by = s;
	} else if (!(l->holders & me)) {
		l->holders |= me;
		l->dirty = 0;
	}
	l->module |= s->vaddr >= MODULES;
}

static void on_mem(unsigned int cpu, uint32_t info, uint64_t vaddr, void *arg)
{
	struct qemu_plugin_hwaddr *h = active ? qemu_plugin_get_hwaddr(info, vaddr) : NULL;
	bool store = qemu_plugin_mem_is_store(info);
	int vcpu = h ? *vcpu_here() : -1;

	(void)cpu;
	if (vcpu < 0)
		return;
	if (!qemu_plugin_hwaddr_is_io(h))
		touch(line_of(qemu_plugin_hwaddr_phys_addr(h)), arg, vcpu, store);
	else if (store && (vaddr & 0xfff) == APIC_ICR)
		count_event(APIC_ICR, 0);
}

/* Instructions */

static void on_exec(unsigned int cpu, void *arg)
{
	(void)cpu;
	((struct site *)arg)->n += active;
}

static void on_wrmsr(unsigned int cpu, void *arg)
{
	uint64_t msr;

	on_exec(cpu, arg);
	if (!active)
		return;
	msr = reg(rcx) & 0xffffffff;
	count_event(msr, msr == ICR_X2APIC || msr == ICR_HYPERV ? reg(rax) & 0xff : 0);
}

/* Code 0xb, send IPI, has its vector in RDX; by memory it has none that is known here. */
static void on_vmcall(unsigned int cpu, void *arg)
{
	uint64_t control;

	on_exec(cpu, arg);
	if (!active)
		return;
	control = reg(rcx);
	count_event(1ull << 32 | (control & 0xffff),
		    (control & 0xffff) == 0xb && control & 0x10000 ? reg(rdx) & 0xff : 0);
}

static const struct {
	enum kind kind;
	on_exec_fn *fn;
	int regs;
} special[KINDS] = {
	[CALL] = { CALL, on_exec, NO_REGS },	   [LOCKED] = { LOCKED, on_exec, NO_REGS },
	[BARRIER] = { BARRIER, on_exec, NO_REGS }, [MFENCE] = { MFENCE, on_exec, NO_REGS },
	[LFENCE] = { LFENCE, on_exec, NO_REGS },   [SFENCE] = { SFENCE, on_exec, NO_REGS },
	[WRMSR] = { WRMSR, on_wrmsr, READS_REGS }, [VMCALL] = { VMCALL, on_vmcall, READS_REGS },
};

/* An opcode of two bytes at @d, without prefixes; @len is what is left of the instruction. */
static enum kind two_bytes(const uint8_t *d, size_t len)
{
	if (d[1] == 0x30)
		return WRMSR;
	if (len >= 3 && d[1] == 0x01 && (d[2] == 0xd9 || d[2] == 0xc1))
		return VMCALL;
	if (len >= 3 && d[1] == 0xae && d[2] >= 0xe8)
		return d[2] < 0xf0 ? LFENCE : d[2] < 0xf8 ? MFENCE : SFENCE;
	return ACCESS;
}

/* ACCESS: none that counts for itself. BARRIER: locked, and changes nothing on the stack. */
static enum kind kind_of(const uint8_t *d, size_t len)
{
	bool locked = false, other = false;
	size_t i = 0;

	for (; i < len; i++) {
		if (d[i] == 0xf0)
			locked = true;
		else if (d[i] == 0x66 || d[i] == 0xf2 || d[i] == 0xf3)
			other = true;
		else if (d[i] != 0x2e && d[i] != 0x36 && d[i] != 0x3e && d[i] != 0x26 &&
			 (d[i] & 0xfe) != 0x64 && d[i] >> 4 != 4)
			break;
	}
	if (i + 1 >= len)
		return ACCESS;
	if (locked && len - i >= 4 && d[i] == 0x83 && (d[i + 1] & 0x37) == 0x04 &&
	    d[i + 2] == 0x24 && !d[len - 1])
		return BARRIER;
	if (locked || ((d[i] == 0x86 || d[i] == 0x87) && d[i + 1] < 0xc0))
		return LOCKED;
	if (d[i] == 0xe8 || d[i] == 0xe9)
		return len - i == 5 ? CALL : ACCESS;
	return d[i] == 0x0f && !other ? two_bytes(d + i, len - i) : ACCESS;
}

static void instrument(struct qemu_plugin_insn *insn)
{
	uint64_t vaddr = qemu_plugin_insn_vaddr(insn);
	size_t len = qemu_plugin_insn_size(insn);
	uint8_t d[16] = { 0 };
	enum kind kind;
	int32_t rel;

	qemu_plugin_insn_data(insn, d, sizeof(d));
	kind = kind_of(d, len);
	if (special[kind].fn) {
		memcpy(&rel, d + len - 4, 4);
		qemu_plugin_register_vcpu_insn_exec_cb(
			insn, special[kind].fn, special[kind].regs,
			site(vaddr, kind, kind == CALL ? vaddr + len + (uint64_t)(int64_t)rel : 0));
	}
	qemu_plugin_register_vcpu_mem_cb(insn, on_mem, NO_REGS, MEM_RW, site(vaddr, ACCESS, 0));
}

/* Who runs */

static void on_vmrun(unsigned int cpu, void *arg)
{
	uint64_t vmcb = reg(rax);
	unsigned int i;

	(void)cpu, (void)arg;
	for (i = 0; i < num_vmcbs && vmcbs[i] != vmcb; i++)
		;
	if (i == MAX_VCPUS)
		abort();
	if (i == num_vmcbs)
		vmcbs[num_vmcbs++] = vmcb;
	*vcpu_here() = (int)i;
}

static void on_vmexit(unsigned int cpu, void *arg)
{
	(void)cpu, (void)arg;
	*vcpu_here() = -1;
}

static bool is_behind_vmrun(uint64_t vaddr, const uint8_t *haddr)
{
	unsigned int i;

	for (i = 0; i < num_behind; i++) {
		if (behind_vmrun[i].vaddr == vaddr && behind_vmrun[i].haddr == haddr)
			return true;
	}
	return false;
}

static void host_insn(struct qemu_plugin_insn *insn)
{
	uint64_t next = qemu_plugin_insn_vaddr(insn) + 3;
	const uint8_t *bytes;
	uint8_t d[3];

	if (qemu_plugin_insn_size(insn) != 3 || qemu_plugin_insn_data(insn, d, 3) != 3 ||
	    memcmp(d, "\x0f\x01\xd8", 3))
		return;
	qemu_plugin_register_vcpu_insn_exec_cb(insn, on_vmrun, READS_REGS, NULL);
	bytes = (const uint8_t *)qemu_plugin_insn_haddr(insn) + 3;
	if (is_behind_vmrun(next, bytes))
		return;
	if (num_behind == MAX_VMRUNS)
		abort();
	behind_vmrun[num_behind].vaddr = next;
	behind_vmrun[num_behind++].haddr = bytes;
}

/* Marks */

static void on_begin(unsigned int cpu, void *arg)
{
	uint32_t i;

	(void)cpu, (void)arg;
	for (i = 0; i < num_sites; i++)
		sites[i].n = sites[i].reads = sites[i].writes = 0;
	memset(lines, 0, MAX_LINES * sizeof(*lines));
	memset(pairs, 0, MAX_PAIRS * sizeof(*pairs));
	num_lines = num_pairs = num_events = 0;
	active = true;
}

static void write_lines(FILE *f)
{
	uint32_t i, moved = 0, of_modules = 0;

	for (i = 0; i < MAX_LINES; i++) {
		moved += !!lines[i].moves;
		of_modules += lines[i].moves && lines[i].module;
	}
	fprintf(f, "lines %u %u\n", moved, of_modules);
	for (i = 0; i < MAX_PAIRS; i++) {
		if (pairs[i].to)
			fprintf(f, "pair %" PRIx64 " %" PRIx64 " %" PRIu64 "\n",
				pairs[i].from ? pairs[i].from->vaddr : 0, pairs[i].to->vaddr,
				pairs[i].n);
	}
}

static void on_end(unsigned int cpu, void *arg)
{
	char path[600];
	uint32_t i;
	FILE *f;

	(void)cpu, (void)arg;
	active = false;
	snprintf(path, sizeof(path), "%s.%u", out, ends++);
	f = fopen(path, "w");
	if (!f)
		abort();
	for (i = 0; i < num_sites; i++) {
		const struct site *s = &sites[i];

		if (s->n)
			fprintf(f, "%s %" PRIx64 " %" PRIx64 " %" PRIu64 "\n", kind_names[s->kind],
				s->vaddr, s->arg, s->n);
		if (s->reads || s->writes)
			fprintf(f, "moves %" PRIx64 " %" PRIu64 " %" PRIu64 "\n", s->vaddr,
				s->reads, s->writes);
	}
	for (i = 0; i < num_events; i++)
		fprintf(f, "event %" PRIx64 " %" PRIx64 " %" PRIu64 "\n", events[i].code,
			events[i].arg, events[i].n);
	write_lines(f);
	if (fclose(f))
		abort();
}

static void on_translation(uint64_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb), i;
	struct qemu_plugin_insn *first = qemu_plugin_tb_get_insn(tb, 0);
	bool back = is_behind_vmrun(qemu_plugin_insn_vaddr(first), qemu_plugin_insn_haddr(first));
	bool guest = !back && *vcpu_here() >= 0;
	bool kernel = qemu_plugin_tb_vaddr(tb) >> 63;

	(void)id;
	if (back)
		qemu_plugin_register_vcpu_insn_exec_cb(first, on_vmexit, NO_REGS, NULL);
	if (guest && kernel)
		qemu_plugin_register_vcpu_tb_exec_cb(tb, on_exec, NO_REGS,
						     site(qemu_plugin_tb_vaddr(tb), BLOCK, n));
	for (i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		if (!kernel && mark_of(insn))
			qemu_plugin_register_vcpu_insn_exec_cb(
				insn, mark_of(insn) == 'b' ? on_begin : on_end, NO_REGS, NULL);
		else if (kernel && guest)
			instrument(insn);
		else if (kernel)
			host_insn(insn);
	}
}

static void on_init(uint64_t id, unsigned int cpu)
{
	struct tcg_bytes *r = qemu_plugin_get_registers();
	const qemu_plugin_reg_descriptor *d = (void *)r->data;
	unsigned int i;

	(void)id, (void)cpu;
	for (i = 0; i < r->len; i++) {
		rax = !strcmp(d[i].name, "rax") ? d[i].handle : rax;
		rcx = !strcmp(d[i].name, "rcx") ? d[i].handle : rcx;
		rdx = !strcmp(d[i].name, "rdx") ? d[i].handle : rdx;
	}
	if (!rax || !rcx || !rdx)
		abort();
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	(void)info;
	if (argc != 1 || strncmp(argv[0], "out=", 4))
		return -1;
	snprintf(out, sizeof(out), "%s", argv[0] + 4);
	sites = calloc(MAX_SITES, sizeof(*sites));
	site_hash = calloc(2 * MAX_SITES, sizeof(*site_hash));
	lines = calloc(MAX_LINES, sizeof(*lines));
	pairs = calloc(MAX_PAIRS, sizeof(*pairs));
	regbuf = g_byte_array_new();
	qemu_plugin_register_vcpu_init_cb(id, on_init);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	return 0;
}
