#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# migrate-busy.sh KERNEL CPUS ROUNDS WHAT [OPTION...]: a VM moves again and again in the middle of WHAT, and nothing is lost:
#   reload    drivers come and go: contact, negotiation, page lists, channels that open and close, unload
#   mtu       the guest changes its NIC's MTU under a TCP stream: its channels close and open
#   throttle  fio --verify on a disk that may do 60 requests a second: some always wait
#   full      the host's file system is full: the VM stands, and a write waits
#   hot       a disk comes, grows and goes, a NIC comes and goes, a medium is inserted, and the guest ejects it. Up to half a second after
#             each the VM is paused, wherever guest and host have come to, and moves
# OPTIONs are of kvmbus run. With --vmbus-max the guest must have agreed to that version.
. "$(dirname "$0")/lib.sh"
kernel=$1 cpus=$2 rounds=$3 what=$4; shift 4
here=$W/a there=$W/b A=unix:$W/s.migrate moves=0 go=() other=(ip netns exec there)
mkdir "$here" "$there"
export XDG_RUNTIME_DIR=$here
trap 'kill $(jobs -p) 2>/dev/null; wait 2>/dev/null; for l in kvmbt0 cable br0; do ip link del $l; done 2>/dev/null; ip netns del there 2>/dev/null; umount -l "$W/fs" 2>/dev/null; rm -rf "$W"' EXIT
networks() { # as in migrate.sh
	ip netns add there || skip "no network namespace can be made here"
	ip link add cable type veth peer name cable netns there
	local in
	for in in "" "ip netns exec there"; do
		$in ip link add br0 type bridge forward_delay 0 && $in ip link set br0 up && $in ip link set cable master br0 up &&
			$in ip tuntap add kvmbt0 mode tap multi_queue && $in ip link set kvmbt0 master br0 up || skip "no network can be made here"
	done
	ip addr add $NET_BITS.1/24 dev br0
	python3 "$(dirname "$0")/echo-server.py" $NET_BITS.1 7000 &
}
move() { # [STATE]: to the other side, where it is running then, or STATE
	local target
	XDG_RUNTIME_DIR=$there "${other[@]}" "$KVMBUS" run --incoming "$A" </dev/null 2>"$W/there.log" & target=$!
	until_true 30 "no target" test -S "${A#unix:}"
	"$KVMBUS" migrate s "$A" --downtime 1000 --auto-converge >"$W/m.log" 2>&1 || fail "migrate: $(cat "$W/m.log")"
	vm_end s 60 0
	mv "$W/there.log" "$W/s.err.log"
	PID_s=$target moves=$((moves + 1))
	XDG_RUNTIME_DIR=$there there=$here here=$XDG_RUNTIME_DIR
	if [ ${#go[@]} = 0 ]; then go=("${other[@]}") other=(); else other=("${go[@]}") go=(); fi
	until_true 60 "not there" info s "state == \"${1:-running}\""
}
moves_on() { local i; for ((i = 0; i < rounds; i++)); do move; sleep 0.$((RANDOM % 10)); done; }
I=$W/image.raw
[ $what = mtu ] || other=()
case $what in
reload)
	disk image.raw 16
	vm s "$kernel" "kvmb.job=reload kvmb.times=$((rounds * 4)) kvmb.sum=$DISK_SUM" --cpus "$cpus" --memory 512M --disk "$I" --nic none "$@"
	until_true 90 "no bus" info s 'channels' # and on it goes, while drivers are loaded for the first time
	moves_on
	wait_log s "GUEST: ok reload" $((rounds * 20 + 100)) ;;
mtu)
	networks
	vm s "$kernel" "kvmb.job=mtu kvmb.times=$((rounds * 3)) kvmb.peer=$NET_BITS.1 kvmb.addr=$NET_BITS.2" --cpus "$cpus" --memory 512M \
		--nic "tap=kvmbt0,mac=00:15:5d:00:00:07" "$@"
	wait_log s 'GUEST: mtu begins' 90
	moves_on
	wait_log s "GUEST: ok mtu" $((rounds * 20 + 100)) ;;
throttle)
	truncate -s 64M "$I"
	vm s "$kernel" "kvmb.job=fio kvmb.secs=$((rounds * 3))" --cpus "$cpus" --memory 512M --disk "$I,iops=60" "$@"
	wait_log s 'GUEST: fio begins' 90
	moves_on
	stats s 'disks[0].errors == 0' || fail "errors"
	"$KVMBUS" disk s limit 0:0 --iops 0 || fail limit
	truncate -s 16M "$W/end" && "$KVMBUS" disk s add "$W/end,lun=7" || fail "disk add"
	wait_log s 'GUEST: ok fio' $((rounds * 20 + 200)) ;;
