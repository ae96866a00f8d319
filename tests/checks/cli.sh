#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Bad input to the command: one line that names object, cause and remedy, the right exit status,
# nothing touched. Needs no usable KVM: what does is tested on a machine that has none, too.
cd "$(dirname "$0")/../.." || exit 1
K=build/kvmbus W=$(mktemp -d) bad=0 n=0
trap 'rm -rf "$W"' EXIT
export XDG_RUNTIME_DIR=$W
# expect STATUS PATTERN command...: exactly one line on stderr
expect() {
	local want=$1 pattern=$2 rc out; shift 2
	out=$("$@" 2>&1 >/dev/null </dev/null); rc=$?
	n=$((n + 1))
	if [ $rc != "$want" ] || [ "$(wc -l <<<"$out")" != 1 ] || ! grep -qE -- "$pattern" <<<"$out"; then
		echo "not ok cli: $*: status $rc (want $want), said: $out"; bad=1
	fi
}
printf 'not a kernel at all' >"$W/junk"; : >"$W/empty"; head -c 100000 /dev/zero >"$W/zero"
expect 2 'kernel is missing' $K run
expect 2 'must be 1 to 64' $K run --cpus 0 --kernel x
expect 2 'must be 1 to 64' $K run --cpus 65 --kernel x
expect 2 'must be 1 to 64' $K run --cpus 2x --kernel x
expect 2 'not a size' $K run --memory lots --kernel x
expect 2 'must be 16M' $K run --memory 1M --kernel x
expect 2 'write a size in M, G or T' $K run --memory 5Q --kernel x
expect 2 'unknown version' $K run --vmbus-max 9.9 --kernel x
expect 2 'unknown CPU model' $K run --cpu pentium --kernel x
expect 2 'bad CPU feature' $K run --cpu host,-warp --kernel x
expect 2 'bad option "lunn=1"' $K run --disk x,lunn=1 --kernel x
expect 2 'bad option "lun=64"' $K run --disk x,lun=64 --kernel x
expect 2 'unknown kind' $K run --nic carrier-pigeon --kernel x
expect 2 'bad option "vlan=5000"' $K run --nic none,vlan=5000 --kernel x
expect 2 'bad option "forward=22"' $K run --nic user,forward=22 --kernel x
expect 2 'bad option "forward=2222:22"' $K run --nic none,forward=2222:22 --kernel x
expect 2 'bad option "mtu=9001"' $K run --nic user,mtu=9001 --kernel x
expect 2 'which VM' $K nic
expect 2 'unknown action' $K nic vm frobnicate
expect 2 'up or down' $K nic vm link net0 sideways
expect 3 'no VM' $K nic nosuch list
expect 2 'not a group address' $K run --nic none,mac=01:00:00:00:00:00 --kernel x
expect 2 'write heartbeat' $K run --ic heart=on --kernel x
expect 2 'unknown; stdio' $K run --serial usb --kernel x
expect 2 'letters, digits' $K run --name ../../etc --kernel x
expect 2 'unexpected word' $K run --kernel x y
expect 2 'unrecognized option' $K run --frobnicate
expect 3 'no VM "ghost"' $K info ghost
expect 3 'no VM "ghost"' $K stop ghost
expect 3 'no VM "ghost"' $K kill ghost
expect 3 'no VM "ghost"' $K pause ghost
expect 3 'no VM "ghost"' $K stats ghost
expect 3 'no VM "ghost"' $K console ghost
expect 2 'which VM' $K info
expect 2 'bad --timeout' $K stop ghost --timeout soon
expect 2 'unexpected' $K info a b
expect 2 'bad option "cache=maybe"' $K run --disk x,cache=maybe --kernel x
expect 2 'bad option "format=zip"' $K run --disk x,format=zip --kernel x
expect 2 'no file named' $K run --disk ,ro --kernel x
expect 2 'which VM' $K disk
expect 2 'do what' $K disk ghost
expect 2 'unknown action "frob"' $K disk ghost frob
expect 2 'add what' $K disk ghost add
expect 2 'bad size "soon"' $K disk ghost resize 0:0 soon
expect 2 'unexpected "--fast"' $K disk ghost remove --fast
expect 3 'no VM "ghost"' $K disk ghost list
expect 2 'not UTF-8' $K disk ghost add $'/tmp/\377'
if tests/lab/has-hyperv 2>/dev/null || [ -n "${LAB_IN_L1:-}" ]; then
	expect 1 'No such file' $K run --kernel "$W/none" --serial none
	expect 1 'not a bzImage' $K run --kernel "$W/junk" --serial none
	expect 1 'it is empty' $K run --kernel "$W/empty" --serial none
	expect 1 'not a regular file' $K run --kernel /tmp --serial none
	expect 1 'initrd .*: No such file' $K run --kernel build/guest/mb.elf --initrd "$W/none" --serial none
	expect 1 'disk .*: No such file' $K run --kernel build/guest/mb.elf --disk "$W/none" --serial none
	expect 1 'disk .*: it is a directory' $K run --kernel build/guest/mb.elf --disk "$W,ro" --serial none
	expect 1 'smaller than one block' $K run --kernel build/guest/mb.elf --disk "$W/junk" --serial none
	expect 1 'locked' $K run --kernel build/guest/mb.elf --disk "$W/zero" --disk "$W/zero" --serial none
	expect 1 'taken' $K run --kernel build/guest/mb.elf --disk "$W/zero,lun=1" --disk "build/guest/mb.elf,ro,lun=1" --serial none
	cp "$W/zero" "$W/zero.vhdx"; cp "$W/zero" "$W/zero.qcow2"
	expect 1 'disk .*zero.vhdx: ' $K run --kernel build/guest/mb.elf --disk "$W/zero.vhdx" --serial none
	expect 1 'disk .*zero.qcow2: ' $K run --kernel build/guest/mb.elf --disk "$W/zero.qcow2" --serial none
	printf 'QFI\373\0\0\0\3' | dd of="$W/zero" conv=notrunc 2>/dev/null
	expect 1 'looks like qcow2: say format=qcow2' $K run --kernel build/guest/mb.elf --disk "$W/zero" --serial none
	expect 1 'no connection to its NBD server' $K run --kernel build/guest/mb.elf --disk "nbd+unix:///?socket=$W/none" --serial none
	expect 1 'which is left alone' $K run --kernel build/guest/mb.elf --control "$W/junk" --serial none
	expect 1 'which is left alone' $K run --kernel build/guest/mb.elf --serial "unix=$W/junk"
	expect 1 'the path is empty' $K run --kernel build/guest/mb.elf --control '' --serial none
	expect 1 'open to every user' $K run --kernel build/guest/mb.elf --control @kvmbus --serial none
	expect 1 'too long' $K run --kernel build/guest/mb.elf --control "$W/$(printf %0120d 1)" --serial none
	expect 1 'disk .*: No such file' $K run --kernel build/guest/mb.elf --disk "$W/none" --serial "file=$W/junk"
	[ "$(cat "$W/junk")" = 'not a kernel at all' ] || { echo "not ok cli: a file was touched"; bad=1; }
	expect 1 'no such tap' $K run --kernel build/guest/mb.elf --nic tap=nosuch0 --serial none
	[ -z "$(ls -A "$W/kvmbus" 2>/dev/null)" ] || { echo "not ok cli: a socket was left behind"; bad=1; }
else
	expect 1 'KVM_CAP_HYPERV|/dev/kvm: ' $K run --kernel build/guest/mb.elf --serial none
fi
$K --help >/dev/null && $K run --help >/dev/null && $K --version >/dev/null && [ "$($K list --json)" = '[]' ] || { echo "not ok cli: help, version or list"; bad=1; }
[ $bad = 0 ] && echo "ok cli ($n cases)"
exit $bad
