// SPDX-License-Identifier: GPL-2.0-only
/* Filters made from rows, in processes that install them. */
#include "lib/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/util.h"
#include "tests/unit/test.h"

#define DENY (SECCOMP_RET_ERRNO | EXDEV)

static int *result; /* shared with children */

static int setup(void **state)
{
	(void)state;
	result = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return result == MAP_FAILED;
}

static int teardown(void **state)
{
	(void)state;
	return munmap(result, 4096);
}

/* Return: 0 or the error of the call, made by a process of class @class. */
static int call(const struct kvmb_sys_rule *rules, size_t num, unsigned int class, long nr, long a,
		long b, long c)
{
	static struct kvmb_sys_program p;
	int status;
	pid_t pid = fork();

	if (!pid) {
		*result = -1;
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (kvmb_seccomp_build(rules, num, class, DENY, &p) || kvmb_seccomp_install(&p))
			_exit(1);
		*result = syscall(nr, a, b, c, 0, 0, 0) < 0 ? errno : 0;
		syscall(SYS_exit, 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	return *result;
}

#define CALL(rules, class, nr, a, b, c) \
	call(rules, ARRAY_SIZE(rules), class, nr, (long)(a), (long)(b), (long)(c))
#define END                                     \
	{ .nr = __NR_exit, .classes = 3 },      \
	{                                       \
		.nr = __NR_getpid, .classes = 3 \
	}

static void what_has_no_row_is_denied(void **state)
{
	static const struct kvmb_sys_rule rules[] = { { .nr = __NR_getppid, .classes = 1 }, END };

	(void)state;
	assert_int_equal(CALL(rules, 0, SYS_getppid, 0, 0, 0), 0);
	assert_int_equal(CALL(rules, 1, SYS_getppid, 0, 0, 0), EXDEV); /* another class */
	assert_int_equal(CALL(rules, 0, SYS_getuid, 0, 0, 0), EXDEV);
	assert_int_equal(CALL(rules, 0, SYS_getppid | 0x40000000, 0, 0, 0), EXDEV); /* x32 */
}

static void one_of_several_rows_is_enough(void **state)
{
	static const struct kvmb_sys_rule rules[] = {
		{ .nr = __NR_dup, .classes = 1, .when = { { KVMB_SYS_IS32, 0, 0 } } },
		{ .nr = __NR_getppid, .classes = 1 },
		{ .nr = __NR_dup, .classes = 2, .when = { { KVMB_SYS_IS32, 0, 1 } } },
		{ .nr = __NR_dup, .classes = 1, .when = { { KVMB_SYS_IS32, 0, 2 } } },
		END
	};

	(void)state;
	assert_int_equal(CALL(rules, 0, SYS_dup, 0, 0, 0), 0);
	assert_int_equal(CALL(rules, 0, SYS_dup, 1, 0, 0), EXDEV); /* that row is another class's */
	assert_int_equal(CALL(rules, 0, SYS_dup, 2, 0, 0), 0);
	assert_int_equal(CALL(rules, 0, SYS_dup, 3, 0, 0), EXDEV);
	assert_int_equal(CALL(rules, 1, SYS_dup, 1, 0, 0), 0);
	assert_int_equal(CALL(rules, 0, SYS_getppid, 0, 0, 0), 0);
}

static void both_halves_of_an_argument_count(void **state)
{
	static const struct kvmb_sys_rule rules[] = {
		{ .nr = __NR_dup, .classes = 1, .when = { { KVMB_SYS_IS, 1, 0x200000001ull } } },
		{ .nr = __NR_dup2, .classes = 1, .when = { { KVMB_SYS_IS32, 2, 1 } } },
		END
	};

	(void)state;
	assert_int_equal(CALL(rules, 0, SYS_dup, 0, 0x200000001, 0), 0);
	assert_int_equal(CALL(rules, 0, SYS_dup, 0, 1, 0), EXDEV);
	assert_int_equal(CALL(rules, 0, SYS_dup, 0, 0x200000000, 0), EXDEV);
	/* the kernel takes an int: the high half is not looked at */
	assert_int_equal(CALL(rules, 0, SYS_dup2, 0, 0, 0x700000001), 0);
	assert_int_equal(CALL(rules, 0, SYS_dup2, 0, 0, 0x700000000), EXDEV);
}

static void all_conditions_of_a_row_count(void **state)
{
	static const struct kvmb_sys_rule rules[] = {
		{ .nr = __NR_kill,
		  .classes = 1,
		  .when = { { KVMB_SYS_OWN_PID, 0, 0 }, { KVMB_SYS_IS, 1, 0 } } },
		{ .nr = __NR_kill,
		  .classes = 1,
		  .when = { { KVMB_SYS_IS32, 0, 1 }, { KVMB_SYS_WITHOUT, 1, 4 } } },
		END
	};
	pid_t parent = getpid();

	(void)state;
	assert_int_equal(CALL(rules, 0, SYS_kill, parent, 0, 0), EXDEV);
	assert_int_not_equal(CALL(rules, 0, SYS_kill, 1, 0x100, 0), EXDEV);
	assert_int_equal(CALL(rules, 0, SYS_kill, 1, 4, 0), EXDEV);
	assert_int_equal(CALL(rules, 0, SYS_kill, 1, 0xff, 0), EXDEV);
}

static void own_process_is_the_one_that_built_it(void **state)
{
	static const struct kvmb_sys_rule rules[] = {
		{ .nr = __NR_kill, .classes = 1, .when = { { KVMB_SYS_OWN_PID, 0, 0 } } }, END
	};
	static struct kvmb_sys_program p;
	pid_t pid = fork();
	int status;

	(void)state;
	if (!pid) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (kvmb_seccomp_build(rules, ARRAY_SIZE(rules), 0, DENY, &p) ||
		    kvmb_seccomp_install(&p))
			_exit(1);
		syscall(SYS_exit, syscall(SYS_kill, syscall(SYS_getpid), 0) ||
					  !syscall(SYS_kill, 1, 0) || errno != EXDEV);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void a_row_may_give_an_error(void **state)
{
	static const struct kvmb_sys_rule rules[] = {
		{ .nr = __NR_clone3, .classes = 1, .error = ENOSYS }, END
	};

	(void)state;
	assert_int_equal(CALL(rules, 0, SYS_clone3, 0, 0, 0), ENOSYS);
}

static void a_table_that_is_too_long_is_refused(void **state)
{
	static struct kvmb_sys_rule rules[400];
	static struct kvmb_sys_program p;
	uint32_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rules); i++)
		rules[i] = (struct kvmb_sys_rule){ .nr = i, .classes = 1 };
	assert_int_equal(kvmb_seccomp_build(rules, ARRAY_SIZE(rules), 0, DENY, &p), -E2BIG);
	assert_int_equal(kvmb_seccomp_build(rules, 100, 0, DENY, &p), 0);
	for (i = 0; i < ARRAY_SIZE(rules); i++) /* a jump reaches 255 instructions */
		rules[i] = (struct kvmb_sys_rule){ .nr = 1,
						   .classes = 1,
						   .when = { { KVMB_SYS_IS32, 0, i } } };
	assert_int_equal(kvmb_seccomp_build(rules, 100, 0, DENY, &p), -E2BIG);
	assert_int_equal(kvmb_seccomp_build(rules, 80, 0, DENY, &p), 0);
}

/* What the kernel's interpreter would answer to call @nr of this architecture. */
static uint32_t answer_to(const struct kvmb_sys_program *p, uint32_t nr)
{
	struct seccomp_data d = { .nr = (int)nr, .arch = AUDIT_ARCH_X86_64 };
	uint32_t a = 0, at = 0;

	for (;;) {
		const struct sock_filter *f = &p->code[at++];

		assert_true(at <= p->len);
		switch (f->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			memcpy(&a, (char *)&d + f->k, sizeof(a));
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			at += a == f->k ? f->jt : f->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			at += a >= f->k ? f->jt : f->jf;
			break;
		case BPF_JMP | BPF_JA:
			at += f->k;
			break;
		default:
			assert_int_equal(f->code, BPF_RET | BPF_K);
			return f->k;
		}
	}
}

static void every_number_is_found_in_a_table_of_any_size(void **state)
{
	static struct kvmb_sys_rule rules[100];
	static struct kvmb_sys_program p;
	uint32_t n, nr;

	(void)state;
	for (n = 0; n < ARRAY_SIZE(rules); n++) { /* 7 * n mod 101: in no order, none twice */
		rules[n] = (struct kvmb_sys_rule){ .nr = 3 * (7 * n % 101), .classes = 1 };
		assert_int_equal(kvmb_seccomp_build(rules, n + 1, 0, DENY, &p), 0);
		for (nr = 0; nr < 310; nr++) {
			bool has = false;
			uint32_t i;

			for (i = 0; i <= n; i++)
				has = has || rules[i].nr == nr;
			assert_int_equal(answer_to(&p, nr), has ? SECCOMP_RET_ALLOW : DENY);
		}
	}
}

static void calls_have_names(void **state)
{
	(void)state;
	assert_string_equal(kvmb_syscall_name(SYS_openat), "openat");
	assert_string_equal(kvmb_syscall_name(SYS_read), "read");
	assert_string_equal(kvmb_syscall_name(-1), "?");
	assert_string_equal(kvmb_syscall_name(1 << 20), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_has_no_row_is_denied),
		T(one_of_several_rows_is_enough),
		T(both_halves_of_an_argument_count),
		T(all_conditions_of_a_row_count),
		T(own_process_is_the_one_that_built_it),
		T(a_row_may_give_an_error),
		T(a_table_that_is_too_long_is_refused),
		T(every_number_is_found_in_a_table_of_any_size),
		T(calls_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
