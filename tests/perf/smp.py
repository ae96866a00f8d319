#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""smp.py KVMBUS KERNEL INITRD NETBENCH TOOL CPUS WARM MS BENCH...: a guest of tests/perf/smp.

Each of its vCPUs has a CPU of L1 to itself; the VMM's threads and the server share the others.
Writes to $LAB_OUT/GUEST-CPUS: units, a line "N BENCH UNITS" for each counts.N; symbols, the guest's
/proc/kallsyms.

The emulator gives its one thread to each of L1's CPUs in turn, and a turn lasts until the next
timer at most. So that CPUs meet as on a machine, the last one has a timer that expires every 50 us."""
import os, subprocess, sys, time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vmm import *

program, kernel, initrd, netbench, tool, cpus, warm, ms = sys.argv[1:9]
jobs, cpus, lab_out = sys.argv[9:], int(cpus), os.environ['LAB_OUT']
out = f'{lab_out}/{os.path.basename(initrd)[:-5]}-{cpus}'
program, kernel, initrd, netbench, tool = stage(program, kernel, initrd, netbench, tool)
TAP, DISK, SYMBOLS = 'kvmbench0', f'{DIR}/disk.raw', f'{DIR}/symbols'


def vcpu_threads(pid):
    """Thread by number of vCPU; others come and go."""
    found = {}
    for t in os.listdir(f'/proc/{pid}/task'):
        try:
            comm = open(f'/proc/{pid}/task/{t}/comm').read().strip()
        except OSError:
            continue
        if comm.startswith('vcpu'):
            found[int(comm[4:])] = int(t)
    return found


def pin(vm):
    while vm.p.poll() is None:
        found = vcpu_threads(vm.p.pid)
        if len(found) == cpus:
            for vcpu, thread in found.items():
                os.sched_setaffinity(thread, {vcpu})
            return
        time.sleep(0.01)
    sys.exit('smp: the VMM ended before its vCPUs ran')


os.makedirs(out)
queues = 'multi_queue' if cpus > 1 else ''
subprocess.run(f'ip tuntap add {TAP} mode tap {queues} && ip addr add 10.9.0.1/24 dev {TAP} && '
               f'ip link set {TAP} up', shell=True, check=True)
os.sched_setaffinity(0, set(range(cpus, os.cpu_count()))) # and who is started here
server = subprocess.Popen([netbench, 'server'])
pace = subprocess.Popen([tool, 'pace', '50'])
os.sched_setaffinity(pace.pid, {os.cpu_count() - 1})
for path, size in (DISK, 256 << 20), (SYMBOLS, 32 << 20):
    with open(path, 'wb') as f:
        f.truncate(size)
append = ('console=ttyS0 quiet panic=-1 net.ifnames=0 cryptomgr.notests kvmb.job=smp '
          f'kvmb.jobs={",".join(jobs)} kvmb.warm={warm} kvmb.ms={ms}')
vm = Vm(kvmbus(program, kernel, initrd, append, ['--cpus', str(cpus), '--nic', f'tap={TAP}',
                                                 '--disk', DISK, '--disk', SYMBOLS]))
units = []
try:
    pin(vm)
    for line in vm.lines(900):
        w = line.split()
        if line == '@@ done':
            break
        if line.startswith('GUEST: FAIL'):
            sys.exit(f'smp: {line}: {vm.tail}')
        if len(w) == 3 and w[0] == '@@':
            n = sum(f.startswith('counts.') for f in os.listdir(lab_out)) - 1
            units.append(f'{n} {w[1]} {w[2]}\n')
    else:
        sys.exit(f'smp: the guest ended: {vm.tail}')
finally:
    vm.stop()
    server.kill()
    pace.kill()
    subprocess.run(['ip', 'link', 'del', TAP])
open(f'{out}/units', 'w').writelines(units)
open(f'{out}/symbols', 'wb').write(open(SYMBOLS, 'rb').read().rstrip(b'\0'))
