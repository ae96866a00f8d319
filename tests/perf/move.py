#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""move.py KVMBUS KERNEL INITRD [PEER]: live migration over a UNIX socket, save and restore, of a guest with 512 MiB: kvmbus beside
QEMU. Both sides and the guest share L1's one CPU, so the time in all is the sum of their work. Limits: 10 GB/s, 300 ms.
Everything that is read stands in memory first."""
import glob, json, os, shutil, socket, subprocess, sys, time

kvmbus, kernel, initrd = sys.argv[1:4]
peers = sys.argv[4:] or ['kvmbus', 'qemu']
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vmm import DIR as D, Vm, stage

kernel, initrd, kvmbus = stage(kernel, initrd, kvmbus)
for data in glob.glob('/usr/share/seabios/*.bin') + glob.glob('/usr/share/qemu/*.bin') + glob.glob('/usr/share/qemu/*.rom'):
    os.makedirs(f'{D}/share', exist_ok=True)
    shutil.copy(data, f'{D}/share')
CASES = {'idle': 'kvmb.job=idle', 'dirtying 64 MiB at 50 MiB/s': 'kvmb.job=dirty kvmb.mib=64 kvmb.rate=50',
         'dirtying 64 MiB at 200 MiB/s': 'kvmb.job=dirty kvmb.mib=64 kvmb.rate=200'}
PATH = f'{D}/move.sock'


def wait_for(what, seconds=60):
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            sys.exit('bench: it does not come')
        time.sleep(0.02)


def settle(vm, append):
    for line in vm.lines(60):
        if line.startswith('GUEST: dirtying' if 'dirty' in append else 'GUEST: init'):
            break
    time.sleep(1)


class Qemu:
    def __init__(self, append, incoming=None):
        self.qmp_path = f'{D}/qmp{id(self)}'
        self.vm = Vm(['qemu-system-x86_64', '-L', f'{D}/share', '-machine', 'q35,memory-backend=m', '-enable-kvm', '-cpu', 'host', '-m', '512',
                      '-object', 'memory-backend-memfd,id=m,size=512M,share=on', '-nodefaults', '-display', 'none', '-serial', 'stdio',
                      '-qmp', f'unix:{self.qmp_path},server=on,wait=off', '-kernel', kernel, '-initrd', initrd,
                      '-append', f'console=ttyS0 quiet panic=-1 {append}', *(['-incoming', incoming] if incoming else [])])
        wait_for(lambda: os.path.exists(self.qmp_path))
        self.s = socket.socket(socket.AF_UNIX)
        self.s.connect(self.qmp_path)
        self.f = self.s.makefile('rw')
        self.f.readline()
        self.ask('qmp_capabilities')

    def ask(self, what, **args):
        self.f.write(json.dumps({'execute': what, 'arguments': args}) + '\n')
        self.f.flush()
        while True:
            r = json.loads(self.f.readline())
            if 'return' in r or 'error' in r:
                return r.get('return')

    def send(self, uri):
        self.ask('migrate-set-parameters', **{'max-bandwidth': 10 << 30, 'downtime-limit': 300})
        self.ask('migrate', uri=uri)
        wait_for(lambda: self.ask('query-migrate').get('status') in ('completed', 'failed'))
        r = self.ask('query-migrate')
        return r['total-time'], r['downtime'], r['ram']['transferred'] / 1e6

    def running(self):
        return self.ask('query-status')['status'] == 'running'

    def stop(self):
        self.vm.stop()
        os.unlink(self.qmp_path)


def qemu_move(append):
    a = Qemu(append)
    settle(a.vm, append)
    b = Qemu(append, f'unix:{PATH}')
    result = a.send(f'unix:{PATH}')
    wait_for(b.running)
    a.stop(), b.stop()
    return result


def qemu_save(append):
    a = Qemu(append)
    settle(a.vm, append)
    t = time.monotonic()
    a.ask('stop')
    a.send(f'exec:cat >{D}/state')
    save = (time.monotonic() - t) * 1e3
    a.stop()
    t = time.monotonic()
    b = Qemu(append, f'exec:cat {D}/state')
    wait_for(b.running)
    restore = (time.monotonic() - t) * 1e3
    b.stop()
    return save, restore


def kvmbus_run(append):
    vm = Vm([kvmbus, 'run', '--memory', '512M', '--name', 'm', '--kernel', kernel, '--initrd', initrd, '--nic', 'none',
             '--append', f'console=ttyS0 quiet panic=-1 {append}', '--serial', 'stdio'])
    settle(vm, append)
    return vm


def state():
    r = subprocess.run([kvmbus, 'info', 'm', '--json'], capture_output=True, text=True)
    return r.returncode == 0 and json.loads(r.stdout)['state']


def kvmbus_move(append):
    a = kvmbus_run(append)
    os.makedirs(f'{D}/there', exist_ok=True)
    b = subprocess.Popen([kvmbus, 'run', '--incoming', f'unix:{PATH}'], env={**os.environ, 'XDG_RUNTIME_DIR': f'{D}/there'},
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    wait_for(lambda: os.path.exists(PATH))
    r = subprocess.run([kvmbus, 'migrate', 'm', f'unix:{PATH}', '--downtime', '300', '--json'], capture_output=True, text=True)
    b.kill(), b.wait(), a.stop()
    if r.returncode:
        sys.exit(f'bench: {r.stderr}')
    r = json.loads(r.stdout.splitlines()[-1])
    return r['total_ms'], r['downtime_ms'], r['bytes'] / 1e6


def kvmbus_save(append):
    a = kvmbus_run(append)
    t = time.monotonic()
    subprocess.run([kvmbus, 'save', 'm', f'{D}/state'], check=True)
    save = (time.monotonic() - t) * 1e3
    a.stop()
    t = time.monotonic()
    b = subprocess.Popen([kvmbus, 'restore', f'{D}/state'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    wait_for(lambda: state() == 'running')
    restore = (time.monotonic() - t) * 1e3
    b.kill(), b.wait()
    os.unlink(f'{D}/state')
    return save, restore


print('| case | ' + ' | '.join(f'{p}: total, downtime ms, MB' for p in peers) + ' |\n|---|' + '---|' * len(peers))
for name, append in CASES.items():
    print(f'| {name} | ' + ' | '.join('{:.0f}, {:.0f}, {:.1f}'.format(*globals()[f'{p}_move'](append)) for p in peers) + ' |', flush=True)
for name, append in list(CASES.items())[:2]:
    print(f'| save, restore {name} | ' + ' | '.join('{:.0f}, {:.0f} ms'.format(*globals()[f'{p}_save'](append)) for p in peers) + ' |', flush=True)
