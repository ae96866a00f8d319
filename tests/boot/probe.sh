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
# but that of file copy: since Linux 6.10 its driver is a daemon
grep 'GUEST: channel' "$W/p.log" | grep -v 'device {\?eb765408-105f-49b6-b4aa-c123b64d17d4' | grep -qv ' state 3' && fail "a channel is not open"
info p "state == 'running' and vmbus.version == '$want'" || fail "info has another state or version"
info p 'all(c.state == "open" or c.name == "fcopy" for c in channels)' || fail "info has a channel that is not open"
info p 'integration.heartbeat.state == "ready" and integration.heartbeat.status == "ok"' || fail "the heartbeat is not well"
until_true 10 "no heartbeat" info p 'integration.heartbeat.beats >= 1'
stop p
vm_end p 30 0
