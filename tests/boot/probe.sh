#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# probe.sh KERNEL CPUS [OPTIONS]: a stock kernel comes up, finds its devices, is shut down by the host.
. "$(dirname "$0")/lib.sh"
kernel=$1 cpus=$2; shift 2
want=${WANT_VERSION:-5.3}
disk d 16
tap
python3 "$(dirname "$0")/echo-server.py" $NET_BITS.1 7000 &
vm p "$kernel" "kvmb.job=probe kvmb.sum=$DISK_SUM kvmb.cpus=$cpus kvmb.wait=1 kvmb.peer=$NET_BITS.1 kvmb.addr=$NET_BITS.2" --cpus "$cpus" --memory 512M \
	--disk "$W/d" --nic "tap=$TAP" "$@"
wait_log p 'GUEST: ok probe' 90
grep -q "GUEST: vmbus $want" "$W/p.log" || fail "VMBus $want was not negotiated: $(grep 'GUEST: vmbus' "$W/p.log")"
[ "$(grep -c 'GUEST: channel .* state 3' "$W/p.log")" = "$(grep -c 'GUEST: channel' "$W/p.log")" ] || fail "a channel is not open"
"$KVMBUS" info p --json | python3 -c '
import json, sys
i = json.load(sys.stdin)
assert i["state"] == "running" and i["vmbus"]["version"] == sys.argv[1], i["vmbus"]
assert all(c["state"] == "open" for c in i["channels"]), i["channels"]
hb = i["integration"]["heartbeat"]; assert hb["state"] == "ready" and hb["status"] == "ok", hb' "$want" || fail "info disagrees"
end=$((SECONDS + 10)); until [ "$("$KVMBUS" info p --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["integration"]["heartbeat"]["beats"])')" -ge 1 ]; do
	[ $SECONDS -lt $end ] || fail "no heartbeat"; nap 0.3; done
"$KVMBUS" stop p --timeout 60 || fail "stop"
vm_end p 30 0
