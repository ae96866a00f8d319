#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""evil-images.py DIR: images whose headers name other files, for tests/unit and tests/boot/evil.sh.

DIR gets "victim", which no test may see opened, the images, and "cases": a line each of what to say after
--disk (paths relative to DIR), a tab, and words that the refusal has.
"""
import os
import struct
import subprocess
import sys

os.chdir(sys.argv[1])
here = os.getcwd()
victim = here + "/victim"
cases = []


def case(spec, words):
    cases.append(f"{spec}\t{words}\n")


def make(*args):
    subprocess.run(["qemu-img", "create", "-q", *args], check=True)


def patch(name, *edits):
    with open(name, "r+b") as f:
        for at, data in edits:
            f.seek(at)
            f.write(data)


def read(name, at, size):
    with open(name, "rb") as f:
        f.seek(at)
        return f.read(size)


def with_data_file(name, target, bit=True):
    """A qcow2 of which the daemon knows only the tables: its data is in @target."""
    make("-f", "qcow2", name, "1M")
    ext = struct.pack(">II", 0x44415441, len(target)) + target.encode()
    ext += bytes(-len(ext) % 8) + bytes(8)
    length = struct.unpack(">I", read(name, 100, 4))[0]
    patch(name, (72, struct.pack(">Q", 4 if bit else 0)), (length, ext))


def qcow2():
    make("-f", "qcow2", "-o", "data_file=victim", "data.qcow2", "1M")
    make("-f", "qcow2", "-o", "data_file=victim,data_file_raw=on", "dataraw.qcow2", "1M")
    with_data_file("abs.qcow2", victim)
    with_data_file("json.qcow2", 'json:{"driver":"file","filename":"%s"}' % victim)
    with_data_file("nbd.qcow2", f"nbd+unix:///?socket={here}/sock")
    with_data_file("proto.qcow2", "file:" + victim)
    with_data_file("nobit.qcow2", victim, bit=False)
    make("-f", "qcow2", "bare.qcow2", "1M")
    patch("bare.qcow2", (72, struct.pack(">Q", 4)))
    for name in "data", "dataraw", "abs", "json", "nbd", "proto", "nobit", "bare":
        case(name + ".qcow2", "keeps its data in another file")
    for name, parent in ("back", victim), ("backjson", 'json:{"driver":"file","filename":"%s"}' % victim), \
            ("backnbd", f"nbd+unix:///?socket={here}/sock"), ("backfile", "file:" + victim), ("backrel", "victim"):
        make("-f", "qcow2", "-u", "-F", "raw", "-b", parent, name + ".qcow2", "1M")
        case(name + ".qcow2", "overlay of")
    make("-f", "qcow2", "--object", "secret,id=s,data=x", "-o", "encrypt.format=aes,encrypt.key-secret=s",
         "aes.qcow2", "1M")
    case("aes.qcow2", "encrypted")


def chains():
    """The user names a parent, and that one is evil."""
    for name, parent, words in ("c1", "abs.qcow2", "data in another file"), ("c2", "back.qcow2", "overlay of"), \
            ("c3", "flat.vmdk", "data in other files"), ("c4", "diff.vhdx", "overlay of"):
        fmt = {"vmdk": "vmdk", "vhdx": "vhdx"}.get(parent.split(".")[1], "qcow2")
        make("-f", "qcow2", "-u", "-F", fmt, "-b", parent, name + ".qcow2", "1M")
        case(f"{name}.qcow2,backing={parent}", words)
    # three generations, the oldest is evil
    make("-f", "qcow2", "-u", "-F", "qcow2", "-b", "c1.qcow2", "c5.qcow2", "1M")
    case("c5.qcow2,backing=c1.qcow2,backing=abs.qcow2", "data in another file")
    case("c5.qcow2,backing=c1.qcow2", "overlay of")
    case(f"c2.qcow2,backing=nbd+unix:///?socket={here}/sock", "is a file")


DESCRIPTOR = '# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="%s"\n%s\nddb.adapterType = "ide"\n'


def vmdk():
    other = "data in other files"
    lines = [("flat", "monolithicFlat", f'RW 16 FLAT "{victim}" 0'),
             ("flatro", "monolithicFlat", f'RDONLY 16 FLAT "{victim}" 0'),
             ("relative", "monolithicFlat", 'RW 16 FLAT "../%s/victim" 0' % os.path.basename(here)),
             ("twogb", "twoGbMaxExtentFlat", 'RW 8 FLAT "victim" 0\nRW 8 FLAT "victim" 8'),
             ("sparse", "twoGbMaxExtentSparse", 'RW 16 SPARSE "victim"'),
             ("vmfs", "vmfs", 'RW 16 VMFS "victim"'), ("vmfssparse", "vmfsSparse", 'RW 16 VMFSSPARSE "victim"'),
             ("sesparse", "seSparse", 'RW 16 SESPARSE "victim"'),
             ("ejson", "monolithicFlat", 'RW 16 FLAT "json:{\'driver\':\'file\',\'filename\':\'%s\'}" 0' % victim),
             ("enbd", "monolithicFlat", f'RW 16 FLAT "nbd+unix:///?socket={here}/sock" 0')]
    for name, kind, extents in lines:
        text = (DESCRIPTOR % (kind, extents)).encode()
        # with a length that is a multiple of a sector QEMU 7.2 does not hang over it
        open(name + ".vmdk", "wb").write(text + b"\n" * (-len(text) % 512))
        case(name + ".vmdk", other)
    text = (DESCRIPTOR % lines[0][1:]).encode()
    open("odd.vmdk", "wb").write(text)
    case("odd.vmdk", other)
    open("nul.vmdk", "wb").write(text + bytes(-len(text) % 512))
    case("nul.vmdk", other)
    open("late.vmdk", "wb").write(b"# a comment\n" * 100 + text + b"\n" * 512)
    case("late.vmdk", "VMDK")
    # the header of a sparse one, of no capacity, with a descriptor that counts instead
    head = struct.pack("<4sIIQQQQIQQQ", b"KDMV", 1, 3, 0, 128, 1, 20, 512, 0, 0, 128)
    open("zero.vmdk", "wb").write(head.ljust(512, b"\0") + text.ljust(20 * 512, b"\0"))
    case("zero.vmdk", other)
    open("cowd.vmdk", "wb").write(b"COWD" + struct.pack("<IIII", 1, 3, 2048, 16).ljust(4096, b"\0"))
    case("cowd.vmdk", "VMDK")
    make("-f", "vmdk", "self.vmdk", "1M")
    make("-f", "vmdk", "-b", "self.vmdk", "-F", "vmdk", "hint.vmdk")
    desc = read("hint.vmdk", 512, 10240).replace(b'"self.vmdk"', b'"victim"\n')
    patch("hint.vmdk", (512, desc))
    case("hint.vmdk", "overlay of")


def vhd_sum(block, at):
    b = bytearray(block)
    b[at:at + 4] = bytes(4)
    b[at:at + 4] = struct.pack(">I", ~sum(b) & 0xffffffff)
    return bytes(b)


def vhd():
    make("-f", "vpc", "-o", "force_size=on", "diff.vhd", "1M")
    foot = bytearray(read("diff.vhd", 0, 512))
    foot[60:64] = struct.pack(">I", 4)
    foot = vhd_sum(foot, 64)
    dyn = bytearray(read("diff.vhd", 512, 1024))
    dyn[64:64 + 2 * len(victim)] = victim.encode("utf-16-be")
    patch("diff.vhd", (0, foot), (os.path.getsize("diff.vhd") - 512, foot), (512, vhd_sum(dyn, 36)))
    case("diff.vhd", "overlay of")


def vhdx():
    make("-f", "vhdx", "diff.vhdx", "8M")
    table = read("diff.vhdx", 192 << 10, 64 << 10)
    regions = {table[i:i + 16]: struct.unpack_from("<Q", table, i + 16)[0] for i in (16, 48)}
    meta = regions[bytes.fromhex("06a27c8b90479a4bb8fe575f050f886e")]
    items = read("diff.vhdx", meta, 64 << 10)
    count = struct.unpack_from("<H", items, 10)[0]
    params = next(i for i in range(32, 32 + 32 * count, 32)
                  if items[i:i + 16] == bytes.fromhex("3767a1ca36fa434db3b633f0aa44e76b"))
    at = struct.unpack_from("<I", items, params + 16)[0]
    key, value = "absolute_win32_path".encode("utf-16-le"), victim.encode("utf-16-le")
    locator = bytes.fromhex("b704efb09ed1814ab789 25b8e9445913".replace(" ", ""))
    locator += struct.pack("<HHIIHH", 0, 1, 32, 32 + len(key), len(key), len(value)) + key + value
    item = bytes.fromhex("2d5fd3a80bb34d45abf7d3d84834ab0c") + struct.pack("<IIII", 0x20000, len(locator), 4, 0)
    patch("diff.vhdx", (meta + at + 4, struct.pack("<I", 2)), (meta + 0x20000, locator),
          (meta + 32 + 32 * count, item), (meta + 10, struct.pack("<H", count + 1)))
    case("diff.vhdx", "overlay of")


def links_and_raw():
    """What the user names may be a link; a raw disk's guest may write what it likes."""
    os.symlink("abs.qcow2", "link.qcow2")
    case("link.qcow2", "data in another file")
    make("-f", "qcow2", "good.qcow2", "1M")
    os.symlink("good.qcow2", "goodlink.qcow2")
    for name in "abs.qcow2", "zero.vmdk", "diff.vhdx", "diff.vhd":
        raw = name.replace(".", "-") + ".img"
        open(raw, "wb").write(open(name, "rb").read().ljust(1 << 20, b"\0"))
        fmt = name.split(".")[1]
        case(raw, "format=raw")
        case(f"{raw},format={fmt}", "overlay of" if fmt in ("vhd", "vhdx") else "data in")


qcow2()
vmdk()
vhd()
vhdx()
chains()
links_and_raw()
open("victim", "w").write("TOP SECRET\n" * 200000)
open("cases", "w").writelines(cases)
