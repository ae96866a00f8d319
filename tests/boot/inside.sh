#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs where KVM is: the boot tests of a list, one after the other, as TAP.
# inside.sh LIST [FIRST]: lines of "NUMBER SECONDS [NAME=VALUE]... SCRIPT ARGUMENTS...".
# With FIRST it goes on after an L1 that died: counts so far are in $LAB_OUT/progress.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lab/clock.sh"
mapfile -t lines < <(grep -v '^#' "$1" | grep .)
first=${2:-1} n=$((${2:-1} - 1)) passed=0 failed=0 skipped=0
if [ "$first" -gt 1 ]; then read -r _ passed failed skipped <"$LAB_OUT/progress"; else
	echo "# ${#lines[@]} boot tests ${LAB_WHERE:-}"; echo 0 0 0 0 >"$LAB_OUT/progress"
fi
if [ -n "${LAB_IN_L1:-}" ]; then
	lab_speed
	echo "# L1 runs at $LAB_SPEED % of the speed that limits are made for ($LAB_SPEED_MS ms)"
fi

# limited SECONDS COMMAND...: as timeout(1), by the clock of tests. The script is told first, so that it can say where it was,
# then what it waits for. Return: its status, 124 if it had to be ended.
limited() {
	local end pid rc late=0
	limit "$1"; end=$LIMIT; shift
	"$@" >/tmp/out.$$ 2>&1 </dev/null &
	pid=$!
	while kill -0 $pid 2>/dev/null; do
		nap 0.2; now
		[ "$NOW" -ge "$end" ] || continue
		late=$((late + 1))
		case $late in
		1) kill -TERM $pid ;;
		50) kill -TERM $(ps -o pid= --ppid $pid) ;;
		100) kill -KILL $pid ;;
		esac 2>/dev/null
	done
	wait $pid; rc=$?
	[ $late = 0 ] || rc=124
	return $rc
}

for line in "${lines[@]:n}"; do
	n=$((n + 1)); read -r number secs cmd <<<"$line"; title=$cmd
	env=(); while [[ $cmd == [A-Z]*=* ]]; do env+=("${cmd%% *}"); cmd=${cmd#* }; done
	read -r -a words <<<"$cmd"
	now; begin=$NOW
	for try in 1 2; do
		limited "$secs" env LAB_TEST=$$ "${env[@]}" bash "$here/${words[0]}" "${words[@]:1}"
		rc=$?
		# the emulator's own defect (docs/testing.md): said, and tried once more; nothing else is
		[ $rc = 0 ] || [ -z "${LAB_IN_L1:-}" ] || [ $try = 2 ] || ! grep -q 'triple fault' /tmp/out.$$ && break
		echo "# lab: the emulated CPU lost a guest: $(grep -m1 'triple fault' /tmp/out.$$)"
	done
	now; ms=$((NOW - begin))
	case $rc in
	0) echo "ok $number - $title ($ms ms)"; passed=$((passed + 1)); grep '^# ' /tmp/out.$$ ;;
	77) echo "ok $number - $title # SKIP $(sed -n 's/^# SKIP //p' /tmp/out.$$)"; skipped=$((skipped + 1)) ;;
	*) echo "not ok $number - $title (status $rc, $ms ms)"; failed=$((failed + 1)); echo "$number - $title" >>"$LAB_OUT/failed.names"; cat /tmp/out.$$ ;;
	esac
	echo $n $passed $failed $skipped >"$LAB_OUT/progress"
	# a test that was killed could not clean up: the next one starts from nothing
	# (only of what it started itself: VMs of others may run on this machine)
	left=$(LC_ALL=C grep -lzsx "LAB_TEST=$$" /proc/[0-9]*/environ | cut -d/ -f3); [ -z "$left" ] || kill -KILL $left 2>/dev/null
	for t in $(ls /sys/class/net | grep ^kvmbt); do ip link del "$t" 2>/dev/null; done
done
[ $failed = 0 ] && [ $n -gt 0 ]
