#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# gen1-save.sh KERNEL CPUS: machines that begin in firmware are saved and restored, in a new process: again and again while firmware runs, and where
# it has found nothing; at GRUB's prompt, where the host has other firmware afterwards: it answers, and a reset leads back into GRUB; moved and
# handed over there; and under a guest that GRUB has booted from IDE disks.
. "$(dirname "$0")/lib.sh"
kernel=$1 cpus=$2 F=$KVMBUS_CACHE/firmware S=$W/saved.state BIOS=$W/bios.bin
cp "$F/usr/share/seabios/bios-256k.bin" "$BIOS" && cp "$F/usr/share/seabios/vgabios-stdvga.bin" "$W/" || skip "no firmware"
begin() { # NAME [OPTION...]
	local name=$1; shift
	"$KVMBUS" run --name "$name" --cpus "$cpus" --memory 512M --firmware "$BIOS" --serial "file=$W/$name.log" --on-term kill "$@" </dev/null 2>"$W/$name.err.log" &
	eval "PID_$name=$!"
	until_true 60 "$name does not begin" runs "$name"
}
shows() { "$KVMBUS" screenshot "$1" --text 2>/dev/null | grep -q -- "$2"; } # VM PATTERN
prompts() { [ "$("$KVMBUS" screenshot g --text 2>/dev/null | grep -c '^grub>')" = "$1" ]; } # how many are on the screen
types() { "$KVMBUS" type "$1" "$2"$'\n' || fail "type $2"; }
MENU='boot the selected OS' # GRUB's prompt has its name on the screen, too
is_running() { info "$1" 'state == "running" and not memory_left'; }
save() { # VM: until its process has ended
	until_true 60 "$1 is not to be saved" is_running "$1"
	"$KVMBUS" save "$1" "$S" "${@:2}" || fail "save $1"
	vm_end "$1" 60 0
}
restore() { # VM: in place of the process that has ended
	"$KVMBUS" restore "$S" </dev/null 2>>"$W/$1.err.log" & eval "PID_$1=$!"
	until_true 60 "$1 is not restored" info "$1" 'state == "running"'
	rm "$S"
}
end() { "$KVMBUS" kill "$1"; vm_end "$1" 60 6; }

# in firmware
begin fw --nic none
rounds=0
until shows fw 'No bootable device' || [ $rounds -ge 12 ]; do
	save fw; restore fw
	rounds=$((rounds + 1))
done
echo "# saved $rounds times while firmware ran"
[ $rounds -ge 1 ] || fail "firmware was quicker than the first save"
until_true 120 "firmware does not end" shows fw 'No bootable device'
"$KVMBUS" screenshot fw "$W/before.png" && save fw --compress zstd && restore fw && "$KVMBUS" screenshot fw "$W/after.png" || fail "no picture"
cmp "$W/before.png" "$W/after.png" || fail "another picture"
end fw

# in GRUB, from a disk and from a CD
for on in disk dvd; do
	if [ $on = disk ]; then cp "$F/usr/lib/grub-rescue/grub-rescue-usb.img" "$W/$on.raw"; else cp "$F/usr/lib/grub-rescue/grub-rescue-cdrom.iso" "$W/$on.raw"; fi
	begin $on --nic none --$on "$W/$on.raw"
	until_true 120 "no GRUB from $on" shows $on "$MENU"
	save $on; restore $on # its menu counts on
	"$KVMBUS" key $on c || fail key
	until_true 60 "no prompt" shows $on '^grub>'
	"$KVMBUS" type $on 'echo six times $seven' || fail type # in the midst of a line
	until_true 60 "it was not typed" shows $on 'six times'
	save $on
	# other firmware is installed: one with another size and another text
	head -c 131072 /dev/zero >"$BIOS" && head -c 32768 /dev/zero >"$W/vgabios-stdvga.bin"
	restore $on
	types $on ' is 42'
	until_true 60 "GRUB does not answer" shows $on '^six times is 42'
	types $on reboot # into the firmware that it has always had
	until_true 60 "no reset" info $on 'boots == 2'
	until_true 120 "GRUB does not come back" shows $on "$MENU"
	cp "$F/usr/share/seabios/bios-256k.bin" "$BIOS" && cp "$F/usr/share/seabios/vgabios-stdvga.bin" "$W/"
	"$KVMBUS" key $on c || fail key
	until_true 60 "no prompt after the reset" shows $on '^grub>'
	types $on 'echo before the $move move'
	until_true 60 "GRUB does not answer" shows $on '^before the move'
	# moved
	mkdir -p "$W/there"
	XDG_RUNTIME_DIR=$W/there "$KVMBUS" run --incoming "unix:$W/m.sock" </dev/null 2>"$W/there.log" & target=$!
	until_true 30 "no target" test -S "$W/m.sock"
	"$KVMBUS" migrate $on "unix:$W/m.sock" || fail "migrate: $(cat "$W/there.log")"
	vm_end $on 60 0
	eval "PID_$on=$target"; export XDG_RUNTIME_DIR=$W/there
	until_true 60 "the screen did not come along" shows $on '^before the move'
	types $on 'echo after the $move move'
	until_true 60 "GRUB does not answer where it has moved" shows $on '^after the move'
	# handed over
	"$KVMBUS" upgrade $on </dev/null 2>"$W/u.log" & new=$!
	vm_end $on 60 0
	eval "PID_$on=$new"
	until_true 60 "not handed over: $(cat "$W/u.log")" info $on 'state == "running"'
	types $on 'echo in another $process process'
	until_true 60 "GRUB does not answer from the other process" shows $on '^in another process'
	end $on
	export XDG_RUNTIME_DIR=$W
	rm -rf "$W/there"
done

# in a guest: root is in memory, its kernel came from IDE, and it has taken that disk over by VMBus
tap
python3 "$(dirname "$0")/echo-server.py" $NET_BITS.1 7000 &
mkdir "$W/boot" && cp "$LAB_KERNELS/$kernel/bzImage" "$W/boot/k" && cp "$GUEST_BIN/$kernel.cpio" "$W/boot/i" && truncate -s 128M "$W/boot.img" &&
	mke2fs -q -t ext2 -d "$W/boot" "$W/boot.img" || fail "no image"
DISK_SUM=$(head -c 4194304 "$W/boot.img" | sha256sum | cut -c1-64)
begin g --disk "$W/boot.img" --dvd "$F/usr/lib/grub-rescue/grub-rescue-cdrom.iso" --boot cdrom --nic "tap=$TAP" --video off
until_true 120 "no GRUB" shows g 'GNU GRUB'
"$KVMBUS" key g c || fail key
until_true 60 "no prompt" shows g '^grub>'
types g "linux (hd0)/k console=ttyS0 quiet panic=-1 kvmb.job=probe kvmb.sum=$DISK_SUM kvmb.cpus=$cpus kvmb.wait=1 kvmb.peer=$NET_BITS.1 kvmb.addr=$NET_BITS.2"
until_true 240 "GRUB does not end reading the kernel" prompts 2 # the BIOS keeps 15 keys meanwhile
"$KVMBUS" type g "initrd (hd0)/i"$'\n' && save g && restore g || fail "while it reads its disk"
until_true 240 "GRUB does not end reading the initrd" prompts 3
types g boot
wait_log g 'GUEST: ok probe' 240
info g "disks[0].via == 'vmbus'" || fail "the disk is not used by VMBus"
save g; restore g
until_true 60 "no heartbeat" info g 'integration.heartbeat.status == "ok"'
info g 'all(c.state == "open" or c.name == "fcopy" for c in channels)' || fail "a channel is not open"
stop g
vm_end g 60 0
