#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# full.sh FORMAT: the host's file system fills up. By default the VM pauses and goes on when there is room again;
# with on-error=report the guest sees ENOSPC and lives. All that was written is read back.
. "$(dirname "$0")/lib.sh"
format=$1
mkdir "$W/fs"; mount -t tmpfs -o size=48M t "$W/fs" || skip "no mount here"
trap 'kill $(jobs -p) 2>/dev/null; wait 2>/dev/null; umount -l "$W/fs"; rm -rf "$W"' EXIT
I=$W/fs/image.$format
waits() { # in vain: the VM is paused, and the guest has not been told
	! grep -qE 'GUEST: (FAIL|ok)' "$W/f.log" || fail "the guest did not wait: $(tail -1 "$W/f.log")"
	info f 'state == "paused"'
}
QUIET=1
image "$format" "$I" 64M
vm f "${GUEST:-storage}" "kvmb.job=full" --cpus 2 --memory 512M --disk "$I"
wait_log f 'GUEST: filling begins' 90
until_true 90 "the VM did not pause" waits
grep -q 'No space left on device; remove the cause, then: kvmbus resume f' "$W/f.err.log" || fail "nothing says what to do: $(cat "$W/f.err.log")"
"$KVMBUS" resume f || fail resume # without making room: it must come to rest again, not fail
until_true 30 "the VM did not pause again" waits
mount -o remount,size=128M "$W/fs"
"$KVMBUS" resume f || fail resume
wait_log f 'GUEST: ok full' 120
"$KVMBUS" kill f; vm_end f 30 6
mount -o remount,size=100M "$W/fs"; rm "$I"; image "$format" "$I" 64M
# the kernel lets go of an io_uring's files a moment after its process has ended
until_true 60 "the space of the image that was removed does not come back" mount -o remount,size=48M "$W/fs"
vm f "${GUEST:-storage}" "kvmb.job=full kvmb.enospc=1" --cpus 2 --memory 512M --disk "$I,on-error=report"
wait_log f 'GUEST: saw ENOSPC' 150
mount -o remount,size=128M "$W/fs"
wait_log f 'GUEST: ok full' 60
"$KVMBUS" kill f; vm_end f 30 6
