#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# console.sh KERNEL: 20,000 bytes pasted into `kvmbus console` reach the guest; 2,000 lines come out; nothing is lost.
. "$(dirname "$0")/lib.sh"
head -c 20000 /dev/urandom >"$W/typed"
vm c "$1" "kvmb.job=console kvmb.bytes=20000 kvmb.sum=$(sha256sum <"$W/typed" | cut -c1-64)" --memory 256M --nic none
wait_log c 'GUEST: type' 90
"$KVMBUS" console c <"$W/typed" >"$W/shown" &
wait_log c 'GUEST: ok console' 90
vm_end c 30 0
wait %2 || true # it ends with the VM
for f in c.log shown; do
	[ "$(tr -d '\r' <"$W/$f" | grep -c '^line ')" = 2000 ] || fail "$f: lines are missing"
	[ "$(tr -d '\r' <"$W/$f" | sed -n 's/^line //p')" = "$(seq 2000)" ] || fail "$f: lines are not in order"
done
