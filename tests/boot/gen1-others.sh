#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# gen1-others.sh memtest|memtest-efi|ipxe|ipxe-efi|installer: what Debian packages ship and nobody here has made starts from a CD or a disk, and
# comes to its prompt. The pictures are in build/.
. "$(dirname "$0")/lib.sh"
system=$1 F=$KVMBUS_CACHE/firmware
mkdir -p /usr/share/OVMF /usr/share/seabios && cp "$F"/usr/share/OVMF/OVMF_*_4M.fd /usr/share/OVMF/ && cp "$F"/usr/share/seabios/*.bin /usr/share/seabios/ || fail "no firmware"
begin() {
	"$KVMBUS" run --name g --cpus 2 --memory 512M --serial "file=$W/g.log" --on-term kill --nic none "$@" </dev/null 2>"$W/g.err.log" & PID_g=$!
	until_true 60 "it does not begin" runs g
}
shows() { "$KVMBUS" screenshot g --text 2>/dev/null | grep -q -- "$1"; }
says() { grep -aq -- "$1" "$W/g.log"; }
types() { "$KVMBUS" type g "$1"$'\n' || fail "type $1"; }
picture() { "$KVMBUS" screenshot g "$W/$system.png" && cp "$W/$system.png" "$LAB_OUT/gen1-others-$system.png" || fail "no picture"; }
case $system in
memtest)
	begin --dvd "$F/usr/lib/memtest86+/memtest86+x64.iso"
	until_true 200 "no memtest86+" shows 'Memtest86+ v'
	until_true 200 "it tests nothing" shows 'Pass *[1-9][0-9]*%' ;;
memtest-efi)
	"$LAB_DIR/mkefi" "$W/d.img" "$F/boot/memtest86+x64.efi" && begin --disk "$W/d.img" || fail "no image"
	grep -q 'wants UEFI firmware, and gets it' "$W/g.err.log" || nap 1
	blue() { picture && python3 "$KVMBUS_TOP/tests/boot/picture.py" "$W/$system.png" 0 0 170 60 2>/dev/null; }
	until_true 500 "no memtest86+" blue ;;
ipxe)
	begin --dvd "$F/usr/lib/ipxe/ipxe.iso"
	until_true 200 "no iPXE" shows 'Ctrl-B'
	"$KVMBUS" key g ctrl-b || fail key
	until_true 60 "no prompt" shows '^iPXE>'
	types 'echo six times ${seven} is 42'
	until_true 60 "iPXE does not answer" shows '^six times *is 42' ;;
ipxe-efi)
	"$LAB_DIR/mkefi" "$W/d.img" "$(readlink -e "$F/boot/ipxe.efi" || readlink -e "$F/usr/lib/ipxe/ipxe.efi")" && begin --disk "$W/d.img" || fail "no image"
	until_true 500 "no iPXE" says 'Ctrl-B'
	"$KVMBUS" key g ctrl-b || fail key
	until_true 60 "no prompt" says 'iPXE>' ;;
installer) # by GRUB of a CD; its initrd is read by the BIOS
	I=$F/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64
	mkdir "$W/boot" && cp "$I/linux" "$W/boot/k" && cp "$I/initrd.gz" "$W/boot/i" && truncate -s 96M "$W/boot.img" && mke2fs -q -t ext2 -d "$W/boot" "$W/boot.img" || fail "no image"
	begin --disk "$W/boot.img" --dvd "$F/usr/lib/grub-rescue/grub-rescue-cdrom.iso" --boot cdrom
	prompts() { [ "$("$KVMBUS" screenshot g --text 2>/dev/null | grep -c '^grub>')" = "$1" ]; }
	until_true 120 "no GRUB" shows 'GNU GRUB'
	"$KVMBUS" key g c || fail key
	until_true 60 "no prompt" shows '^grub>'
	types 'linux (hd0)/k vga=normal nomodeset fb=false ---'
	until_true 400 "GRUB does not end reading the kernel" prompts 2
	types 'initrd (hd0)/i'
	until_true 900 "GRUB does not end reading the initrd" prompts 3
	types boot
	until_true 400 "no installer" shows 'Select a language'
	until_true 60 "no languages" shows 'English'
	"$KVMBUS" key g ret || fail key
	until_true 120 "it takes no key" shows 'select your location' ;;
*) fail "what is $system?" ;;
esac
picture
"$KVMBUS" kill g; vm_end g 60 6
