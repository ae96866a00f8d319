#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# memory.sh KERNEL: hv_balloon of a stock kernel gives memory away under load, gets it back, and more than it began with; what the
# host has of it follows, and a saved VM does not have what was given away.
. "$(dirname "$0")/lib.sh"
kernel=$1 S=$W/saved.state
memory() { "$KVMBUS" memory v --json | pick "$1"; } # EXPRESSION
set_to() { "$KVMBUS" memory v set "$1" >/dev/null || fail "memory set $1"; }
mib() { memory "$1 >> 20"; }
vm v "$kernel" "kvmb.job=memory memhp_default_state=online" --cpus 2 --memory 512M,min=128M,max=768M --nic none
wait_log v 'GUEST: filled' 240
full=$(mib resident)
[ "$full" -gt 350 ] || fail "the guest has filled memory, and the host has $full MiB of it"
wait_log v 'GUEST: empty' 60
until_true 60 "the guest has no driver" memory 'state == "ready" and pressure is not None'
set_to 224M
until_true 120 "the guest does not shrink" memory 'assigned <= 230 << 20'
wait_log v 'GUEST: small' 60
until_true 30 "the host does not get it back: $full MiB were used" memory "resident >> 20 < $full - 150"
echo "# $full MiB, then $(mib resident) MiB; pressure $(memory pressure) %"
small=$(mib resident)
"$KVMBUS" save v "$S" || fail save
vm_end v 60 0
[ "$(du -m "$S" | cut -f1)" -le $((small + 24)) ] || fail "the state has $(du -m "$S" | cut -f1) MiB, of $small"
"$KVMBUS" restore "$S" </dev/null 2>>"$W/v.err.log" & PID_v=$!
until_true 60 "not restored" info v 'state == "running" and memory_left == 0'
memory 'ballooned > 250 << 20' || fail "nothing is given away any more"
set_to 512M
until_true 120 "the guest does not grow" memory 'assigned == 512 << 20'
wait_log v 'GUEST: back' 120
set_to 768M
until_true 180 "the guest takes no new memory" memory 'assigned == 768 << 20 and added == 256 << 20'
wait_log v 'GUEST: grown' 120
set_to 224M
until_true 120 "the guest does not shrink again" memory 'assigned <= 240 << 20'
wait_log v 'GUEST: ok' 120
vm_end v 60 0
