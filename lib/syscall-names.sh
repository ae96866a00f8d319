#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# lib/syscall-names.sh COMPILER...: a table of the names of system calls, from the headers that we are built with
echo 'extern const char *const kvmb_syscall_names[];'
echo 'extern const int kvmb_syscall_num;'
echo 'const char *const kvmb_syscall_names[] = {'
echo '#include <asm/unistd.h>' | "$@" -E -dM - | sed -n 's/^#define __NR_\([a-z0-9_]*\) \([0-9]*\)$/\t[\2] = "\1",/p'
echo '};'
echo 'const int kvmb_syscall_num = sizeof(kvmb_syscall_names) / sizeof(kvmb_syscall_names[0]);'
