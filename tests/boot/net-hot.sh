#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# net-hot.sh CPUS SECONDS: streams both ways while the cable flaps, channels and rings change, the driver is reloaded, and the
# NIC is taken away and given back; after each step bytes are sent there and back and compared.
. "$(dirname "$0")/lib.sh"
cpus=$1 secs=$2
tap multi_queue
python3 "$(dirname "$0")/echo-server.py" $NET_BITS.1 7000 &
iperf3 -s >/dev/null 2>&1 &
nic="tap=$TAP,mac=00:15:5d:00:00:07"
vm h "${GUEST:-net}" "kvmb.job=nethot kvmb.peer=$NET_BITS.1 kvmb.addr=$NET_BITS.2 kvmb.secs=$secs" --cpus "$cpus" --memory 384M --nic "$nic"
flaps=0 removals=0
do_nic() { "$KVMBUS" nic h "$@" >"$W/out" 2>&1 || fail "nic $*: $(cat "$W/out")"; }
on_ask() {
	case $1 in
	unplug) do_nic link down net0; flaps=$((flaps + 1)) ;;
	plug) do_nic link up net0 ;;
	remove) do_nic remove net0
		[ "$("$KVMBUS" nic h list)" = "" ] || fail "still there: $("$KVMBUS" nic h list)"
		removals=$((removals + 1)) ;;
	add) do_nic add "$nic" ;;
	*) fail "the guest asks for: $*" ;;
	esac
}
wait_log h 'GUEST: ok nethot' $((secs + 300))
grep -h '^GUEST: steps' "$W/h.log" | tail -1 | tr -d '\r' | sed "s/^GUEST:/#/; s/\$/, $flaps flaps, $removals removals/"
# a frame may meet a pulled cable, or a filter; nothing else is a reason
bad=$(stats h '{k: v for n in nics for k, v in n.drops.items() if v and k not in ("tx_link", "rx_filtered")}')
[ "$bad" = "{}" ] || fail "frames were dropped that should not be: $bad"
stop h
vm_end h 60 0
