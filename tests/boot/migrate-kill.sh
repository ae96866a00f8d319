#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# migrate-kill.sh KERNEL CPUS ROUNDS: while a VM moves, its source, its target, the command or the link between them is killed (-9)
# at a random moment. Never do two run, and none only when the one that had it was killed; the guest's log, each record of which
# was acknowledged before the next, is whole. With FORMAT=qcow2 the disk is such an image.
. "$(dirname "$0")/lib.sh"
kernel=$1 cpus=$2 rounds=$3
I=$W/chain.${FORMAT:=raw} raw=$W/chain.raw
if [ "$FORMAT" = raw ]; then truncate -s 8M "$I"; else qemu-img create -q -f "$FORMAT" "$I" 8M || skip "no qemu-img"; fi
# its daemon has ended, so that it can be read
is_free() { [ "$FORMAT" = raw ] || qemu-img convert -f "$FORMAT" -O raw "$I" "$raw" 2>/dev/null; }
check_chain() {
	until_true 30 "its image stays open" is_free
	"$GUEST_BIN/chain" check "$raw" "$acked" >"$W/check.log" || fail "$1$(cat "$W/check.log"), acknowledged $acked"
}
RANDOM=${SEED:=$(date +%s)}
echo "# seed $SEED"
mkdir "$W/there" # names of VMs are free there
here=$XDG_RUNTIME_DIR there=$W/there
boot() {
	rm -f "$W/s.log"
	vm s "$kernel" "kvmb.job=chain" --cpus "$cpus" --memory 256M --disk "$I,on-error=stop"
	wait_log s 'GUEST: chain [0-9]' 90
	begun=$(sed -n 's/.*chain begins behind \([0-9]*\).*/\1/p' "$W/s.log")
	[ "$begun" -ge "$acked" ] || fail "record $acked was acknowledged, and the guest finds $begun"
}
note_acked() { acked=$(tr -d '\r' <"$W/s.log" | grep -oE '^GUEST: chain [0-9]+$' | tail -1); acked=${acked##* }; }
writes_on() { local was=$acked; note_acked; [ "$acked" -gt $((was + 3)) ]; }
state_in() { XDG_RUNTIME_DIR=$1 "$KVMBUS" info s --json 2>/dev/null | pick "it['state']" 2>/dev/null; }
# the link: what dies when it is cut
await_target() {
	rm -f "$W/a" "$W/b" "$W/b.taken"
	XDG_RUNTIME_DIR=$there "$KVMBUS" run --incoming "unix:$W/a" </dev/null 2>"$W/there.log" & target=$!
	until_true 30 "no target" test -S "$W/a"
	python3 "$(dirname "$0")/link.py" "$W/b" "$W/a" & link=$!
	until_true 30 "no link" test -S "$W/b"
}
moved() { # what was there is here
	PID_s=$target; mv "$W/there.log" "$W/s.err.log"
	XDG_RUNTIME_DIR=$there there=$here here=$XDG_RUNTIME_DIR
}
acked=0 at=; boot
declare -A count
total=0
for ((i = 0; i < rounds; i++)); do
	victims=(source target client link)
	victim=${victims[i % 4]}
	[ $i -ge 2 ] || victim=nobody # how long does it take?
	await_target
	begin=${EPOCHREALTIME/./}
	"$KVMBUS" migrate s "unix:$W/b" --downtime 500 >"$W/m.log" 2>&1 & client=$!
	if [ $victim != nobody ]; then
		# half of the moments near the end, where the phases are short
		ms=$((RANDOM % 2 ? RANDOM % (total + 100) : total * 3 / 4 + RANDOM % (total / 4 + 100)))
		nap "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
		case $victim in source) kill -9 "$PID_s" ;; target) kill -9 $target ;; client) kill -9 $client ;; link) kill -9 $link ;; esac
	fi 2>/dev/null
	wait $client; rc=$?
	[ $victim != nobody ] || total=$(((${EPOCHREALTIME/./} - begin) / 1000))
	kill -9 $link 2>/dev/null; wait $link 2>/dev/null
	[ -e "$W/b.taken" ] || kill $target # nobody has come so far, and it would wait for ever
	# each ends, or runs and moves no more
	settled() {
		local a b
		a=gone b=gone
		gone "$PID_s" || { a=$(XDG_RUNTIME_DIR=$here "$KVMBUS" info s --json 2>/dev/null | pick "it['state'] if not it['migration'] else 'moves'" 2>/dev/null); : "${a:=unknown}"; }
		gone $target || { b=$(state_in "$there"); : "${b:=unknown}"; }
		[ "$a$b" != runningrunning ] || fail "both run"
		at=$a/$b
		case $at in running/gone|gone/running|gone/gone) true ;; *) echo "$at" >"$W/at.log"; false ;; esac
	}
	at=; until_true 150 "round $i, $victim killed: it does not come to an end" settled
	case $victim:$at in
	*:running/gone) what=stayed ;;
	*:gone/running) what=moved; wait "$PID_s" 2>/dev/null; moved ;;
	source:gone/gone) what=died ;;
	# it had the VM: the source says so. Before, the VM must be here
	target:gone/gone) { [ $rc = 0 ] || grep -q 'has run on the other side' "$W/m.log"; } || fail "round $i: the source lost the VM: $(cat "$W/m.log")"
		what=died ;;
	*) fail "round $i, $victim killed: $at; $(cat "$W/m.log")" ;;
	esac
	# who says that it has moved must be right
	[ $victim != nobody ] || [ $what = moved ] || fail "it did not move: $(cat "$W/m.log")"
	[ $rc != 0 ] || [ $what = moved ] || [ $victim$what = targetdied ] || fail "it was said to have moved: $victim, $at"
	count[$victim-$what]=$((${count[$victim-$what]:-0} + 1))
	if [ $what = died ]; then
		note_acked
		wait "$PID_s" "$target" 2>/dev/null
		check_chain "round $i: "
		boot
	else
		[ $victim != target ] || wait $target 2>/dev/null
		until_true 60 "round $i, $victim killed, $what: the guest writes no more" writes_on
		! grep -q 'GUEST: FAIL' "$W/s.log" || fail "$(grep 'GUEST: FAIL' "$W/s.log")"
	fi
done
for k in "${!count[@]}"; do echo "# $k ${count[$k]}"; done | sort
echo "# a move takes $total ms"
"$KVMBUS" kill s
gone_now() { gone "$PID_s"; }
until_true 60 "it does not end" gone_now
note_acked
check_chain
echo "# $(cat "$W/check.log"), $acked acknowledged"
