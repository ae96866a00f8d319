#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""boot.py REPEATS KVMBUS KERNELDIR INITRD [CASE]: exec to /init for kvmbus and QEMU, one after the other. BENCH_PROFILE=1:
with the marks of tests/perf/profile.

Everything that is read stands in memory first, and the first start of each only warms caches:
under the instruction clock, waiting for the host's files would count as time."""
import glob, os, re, select, shutil, subprocess, sys, time

reps, kvmbus, kernel, initrd = int(sys.argv[1]), *sys.argv[2:5]
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vmm import DIR as D, stage

_, _, initrd, _ = stage(kernel + '/vmlinux', kernel + '/bzImage', initrd, kvmbus)
# libraries and firmware too, of both: looking one up over 9p costs more than reading it from memory
qemu = shutil.which('qemu-system-x86_64')
nbd = re.findall(r'libnbd.so.0 .*=> (/\S+)', subprocess.run(['/sbin/ldconfig', '-p'], capture_output=True, text=True).stdout)
os.makedirs(f'{D}/lib', exist_ok=True)
for program in (kvmbus, qemu, *nbd): # kvmbus loads libnbd by itself
    for lib in [*re.findall(r'=> (/\S+)', subprocess.run(['ldd', program], capture_output=True, text=True).stdout), *nbd]:
        if not os.path.exists(f'{D}/lib/{os.path.basename(lib)}'):
            shutil.copy(lib, f'{D}/lib')
os.environ['LD_LIBRARY_PATH'] = f'{D}/lib'
os.makedirs(f'{D}/share', exist_ok=True)
for data in glob.glob('/usr/share/seabios/*.bin') + glob.glob('/usr/share/qemu/*.bin') + glob.glob('/usr/share/qemu/*.rom'):
    shutil.copy(data, f'{D}/share')
shutil.copy(qemu, D)
PROFILE = bool(os.environ.get('BENCH_PROFILE'))
APPEND = 'console=ttyS0 quiet panic=-1 kvmb.job=idle' + ' kvmb.profile=1' * PROFILE
MARK = [shutil.copy(f'{os.environ["GUEST_BIN"]}/tool', D), 'begin'] if PROFILE else []
# QEMU twice: as people start it, RAM anonymous (its private memory then is the guest's, too), and
# with RAM in a memfd, so that what is its own can be told apart
ANON = [f'{D}/qemu-system-x86_64', '-L', f'{D}/share', '-nodefaults', '-display', 'none', '-enable-kvm', '-cpu', 'host', '-m', '512',
        '-serial', 'stdio', '-append', APPEND, '-initrd', initrd]
QEMU = ANON + ['-object', 'memory-backend-memfd,id=m,size=512M,share=on', '-machine', 'q35,memory-backend=m']
KVMBUS = [f'{D}/kvmbus', 'run', '--memory', '512M,huge=on', '--name', 'bench', '--serial', 'stdio', '--append', APPEND,
          '--initrd', initrd]

def less(argv):
    return [a + ' cryptomgr.notests' if a == APPEND else a for a in argv]

CASES = {
    'kvmbus, vmlinux': KVMBUS + ['--kernel', f'{D}/vmlinux'],
    'QEMU q35, vmlinux': ANON + ['-machine', 'q35', '-kernel', f'{D}/vmlinux'],
    'QEMU q35, vmlinux, RAM in a memfd': QEMU + ['-kernel', f'{D}/vmlinux'],
    # without the kernel's self-tests of its ciphers, 0.9 s of the same work in every VMM
    'kvmbus, vmlinux, no cipher tests': less(KVMBUS + ['--kernel', f'{D}/vmlinux']),
    'QEMU q35, vmlinux, no cipher tests': less(ANON + ['-machine', 'q35', '-kernel', f'{D}/vmlinux']),
    'kvmbus, bzImage': KVMBUS + ['--kernel', f'{D}/bzImage'],
    'QEMU q35, bzImage': ANON + ['-machine', 'q35', '-kernel', f'{D}/bzImage'],
}

def exits():
    return int(open('/sys/kernel/debug/kvm/exits').read()) if os.path.exists('/sys/kernel/debug/kvm/exits') else 0

def status(pid, key):
    return next(int(l.split()[1]) for l in open(f'/proc/{pid}/status') if l.startswith(key + ':'))

def private_kib(pid):
    """Private memory of the VMM alone: anonymous and file pages, guest RAM (a memfd) left out."""
    total, guest = 0, False
    for l in open(f'/proc/{pid}/smaps'):
        w = l.split()
        if not l[0].isupper() or '-' in w[0]:
            guest = 'memfd:' in l or '(deleted)' in l
        elif w[0] in ('Private_Clean:', 'Private_Dirty:') and not guest:
            total += int(w[1])
    return total

def once(argv):
    """One start. The console is a pipe, so that nobody polls: what waits costs nothing that would be counted."""
    e0, t0 = exits(), time.monotonic()
    p = subprocess.Popen(MARK + argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    log = b''
    while b'GUEST: init' not in log:
        more = os.read(p.stdout.fileno(), 4096) if select.select([p.stdout], [], [], 60)[0] else b''
        log += more
        if not more:
            sys.exit(f'bench: the guest did not come up; {log[-500:].decode(errors="replace")}')
    ms, num = (time.monotonic() - t0) * 1e3, exits() - e0
    if PROFILE:
        time.sleep(1) # the guest's mark comes right behind that line; what follows is not to be counted
    memory = status(p.pid, 'RssAnon'), private_kib(p.pid)
    p.kill()
    p.communicate()
    return ms, num, *memory

print('| VMM | exec to /init, ms | exits | anonymous KiB | private KiB |\n|---|---|---|---|---|')
for name, argv in CASES.items():
    if sys.argv[5:] and name != sys.argv[5]:
        continue
    once(argv)
    runs = [once(argv) for _ in range(reps)]
    cols = [' / '.join(f'{r[i]:.0f}' for r in runs) for i in range(4)]
    print(f'| {name} | ' + ' | '.join(cols) + ' |', flush=True)
