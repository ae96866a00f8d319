#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Resets, each while another CPU is in a hypercall: registers are as at power-on, CPUs begin where they should, and only
# what CPUID announces is there (tests/guest/mb_reset.c).
. "$(dirname "$0")/lib.sh"
"$KVMBUS" run --name r --kernel "$GUEST_BIN/mb_reset.elf" --memory 128M --cpus 2 --test-devices \
	--serial "file=$W/r.log" </dev/null 2>"$W/r.err.log"
rc=$?
[ $rc = 42 ] || fail "exit status $rc: the check of that number in mb_reset.c failed"
grep -q 'MB: every reset was one' "$W/r.log" || fail "no verdict on the console"
[ ! -s "$W/r.err.log" ] || fail "kvmbus complained"
