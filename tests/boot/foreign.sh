#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# foreign.sh KERNEL: our bus driver on a host that we did not write, QEMU's vmbus-bridge: it connects, goes, and comes again.
. "$(dirname "$0")/lib.sh"
command -v qemu-system-x86_64 >/dev/null || skip "no QEMU here"
qemu-system-x86_64 -machine q35,kernel_irqchip=split -enable-kvm -m 256 -smp 2 -nodefaults -display none -no-reboot -serial "file:$W/q.log" \
	-cpu host,kvm=off,hv-relaxed,hv-vpindex,hv-time,hv-synic,hv-stimer,hv-vapic,hv-runtime,hv-frequencies -device vmbus-bridge \
	-kernel "$LAB_KERNELS/$1/vmlinux" -initrd "$GUEST_BIN/$1.cpio" -append "console=ttyS0 quiet panic=-1 kvmb.job=foreign" </dev/null >"$W/qemu.log" 2>&1 &
PID_q=$!
wait_log q 'GUEST: ok foreign' 120
grep 'GUEST: vmbus' "$W/q.log" | tail -1 | sed 's/^GUEST:/#/; s/\r//'
ended() { ! kill -0 $PID_q 2>/dev/null; }
until_true 30 "the guest did not power off" ended
exit 0
