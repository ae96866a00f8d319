#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# hibernate.sh KERNEL CPUS: the guest writes itself to a disk and powers off; started anew, it goes on where it was.
. "$(dirname "$0")/lib.sh"
kernel=$1 cpus=$2 mem=384M; [ "$1" != own-debug ] || mem=1G
disk d 16
truncate -s 1G "$W/swap"
tap
python3 "$(dirname "$0")/echo-server.py" $NET_BITS.1 7000 &
start() { vm "$1" "$kernel" "kvmb.job=hibernate kvmb.sum=$DISK_SUM kvmb.peer=$NET_BITS.1 kvmb.addr=$NET_BITS.2 ${2:-}" --cpus "$cpus" --memory "$mem" \
	--disk "$W/d" --disk "$W/swap,lun=1" --nic "tap=$TAP,mac=00:15:5d:00:00:07"; }
start h
wait_log h 'GUEST: secret' 200
vm_end h 100 0
grep -q 'GUEST: back' "$W/h.log" && fail "it never went"
start r kvmb.resume=1
wait_log r 'GUEST: ok hibernate' 150
secret=$(sed -n 's/\r//; s/^GUEST: secret //p' "$W/h.log")
grep -q "GUEST: secret again $secret" "$W/r.log" || fail "another machine came back"
stop r
vm_end r 30 0
