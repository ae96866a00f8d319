#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# debian.sh: a Debian root file system with systemd on a VHDX: multi-user, apt installs, reboot by the host, all equal, fsck clean.
. "$(dirname "$0")/lib.sh"
cp "$LAB_DEBIAN" "$W/root.vhdx"
vm d "${GUEST:-storage}" "kvmb.job=debian systemd.show_status=0" --cpus 2 --memory 1G --disk "$W/root.vhdx"
wait_log d "GUEST: multi-user" 180; echo "# t1 $SECONDS"
wait_log d "GUEST: want reboot" 200; echo "# t2 $SECONDS"
stop d --reboot
wait_log d "GUEST: ok debian" 200;  echo "# t3 $SECONDS"
sed -n 's/^GUEST: \(multi\|inst\)/# \1/p' "$W/d.log" | tr -d '\r' | sort -u
stop d
vm_end d 60 0
qemu-img check -q "$W/root.vhdx" || fail "qemu-img check finds faults"
qemu-img convert -O raw "$W/root.vhdx" "$W/raw" && e2fsck -fn "$W/raw" >"$W/fsck.log" 2>&1 || fail "fsck is not clean"
