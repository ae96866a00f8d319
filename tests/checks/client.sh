#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The commands before VMs that are slow, stuck, hostile, somewhere else; and disks by any name. No VM runs: fake-vm.py.
cd "$(dirname "$0")/../.." || exit 1
K=$(realpath "${K:-build/kvmbus}") FAKE=$PWD/tests/checks/fake-vm.py W=$(mktemp -d) bad=0 n=0
export XDG_RUNTIME_DIR=$W KVMBUS_PATIENCE=1
mkdir "$W/kvmbus"
PIDS=()
trap 'kill -KILL "${PIDS[@]}" 2>/dev/null; rm -rf "$W"' EXIT
err() { echo "not ok client: $*"; bad=1; }
fake() { # NAME MODE DISK...
	local name=$1 mode=$2; shift 2
	(python3 "$FAKE" "$mode" "$W/kvmbus/$name.sock" "$@" >"$W/$name.said" 2>&1 & echo $! >"$W/pid") # no job of ours: it may be killed in silence
	printf -v "PID_${name//[-.]/_}" %s "$(<"$W/pid")"; PIDS+=("$(<"$W/pid")")
	local end=$((SECONDS + 60))
	until grep -qs up "$W/$name.said"; do [ $SECONDS -lt $end ] || { err "no fake VM: $(<"$W/$name.said")"; exit 1; }; sleep 0.05; done
}
# expect STATUS PATTERN-OF-STDERR-OR-"" COMMAND...: stdout in $OUT, stderr in $ERR, at most one line of that
expect() {
	local want=$1 pattern=$2 rc; shift 2
	OUT=$(timeout 20 "$@" 2>"$W/err" </dev/null); rc=$?; ERR=$(<"$W/err"); n=$((n + 1))
	[ $rc = "$want" ] || err "$*: status $rc, not $want: $OUT $ERR"
	if [ -n "$pattern" ]; then [[ $ERR != *$'\n'* ]] && grep -qE -- "$pattern" <<<"$ERR"; else [ -z "$ERR" ]; fi || err "$*: said: $ERR"
}
gone() { ! grep -qs '^State:[[:space:]]*[A-WY]' /proc/$1/status || err "process $1 lives"; }
says() { [[ $OUT == *"$1"* ]] || err "not \"$1\" but: $OUT"; }
asked() { grep -qF -- "$2" "$W/$1.said" || err "$1 was not asked $2: $(<"$W/$1.said")"; }

# patience (U12): with the process, not with what takes time
fake mute silent; fake lazy slow "$W/a"; fake drip drip; fake flood endless
expect 5 'mute": its process has not answered for 1 second.*kvmbus kill mute' $K info mute
expect 5 'not answered' $K console mute
expect 5 'not answered' $K disk mute list
expect 5 'not answered' $K info drip
expect 1 'answer is too long' $K info flood
kill $PID_flood $PID_drip
fake last last; expect 0 '' $K pause last # as one that has moved
expect 0 '' $K disk lazy remove "$W/a"
expect 0 '' $K nic lazy remove net0
expect 0 '' $K kill lazy; kill -0 $PID_lazy || err "one that was about to end was killed"
fake late boots; expect 0 '' $K stop late --timeout 20; grep -qE '"timeout":(1[0-8]|[1-9])\}' "$W/late.said" || err "late: $(<"$W/late.said")"
BOOTS=600 fake later boots
expect 5 'shutdown service did not start in time; try: kvmbus kill later' $K stop later --timeout 1
# an end for every process (U12)
expect 0 "process $PID_mute did not answer and was killed" $K kill mute
gone $PID_mute
if [ $EUID = 0 ]; then # a link to somebody else's service, for a moment
	fake lent silent; chown -h 12345 "$W/kvmbus/lent.sock"
	expect 1 "cannot be killed: it belongs to another user than the socket" $K kill lent
	kill -0 $PID_lent || err "a process that is not the socket's owner's was killed"
	kill $PID_lent
