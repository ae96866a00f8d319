# SPDX-License-Identifier: GPL-2.0-only
# Sourced by every lab script: where things are. The cache lies outside the tree and may be empty.
LAB_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
KVMBUS_TOP=$(cd "$LAB_DIR/../.." && pwd)
KVMBUS_CACHE=${KVMBUS_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/kvmbus}
LAB_KERNELS=$KVMBUS_CACHE/kernels
LAB_QEMU=$KVMBUS_CACHE/qemu/usr/bin/qemu-system-x86_64
LAB_FIO=$KVMBUS_CACHE/bin/fio
LAB_DAEMONS=$KVMBUS_CACHE/daemons
# its name holds what it is made of: another test script, another image
LAB_DEBIAN=$KVMBUS_CACHE/debian/root-$(cksum <"$LAB_DIR/../guest/debian-test" | cut -d' ' -f1).vhdx
LAB_DEBIAN_DKMS=$KVMBUS_CACHE/debian/dkms
LAB_DISK=$KVMBUS_CACHE/debian/disk-$(cat "$LAB_DIR/mkdisk" "$LAB_DIR/../guest/disk-paths" | cksum | cut -d' ' -f1).raw
KVMBUS=${KVMBUS:-$KVMBUS_TOP/build/kvmbus}
GUEST_BIN=$KVMBUS_TOP/build/guest
LAB_DISK_EFI=${LAB_DISK%.raw}-efi.raw
export LAB_DISK_EFI LAB_DIR KVMBUS_TOP KVMBUS_CACHE LAB_KERNELS LAB_QEMU LAB_FIO LAB_DAEMONS LAB_DEBIAN LAB_DEBIAN_DKMS LAB_DISK KVMBUS GUEST_BIN
lab_die() { echo "lab: $*" >&2; exit 125; }
