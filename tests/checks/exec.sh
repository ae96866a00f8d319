#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vsock and exec with the agent itself, on this host; the guest's socket is fake-vsock.py. No VM runs: fake-vm.py.
cd "$(dirname "$0")/../.." || exit 1
K=$(realpath "${K:-build/kvmbus}") A=$(realpath "${A:-build/tests/kvmbus-agent}") W=$(mktemp -d) bad=0 n=0
export XDG_RUNTIME_DIR=$W KVMBUS_PATIENCE=3
mkdir "$W/kvmbus"
PIDS=()
trap 'kill -KILL "${PIDS[@]}" 2>/dev/null; rm -rf "$W"' EXIT
err() { echo "not ok exec: $*"; bad=1; }
up() { # LOG COMMAND...
	local log=$1 end=$((SECONDS + 60)); shift
	: >"$log" # an earlier one has said "up" in it
	"$@" >>"$log" 2>&1 & PIDS+=($!); disown
	until grep -qs up "$log"; do [ $SECONDS -lt $end ] || { err "no fake: $(<"$log")"; exit 1; }; sleep 0.05; done
}
vm() { up "$W/$1.said" python3 tests/checks/fake-vm.py ok "$W/kvmbus/$1.sock"; }
vm web; up "$W/vsock.said" python3 tests/checks/fake-vsock.py "$W/kvmbus/web.vsock" "$A"
# expect STATUS STDOUT STDERR-PATTERN-OR-"" COMMAND...: stdin is $IN
expect() {
	local want=$1 out=$2 pattern=$3 rc; shift 3
	OUT=$(timeout 60 "$@" 2>"$W/err" <<<"$IN"); rc=$?; ERR=$(<"$W/err"); n=$((n + 1))
	[ $rc = "$want" ] || err "$*: status $rc, not $want: $OUT $ERR"
	[ "$OUT" = "$out" ] || err "$*: printed: $OUT"
	if [ -n "$pattern" ]; then grep -qE -- "$pattern" <<<"$ERR"; else [ -z "$ERR" ]; fi || err "$*: said: $ERR"
}
IN=hello
expect 0 hello '' $K vsock web 7
expect 0 bye '' $K vsock web 8
expect 5 '' 'port 9 of its guest' $K vsock web 9
expect 1 '' 'nobody listens on port 10 in its guest$' $K vsock web 10
vm bare; expect 1 '' 'it has no sockets' $K vsock bare 7
expect 2 '' 'PORT "x"' $K vsock web x
expect 3 '' 'no VM' $K vsock none 7
IN=
expect 0 'a  b' '' $K exec web -- echo 'a  b'
expect 0 '--json -- x' '' $K exec web -- echo --json -- x
expect 7 '' '^two$' $K exec web -- sh -c 'echo two >&2; exit 7'
expect 127 '' '/nonesuch: No such file' $K exec web -- /nonesuch
expect 137 '' '' $K exec web -- sh -c 'kill -9 $$'
expect 0 / '' $K exec web -- pwd
expect 2 '' 'which command' $K exec web
expect 2 '' 'unexpected word' $K exec web ls
expect 255 '' 'exec needs kvmbus-agent|it has no sockets' $K exec bare -- true
IN=$'one\ntwo'; expect 0 2 '' $K exec web -- wc -l
# much both ways, and a command that reads nothing or leaves somebody behind
head -c 20000000 /dev/urandom >"$W/much"
cmp <(timeout 120 $K exec web -- cat <"$W/much") "$W/much" || err "20 MB came back otherwise"
[ "$(timeout 120 $K vsock web 7 <"$W/much" | md5sum)" = "$(md5sum <"$W/much")" ] || err "20 MB of vsock came back otherwise"
IN=; timeout 60 $K exec web -- true <"$W/much" || err "a command that does not read"
timeout 20 $K exec web -- sh -c 'sleep 300 & echo left' </dev/null >"$W/out" || err "what is left behind is waited for"
[ "$(<"$W/out")" = left ] || err "last words: $(<"$W/out")"
# signals: also past input that nobody takes
timeout -s INT 3 $K exec web -- sh -c 'trap "echo caught; exit 9" INT; while :; do sleep 0.1; done' <"$W/much" >"$W/out"
[ "$(<"$W/out")" = caught ] || err "Ctrl-C: $(<"$W/out")"
# a connection that breaks takes its command along
$K exec web -- sh -c "echo \$\$ >$W/shell; sleep 300" </dev/null & killed=$!
until [ -s "$W/shell" ]; do sleep 0.1; done
kill -KILL $killed; wait $killed 2>/dev/null
for ((i = 0; i < 100; i++)); do kill -0 "$(<"$W/shell")" 2>/dev/null || break; sleep 0.1; done
kill -0 "$(<"$W/shell")" 2>/dev/null && err "the command outlives its client"
# agents that lie
IN=
for ((i = 0; i < 9; i++)); do
	rm -f "$W/kvmbus/liar.vsock"; [ -e "$W/kvmbus/liar.sock" ] || vm liar
	LIE=$i up "$W/lies.said" python3 tests/checks/fake-vsock.py "$W/kvmbus/liar.vsock" "$A"
	timeout 20 $K exec liar -- true </dev/null >/dev/null 2>"$W/err"; rc=$?
	case $i in 5) [ $rc = 0 ];; *) [ $rc = 255 ];; esac || err "lie $i: status $rc: $(<"$W/err")"
done
# hosts that lie to the agent: it ends
sock() { python3 - "$A" "$1" <<'PY' || err "the agent before $1"
import socket, subprocess, sys
a, b = socket.socketpair()
p = subprocess.Popen([sys.argv[1], '--inetd'], stdin=b)
b.close()
a.sendall(bytes.fromhex(sys.argv[2]))
a.settimeout(20)
while True:
    try:
        if not a.recv(65536):
            break
    except ConnectionError:
        break
sys.exit(0 if p.wait(20) == 1 else 1)
PY
n=$((n + 1)); }
sock 0100000000000000                                     # START of nothing
sock 01000000ffffffff
sock 0200000000000000                                     # STDIN first
sock 010000000800000001000000ff000000                     # strings that are not there
sock 010000000a0000000100000001000000'6161'               # one without an end
sock 010000000a0000000200000001000000'6100'               # a version to come
sock 010000000b0000000100000001000000'610061'             # more than it says
sock 01000000090000000100000001000000'00'                 # no name
sock 6300000000000000
[ $bad = 0 ] && echo "ok exec ($n cases)"
exit $bad