fi
fake stuck silent; kill -STOP $PID_stuck
expect 0 "process $PID_stuck did not answer and was killed" $K kill stuck
gone $PID_stuck
fake full silent; kill -STOP $PID_full
for i in 1 2 3 4 5; do $K info full 2>/dev/null & done; sleep 2.5
expect 5 'not answered' $K info full # it takes no more connections
KVMBUS_PATIENCE=3 expect 0 '' $K list; grep -qE '^full +busy' <<<"$OUT" || err "full is not busy: $OUT"
expect 0 "process $PID_full did not answer and was killed" $K kill full
gone $PID_full
if [ $EUID = 0 ]; then # a user's, which only its keeper knows; not another user's
	mkdir -m 777 "$W/user"; chmod 755 "$W"; cp "$K" "${K%/*}/tests/hung-vm" "$W/user"
	(setpriv --reuid 12345 --regid 12345 --clear-groups "$W/user/hung-vm" "$W/user/hung.sock" >/dev/null & echo $! >"$W/pid"); HUNG=$(<"$W/pid")
	until grep -qs '^State:[[:space:]]*T' /proc/$HUNG/status; do kill -0 $HUNG || { err "no hung VM"; break; }; sleep 0.05; done
	PIDS+=($HUNG)
	expect 3 'belongs to another user' setpriv --reuid 12346 --regid 12346 --clear-groups "$W/user/kvmbus" kill "$W/user/hung.sock"
	expect 0 "process $HUNG did not answer and was killed" setpriv --reuid 12345 --regid 12345 --clear-groups "$W/user/kvmbus" kill "$W/user/hung.sock"
	gone $HUNG
fi
fake ends ends; expect 0 '' $K kill ends
fake leaves leaves; expect 0 '' $K kill leaves
gone $PID_leaves
fake good ok
expect 0 '' $K info good; says 'Screen:      vga, keyboard ps2, pointer -, 2 viewers'
says 'net0 00:15:5d:00:00:01, tap, up, MTU 0, now VMBus'; says 'net1 00:15:5d:00:00:02, none, up, MTU 0, now legacy NIC'
# services
expect 0 '' $K ic good; says 'heartbeat  yes      ready            3.0      1.5 s ago      ok'; says 'never          clock set 61 s ago, taken within 2 ms'
expect 0 '' $K ic good --disable timesync --enable kvp,max=4.0; says $'timesync disabled\nkvp enabled'
asked good '"spec":"timesync=off"'; asked good '"spec":"kvp=on,max=4.0"'
expect 0 '' $K ic good --check heartbeat; says 'heartbeat ok, last contact 1.5 s ago'
expect 2 'does not go with --enable' $K ic good --check heartbeat --enable kvp
expect 2 'no service has such a name' $K ic good --disable "$(printf 'x%.0s' {1..200})"
for v in lost-communication=1 no-contact=1 paused=4 disabled=4 nonsense=1; do
	HEARTBEAT=${v%=*} fake "hb-${v%=*}" ok
	expect ${v#*=} "heartbeat ${v%=*}, last contact 1.5 s ago" $K ic "hb-${v%=*}" --check heartbeat
done
expect 2 '--hibernate does not go with --reboot' $K stop good --reboot --hibernate
expect 0 '' $K stop good --hibernate --message 'see you'; asked good '"execute":"hibernate"'; asked good '"message":"see you"'
expect 0 '' $K kill good; asked good kill; kill -0 $PID_good || err "one that answers was killed"
fake dyn dynamic # its guest takes a few steps
expect 0 '' $K info dyn; says 'Dynamic:     2048 MiB of 512 to 8192 MiB, ready, wants 800 MiB (pressure 39 %)'
expect 0 '' $K memory dyn; says 'Target:      2048 MiB, between 512 and 8192 MiB'; says 'On the host: 1024 MiB'
expect 0 '' $K memory dyn set 1G --wait 10; asked dyn '"size":1073741824'; says 'Assigned:    1024 MiB'
expect 5 'the guest has not come there in 1 s' $K memory dyn set 8G --wait 1
expect 0 '' $K host memory --limit 64G --once --json; asked dyn '"size":1048576000'; says '"name":"dyn","dynamic":true'
kill $PID_dyn
fake long-name-of-32-characters.12345 ok; expect 0 '' $K list
[ "$(awk '{print index($0, $2)}' <<<"$OUT" | sort -u | wc -l)" = 1 ] || err "columns: $OUT"

# many that hang cost no more patience than one
for i in {1..8}; do fake hangs$i silent; done
t=$SECONDS; expect 0 '' $K list; t=$((SECONDS - t))
[ "$(grep -c '^hangs.*busy' <<<"$OUT")" = 8 ] && grep -q '^good .*running' <<<"$OUT" || err "list with some that hang: $OUT"
[ $t -lt 15 ] || err "list took $t s for eight that hang"
for i in {1..8}; do pid=PID_hangs$i; kill ${!pid}; done
# the terminal of a console
fake talks console
for c in leave term pipe; do timeout 100 tests/checks/terminal.py $c $K talks >"$W/out" 2>&1 || err "console, $c: $(<"$W/out")"; n=$((n + 1)); done

# what a VM says does not reach the terminal (R9)
fake evil evil $'/tmp/\e]0;x\a'
for c in "info evil" "disk evil list" "nic evil list" list "stats evil" "pause evil" "info evil --json" "ic evil" "ic evil --check heartbeat" "ic evil --disable kvp"; do
	timeout 9 $K $c >"$W/out" 2>&1 </dev/null; n=$((n + 1))
	LC_ALL=C grep -qP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]' "$W/out" && err "$c: $(cat -v "$W/out")"
