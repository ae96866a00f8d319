#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The demo itself, where KVM is.
. "$(dirname "$0")/../boot/lib.sh"
say() { echo "  $*"; }
echo "kvmbus demo: running $LAB_WHERE"
mkdir "$W/files"; echo "hello from an ext4 file system on a synthetic SCSI disk" >"$W/files/hello"
truncate -s 64M "$W/disk.img"; mkfs.ext4 -q -d "$W/files" "$W/disk.img" || fail mkfs
uplink
python3 "$(dirname "$0")/../boot/echo-server.py" 127.0.0.1 7000 &
"$GUEST_BIN/tool" clockd 7001 &
echo "kvmbus demo: kvmbus run --cpus 2 --memory 512M --disk disk.img --nic user (Debian kernel $(cat "$LAB_KERNELS/cloud/modver"))"
vm demo cloud "kvmb.job=demo kvmb.blocks=8" --cpus 2 --memory 512M --disk "$W/disk.img" --nic user
wait_log demo 'GUEST: clock offset' 120
tr -d '\r' <"$W/demo.log" | sed -n 's/^GUEST: /the guest says: /p' | while read -r l; do say "$l"; done
echo "kvmbus demo: kvmbus info demo"
sleep 4
"$KVMBUS" info demo | while read -r l; do say "$l"; done
"$KVMBUS" info demo | grep -q 'heartbeat .* ok, [1-9]' || fail "no heartbeat"
echo "kvmbus demo: kvmbus stop demo (through the shutdown integration service)"
"$KVMBUS" stop demo --timeout 60 || fail "stop"
vm_end demo 30 0
say "the guest shut down cleanly; kvmbus ended with status 0"
