#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Repair helper_vmrun() in an unpacked qemu-system-x86_64 (Debian's QEMU 10.0).

When VMRUN injects an interrupt, the emulator delivers it at once but leaves
exception_index set to its vector; at the next exit request the vector is delivered a second
time, whatever RFLAGS.IF says, and the nested guest dies. The store is not needed on that
path. It is found by the code around it - load of the vector, store of error_code, the store,
two stores that mark an external interrupt - and replaced by a no-op of the same length.
Refuses unless there is exactly one such place."""
import re, sys

NOP6 = bytes.fromhex('660f1f440000')
PLACE = re.compile(
    rb'\x41\x0f\xb6\xf4'                            # movzbl %r12b, %esi
    rb'\x44\x89\xab..\x00\x00'                      # mov %r13d, error_code(%rbx)
    rb'(\x89\xb3..\xff\xff|' + re.escape(NOP6) + rb')'  # mov %esi, exception_index
    rb'\xc7\x83..\x00\x00\x00\x00\x00\x00'          # exception_is_int = 0
    rb'\x48\xc7\x83..\x00\x00\xff\xff\xff\xff',     # exception_next_eip = -1
    re.S)

def main(path):
    image = open(path, 'rb').read()
    places = list(PLACE.finditer(image))
    if len(places) != 1:
        sys.exit(f'patch-qemu: {len(places)} places look like helper_vmrun(), not 1: this QEMU '
                 'is not the one known; see docs/testing.md')
    at = places[0].start(1)
    with open(path, 'r+b') as f:
        f.seek(at)
        f.write(NOP6)
    print(f'lab: QEMU repaired at {at:#x}')

main(sys.argv[1])
