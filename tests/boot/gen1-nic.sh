#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# gen1-nic.sh KERNEL CPUS: NICs of a machine with firmware. Firmware boots from the network by iPXE, which drives the legacy NIC; a stock kernel, booted
# by GRUB from a CD, uses it by a tap and by passt, gives the network to netvsc and has it back when that is unloaded.
. "$(dirname "$0")/lib.sh"
kernel=$1 cpus=$2 F=$KVMBUS_CACHE/firmware BIOS=$KVMBUS_CACHE/firmware/usr/share/seabios/bios-256k.bin
command -v passt >/dev/null || skip "passt is not installed"
command -v iperf3 >/dev/null || skip "iperf3 is not installed"
uplink
tap
iperf3 -s -B $NET_BITS.1 >"$W/iperf.log" 2>&1 &
shows() { "$KVMBUS" screenshot "$1" --text 2>/dev/null | grep -q -- "$2"; } # VM PATTERN
# iPXE, and what comes after it: nothing
"$KVMBUS" run --name p --memory 256M --firmware "$BIOS" --serial "file=$W/p.log" --on-term kill --boot net --nic "tap=$TAP" </dev/null 2>"$W/p.err.log" & PID_p=$!
until_true 120 "no iPXE" shows p 'iPXE'
until_true 120 "iPXE has not found the NIC" shows p 'net0: '
nics p "it[0].model == 'auto' and it[0].via == 'legacy'" || fail "not the legacy NIC"
"$KVMBUS" screenshot p "$W/ipxe.png" && cp "$W/ipxe.png" "$LAB_OUT/gen1-ipxe.png"
"$KVMBUS" kill p; vm_end p 60 6
# a kernel, on the same tap
mkdir "$W/boot" && cp "$LAB_KERNELS/$kernel/bzImage" "$W/boot/k" && cp "$GUEST_BIN/$kernel.cpio" "$W/boot/i" && truncate -s 192M "$W/boot.img" &&
	mke2fs -q -t ext2 -d "$W/boot" "$W/boot.img" || fail "no image"
"$KVMBUS" run --name g --cpus "$cpus" --memory 512M --firmware "$BIOS" --serial "file=$W/g.log" --on-term kill --disk "$W/boot.img" \
	--dvd "$F/usr/lib/grub-rescue/grub-rescue-cdrom.iso" --boot cdrom --nic "tap=$TAP,mac=00:15:5d:00:00:01" --nic user,mac=00:15:5d:00:00:02 \
	</dev/null 2>"$W/g.err.log" & PID_g=$!
prompts() { [ "$("$KVMBUS" screenshot g --text 2>/dev/null | grep -c '^grub>')" = "$1" ]; }
types() { "$KVMBUS" type g "$1"$'\n' || fail "type $1"; }
until_true 120 "no GRUB" shows g 'GNU GRUB'
"$KVMBUS" key g c || fail key
until_true 60 "no prompt" shows g '^grub>'
types "linux (hd0)/k console=ttyS0 quiet panic=-1 kvmb.job=legacynic kvmb.peer=$NET_BITS.1 kvmb.addr=$NET_BITS.2"
until_true 240 "GRUB does not end reading the kernel" prompts 2
types "initrd (hd0)/i"
until_true 240 "GRUB does not end reading the initrd" prompts 3
types boot
wait_log g 'GUEST: legacy' 300
nics g "all(n.via == 'legacy' for n in it)" || fail "not the legacy NICs"
stats g 'nics[0].legacy.tx_frames > 100 and nics[0].tx_frames == 0' || fail "frames took another way"
wait_log g 'GUEST: handed over' 300
nics g "it[0].via == 'vmbus' and it[1].via == 'legacy'" || fail "netvsc has not taken its network over"
wait_log g 'GUEST: ok legacynic' 120
nics g "it[0].via == 'legacy'" || fail "the legacy NIC has not got it back"
grep -a 'GUEST: iperf' "$W/g.log" | tr -d '\r' | sed 's/^GUEST:/#/'
cp "$W/g.log" "$LAB_OUT/gen1-nic.log" 2>/dev/null
"$KVMBUS" kill g
vm_end g 30 6
