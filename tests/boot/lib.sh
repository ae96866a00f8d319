# SPDX-License-Identifier: GPL-2.0-only
# Sourced by every boot test. Runs where KVM is (L1 or this machine); $W is the test's own directory.
. "$(dirname "${BASH_SOURCE[0]}")/../lab/env.sh"
. "$LAB_DIR/clock.sh"
set -u
W=$(mktemp -d /dev/shm/kvmbus-test.XXXXXX)
export XDG_RUNTIME_DIR=$W
NET_BITS=10.77.0
trap 'kill $(jobs -p) 2>/dev/null; wait 2>/dev/null; [ -z "${TAP:-}" ] || ip link del "$TAP" 2>/dev/null; rm -rf "$W"' EXIT
fail() { echo "# $*"; for s in "$W"/kvmbus/*.sock; do [ -e "$s" ] && { timeout 5 "$KVMBUS" info "$s"; timeout 5 "$KVMBUS" stats "$s"; timeout 5 "$KVMBUS" screenshot "$s" --text 2>/dev/null; } 2>&1 | sed 's/^/# /'; done
	for f in "$W"/*.log; do [ -e "$f" ] && { echo "# --- $(basename "$f")"; tail -25 "$f" | tr -d '\r' | sed 's/^/# /'; }; done
	[ -z "${LAB_OUT:-}" ] || { mkdir -p "$LAB_OUT/failed"; cp "$W"/*.log "$LAB_OUT/failed/"; } 2>/dev/null # whole, in build/boot/failed
	exit 1; }
trap 'fail "not done in the time that the list gives it; it was at: $BASH_COMMAND"' TERM
skip() { echo "# SKIP $*"; exit 77; }

# vm NAME KERNEL "KERNEL ARGUMENTS" [kvmbus options]: start a guest in the background. NO_URING=1: where io_uring is forbidden
vm() {
	local name=$1 kernel=$2 append=$3; shift 3
	# where the in-tree bus is built in, ours needs it out of the way: docs/rooms/guest.md
	[ "$kernel" != own-newest ] || append="$append initcall_blacklist=hv_acpi_init"
	# a machine that is busy with other things may keep all CPUs from a guest for half a minute, which is no stall of its RCU
	append="$append rcupdate.rcu_cpu_stall_timeout=120"
	# a slow machine is no soft lockup, with all of that kernel's checkers
	[ "$kernel" != own-debug ] || append="$append watchdog_thresh=60 kasan_multi_shot"
	# in an L1 that says so, huge pages: a boot without its nested page faults takes a third less
	local args=("$@") i
	for i in "${!args[@]}"; do [ "${args[i]}" != --memory ] || args[i + 1]+=${LAB_HUGE:-}; done
	${NO_URING:+"$KVMBUS_TOP/build/tests/lack" io_uring} "$KVMBUS" run --name "$name" --kernel "$LAB_KERNELS/$kernel/vmlinux" --initrd "$GUEST_BIN/$kernel.cpio" \
		--append "console=ttyS0 quiet panic=-1 $append" --serial "file=$W/$name.log" --on-term kill "${args[@]}" \
		</dev/null 2>"$W/$name.err.log" &
	eval "PID_$name=$!"
}
# until_true SECONDS WHAT-FAILED COMMAND...: again and again until it succeeds
until_true() {
	local seconds=$1 what=$2 until_ms; shift 2
	limit "$seconds"; until_ms=$LIMIT
	until "$@"; do
		now; [ $NOW -lt $until_ms ] || fail "$what (within $seconds s)"
		nap 0.2
	done
}
# pick EXPRESSION: of the JSON that comes in, in Python, with the object's members as names: state == "paused", disks[0].lun.
# A truth is the exit status, null is none, all else is printed. `it` is the whole.
pick() {
	python3 -ISc '
import json, sys
class Object(dict):
    __getattr__ = dict.__getitem__
try:
    it = json.load(sys.stdin, object_hook=Object)
except ValueError:
    sys.exit(1) # the command has said why
result = eval("(" + sys.argv[1] + ")", dict(it if isinstance(it, dict) else {}, it=it, json=json))
if result is None or isinstance(result, bool):
    sys.exit(not result)
print(result)' "$1"
}
info() { "$KVMBUS" info "$1" --json | pick "$2"; }       # VM EXPRESSION
stats() { "$KVMBUS" stats "$1" --json | pick "$2"; }     # VM EXPRESSION
nics() { "$KVMBUS" nic "$1" list --json | pick "$2"; }   # VM EXPRESSION
runs() { "$KVMBUS" info "$1" >/dev/null 2>&1; }          # VM
helper_pid() { local pid; eval "pid=\$PID_$1"; pgrep -P "$(pgrep -P "$pid" kvmbus-keeper)" "$2"; } # VM PROGRAM: which its keeper runs
# stop VM [OPTION...]: ask the guest to shut down. It has as long as its test has
# In the background: bash runs a TERM trap, and with it the report of what hangs, at once in `wait` only.
stop() { local name=$1; shift; "$KVMBUS" stop "$name" --timeout 36000 "$@" & wait $! || fail "kvmbus stop $name $*"; }
# wait_log NAME PATTERN SECONDS: until a line of the console says so; a FAIL verdict or the VM's end stops the wait.
# Meanwhile whatever the guest asks of its host ("GUEST: ask NUMBER WHAT...") is done by on_ask WHAT..., which a test defines.
ASKED=0
wait_log() {
	local until_ms pid ended= i=0 lines; eval "pid=\$PID_$1"
	limit "$3"; until_ms=$LIMIT
	while :; do
		kill -0 "$pid" 2>/dev/null || ended=1 # what it has said is there before we look
		lines=(); [ ! -e "$W/$1.log" ] || mapfile -t lines <"$W/$1.log"
		for ((; i < ${#lines[@]}; i++)); do
			[[ ${lines[i]} =~ $2 ]] && return 0
			if [[ ${lines[i]} =~ ^'GUEST: ask '([0-9]+)' '(.*)$'\r'$ ]] && [ "${BASH_REMATCH[1]}" -gt $ASKED ]; then
				ASKED=${BASH_REMATCH[1]}; on_ask ${BASH_REMATCH[2]}
			fi
			[[ ${lines[i]} != *'GUEST: FAIL'* ]] || fail "$1: ${lines[i]}"
		done
		[ -z "$ended" ] || fail "$1: the VM ended before \"$2\""
		now; [ $NOW -lt $until_ms ] || fail "$1: no \"$2\" within $3 s"
		[ $i = 0 ] || i=$((i - 1)) # the last line may not have been whole
		nap 0.1
	done
}
# where_it_stands PID: what each thread of a process that should have ended sleeps in
where_it_stands() {
	local t
	echo "# process $1: $(tr '\0' ' ' <"/proc/$1/cmdline"), parent $(awk '/^PPid/ { print $2 }' "/proc/$1/status")"
	for t in "/proc/$1/task"/*; do
		echo "# thread ${t##*/} $(cat "$t/comm"): $(awk '/^State/ { print $2, $3 }' "$t/status"), in $(cat "$t/wchan"), system call $(cat "$t/syscall")"
		sed 's/^/#    /' "$t/stack"
	done
} 2>/dev/null
# gone PID: it has ended. A zombie has, though kill -0 finds it: in a starved L1 bash was seen not to reap its child for minutes
gone() {
	local s
	{ read -r s </proc/$1/stat; } 2>/dev/null || return 0
	[[ ${s##*) } == [ZX]* ]]
}
# vm_end NAME SECONDS STATUS: the VM must end by itself with that status
vm_end() {
	local pid rc until_ms; eval "pid=\$PID_$1"
	limit "$2"; until_ms=$LIMIT
	until gone "$pid"; do
		now; [ $NOW -lt $until_ms ] || { where_it_stands "$pid"; fail "$1: still there after $2 s"; }
		nap 0.1
	done
	wait "$pid"; rc=$?
	[ $rc = "$3" ] || fail "$1: exit status $rc, not $3"
	# nothing a healthy guest does is worth a warning
	if [ -z "${QUIET:-}" ] && [ -s "$W/$1.err.log" ]; then fail "$1: kvmbus complained"; fi
	return 0
}
# all_open NAME SECONDS: until every channel that is offered is open (drivers open sub-channels late). That of file copy need not
# be: since Linux 6.10 its driver is a daemon
all_open() { until_true "$2" "$1: a channel is not open" info "$1" 'bool(channels) and all(c.state == "open" or c.name == "fcopy" for c in channels)'; }
disk() { dd if=/dev/urandom of="$W/$1" bs=1M count="$2" 2>/dev/null; DISK_SUM=$(head -c 4194304 "$W/$1" | sha256sum | cut -c1-64); }
image() { # FORMAT PATH SIZE
	case $1 in raw) truncate -s "$3" "$2" ;; vhd) qemu-img create -q -f vpc -o force_size=on "$2" "$3" ;; *) qemu-img create -q -f "$1" "$2" "$3" ;; esac || fail "no $1 image"
}
tap() { # [multi_queue]: an interface with the host on .1 and fd00:77::1
	TAP=kvmbt$$; ip tuntap add "$TAP" mode tap "$@" && ip addr add $NET_BITS.1/24 dev "$TAP" &&
		ip addr add fd00:77::1/64 dev "$TAP" nodad && ip link set "$TAP" up || skip "no tap interface can be made here"
}
uplink() { # user-mode networking needs somewhere to go
	ip route show default | grep -q . && return
	ip link add kvmbup type bridge && ip addr add 192.0.2.2/24 dev kvmbup && ip link set kvmbup up &&
		ip route add default via 192.0.2.1 dev kvmbup
}
