#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What starts emulators leaves none behind: each door is interrupted by a ^C (INT to its process group, as a terminal
# does) and by TERM to its first process alone; and boot tests end what is theirs, nothing else. In a copy of the scripts
# whose emulator only sleeps; no KVM, no network.
set -m # a process group of its own for what is started with &
cd "$(dirname "$0")/../.." || exit 1
W=$(mktemp -d) bad=0 n=0
mark=INTERRUPT_TEST=$$.$RANDOM
left() { LC_ALL=C grep -lzsx "$mark" /proc/[0-9]*/environ | cut -d/ -f3; }
trap 'l=$(left); [ -z "$l" ] || kill -KILL $l; rm -rf "$W"' EXIT

Q=$W/cache/qemu/usr/bin/qemu-system-x86_64
mkdir -p "$W"/{tests,bin,build,cache/kernels/generic} "${Q%/*}"
cp -r Makefile "$W/"; cp -r tests/{boot,check,demo,lab,perf} "$W/tests/"
for f in tests/deps tests/lab/setup tests/boot/mkguests bin/{meson,ninja}; do printf '#!/bin/sh\n' >"$W/$f"; chmod +x "$W/$f"; done
printf '#!/bin/sh\nexit 1\n' >"$W/tests/lab/has-hyperv"
# the first is deaf, as an emulator that hangs
printf '#!/bin/sh\n[ -s %s/started ] || trap "" INT TERM HUP\necho $$ >>%s/started\nwhile :; do sleep 0.2; done\n' "$W" "$W" >"$Q"
printf 'exit 0\n' >"$W/job.sh"; echo x >"$W/cache/l1.cpio"; echo x >"$W/cache/kernels/generic/modver"
for i in 1 2 3 4; do echo "60 job.sh $i"; done >"$W/list"; cp "$W/list" "$W/tests/boot/all.list"; touch "$W/build/build.ninja"; chmod +x "$Q"
export KVMBUS_CACHE=$W/cache PATH=$W/bin:$PATH LEASH_GRACE=5
lanes=2; [ "$(nproc)" -ge 2 ] || lanes=1

# try EMULATORS COMMAND...: once so many run
try() { interrupt INT group "$@"; interrupt TERM "the first" "$@"; } 2>/dev/null # the shell says there what died of a signal
interrupt() { # SIGNAL WHOM EMULATORS COMMAND...
	local sig=$1 whom=$2 want=$3 pid i; shift 3
	: >"$W/started"; n=$((n + 1))
	(cd "$W" && exec env --default-signal=INT,QUIT "$mark" "$@") >"$W/out" 2>&1 </dev/null & pid=$!
	for ((i = 0; i < 1200 && $(wc -l <"$W/started") < want; i++)); do sleep 0.05; done
	[ "$(wc -l <"$W/started")" = "$want" ] || { echo "not ok interrupt: $*: started $(wc -l <"$W/started") emulators, not $want:"; cat "$W/out"; bad=1; }
	[ "$whom" = group ] && kill -s "$sig" -- -$pid || kill -s "$sig" $pid
	for ((i = 0; i < 300; i++)); do [ -n "$(left)" ] || break; sleep 0.05; done
	[ -z "$(left)" ] || { echo "not ok interrupt: 15 s after $sig to $whom \"$*\" has left behind:"
		ps -o pid,ppid,pgid,args -p "$(left | paste -sd,)" | cut -c1-100; kill -KILL $(left); bad=1; }
	wait $pid && { echo "not ok interrupt: $*: it says that it succeeded"; bad=1; }
}

try 1 tests/lab/l1 job.sh
try $lanes tests/boot/run list
try 1 make -s demo
try 1 tests/perf/run boot
try $lanes make -s check STAGES=boot
# a boot test that leaves something behind; a VM that somebody else runs here
cp "$(command -v sleep)" "$W/bin/kvmbus"; "$W/bin/kvmbus" 300 & other=$!
mkdir "$W/one"; printf 'setsid sleep 300 &\nexit 1\n' >"$W/tests/boot/job.sh"; echo "1 60 job.sh" >"$W/list"
env "$mark" LAB_OUT="$W/one" bash "$W/tests/boot/inside.sh" "$W/list" >"$W/out" 2>&1; n=$((n + 1))
grep -q '^not ok 1 - job.sh' "$W/out" && [ "$(cat "$W/one/failed.names")" = '1 - job.sh' ] || { echo "not ok interrupt: a boot test that fails:"; cat "$W/out"; bad=1; }
[ -z "$(left)" ] || { echo "not ok interrupt: a boot test left something behind"; bad=1; }
kill -0 $other 2>/dev/null || { echo "not ok interrupt: a boot test ended somebody else's VM"; bad=1; }
{ kill $other; wait $other; } 2>/dev/null
[ $bad = 0 ] && echo "ok interrupt ($n cases)"
exit $bad
