#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# net-tap.sh KERNEL: ping and TCP over a tap, 8 MiB there and back, compared.
. "$(dirname "$0")/lib.sh"
tap
python3 "$(dirname "$0")/echo-server.py" $NET_BITS.1 7000 &
vm n "$1" "kvmb.job=net kvmb.addr=$NET_BITS.2 kvmb.peer=$NET_BITS.1 kvmb.blocks=128" --cpus 2 --memory 256M --nic "tap=$TAP,mac=00:15:5d:00:00:07"
wait_log n 'GUEST: ok net' 120
vm_end n 30 0
