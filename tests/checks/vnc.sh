#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# `kvmbus vnc` before a screen without a VM (tests/harness/screen_vm.c): what clients see and press, who may connect, hostile clients, ends.
cd "$(dirname "$0")/../.." || exit 1
K=$(realpath "${K:-build/kvmbus}") RFB=$PWD/tests/harness/rfb.py SCREEN=$PWD/build/tests/screen-vm W=$(mktemp -d) bad=0 n=0
export XDG_RUNTIME_DIR=$W KVMBUS_PATIENCE=5
mkdir "$W/kvmbus"; cd "$W" || exit 1
PIDS=()
trap 'kill -KILL "${PIDS[@]}" 2>/dev/null; rm -rf "$W"' EXIT
err() { echo "not ok vnc: $*"; bad=1; }
until_true() { local end=$((SECONDS + 30)); until "$@"; do [ $SECONDS -lt $end ] || { err "not: $*: $(tail -5 said)"; return 1; }; sleep 0.05; done; }
screen() { "$SCREEN" "$W/kvmbus/s.sock" >said 2>&1 & VM=$!; PIDS+=($VM); until_true grep -qs up said; }
serve() { # NAME [OPTION...]
	local name=$1; shift
	$K vnc s "$@" >"$name.out" 2>"$name.err" & SERVER=$!; PIDS+=($SERVER)
	until_true test -s "$name.out"
}
# client ADDRESS PASSWORD "COMMAND; COMMAND": its output is OUT
client() { n=$((n + 1)); OUT=$(tr ';' '\n' <<<"$3" | sed 's/^ *//' | timeout 60 python3 "$RFB" "$1" $2 2>client.err); }
does() { client "$@" || err "$*: $(<client.err)"; }
fails() { ! client "$1" "$2" "$3" || err "$3: went well"; grep -q -- "$4" client.err || err "$3: $(<client.err)"; }
says() { [ "$(tr '\n' ' ' <<<"$OUT")" = "$1 " ] || err "not $1 but: $OUT"; }
pressed() { until_true grep -qx -- "$1" said; }
viewers() { [ "$($K info s --json | sed -n 's/.*"viewers": \([0-9]*\).*/\1/p')" = "$1" ]; }

screen; serve a
U=$W/kvmbus/s.vnc
[ "$(<a.out)" = "unix:$U" ] && [ "$(stat -c %a "$U")" = 600 ] || err "where: $(<a.out)"
viewers 0 || err "somebody looks"
does "$U" '' 'name; size; await 0 0 101010; await 719 399 808080; key 41; await 0 0 1e1e1e; pixel 719 399'
says 'screen - kvmbus 720x400 808080'
pressed +42; pressed +30; pressed -30
until_true viewers 0
# another size, for who understands it and who does not
does "$U" '' 'await 0 0 1e1e1e; key ffbe; await 511 383 3b3b3b; await 1023 767 808080; size'; says 1024x768
does "$U" '' 'no-resize; await 1023 767 808080; key ffbf; await 0 0 3c3c3c; await 1000 700 000000; pixel 719 399; size'; says '808080 1024x768'
does "$U" '' 'no-resize; await 719 399 808080; key ffbe; await 511 383 3b3b3b; pixel 719 399; size'; says '808080 720x400'
# who leaves lets go
does "$U" '' 'await 0 0 3b3b3b; down ffe3; point 300 200 0; point 310 195 1; wait 0.2'
pressed +29; pressed 'mouse 10 -5 0 1'; pressed 'mouse 0 0 0 0'; pressed -29
# hostile: garbage, more than there is, a client that reads nothing; the others go on
for bytes in 1 30 3000 100000; do client "$U" '' "junk $bytes; wait 0.1" || true; done
client "$U" '' 'cut 5000; cut 1000000; await 0 0 1d1d1d; size' || err "a clipboard: $(<client.err)"
client "$U" '' 'cut 4294967295; gone' || true
(tr ';' '\n' <<<'await 0 0 1d1d1d;deaf' | timeout 30 python3 "$RFB" "$U" 2>/dev/null &)
until_true viewers 1
does "$U" '' 'await 0 0 1d1d1d; key 62; await 0 0 303030'
head -c 100000 /dev/urandom | timeout 5 python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
try: s.sendall(sys.stdin.buffer.read()); s.recv(100)
except OSError: pass' "$U"
# more than there is room for: hung up on, and room again later
python3 - "$U" <<-'P' || err "not eight at a time"
	import socket, sys, time
	def connect():
	    s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.settimeout(10); return s
	def greeted(s):
	    try: return s.recv(12) == b'RFB 003.008\n'
	    except OSError: return False
	num = sum([greeted(s) for s in [connect() for _ in range(12)]])
	assert 5 <= num <= 8, num
P
few() { [ "$(pgrep -c -P $SERVER -x kvmbus-vnc)" -le 2 ]; }
until_true few
does "$U" '' 'await 0 0 303030'
grep . a.err && err "the server has said something"
[ -z "$(pgrep -P $SERVER -x kvmbus-vnc)" ] || for p in $(pgrep -P $SERVER -x kvmbus-vnc); do # confined
	grep -q '^Seccomp:[[:space:]]*2' /proc/$p/status && grep -q '^CapEff:[[:space:]]*0*$' /proc/$p/status || err "$p is not confined"
done

# passwords
echo secret >pw
first=$SERVER; serve b --listen 127.0.0.1:15987 --password-file pw
does 127.0.0.1:15987 secret 'await 0 0 303030'
fails 127.0.0.1:15987 Secret size 'refused: '
fails 127.0.0.1:15987 '' size 'security types: 02'
kill $SERVER; wait $SERVER || err "status of a server that is ended: $?"
# nobody types
serve c --listen "unix:$W/look" --view-only --json; grep -q "\"listen\": \"unix:$W/look\"" c.out || err "json: $(<c.out)"
grep -c '^[+-]' said >before; does "$W/look" '' 'await 0 0 303030; key 63; point 5 5 1; wait 0.3'
[ "$(grep -c '^[+-]' said)" = "$(<before)" ] || err "one who only looks has typed"
# a server that is killed takes its clients along, and can begin again
(tr ';' '\n' <<<'await 0 0 303030;gone' | timeout 30 python3 "$RFB" "$W/look" 2>/dev/null; echo "$?" >gone) &
until_true viewers 1 || true
kill -KILL $SERVER; wait $SERVER 2>/dev/null; until_true test -e gone; until_true viewers 0 || true
serve c --listen "unix:$W/look"; does "$W/look" '' 'await 0 0 303030'
# the VM ends: so do its servers, and their sockets
does "$W/look" '' 'await 0 0 303030; key ffc9; gone'
wait $SERVER || err "status when the VM ends: $?"
wait $first || err "status of the first when the VM ends: $?"
[ ! -e "$U" ] && [ ! -e "$W/look" ] || err "sockets stay"
[ $bad = 0 ] && echo "ok vnc ($n clients)"
exit $bad
