#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# ic.sh KERNEL ROUNDS: each integration service is switched off and on while fio verifies a disk and bytes go there and back
# through a NIC; then each version of the basic ones is negotiated, and the host's clock is set.
. "$(dirname "$0")/lib.sh"
kernel=$1 rounds=$2
truncate -s 64M "$W/d"; truncate -s 1M "$W/end"
tap
python3 "$(dirname "$0")/echo-server.py" $NET_BITS.1 7000 &
vm i "$kernel" "kvmb.job=services kvmb.peer=$NET_BITS.1 kvmb.addr=$NET_BITS.2 kvmb.secs=20" --cpus 2 --memory 512M \
	--disk "$W/d" --nic "tap=$TAP,mac=00:15:5d:00:00:07" --on-heartbeat-lost event,after=120
wait_log i 'GUEST: fio begins' 200
ic() { "$KVMBUS" ic i "$@" >"$W/out" 2>&1 || fail "ic $*: $(cat "$W/out")"; }
services() { "$KVMBUS" ic i --json | pick "$1"; } # EXPRESSION
# a stock kernel answers for KVP, VSS and file copy when it has a daemon, or a minute later
taken='in ("ready", "negotiating")'
until_true 120 "a basic service does not come up" services 'heartbeat.state == timesync.state == shutdown.state == "ready"'
all=$(services '" ".join(s for s in it if it[s].state '"$taken"')')
held() { ls "/proc/$PID_i/fd" | wc -l; }
echo "# services: $all"
before=$(held)
for ((r = 1; r <= rounds; r++)); do
	for s in $all; do
		ic --disable "$s"
		services "not $s.enabled" || fail "$s is not off: $("$KVMBUS" ic i)"
		ic --enable "$s"
		until_true 60 "$s does not come back (round $r)" services "$s.enabled and $s.state $taken"
	done
	# at once, with no time for the guest in between
	for s in $all; do "$KVMBUS" ic i --disable "$s" >/dev/null 2>&1 & "$KVMBUS" ic i --enable "$s" >/dev/null 2>&1; wait $!; ic --enable "$s"; done
	until_true 60 "a service does not come back (round $r)" services "all(it[s].enabled and it[s].state $taken for s in '$all'.split())"
	[ $((r % 10)) != 0 ] || echo "# round $r"
	tail -3 "$W/i.log" | grep -q 'GUEST: FAIL' && fail "$(grep 'GUEST: FAIL' "$W/i.log")"
done
after=$(held)
[ "$after" -le $((before + 2)) ] || fail "descriptors grew from $before to $after"
"$KVMBUS" ic i --disable heartbeat >/dev/null; "$KVMBUS" ic i --check heartbeat >/dev/null 2>&1
[ $? = 4 ] || fail "a disabled heartbeat is not exit status 4"
ic --enable heartbeat
until_true 60 "no heartbeat" "$KVMBUS" ic i --check heartbeat
for v in heartbeat=1.0 heartbeat=3.0 timesync=1.0 timesync=3.0 timesync=4.0 shutdown=1.0 shutdown=3.0 shutdown=3.1 shutdown=3.2; do
	ic --enable "${v%=*},max=${v#*=}"
	until_true 60 "$v is not negotiated: $("$KVMBUS" ic i)" services "${v%=*}.version == '${v#*=}'"
done
"$KVMBUS" ic i --enable heartbeat,max=0.1 >/dev/null 2>&1; [ $? = 2 ] || fail "a version that there is not is no usage error"
refused() { "$KVMBUS" stop i --hibernate >"$W/out" 2>&1; [ $? = 1 ] && grep -q "$1" "$W/out" || fail "stop --hibernate: $(cat "$W/out")"; }
refused 'refused to hibernate (status 0x80004005)' # without --hibernation on there is no S4
ic --enable shutdown,max=3.1
until_true 60 "no shutdown 3.1" services 'shutdown.version == "3.1"'
refused 'below 3.2'
ic --enable shutdown,max=3.2
until_true 60 "no shutdown 3.2" services 'shutdown.version == "3.2"'
offset() { "$GUEST_BIN/tool" clock $NET_BITS.2 7001 || fail "the guest does not tell its time"; }
near() { local us; us=$(offset); echo "# $1: $us us"; [ "${us#-}" -le 50000 ]; }
if [ -n "${LAB_STOLEN:-}" ]; then # an L1 of our own
	for step in 3600 -3600; do
		steps=$(services timesync.host_steps)
		date -s "@$(($(date +%s) + step))" >/dev/null
		until_true 20 "nobody has noticed the step" services "timesync.host_steps > $steps"
		until_true 60 "the guest does not follow a step of $step s" near "after a step of $step s"
	done
else echo "# the host's clock is not ours to set"; fi
"$KVMBUS" disk i add "$W/end,lun=7" >/dev/null || fail "no last disk"
wait_log i 'GUEST: ok fio' 300
grep -h -e 'GUEST: fio read' -e 'echoes' "$W/i.log" | tr -d '\r' | sed "s/^GUEST:/#/"
stop i --message "ic.sh is over"
vm_end i 60 0
