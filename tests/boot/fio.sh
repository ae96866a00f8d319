#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# fio.sh FORMAT CPUS SECONDS [DISK OPTIONS]: fio --verify on an image, while another disk is added, grown and removed.
. "$(dirname "$0")/lib.sh"
format=$1 cpus=$2 secs=$3 options=${4:-}
I=$W/image.$format
image "$format" "$I" 256M
vm f "${GUEST:-storage}" "kvmb.job=fio kvmb.secs=$secs" --cpus "$cpus" --memory 512M --disk "$I$options"
wait_log f 'GUEST: fio begins' 90
[ -z "${NO_URING:-}" ] || { info f 'all(d.io == "threads" for d in disks)' || fail "info does not say that threads do it"; QUIET=1; }
cycles=0 stop=$((SECONDS + secs - 2)) log=$W/f.log
count() { grep -c "$1" "$log"; }
step() { # COMMAND... : then the guest must say PATTERN once more
	local pattern=$1 n; shift; n=$(count "$pattern")
	"$KVMBUS" disk f "$@" >"$W/out" 2>&1 || fail "disk $*: $(cat "$W/out")"
	until_true 60 "the guest did not notice: disk $*" said_again "$pattern" "$n"
}
said_again() { # PATTERN TIMES: more often than that
	! grep 'GUEST: FAIL' "$log" || fail "the guest failed"
	[ "$(count "$1")" -gt "$2" ]
}
while [ $cycles -lt 1 ] || [ $SECONDS -lt $stop ]; do
	truncate -s 16M "$W/extra"
	step 'lun 1 size 32768' add "$W/extra,lun=1"
	step 'lun 1 size 65536' resize 0:1 32M
	step 'lun 1 gone' remove "$W/extra"
	cycles=$((cycles + 1))
	kill -0 $PID_f || fail "the VM ended"
done
"$KVMBUS" disk f add "$W/extra,lun=7" || fail "disk add"
wait_log f 'GUEST: ok fio' $((secs + 240))
grep 'GUEST: fio read' "$log" | sed "s/^/# $format: /; s/\r//; s/\$/, $cycles disks came and went/"
stop f
vm_end f 60 0
[ -z "${NO_URING:-}" ] || [ "$(grep -c 'no io_uring on this host' "$W/f.err.log") $(wc -l <"$W/f.err.log")" = '1 1' ] ||
	fail "not one line about io_uring: $(cat "$W/f.err.log")"
case $format in qcow2|vhdx) qemu-img check -q "$I" || fail "qemu-img check finds faults" ;; esac
exit 0
