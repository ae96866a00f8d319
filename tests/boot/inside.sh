#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs where KVM is: the boot tests of a list, one after the other, as TAP.
# inside.sh LIST: lines of "SECONDS SCRIPT ARGUMENTS...", NAME=VALUE words may stand first.
here=$(cd "$(dirname "$0")" && pwd)
mapfile -t lines < <(grep -v '^#' "$1" | grep .)
echo "# boot tests ${LAB_WHERE:-}"
echo "1..${#lines[@]}"
n=0 passed=0 failed=0 skipped=0
for line in "${lines[@]}"; do
	n=$((n + 1)); read -r secs cmd <<<"$line"
	env=(); while [[ $cmd == [A-Z]*=* ]]; do env+=("${cmd%% *}"); cmd=${cmd#* }; done
	read -r -a words <<<"$cmd"
	begin=$(date +%s%N)
	timeout -k 5 "$secs" env "${env[@]}" bash "$here/${words[0]}" "${words[@]:1}" >/tmp/out.$$ 2>&1 </dev/null
	rc=$?
	ms=$((($(date +%s%N) - begin) / 1000000))
	title="$line"; title=${title#* }
	case $rc in
	0) echo "ok $n - $title ($ms ms)"; passed=$((passed + 1)); grep '^# ' /tmp/out.$$ ;;
	77) echo "ok $n - $title # SKIP $(sed -n 's/^# SKIP //p' /tmp/out.$$)"; skipped=$((skipped + 1)) ;;
	*) echo "not ok $n - $title (status $rc, $ms ms)"; failed=$((failed + 1)); cat /tmp/out.$$ ;;
	esac
	# a test that was killed could not clean up: the next one starts from nothing
	pkill -KILL -x kvmbus; pkill -KILL -x passt; pkill -KILL -f echo-server.py
	for t in $(ls /sys/class/net | grep ^kvmbt); do ip link del "$t"; done
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ] && [ $n -gt 0 ]
