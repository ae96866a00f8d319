#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# reload.sh KERNEL TIMES: the stock modules reloaded many times, the host keeps nothing.
. "$(dirname "$0")/lib.sh"
disk d 16
vm l "$1" "kvmb.job=reload kvmb.times=$2 kvmb.sum=$DISK_SUM" --cpus 2 --memory 512M --disk "$W/d" --nic none
wait_log l 'GUEST: reload 10' 120
before=$(ls /proc/$PID_l/fd | wc -l); rss=$(awk '/RssAnon/{print $2}' /proc/$PID_l/status)
wait_log l "GUEST: ok reload $2" 400
after=$(ls /proc/$PID_l/fd 2>/dev/null | wc -l); rss2=$(awk '/RssAnon/{print $2}' /proc/$PID_l/status 2>/dev/null)
vm_end l 30 0
[ "$after" -le $((before + 6)) ] || fail "descriptors grew from $before to $after"
[ "${rss2:-0}" -le $((rss + 1024)) ] || fail "private memory grew from $rss to $rss2 KiB"
