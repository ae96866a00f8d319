#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Repair an unpacked qemu-system-x86_64 (Debian's QEMU 10.0) for nested guests, in two places.

helper_vmrun(): when VMRUN injects an interrupt, the emulator delivers it at once but leaves
exception_index set to its vector; at the next exit request the vector is delivered a second
time, whatever RFLAGS.IF says, and the nested guest dies. The store is not needed on that
path. It is found by the code around it - load of the vector, store of error_code, the store,
two stores that mark an external interrupt - and replaced by a no-op of the same length.

tcg_handle_interrupt(): when a nested guest writes CR8 while an interrupt waits, helper_write_crN()
comes here without the lock of the main loop, and the emulator ends with an assertion (OVMF does that;
Linux does not write CR8). The assertion is made true: both are the one thread that runs L1.

Refuses unless there is exactly one such place of each."""
import re, sys

NOP6 = bytes.fromhex('660f1f440000')
PLACE = re.compile(
    rb'\x41\x0f\xb6\xf4'                            # movzbl %r12b, %esi
    rb'\x44\x89\xab..\x00\x00'                      # mov %r13d, error_code(%rbx)
    rb'(\x89\xb3..\xff\xff|' + re.escape(NOP6) + rb')'  # mov %esi, exception_index
    rb'\xc7\x83..\x00\x00\x00\x00\x00\x00'          # exception_is_int = 0
    rb'\x48\xc7\x83..\x00\x00\xff\xff\xff\xff',     # exception_next_eip = -1
    re.S)

ASSERTION = re.compile(
    rb'\x84\xc0'                                      # test %al, %al: is the lock held?
    rb'([\x75\xeb])\x24'                              # jne / jmp over the message
    rb'\x4c\x8d\x05....\x48\x8d\x0d....\xba\x5f\x00\x00\x00\x31\xff\x48\x8d\x35....\xe8....'
    rb'(?:\x0f\x1f\x00)?'
    rb'\x09\xab..\x00\x00',                          # or %ebp, interrupt_request(%rbx)
    re.S)

def repair(path, image, what, pattern, new):
    places = list(pattern.finditer(image))
    if len(places) != 1:
        sys.exit(f'patch-qemu: {len(places)} places look like {what}, not 1: this QEMU '
                 'is not the one known; see docs/testing.md')
    at = places[0].start(1)
    with open(path, 'r+b') as f:
        f.seek(at)
        f.write(new)
    print(f'lab: QEMU repaired at {at:#x}: {what}')

def main(path):
    image = open(path, 'rb').read()
    repair(path, image, 'helper_vmrun()', PLACE, NOP6)
    repair(path, image, 'tcg_handle_interrupt()', ASSERTION, b'\xeb')

main(sys.argv[1])
