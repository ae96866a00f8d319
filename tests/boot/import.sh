#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# import.sh: a Debian in the folder of a Hyper-V 2008 R2 export is imported, and run --config brings it through GRUB to its login prompt, with the
# processors, the memory, the address and the identifier that it had.
. "$(dirname "$0")/lib.sh"
F=$KVMBUS_CACHE/firmware ID=0aa394fa-7c4a-4070-ba32-773d43b28a68
E=$W/export; mkdir -p "$E/Virtual Machines" "$E/Virtual Hard Disks"
qemu-img convert -O vpc -o subformat=dynamic,force_size=on "$LAB_DISK" "$E/Virtual Hard Disks/System.vhd" || fail "no VHD"
for d in 'Data, 1.vhd' logs.vhd; do qemu-img create -q -f vpc "$E/Virtual Hard Disks/$d" 16M || fail "no $d"; done
cp "$KVMBUS_TOP/tests/data/import/2008r2.xml" "$E/Virtual Machines/$ID.xml"
"$KVMBUS" import "$E" --to "$W/vm" >"$W/import.log" 2>&1 || fail "import: $(<"$W/import.log")"
grep '^not taken over' "$W/import.log" | sed 's/^/# /'
C=$W/vm/Web-server.conf
[ "$(grep -c '^disk = ' "$C")" = 3 ] || fail "disks: $(<"$C")"
"$KVMBUS" run --config "$C" --name g --boot disk --firmware "$F/usr/share/seabios/bios-256k.bin" --serial "file=$W/g.log" --on-term kill \
	</dev/null 2>"$W/g.err.log" & PID_g=$!
shows() { "$KVMBUS" screenshot g --text 2>/dev/null | grep -q -- "$1"; }
until_true 200 "no GRUB" shows 'boot the selected OS'
info g 'cpus == 2 and memory == 1536 << 20' || fail "processors and memory"
info g 'nics[0].mac == "00:15:5d:01:07:dc"' || fail "the address"
"$KVMBUS" key g ret || fail key
wait_log g 'login: ' 500
until_true 60 "no login prompt on the screen" shows 'debian login:'
"$KVMBUS" type g $'root\n' || fail type
until_true 120 "root has no shell" shows 'root@debian:~#'
"$KVMBUS" type g $'echo "GUEST: id $(cat /sys/class/dmi/id/product_uuid)" >/dev/ttyS0\n' || fail type
wait_log g "GUEST: id $ID" 60
stop g
vm_end g 120 0
qemu-img check -q -f vpc "$W/vm/System.vhd" || fail "qemu-img check finds faults"
