/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Filters of system calls, made from a table of rows.
 *
 * DOC: What a filter costs
 *
 * The kernel asks the filter once about each number and remembers those that it allows whatever
 * their arguments are (a bitmap, since Linux 5.11). Only calls whose rows have conditions run the
 * program each time. The first system call of the table is decided after three instructions, the
 * others by a tree of comparisons: asking about each number would else take the kernel longer, at
 * the start of each thread, than everything else that the sandbox does.
 *
 * Whatever has no row is denied; x32 calls are among these, because their numbers are others. A
 * thread's later filters narrow what it may do: the kernel runs all of them and takes the strictest
 * answer.
 */
#ifndef KVMB_SECCOMP_H
#define KVMB_SECCOMP_H

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

#define KVMB_SECCOMP_MAX 1024u /* instructions of a program */
#define KVMB_SECCOMP_CONDS 2

enum kvmb_sys_test {
	KVMB_SYS_ANY,	  /* no condition */
	KVMB_SYS_IS,	  /* all 64 bits are equal */
	KVMB_SYS_IS32,	  /* the low half is equal: of what the kernel takes as an int */
	KVMB_SYS_WITHOUT, /* none of these bits, of the low half, is set */
	KVMB_SYS_OWN_PID, /* the low half is this process's id */
};

struct kvmb_sys_cond {
	uint8_t test; /* enum kvmb_sys_test */
	uint8_t arg;  /* 0 to 5 */
	uint64_t value;
};

struct kvmb_sys_rule {
	uint32_t nr;
	uint32_t classes; /* bit n: class n has this row */
	/* all of them hold; conditions of one system call's rows: one row that holds is enough */
	struct kvmb_sys_cond when[KVMB_SECCOMP_CONDS];
	uint16_t error;	 /* 0 allows; else the call fails with it */
	const char *why; /* what needs it, where that is not obvious; not compiled */
};

struct kvmb_sys_program {
	struct sock_filter code[KVMB_SECCOMP_MAX]; /* code[len] */
	uint16_t len;
};

/**
 * kvmb_seccomp_build() - Make the program of a class
 * @rules: rules[num]; a class's hottest system call with conditions first
 * @class: number of the class
 * @otherwise: SECCOMP_RET_* for what has no row
 * @p: filled
 *
 * Return: 0, -E2BIG when it gets too long. Context: any; the process's id of now is built in.
 */
int kvmb_seccomp_build(const struct kvmb_sys_rule *rules, size_t num, unsigned int class,
		       uint32_t otherwise, struct kvmb_sys_program *p);

/**
 * kvmb_seccomp_install() - Let the calling thread make no other system calls, for good
 *
 * Threads that it makes inherit the filter. It needs PR_SET_NO_NEW_PRIVS.
 * Return: 0 or -errno; -EINVAL or -ENOSYS: this kernel has none. Context: any thread.
 */
int kvmb_seccomp_install(const struct kvmb_sys_program *p);

/** kvmb_syscall_name() - "openat" for 257. Return: static; "?" for what we were not built with. */
const char *kvmb_syscall_name(int nr);

#endif
