// SPDX-License-Identifier: GPL-2.0-only
/* From rows to BPF; seccomp.h says what it costs. */
#include "lib/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/util.h"

extern const char *const kvmb_syscall_names[]; /* made by lib/syscall-names.sh */
extern const int kvmb_syscall_num;

struct builder {
	struct kvmb_sys_program *p;
	bool overflow;
};

static void emit(struct builder *b, struct sock_filter f)
{
	if (b->p->len < KVMB_SECCOMP_MAX)
		b->p->code[b->p->len++] = f;
	else
		b->overflow = true;
}

static void load(struct builder *b, size_t at)
{
	emit(b, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)at));
}

static void put_answer(struct builder *b, uint32_t what)
{
	emit(b, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what));
}

/* Goes on with the next instruction when what was loaded equals @value, else @skip further. */
static void want_equal(struct builder *b, uint32_t value, unsigned int skip)
{
	b->overflow = b->overflow || skip > 255;
	emit(b, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, (uint8_t)skip));
}

static size_t low_half(unsigned int arg)
{
	return offsetof(struct seccomp_data, args) + 8 * arg; /* little-endian */
}

/* ---- one condition ---- */

static unsigned int cond_len(const struct kvmb_sys_cond *c)
{
	return c->test == KVMB_SYS_ANY ? 0 : c->test == KVMB_SYS_IS ? 4 : 2;
}

/* @rest: instructions between it and the next row */
static void put_cond(struct builder *b, const struct kvmb_sys_cond *c, unsigned int rest)
{
	if (c->test == KVMB_SYS_ANY)
		return;
	load(b, low_half(c->arg));
	switch (c->test) {
	case KVMB_SYS_IS:
		want_equal(b, (uint32_t)c->value, rest + 2);
		load(b, low_half(c->arg) + 4);
		want_equal(b, (uint32_t)(c->value >> 32), rest);
		break;
	case KVMB_SYS_IS32:
		want_equal(b, (uint32_t)c->value, rest);
		break;
	case KVMB_SYS_WITHOUT:
		emit(b, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (uint32_t)c->value,
						     (uint8_t)rest, 0));
		break;
	case KVMB_SYS_OWN_PID:
		want_equal(b, (uint32_t)getpid(), rest);
		break;
	}
}

/* ---- one row, one system call, all of them ---- */

static unsigned int row_len(const struct kvmb_sys_rule *r)
{
	unsigned int i, n = 1; /* the answer */

	for (i = 0; i < KVMB_SECCOMP_CONDS; i++)
		n += cond_len(&r->when[i]);
	return n;
}

static void put_row(struct builder *b, const struct kvmb_sys_rule *r)
{
	unsigned int i, rest = row_len(r);

	for (i = 0; i < KVMB_SECCOMP_CONDS; i++) {
		rest -= cond_len(&r->when[i]);
		put_cond(b, &r->when[i], rest);
	}
	put_answer(b, r->error ? SECCOMP_RET_ERRNO | r->error : SECCOMP_RET_ALLOW);
}

static bool has(const struct kvmb_sys_rule *r, unsigned int class)
{
	return r->classes >> class & 1;
}

struct call { /* a system call that has rows of the class */
	uint32_t nr;
	size_t first; /* row */
};

/* The calls that have rows of @class, by number, without that of row @but. Return: how many. */
static unsigned int find_calls(const struct kvmb_sys_rule *rules, size_t num, unsigned int class,
			       size_t but, struct call *calls, unsigned int max)
{
	unsigned int n = 0, at;
	size_t i;

	for (i = but + 1; i < num; i++) {
		if (!has(&rules[i], class) || rules[i].nr == rules[but].nr)
			continue;
		for (at = n; at && calls[at - 1].nr > rules[i].nr; at--)
			;
		if (at && calls[at - 1].nr == rules[i].nr)
			continue;
		if (n == max)
			return max + 1;
		memmove(calls + at + 1, calls + at, (n++ - at) * sizeof(*calls));
		calls[at] = (struct call){ rules[i].nr, i };
	}
	return n;
}

struct table {
	const struct kvmb_sys_rule *rules; /* rules[num] */
	size_t num;
	unsigned int class;
	uint32_t otherwise;
};

/*
 * All rows of a system call stand together, so that no other has to look at its arguments. What
 * follows them is the answer when none holds; other numbers go there (@last), or behind it.
 */
static void put_call(struct builder *b, const struct table *t, size_t first, bool last)
{
	const struct kvmb_sys_rule *rules = t->rules;
	unsigned int len = !last;
	size_t i;

	for (i = first; i < t->num; i++) {
		if (rules[i].nr == rules[first].nr && has(&rules[i], t->class))
			len += row_len(&rules[i]);
	}
	want_equal(b, rules[first].nr, len);
	for (i = first; i < t->num; i++) {
		if (rules[i].nr == rules[first].nr && has(&rules[i], t->class))
			put_row(b, &rules[i]);
	}
	put_answer(b, t->otherwise);
}

/* A tree of comparisons: calls[num], num > 0. Conditional jumps reach 255 far, others anywhere. */
static void put_tree(struct builder *b, const struct table *t, const struct call *calls,
		     unsigned int num)
{
	unsigned int half = num / 2, jump;

	if (num == 1) {
		put_call(b, t, calls->first, true);
		return;
	}
	emit(b, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, calls[half].nr, 0, 1));
	jump = b->p->len;
	emit(b, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0));
	put_tree(b, t, calls, half);
	if (!b->overflow)
		b->p->code[jump].k = b->p->len - jump - 1;
	put_tree(b, t, calls + half, num - half);
}

int kvmb_seccomp_build(const struct kvmb_sys_rule *rules, size_t num, unsigned int class,
		       uint32_t otherwise, struct kvmb_sys_program *p)
{
	struct table t = { rules, num, class, otherwise };
	struct call calls[KVMB_SECCOMP_MAX / 4];
	struct builder b = { .p = p };
	unsigned int n;
	size_t first;

	p->len = 0;
	load(&b, offsetof(struct seccomp_data, arch));
	emit(&b, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0));
	put_answer(&b, otherwise); /* int 0x80: the numbers mean other calls */
	load(&b, offsetof(struct seccomp_data, nr));
	for (first = 0; first < num && !has(&rules[first], class); first++)
		;
	if (first < num) {
		put_call(&b, &t, first, false);
		n = find_calls(rules, num, class, first, calls, ARRAY_SIZE(calls));
		if (n > ARRAY_SIZE(calls))
			return -E2BIG;
		if (n)
			put_tree(&b, &t, calls, n);
	}
	put_answer(&b, otherwise);
	return b.overflow ? -E2BIG : 0;
}

int kvmb_seccomp_install(const struct kvmb_sys_program *p)
{
	struct sock_fprog prog = { p->len, (struct sock_filter *)p->code };

	/*
	 * SPEC_ALLOW: before Linux 5.16 a filter would else switch off the CPU's speculation past
	 * stores for its thread, which costs some percent. That protects sandboxes within one
	 * process; here the whole process is one.
	 */
	if (!syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &prog))
		return 0;
	if (errno != EINVAL) /* a kernel before 4.17 does not know the flag */
		return -errno;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) ? -errno : 0;
}

const char *kvmb_syscall_name(int nr)
{
	const char *name = nr >= 0 && nr < kvmb_syscall_num ? kvmb_syscall_names[nr] : NULL;

	return name ? name : "?";
}
