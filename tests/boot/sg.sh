#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# sg.sh: sg3-utils in the guest on every command that the target has; a DVD mounted, changed, ejected; space given back.
. "$(dirname "$0")/lib.sh"
truncate -s 64M "$W/d"; truncate -s 16M "$W/ro"
mkdir "$W/iso1" "$W/iso2"; echo first >"$W/iso1/hello"; dd if=/dev/urandom of="$W/iso1/data" bs=1M count=4 2>/dev/null; echo second >"$W/iso2/hello"
for i in 1 2; do genisoimage -quiet -R -o "$W/dvd$i.iso" "$W/iso$i" || fail genisoimage; done
vm s "${GUEST:-storage}" "kvmb.job=sg kvmb.serial=KVMB-0001 kvmb.hello=first kvmb.sum=$(sha256sum "$W/iso1/data" | cut -c1-64)" --cpus 2 --memory 512M \
	--disk "$W/d,serial=KVMB-0001" --disk "$W/ro,ro" --dvd "$W/dvd1.iso"
wait_log s 'GUEST: ok sg' 120
wait_log s 'GUEST: want eject' 30
"$KVMBUS" disk s eject 0:2 || fail eject
wait_log s 'GUEST: want insert' 60
"$KVMBUS" disk s list | grep -q '0:2 (empty), DVD' || fail "the drive is not shown as empty: $("$KVMBUS" disk s list)"
"$KVMBUS" disk s insert 0:2 "$W/dvd2.iso" || fail insert
wait_log s 'GUEST: want locked' 60
"$KVMBUS" disk s eject 0:2 2>"$W/e" && fail "a mounted DVD was ejected"
[ $? = 4 ] && grep -q 'locked' "$W/e" || fail "eject of a locked drive: $(cat "$W/e")"
wait_log s 'GUEST: ok dvd' 60
is_empty() { "$KVMBUS" disk s list | grep -q '0:2 (empty)'; }
until_true 10 "ejected by the guest, still there" is_empty
# unmapping gave the space back to the host's file
[ "$(du -k "$W/d" | cut -f1)" -lt 1024 ] || fail "the file still takes $(du -k "$W/d")"
stats s 'disks[0].unmaps >= 3 and disks[0].reads * disks[0].writes * disks[0].flushes > 0' || fail "stats count too little"
stats s '0 < disks[0].read_latency.p50_us <= disks[0].read_latency.p99_us <= disks[0].read_latency.max_us' || fail "the latencies disagree"
QUIET=1; "$KVMBUS" kill s || fail kill
vm_end s 30 6
