#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# resize.sh: a disk in use grows again and again under fio --verify; the guest sees each size and logs no error.
. "$(dirname "$0")/lib.sh"
image raw "$W/image" 256M
vm r "${GUEST:-storage}" "kvmb.job=fio kvmb.secs=30 loglevel=7" --cpus 2 --memory 512M --disk "$W/image"
wait_log r 'GUEST: fio begins' 90
until_true 60 "fio writes nothing" stats r 'sum(d.writes for d in disks) > 50'
for i in 1 2 3 4 5 6 7 8; do
	"$KVMBUS" disk r resize 0:0 $((256 + 16 * i))M || fail "resize to $((256 + 16 * i))M"
	wait_log r "detected capacity change from .* to $((2048 * (256 + 16 * i)))" 30
	nap 0.7
done
truncate -s 16M "$W/extra"
"$KVMBUS" disk r add "$W/extra,lun=7" || fail "disk add"
wait_log r 'GUEST: ok fio' 240
# one that "waited 0s" is no I/O: a guest that sent no command for two seconds, on a slow machine, was asked to look (docs/rooms/storage.md)
late=$(grep 'timing out command' "$W/r.log" | grep -v 'waited 0s' | head -1)
[ -z "$late" ] || fail "the guest logged: $late"
stop r
vm_end r 60 0
