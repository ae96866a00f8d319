#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# rootfs.sh KERNEL: root on ext4 on the synthetic disk; written, rebooted by the host, read back.
. "$(dirname "$0")/lib.sh"
kernel=$1
mkdir -p "$W/root"/{bin,sbin,proc,sys,dev,tmp,data}
cp "$(command -v busybox)" "$W/root/bin/busybox"
for a in sh dd mkdir sync wc grep cat sha256sum sleep mount dmesg tail head reboot poweroff; do ln -s /bin/busybox "$W/root/bin/$a"; done
for c in poweroff reboot; do rm -f "$W/root/bin/$c"; printf '#!/bin/sh\nsync\nexec /bin/busybox %s -f\n' $c >"$W/root/sbin/$c"; chmod +x "$W/root/sbin/$c"; done
cp "$(dirname "$0")/../guest/rootfs-init" "$W/root/sbin/init"; chmod +x "$W/root/sbin/init"
truncate -s 128M "$W/root.img"; mkfs.ext4 -q -d "$W/root" "$W/root.img" || fail mkfs
vm r "$kernel" "kvmb.job=rootfs" --cpus 2 --memory 512M --disk "$W/root.img"
wait_log r 'GUEST: written 40 files' 90
stop r --reboot
wait_log r 'GUEST: ok rootfs 40 files equal' 90
info r 'boots == 2' || fail "not the second boot"
stop r
vm_end r 30 0
e2fsck -fn "$W/root.img" >"$W/fsck.log" 2>&1 || { [ $? -le 1 ] || fail "fsck"; }
