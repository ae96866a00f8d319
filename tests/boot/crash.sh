#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# crash.sh KERNEL: a panic of the guest is reported, and it may reboot into a working bus.
. "$(dirname "$0")/lib.sh"
disk d 16
vm x "$1" "kvmb.job=crash panic=1" --cpus 2 --memory 512M --disk "$W/d"
wait_log x 'GUEST: about to panic' 90
end=$((SECONDS + 60)); until grep -q 'guest crash reported' "$W/x.err.log"; do [ $SECONDS -lt $end ] || fail "no crash report"; nap 0.2; done
end=$((SECONDS + 60)); until [ "$(grep -c 'GUEST: about to panic' "$W/x.log")" -ge 2 ]; do [ $SECONDS -lt $end ] || fail "no second boot"; nap 0.2; done
[ "$("$KVMBUS" info x --json | python3 -c 'import json,sys; print(len(json.load(sys.stdin)["crash"]))')" = 5 ] || fail "info has no crash"
QUIET=1; "$KVMBUS" kill x || fail kill
vm_end x 30 6
