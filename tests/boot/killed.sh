#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# killed.sh FORMAT CPUS SECONDS: the storage daemon is killed (-9) again and again under fio --verify with fsync; then its image's
# first bytes are gone, the VM pauses, and goes on when they are back. Nothing acknowledged is lost.
. "$(dirname "$0")/lib.sh"
format=$1 cpus=$2 secs=$3
I=$W/image.$format
image "$format" "$I" 256M
vm k "${GUEST:-storage}" "kvmb.job=fio kvmb.secs=$secs kvmb.fsync=16" --cpus "$cpus" --memory 512M --disk "$I,on-error=stop"
wait_log k 'GUEST: fio begins' 90
daemon() { helper_pid k qemu-storage-d; }
serves() { daemon >/dev/null && info k 'disks[0].health == "ok"'; }
waits() { # in vain: the VM is paused, and the guest has not been told
	! grep -qE 'GUEST: (FAIL|fio read)' "$W/k.log" || fail "the guest did not wait: $(tail -1 "$W/k.log")"
	info k 'state == "paused"'
}
kills=0
for i in 1 2; do
	sleep 1
	kill -9 $(daemon) && kills=$((kills + 1))
	until_true 120 "the daemon was not restarted" serves
done
# without its image's first bytes the daemon cannot come back: the VM waits. The image's name does not count
head -c 8 "$I" >"$W/head"; mv "$I" "$W/away"
head -c 8 /dev/zero | dd of="$W/away" conv=notrunc status=none; kill -9 $(daemon)
until_true 120 "the VM did not pause" waits
info k '"disk 0:0" in stop_reason' || fail "no reason: $(info k stop_reason)"
grep -q 'remove the cause, then: kvmbus resume k' "$W/k.err.log" || fail "nothing says what to do"
dd if="$W/head" of="$W/away" conv=notrunc status=none; mv "$W/away" "$I"
"$KVMBUS" resume k || fail resume
truncate -s 16M "$W/end" && "$KVMBUS" disk k add "$W/end,lun=7" || fail "disk add"
wait_log k 'GUEST: ok fio' $((secs + 240))
info k "disks[0].restarts > $kills" || fail "restarts are not counted"
grep 'GUEST: fio read' "$W/k.log" | sed "s/^/# $format: /; s/\r//; s/\$/, killed $((kills + 1)) times/"
stop k
QUIET=1; vm_end k 60 0
case $format in qcow2|vhdx) qemu-img check -q "$I" || [ $? = 3 ] || fail "qemu-img check finds faults" ;; esac # 3: leaked clusters, which hurt nobody
[ "$(grep -vc -e 'storage daemon' -e 'failed: Input/output' -e 'cannot be reached' -e 'paused:' "$W/k.err.log")" = 0 ] || fail "kvmbus complained of something else"
