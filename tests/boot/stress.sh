#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# stress.sh CPUS SECONDS: our modules in the debug kernel (KASAN, lockdep, kmemleak), fio --verify and streams, while CPUs,
# MTU, channels, drivers, the bus and the NIC itself change, and channels are opened while their CPUs go.
. "$(dirname "$0")/lib.sh"
cpus=$1 secs=$2
tap multi_queue
python3 "$(dirname "$0")/echo-server.py" $NET_BITS.1 7000 &
( while :; do iperf3 -s -1 >/dev/null 2>&1; done ) &
truncate -s 64M "$W/d"
nic="tap=$TAP,mac=00:15:5d:00:00:07,mtu=9000"
vm s own-debug "kvmb.job=stress kvmb.peer=$NET_BITS.1 kvmb.addr=$NET_BITS.2 kvmb.secs=$secs" --cpus "$cpus" --memory 1G --nic "$nic" --disk "$W/d"
do_nic() { "$KVMBUS" nic s "$@" >"$W/out" 2>&1 || fail "nic $*: $(cat "$W/out")"; }
on_ask() {
	case $1 in
	remove) do_nic remove net0 ;;
	add) do_nic add "$nic" ;;
	*) fail "the guest asks for: $*" ;;
	esac
}
wait_log s 'GUEST: ok stress' $((secs + 600))
grep -h -e 'GUEST: ok' -e 'GUEST: fio' "$W/s.log" | tr -d '\r' | sed "s/^GUEST:/#/"
vm_end s 60 0
