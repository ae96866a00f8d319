#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# dkms.sh: a Debian guest with our packages: root and NIC on our modules; then without a build for its kernel, and then without
# the package: the in-tree drivers, each time from the initramfs that the guest made itself.
. "$(dirname "$0")/lib.sh"
own=$(lab_debian_own)
cp "$own.img" "$W/root.img" && cp "$own.vmlinuz" "$W/vmlinuz" && cp "$own.initrd" "$W/initrd" || fail "no image"
tap
initrd=$(debugfs -R 'ls -p /boot' "$W/root.img" 2>/dev/null | tr '/' '\n' | grep -m1 '^initrd.img-')
for stage in own nobuild removed; do
	"$KVMBUS" run --name d --kernel "$W/vmlinuz" --initrd "$W/initrd" --cpus 2 --memory 1G --disk "$W/root.img" --nic "tap=$TAP" \
		--append "console=ttyS0 root=LABEL=root rw panic=-1 net.ifnames=0 kvmb.stage=$stage" --serial "file=$W/d.log" </dev/null 2>"$W/d.err.log" &
	PID_d=$!
	wait_log d "GUEST: ok $stage" 600
	vm_end d 120 0
	grep -a 'GUEST: stage' "$W/d.log" | sed 's/^GUEST:/#/; s/\r//'
	mv "$W/d.log" "$W/$stage.log"
	debugfs -R "dump /boot/$initrd $W/initrd" "$W/root.img" 2>/dev/null; [ -s "$W/initrd" ] || fail "no initramfs in the image"
done
e2fsck -fn "$W/root.img" >"$W/fsck.log" 2>&1 || { [ $? -le 1 ] || fail fsck; }
