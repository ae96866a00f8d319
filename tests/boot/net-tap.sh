#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# net-tap.sh CPUS: a tap with as many queues. iperf3 both ways; every offload on, then each off, bytes compared; MTUs; VLANs,
# tagged by the guest and by the NIC; the no-spoof filter; uncut frames out and coalesced ones in, by counters and captures.
. "$(dirname "$0")/lib.sh"
cpus=$1 here=$(dirname "$0")
tap multi_queue
ip link set "$TAP" mtu 9000
ip link add "$TAP.5" link "$TAP" type vlan id 5 && ip addr add 10.77.5.1/24 dev "$TAP.5" && ip link set "$TAP.5" up || fail "no VLAN"
A=${TAP}a # the access port's; inside.sh removes it
ip tuntap add "$A" mode tap && ip link set "$A" up && ip link add "$A.7" link "$A" type vlan id 7 &&
	ip addr add 10.77.7.1/24 dev "$A.7" && ip link set "$A.7" up || fail "no second tap"
python3 "$here/echo-server.py" 0.0.0.0 7000 &
python3 "$here/echo-server.py" fd00:77::1 7000 &
iperf3 -s >"$W/iperf.out" 2>&1 &
vm n "${GUEST:-net}" "kvmb.job=nettap kvmb.peer=$NET_BITS.1 kvmb.addr=$NET_BITS.2 kvmb.secs=${2:-2}" --cpus "$cpus" --memory 384M \
	--nic "tap=$TAP,mac=00:15:5d:00:00:07,mtu=9000" --nic "tap=$A,vlan=7"
wait_log n 'GUEST: streaming' 300
"$GUEST_BIN/tool" longest "$TAP" >"$W/longest" & catcher=$!
wait_log n 'GUEST: streamed' 300
kill $catcher; wait $catcher; read -r _ _ in _ out <"$W/longest"
[ "$in" -gt 1518 ] || fail "no uncut frame reached the tap: $(cat "$W/longest")"
look() { s=$("$KVMBUS" stats n --json | pick 'json.dumps(nics[0])'); } # all figures of one moment
q() { pick "$1" <<<"$s"; }
look
q 'tx_segmented > 0' || fail "no frame was left to be cut"
q 'rx_coalesced > 0' || fail "no coalesced frame went in"
q "sum(x.open for x in queues) == $cpus" || fail "queues open: $(q '[x.open for x in queues]')"
# a saturated queue: far fewer interrupts than frames' worth of data; frames of 64 KiB count as the 1448 bytes they stand for
echo "# $cpus queues: $(q 'f"tx {tx_frames} frames of {tx_bytes // tx_frames} bytes, {tx_segmented} uncut; " +
	f"rx {rx_frames} frames of {rx_bytes // rx_frames} bytes, {rx_coalesced} coalesced, in {rx_packets} packets; {signals} interrupts"')"
q 'signals * 4 < (tx_bytes + rx_bytes) / 1448' || fail "an interrupt for every few segments"
if [ "$cpus" -gt 1 ]; then
	q 'sum(x.tx_frames > 0 for x in queues) > 1' || fail "only one queue sends"
	q 'sum(x.rx_frames > 0 for x in queues) > 1' || fail "only one queue receives"
fi
wait_log n 'GUEST: ok net' 600
look
q 'drops.tx_malformed + drops.rx_malformed + drops.rx_size + drops.tx_size == 0' || fail "dropped: $(q drops)"
q 'drops.tx_spoofed > 0' || fail "a frame with a stranger's address got out"
echo "# on the tap, longest from the guest $in, to it $out"
grep -h '^GUEST: \(iperf\|longest\|mtu\)' "$W/n.log" | tr -d '\r' | sed 's/^GUEST:/#/'
stop n
vm_end n 60 0
