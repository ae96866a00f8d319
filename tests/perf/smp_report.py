#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""smp_report.py LINES DIR: the tables of tests/perf/smp. DIR has counts.N of smp_plugin.c; its
GUEST-CPUS have units and symbols.

A line of a table is a bench on some number of CPUs; a cell "in-tree / ours" (or the guests named
above the table), per transaction, datagram, I/O, or 64 KiB of a stream. Whole: everything the
guest's kernel does for it. Driver: the code of the modules of bus and driver, and the locks that
they take by a call."""
import bisect, collections, glob, os, re, sys

lines, top = int(sys.argv[1]), sys.argv[2]
DRIVERS = {'hv_vmbus', 'hv_netvsc', 'hv_storvsc', 'kvmb_bus', 'kvmb_net', 'kvmb_storage'}
UNITS = {'out': 65536, 'in': 65536} # bytes; of others, one
LOCK = re.compile(r'_raw_(spin|read|write)_(try)?lock(_|$)')
SLOW = re.compile(r'(__pv_|native_)?queued_(spin|read|write)_lock_slowpath$')
IPI_MSRS = {0x830, 0x40000071}
HYPERCALL, SEND_IPI = 1 << 32, {0x0b, 0x15}
WHOLE = ['atomics', 'full barriers', 'l/sfence', 'locks', 'contended', 'IPIs', 'hypercalls',
         'lines', 'moves', 'instructions']
DRIVER = ['driver: ' + c for c in ('atomics', 'barriers', 'locks', 'lines', 'moves')]
INSNS = {'locked': 'atomics', 'barrier': 'full barriers', 'mfence': 'full barriers',
         'lfence': 'l/sfence', 'sfence': 'l/sfence'}


class Symbols:
    def __init__(self, path):
        s = {}
        for w in map(str.split, open(path, errors='replace')):
            if len(w) > 2 and w[1] in 'tTwW':
                s.setdefault(int(w[0], 16), (w[2], w[3].strip('[]') if len(w) > 3 else 'kernel'))
        self.at, self.starts = s, sorted(s)

    def of(self, addr):
        """(function, module)"""
        i = bisect.bisect_right(self.starts, addr) - 1
        return self.at[self.starts[i]] if i >= 0 else ('?', 'kernel')


def name(f):
    return f[0] if f[1] == 'kernel' else f'{f[0]} [{f[1]}]'


def read(path, sym, unit):
    """A column's value per unit, and by column the functions that make it up."""
    v, by = collections.Counter(), collections.defaultdict(collections.Counter)

    def add(column, what, n):
        v[column] += n / unit
        by[column][what] += n / unit

    for w in map(str.split, open(path)):
        if w[0] == 'lines':
            v['lines'], v['driver: lines'] = int(w[1]) / unit, int(w[2]) / unit
            continue
        a, b = int(w[1], 16), int(w[2], 16)
        if w[0] == 'pair':
            by['pairs'][f'{name(sym.of(a))} -> {name(sym.of(b))}'] += int(w[3]) / unit
        elif w[0] == 'event':
            n = int(w[3])
            if a >= HYPERCALL:
                add('hypercalls', f'code {a - HYPERCALL:#x}', n)
            if a in IPI_MSRS or a - HYPERCALL in SEND_IPI or a == 0x300:
                add('IPIs', f'vector {b:#x}', n)
            elif a < HYPERCALL:
                add('MSRs', f'MSR {a:#x}', n)
        elif w[0] == 'moves':
            f, n = sym.of(a), int(w[2]) + int(w[3])
            add('moves', name(f), n)
            if f[1] in DRIVERS:
                add('driver: moves', name(f), n)
        elif w[0] == 'block':
            f, n = sym.of(a), int(w[3])
            v['instructions'] += b * n / unit
            if a in sym.at and SLOW.match(f[0]):
                add('contended', name(f), n)
            if a in sym.at and LOCK.match(f[0]):
                v['locks'] += n / unit
        elif w[0] == 'call':
            to, f, n = sym.at.get(b), sym.of(a), int(w[3])
            if to and LOCK.match(to[0]):
                by['locks'][f'{name(f)}: {to[0]}'] += n / unit
                if f[1] in DRIVERS:
                    add('driver: locks', f'{name(f)}: {to[0]}', n)
        else:
            column, f, n = INSNS.get(w[0]), sym.of(a), int(w[3])
            if column:
                add(column, name(f), n)
            if column and f[1] in DRIVERS:
                add('driver: ' + column.replace('full ', ''), name(f), n)
    return v, by


def number(x):
    return f'{x:.0f}' if x >= 1000 else f'{x:.1f}' if x >= 100 else f'{x:.2f}'


results, guests = collections.defaultdict(dict), []
for d in sorted(os.path.dirname(p) for p in glob.glob(f'{top}/*/units')):
    guest, cpus = os.path.basename(d).rsplit('-', 1)
    guests += [guest] if guest not in guests else []
    sym = Symbols(f'{d}/symbols')
    for line in open(f'{d}/units'):
        i, bench, n = line.split()
        unit = int(n) / UNITS.get(bench, 1)
        results[bench, int(cpus)][guest] = (unit,) + read(f'{top}/counts.{i}', sym, unit)
print('Cells:', ' / '.join(guests))
for title, columns in ('whole', WHOLE), ('driver', DRIVER):
    head = ' | '.join(c.removeprefix('driver: ') for c in columns)
    print(f'\n| {title} | CPUs | {head} |\n|' + '---|' * (len(columns) + 2))
    for (bench, cpus), r in sorted(results.items()):
        cells = [' / '.join(number(r[g][1][c]) if g in r else '-' for g in guests) for c in columns]
        print(f'| {bench} | {cpus} | ' + ' | '.join(cells) + ' |')
for (bench, cpus), r in sorted(results.items()):
    for c in ['pairs', 'MSRs'] + WHOLE + DRIVER:
        for g in guests if lines else []:
            if g in r and r[g][2][c]:
                print(f'\n{bench}, {cpus} CPUs, {g}: {c}, {r[g][0]:.0f} units')
                for what, n in r[g][2][c].most_common(lines):
                    print(f'{n:12.3f}  {what}')
