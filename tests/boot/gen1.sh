#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# gen1.sh: machines without --kernel begin in firmware: without a disk, which it says; with GRUB of a Debian package on an IDE disk and on
# a CD, which takes keys, and reads its disk. The screen is read as text, and pictures are in build/.
. "$(dirname "$0")/lib.sh"
F=$KVMBUS_CACHE/firmware G=$F/usr/lib/grub-rescue BIOS=$F/usr/share/seabios/bios-256k.bin
begin() { # NAME [OPTION...]
	local name=$1; shift
	"$KVMBUS" run --name "$name" --memory 256M --firmware "$BIOS" --serial "file=$W/$name.log" --on-term kill --nic none "$@" \
		</dev/null 2>"$W/$name.err.log" &
	eval "PID_$name=$!"
}
shows() { "$KVMBUS" screenshot "$1" --text 2>/dev/null | grep -q -- "$2"; } # VM PATTERN
picture() { # VM
	"$KVMBUS" screenshot "$1" "$W/$1.png" || fail "no picture"
	python3 "$KVMBUS_TOP/tests/boot/picture.py" "$W/$1.png" || fail "the picture of $1 is none"
	cp "$W/$1.png" "$LAB_OUT/gen1-$1.png" 2>/dev/null
}
end() { "$KVMBUS" kill "$1"; vm_end "$1" 60 6; }
begin none --cpus 2
until_true 90 "firmware does not say that there is nothing to boot" shows none 'No bootable device'
picture none
grep -aq 'No bootable device' "$W/none.log" || fail "the serial line does not say it"
end none
for on in disk dvd; do
	if [ $on = disk ]; then cp "$G/grub-rescue-usb.img" "$W/$on.raw"; else cp "$G/grub-rescue-cdrom.iso" "$W/$on.raw"; fi
	begin $on --$on "$W/$on.raw"
	until_true 120 "no GRUB from $on" shows $on 'GNU GRUB\|grub>'
	picture $on
	"$KVMBUS" key $on c || fail key # from its menu to its prompt
	until_true 60 "no prompt" shows $on 'grub>'
	"$KVMBUS" type $on $'\necho six times $seven is 42\n' || fail type
	until_true 60 "GRUB does not answer" shows $on '^six times is 42'
	end $on
done
