# SPDX-License-Identifier: GPL-2.0-only
# Sourced first by a script that starts emulators or VMs. The script goes on in a child of this shell; when that ends, or
# INT, TERM or HUP comes, whatever was started below ends too. It is found by a mark in its environment, not by its parent
# (that may be gone) nor its process group (timeout makes its own), and it is told with TERM: what a script starts with &
# ignores the INT of a ^C. LEASH_GRACE: tenths of a second between TERM and KILL.
case ${LAB_LEASH:-} in *:$PPID:) return 0 ;; esac

leash_end() {
	local pids i
	for ((i = 0; i < ${LEASH_GRACE:-30} + 50; i++)); do
		pids=$(LC_ALL=C grep -lzs "^LAB_LEASH=.*:$$:" /proc/[0-9]*/environ | cut -d/ -f3)
		! kill -0 $leash_child || pids+=" $leash_child" # it bears no mark before its exec
		[ -n "$pids" ] || return 0
		if [ $i = 0 ]; then kill $pids; elif [ $i -ge "${LEASH_GRACE:-30}" ]; then kill -KILL $pids; fi
		sleep 0.1
	done 2>/dev/null
	echo "$0: still there after KILL: "$pids >&2
}

# a ^C reaches those below as it would without us: & had it ignored; unless it was before
leash_env=(env); [ -n "$(trap -p INT)" ] || leash_env+=(--default-signal=INT,QUIT)
leash_signal=
for leash_s in INT TERM HUP; do trap "leash_signal=\${leash_signal:-$leash_s}" $leash_s; done
"${leash_env[@]}" "LAB_LEASH=${LAB_LEASH:-:}$$:" bash "$0" "$@" &
leash_child=$! leash_rc=0
[ -n "$leash_signal" ] || { wait $leash_child; leash_rc=$?; }
leash_end
[ -n "$leash_signal" ] || exit $leash_rc
[ -n "${LAB_LEASH:-}" ] || echo "$0: ended by $leash_signal, with all that it had started" >&2
trap - "$leash_signal"; kill -s "$leash_signal" $$
exit 1