done
expect 4 'no.x1b\[2J.nkvmbus: all is well' $K pause evil
kill $PID_evil

# a disk by any name of its file (U4)
cd "$W"; truncate -s 16M a b; ln b c; ln -s a l; mkdir d; touch 'é,x'
fake v ok "$W/a" "$W/b" "nbd://host/x"
expect 0 '' $K disk v remove a; says 'disk 0:0 removed'; asked v '"0:0"'
expect 0 '' $K disk v remove ./d/../l; says 'disk 0:0'
expect 0 '' $K disk v remove "$W/c"; says 'disk 0:1'
cd d; expect 0 '' $K disk v remove ../b; says 'disk 0:1'; cd ..
expect 0 '' $K disk v remove nbd://host/x; says 'disk 0:2'
expect 0 '' $K disk v remove SER1; says 'disk 0:1'
expect 0 '' $K disk v limit 0:2 --iops 5 --bps=1M; says 'disk 0:2'; asked v '"iops":5'
expect 0 '' $K disk v add 'é,,x,serial=b'; asked v "$W/é,,x,serial=b"; asked v "descriptors $W/é,x rw"
expect 0 '' $K disk v insert 0:1 a; asked v "descriptors $W/a r"
expect 0 '' $K disk v add nbds://host/x; asked v '"spec":"nbds://host/x","dvd":false,"descriptors":[]'
expect 1 'its keeper cannot be reached' $K disk v add nbd://host/x # a VM that is none has none
(cd d; python3 "$FAKE" ok rel.sock >"$W/rel.said" 2>&1 & echo $! >"$W/pid"); PIDS+=("$(<"$W/pid")") # --control rel.sock
until grep -qs up "$W/rel.said" || ! kill -0 "$(<"$W/pid")"; do sleep 0.05; done
expect 1 "its keeper cannot be reached: socket $W/d/rel.keeper" $K disk "$W/d/rel.sock" add nbd://host/x
expect 1 "disk $W/none: No such file" $K disk v add none; expect 1 "disk $W/d: it is a directory" $K disk v insert 0:1 d
grep -q none "$W/v.said" && err "the VM was asked for a file that is not there"
fake w ok "$W/a" "$W/l"
expect 2 '"a" names more than one disk' $K disk w remove a
# sizes (U11)
expect 0 '' $K disk v resize a 32M; says 'disk 0:0 resized from 16 MiB to 32 MiB'
expect 0 '' $K disk v resize a; says 'disk 0:0 has 32 MiB, as before'
expect 1 '99999T is larger than its whole file system .*--force' $K disk v resize a 99999T
expect 0 '' $K disk v resize a 99999T --force --json; says '"old_size": 33554432'
# items of the guest, a file for it, and ssh at an address that it has told: none of this host, and nothing else
mkdir "$W/bin"; printf '#!/bin/sh\nprintf "%%s|" ssh "$@"\n' >"$W/bin/ssh"; chmod +x "$W/bin/ssh"
ADDRESSES='-oProxyCommand=x 127.0.0.1 ::ffff:127.0.0.1 169.254.1.1 fe80::1 0.0.0.0 224.0.0.1 198.51.100.7' fake g ok "$W/a"
expect 0 '' env PATH="$W/bin:$PATH" $K ssh g -l root --json 'a b'; [ "$OUT" = 'ssh|-o|HostKeyAlias=kvmbus-g|198.51.100.7|-l|root|--json|a b|' ] || err "ssh: $OUT"
expect 0 '' env PATH="$W/bin:$PATH" $K ssh g -- uptime; says '198.51.100.7|uptime|'
expect 1 'ssh: not found' env PATH="$W/d" $K ssh g
ADDRESSES='127.0.0.1' fake h ok; expect 1 'told no address' env PATH="$W/bin:$PATH" $K ssh h
expect 0 '' $K list; grep -qE '^g .* -oProxyCommand=x$' <<<"$OUT" || err "list has no address: $OUT"
expect 0 '' $K kvp g get OSName; [ "$OUT" = Debian ] || err "get: $OUT"
expect 1 'has no item "x"' $K kvp g get x; expect 1 'has no item "k"' $K kvp g get k --pool guest
expect 0 '' $K kvp g list --pool external; [ "$OUT" = 'external  k = v (the guest has not got it)' ] || err "list: $OUT"
expect 0 '' $K kvp g set a; asked g '"key":"a","value":""'
expect 0 '' $K kvp g delete a; asked g '{"execute":"kvp-delete","arguments":{"key":"a"}}'
expect 2 'go with --address' $K kvp g ip --dns 192.0.2.1
expect 0 '' $K kvp g ip --address 192.0.2.2/24 --address 2001:db8::2/64 --gateway 192.0.2.1
asked g '"nic":"net0","dhcp":false,"addresses":["192.0.2.2/24","2001:db8::2/64"],"gateways":["192.0.2.1"],"dns":[]'
expect 0 '' $K copy g a :/tmp/; asked g '"name":"a","size":16777216,"overwrite":false,"make_path":false,"path":"/tmp"'; asked g "descriptors $W/a r pipe:"
expect 0 '' $K copy g a :/x --overwrite --make-directories; asked g '"name":"x","size":16777216,"overwrite":true,"make_path":true,"path":"/"'
expect 1 'none: No such file' $K copy g none :/x; expect 1 'd: it is no file' $K copy g d :/x
expect 2 'begins with :/' $K copy g a x; expect 2 'begins with :/' $K copy g a host:/x
kill $PID_g $PID_h
# a line each
timeout 60 $K stats v --watch --json | head -2 >"$W/out"; [ "$(wc -l <"$W/out")" -ge 2 ] || err "stats --watch --json: $(<"$W/out")"
while read -r l; do python3 -m json.tool <<<"$l" >/dev/null || err "no object: $l"; done <"$W/out"
expect 1 'standard output: No space left' bash -c "exec $K stats v --watch --json >/dev/full"
$K __complete disk v remove '' | grep -q '^0:1.*/b' || err "completion knows no disks: $($K __complete disk v remove '')"
$K __complete info '' | cut -f1 | grep -qx v || err "completion knows no VMs"
# a backup: nothing is overwritten, and nothing is left of one that failed
fake full2 ok "$W/a" "$W/b"
expect 2 'backup: --to is missing' $K backup full2
expect 0 '' $K backup full2 --to "$W/bk"; asked full2 "$W/bk/disk-0-1.raw"; asked full2 '"freeze":true'
python3 -m json.tool "$W/bk/manifest.json" >/dev/null || err "no manifest: $(ls "$W/bk")"
expect 1 'bk: File exists' $K backup full2 --to "$W/bk"
expect 1 'disk-0-0.raw: it was changed.*full backup' $K backup full2 --to "$W/bk2" --incremental "$W/bk" # a VM that filled nothing
expect 1 'not_there: No such file' $K backup full2 --to "$W/bk2" --incremental "$W/not_there"
fake empty ok; expect 1 'no disk that could be backed up' $K backup empty --to "$W/bk2"
[ ! -e "$W/bk2" ] || err "something is left of a backup that failed"
fake lame slow "$W/a"; $K backup lame --to "$W/bk2" 2>/dev/null & pid=$!
for i in $(seq 100); do [ ! -e "$W/bk2/disk-0-0.raw" ] || break; sleep 0.05; done
kill -TERM $pid; wait $pid; [ $? = 143 ] && [ ! -e "$W/bk2" ] || err "something is left of a backup that was interrupted"
# other places (U5)
cat >"$W/places" <<'S'
mount -t tmpfs t /run && mkdir -p /run/kvmbus /run/user/0/kvmbus /run/user/5/kvmbus || exit 77
for s in kvmbus/sys user/0/kvmbus/own user/5/kvmbus/users user/5/kvmbus/own; do python3 "$FAKE" ok /run/$s.sock >/run/said & done
ln -s /run/kvmbus/sys.sock /run/user/5/kvmbus/trap.sock
until [ "$(ls /run/kvmbus/*.sock /run/user/*/kvmbus/{users,own}.sock 2>/dev/null | wc -l)" = 4 ]; do sleep 0.05; done; sleep 0.2
unset XDG_RUNTIME_DIR
echo "$($K list | awk 'NR > 1 {print $1}' | sort | xargs)"
$K info users >/dev/null && echo users; $K info own >/dev/null && echo own; $K info trap 2>/dev/null || echo no trap
ln /run/user/0/kvmbus/own.sock /run/kvmbus/own.sock; $K kill own 2>&1
python3 -c 'import socket, time; s = socket.socket(socket.AF_UNIX); s.bind("/run/kvmbus/web.sock"); s.listen(0); c = socket.socket(socket.AF_UNIX)
c.connect("/run/kvmbus/web.sock"); print("up", flush=True); time.sleep(600)' >/run/up & # it takes no more connections
python3 "$FAKE" ok /run/user/5/kvmbus/web.sock >/run/up5 &
until [ -s /run/up ] && [ -s /run/up5 ]; do sleep 0.05; done
$K info web 2>&1
mkdir /run/x; XDG_RUNTIME_DIR=/run/x $K list | grep -c sys
kill $(jobs -p)
S
export K FAKE
rc=77; ! unshare -rm true 2>/dev/null || { OUT=$(timeout 120 unshare -rm bash "$W/places" 2>&1); rc=$?; n=$((n + 1)); } # a container may forbid it
[ $rc = 77 ] || [ "$OUT" = "$(printf '%s\n' 'own own sys users' users own 'no trap' \
	'kvmbus: VM "own" is running twice; give the socket instead: /run/user/0/kvmbus/own.sock or /run/kvmbus/own.sock' \
	'kvmbus: VM "web": its process has not answered for 1 seconds; try: kvmbus kill web' 1)" ] || err "places: $OUT"
[ $bad = 0 ] && echo "ok client ($n cases)"
exit $bad
