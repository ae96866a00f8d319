#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The multiboot loader and every test port, by a small image of our own (tests/guest/mb.c). The ports make a vCPU do what only
# other threads of a VM do, so that the filters must not end it.
. "$(dirname "$0")/lib.sh"
printf 'NAME=ok1\n' >"$W/env"
"$KVMBUS" run --name mb --kernel "$GUEST_BIN/mb.elf" --initrd "$W/env" --append "a=1 b=2" --memory 128M \
	--test-devices --sandbox log --serial "file=$W/mb.log" </dev/null 2>"$W/mb.err.log"
rc=$?
[ $rc = 42 ] || fail "exit status $rc: the check of that number in mb.c failed"
grep -q 'MB: all ports work' "$W/mb.log" || fail "no verdict on the console"
