#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# evil.sh: images whose headers name other files are refused with one line at the start of a VM, at "disk add" and at
# "insert", and nobody opens what they name: inotify watches it. A raw disk whose guest wrote such a header goes on.
. "$(dirname "$0")/lib.sh"
HARNESS=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../harness")
cd "$W"
python3 "$HARNESS/evil-images.py" "$W" || fail "no images"
truncate -s 16M root
python3 - victim opens <<'P' & # a line for each time that somebody opens or reads it
import ctypes, os, sys
libc = ctypes.CDLL(None)
fd = libc.inotify_init()
libc.inotify_add_watch(fd, sys.argv[1].encode(), 0x23)
log = open(sys.argv[2], "w", buffering=1)
print("ready", file=log)
while os.read(fd, 4096):
    print("touched", file=log)
P
lines() { [ -e opens ] && wc -l <opens || echo 0; }
has_lines() { [ "$(lines)" -ge "$1" ]; }
until_true 30 "no watch" has_lines 1
head -c 1 victim >/dev/null
until_true 30 "the watch sees nothing" has_lines 2
nap 0.5; seen=$(lines)
refused() { # STATUS WORDS WHAT: the last command's output is in "out"
	[ "$1" = 1 ] || fail "$3: status $1, not 1: $(cat out)"
	grep -qF "$2" out && [ "$(wc -l <out)" = 1 ] || fail "$3: not one line with \"$2\": $(cat out)"
	[ "$(lines)" = "$seen" ] || fail "$3: what it names was opened"
}
# of each kind one at the start of a VM: a qcow2's data file, parents, extents, what a guest wrote
for spec in abs.qcow2 backjson.qcow2 nbd.qcow2 flat.vmdk zero.vmdk diff.vhd diff.vhdx c1.qcow2,backing=abs.qcow2 link.qcow2 abs-qcow2.img; do
	words=$(grep -F "$spec"$'\t' cases | cut -f2); [ -n "$words" ] || fail "no case $spec"
	"$KVMBUS" run --name s --kernel "$LAB_KERNELS/cloud/vmlinux" --append quiet --memory 128M --serial none --disk "$spec" </dev/null >out 2>&1
	refused $? "$words" "run --disk $spec"
done
vm e "${GUEST:-storage}" "kvmb.job=hot" --cpus 2 --memory 512M --disk "$W/root"
wait_log e 'GUEST: watching' 90
n=0
while IFS=$'\t' read -r spec words; do
	"$KVMBUS" disk e add "$spec" >out 2>&1 </dev/null; refused $? "$words" "disk add $spec"; n=$((n + 1))
done <cases
echo "# $n evil images refused"
"$KVMBUS" disk e add --dvd empty,lun=9 >out 2>&1 || fail "no drive: $(cat out)"
for spec in abs.qcow2 flat.vmdk zero.vmdk back.qcow2 diff.vhdx; do
	words=$(grep -F "$spec"$'\t' cases | cut -f2)
	"$KVMBUS" disk e insert 0:9 "$spec" >out 2>&1; refused $? "$words" "disk insert $spec"
done
# what is right is not refused: a link to an image, and a raw disk that only looks like one
"$KVMBUS" disk e add goodlink.qcow2,lun=3 >out 2>&1 || fail "a link to an image: $(cat out)"
wait_log e 'seen 0:3 size 2048' 60
"$KVMBUS" disk e add abs-qcow2.img,format=raw,lun=4 >out 2>&1 || fail "format=raw: $(cat out)"
wait_log e 'seen 0:4 size 2048' 60
# the daemon that serves it opens nothing by name; where the kernel has Landlock even what it is allowed to is by descriptor
D=$(helper_pid e qemu-storage-d) || fail "no storage daemon"
grep -q '^NoNewPrivs:.1' /proc/$D/status && grep -q '^Seccomp:.2' /proc/$D/status || fail "the storage daemon is not confined: $(cat /proc/$D/status)"
tr '\0' '\n' </proc/$D/cmdline | grep -q "$W" && fail "the storage daemon was told a name: $(tr '\0' ' ' </proc/$D/cmdline)"
[ "$(lines)" = "$seen" ] || fail "the victim was opened"
stop e
vm_end e 60 0
