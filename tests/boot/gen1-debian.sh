#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# gen1-debian.sh FORMAT KERNEL synthetic|emulated: a Debian on a whole disk boots through SeaBIOS and its own GRUB to its login prompt, where root
# logs in at the keyboard. KERNEL: 1 the distribution's, 2 backports', as GRUB's menu has them. With its drivers for Hyper-V
# root ends on VMBus, after a reboot by the host again; without them (emulated) the same disk stays on IDE, under fio --verify.
. "$(dirname "$0")/lib.sh"
format=$1 kernel=$2 how=$3 F=$KVMBUS_CACHE/firmware
I=$W/disk.$format
tap
case $format in
raw) cp --sparse=always "$LAB_DISK" "$I" ;;
vhd) qemu-img convert -O vpc -o subformat=dynamic,force_size=on "$LAB_DISK" "$I" ;;
*) qemu-img convert -O "$format" "$LAB_DISK" "$I" ;;
esac || fail "no $format image"
"$KVMBUS" run --name g --cpus 2 --memory 1G --firmware "$F/usr/share/seabios/bios-256k.bin" --serial "file=$W/g.log" --on-term kill \
	--disk "$I" --nic "tap=$TAP" --video off </dev/null 2>"$W/g.err.log" & PID_g=$!
shows() { "$KVMBUS" screenshot g --text 2>/dev/null | grep -q -- "$1"; }
types() { "$KVMBUS" type g "$1"$'\n' || fail "type $1"; }
picture() { "$KVMBUS" screenshot g "$W/$1.png" && cp "$W/$1.png" "$LAB_OUT/gen1-debian-$1.png"; }
logins=0
logged() { [ "$(grep -ac 'login: ' "$W/g.log")" -ge "$1" ]; }
# through GRUB's menu to the login prompt, and a shell
log_in() {
	until_true 200 "no GRUB" shows 'boot the selected OS'
	picture grub
	if [ $how = emulated ]; then
		"$KVMBUS" key g c || fail key
		until_true 60 "no prompt" shows '^grub>'
		types 'set more="ata_piix.prefer_ms_hyperv=0 modprobe.blacklist=hv_storvsc,hv_netvsc,hv_utils,hv_balloon,hyperv_keyboard,hyperv_fb"'
		"$KVMBUS" key g esc || fail key
		until_true 60 "no menu" shows 'boot the selected OS'
	fi
	[ "$kernel" = 1 ] || "$KVMBUS" key g down || fail key
	"$KVMBUS" key g ret || fail key
	logins=$((logins + 1))
	until_true 500 "no login prompt on the serial line" logged $logins
	until_true 60 "no login prompt on the screen" shows 'debian login:'
	picture login
	types root
	until_true 120 "root has no shell" shows 'root@debian:~#'
}
case $how in synthetic) want='root vmbus nics hv_netvsc' via=vmbus ;; *) want='root ide nics' via=ide ;; esac
log_in
types disk-paths
wait_log g "GUEST: paths $want kernel" 60
info g "disks[0].via == '$via'" || fail "the disk is not via $via"
grep -a 'GUEST: paths' "$W/g.log" | tr -d '\r' | sort -u | sed 's/^GUEST:/#/'
if [ $how = synthetic ]; then
	stop g --reboot
	until_true 60 "firmware has not got its disk back" info g "disks[0].via == 'ide'"
	log_in
	info g "disks[0].via == 'vmbus'" || fail "after the reboot the disk is not via VMBus"
	stop g
else
	types 'fio --name=v --filename=/root/v --size=32M --bs=16k --rw=randrw --verify=crc32c --verify_fatal=1 --direct=1 --runtime=20 --time_based && echo GUEST: fio ok >/dev/ttyS0'
	wait_log g 'GUEST: fio ok' 300
	types 'sync; poweroff'
fi
vm_end g 120 0
[ "$format" = raw ] || qemu-img check -q "$I" || fail "qemu-img check finds faults"
qemu-img convert -O raw "$I" "$W/whole" && dd if="$W/whole" of="$W/part" bs=1M skip=1 conv=sparse status=none && e2fsck -fn "$W/part" >"$W/fsck.log" 2>&1 ||
	fail "fsck is not clean"
