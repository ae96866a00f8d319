#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The shape of the C code: style.py [rules] [changed [BASE]] [fix [BASE]]; without arguments, rules and changed.

rules    the whole tree: columns of a line, lines of a function. Prints the figures; fails on one above its limit.
changed  what clang-format would do to the lines changed since BASE (default: where this branch left main, on main
         itself the last commit), and to what is not committed yet. Prints it as a diff; fails if there is any.
fix      does it.
"""
import os, re, subprocess, sys

COLUMNS, TAB = 100, 8
LINES, LINES_P90 = 80, 30   # of a function, between its braces


def git(*args):
    return subprocess.run(['git', *args], check=True, capture_output=True, text=True).stdout


def sources():
    return [f for f in git('ls-files', '*.c', '*.h').split() if os.path.exists(f)]


def functions(lines):
    """(name, lines between the braces) of every function: its braces stand in the first column."""
    begin = name = None
    for n, line in enumerate(lines):
        if line.startswith('{'):
            begin = n
        elif line.startswith('}') and begin is not None:
            yield name, n - begin - 1
            begin = None
        elif begin is None and (m := re.match(r'[A-Za-z_].*?(\w+)\(', line)):
            name = m.group(1)


def rules():
    wide, sizes = [], []
    for f in sources():
        with open(f) as src:
            lines = src.read().splitlines()
        wide += [(f, n, len(x)) for n, x in enumerate((x.expandtabs(TAB) for x in lines), 1) if len(x) > COLUMNS]
        sizes += [(size, f, name) for name, size in functions(lines)]
    sizes.sort()
    p90 = sizes[len(sizes) * 9 // 10][0]
    print(f'# {len(sizes)} functions: half of them up to {sizes[len(sizes) // 2][0]} lines, nine in ten up to {p90}, '
          f'the longest {sizes[-1][0]} ({sizes[-1][1]}:{sizes[-1][2]})')
    print(f'# {len(wide)} lines above {COLUMNS} columns')
    bad = bool(wide)
    for f, n, width in wide:
        print(f'not ok style: {f}:{n}: {width} columns')
    if p90 > LINES_P90:
        print(f'not ok style: nine functions in ten have up to {p90} lines, {LINES_P90} allowed')
        bad = 1
    for size, f, name in sizes:
        if size > LINES:
            print(f'not ok style: {f}:{name}() has {size} lines, {LINES} allowed')
            bad = 1
    if not bad:
        print('ok style')
    return bad


def base():
    for main in 'origin/main', 'main':
        if subprocess.run(['git', 'rev-parse', '-q', '--verify', main], capture_output=True).returncode == 0:
            left = git('merge-base', main, 'HEAD').strip()
            if left != git('rev-parse', 'HEAD').strip():
                return left
            return 'HEAD' if git('diff', 'HEAD', '--name-only') else 'HEAD~1'
    return 'HEAD~1'


def changed(since):
    """{file: [(first, last)]} of the lines that are new; a moved file has only those that changed on the way."""
    ranges, f = {}, None
    for line in git('diff', '-M', '-U0', '--diff-filter=d', since, '--', '*.c', '*.h').splitlines():
        if line.startswith('+++ b/'):
            f = line[6:]
        elif m := re.match(r'@@ -\S+ \+(\d+)(?:,(\d+))? @@', line):
            first, num = int(m[1]), int(m[2] or 1)
            if num:
                ranges.setdefault(f, []).append((first, first + num - 1))
    return ranges


def check_changed(since, fix=False):
    bad = 0
    for f, spans in changed(since).items():
        cmd = ['clang-format', *(f'--lines={a}:{b}' for a, b in spans), *(['-i'] if fix else []), f]
        out = subprocess.run(cmd, check=True, capture_output=True, text=True).stdout
        if not fix:
            bad |= subprocess.run(['diff', '-u', '--label', f, '--label', f'{f} in style', f, '-'], input=out, text=True).returncode
    if bad:
        print(f'not ok style: lines changed since {since}; tests/checks/style.py fix does this, `/* clang-format off */` keeps a table')
    elif not fix:
        print(f'ok style of lines changed since {since}')
    return bad


def main(args):
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..'))
    bad, args = 0, args or ['rules', 'changed']
    while args:
        what = args.pop(0)
        if what == 'rules':
            bad |= rules()
        elif what in ('changed', 'fix'):
            since = args.pop(0) if args and args[0] not in ('rules', 'changed', 'fix') else base()
            bad |= check_changed(since, what == 'fix')
        else:
            sys.exit(__doc__)
    return bad


sys.exit(main(sys.argv[1:]))