full)
	mkdir "$W/fs"; mount -t tmpfs -o size=24M t "$W/fs" || skip "no mount here"
	I=$W/fs/image.raw QUIET=1
	truncate -s 32M "$I"
	vm s "$kernel" "kvmb.job=full" --cpus "$cpus" --memory 512M --disk "$I" "$@"
	wait_log s 'GUEST: filling begins' 90
	until_true 90 "the VM did not pause" info s 'state == "paused"'
	for ((i = 0; i < rounds; i++)); do
		move paused
		[ $((i % 2)) = 0 ] || { "$KVMBUS" resume s; until_true 60 "it did not pause again" info s 'state == "paused" and stop_reason'; }
	done
	mount -o remount,size=64M "$W/fs"
	"$KVMBUS" resume s || fail resume
	wait_log s 'GUEST: ok full' 120 ;;
hot)
	for f in root disk medium; do truncate -s 16M "$W/$f"; done
	vm s "$kernel" "kvmb.job=view kvmb.eject=1" --cpus "$cpus" --memory 512M --disk "$W/root" --dvd empty,lun=2 --nic none,mac=00:15:5d:00:00:07 "$@"
	wait_log s 'GUEST: seen 0:0 ' 90; wait_log s 'GUEST: seen nic-.*carrier 1' 60
	does() { # WHAT COMMAND...: until the guest says WHAT, once more than before; it moves meanwhile
		local want=$1 times; shift
		times=$(said "$want")
		"$KVMBUS" "$@" >"$W/m.log" 2>&1 || fail "$*: $(cat "$W/m.log")"
		nap 0.$((RANDOM % 500 + 100))
		"$KVMBUS" pause s || fail pause
		[ "$(said "$want")" -gt "$times" ] || mid=$((mid + 1))
		move paused
		"$KVMBUS" resume s || fail resume
		more() { [ "$(said "$want")" -gt "$times" ]; }
		until_true 90 "after $*: the guest does not say \"$want\"" more
		! grep 'GUEST: FAIL' "$W/s.log" || fail "the guest failed"
	}
	stays() { # the options of a VM are its own only when the guest has released the NIC: until then it stays, and says why
		! "$KVMBUS" migrate s "$A" 2>"$W/m.log" || fail "it moved in the middle of a rescind"
		grep -q 'are being changed; try again' "$W/m.log" || fail "what it says: $(cat "$W/m.log")"
	}
	rescind() {
		local times remove; times=$(said 'lost nic-')
		"$KVMBUS" pause s || fail pause
		"$KVMBUS" nic s remove net1 >"$W/remove.log" 2>&1 & remove=$!
		until_true 30 "its removal does not begin" nics s 'any(n.index == 1 and n.link == "removing" for n in it)'
		stays # the guest has not seen that
		"$KVMBUS" resume s || fail resume
		nap 2.$((RANDOM % 400 + 500)) # so long the guest has to see the cable
		"$KVMBUS" pause s || fail pause
		! is_going || { rescinds=$((rescinds + 1)); stays; }
		"$KVMBUS" resume s || fail resume
		wait $remove || fail "nic remove: $(cat "$W/remove.log")"
		move # at once: the guest may not have finished
		more() { [ "$(said 'lost nic-')" -gt "$times" ]; }
		until_true 90 "the guest has the NIC still" more
	}
	is_going() { info s 'any(c.state in ("revoking", "revoked") for c in channels)'; }
	said() { grep -ac "GUEST: $1" "$W/s.log"; }
	is_empty() { "$KVMBUS" disk s list | grep -q '0:2 (empty)'; }
	mid=0 rescinds=0
	for ((i = 0; i < rounds; i++)); do
		does 'seen 0:5 size 32768 ' disk s add "$W/disk,lun=5"
		does "seen 0:5 size $((65536 + i * 2048)) " disk s resize 0:5 $((32 + i))M
		does 'lost 0:5' disk s remove 0:5
		rm "$W/disk"; truncate -s 16M "$W/disk"
		does 'seen nic-.* mac 00:15:5d:00:00:21 .*carrier 1' nic s add none,mac=00:15:5d:00:00:21
		rescind
		printf 'medium-%d' $i | dd of="$W/medium" bs=2048 conv=notrunc 2>/dev/null
		does "ejected medium-$i" disk s insert 0:2 "$W/medium"
		until_true 60 "the medium is still there" is_empty
	done
	echo "# in $mid of $moves moves the guest had not finished; stopped in the middle of $rescinds rescinds" ;;
*) fail "what is \"$what\"?" ;;
esac
version=$(info s 'vmbus.version'); want=
while [ $# -gt 0 ]; do [ "$1" != --vmbus-max ] || want=$2; shift; done
[ -z "$want" ] || [ "$version" = "$want" ] || fail "it speaks version $version, not $want"
echo "# moved $moves times, VMBus $version, the last: $(cat "$W/m.log")"
"$KVMBUS" kill s; QUIET=1 vm_end s 60 6
