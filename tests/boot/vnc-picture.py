#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""vnc-picture.py XWD PNG OUT X Y: is the picture of file PNG, which the VM has drawn, at X, Y of XWD, the screen of an X
server (Xvfb -fbdir)? 99 of 100 pixels must be the same: a pointer may be there. OUT gets the X server's screen as PNG.

Sources: X11/XWDFile.h; W3C, Portable Network Graphics (11.2).
"""
import struct, sys, zlib

from picture import read_png


def read_xwd(path):
    b = open(path, 'rb').read()
    head = struct.unpack('>25I', b[:100])
    width, height, little, bits, stride = head[4], head[5], head[7] == 0, head[11], head[12]
    assert bits == 32, f'{bits} bits a pixel'
    at = head[0] + head[19] * 12
    rows = []
    for y in range(height):
        row = b[at + y * stride:at + y * stride + width * 4]
        rgb = bytearray(width * 3)
        rgb[0::3], rgb[1::3], rgb[2::3] = (row[2::4], row[1::4], row[0::4]) if little else (row[1::4], row[2::4], row[3::4])
        rows.append(bytes(rgb))
    return rows


def write_png(path, rows):
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    with open(path, 'wb') as f:
        f.write(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', len(rows[0]) // 3, len(rows), 8, 2, 0, 0, 0)) +
                chunk(b'IDAT', zlib.compress(b''.join(b'\0' + r for r in rows))) + chunk(b'IEND', b''))


screen, want = read_xwd(sys.argv[1]), read_png(sys.argv[2])
write_png(sys.argv[3], screen)
x, y = int(sys.argv[4]), int(sys.argv[5])
screen = [row[x * 3:] for row in screen[y:]]
if len(want) > len(screen) or len(want[0]) > len(screen[0]):
    sys.exit('the X server is smaller than the picture')
total = len(want) * len(want[0])
same = sum(a == b for w, s in zip(want, screen) for a, b in zip(w, s))
if same < total * 0.99:
    sys.exit(f'{100 * same // total} of 100 bytes are the same')
