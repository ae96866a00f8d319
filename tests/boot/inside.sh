#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs where KVM is: the boot tests of a list, one after the other, as TAP.
# inside.sh LIST [FIRST]: lines of "NUMBER SECONDS [NAME=VALUE]... SCRIPT ARGUMENTS...".
# With FIRST it goes on after an L1 that died: counts so far are in $LAB_OUT/progress.
here=$(cd "$(dirname "$0")" && pwd)
mapfile -t lines < <(grep -v '^#' "$1" | grep .)
first=${2:-1} n=$((${2:-1} - 1)) passed=0 failed=0 skipped=0
if [ "$first" -gt 1 ]; then read -r _ passed failed skipped <"$LAB_OUT/progress"; else
	echo "# ${#lines[@]} boot tests ${LAB_WHERE:-}"; echo 0 0 0 0 >"$LAB_OUT/progress"
fi
for line in "${lines[@]:n}"; do
	n=$((n + 1)); read -r number secs cmd <<<"$line"; title=$cmd
	env=(); while [[ $cmd == [A-Z]*=* ]]; do env+=("${cmd%% *}"); cmd=${cmd#* }; done
	read -r -a words <<<"$cmd"
	begin=$(date +%s%N)
	for try in 1 2; do
		timeout -k 5 $((secs * ${KVMBUS_SLOW:-2})) env LAB_TEST=$$ "${env[@]}" bash "$here/${words[0]}" "${words[@]:1}" >/tmp/out.$$ 2>&1 </dev/null
		rc=$?
		# the emulator's own defect (docs/testing.md): said, and tried once more; nothing else is
		[ $rc = 0 ] || [ -z "${LAB_IN_L1:-}" ] || [ $try = 2 ] || ! grep -q 'triple fault' /tmp/out.$$ && break
		echo "# lab: the emulated CPU lost a guest: $(grep -m1 'triple fault' /tmp/out.$$)"
	done
	ms=$((($(date +%s%N) - begin) / 1000000))
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
