#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# inside.sh BENCH [ARGUMENTS]: one bench, where KVM is.
. "$(dirname "$0")/../lab/env.sh"
here=$(dirname "$0") bench=$1; shift
case $bench in
boot) exec python3 "$here/boot.py" "${1:-2}" "$KVMBUS" "$LAB_KERNELS/cloud" "$GUEST_BIN/cloud.cpio" ;;
blk) exec python3 "$here/blk.py" "$KVMBUS" "$LAB_KERNELS/cloud/vmlinux" "$GUEST_BIN/${BENCH_GUEST:-bench}.cpio" "${BENCH_SCALE:-1}" "$@" ;;
net) exec python3 "$here/net.py" "$KVMBUS" "$LAB_KERNELS/cloud/vmlinux" "$GUEST_BIN/${BENCH_GUEST:-bench}.cpio" "$GUEST_BIN/netbench" "${BENCH_MS:-300}" "$@" ;;
*) echo "no bench $bench" >&2; exit 2 ;;
esac
