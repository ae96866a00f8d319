#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# crash.sh KERNEL: a panic of the guest is reported; then it reboots into a working bus, or --on-crash pauses or ends the VM.
. "$(dirname "$0")/lib.sh"
QUIET=1 kernel=$1
disk d 16
start() { local n=$1; shift; cp "$W/d" "$W/d.$n"; vm "$n" "$kernel" "kvmb.job=crash panic=1" --cpus 2 --memory 512M --disk "$W/d.$n" "$@"; }
# the rest of the line may have the kernel's first words in its midst
panics() { [ "$(grep -c 'GUEST: about' "$W/$1.log")" -ge "$2" ]; }
# what a crash is told as, of boot 1
crash='crash.boot == 1 and len(crash.parameters) == 5 and all(p.startswith("0x") for p in crash.parameters)'

start x; wait_log x 'GUEST: about' 120
until_true 60 "no crash report" grep -q 'the guest crashed in boot 1: 0x' "$W/x.err.log"
until_true 60 "no second boot" panics x 2
info x 'boots >= crash.boot >= 1' || fail "info has no crash"
"$KVMBUS" kill x || fail kill
vm_end x 30 6

start stands --on-crash pause; wait_log stands 'GUEST: about' 120
until_true 60 "the VM did not pause" info stands 'state == "paused"'
info stands "$crash" || fail "info has no crash: $("$KVMBUS" info stands --json | tail -20)"
"$KVMBUS" info stands | grep -q '^Crashed: .* in boot 1: 0x' || fail "nothing of it in text"
info stands 'stop_reason == "guest crashed"' || fail "no reason"
nap 3; panics stands 2 && fail "a guest that stands went on"
"$KVMBUS" resume stands || fail resume # and panic=1 has it reboot
until_true 60 "the VM did not go on" panics stands 2
until_true 60 "the VM did not pause again" info stands 'state == "paused" and crash.boot == 2'
"$KVMBUS" kill stands || fail kill
vm_end stands 30 6

start ends --on-crash poweroff; wait_log ends 'GUEST: about' 120
vm_end ends 60 1
grep -q 'the guest crashed; the VM ends' "$W/ends.err.log" || fail "nothing says why it ended"
panics ends 2 && fail "it was started again"
exit 0
