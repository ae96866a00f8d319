#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# synth-video.sh KERNEL direct|gen1: hyperv_drm, hyperv_keyboard and hid_hyperv of a stock kernel take screen, keyboard and mouse; what is typed
# there is done by a shell on its console, seen on the serial line, and the picture is the driver's; also after the VM was saved and restored.
# direct: booted from a kernel, with --video on. gen1: through firmware and GRUB, where nobody says --video. Pictures are in build/.
. "$(dirname "$0")/lib.sh"
kernel=$1 how=$2 F=$KVMBUS_CACHE/firmware S=$W/saved.state
shows() { "$KVMBUS" screenshot v --text 2>/dev/null | grep -q -- "$1"; }
prompts() { [ "$("$KVMBUS" screenshot v --text 2>/dev/null | grep -c '^grub>')" = "$1" ]; } # how many of them are on the screen
types() { "$KVMBUS" type v "$1"$'\n' || fail "type $1"; }
picture() { # NAME: of the driver's size, and something is on it
	"$KVMBUS" screenshot v "$W/$1.png" || fail "no picture"
	local size; size=$(python3 "$KVMBUS_TOP/tests/boot/picture.py" "$W/$1.png") && [ "$size" = "1024 768" ] || fail "the picture $1 is none: $size"
	cp "$W/$1.png" "$LAB_OUT/synth-$how-$1.png" 2>/dev/null
}
if [ "$how" = direct ]; then
	vm v "$kernel" "kvmb.job=video" --cpus 2 --memory 512M --nic none --video on
else
	mkdir "$W/boot" && cp "$LAB_KERNELS/$kernel/bzImage" "$W/boot/k" && cp "$GUEST_BIN/$kernel.cpio" "$W/boot/i" && truncate -s 128M "$W/boot.img" &&
		mke2fs -q -t ext2 -d "$W/boot" "$W/boot.img" || fail "no image"
	"$KVMBUS" run --name v --cpus 2 --memory 512M --firmware "$F/usr/share/seabios/bios-256k.bin" --serial "file=$W/v.log" --on-term kill --nic none \
		--disk "$W/boot.img" --dvd "$F/usr/lib/grub-rescue/grub-rescue-cdrom.iso" --boot cdrom </dev/null 2>"$W/v.err.log" & PID_v=$!
	until_true 120 "no GRUB" shows 'GNU GRUB'
	info v 'screen.source == "vga" and screen.keyboard == "ps2"' || fail "who has the screen in firmware?"
	"$KVMBUS" key v c || fail key
	until_true 60 "no prompt" shows '^grub>'
	types "linux (hd0)/k console=ttyS0 quiet panic=-1 kvmb.job=video"
	until_true 240 "GRUB does not end reading the kernel" prompts 2
	types "initrd (hd0)/i"
	until_true 240 "GRUB does not end reading the initrd" prompts 3
	types boot
fi
wait_log v 'GUEST: console' 240
until_true 60 "the drivers do not have screen, keyboard and mouse" info v 'screen.source == screen.keyboard == screen.pointer == "synthetic"'
types 'echo typed $((6*7)) >/dev/ttyS0'
wait_log v 'typed 42' 60
picture first
"$KVMBUS" save v "$S" || fail save
vm_end v 60 0
"$KVMBUS" restore "$S" </dev/null 2>>"$W/v.err.log" & PID_v=$!
until_true 60 "not restored" info v 'state == "running" and screen.source == screen.keyboard == "synthetic"'
types 'echo restored $((7*7)) >/dev/ttyS0'
wait_log v 'restored 49' 60
picture restored
types 'poweroff -f'
vm_end v 60 0
