#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# gen1-linux.sh KERNEL CPUS: firmware, then GRUB from a CD, boot a stock kernel from an IDE disk: it finds VMBus, takes the disk over by it, finds its NIC as
# on a machine without firmware, and is shut down by the host. Everything is typed on the keyboard and read from the screen.
. "$(dirname "$0")/lib.sh"
kernel=$1 cpus=$2 F=$KVMBUS_CACHE/firmware
tap
python3 "$(dirname "$0")/echo-server.py" $NET_BITS.1 7000 &
mkdir "$W/boot" && cp "$LAB_KERNELS/$kernel/bzImage" "$W/boot/k" && cp "$GUEST_BIN/$kernel.cpio" "$W/boot/i" && truncate -s 128M "$W/boot.img" &&
	mke2fs -q -t ext2 -d "$W/boot" "$W/boot.img" || fail "no image"
DISK_SUM=$(head -c 4194304 "$W/boot.img" | sha256sum | cut -c1-64)
"$KVMBUS" run --name g --cpus "$cpus" --memory 512M --firmware "$F/usr/share/seabios/bios-256k.bin" --serial "file=$W/g.log" --on-term kill \
	--disk "$W/boot.img" --dvd "$F/usr/lib/grub-rescue/grub-rescue-cdrom.iso" --boot cdrom --nic "tap=$TAP" --video off </dev/null 2>"$W/g.err.log" & PID_g=$!
shows() { "$KVMBUS" screenshot g --text 2>/dev/null | grep -q -- "$1"; }
# the BIOS keeps 15 keys while GRUB reads a file
prompts() { [ "$("$KVMBUS" screenshot g --text 2>/dev/null | grep -c '^grub>')" = "$1" ]; } # how many of them are on the screen
types() { "$KVMBUS" type g "$1"$'\n' || fail "type $1"; }
until_true 120 "no GRUB" shows 'GNU GRUB'
"$KVMBUS" key g c || fail key
until_true 60 "no prompt" shows '^grub>'
types "linux (hd0)/k console=ttyS0 quiet panic=-1 kvmb.job=probe kvmb.sum=$DISK_SUM kvmb.cpus=$cpus kvmb.wait=1 kvmb.peer=$NET_BITS.1 kvmb.addr=$NET_BITS.2"
until_true 240 "GRUB does not end reading the kernel" prompts 2
types "initrd (hd0)/i"
until_true 240 "GRUB does not end reading the initrd" prompts 3
types boot
wait_log g 'GUEST: ok probe' 240
info g "disks[0].via == 'vmbus' and disks[1].via == 'ide'" || fail "the disk is not used by VMBus"
info g "state == 'running' and vmbus.version == '5.3'" || fail "info has another state or version"
info g 'all(c.state == "open" or c.name == "fcopy" for c in channels)' || fail "info has a channel that is not open"
info g 'integration.heartbeat.state == "ready"' || fail "no heartbeat"
cp "$W/g.log" "$LAB_OUT/gen1-linux.log" 2>/dev/null
stop g
vm_end g 30 0
