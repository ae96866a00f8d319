# SPDX-License-Identifier: GPL-2.0-only
"""Start a VMM, read its guest's console, take KVM's counters. Used by the benches in L1.

Everything that is read is copied into memory first: under the instruction clock, waiting for the
host's files would count as time."""
import os, select, shutil, subprocess, time

DIR = '/dev/shm/bench'
KVM = '/sys/kernel/debug/kvm'


def stage(*files):
    """Copy files into memory; returns their new paths."""
    os.makedirs(DIR, exist_ok=True)
    out = []
    for f in files:
        to = f'{DIR}/{os.path.basename(f)}'
        if not os.path.exists(to):
            shutil.copy(f, to)
        out.append(to)
    return out


def counters():
    """KVM's counters, all VMs together."""
    names = ('exits', 'io_exits', 'mmio_exits', 'halt_exits', 'irq_exits', 'hypercalls', 'signal_exits')
    return {n: int(open(f'{KVM}/{n}').read()) for n in names if os.path.exists(f'{KVM}/{n}')}


class Vm:
    """A VMM process whose stdout is the guest's serial console."""

    def __init__(self, argv):
        self.buf = b''
        self.tail = []
        self.p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)

    def lines(self, timeout):
        end, fd = time.monotonic() + timeout, self.p.stdout.fileno()
        while True:
            while b'\n' in self.buf:
                line, self.buf = self.buf.split(b'\n', 1)
                self.tail = (self.tail + [line.decode(errors='replace').strip()])[-10:]
                yield self.tail[-1]
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError('\n'.join(self.tail))
            if select.select([fd], [], [], left)[0]:
                d = os.read(fd, 65536)
                if not d:
                    return
                self.buf += d

    def stop(self):
        self.p.kill()
        self.p.wait()


def qemu(kernel, initrd, append, more=(), machine='q35'):
    return ['qemu-system-x86_64', '-machine', f'{machine},memory-backend=m', '-enable-kvm', '-cpu', 'host', '-m', '512',
            '-object', 'memory-backend-memfd,id=m,size=512M,share=on', '-nodefaults', '-display', 'none',
            '-serial', 'stdio', '-kernel', kernel, '-initrd', initrd, '-append', append, *more]


def kvmbus(program, kernel, initrd, append, more=()):
    return [program, 'run', '--memory', '512M', '--name', 'bench', '--kernel', kernel, '--initrd', initrd,
            '--append', append, *more]
