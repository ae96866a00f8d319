#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""profile_report.py COUNTS HOST_SYMBOLS GUEST_SYMBOLS UNITS LINES: where instructions went, by side and by function.

Host and guest kernel lie at the same addresses (neither is randomised), so the host's address of the bytes tells
them apart: the host kernel's text is one piece of memory, and a module's page belongs to the kernel whose functions
begin where its blocks do."""
import bisect, collections, sys

counts, host_file, guest_file, units, lines = sys.argv[1:6]
KERNEL, KERNEL_END = 0xffffffff81000000, 0xffffffff82000000


def symbols(path):
    s = sorted((int(w[0], 16), ' '.join(w[2:4])) for w in map(str.split, open(path)) if len(w) > 2 and w[1] in 'tT')
    return [a for a, _ in s], [n for _, n in s], {a for a, _ in s}


host, guest = symbols(host_file), symbols(guest_file)
rows = [(int(v, 16), int(h, 16), int(n) * int(c)) for v, h, n, c in map(str.split, open(counts))]
pages = collections.defaultdict(lambda: [0, 0]) # blocks that begin where a function of the host's, of the guest's does
for v, h, _ in rows:
    p = pages[v >> 12, h >> 12]
    p[0] += v in host[2]
    p[1] += v in guest[2]
text = collections.Counter(h - v for v, h, _ in rows if KERNEL <= v < KERNEL_END and
                           pages[v >> 12, h >> 12][0] > pages[v >> 12, h >> 12][1]).most_common(1)[0][0]


def nearest(v, side):
    i = bisect.bisect_right(side[0], v) - 1
    return (side[0][i], side[1][i]) if i >= 0 else (0, '?')


def side_of(v, h):
    if not v >> 63:
        return 'programs'
    if KERNEL <= v < KERNEL_END:
        return 'host kernel' if h - v == text else 'guest kernel'
    p = pages[v >> 12, h >> 12]
    if p[0] == p[1]:
        return 'host kernel' if nearest(v, host)[0] > nearest(v, guest)[0] else 'guest kernel'
    return 'host kernel' if p[0] > p[1] else 'guest kernel'


sides, functions = collections.Counter(), collections.Counter()
for v, h, n in rows:
    side = side_of(v, h)
    name = '%x...' % (v >> 12) if side == 'programs' else nearest(v, host if side == 'host kernel' else guest)[1]
    sides[side] += n
    functions[side, name] += n
total, units = sum(sides.values()), float(units)
print(f'{total / units:12.0f} 100.0 %  all')
for side, n in sides.most_common():
    print(f'{n / units:12.0f} {100 * n / total:5.1f} %  {side}')
print()
for (side, name), n in functions.most_common(int(lines)):
    print(f'{n / units:12.0f} {100 * n / total:5.1f} %  {side}: {name}')
