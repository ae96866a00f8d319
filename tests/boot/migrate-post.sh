#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# migrate-post.sh KERNEL CPUS ROUNDS: under fio --verify with fsync, a log of acknowledged writes and TCP connections through a tap a VM
# moves after one round, and the rest of its memory comes when it runs (--postcopy). In every other round the link is cut then: the VM is
# paused, its source stays, and does not let itself be killed; mended (--recover), it goes on. No I/O error, nothing lost, no connection reset.
. "$(dirname "$0")/lib.sh"
kernel=$1 cpus=$2 rounds=$3
I=$W/image.raw; truncate -s 256M "$I"; truncate -s 8M "$W/chain"
# each side has a bridge with a tap of the same name, and a cable between them; the server is on the first
TAP=kvmbt0
trap 'kill $(jobs -p) 2>/dev/null; wait 2>/dev/null; for l in $TAP cable br0; do ip link del $l; done 2>/dev/null; ip netns del there; rm -rf "$W"' EXIT
ip netns add there || skip "no network namespace can be made here"
ip link add cable type veth peer name cable netns there
host() { # [COMMAND...]: before each command that makes one's network
	"$@" ip link add br0 type bridge forward_delay 0 && "$@" ip link set br0 up && "$@" ip link set cable master br0 up &&
		"$@" ip tuntap add $TAP mode tap multi_queue && "$@" ip link set $TAP master br0 up || skip "no network can be made here"
}
host; host ip netns exec there
ip addr add $NET_BITS.1/24 dev br0
python3 "$(dirname "$0")/echo-server.py" $NET_BITS.1 7000 &
vm s "$kernel" "kvmb.job=move kvmb.peer=$NET_BITS.1 kvmb.addr=$NET_BITS.2 kvmb.bytes=4000000 kvmb.secs=$((rounds * 8)) kvmb.fsync=16" \
	--cpus "$cpus" --memory 512M --disk "$I,on-error=stop" --disk "$W/chain,lun=2" --nic "tap=$TAP,mac=00:15:5d:00:00:07"
wait_log s 'GUEST: fio begins' 90
mkdir "$W/there" # names of VMs are free there
here=$XDG_RUNTIME_DIR there=$W/there go=(ip netns exec there) from=() # networks of target and source
in_dir() { XDG_RUNTIME_DIR=$1 info s "$2" 2>/dev/null; } # DIRECTORY EXPRESSION
await_target() { # RATE...: at $W/a; $W/b leads there, over a link that can be cut
	rm -f "$W/a" "$W/b"
	XDG_RUNTIME_DIR=$there "${go[@]}" "$KVMBUS" run --incoming "unix:$W/a" </dev/null 2>"$W/there.log" & target=$!
	until_true 30 "no target" test -S "$W/a"
	make_link "$@"
}
make_link() { python3 "$(dirname "$0")/link.py" "$W/b" "$W/a" "$@" & link=$!; until_true 30 "no link" test -S "$W/b"; }
serves() { gone $migrate || in_dir "$here" 'bool(migration) and migration.step == "serving" and migration.later > 2000000'; }
mend() {
	rm -f "$W/a" "$W/b"
	XDG_RUNTIME_DIR=$there "$KVMBUS" migrate s "unix:$W/a" --recover >"$W/mend.log" 2>&1 & mend=$!
	until_true 60 "it does not wait" test -S "$W/a"
	make_link 100000000
	"$KVMBUS" migrate s "unix:$W/b" --recover >"$W/m.log" 2>&1 & migrate=$!
}
# what both sides warn of when the link is cut, and nothing else
expected() { ! grep -vE 'memory has not come: .*nothing is lost|memory comes; the VM goes on|it runs elsewhere, and misses|the VM runs on the other side, and misses' "$1" | grep -q .; }
cuts=0 later=0
for ((i = 1; i <= rounds; i++)); do
	if [ $((i % 2)) = 1 ]; then await_target 8000000; else await_target 8000000 200000; fi # slow, to be cut in time
	"${from[@]}" "$KVMBUS" migrate s "unix:$W/b" --postcopy --downtime 1 >"$W/m.log" 2>&1 & migrate=$!
	if [ $((i % 2)) = 0 ]; then
		until_true 120 "it does not move" serves
		gone $migrate && fail "all has come before the link could be cut: $(cat "$W/m.log")"
		kill -9 $link; wait $link 2>/dev/null
		wait $migrate && fail "it was said to have moved: $(cat "$W/m.log")"
		grep -q 'kvmbus migrate --recover' "$W/m.log" || fail "what it says: $(cat "$W/m.log")"
		# vCPUs that sleep in a page fault do not come to stand before Linux 6.2; but nothing runs on
		until_true 60 "it was not stopped" in_dir "$there" '"has not come" in (stop_reason or "") and memory_comes.state == "broken"'
		echo "# cut: $(XDG_RUNTIME_DIR=$there info s 'state + ", " + str(memory_comes.left >> 10) + " KiB have not come"')"
		in_dir "$here" 'migration.step == "broken" and migration.later > 0' || fail "the source does not keep its memory"
		"$KVMBUS" kill s 2>"$W/kill.log" && fail "the source let itself be killed"
		grep -q 'kill --force' "$W/kill.log" || fail "what kill says: $(cat "$W/kill.log")"
		XDG_RUNTIME_DIR=$there "$KVMBUS" save s "$W/state" 2>/dev/null && fail "it was saved without a part of its memory"
		nap 2
		mend
		wait $mend || fail "mend: $(cat "$W/mend.log")"
		cuts=$((cuts + 1))
	fi
	wait $migrate || { where_it_stands "$PID_s"; where_it_stands $target; fail "migrate: $(cat "$W/m.log")"; }
	kill $link 2>/dev/null; wait $link 2>/dev/null
	echo "# round $i: $(cat "$W/m.log")"
	! grep -q 'without all of its memory' "$W/m.log" || later=$((later + 1))
	QUIET=1 vm_end s 60 0
	expected "$W/s.err.log" || fail "the source complained"
	mv "$W/there.log" "$W/s.err.log" # and what it says later
	PID_s=$target XDG_RUNTIME_DIR=$there there=$here here=$XDG_RUNTIME_DIR
	if [ ${#go[@]} = 0 ]; then go=(ip netns exec there) from=(); else go=() from=(ip netns exec there); fi
	until_true 60 "not there" info s 'state == "running" and not memory_comes and not memory_left'
	until_true 60 "no heartbeat" info s 'integration.heartbeat.status == "ok"'
done
echo "# $cuts links were cut; in $later rounds memory came later"
[ $later -ge $((rounds - 1)) ] || fail "memory came before in most rounds"
truncate -s 16M "$W/end" && "$KVMBUS" disk s add "$W/end,lun=7" || fail "disk add" # fio reads all back, and ends
wait_log s 'GUEST: ok fio' $((rounds * 20 + 300))
acked=$(tr -d '\r' <"$W/s.log" | grep -oE '^GUEST: chain [0-9]+$' | tail -1) acked=${acked##* }
[ "$acked" -gt $((rounds * 10)) ] || fail "only $acked records were written"
"$GUEST_BIN/chain" check "$W/chain" "$acked" >"$W/m.log" || fail "$acked records were acknowledged: $(cat "$W/m.log")"
echo "# $(cat "$W/m.log"), $acked acknowledged"
grep -h -e 'GUEST: fio read' -e 'GUEST: streams' "$W/s.log" | tr -d '\r' | sed "s/^GUEST:/#/"
stop s
QUIET=1 vm_end s 60 0
expected "$W/s.err.log" || fail "the VM complained"
