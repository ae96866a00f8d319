#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# save.sh KERNEL CPUS ROUNDS: under fio --verify with fsync a VM is saved into a file and restored in a new process, again and
# again: no I/O error, nothing lost, its clock goes on. A save that is interrupted leaves the VM running and no file.
# COMPRESS=zstd, THREADS=N: --compress, --threads.
. "$(dirname "$0")/lib.sh"
kernel=$1 cpus=$2 rounds=$3 S=$W/saved.state
how=(${COMPRESS:+--compress "$COMPRESS"} ${THREADS:+--threads "$THREADS"})
most=11; [ -z "${COMPRESS:-}" ] || most=9
I=$W/image.raw
truncate -s 256M "$I"
vm s "$kernel" "kvmb.job=fio kvmb.secs=$((rounds * 4)) kvmb.fsync=16" --cpus "$cpus" --memory 512M --disk "$I,on-error=stop"
wait_log s 'GUEST: fio begins' 90
restore() { # in place of the process that has ended
	"$KVMBUS" restore "$S" </dev/null 2>>"$W/s.err.log" & PID_s=$!
}
# interrupted at once: it goes on, and there is no file
timeout -s KILL 0.1 "$KVMBUS" save s "$S" "${how[@]}"
until_true 60 "the VM did not go on" info s 'state == "running" and not save'
[ ! -e "$S" ] || fail "half a file"
used() { awk '/^RssShmem/ { print $2 }' "/proc/$PID_s/status"; } # KiB of guest memory that was ever touched
for ((i = 1; i <= rounds; i++)); do
	sleep 1
	before=$(used)
	until_true 60 "memory is still read" info s 'not memory_left'
	begin=$(date +%s%N)
	"$KVMBUS" save s "$S" "${how[@]}" || fail "save"
	ms=$((($(date +%s%N) - begin) / 1000000))
	vm_end s 60 0
	size=$(du -k "$S" | cut -f1)
	echo "# round $i: $size KiB of $before KiB that were used, saved in $ms ms ${how[*]}"
	[ "$size" -le $((before * most / 10)) ] || fail "the file is larger than $most tenths of the used memory"
	begin=$(date +%s%N)
	restore
	until_true 60 "not restored" info s 'state == "running"'
	echo "# restored and running after $((($(date +%s%N) - begin) / 1000000)) ms, $(info s memory_left 2>/dev/null)"
	until_true 60 "no heartbeat" info s 'integration.heartbeat.status == "ok"'
	cp --sparse=always "$S" "$W/again" # used up: nor a copy of it
	"$KVMBUS" restore "$W/again" 2>"$W/again.log" && fail "restored twice"
	grep -q 'was used before' "$W/again.log" || fail "what it says: $(cat "$W/again.log")"
	rm "$S" "$W/again"
done
truncate -s 16M "$W/end" && "$KVMBUS" disk s add "$W/end,lun=7" || fail "disk add" # fio reads all back, and ends
wait_log s 'GUEST: ok fio' $((rounds * 20 + 120))
stop s
vm_end s 60 0
