#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# gen1.sh: a machine without --kernel begins in firmware, which finds its board, and says that there is nothing to boot.
. "$(dirname "$0")/lib.sh"
"$KVMBUS" run --name g --cpus 2 --memory 256M --firmware "${FIRMWARE:-bios}" --serial file="$W/g.log" --nic none </dev/null 2>"$W/g.err.log" & PID_g=$!
said_nothing() { grep -aq "No bootable device" "$W/g.log" 2>/dev/null; }
until_true 90 "no \"No bootable device\" on the screen" said_nothing
"$KVMBUS" kill g; vm_end g 60 6
