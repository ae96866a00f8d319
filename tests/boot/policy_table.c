// SPDX-License-Identifier: GPL-2.0-only
/* Prints vmm/policy.c for scripts: class, number, system call, conditions, error, why. */
#include <stdio.h>

#include "lib/seccomp.h"
#include "vmm/policy.h"

static void print_condition(const struct kvmb_sys_cond *c)
{
	static const char *const names[] = { "", "is", "is", "without", "own" };

	if (c->test)
		printf("%u %s %#llx;", c->arg, names[c->test], (unsigned long long)c->value);
}

int main(void)
{
	size_t num, i;
	const struct kvmb_sys_rule *r = policy_rules(&num);
	unsigned int c, j;

	for (c = 0; c < KVMB_THREAD_NUM; c++) {
		for (i = 0; i < num; i++) {
			if (!(r[i].classes >> c & 1))
				continue;
			printf("%s\t%u\t%s\t", kvmb_thread_class_name(c), r[i].nr,
			       kvmb_syscall_name((int)r[i].nr));
			for (j = 0; j < KVMB_SECCOMP_CONDS; j++)
				print_condition(&r[i].when[j]);
			printf("\t%u\t%s\n", r[i].error, r[i].why ? r[i].why : "");
		}
	}
	return 0;
}
