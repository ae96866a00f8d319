#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# gen1-handover.sh kill|reset ROUNDS: four streams write to an IDE disk while the guest's hv_storvsc takes it over, and go on there. In each round the VM
# is killed (-9), or reset, at a random moment: before, in, or after the hand-over. Every block that was acknowledged is on the
# disk. A VM that was reset has its disk on IDE again, firmware finds GRUB on it, and is reset there once more.
. "$(dirname "$0")/lib.sh"
how=$1 rounds=$2 F=$KVMBUS_CACHE/firmware D=$W/disk.raw S=$W/saved.state kernel=ide
mkdir "$W/boot" && cp "$LAB_KERNELS/$kernel/bzImage" "$W/boot/k" && cp "$GUEST_BIN/$kernel.cpio" "$W/boot/i" && truncate -s 160M "$W/boot.img" &&
	mke2fs -q -t ext2 -d "$W/boot" "$W/boot.img" && rm -r "$W/boot" && truncate -s 96M "$D" || fail "no images"
"$KVMBUS" run --name g --cpus 2 --memory 512M --firmware "$F/usr/share/seabios/bios-256k.bin" --serial "file=$W/g.log" --on-term kill \
	--disk "$W/boot.img" --disk "$D" --dvd "$F/usr/lib/grub-rescue/grub-rescue-cdrom.iso" --boot cdrom --nic none </dev/null 2>"$W/g.err.log" & PID_g=$!
shows() { "$KVMBUS" screenshot g --text 2>/dev/null | grep -q -- "$1"; }
prompts() { [ "$("$KVMBUS" screenshot g --text 2>/dev/null | grep -c '^grub>')" = "$1" ]; }
types() { "$KVMBUS" type g "$1"$'\n' || fail "type $1"; }
until_true 120 "no GRUB" shows 'GNU GRUB'
"$KVMBUS" key g c || fail key
until_true 60 "no prompt" shows '^grub>'
types "linux (hd0)/k console=ttyS0 quiet panic=-1 kvmb.job=handover"
until_true 400 "GRUB does not end reading the kernel" prompts 2
types "initrd (hd0)/i"
until_true 600 "GRUB does not end reading the initrd" prompts 3
types boot
wait_log g 'GUEST: ready' 240
info g "disks[1].via == 'ide'" || fail "the disk is not on IDE"
"$KVMBUS" save g "$S" --compress zstd || fail save
vm_end g 60 0
# of block N of a stream, of those that this round's log says are there
all_there() { # ROUND LOG
	python3 - "$D" "$@" <<-'E'
		import re, struct, sys
		disk, gen = open(sys.argv[1], "rb"), int(sys.argv[2])
		acked = re.findall(rb"GUEST: acked (\d) (\d+) on sd[a-z]\r?\n", open(sys.argv[3], "rb").read())
		for s, n in acked:
		    s, n = int(s), int(n)
		    disk.seek((1 << 20) + (s * 4096 + n) * 4096)
		    for i in range(0, 1024, 4):
		        got = struct.unpack("<4I", disk.read(16))
		        if got != (s, gen, n, i):
		            sys.exit("block %d of stream %d is lost: %r" % (n, s, got))
		print(len(acked))
	E
}
total=0 before=0 within=0 after=0 lost=
for ((r = 1; r <= rounds; r++)); do
	printf 'go %d\n' $r | dd of="$D" bs=512 seek=64 conv=notrunc,sync status=none
	rm -f "$W/g.log"
	rm -f "$W/one.state" && cp "$S" "$W/one.state" || fail "no copy of the state"
	"$KVMBUS" restore "$W/one.state" </dev/null 2>>"$W/g.err.log" & PID_g=$!
	wait_log g 'GUEST: acked 0' 120
	nap 0.$((RANDOM % 10)); [ $((RANDOM % 3)) = 0 ] || { wait_log g 'GUEST: handover begins' 60; nap $((RANDOM % 3)).$((RANDOM % 10)); }
	if [ $how = kill ]; then
		kill -KILL $PID_g; wait $PID_g
	else
		"$KVMBUS" reset g || fail reset
		until_true 60 "it was not reset" info g 'boots == 2'
		cp "$W/g.log" "$W/r.log"
		info g "disks[1].via == 'ide'" || fail "after a reset the disk is not on IDE"
		nap $((RANDOM % 6)).$((RANDOM % 10))
		"$KVMBUS" reset g || fail "reset in firmware"
		until_true 60 "it was not reset again" info g 'boots == 3'
		until_true 120 "no GRUB after resets" shows 'GNU GRUB'
		"$KVMBUS" kill g; wait $PID_g; mv "$W/r.log" "$W/g.log"
	fi
	n=$(all_there $r "$W/g.log") || fail "round $r"
	total=$((total + n))
	if grep -aq 'GUEST: handover ends' "$W/g.log"; then after=$((after + 1)); elif grep -aq 'GUEST: handover begins' "$W/g.log"; then within=$((within + 1)); else before=$((before + 1)); fi
	! grep -a 'GUEST: FAIL' "$W/g.log" || fail "round $r"
done
echo "# $rounds rounds ($how): $before before, $within in, $after after the hand-over; $total blocks acknowledged, all there"
[ $within -gt 0 ] && [ $total -gt $rounds ] || fail "the hand-over was not hit"
