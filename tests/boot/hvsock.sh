#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# hvsock.sh KERNEL [MBYTES]: a stock guest's AF_VSOCK by socat, both ways: a hundred connections at once, MBYTES (1024) through one with
# equal checksums, half-closed ones; exec by the agent; refusals; a pause; a reset; a save and restore, after which new ones work.
. "$(dirname "$0")/lib.sh"
kernel=$1 mb=${2:-1024} S=$W/saved.state V=$W/kvmbus/v.vsock
G() { timeout 600 "$KVMBUS" exec v -- "$@" </dev/null; } # a command in the guest
vm v "$kernel" "kvmb.job=sockets" --cpus 2 --memory 512M --nic none
wait_log v 'GUEST: sockets' 90
talks() { [ "$(printf 'hello' | timeout 30 "$KVMBUS" vsock v 5000)" = hello ]; }
works() { until_true 120 "no echo" talks; until_true 60 "no agent" G true; }
works
# exec
[ "$(G uname -r)" = "$(G cat /proc/sys/kernel/osrelease)" ] || fail "exec: streams"
G sh -c 'exit 7'; [ $? = 7 ] || fail "exec: the status is lost"
[ "$(printf 'a\nb\n' | timeout 60 "$KVMBUS" exec v -- wc -l | tr -d ' ')" = 2 ] || fail "exec: standard input"
G sh -c 'kill -9 $$'; [ $? = 137 ] || fail "exec: a signal's status"
timeout --preserve-status -s INT 5 "$KVMBUS" exec v -- sleep 300 </dev/null; [ $? = 130 ] || fail "exec: Ctrl-C"
# refusals: nobody listens there
timeout 60 "$KVMBUS" vsock v 5999 </dev/null 2>"$W/err" && fail "port 5999 is served"
grep -q 'nobody listens on port 5999' "$W/err" || fail "said: $(<"$W/err")"
G sh -c 'socat -u - VSOCK-CONNECT:2:6999 </dev/null' 2>/dev/null && fail "the guest reaches a port of nobody"
# a hundred at once, each way
for ((i = 0; i < 100; i++)); do (
	exec 3< <(printf 'one %d' $i | timeout 120 "$KVMBUS" vsock v 5000); read -r -u3 line; [ "$line" = "one $i" ] || echo $i >>"$W/bad"
) & done
wait $(jobs -p | grep -v "^$PID_v$"); [ ! -e "$W/bad" ] || fail "of a hundred clients: $(tr '\n' ' ' <"$W/bad")"
socat -t 60 "UNIX-LISTEN:${V}_6000,fork,backlog=128" EXEC:cat & H=$!
until_true 20 "no listener" test -S "${V}_6000"
G sh -c 'for i in $(seq 100); do (r=$(echo $i | socat -t 60 - VSOCK-CONNECT:2:6000); [ "$r" = $i ] || echo $i >>/tmp/bad) & done; wait; [ ! -e /tmp/bad ]' ||
	fail "of the guest's hundred: $(G cat /tmp/bad | tr '\n' ' ')"
kill $H; rm -f "${V}_6000"
# much, each way
head -c $((mb << 20)) /dev/urandom >"$W/much"; sum=$(md5sum <"$W/much" | cut -c1-32); t0=$(date +%s%N)
[ "$(timeout 1200 "$KVMBUS" exec v -- md5sum <"$W/much" | cut -c1-32)" = "$sum" ] || fail "$mb MiB arrive in the guest as something else"
G sh -c 'socat -u VSOCK-LISTEN:5001 - | md5sum >/tmp/got' & R=$!
sleep 5; t1=$(date +%s%N)
timeout 1200 "$KVMBUS" vsock v 5001 <"$W/much" || fail "to the guest"
wait $R; t2=$(date +%s%N)
[ "$(G cut -c1-32 /tmp/got)" = "$sum" ] || fail "$mb MiB arrive by vsock as something else"
socat -u "UNIX-LISTEN:${V}_6001" - <&- >"$W/back" & H=$!
until_true 20 "no listener" test -S "${V}_6001"; t3=$(date +%s%N)
want=$(G sh -c "mkfifo /tmp/f; md5sum </tmp/f >/tmp/out & head -c $((mb << 20)) /dev/urandom | tee /tmp/f | socat -u - VSOCK-CONNECT:2:6001; wait; cut -c1-32 /tmp/out")
wait $H; t4=$(date +%s%N)
[ "$(md5sum <"$W/back" | cut -c1-32)" = "$want" ] || fail "$mb MiB arrive on the host as something else"
echo "# $mb MiB: by exec $(((t1 - t0) / 1000000)) ms, to the guest $(((t2 - t1) / 1000000)) ms, from it $(((t4 - t3) / 1000000)) ms"
rm -f "$W/much" "$W/back"
# half: the guest answers after it has heard the end
[ "$(printf 'x\ny\n' | timeout 60 "$KVMBUS" exec v -- sort -r | tr -d '\n')" = yx ] || fail "half-closed"
# a pause keeps them, a reset and a move do not
mkfifo "$W/in"; timeout 600 "$KVMBUS" vsock v 5000 <"$W/in" >"$W/out" & C=$!
exec 4>"$W/in"; echo before >&4; until_true 30 "no echo" grep -q before "$W/out"
"$KVMBUS" pause v && sleep 1 && "$KVMBUS" resume v || fail pause
echo after >&4; until_true 30 "it does not survive a pause" grep -q after "$W/out"
info v 'len(vsock.connections) == 1 and vsock.connections[0].port == 5000' || fail "info: $(info v vsock)"
"$KVMBUS" save v "$S" || fail save
vm_end v 60 0; wait $C; exec 4>&-
"$KVMBUS" restore "$S" </dev/null 2>>"$W/v.err.log" & PID_v=$!
until_true 60 "not restored" info v 'state == "running"'
works
until_true 30 "a channel is left: $(info v 'channels')" info v 'all(c.name != "vsock" for c in channels)'
G sh -c 'dmesg | grep -E "WARNING: |BUG:|Call Trace"' && fail "the guest's kernel complains"
timeout 600 "$KVMBUS" vsock v 5000 </dev/zero >/dev/null & C=$!
sleep 2; "$KVMBUS" reset v || fail reset
wait $C
until_true 120 "it does not boot again" info v 'boots == 2'
works
"$KVMBUS" kill v
