#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# migrate-copy.sh KERNEL CPUS ROUNDS: a VM under fio --verify and a log of acknowledged writes moves to and fro between two sides that share no
# directory of disks (each has its own under the same name, in a mount namespace) with --copy-storage: no I/O error, nothing lost. What exists
# is not overwritten, and a migration that fails leaves no file and a VM that runs. FORMAT=qcow2: image and log are such images.
# The limit is of small writes all over the disk, each of which is 64 KiB to copy: in the lab they would outrun it.
. "$(dirname "$0")/lib.sh"
kernel=$1 cpus=$2 rounds=$3 A=unix:$W/s.migrate
D=$W/disks I=$W/disks/image.${FORMAT:=raw} C=$W/disks/chain.$FORMAT
mkdir "$D" "$W/other" "$W/there"
unshare -m true || skip "no mount namespace can be made here"
unshare -m bash -c 'mount --bind "$1" "$2" && exec sleep 100000' - "$W/other" "$D" & holder=$!
trap 'kill $(jobs -p) 2>/dev/null; wait 2>/dev/null; rm -rf "$W"' EXIT
in_other() { nsenter -t $holder -m -- "$@"; }
until_true 20 "no other directory" in_other mountpoint -q "$D"
become() { if [ "$1" = there ]; then shift; exec nsenter -t $holder -m -- "$@"; else shift; exec "$@"; fi; } # SIDE COMMAND...
on() { (become "$@"); }
image $FORMAT "$I" 64M; image $FORMAT "$C" 8M
vm s "$kernel" "kvmb.job=move kvmb.secs=$((rounds * 10)) kvmb.fsync=16" --cpus "$cpus" --memory 512M \
	--disk "$I,on-error=stop,iops=50" --disk "$C,lun=2"
wait_log s 'GUEST: fio begins' 90
wait_log s '^GUEST: chain [0-9]' 60
from=here to=there here=$XDG_RUNTIME_DIR there=$W/there # sockets of source and target
await_target() {
	rm -f "${A#unix:}"
	XDG_RUNTIME_DIR=$there become $to "$KVMBUS" run --incoming "$A" </dev/null 2>"$W/there.log" & target=$!
	until_true 30 "no target" test -S "${A#unix:}"
}
migrate() { on $from "$KVMBUS" migrate s "$A" --copy-storage "$@"; }
goes_on() { until_true 60 "the VM did not go on" info s 'state == "running" and not migration'; }
is_bare() { [ -z "$(on $to ls -A "$D")" ]; }
# a file that is there, however empty, is not overwritten, and what was made before it is removed
on $to touch "$C"
await_target
migrate 2>"$W/m.log" && fail "it moved over a file"
wait $target && fail "a target that was refused its disks is the VM"
grep -q "$C: it is there already, and nothing is overwritten" "$W/there.log" || fail "what it says: $(cat "$W/there.log" "$W/m.log")"
on $to test ! -s "$C" && on $to test ! -e "$I" || fail "something was made or overwritten"
on $to rm "$C"
goes_on
# the target dies while the disks are copied
await_target
migrate --bandwidth 2M >"$W/m.log" 2>&1 & migrate=$!
until_true 60 "it does not begin" info s 'bool(migration) and migration.disk_done > 0 and migration.disk_total == 72 << 20'
on $to test -s "$I" || fail "no file is made there"
kill -KILL $target
wait $migrate && fail "it moved to the dead"
wait $target
goes_on
until_true 30 "what was made there is not removed" is_bare
echo "# after a target that died: $(cat "$W/m.log")"
for ((i = 1; i <= rounds; i++)); do
	await_target
	migrate --downtime 2000 --timeout 600 --auto-converge >"$W/m.log" 2>&1 || fail "migrate: $(cat "$W/m.log")"
	echo "# round $i: $(paste -sd' ' "$W/m.log")"
	grep -q '2 disks were copied' "$W/m.log" || fail "what it says: $(cat "$W/m.log")"
	vm_end s 60 0
	mv "$W/there.log" "$W/s.err.log" # and what it says later
	on $from test -s "$I" && on $from test -s "$C" || fail "the source's files are gone"
	on $from rm "$I" "$C" # it comes back, and finds none
	PID_s=$target XDG_RUNTIME_DIR=$there there=$here here=$XDG_RUNTIME_DIR
	if [ $to = there ]; then from=there to=here; else from=here to=there; fi
	until_true 60 "not there" info s 'state == "running"'
	until_true 60 "no heartbeat" info s 'integration.heartbeat.status == "ok"'
done
truncate -s 16M "$W/end" && "$KVMBUS" disk s add "$W/end,lun=7" || fail "disk add" # fio reads all back, and ends
wait_log s 'GUEST: ok fio' $((rounds * 60 + 300))
acked=$(tr -d '\r' <"$W/s.log" | grep -oE '^GUEST: chain [0-9]+$' | tail -1) acked=${acked##* }
[ "$acked" -gt $((rounds * 10)) ] || fail "only $acked records were written"
grep -h 'GUEST: fio read' "$W/s.log" | tr -d '\r' | sed "s/^GUEST:/#/"
stop s
vm_end s 60 0
raw=$C
[ $FORMAT = raw ] || { raw=$W/chain.raw; on $from qemu-img convert -f $FORMAT -O raw "$C" "$raw" || fail "the log's image cannot be read"; }
on $from "$GUEST_BIN/chain" check "$raw" "$acked" >"$W/m.log" || fail "$acked records were acknowledged: $(cat "$W/m.log")"
echo "# $(cat "$W/m.log"), $acked acknowledged"
[ $FORMAT != qcow2 ] || on $from qemu-img check -q "$I" || fail "qemu-img check finds faults"
exit 0
