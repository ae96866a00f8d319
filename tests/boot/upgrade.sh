#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# upgrade.sh KERNEL CPUS ROUNDS: under fio --verify with fsync, a log of acknowledged writes and TCP connections through a tap that
# can be opened once, a VM goes on in another process of the same host, again and again: no I/O error, nothing lost, no connection
# reset, no memory copied, and its name is always there. One whose new process is killed goes on where it was.
. "$(dirname "$0")/lib.sh"
kernel=$1 cpus=$2 rounds=$3
I=$W/image.raw
truncate -s 256M "$I"
truncate -s 8M "$W/chain"
tap # one queue: a second process cannot open it
python3 "$(dirname "$0")/echo-server.py" $NET_BITS.1 7000 &
vm s "$kernel" "kvmb.job=move kvmb.peer=$NET_BITS.1 kvmb.addr=$NET_BITS.2 kvmb.bytes=4000000 kvmb.secs=$((rounds * 4)) kvmb.fsync=16" \
	--cpus "$cpus" --memory 512M --disk "$I,on-error=stop" --disk "$W/chain,lun=2" --nic "tap=$TAP,mac=00:15:5d:00:00:07"
wait_log s 'GUEST: fio begins' 90
(while "$KVMBUS" info s >/dev/null 2>"$W/watch.log"; do nap 0.1; done; touch "$W/unseen") & watch=$! # always somebody answers to its name
is_at() { [ "$(info s pid)" = "$1" ]; }
# the new process is killed, at whatever step it is. Stopped before: an old process that ends then has been told that the new one
# runs the VM, which is not to be killed
for ms in 020 070 150 300 600; do
	"$KVMBUS" upgrade s </dev/null 2>"$W/u.log" & new=$!
	nap 0.$ms
	kill -STOP $new
	for i in 1 2 3 4 5 6 7; do ! gone "$PID_s" || break; nap 1; done # five seconds are for names to be taken
	if gone "$PID_s"; then
		echo "# after $ms ms it was there already"
		kill -CONT $new; wait "$PID_s"; PID_s=$new
		until_true 60 "it does not go on" info s 'state == "running"'
		continue
	fi
	echo "# killed after $ms ms: $("$KVMBUS" info s --json | pick 'upgrade.step if upgrade else "not begun"')"
	kill -KILL $new
	wait $new 2>/dev/null
	until_true 60 "the VM did not go on" info s 'state == "running" and not upgrade'
	gone "$PID_s" && fail "the VM is nowhere"
done
: >"$W/s.err.log" # why they were given up
for ((i = 1; i <= rounds; i++)); do
	old=$PID_s
	"$KVMBUS" upgrade s </dev/null 2>"$W/u.log" & PID_s=$!
	until_true 60 "it does not go on in the new process" is_at $PID_s
	until_true 60 "the old process is still there" gone "$old"
	wait "$old" || fail "the old process ended with status $?"
	echo "# round $i: $(cat "$W/u.log")"
	grep -q 'no memory was copied' "$W/u.log" || fail "what it says: $(cat "$W/u.log")"
	bytes=$(sed -n 's/.* \([0-9]*\) bytes .*/\1/p' "$W/u.log")
	[ "$bytes" -lt 1000000 ] || fail "$bytes bytes were handed over"
	sed -i '/^VM "s" goes on in process/d' "$W/u.log"
	mv "$W/u.log" "$W/s.err.log" # and what it says later
	until_true 60 "not running" info s 'state == "running"'
	until_true 60 "no heartbeat" info s 'integration.heartbeat.status == "ok"'
	# its clock stood while it did, and time sync tells it by how much
	echo "# the guest's clock was set: $(tr -d '\r' <"$W/s.log" | grep '^GUEST: clock set by' | tail -1)"
	[ ! -e "$W/unseen" ] || fail "nobody answered to its name: $(cat "$W/watch.log")"
done
kill $watch
[ -z "$(ls "$W/kvmbus" | grep -v -e '^s.sock$' -e '^s.keeper$' -e '^s.vsock$')" ] || fail "left over: $(ls "$W/kvmbus")"
truncate -s 16M "$W/end" && "$KVMBUS" disk s add "$W/end,lun=7" || fail "disk add" # fio reads all back, and ends
wait_log s 'GUEST: ok fio' $((rounds * 20 + 120))
acked=$(tr -d '\r' <"$W/s.log" | grep -oE '^GUEST: chain [0-9]+$' | tail -1) acked=${acked##* }
[ "$acked" -gt $((rounds * 10)) ] || fail "only $acked records were written"
"$GUEST_BIN/chain" check "$W/chain" "$acked" >"$W/m.log" || fail "$acked records were acknowledged: $(cat "$W/m.log")"
echo "# $(cat "$W/m.log"), $acked acknowledged"
grep -h -e 'GUEST: fio read' -e 'GUEST: streams' "$W/s.log" | tr -d '\r' | sed "s/^GUEST:/#/"
stop s
vm_end s 60 0
[ -z "$(ls "$W/kvmbus")" ] || fail "left over: $(ls "$W/kvmbus")"
