#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# migrate.sh KERNEL CPUS ROUNDS [unix|tcp|tls [OPTION...]]: under fio --verify with fsync, a log of acknowledged writes and TCP connections through a tap a VM
# moves to and fro between two network namespaces, which stand for hosts: no I/O error, nothing lost, no connection reset. A migration that is interrupted, or
# whose target dies, leaves the VM running. With "tls" it moves through the cable, by TLS, with "tcp" without; OPTIONs are of kvmbus migrate; with FORMAT=qcow2 the image is one, or another format's.
. "$(dirname "$0")/lib.sh"
kernel=$1 cpus=$2 rounds=$3 kind=${4:-unix} A=unix:$W/s.migrate both=() more=("${@:5}")
I=$W/image.${FORMAT:=raw} # FORMAT: qcow2, vhdx or vhd, which a storage daemon serves; nbd: a server for both sides
case $FORMAT in
raw) truncate -s 256M "$I" ;;
nbd)
	truncate -s 256M "$I"
	qemu-nbd -t -e 4 -f raw -k "$W/nbd.sock" "$I" &
	until_true 20 "qemu-nbd does not start" test -S "$W/nbd.sock"
	I="nbd+unix:///?socket=$W/nbd.sock"
	;;
vhd) qemu-img create -q -f vpc -o force_size=on "$I" 256M ;;
*) qemu-img create -q -f "$FORMAT" "$I" 256M ;;
esac || skip "no qemu-img"
truncate -s 8M "$W/chain"
# each has a bridge with a tap of the same name, and a cable between them; the server is on the first
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
ip netns exec there ip addr add $NET_BITS.3/24 dev br0
if [ $kind = tls ]; then
	mkdir "$W/pki" && "$(dirname "$KVMBUS")/tests/mkcerts" "$W/pki" $NET_BITS.1 $NET_BITS.3 || fail "no certificates"
	both=(--tls "$W/pki")
fi
[ $kind != tcp ] || both=(--insecure)
python3 "$(dirname "$0")/echo-server.py" $NET_BITS.1 7000 &
vm s "$kernel" "kvmb.job=move kvmb.peer=$NET_BITS.1 kvmb.addr=$NET_BITS.2 kvmb.bytes=4000000 kvmb.secs=$((rounds * 3)) kvmb.fsync=16" \
	--cpus "$cpus" --memory 512M --disk "$I,on-error=stop" --disk "$W/chain,lun=2" --nic "tap=$TAP,mac=00:15:5d:00:00:07"
wait_log s 'GUEST: fio begins' 90
mkdir "$W/there" # names of VMs are free there
here=$XDG_RUNTIME_DIR there=$W/there go=(ip netns exec there) from=() # networks of target and source
is_listening() { # at $A
	[ $kind = unix ] && { test -S "${A#unix:}"; return; }
	"${go[@]}" grep -q ':19C8 00000000:0000 0A' /proc/net/tcp
}
choose_address() { [ $kind = unix ] || A=tcp:$NET_BITS.$([ ${#go[@]} = 0 ] && echo 1 || echo 3); }
choose_address
await_target() { # the process that the VM moves to: it waits for it at $A
	XDG_RUNTIME_DIR=$there "${go[@]}" "$KVMBUS" run --incoming "$A" "${both[@]}" </dev/null 2>"$W/there.log" & target=$!
	until_true 30 "no target" is_listening
}
migrate() { exec "${from[@]}" "$KVMBUS" migrate s "$A" "${both[@]}" "${more[@]}" "$@"; } # in a shell of its own
# nobody waits; interrupted at once; a target that dies: it goes on
(migrate) 2>"$W/m.log" && fail "it moved to nobody"
grep -q 'start the other side first' "$W/m.log" || fail "what it says: $(cat "$W/m.log")"
await_target
migrate --downtime 1 & migrate=$!
until_true 60 "it does not begin" info s 'migration'
kill -KILL $migrate
wait $target && fail "a target whose source gave up is the VM"
until_true 60 "the VM did not go on" info s 'state == "running" and not migration'
await_target
migrate --downtime 1 2>"$W/m.log" & migrate=$!
until_true 60 "it does not begin" info s 'migration'
kill -KILL $target
wait $migrate && fail "it moved to the dead"
until_true 60 "the VM did not go on" info s 'state == "running" and not migration'
wait $target
clock_sets() { tr -d '\r' <"$W/s.log" | grep '^GUEST: clock set by'; }
# by how much in all since it moved: on a busy machine time sync is late, and corrects itself
was_set() { set=$(clock_sets | tail -n +$((sets + 1)) | awk '{ gsub(/[^0-9-]/, "", $5); n += $5 } END { print n + 0 }'); }
agrees() { was_set; [ $((set - stood)) -lt 300 ] && [ $((stood - set)) -lt 300 ]; }
for ((i = 1; i <= rounds; i++)); do
	await_target
	sets=$(clock_sets | wc -l)
	# on a machine that is short of CPUs the guest may change memory faster than it is sent
	(migrate --downtime 1000 --auto-converge --timeout 200) >"$W/m.log" 2>&1 || fail "migrate: $(cat "$W/m.log")"
	[ ${#more[@]} = 0 ] || grep -q 'over the wire' "$W/m.log" || fail "it says: $(cat "$W/m.log")"
	echo "# round $i: $(cat "$W/m.log")"
	vm_end s 60 0
	mv "$W/there.log" "$W/s.err.log" # and what it says later
	PID_s=$target XDG_RUNTIME_DIR=$there there=$here here=$XDG_RUNTIME_DIR
	if [ ${#go[@]} = 0 ]; then go=(ip netns exec there) from=(); else go=() from=(ip netns exec there); fi
	choose_address
	until_true 60 "not there" info s 'state == "running"'
	until_true 60 "no heartbeat" info s 'integration.heartbeat.status == "ok"'
	# its clock stood while it did, and time sync tells it by how much: that is what we have reported
	stood=$(grep -o 'stood for [0-9]*' "$W/m.log") stood=${stood##* }
	[ "$stood" -lt 20 ] || until_true 60 "it stood for $stood ms, and its clock was not set by that" agrees
	was_set; echo "# the guest's clock was set by $set ms"
done
truncate -s 16M "$W/end" && "$KVMBUS" disk s add "$W/end,lun=7" || fail "disk add" # fio reads all back, and ends
wait_log s 'GUEST: ok fio' $((rounds * 20 + 300))
acked=$(tr -d '\r' <"$W/s.log" | grep -oE '^GUEST: chain [0-9]+$' | tail -1) acked=${acked##* }
[ "$acked" -gt $((rounds * 10)) ] || fail "only $acked records were written"
"$GUEST_BIN/chain" check "$W/chain" "$acked" >"$W/m.log" || fail "$acked records were acknowledged: $(cat "$W/m.log")"
echo "# $(cat "$W/m.log"), $acked acknowledged"
grep -h -e 'GUEST: fio read' -e 'GUEST: streams' "$W/s.log" | tr -d '\r' | sed "s/^GUEST:/#/"
stop s
vm_end s 60 0
case $FORMAT in qcow2 | vhdx) qemu-img check -q "$I" || fail "qemu-img check finds faults" ;; esac
