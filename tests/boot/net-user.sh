#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# net-user.sh KERNEL: DHCP and TCP through passt, to a server on the host.
. "$(dirname "$0")/lib.sh"
command -v passt >/dev/null || skip "passt is not installed"
uplink
python3 "$(dirname "$0")/echo-server.py" 127.0.0.1 7000 &
vm u "$1" "kvmb.job=net" --cpus 1 --memory 256M --nic user
wait_log u "GUEST: ok net" 90
vm_end u 30 0
