#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# netconsole.sh CPUS LINES: our modules in the debug kernel (KASAN, lockdep): each CPU writes so many lines into the kernel's
# log, which netconsole sends over our NIC with interrupts off, while streams fill the same queues. Every line arrives here.
. "$(dirname "$0")/lib.sh"
cpus=$1 lines=$2
tap multi_queue
"$(dirname "$0")/netconsole-sink.py" $NET_BITS.1 6666 "$cpus" "$lines" >"$W/sink" & sink=$!
( while :; do iperf3 -s -1 >/dev/null 2>&1; done ) &
vm s own-debug "printk.devkmsg=on kvmb.job=netconsole kvmb.peer=$NET_BITS.1 kvmb.addr=$NET_BITS.2 kvmb.lines=$lines kvmb.mac=$(cat "/sys/class/net/$TAP/address")" \
	--cpus "$cpus" --memory 1G --nic "tap=$TAP,mac=00:15:5d:00:00:07"
wait_log s 'GUEST: written' 600
limit 30
while kill -0 $sink 2>/dev/null && now && [ $NOW -lt $LIMIT ]; do nap 0.2; done
kill $sink 2>/dev/null
wait $sink || fail "lines are missing: $(cat "$W/sink")"
echo "# $(cat "$W/sink")"
wait_log s 'GUEST: ok netconsole' 120
grep -h -e 'GUEST: ok' -e 'GUEST: streams' "$W/s.log" | tr -d '\r' | sed "s/^GUEST:/#/"
vm_end s 60 0
