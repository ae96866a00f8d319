#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The benches, where KVM is.
. "$(dirname "$0")/../lab/env.sh"
exec python3 "$(dirname "$0")/boot.py" "$1" "$KVMBUS" "$LAB_KERNELS/cloud" "$GUEST_BIN/cloud.cpio"
