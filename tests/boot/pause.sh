#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# pause.sh KERNEL SECONDS: paused and resumed, the clock is right again five seconds later.
. "$(dirname "$0")/lib.sh"
tap
vm c "$1" "kvmb.job=clock kvmb.addr=$NET_BITS.2" --cpus 2 --memory 256M --nic "tap=$TAP"
wait_log c 'GUEST: clock ready' 90
sleep 3
offset() { "$GUEST_BIN/tool" clock $NET_BITS.2 7001 || fail "the guest does not tell its time"; }
echo "# before the pause: $(offset) us"
"$KVMBUS" pause c || fail pause
"$KVMBUS" pause c 2>/dev/null; [ $? = 4 ] || fail "a second pause is not exit status 4"
info c 'state == "paused"' || fail "not paused"
sleep "$2"
"$KVMBUS" resume c || fail resume
sleep 5
us=$(offset); echo "# 5 s after a pause of $2 s: $us us"
[ "${us#-}" -le 50000 ] || fail "the clock is $us us off"
sleep 1
grep -q 'GUEST: FAIL' "$W/c.log" && fail "$(grep 'GUEST: FAIL' "$W/c.log")"
stop c
vm_end c 30 0
