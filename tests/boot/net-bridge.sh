#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# net-bridge.sh KERNEL: a tap that is made on a bridge and goes with the VM; then a macvtap. Bytes there and back, compared.
. "$(dirname "$0")/lib.sh"
B=${W##*.} && B=kvmbt${B:0:6} # inside.sh removes what begins so
ip link add "$B" type bridge && ip addr add $NET_BITS.1/24 dev "$B" && ip link set "$B" up || skip "no bridge can be made here"
python3 "$(dirname "$0")/echo-server.py" 0.0.0.0 7000 &
before=$(ls /sys/class/net | wc -l)
vm b "$1" "kvmb.job=net kvmb.addr=$NET_BITS.2 kvmb.peer=$NET_BITS.1 kvmb.blocks=64" --cpus 2 --memory 256M --nic "bridge=$B,queues=2"
wait_log b 'GUEST: ok net' 200
vm_end b 30 0
[ "$(ls /sys/class/net | wc -l)" = "$before" ] || fail "the tap is still there: $(ls /sys/class/net)"
ip link del "$B"
# a macvtap on one end of a cable whose other end is the host's
ip link add "${B}v" type veth peer name "${B}p" && ip addr add $NET_BITS.1/24 dev "${B}v" && ip link set "${B}v" up && ip link set "${B}p" up &&
	ip link add link "${B}p" name "${B}m" type macvtap mode bridge && ip link set "${B}m" up || fail "no macvtap"
[ -e "/dev/tap$(cat /sys/class/net/${B}m/ifindex)" ] || # no udev in L1
	mknod "/dev/tap$(cat /sys/class/net/${B}m/ifindex)" c $(tr : ' ' <"$(ls -d /sys/class/net/${B}m/tap*/dev)")
vm m "$1" "kvmb.job=net kvmb.addr=$NET_BITS.2 kvmb.peer=$NET_BITS.1 kvmb.blocks=64" --cpus 2 --memory 256M --nic "macvtap=${B}m,queues=2"
wait_log m 'GUEST: address' 200
[ "$(nics m 'it[0].mac')" = "$(cat /sys/class/net/${B}m/address)" ] ||
	fail "the NIC has another address than the macvtap"
wait_log m 'GUEST: ok net' 200
vm_end m 30 0
ip link del "${B}v"
