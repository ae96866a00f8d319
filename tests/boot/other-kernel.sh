#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# other-kernel.sh save GUEST MODEL | restore: the two halves of tests/boot/other-kernels, each in an L1 of its own: under fio --verify a
# VM is saved; its file and its image come to another L1, where it goes on, and ends well. All names are the same there.
. "$(dirname "$0")/lib.sh"
rm -rf "$W"; W=/dev/shm/kvmbus-other; mkdir "$W" || exit
export XDG_RUNTIME_DIR=$W
S=$W/saved.state I=$W/image.raw
uname -r | sed 's/^/# L1: Linux /'
if [ "$1" = save ]; then
	truncate -s 128M "$I"
	vm s "$2" "kvmb.job=fio kvmb.secs=8 kvmb.fsync=16" --cpus 2 --memory 512M --cpu "$3" --disk "$I,on-error=stop"
	wait_log s 'GUEST: fio begins' 90
	sleep 3
	"$KVMBUS" save s "$S" 2>"$W/m.log" || fail "save: $(cat "$W/m.log")"
	QUIET=1 vm_end s 60 0 # older kernels lack parts of a sandbox
	cp --sparse=always "$S" "$I" "$W/s.log" "$LAB_OUT/" || fail "no room"
	exit 0
fi
cp --sparse=always "$LAB_OUT"/{saved.state,image.raw,s.log} "$W/" || fail "nothing was saved"
"$KVMBUS" restore "$S" </dev/null 2>>"$W/s.err.log" & PID_s=$!
restored() { ! gone "$PID_s" || fail "it is not restored: $(cat "$W/s.err.log")"; info s 'state == "running"' 2>/dev/null; }
until_true 60 "it is not restored" restored
until_true 60 "no heartbeat" info s 'integration.heartbeat.status == "ok"'
truncate -s 16M "$W/end" && "$KVMBUS" disk s add "$W/end,lun=7" || fail "disk add" # fio reads all back, and ends
wait_log s 'GUEST: ok fio' 200
stop s
QUIET=1 vm_end s 60 0
