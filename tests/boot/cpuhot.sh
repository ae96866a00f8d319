#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# cpuhot.sh KERNEL: CPUs of the guest go and come under disk reads; channels move with them.
. "$(dirname "$0")/lib.sh"
disk d 16
vm c "$1" "kvmb.job=cpuhot kvmb.sum=$DISK_SUM" --cpus 4 --memory 512M --disk "$W/d" --nic none
wait_log c 'GUEST: ok cpuhot' 200
grep -h 'GUEST: ok' "$W/c.log" | sed 's/^GUEST:/#/; s/\r//'
vm_end c 30 0
