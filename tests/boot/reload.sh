#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# reload.sh KERNEL TIMES: the stock modules reloaded many times, the host keeps nothing.
. "$(dirname "$0")/lib.sh"
disk d 16
vm l "$1" "kvmb.job=reload kvmb.times=$2 kvmb.sum=$DISK_SUM" --cpus 2 --memory 512M --disk "$W/d" --nic none
held() { all_open l 8; ls /proc/$PID_l/fd | wc -l; awk '/RssAnon/{print $2}' /proc/$PID_l/status; }
wait_log l 'GUEST: reload 10' 120
a=($(held))
wait_log l "GUEST: ok reload $2" 400
b=($(held))
stop l
vm_end l 30 0
# the same channels are open both times
[ "${b[0]}" -le "${a[0]}" ] || fail "descriptors grew from ${a[0]} to ${b[0]}"
[ "${b[1]}" -le $((a[1] + 1024)) ] || fail "private memory grew from ${a[1]} to ${b[1]} KiB"
