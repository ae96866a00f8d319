#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""net.py KVMBUS KERNEL INITRD NETBENCH MS [PEER...]: a guest against a server on its host, over one tap. Prints
microseconds (measuring mode: thousands of instructions) a transaction, MB/s, thousand datagrams a second, and KVM
exits and, for kvmbus, interrupts per transaction or per MB. BENCH_PROFILE=1: the stream in alone, for tests/perf/profile;
the addresses of the guest's modules go to DIR/modules."""
import json, os, subprocess, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vmm import *

program, kernel, initrd, netbench, ms = sys.argv[1:6]
program, kernel, initrd, netbench = stage(program, kernel, initrd, netbench)
TAP = 'kvmbench0'
tap = f'tap,id=n,ifname={TAP},script=no,downscript=no,vhost='
virtio = ['-device', 'virtio-net-pci,netdev=n']
PEERS = {
    'kvmbus': ('hv_netvsc', None),
    'virtio-net': ('virtio_pci,virtio_net', ['-netdev', tap + 'off', *virtio]),
    'virtio-net, vhost': ('virtio_pci,virtio_net', ['-netdev', tap + 'on', *virtio]),
}
PROFILE = bool(os.environ.get('BENCH_PROFILE'))
JOBS = ['in'] if PROFILE else ['rr', 'urr', 'out', 'in', 'uout']


def run(name):
    mods, more = PEERS[name]
    append = f'console=ttyS0 quiet panic=-1 net.ifnames=0 kvmb.job=netbench kvmb.mods={mods} kvmb.ms={ms} kvmb.jobs={",".join(JOBS)}' + ' kvmb.profile=1' * PROFILE
    vm = Vm(kvmbus(program, kernel, initrd, append, ['--nic', f'tap={TAP}']) if more is None else
            qemu(kernel, initrd, append, more))
    res = {}
    try:
        for line in vm.lines(400):
            w = line.split()
            if line == '@@ done':
                return res
            if line.startswith('@@symbol '):
                with open(f'{DIR}/modules', 'a') as f:
                    f.write(line[9:] + '\n')
                continue
            if line.startswith('GUEST: FAIL'):
                sys.exit(f'bench: {name}: {line}')
            if len(w) < 3 or w[0] != '@@':
                continue
            if w[2] == 'begin':
                c0 = counters()
                continue
            v, exits = float(w[3]), counters()['exits'] - c0['exits']
            n = float(ms) * 1e3 / v if w[1] in ('rr', 'urr') else v * float(ms) / 1e3
            res[w[1]] = (v, exits / n)
        sys.exit(f'bench: {name}: the guest ended: {vm.tail}')
    finally:
        vm.stop()


subprocess.run(f'ip tuntap add {TAP} mode tap && ip addr add 10.9.0.1/24 dev {TAP} && ip link set {TAP} up', shell=True, check=True)
server = subprocess.Popen([netbench, 'server'])
print('| NIC | TCP_RR us | UDP_RR us | out MB/s | in MB/s | 64 B out k/s | exits/trans, trans, MB, MB, k |')
print('|' + '---|' * 7)
for name in sys.argv[6:] or PEERS:
    r = run(name)
    print(f'| {name} | ' + ' | '.join(f'{r[j][0]:.2f}' if j in ('rr', 'urr') else f'{r[j][0]:.1f}' for j in JOBS) + ' | ' +
          ', '.join(f'{r[j][1]:.2f}' for j in JOBS) + ' |', flush=True)
server.kill()
