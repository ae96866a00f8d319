#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# hotplug.sh: disks of every kind come, change and go while the guest runs; wrong requests change nothing.
. "$(dirname "$0")/lib.sh"
truncate -s 16M "$W/root" "$W/a" "$W/b" "$W/c"
vm h "${GUEST:-storage}" "kvmb.job=hot" --cpus 2 --memory 512M --disk "$W/root"
wait_log h 'GUEST: watching' 90; wait_log h 'seen 0:0 size 32768 ro 0' 30
D() { "$KVMBUS" disk h "$@"; }
does() { local want=$1; shift; D "$@" >"$W/out" 2>&1 || fail "disk $*: $(cat "$W/out")"; [ -z "$want" ] || wait_log h "$want" 60; }
refuses() { # STATUS WORDS COMMAND...
	local st=$1 words=$2 r; shift 2; D "$@" >"$W/out" 2>&1; r=$?
	[ $r = "$st" ] || fail "disk $*: status $r, not $st: $(cat "$W/out")"
	grep -q "$words" "$W/out" && [ "$(wc -l <"$W/out")" = 1 ] || fail "disk $*: not one line with \"$words\": $(cat "$W/out")"
}
cd "$W" # relative names
does 'seen 0:1 size 32768 ro 0' add a
does 'seen 0:5 size 32768 ro 1' add b,lun=5,ro
does 'seen 1:0 size 32768 ro 0' add c,controller=1,serial=CTRL1 # a controller that was not there
refuses 1 'in use' add a
refuses 1 'taken' add "$LAB_DIR/l1,ro,lun=5"
refuses 1 'No such file' add nothing
refuses 1 'no disk' remove 0:9
refuses 2 'bad option' add a,lun=64
refuses 1 'destroy' resize 0:1 8M
refuses 1 'read-only' resize 0:5 32M
refuses 4 'not a DVD' eject 0:1
does 'seen 0:1 size 65536' resize "$W/a" 32M
does 'lost 1:0' remove CTRL1
does 'seen 1:3 size 32768' add c,controller=1,lun=3
# an image format, an overlay of it, and somebody else's server
qemu-img create -q -f vhdx p.vhdx 24M; qemu-img create -q -f qcow2 -b p.vhdx -F vhdx o.qcow2
refuses 1 'overlay of "p.vhdx"' add o.qcow2
does 'seen 0:2 size 49152' add o.qcow2,backing=p.vhdx
does 'seen 0:2 size 65536' resize 0:2 32M
does 'lost 0:2' remove o.qcow2
truncate -s 20M n.raw; qemu-nbd -t -f raw -k "$W/nbd.sock" n.raw &
until_true 20 "qemu-nbd does not start" test -S "$W/nbd.sock"
does 'seen 0:2 size 40960' add "nbd+unix:///?socket=$W/nbd.sock"
does 'lost 0:2' remove 0:2
# limits: what is not allowed cannot have happened
does '' limit 0:1 --iops 20
t0=$(date +%s%N)
does 'lost 0:1' remove 0:1
does 'seen 0:1 size 65536' add a,iops=20
n=$(stats h '[d.reads for d in disks if d.lun == 1][0]'); ms=$((($(date +%s%N) - t0) / 1000000))
[ "$n" -le $((ms * 20 / 1000 + 4)) ] || fail "$n reads in $ms ms at 20 a second"
# drives
does 'seen 0:2 size' add --dvd empty
does '' insert 0:2 "$LAB_DIR/../../build/kvmbus"
D list | grep -q '0:2 .*kvmbus.*DVD' || fail "the DVD is not listed: $(D list)"
does '' eject 0:2
does 'lost 0:2' remove 0:2
# a device of the host: mounted ones are refused; one that vanishes is told of and goes
modprobe -r -d "$LAB_KERNELS/generic" scsi_debug 2>/dev/null # an earlier run in this L1 has deleted its disk
if modprobe -d "$LAB_KERNELS/generic" scsi_debug dev_size_mb=16 2>/dev/null && modprobe -d "$LAB_KERNELS/generic" sd_mod; then
	has_disk() { S=$(ls /sys/bus/pseudo/drivers/scsi_debug/adapter0/host*/target*/*/block 2>/dev/null) && [ -b /dev/$S ]; }
	until_true 20 "no scsi_debug disk" has_disk
	mkdir -p /dev/disk/by-id; ln -sf ../../$S /dev/disk/by-id/test-disk
	mkfs.ext4 -q /dev/$S; mkdir m; if mount /dev/$S m 2>/dev/null; then refuses 1 'mounted' add /dev/disk/by-id/test-disk; umount m; fi
	does 'seen 0:7 size 32768' add /dev/disk/by-id/test-disk,lun=7
	echo 1 >/sys/block/$S/device/delete
	wait_log h 'lost 0:7' 60
	grep -q "test-disk): the device has vanished; removed from the guest" h.err.log || fail "nobody said that the device vanished: $(cat h.err.log)"
else echo "# no scsi_debug: a device that vanishes was not tried"; fi
grep 'GUEST: cannot read' h.log && fail "a disk could not be read"
stop h
QUIET=1; vm_end h 60 0
[ "$(grep -vc -e 'has vanished' -e 'failed: ' h.err.log)" = 0 ] || fail "kvmbus complained"
