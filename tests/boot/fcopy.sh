#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# fcopy.sh KERNEL: 100 MB come into the guest with an equal checksum; what is there already, and a path that is not, are refused
# by name; an interrupted copy, a save in the middle and a second copy cost nothing.
. "$(dirname "$0")/lib.sh"
kernel=$1
tap
dd if=/dev/urandom of="$W/big" bs=1M count=100 2>/dev/null; sum=$(sha256sum <"$W/big" | cut -c1-64)
: >"$W/empty"
vm k "$kernel" "kvmb.job=daemons kvmb.addr=$NET_BITS.2" --cpus 2 --memory 768M --nic "tap=$TAP,mac=00:15:5d:00:00:07"
wait_log k 'GUEST: daemons up' 150
until_true 90 "no service" info k 'integration.fcopy.state == "ready"'
copy() { "$KVMBUS" copy k "$@" >"$W/out" 2>&1; }
! copy "$W/big" :/tmp/in/big || fail "the guest had no such directory"
now; began=$NOW
copy "$W/big" :/tmp/in/ --make-directories || fail "copy: $(cat "$W/out")"
now; echo "# 100 MB in $((NOW - began)) ms"
copy "$W/empty" :/tmp/go || fail "an empty file: $(cat "$W/out")"
wait_log k "GUEST: sum $sum" 60
! copy "$W/empty" :/tmp/in/big && grep -q 'exists already' "$W/out" || fail "overwritten: $(cat "$W/out")"
# interrupted: the next one works
for signal in INT KILL; do
	"$KVMBUS" copy k "$W/big" :/tmp/in/part --overwrite >/dev/null 2>&1 & pid=$!
	until_true 30 "no copy is under way" info k 'copy and copy.done > 1000000'
	! copy "$W/empty" :/tmp/in/other && grep -q 'another file' "$W/out" || fail "two copies at once: $(cat "$W/out")"
	kill -$signal $pid; wait $pid 2>/dev/null
	until_true 30 "the copy goes on" info k 'copy is None'
done
# saved in the middle
"$KVMBUS" copy k "$W/big" :/tmp/in/part --overwrite >"$W/out" 2>&1 & pid=$!
until_true 30 "no copy is under way" info k 'copy and copy.done > 1000000'
"$KVMBUS" save k "$W/state" || fail "save"
! wait $pid || fail "a copy into a VM that has gone succeeded"
"$KVMBUS" restore "$W/state" </dev/null 2>"$W/k.err.log" & PID_k=$!
until_true 60 "no service after a restore" info k 'integration.fcopy.state == "ready"'
until_true 30 "the copy cannot be begun again" copy "$W/big" :/tmp/in/big --overwrite
copy "$W/empty" :/tmp/go || fail "an empty file: $(cat "$W/out")"
until_true 60 "another checksum after a restore" eval '[ "$(grep -c "GUEST: sum $sum" "$W/k.log")" = 2 ]'
copy "$W/empty" :/tmp/end || fail "the last one: $(cat "$W/out")"
wait_log k 'GUEST: ok daemons' 30
vm_end k 60 0
