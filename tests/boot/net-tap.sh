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
s=$("$KVMBUS" stats n --json)
q() { python3 -c "import json,sys; n=json.load(sys.stdin)['nics'][0]; print($1)" <<<"$s"; }
[ "$(q 'n["tx_segmented"] > 0')" = True ] || fail "no frame was left to be cut"
[ "$(q 'n["rx_coalesced"] > 0')" = True ] || fail "no coalesced frame went in"
[ "$(q 'sum(x["open"] for x in n["queues"])')" = "$cpus" ] || fail "queues open: $(q '[x["open"] for x in n["queues"]]')"
# a saturated queue: far fewer interrupts than frames' worth of data; frames of 64 KiB count as the 1448 bytes they stand for
echo "# $cpus queues: $(q '"tx %d frames of %d bytes, %d uncut; rx %d frames of %d bytes, %d coalesced, in %d packets; %d interrupts" % (n["tx_frames"], n["tx_bytes"] // n["tx_frames"], n["tx_segmented"], n["rx_frames"], n["rx_bytes"] // n["rx_frames"], n["rx_coalesced"], n["rx_packets"], n["signals"])')"
[ "$(q 'n["signals"] * 4 < (n["tx_bytes"] + n["rx_bytes"]) / 1448')" = True ] || fail "an interrupt for every few segments"
if [ "$cpus" -gt 1 ]; then [ "$(q 'sum(x["tx_frames"] > 0 for x in n["queues"]) > 1 and sum(x["rx_frames"] > 0 for x in n["queues"]) > 1')" = True ] || fail "only one queue carries frames"; fi
wait_log n 'GUEST: ok net' 600
s=$("$KVMBUS" stats n --json)
[ "$(q 'n["drops"]["tx_malformed"] + n["drops"]["rx_malformed"] + n["drops"]["rx_size"] + n["drops"]["tx_size"]')" = 0 ] || fail "dropped: $(q 'n["drops"]')"
[ "$(q 'n["drops"]["tx_spoofed"] > 0')" = True ] || fail "a frame with a stranger's address got out"
echo "# on the tap, longest from the guest $in, to it $out"
grep -h '^GUEST: \(iperf\|longest\|mtu\)' "$W/n.log" | tr -d '\r' | sed 's/^GUEST:/#/'
"$KVMBUS" stop n --timeout 60 || fail stop
vm_end n 60 0
