#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# disk-names.sh: names of disks in a guest (packaging/disk-names), as fstab has them from the in-tree driver; no two disks share one.
cd "$(dirname "$0")/../.." || exit 1
guid=f8b3781a-1e82-4818-a1c3-63d806ec15bb sys=$(mktemp -d) bad=0
trap 'rm -rf "$sys"' EXIT
row() { # UNIT WANT
	local got
	got=$(sh packaging/disk-names "/devices/kvmbus/$guid/host3/target3:${1%:*}/3:$1/block/sda${3:-}" "$sys")
	[ "$got" = "$2" ] || { echo "disk-names: $1: \"$got\", not \"$2\"" >&2; bad=1; }
}
row 0:0:3 "kvmbus-$guid-lun-3 acpi-VMBUS:00-vmbus-${guid//-}-lun-3"
row 0:0:12 "kvmbus-$guid-lun-12 acpi-VMBUS:00-vmbus-${guid//-}-lun-12" /sda1
row 0:1:3 "kvmbus-$guid-target-0-1-lun-3"
row 2:0:3 "kvmbus-$guid-target-2-0-lun-3"
mkdir -p "$sys/bus/acpi/devices/MSFT1000:00"
row 0:0:0 "kvmbus-$guid-lun-0 acpi-MSFT1000:00-vmbus-${guid//-}-lun-0"
sh packaging/disk-names /devices/kvmbus/what "$sys" && bad=1
exit $bad
