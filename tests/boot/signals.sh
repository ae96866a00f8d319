#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# signals.sh KERNEL: under disk and network load no signal of the guest exits to user space.
. "$(dirname "$0")/lib.sh"
tap; disk d 32
vm s "$1" "kvmb.job=load kvmb.addr=$NET_BITS.2 kvmb.peer=$NET_BITS.1" --cpus 2 --memory 512M --disk "$W/d" --nic "tap=$TAP"
wait_log s 'GUEST: load begins' 90
io='sum(v.user_exits - v.io - v.mmio for v in vcpus)' sig='sum(v.signal_event for v in vcpus)'
req='sum(c.requests for c in controllers) + sum(n.tx_frames for n in nics)'
a=$(stats s "$io, $sig, $req")
wait_log s 'GUEST: load ends' 200
b=$(stats s "$io, $sig, $req")
stats s '"# " + str({f"{c.name}.{c.index}": (c.wakes, c.signals, c.packets_in) for c in channels})'
echo "# before: exits, signal exits, requests $a"; echo "# after:  exits, signal exits, requests $b"
python3 - $(echo "$a $b" | tr -d '(),') <<'P' || fail "signals cost exits to user space"
import sys
x = list(map(int, sys.argv[1:]))
exits, sig, req = x[3] - x[0], x[4] - x[1], x[5] - x[2]
assert sig == 0, 'a signal ended in user space'
assert req > 2000, f'too little load: {req}'
# what is left is timers of the test, not I/O: less than one exit in a hundred requests
assert exits * 100 < req, f'{exits} exits for {req} requests'
P
QUIET=1; "$KVMBUS" kill s || fail kill
vm_end s 30 6
