#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kvp.sh KERNEL: what hv_kvp_daemon says reaches info and kvp, items of the administrator reach the guest, again after a
# restart and a restore; a daemon that is killed costs one answer.
. "$(dirname "$0")/lib.sh"
kernel=$1
tap
start() { "$@" k "$kernel" "kvmb.job=daemons kvmb.addr=$NET_BITS.2" --memory 384M --nic "tap=$TAP,mac=00:15:5d:00:00:07"; }
kvp() { "$KVMBUS" kvp k "$@"; }
start vm
wait_log k 'GUEST: daemons up' 150
until_true 90 "no service" info k 'integration.kvp.state == "ready"'
until_true 30 "no address" info k "'$NET_BITS.2' in integration.kvp.addresses"
"$KVMBUS" list | grep -q "$NET_BITS.2" || fail "list does not show the address"
release=$(sed -n 's/\r//; s/^GUEST: kernel //p' "$W/k.log")
[ "$(kvp get OSBuildNumber)" = "$release" ] || fail "OSBuildNumber is $(kvp get OSBuildNumber), not $release"
[ "$(kvp list --pool auto | wc -l)" = 10 ] || fail "$(kvp list)"
kvp set "schlüssel" "größe 1" || fail "set"
wait_log k 'GUEST: pool0 1 schlüssel.größe 1' 20
kvp set "schlüssel" "2" && kvp set second x || fail "set"
wait_log k 'GUEST: pool0 [0-9]+ .*second.x' 20
[ "$(kvp get "schlüssel" --pool external)" = 2 ] || fail "the guest has $(kvp list --pool external)"
kvp delete second || fail "delete"
! kvp get second 2>/dev/null || fail "it is still there"
! kvp delete second 2>"$W/out" && grep -q 'no such item' "$W/out" || fail "deleted twice: $(cat "$W/out")"
kvp ip | grep -q "$NET_BITS.2" || fail "ip: $(kvp ip)"
# a daemon that is killed and comes again
printf 'kill -9 $kvp\nitem greeting hello >/var/lib/hyperv/.kvp_pool_1\nsleep 3\nkvp_daemon' >"$W/cmd"
if "$KVMBUS" copy k "$W/cmd" :/tmp/cmd >/dev/null; then
	until_true 60 "no item of the guest's" eval '[ "$(kvp get greeting --pool guest 2>/dev/null)" = hello ]'
fi
# again after a restart of the guest, and in another process
"$KVMBUS" stop k --reboot || fail "reboot"
until_true 90 "it is not owed to the next guest" eval 'grep -c "GUEST: pool0 1 schlüssel.2" "$W/k.log" | grep -q "^[1-9]"'
"$KVMBUS" save k "$W/state" || fail "save"
wait
"$KVMBUS" restore "$W/state" </dev/null 2>"$W/k.err.log" & PID_k=$!
until_true 60 "no address after a restore" info k "'$NET_BITS.2' in integration.kvp.addresses"
[ "$(kvp get "schlüssel" --pool external)" = 2 ] || fail "after a restore: $(kvp list)"
: >"$W/end"
"$KVMBUS" copy k "$W/end" :/tmp/end >/dev/null 2>&1 || { "$KVMBUS" kill k; exit 0; }
vm_end k 60 0
exit 0
