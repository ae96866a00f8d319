#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# inside.sh BENCH [ARGUMENTS]: one bench, where KVM is.
. "$(dirname "$0")/../lab/env.sh"
here=$(dirname "$0") bench=$1; shift
case $bench in
boot) exec python3 "$here/boot.py" "${1:-2}" "$KVMBUS" "$LAB_KERNELS/cloud" "$GUEST_BIN/cloud.cpio" ;;
blk) exec python3 "$here/blk.py" "$KVMBUS" "$LAB_KERNELS/cloud/vmlinux" "$GUEST_BIN/${BENCH_GUEST:-bench}.cpio" "${BENCH_SCALE:-1}" "$@" ;;
move) mkdir -p /dev/shm/run; XDG_RUNTIME_DIR=/dev/shm/run exec python3 "$here/move.py" "$KVMBUS" "$LAB_KERNELS/cloud/vmlinux" "$GUEST_BIN/cloud.cpio" "$@" ;;
net) exec python3 "$here/net.py" "$KVMBUS" "$LAB_KERNELS/cloud/vmlinux" "$GUEST_BIN/${BENCH_GUEST:-bench}.cpio" "$GUEST_BIN/netbench" "${BENCH_MS:-300}" "$@" ;;
profile) # BENCH PEER: with marks, and the symbols of both kernels
	export BENCH_PROFILE=1
	truncate -s 16M /dev/shm/symbols
	timeout 120 "$KVMBUS" run --memory 512M --kernel "$LAB_KERNELS/cloud/vmlinux" --initrd "$GUEST_BIN/bench.cpio" --serial "file=/dev/shm/log" \
		--append "console=ttyS0 quiet panic=-1 kvmb.job=ksyms" --disk /dev/shm/symbols || exit
	grep -q 'GUEST: ok ksyms' /dev/shm/log || { cat /dev/shm/log; exit 1; }
	if [ "$1" = boot ]; then python3 "$here/boot.py" 1 "$KVMBUS" "$LAB_KERNELS/cloud" "$GUEST_BIN/cloud.cpio" "$2"
	else python3 "$here/net.py" "$KVMBUS" "$LAB_KERNELS/cloud/vmlinux" "$GUEST_BIN/bench.cpio" "$GUEST_BIN/netbench" 300 "$2"; fi || exit
	cat /proc/kallsyms >"$LAB_OUT/host"
	{ tr -d '\0' </dev/shm/symbols | grep -v '\['; cat /dev/shm/bench/modules 2>/dev/null || true; } >"$LAB_OUT/guest" ;;
smp) # "CPUS..." "GUEST..." WARM MS BENCH...
	cpus=$1 guests=$2; shift 2
	for c in $cpus; do
		for g in $guests; do
			python3 "$here/smp.py" "$KVMBUS" "$LAB_KERNELS/cloud/vmlinux" "$GUEST_BIN/$g.cpio" \
				"$GUEST_BIN/netbench" "$GUEST_BIN/tool" "$c" "$@" || exit
		done
	done ;;
*) echo "no bench $bench" >&2; exit 2 ;;
esac
