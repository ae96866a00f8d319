#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# usage.sh TEST ARGUMENTS...: another boot test, while the kernel counts the system calls of each thread of its VMs, from where
# a VM's main thread installs its filter. The counts go to $LAB_OUT/usage.*; tests/boot/usage makes a report of them.
T=/sys/kernel/debug/tracing
counted="raw_syscalls/sys_enter:id syscalls/sys_enter_ioctl:cmd syscalls/sys_enter_fcntl:cmd syscalls/sys_enter_prctl:option syscalls/sys_enter_tgkill:sig"
[ -e $T/events/syscalls/sys_enter_seccomp/trigger ] || { echo "# SKIP this kernel does not trace system calls"; exit 77; }
S=$T/events/syscalls/sys_enter_seccomp/trigger
trigger() { echo "$1" >>"$2" || echo "# no trigger $1"; }
for c in $counted; do
	event=${c%:*} field=${c#*:}
	trigger "hist:keys=common_pid.execname,$field:pause:size=16384" $T/events/$event/trigger
	trigger "enable_hist:${event/\//:} if comm == \"kvmbus\"" $S
done
trigger 'hist:keys=common_pid.execname' $S
bash "$(dirname "$0")/$1" "${@:2}"; rc=$?
n=$(ls "$LAB_OUT" | grep -c '^usage')
{ for c in $counted; do echo "== ${c%:*}"; cat $T/events/${c%:*}/hist; done; echo "== seccomp"; cat $T/events/syscalls/sys_enter_seccomp/hist; } >"$LAB_OUT/usage.$n"
for c in $counted; do
	event=${c%:*} field=${c#*:}
	trigger "!enable_hist:${event/\//:} if comm == \"kvmbus\"" $S
	trigger "!hist:keys=common_pid.execname,$field:size=16384" $T/events/$event/trigger
done
trigger '!hist:keys=common_pid.execname' $S
exit $rc
