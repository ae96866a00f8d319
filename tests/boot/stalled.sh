#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# stalled.sh SECONDS GUEST...: the storage below the host stands still for so long, as when the last path to a SAN is gone.
# Guests wait, under fio --verify and a log with fsync; then all goes on. A block layer's own time is 180 s.
. "$(dirname "$0")/lib.sh"
secs=$1; shift
loops=() maps=()
# a suspended device holds what reaches it in the kernel; nothing that has such I/O out can be killed
trap 'for m in "${maps[@]}"; do dmsetup resume --noudevsync "$m"; done; kill $(jobs -p) 2>/dev/null; wait 2>/dev/null
	for m in "${maps[@]}"; do dmsetup remove --noudevsync "$m"; done; [ ${#loops[@]} = 0 ] || losetup -d "${loops[@]}"; rm -rf "$W"' EXIT
for m in loop dm_mod; do modprobe -q -d "$LAB_KERNELS/generic" $m || modprobe -q $m; done
under() { # NAME SIZE: $W/NAME.dev, a device on a file of that size
	local dev map=kvmbus$$-$1
	truncate -s "$2" "$W/$1"
	dev=$(losetup -f --show "$W/$1") || skip "no loop device can be made here"
	loops+=("$dev")
	dmsetup create --noudevsync --noudevrules "$map" --table "0 $(($(stat -c %s "$W/$1") / 512)) linear $dev 0" ||
		skip "no device-mapper here"
	maps+=("$map")
	ln -s "/dev/$(dmsetup info -c --noheadings -o blkdevname "$map")" "$W/$1.dev"
}
finished() { stats "$1" 'sum(d.reads + d.writes for d in disks)'; }
vms=()
for g; do
	v=v${#vms[@]}; vms+=($v)
	under data$v 256M; under log$v 64M
	mkfs.ext4 -q "$W/log$v.dev" || fail "mkfs"
	vm $v "$g" "kvmb.job=stall kvmb.secs=20" --cpus 2 --memory 384M --disk "$W/data$v.dev,cache=none" \
		--disk "$W/log$v.dev,cache=none,lun=2"
done
for v in "${vms[@]}"; do wait_log $v 'GUEST: fio begins' 120; wait_log $v 'GUEST: log begins' 60; done
nap 3
for m in "${maps[@]}"; do dmsetup suspend --nolockfs --noudevsync "$m" || fail "suspend"; done
begin=$SECONDS
nap 2 # what had passed the device before comes to its end
before=(); for v in "${vms[@]}"; do before+=("$(finished $v)"); done
while [ $((SECONDS - begin)) -lt "$secs" ]; do
	nap 5
	for v in "${vms[@]}"; do
		info $v 'state == "running"' || fail "$v does not run any more"
		! grep 'GUEST: FAIL' "$W/$v.log" || fail "$v did not wait"
	done
done
for i in "${!vms[@]}"; do
	[ "$(finished ${vms[i]})" = "${before[i]}" ] || fail "${vms[i]}: the storage did not stand still"
done
for m in "${maps[@]}"; do dmsetup resume --noudevsync "$m" || fail "resume"; done
waited=$((SECONDS - begin))
for i in "${!vms[@]}"; do
	until_true 60 "${vms[i]}: the disks do not go on" stats ${vms[i]} "sum(d.reads + d.writes for d in disks) > ${before[i]} + 200"
	truncate -s 16M "$W/end${vms[i]}"; "$KVMBUS" disk ${vms[i]} add "$W/end${vms[i]},lun=7" || fail "disk add"
done
for v in "${vms[@]}"; do
	wait_log $v 'GUEST: ok fio' 180
	lines=$(sed -n 's/\r//; s/^GUEST: log of \([0-9]*\) lines is whole$/\1/p' "$W/$v.log")
	seq "$lines" | sed 's/^/line /' >"$W/want"
	debugfs -R 'cat /log' "$W/log$v.dev" 2>/dev/null >"$W/have"
	cmp "$W/have" "$W/want" || fail "$v: the log is not on the disk"
	stop $v
	vm_end $v 60 0
	echo "# $1: stood still for $waited s; $(sed -n 's/\r//; s/^GUEST: \(fio read.*\)/\1/p' "$W/$v.log"), a log of $lines lines"
	shift
done
