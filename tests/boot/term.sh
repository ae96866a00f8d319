#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# term.sh KERNEL: SIGTERM has the guest shut down; a second one or the limit kills it, and so does the first where there
# is nobody to ask. The exit status tells which.
. "$(dirname "$0")/lib.sh"
QUIET=1 kernel=$1
start() { local n=$1 a=$2; shift 2; vm "$n" "$kernel" "kvmb.job=term $a" --memory 256M --nic none "$@"; }
term() { local pid; eval "pid=\$PID_$1"; kill -"$2" "$pid" || fail "$1 is gone"; }
said() { # NAME PATTERN SECONDS
	local end=$((SECONDS + $3 * SLOW))
	until grep -q "$2" "$W/$1.err.log"; do [ $SECONDS -lt $end ] || fail "$1 did not say \"$2\""; nap 0.1; done
}
start good ""
start late "kvmb.ignore=1" --on-term shutdown,timeout=3
start twice "kvmb.ignore=1"
start deaf "" --ic shutdown=off
start paused ""
for n in good late twice paused; do wait_log $n 'GUEST: up' 120; done
wait_log deaf 'GUEST: no shutdown' 120

term good TERM; said good 'SIGTERM: asking the guest to shut down, up to 90 s; again to kill it' 5
vm_end good 60 0
[ "$(wc -l <"$W/good.err.log")" = 1 ] || fail "more than one line for a plain shutdown"

term late HUP; said late 'SIGHUP: asking' 5
vm_end late 30 6
said late 'killing the VM: the guest did not shut down in time' 0

term twice INT; wait_log twice 'GUEST: shutdown ignored' 30
term twice HUP; nap 1; "$KVMBUS" info twice >/dev/null || fail "a second SIGHUP killed the VM"
term twice TERM; vm_end twice 15 6
said twice 'SIGTERM: killing the VM: the second signal' 0

term deaf TERM; vm_end deaf 15 6
said deaf 'its guest has no shutdown service' 0

"$KVMBUS" pause paused || fail pause
term paused TERM; vm_end paused 15 6
said paused 'it is not running' 0
