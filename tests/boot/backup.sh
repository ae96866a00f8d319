#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# backup.sh FORMAT KERNEL: backups of a guest with hv_vss_daemon under an fsync load; each starts as a VM and is whole. An
# incremental one equals a full one. One that is killed, and a guest without a daemon, cost nothing.
. "$(dirname "$0")/lib.sh"
format=$1 kernel=$2
I=$W/image.$format
truncate -s 256M "$W/raw" && mkfs.ext4 -q -F "$W/raw" || fail "no file system"
case $format in raw) mv "$W/raw" "$I" ;; vhd) image vhd "$I" 256M; qemu-img convert -n -O vpc "$W/raw" "$I" ;; *) qemu-img convert -O "$format" "$W/raw" "$I" ;; esac ||
	fail "no image"
written() { grep -c 'GUEST: written' "$W/b.log"; }
goes_on() { local n; n=$(written); until_true 60 "the guest does not write any more" eval "[ \$(written) -gt $n ]"; }
backup() { "$KVMBUS" backup b "$@" >"$W/out" 2>&1; }
manifest() { pick "$2" <"$1/manifest.json"; }
# is_whole DIR: its file system needs no repair but its journal, and has what was synced
is_whole() {
	cp --sparse=always "$1/disk-0-0.raw" "$W/copy"
	manifest "$1" 'frozen' && { e2fsck -fn "$W/copy" >"$W/fsck.log" 2>&1 || fail "$1: e2fsck: $(tail -3 "$W/fsck.log")"; }
	vm c "$kernel" "kvmb.job=backup kvmb.check=1" --memory 512M --disk "$W/copy"
	wait_log c 'GUEST: ok backup' 120
	vm_end c 60 0
	rm -f "$W/copy" "$W/c.log"
}

vm b "$kernel" "kvmb.job=backup" --cpus 2 --memory 512M --disk "$I"
wait_log b 'GUEST: backup begins' 120
goes_on
until_true 30 "no VSS" info b 'integration.vss.state == "ready" and integration.vss.version == "5.0"'
backup --to "$W/full" || fail "backup: $(cat "$W/out")"
sed 's/^/# /' "$W/out"
manifest "$W/full" 'frozen and disks[0].bytes == 268435456' || fail "the manifest has another content"
goes_on
! backup --to "$W/full" || fail "it has overwritten a backup"
backup --to "$W/inc" --incremental "$W/full" || fail "incremental: $(cat "$W/out")"
manifest "$W/inc" 'frozen and 0 < disks[0].copied < disks[0].bytes' || fail "an incremental backup has read all, or nothing"
goes_on
# an incremental one and a full one of the same moment
"$KVMBUS" pause b || fail "pause"
backup --to "$W/inc2" --incremental "$W/inc" --no-freeze || fail "incremental: $(cat "$W/out")"
backup --to "$W/full2" --no-freeze || fail "full: $(cat "$W/out")"
cmp "$W/inc2/disk-0-0.raw" "$W/full2/disk-0-0.raw" || fail "an incremental backup differs from a full one"
info b 'state == "paused"' || fail "a backup has resumed the VM"
! backup --to "$W/no" || fail "a guest that stands was frozen"
[ ! -e "$W/no" ] || fail "something is left of a backup that failed"
"$KVMBUS" resume b || fail "resume"
goes_on
# one that is interrupted, and one that is killed
for signal in INT KILL; do
	"$KVMBUS" backup b --to "$W/$signal" --bandwidth 2M >"$W/out" 2>&1 & pid=$!
	until_true 60 "nothing is copied" info b 'backup and backup.step == "copying" and backup.done > 0'
	! "$KVMBUS" save b "$W/state" 2>"$W/out" && grep -q 'backed up' "$W/out" || fail "it was saved during a backup"
	kill -$signal $pid; wait $pid 2>/dev/null
	until_true 30 "the backup goes on" info b 'backup is None and integration.vss.status == "idle"'
	goes_on
done
[ ! -e "$W/INT" ] || fail "something is left of a backup that was interrupted"
[ ! -e "$W/KILL/manifest.json" ] || fail "a backup that was killed has a manifest"
truncate -s 1M "$W/end"
"$KVMBUS" disk b add "$W/end,lun=7" || fail "disk add"
wait_log b 'GUEST: ok backup' 120
stop b
vm_end b 60 0
for d in full inc inc2; do is_whole "$W/$d"; done

# without a daemon
vm d "$kernel" "kvmb.job=backup kvmb.nodaemon=1" --memory 512M --disk "$I"
wait_log d 'GUEST: backup begins' 120
"$KVMBUS" backup d --to "$W/no" 2>"$W/out" && fail "a guest without a daemon was frozen"
grep -q 'hv_vss_daemon.*--no-freeze' "$W/out" || fail "it does not say what to do: $(cat "$W/out")"
"$KVMBUS" backup d --to "$W/crash" --no-freeze >"$W/out" || fail "backup: $(cat "$W/out")"
"$KVMBUS" kill d; wait
exit 0
