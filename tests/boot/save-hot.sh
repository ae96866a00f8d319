#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# save-hot.sh KERNEL CPUS: disks and NICs come, change and go; then the VM is saved and restored, twice: host and guest see the same
# disks and NICs at the same places, and changes go on.
. "$(dirname "$0")/lib.sh"
S=$W/saved.state
tap
for f in root a b c d e; do truncate -s 16M "$W/$f"; done
vm h "$1" "kvmb.job=view" --cpus "$2" --memory 384M --disk "$W/root" --disk "$W/a" --dvd empty --nic "tap=$TAP"
wait_log h 'GUEST: seen 0:1 ' 90; wait_log h 'GUEST: seen nic-' 90
D() { "$KVMBUS" disk h "$@" >"$W/out" 2>&1 || fail "disk $*: $(cat "$W/out")"; [ ! -s "$W/out" ] || ! grep -q 'cannot be saved' "$W/out" || fail "$(cat "$W/out")"; }
N() { "$KVMBUS" nic h "$@" >"$W/out" 2>&1 || fail "nic $*: $(cat "$W/out")"; ! grep -q 'cannot be saved' "$W/out" || fail "$(cat "$W/out")"; }
seen() { grep -c "GUEST: seen $1" "$W/h.log"; }
ours() { "$KVMBUS" disk h list --json | pick 'sorted([(d.controller, d.lun, d.type, d.path, d.get("serial"), d.get("iops"), d.get("bps"), d.read_only) for d in it])'
	nics h 'sorted([(n["index"], n.mac, n.kind, n.link, n.mtu, n.rate) for n in it])'; }
theirs() { grep -aoh 'GUEST: \(seen\|lost\) .*' "$W/h.log" | tr -d '\r'; }
turn() { local n; n=$(grep -c 'GUEST: turn' "$W/h.log"); until_true 90 "the guest stands" more_turns $((n + 2)); }
more_turns() { [ "$(grep -c 'GUEST: turn' "$W/h.log")" -ge "$1" ]; }
move() { # saved, restored: nothing has changed but the cable of a NIC of kind user
	local before mine
	turn # it has seen all
	theirs >"$W/before"; mine=$(ours)
	"$KVMBUS" save h "$S" 2>"$W/out" || fail "save: $(cat "$W/out")"
	[ -z "${PASST:-}" ] || grep -q 'connections through its NIC of kind user break' "$W/out" || fail "nobody was warned: $(cat "$W/out")"
	vm_end h 60 0
	"$KVMBUS" restore "$S" </dev/null 2>>"$W/h.err.log" & PID_h=$!
	until_true 60 "not restored" info h 'state == "running"'
	rm "$S"
	turn
	[ "$(ours)" = "$mine" ] || fail "before: $mine; now: $(ours)"
	theirs | tail -n +$(($(wc -l <"$W/before") + 1)) >"$W/news"
	[ -z "${PASST:-}" ] || { grep -q "nic-.* mac $PASST .* carrier 1 changes" "$W/news" || fail "its cable was not unplugged: $(cat "$W/news")"
		sed -i "/ mac $PASST /d" "$W/news"; }
	[ ! -s "$W/news" ] || fail "the guest sees: $(cat "$W/news")"
}
D add "$W/b,lun=5"; wait_log h 'GUEST: seen 0:5 ' 60
D add "$W/c,controller=1,serial=CTRL1"; wait_log h 'GUEST: seen 1:0 .*CTRL1' 60
D add "$W/d,controller=2"; wait_log h 'GUEST: seen 2:0 ' 60
D remove 2:0; wait_log h 'GUEST: lost 2:0' 60 # the controller stays, and is empty
D remove 0:1; wait_log h 'GUEST: lost 0:1' 60
D limit 0:5 --iops 300; D limit 0:5 --bps 64M
D insert 0:2 "$LAB_DIR/../../build/kvmbus"
N add none,mac=00:15:5d:00:00:21; wait_log h 'mac 00:15:5d:00:00:21 .*carrier 1' 60
N add none,mac=00:15:5d:00:00:22,index=5; wait_log h 'mac 00:15:5d:00:00:22 .*carrier 1' 60
N link down net5; wait_log h 'mac 00:15:5d:00:00:22 .*carrier 0 ' 60
N remove net0 # what follows it keeps its place
if command -v passt >/dev/null; then
	uplink
	PASST=00:15:5d:00:00:23
	N add user,mac=$PASST,index=3; wait_log h "mac $PASST .*carrier 1" 60
else echo "# passt is not installed: a NIC of kind user was not tried"; fi
move
[ "$(info h '[(d.iops, d.bps) for d in disks if d.lun == 5][0]')" = "(300, 67108864)" ] || fail "the limits: $("$KVMBUS" disk h list --json)"
D add "$W/e,controller=2"; wait_log h 'GUEST: seen 2:0 .*' 60
D remove 0:5; wait_log h 'GUEST: lost 0:5' 60
D eject 0:2
N add "tap=$TAP"; wait_log h 'GUEST: seen nic-' 60
nics h 'it[0].index == 0 and it[0].kind == "tap"' || fail "$("$KVMBUS" nic h list)"
N remove net1; N link up net5; wait_log h 'mac 00:15:5d:00:00:22 .*carrier 1' 60
move
stop h
vm_end h 60 0
