#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# save-net.sh KERNEL CPUS SECONDS: saved with a NIC on a tap, restored so many seconds later: its NIC goes on by itself, and its clock
# is right again soon.
. "$(dirname "$0")/lib.sh"
S=$W/saved.state
tap
vm c "$1" "kvmb.job=clock kvmb.addr=$NET_BITS.2" --cpus "$2" --memory 256M --nic "tap=$TAP"
wait_log c 'GUEST: clock ready' 90
offset() { "$GUEST_BIN/tool" clock $NET_BITS.2 7001; }
until_true 60 "the guest does not tell its time" offset
for i in 1 2; do
	until_true 60 "memory is still read" info c 'not memory_left'
	"$KVMBUS" save c "$S" || fail save
	vm_end c 60 0
	sleep "$3"
	"$KVMBUS" restore "$S" </dev/null 2>>"$W/c.err.log" & PID_c=$!
	until_true 60 "not restored" info c 'state == "running"'
	until_true 60 "its NIC is silent" offset
	rm "$S"
	sleep 5
	us=$(offset); echo "# 5 s after $3 s in a file: $us us"
	[ "${us#-}" -le 50000 ] || fail "the clock is $us us off"
done
stats c 'nics[0].rx_frames > 0 and nics[0].tx_frames > 0' || fail "its NIC counts nothing"
sleep 1
grep -q 'GUEST: FAIL' "$W/c.log" && fail "$(grep 'GUEST: FAIL' "$W/c.log")"
stop c
vm_end c 30 0
