#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# dkms.sh: a Debian guest with our packages: root and NIC on our modules; on the in-tree drivers where the host offers a class that only
# they serve, unless forced; after a build that failed, and on ours after the repair; without a build, and without the package: each
# time from the initramfs that the guest made itself.
. "$(dirname "$0")/lib.sh"
own=$(lab_debian_own)
cp "$own.img" "$W/root.img" && cp "$own.vmlinuz" "$W/vmlinuz" && cp "$own.initrd" "$W/initrd" || fail "no image"
tap
initrd=$(debugfs -R 'ls -p /boot' "$W/root.img" 2>/dev/null | tr '/' '\n' | grep -m1 '^initrd.img-')
all=own,foreign,forced,broken,nobuild,repaired,bare,removed # DKMS_STAGES=own,foreign: only these, from the front
for stage in $(tr , " " <<<"${DKMS_STAGES:-$all}"); do
	case $stage in foreign) more=--test-devices force= ;; forced) more=--test-devices force=kvmb_bus.force=1 ;; *) more= force= ;; esac
	"$KVMBUS" run --name d --kernel "$W/vmlinuz" --initrd "$W/initrd" --cpus 2 --memory 1G --disk "$W/root.img" --nic "tap=$TAP" $more \
		--append "console=ttyS0 root=LABEL=root rw panic=-1 net.ifnames=0 kvmb.stage=$stage $force" --serial "file=$W/d.log" </dev/null 2>"$W/d.err.log" &
	PID_d=$!
	case $stage in broken|nobuild) secs=3000 ;; *) secs=600 ;; esac # they compile, in a guest that the lab emulates
	wait_log d "GUEST: ok $stage" $secs
	vm_end d 120 0
	grep -a 'GUEST: stage' "$W/d.log" | sed 's/^GUEST:/#/; s/\r//'
	mv "$W/d.log" "$W/$stage.log"
	debugfs -R "dump /boot/$initrd $W/initrd" "$W/root.img" 2>/dev/null; [ -s "$W/initrd" ] || fail "no initramfs in the image"
done
e2fsck -fn "$W/root.img" >"$W/fsck.log" 2>&1 || { [ $? -le 1 ] || fail fsck; }
