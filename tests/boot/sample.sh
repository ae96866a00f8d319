#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# sample.sh KERNEL: the sections of a stock guest's saved state, without its memory and its options, into $LAB_OUT/sample.state. What
# is kept in tests/data came from here; tests/harness/sample_vm.h loads it.
. "$(dirname "$0")/lib.sh"
S=$W/saved.state
truncate -s 64M "$W/d.raw"; truncate -s 4M "$W/d.iso"
tap multi_queue
vm c "$1" "kvmb.job=sample kvmb.addr=$NET_BITS.2" --cpus 2 --memory 128M --disk "$W/d.raw" --dvd "$W/d.iso" --nic "tap=$TAP,mac=00:15:5d:00:00:07"
wait_log c 'GUEST: sample ready' 90
all_open c 60
sleep 3
"$KVMBUS" pause c || fail pause
"$KVMBUS" info c --json >"${LAB_OUT:-$W}/sample.json"
"$KVMBUS" save c "$S" || fail save
vm_end c 60 0
python3 -ISc '
import struct, sys
f = open(sys.argv[1], "rb")
magic, version, status, ram, at, length = struct.unpack("<16sIIQQQ", f.read(48))
f.seek(at)
open(sys.argv[2], "wb").write(f.read(length))
print("# version %d, %d bytes of sections" % (version, length))' "$S" "${LAB_OUT:-$W}/sample.state"
