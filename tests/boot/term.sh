#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# term.sh KERNEL: SIGTERM has the guest shut down; a second one or the limit kills it, and so does the first where there
# is nobody to ask. The exit status tells which.
. "$(dirname "$0")/lib.sh"
QUIET=1 kernel=$1
start() { local n=$1 a=$2; shift 2; vm "$n" "$kernel" "kvmb.job=term $a" --memory 256M --nic none --on-term shutdown "$@"; }
signal() { local pid; eval "pid=\$PID_$1"; kill -"$2" "$pid" || fail "$1 is gone"; }
said() { until_true "$3" "$1 did not say \"$2\"" grep -q "$2" "$W/$1.err.log"; } # NAME PATTERN SECONDS
start good ""; wait_log good 'GUEST: up' 120
signal good TERM; said good 'SIGTERM: asking the guest to shut down, up to 90 s; again to kill it' 5
vm_end good 60 0
[ "$(wc -l <"$W/good.err.log")" = 1 ] || fail "more than one line for a plain shutdown"

start late "kvmb.ignore=1" --on-term shutdown,timeout=3; wait_log late 'GUEST: up' 120
signal late HUP; said late 'SIGHUP: asking' 5
vm_end late 30 6
said late 'killing the VM: the guest did not shut down in time' 0

start twice "kvmb.ignore=1"; wait_log twice 'GUEST: up' 120
signal twice INT; wait_log twice 'GUEST: shutdown ignored' 30
signal twice HUP; nap 1; "$KVMBUS" info twice >/dev/null || fail "a second SIGHUP killed the VM"
signal twice TERM; vm_end twice 15 6
said twice 'SIGTERM: killing the VM: the second signal' 0

start early ""; until_true 20 "it does not start" runs early # no service yet
signal early TERM; vm_end early 15 6
said early 'its guest has no shutdown service' 0

start paused ""; until_true 20 "it does not start" runs paused; "$KVMBUS" pause paused || fail pause
signal paused TERM; vm_end paused 15 6
said paused 'it is not running' 0
