#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# gen1-debian.sh bios|uefi FORMAT KERNEL synthetic|emulated [SECONDS]: a Debian on a whole disk boots through firmware and its own GRUB to its login
# prompt, where root logs in at the keyboard. KERNEL: 1 the distribution's, 2 backports', as GRUB's menu has them. With its drivers
# for Hyper-V root ends on VMBus, after a reboot by the host again; without them (emulated) the same disk stays on IDE, under
# fio --verify and iperf3 for so many seconds. Pictures of GRUB and of the login prompt are in build/.
. "$(dirname "$0")/lib.sh"
fw=$1 format=$2 kernel=$3 how=$4 secs=${5:-20} F=$KVMBUS_CACHE/firmware
I=$W/disk.$format name=$1-$2-$3-$4
tap
case $fw in bios) from=$LAB_DISK ;; *) from=$LAB_DISK_EFI ;; esac
case $format in
raw) cp --sparse=always "$from" "$I" ;;
vhd) qemu-img convert -O vpc -o subformat=dynamic,force_size=on "$from" "$I" ;;
*) qemu-img convert -O "$format" "$from" "$I" ;;
esac || fail "no $format image"
# nobody names the firmware
mkdir -p /usr/share/OVMF /usr/share/seabios && cp "$F"/usr/share/OVMF/OVMF_*_4M.fd /usr/share/OVMF/ && cp "$F"/usr/share/seabios/*.bin /usr/share/seabios/ || fail "no firmware"
"$KVMBUS" run --name g --cpus 2 --memory 1G --serial "file=$W/g.log" --on-term kill --disk "$I" --nic "tap=$TAP" </dev/null 2>"$W/g.err.log" & PID_g=$!
types() { "$KVMBUS" type g "$1"$'\n' || fail "type $1"; }
picture() { # NAME
	"$KVMBUS" screenshot g "$W/$1.png" || fail "no picture of $1"
	python3 "$KVMBUS_TOP/tests/boot/picture.py" "$W/$1.png" 2>/dev/null || return
	cp "$W/$1.png" "$LAB_OUT/gen1-debian-$name-$1.png"
}
# of what GRUB shows: a text screen of the BIOS; under UEFI firmware the serial line has it as well
shows() {
	if [ $fw = bios ]; then "$KVMBUS" screenshot g --text 2>/dev/null | grep -q -- "$1"; else tail -c +$((seen + 1)) "$W/g.log" | grep -aq -- "$1"; fi
}
logins=0 shells=0 seen=0
said() { [ "$(grep -ac -- "$1" "$W/g.log")" -ge "$2" ]; } # PATTERN TIMES, on the serial line
log_in() { # through GRUB's menu to the login prompt, and a shell
	until_true 400 "no GRUB" shows 'Debian, Linux'
	picture grub
	if [ $how = emulated ]; then
		"$KVMBUS" key g c || fail key
		until_true 60 "no prompt" shows 'grub>'
		types 'set more="ata_piix.prefer_ms_hyperv=0 modprobe.blacklist=hv_storvsc,hv_netvsc,hv_utils,hv_balloon,hyperv_keyboard,hid_hyperv,hyperv_fb,hyperv_drm"'
		"$KVMBUS" key g esc || fail key
		nap 3
	fi
	[ "$kernel" = 1 ] || "$KVMBUS" key g down || fail key
	"$KVMBUS" key g ret || fail key
	seen=$(stat -c %s "$W/g.log") logins=$((logins + 1)) shells=$((shells + 1))
	until_true 600 "no login prompt on the serial line" said 'login: ' $logins
	until_true 60 "nothing on the screen" picture login
	nap 2 # getty's of the two terminals begin one after the other
	types root
	until_true 120 "root has no shell at the keyboard" said 'GUEST: shell on tty1' $shells
}
# the legacy NIC is there either way
case $how in synthetic) want='root vmbus nics.* hv_netvsc' via=vmbus ;; *) want='root ide nics.* tulip' via=ide ;; esac
log_in
types disk-paths
wait_log g "GUEST: paths $want" 60
info g "disks[0].via == '$via'" || fail "the disk is not via $via"
grep -a 'GUEST: paths' "$W/g.log" | tr -d '\r' | sort -u | sed 's/^GUEST:/#/'
if [ $how = synthetic ]; then
	stop g --reboot
	until_true 60 "firmware has not got its disk back" info g "disks[0].via == 'ide'"
	log_in
	info g "disks[0].via == 'vmbus'" || fail "after the reboot the disk is not via VMBus"
	stop g
else
	fio="fio --name=v --filename=/root/v --size=32M --bs=16k --rw=randrw --verify=crc32c --verify_fatal=1 --direct=1 --runtime=$secs --time_based"
	if grep -aq 'GUEST: paths .* tulip' "$W/g.log"; then
		iperf3 -s -1 -B $NET_BITS.1 >"$W/iperf3.log" 2>&1 & server=$!
		types "ip addr add $NET_BITS.2/24 dev eth0; ip link set eth0 up; iperf3 -c $NET_BITS.1 -t $secs >/dev/ttyS0 && echo GUEST: iperf3 ok >/dev/ttyS0 & $fio && echo GUEST: fio ok >/dev/ttyS0"
		wait_log g 'GUEST: iperf3 ok' $((secs * 3 + 300))
		grep -a 'receiver' "$W/g.log" | tail -1 | tr -d '\r' | sed 's/^/# tulip: /'
	else
		types "$fio && echo GUEST: fio ok >/dev/ttyS0"
	fi
	wait_log g 'GUEST: fio ok' $((secs * 3 + 300))
	info g "disks[0].via == 'ide'" || fail "the disk is not via IDE"
	types 'dmesg | grep -qE "WARNING: |BUG:|Oops|soft lockup|DMA timeout|Call Trace" || echo GUEST: log clean >/dev/ttyS0; sync; poweroff'
	wait_log g 'GUEST: log clean' 60
fi
vm_end g 120 0
[ "$format" = raw ] || qemu-img check -q "$I" || fail "qemu-img check finds faults"
case $fw in bios) skip=1 ;; *) skip=48 ;; esac
qemu-img convert -O raw "$I" "$W/whole" && dd if="$W/whole" of="$W/part" bs=1M skip=$skip count=2048 conv=sparse status=none && e2fsck -fn "$W/part" >"$W/fsck.log" 2>&1 ||
	fail "fsck is not clean"
