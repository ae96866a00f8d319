#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""picture.py PNG [R G B PERCENT]: is it a picture of two colours or more, at least 640 x 350, of which so much is of this one? Prints width and height.

Source: W3C, Portable Network Graphics (9.2, filters; 11.2).
"""
import struct, sys, zlib


def paeth(a, b, c):
    p = a + b - c
    pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
    return a if pa <= pb and pa <= pc else b if pb <= pc else c


def read_png(path):
    b = open(path, 'rb').read()
    at, data = 8, b''
    while at < len(b):
        size, kind = struct.unpack('>I4s', b[at:at + 8])
        body = b[at + 8:at + 8 + size]
        if kind == b'IHDR':
            width, height, depth, colours = struct.unpack('>IIBB', body[:10])
            assert (depth, colours) == (8, 2)
        data += body if kind == b'IDAT' else b''
        at += 12 + size
    data = zlib.decompress(data)
    rows, above = [], bytes(width * 3)
    for y in range(height):
        line = bytearray(data[y * (width * 3 + 1):(y + 1) * (width * 3 + 1)])
        kind, line = line[0], line[1:]
        if kind == 2:
            line = bytearray((v + u) & 255 for v, u in zip(line, above))
        elif kind:
            for i, v in enumerate(line):
                left, corner = (line[i - 3], above[i - 3]) if i > 2 else (0, 0)
                line[i] = v + (left, 0, (left + above[i]) // 2, paeth(left, above[i], corner))[kind - 1] & 255
        above = bytes(line)
        rows.append(above)
    return rows


def judge(path, colour, percent):
    rows = read_png(path)
    pixels = [row[i:i + 3] for row in rows for i in range(0, len(row), 3)]
    print(len(rows[0]) // 3, len(rows))
    if len(rows) < 350 or len(rows[0]) < 640 * 3:
        return 'it is too small'
    if len(set(pixels)) < 2:
        return 'it is all of one colour'
    share = 100 * pixels.count(colour) // len(pixels)
    return f'{share} of 100 pixels are of this colour' if share < percent else 0


if __name__ == '__main__':
    rgb = [int(v) for v in sys.argv[2:6]]
    sys.exit(judge(sys.argv[1], bytes(rgb[:3]), rgb[3] if rgb else 0))
