#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""blk.py KVMBUS KERNEL INITRD SCALE [PEER...]: fio in a guest on kvmbus and on QEMU's devices, a raw
file in memory behind each. Prints thousands of instructions (measuring mode: microseconds) and KVM
exits per I/O, from the difference of a long and a short run."""
import os, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vmm import *

program, kernel, initrd, scale = sys.argv[1:5]
lack = os.path.dirname(program) + '/tests/lack'
program, kernel, initrd, lack = stage(program, kernel, initrd, lack)
img = f'{DIR}/disk.raw'
drive = f'file={img},format=raw,if=none,id=d,cache=writeback,aio='
iothread = ['-object', 'iothread,id=io0']
PEERS = {
    'kvmbus': ('sda', 'hv_storvsc,sd_mod', None),
    'kvmbus, no io_uring': ('sda', 'hv_storvsc,sd_mod', None),
    'virtio-blk, threads': ('vda', 'virtio_pci,virtio_blk', ['-drive', drive + 'threads', '-device', 'virtio-blk-pci,drive=d']),
    'virtio-blk, io_uring + iothread': ('vda', 'virtio_pci,virtio_blk',
        [*iothread, '-drive', drive + 'io_uring', '-device', 'virtio-blk-pci,drive=d,iothread=io0']),
    'virtio-scsi, threads': ('sda', 'virtio_pci,sd_mod,virtio_scsi',
        ['-device', 'virtio-scsi-pci,id=s', '-drive', drive + 'threads', '-device', 'scsi-hd,drive=d']),
}
JOBS = ['rr4k-qd1', 'rr4k-qd32', 'sr128k', 'sw128k']


def run(name):
    dev, mods, more = PEERS[name]
    append = f'console=ttyS0 quiet panic=-1 kvmb.job=blkbench kvmb.dev={dev} kvmb.mods={mods} kvmb.scale={scale}'
    before = [lack, 'io_uring'] if name.endswith('no io_uring') else []
    vm = Vm([*before, *kvmbus(program, kernel, initrd, append, ['--disk', img])] if more is None else
            qemu(kernel, initrd, append, more))
    res, short, c0 = {}, None, None
    try:
        for line in vm.lines(400):
            w = line.split()
            if line == '@@ done':
                return res
            if not w or w[0] != '@@':
                continue
            if w[2] == 'begin':
                c0 = counters()
                continue
            v = [float(x or 0) for x in w[3].split(';')]
            if v[0]:
                sys.exit(f'bench: {name}: fio failed in {w[1]}')
            iops, ms = (v[5], v[6]) if w[1].startswith('sw') else (v[2], v[3])
            c1 = counters()
            r = (iops * ms / 1e3, ms * 1e3, c1['exits'] - c0['exits'])
            if w[1].endswith('-a'):
                short = r
            elif w[1].endswith('-b'):
                n = r[0] - short[0]
                res[w[1][:-2]] = ((r[1] - short[1]) / n, (r[2] - short[2]) / n)
        sys.exit(f'bench: {name}: the guest ended: {vm.tail}')
    finally:
        vm.stop()


open(img, 'wb').write(b'\0' * (256 << 20))
print('| disk | ' + ' | '.join(f'{j} us' for j in JOBS) + ' | exits/IO ' + ', '.join(JOBS) + ' |')
print('|' + '---|' * (len(JOBS) + 2))
for name in sys.argv[5:] or PEERS:
    r = run(name)
    print(f'| {name} | ' + ' | '.join(f'{r[j][0]:.2f}' for j in JOBS) + ' | ' +
          ', '.join(f'{r[j][1]:.2f}' for j in JOBS) + ' |', flush=True)
