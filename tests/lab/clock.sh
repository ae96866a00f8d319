# SPDX-License-Identifier: GPL-2.0-only
# Sourced: the clock that limits of tests are measured by. A machine that is busy with other things, or slow, is no
# reason to fail: time in which L1's emulator wanted a CPU and was given none does not count (tests/lab/l1 tells how
# much of it there was, LAB_STOLEN), and where L1 executes fewer instructions a second than limits are made for, the
# clock goes as much slower (LAB_SPEED, in percent). On a machine with KVM it is the machine's own.

# nap SECONDS: sleep without a process, which in the lab would take a good part of the CPU from the guest
exec {NAP_FD}<> <(:)
nap() { read -rt "$1" -u "$NAP_FD"; true; }

# now: NOW is the time in ms
STOLEN=0
now() {
	local up stolen
	read -r up _ </proc/uptime # 12.34
	if [ -n "${LAB_STOLEN:-}" ] && read -r stolen <"$LAB_STOLEN" && [ -n "$stolen" ]; then STOLEN=$stolen; fi
	NOW=$(((10#${up/./} * 10 - STOLEN) * ${LAB_SPEED:-100} / 100))
}

# limit SECONDS: LIMIT is when these will have passed. On a machine that does nothing else tests take half of that.
limit() { now; LIMIT=$((NOW + $1 * 1000 * ${KVMBUS_SLOW:-2})); }

# lab_speed: sets LAB_SPEED, how fast L1 is in percent of what limits are made for, at most 100. Two seconds of plain work.
lab_speed() {
	local begin i
	now; begin=$NOW
	for ((i = 0; i < 60000; i++)); do :; done
	nap 0.3; now # what was stolen is told four times a second
	LAB_SPEED_MS=$((NOW - begin - 300))
	LAB_SPEED=$((3000 * 100 / (LAB_SPEED_MS > 3000 ? LAB_SPEED_MS : 3000)))
	export LAB_SPEED
}
