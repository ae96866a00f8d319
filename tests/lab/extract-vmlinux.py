#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""extract-vmlinux.py BZIMAGE OUT: the ELF vmlinux inside a bzImage.

The payload's place stands in the boot header (Linux boot.rst): setup_sects at 0x1f1,
payload_offset at 0x248, payload_length at 0x24c. Its last four bytes are the unpacked size,
except for gzip, which has its own."""
import struct, subprocess, sys

b = open(sys.argv[1], 'rb').read()
setup = (b[0x1f1] or 4) + 1
off, length = struct.unpack_from('<II', b, 0x248)
p = b[setup * 512 + off:][:length]
for magic, cmd, trim in ((b'\xfd7zXZ', ['xz', '-dc', '--single-stream'], 4), (b'\x02\x21\x4c\x18', ['lz4', '-dc'], 4),
                         (b'\x28\xb5\x2f\xfd', ['zstd', '-dcq'], 4), (b'\x1f\x8b', ['gzip', '-dc'], 0)):
    if p.startswith(magic):
        r = subprocess.run(cmd, input=p[:len(p) - trim], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        break
else:
    sys.exit('extract-vmlinux: unknown compression')
if r.stdout[:4] != b'\x7fELF':
    sys.exit('extract-vmlinux: the payload is no ELF file')
open(sys.argv[2], 'wb').write(r.stdout)
