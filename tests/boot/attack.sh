#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# attack.sh KERNEL: what may a VM do that was taken over? Threads of a live one, and its storage daemon, are made to try (attack.c);
# afterwards it must work as before. A violation that nobody holds back ends the VM with one line.
. "$(dirname "$0")/lib.sh"
ATTACK=$KVMBUS_TOP/build/tests/attack
[ "$(id -u)" = 0 ] || skip "it traces other processes, as root"
# what is tried is there to be had: a daemon answers "no such file" because it sees none
[ -e /etc/shadow ] || echo 'root:*:::::::' >/etc/shadow
[ -r /etc/shadow ] && [ -x /bin/sh ] && [ -r /proc/self/mem ] || fail "nothing to attack"
disk d 16
truncate -s 16M "$W/more"
image vhdx "$W/i.vhdx" 16M
tap
python3 "$(dirname "$0")/echo-server.py" $NET_BITS.1 7000 &
vm o "$1" "kvmb.job=idle" --cpus 1 --memory 256M # the other VM, and the one that dies
vm v "$1" "kvmb.job=probe kvmb.sum=$DISK_SUM kvmb.cpus=2 kvmb.wait=1 kvmb.peer=$NET_BITS.1 kvmb.addr=$NET_BITS.2" --cpus 2 --memory 512M \
	--disk "$W/d" --dvd "$W/i.vhdx" --nic "tap=$TAP"
wait_log v 'GUEST: ok probe' 120
requests() { stats v 'sum(c.requests for c in controllers)'; }
attack() { # WHAT PID CLASS...
	local what=$1 pid=$2; shift 2
	"$ATTACK" "$pid" $PID_o "$W/kvmbus/o.sock" "$@" >"$W/out" 2>&1; rc=$?
	sed 's/^/# /' "$W/out"
	[ $rc = 0 ] || fail "the $what: status $rc"
}
attack VM $PID_v main vcpu0 scsi0/ net0/ disk serial-file
D=$(pgrep -n qemu-storage-d) || fail "no storage daemon"
attack "storage daemon" "$D" daemon
# it works as before: each of its threads has something to do
beats=$(info v integration.heartbeat.beats) before=$(requests)
more_beats() { info v "integration.heartbeat.beats > $beats"; }
more_requests() { [ "$(requests)" -gt "$before" ]; }
until_true 30 "no heartbeat after the attack" more_beats
/bin/busybox ping -c 3 -W 30 $NET_BITS.2 >"$W/ping.log" 2>&1 || fail "its NIC does not work after the attack"
"$KVMBUS" disk v add "$W/more,lun=9" || fail "no disk can be added after the attack"
until_true 30 "its guest does not look at the disk" more_requests
stop v
vm_end v 60 0
# what nobody holds back
"$ATTACK" --deadly $PID_o vcpu0 || fail "no SIGSYS: status $?"
QUIET=1; vm_end o 20 159
[ "$(grep -c . "$W/o.err.log")" = 1 ] && grep -q 'kvmbus: o: sandbox: thread vcpu0 (vcpu) made system call openat (257), which it may not; the VM ends' "$W/o.err.log" ||
	fail "it says: $(cat "$W/o.err.log")"
exit 0
